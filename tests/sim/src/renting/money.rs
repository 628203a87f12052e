//! §7.3, judged by the vendors' meters: what is paid ahead, what is spent, and what a cap allows.
//!
//! Two properties together bound what is spent. What was promised never exceeds a cap: the sum of what machines
//! have cost up to the moment until which they were paid ahead. And a machine goes on beyond that moment no
//! longer than it takes to tell its vendor. What costs without anybody's promise (a machine that turned up late,
//! twice, or for a create that was refused) is bounded in time by the other properties.

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::ledger::{Advance, AdvanceAnswer, Period};
use tidegate_provider_api::Ending;

use super::World;
use super::looks::SWEEP_MS;
use super::operator::ORGS;
use super::oracle::{AttemptKey, Ill, Paid};
use super::scenario::MINUTE;
use super::situations::Situation;

const DAY_MS: i64 = 86_400_000;
/// How long a change of price may go unseen by the ledger: the advance that runs was for the old one.
const PRICE_LAG_MS: i64 = 10 * MINUTE;
/// How long a vendor is silent that falls silent at a cap.
const SILENCE_MS: i64 = 12 * MINUTE;

impl World {
    /// The ledger has answered an advance.
    pub fn note_advance(&mut self, ledger: &ObjectName, ask: &Advance, answer: &str) {
        let skew = self.object(ledger).skew_ms;
        let org = ledger.org().unwrap_or_default().to_owned();
        let key = (org, ask.window.clone());
        match serde_json::from_str(answer) {
            Ok(AdvanceAnswer::Advanced { until_ms, .. }) => {
                let paid = self.around.oracle.paid.entry(key).or_default();
                let until = until_ms - skew;
                paid.until = Some(paid.until.map_or(until, |known| known.max(until)));
                paid.rate = ask.microusd_per_hour;
                let was_denied = std::mem::replace(&mut paid.is_denied, false);
                let mut caps = self.around.oracle.caps.values();
                if was_denied && caps.any(|cap| cap.was_raised) {
                    self.met(Situation::BudgetRaised);
                }
            }
            Ok(AdvanceAnswer::Denied { .. }) => {
                self.around.oracle.paid.entry(key).or_default().is_denied = true;
                for cap in self.around.oracle.caps.values_mut() {
                    cap.has_refused = true;
                }
                self.met(Situation::AdvanceDenied);
            }
            Err(_) => {}
        }
    }

    fn paid(&self, key: &AttemptKey) -> Option<&Paid> {
        let window = (key.0.clone(), format!("{}/{}", key.1, key.2));
        self.around.oracle.paid.get(&window)
    }

    /// A "create" leaves.
    pub fn check_paid(&mut self, key: &AttemptKey) {
        let until = self.paid(key).and_then(|paid| paid.until);
        let is_covered = until.is_some_and(|until| self.now <= until + self.slack());
        if !is_covered {
            let words = format!(
                "{key:?} is rented; it is paid until {:?} ms from now",
                until.map(|until| until - self.now)
            );
            self.violate(
                "§7.3 no new obligation while the ledger has not said yes",
                words,
            );
        }
    }

    /// A machine that its instance has taken for its own goes on only while it is paid ahead.
    pub fn look_at_pay(&mut self, place: usize) {
        let machine = &self.around.cloud.machines[place];
        let key = machine.marker.as_ref().and_then(|it| self.key_of(it));
        let until = key
            .as_ref()
            .and_then(|key| self.paid(key))
            .and_then(|paid| paid.until);
        let is_adopted = self.around.oracle.adopted.contains(&place);
        // One that was taken for gone, and is not, is seen by the next sweep: what is over has a bound of its own.
        let is_current = machine.marker.as_ref().is_some_and(|marker| {
            self.rental_of(marker).is_some_and(|seen| {
                seen.attempt == marker.attempt
                    && seen.machine.as_deref() == Some(&machine.id)
                    && !seen.state.is_over()
            })
        });
        let is_unpaid = machine.meter.is_running()
            && machine.told_at.is_none()
            && is_adopted
            && is_current
            && until.is_none_or(|until| until < self.now);
        let ignored = i64::from(machine.ignored) * 5 * MINUTE;
        self.judge(
            place,
            Ill::Unpaid,
            is_unpaid,
            i64::MIN,
            ignored,
            "§7.3 a GPU is told to end before what is paid ahead has run out",
        );
    }

    /// A cap was set.
    pub fn budget_is(&mut self, org: usize, scope: &str, cap: Option<u64>) {
        if org != 0 {
            return;
        }
        let promised = self.promised(scope);
        let known = self.around.oracle.caps.entry(scope.to_owned()).or_default();
        let was = known.cap.unwrap_or(u64::MAX);
        let is = cap.unwrap_or(u64::MAX);
        if is < was {
            // What was promised before stays promised.
            known.promised = promised;
        }
        known.was_raised |= known.has_refused && is > was;
        known.cap = cap;
    }

