//! Safety at every call to a vendor.

use tidegate_domain::lifecycle::State;
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::account::AccountCommand;
use tidegate_durable::bindings::rental::VendorAction;
use tidegate_durable::turn::VendorCall;
use tidegate_provider_api::{Marker, Request};

use super::World;
use super::operator::{Connected, ORGS};
use super::oracle::{Asked, AttemptKey};
use super::scenario::{MINUTE, Mood, Vendor};
use super::seen::Seen;
use super::situations::Situation;

/// How long an account leaves alone what it does not know.
pub const GRACE_MS: i64 = 10 * MINUTE;
/// Messages, alarms and calls on their way when nothing is wrong: a call waits for its place and its answer.
const UNDER_WAY_MS: i64 = 90_000;
/// Calls of one account that are under way at once.
const MOST_CALLS: usize = 4;

impl World {
    /// What platform faults may add to any delay: an alarm that is lost is set again by a nudge of five minutes,
    /// which may get lost as well; a fact that is lost is sent again within a minute.
    pub fn slack(&self) -> i64 {
        let faults = &self.around.scenario.faults;
        let mut slack =
            UNDER_WAY_MS + self.around.scenario.skew_ms * 2 + self.around.oracle.jumps_ms;
        if faults.alarm_lost > 0 {
            slack += 12 * MINUTE;
        }
        if faults.message_lost + faults.reply_lost + faults.message_late > 0 {
            slack += 4 * MINUTE;
        }
        if faults.evicted_in_turn + faults.store_fails > 0 || faults.evict_every_ms > 0 {
            slack += 2 * MINUTE;
        }
        slack + i64::from(faults.alarm_late > 0) * MINUTE
    }

    /// The rental that a marker names, as it is on disk, if it is one of ours.
    pub fn rental_of(&self, marker: &Marker) -> Option<&Seen> {
        let org = self.around.operator.org_of(&marker.fingerprint)?;
        let name = ObjectName::instance(&org, &marker.instance);
        self.objects.get(&name)?.mirror.as_ref()
    }

    /// Whether a rental serves.
    pub fn is_serving(&self, name: &ObjectName) -> bool {
        let seen = self.objects.get(name).and_then(|it| it.mirror.as_ref());
        seen.is_some_and(|seen| seen.state == State::Ready)
    }

    /// The attempt that a marker names.
    pub fn key_of(&self, marker: &Marker) -> Option<AttemptKey> {
        let org = self.around.operator.org_of(&marker.fingerprint)?;
        Some((org, marker.instance.clone(), marker.attempt))
    }

    /// Whether a machine is what its rental rents now.
    pub fn is_wanted(&self, place: usize) -> bool {
        let machine = &self.around.cloud.machines[place];
        let seen = machine.marker.as_ref().and_then(|it| self.rental_of(it));
        let attempt = machine.marker.as_ref().map(|marker| marker.attempt);
        seen.is_some_and(|seen| {
            let is_it = seen.machine.as_ref().is_none_or(|it| *it == machine.id);
            // Between two attempts the last one is over.
            let is_between = seen.state == State::Requested;
            let is_current = Some(seen.attempt) == attempt && !is_between;
            seen.is_wanted() && seen.wish.is_none() && is_current && is_it
        })
    }

    /// Whether a machine carries a mark of one of our accounts. An orphan that turned up just before its account
    /// was forgotten is nobody's: nobody has its credential.
    pub fn is_ours(&self, place: usize) -> bool {
        let is_orphan = self.around.cloud.machines[place].name.contains("-lost_");
        let account = self.account_of(place);
        account.is_some_and(|account| !(is_orphan && account.is_removed))
    }

    /// The account whose mark a machine carries.
    pub fn account_of(&self, place: usize) -> Option<&Connected> {
        let marker = self.around.cloud.machines[place].marker.as_ref()?;
        let mut accounts = self.around.operator.accounts.iter();
        accounts.find(|it| it.fingerprint == marker.fingerprint)
    }

    /// An account calls its vendor.
    pub fn check_call(&mut self, object: &ObjectName, life: u64, tenant: usize, request: &Request) {
        let under_way = self.calls_of(object, life);
        if under_way >= MOST_CALLS {
            let words = format!("{object} makes a call beside {under_way} others");
            self.violate("at most four calls of an account are under way", words);
        }
        match request {
            Request::Create(spec) => self.check_create(object, &spec.marker),
            Request::Destroy { id, .. } => {
                if let Some(place) = self.around.cloud.find(tenant, id) {
                    self.check_touch(object, place);
                    self.check_destroy(place);
                }
            }
            Request::Stop { id, .. } | Request::Start { id, .. } => {
                if let Some(place) = self.around.cloud.find(tenant, id) {
                    self.check_touch(object, place);
                }
            }
            _ => {}
        }
    }

    fn check_touch(&mut self, object: &ObjectName, place: usize) {
        let own = self.around.operator.connected(object);
        let own = own.map(|account| account.fingerprint.clone());
        let machine = &self.around.cloud.machines[place];
        let marked = machine.marker.as_ref().map(|it| it.fingerprint.clone());
        if own != marked {
            let words = format!("{object} touches {}, which is {}", machine.id, machine.name);
            self.violate("what carries another's mark is left alone", words);
        }
    }

    /// §7.2, §7.3: what may be rented, and when.
    fn check_create(&mut self, object: &ObjectName, marker: &Marker) {
        let Some(key) = self.key_of(marker) else {
            let words = format!("{object} rents {marker}");
            return self.violate("machines carry the mark of their account", words);
        };
        let vendor = self
            .around
            .operator
            .tenant_of(object)
            .map(|tenant| self.around.cloud.tenants[tenant].plan.vendor);
        let now = self.now;
        let attempt = self.around.oracle.attempt(&key);
        attempt.account = Some(object.clone());
        attempt.sent_at = Some(now);
        attempt.sends += 1;
        attempt.doubts += 1;
        let (sends, doubts) = (attempt.sends, attempt.doubts);
        if doubts > 1 && vendor == Some(Vendor::RunPod) {
            let words = format!("{marker} is sent for the {sends}th time");
            self.violate(
                "§7.2 a create that may have been done is not sent again where that is another machine",
                words,
            );
        }
        self.check_paid(&key);
        if key.2 > 1 {
            self.check_next_offer(&key);
        }
    }

    fn check_next_offer(&mut self, key: &AttemptKey) {
        let before = (key.0.clone(), key.1.clone(), key.2 - 1);
        let Some(attempt) = self.around.oracle.attempts.get(&before).cloned() else {
            return;
        };
        let (Some(account), Some(sent_at)) = (attempt.account, attempt.sent_at) else {
            return;
        };
        if attempt.is_refused || attempt.doubts == 0 {
            return;
        }
        let Some(connected) = self.around.operator.connected(&account).cloned() else {
            return;
        };
        let vendor = self.around.cloud.tenants[connected.tenant].plan.vendor;
        let tolerance = self.around.scenario.skew_ms * 2 + self.around.oracle.jumps_ms + 1_000;
        let late = sent_at + vendor.capability().list_lag_ms - tolerance;
        let marker = Marker {
            fingerprint: connected.fingerprint,
            instance: before.1.clone(),
            attempt: before.2,
        }
        .to_string();
        let lists = self.around.oracle.lists.get(&account);
        let without = lists
            .into_iter()
            .flatten()
            .filter(|list| list.begun_at >= late && !list.shown.contains(&marker));
        let without = without.count();
        if without < 2 {
            let words = format!(
                "{key:?} is rented although {marker} was neither refused nor missing from two late lists, but \
                 from {without}"
            );
            self.violate(
                "§7.2 another offer only when there is certainly no machine",
                words,
            );
        }
        self.met(Situation::NextOffer);
    }

    /// A machine is made for a marker.
    pub fn check_made(&mut self, tenant: usize, token: &str) {
        let Some(key) = Marker::parse(token).and_then(|marker| self.key_of(&marker)) else {
            return;
        };
        let attempt = self.around.oracle.attempt(&key);
        attempt.made += 1;
        let made = attempt.made;
        if made > 1 {
            let words = format!("{token} is made for the {made}th time at customer {tenant}");
            self.violate("§7.2 one machine for one attempt", words);
        }
    }

    /// The orphan cleaner kills no living thing.
    fn check_destroy(&mut self, place: usize) {
        self.around.oracle.orders.remove(&place);
        let machine = &self.around.cloud.machines[place];
        let (id, name) = (machine.id.clone(), machine.name.clone());
        let is_known = machine
            .marker
            .as_ref()
            .is_some_and(|marker| self.rental_of(marker).is_some());
        if self.is_wanted(place) {
            let seen = machine.marker.as_ref().and_then(|it| self.rental_of(it));
            let words = format!("{id}, {name}, is given back while {seen:?}");
            return self.violate("a machine that is wanted is not destroyed", words);
        }
        if !is_known {
            let age = self.now - machine.listed_from.max(machine.born);
            if age < GRACE_MS - self.slack_of_clocks() {
                let words = format!("{id}, {name}, is given back {age} ms after it could be seen");
                return self.violate("what nobody knows has a grace of ten minutes", words);
            }
            self.met(Situation::OrphanDestroyed);
            return;
        }
        let is_twin = self
            .around
            .oracle
            .adopted
            .iter()
            .any(|other| *other != place && self.around.cloud.machines[*other].name == name);
        if is_twin {
            self.met(Situation::TwinDestroyed);
        }
        let tenant = self.around.cloud.machines[place].tenant;
        let was_locked = self.around.oracle.locked.contains(&tenant);
        if was_locked && self.mood(tenant) != Some(Mood::Locked) {
            self.met(Situation::LetInAgain);
        }
    }