    fn is_in(&self, scope: &str, instance: &str) -> bool {
        let mut rentals = self.around.operator.rentals.iter();
        let Some(found) = rentals.find(|it| it.org == 0 && it.id == instance) else {
            return false;
        };
        let project = self.around.scenario.launches[found.plan].project;
        match scope.strip_prefix("project/") {
            Some(name) => project == Some(name),
            None => true,
        }
    }

    /// Machines of a scope that were taken for their instances' own.
    fn machines_in(&self, scope: &str) -> Vec<usize> {
        let adopted = self.around.oracle.adopted.iter().copied();
        adopted
            .filter(|place| {
                let marker = self.around.cloud.machines[*place].marker.as_ref();
                marker.is_some_and(|marker| {
                    self.around.operator.org_of(&marker.fingerprint).as_deref() == Some(ORGS[0])
                        && self.is_in(scope, &marker.instance)
                })
            })
            .collect()
    }

    /// What was promised of a scope: what its machines have cost, and what they may cost until what is paid ends.
    fn promised(&self, scope: &str) -> u64 {
        let mut sum = 0;
        for place in self.machines_in(scope) {
            sum += self.around.cloud.machines[place].meter.cost(self.now);
        }
        for ((org, window), paid) in &self.around.oracle.paid {
            let instance = window.split('/').next().unwrap_or_default();
            if org == ORGS[0] && self.is_in(scope, instance) {
                let left = paid.until.map_or(0, |until| (until - self.now).max(0));
                // What has no machine yet was promised from some minutes ago on.
                sum += price(paid.rate, left + PRICE_LAG_MS);
            }
        }
        sum
    }

    /// Whether what was promised is within every cap; and a vendor that waits for a cap falls silent.
    pub fn look_at_caps(&mut self) {
        for (scope, cap) in self.around.oracle.caps.clone() {
            let Some(limit) = cap.cap else {
                continue;
            };
            let plan = self.around.scenario.budgets.iter();
            let period = plan
                .clone()
                .find(|plan| plan.scope == scope)
                .map_or(Period::Total, |plan| plan.period);
            let from = match period {
                Period::Day => self.now.div_euclid(DAY_MS) * DAY_MS,
                Period::Month | Period::Total => self.start,
            };
            let (mut spent, mut all, mut tolerance) = (0, 0, 0);
            for place in self.machines_in(&scope) {
                let machine = &self.around.cloud.machines[place];
                let key = machine.marker.as_ref().and_then(|it| self.key_of(it));
                let paid = key.as_ref().and_then(|key| self.paid(key)).cloned();
                let Some(Paid {
                    until: Some(until), ..
                }) = paid
                else {
                    continue;
                };
                spent += machine.meter.cost_between(from, self.now.min(until));
                all += machine.meter.cost_between(from, self.now);
                let offered = self.around.operator.price_of(&machine.spec.machine_type);
                let rate = machine.rate.max(offered);
                tolerance += price(rate, self.slack_of_clocks() + 1_000);
                if machine.rate != offered {
                    tolerance += price(rate, PRICE_LAG_MS);
                }
                // What was paid ahead was for its disk. That somebody started it is seen by a sweep, once its
                // vendor answers; then the ledger has two minutes to say more, or it ends.
                for started in &machine.started_outside {
                    let unseen = SWEEP_MS + self.trouble(machine.tenant, *started, self.now);
                    tolerance += price(rate, unseen + 2 * MINUTE + self.slack());
                }
                // One that somebody else ended is reckoned until it was last seen, and its vendor may name its end later.
                let is_ours = machine.ended_by == Some(Ending::Asked);
                if let (Some(gone), false) = (machine.gone_at, is_ours) {
                    let unseen = SWEEP_MS + self.trouble(machine.tenant, self.start, gone);
                    tolerance += price(rate, unseen + self.slack());
                }
                // The meter has its minimum for every run, the promise once.
                if machine.meter.had_short_runs() {
                    tolerance += price(rate, MINUTE);
                }
            }
            let allowed = limit.max(cap.promised) + tolerance;
            if spent > allowed {
                let words = format!(
                    "{scope} may spend {limit} and has spent {spent} of what was promised, {tolerance} apart"
                );
                self.violate("§7.3 what is promised stays within every cap", words);
            }
            if self.around.scenario.out_at_cap && all > limit / 5 * 4 && !self.is_calm() {
                self.around.scenario.out_at_cap = false;
                self.met(Situation::SilentAtCap);
                for tenant in 0..self.around.cloud.tenants.len() {
                    self.silence(tenant, SILENCE_MS);
                }
            }
        }
    }
}

fn price(microusd_per_hour: u64, lasts_ms: i64) -> u64 {
    microusd_per_hour * u64::try_from(lasts_ms).unwrap_or(0) / 3_600_000
}