    /// What clocks may differ by.
    pub fn slack_of_clocks(&self) -> i64 {
        self.around.scenario.skew_ms * 2 + self.around.oracle.jumps_ms + 1_000
    }

    /// An account was told to do something.
    pub fn note_order(&mut self, object: &ObjectName, command: &AccountCommand) {
        let AccountCommand::Act {
            instance,
            attempt,
            action: VendorAction::Destroy,
            number,
        } = command
        else {
            return;
        };
        let Some(account) = self.around.operator.connected(object) else {
            return;
        };
        let marker = Marker {
            fingerprint: account.fingerprint.clone(),
            instance: instance.clone(),
            attempt: *attempt,
        };
        let known = self
            .around
            .oracle
            .acts
            .entry(marker.to_string())
            .or_default();
        if *number <= *known {
            // Delivered again.
            return;
        }
        *known = *number;
        let machines = self.around.oracle.adopted.iter().copied();
        let own = machines.filter(|place| {
            let machine = &self.around.cloud.machines[*place];
            machine.marker.as_ref() == Some(&marker) && machine.told_at.is_none()
        });
        let own: Vec<usize> = own.collect();
        for place in own {
            let now = self.now;
            self.around.oracle.orders.entry(place).or_insert(now);
        }
    }

    /// Machines of an account that were adopted and go on.
    pub fn live_machines_of(&self, account: usize) -> Vec<String> {
        let Connected {
            tenant,
            fingerprint,
            ..
        } = &self.around.operator.accounts[account];
        self.around
            .cloud
            .billed()
            .filter(|(place, machine)| {
                let marker = machine.marker.as_ref();
                machine.tenant == *tenant
                    && marker.is_some_and(|marker| marker.fingerprint == *fingerprint)
                    && self.around.oracle.adopted.contains(place)
                    && machine.told_at.is_none()
            })
            .map(|(_, machine)| machine.id.clone())
            .collect()
    }

    /// A rental takes its machine for gone, and nobody had told it to end.
    pub fn check_lost(&mut self, name: &ObjectName, seen: &Seen) {
        let mut machines = self.around.cloud.machines.iter().enumerate();
        let alive = machines.find(|(place, machine)| {
            let is_its = self.around.oracle.adopted.contains(place)
                && seen.machine.as_deref() == Some(machine.id.as_str());
            let is_denied = self.around.oracle.denied.contains(place);
            is_its && machine.is_there() && machine.told_at.is_none() && !is_denied
        });
        if let Some((_, machine)) = alive {
            let words = format!(
                "{name} takes {} for gone, of which only lists said so",
                machine.id
            );
            self.violate(
                "a living machine is not taken for gone before its vendor has denied it by its id",
                words,
            );
        }
    }

    /// An account took another credential.
    pub fn check_rotation(&mut self, account: usize, key: &str) {
        let blind = self.live_machines_of(account);
        if key.starts_with("stranger") && !blind.is_empty() {
            let words = format!("{key} is taken and shows none of {blind:?}");
            self.violate(
                "a credential is taken only when it shows every live machine",
                words,
            );
        }
    }

    /// An account was forgotten.
    pub fn check_removal(&mut self, account: usize) {
        let Connected { org, id, .. } = self.around.operator.accounts[account].clone();
        let left = self.live_machines_of(account);
        if !left.is_empty() {
            let words = format!("{}/{id} is removed and {left:?} are billed", ORGS[org]);
            self.violate("an account with live machines is not forgotten", words);
        }
    }

    /// What a call that is on its way is about.
    pub fn asked_of(&self, object: &ObjectName, call: &VendorCall) -> Asked {
        let own = self.around.operator.connected(object);
        match &call.request {
            Request::Create(spec) => self
                .key_of(&spec.marker)
                .map_or(Asked::Other, Asked::Create),
            Request::List { region, page } => Asked::Page {
                region: region.clone(),
                is_first: page.is_none(),
                at: self.now,
                is_trial: own.is_none_or(|account| account.key != call.credential.sealed),
            },
            _ => Asked::Other,
        }
    }
}
