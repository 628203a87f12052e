//! What our own records know: rows of accounts, and what comes out of committed turns.

use tidegate_domain::lifecycle::{Cause, State};
use tidegate_domain::vendor::stray::Watch;
use tidegate_durable::bindings::ObjectKind;
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::account::AccountCommand;
use tidegate_durable::bindings::ledger::LedgerCommand;
use tidegate_durable::ports::{Sql, Value};
use tidegate_durable::records::account::{StrayRow, Tracked};
use tidegate_durable::turn::{Effect, Outcome};
use tidegate_provider_api::{
    Billing, ErrorKind, Machine, MachineState, Page, ProviderError, Reply,
};

use super::World;
use super::operator::{Connected, ORGS};
use super::oracle::{Asked, AttemptKey, Walk};
use super::scenario::Vendor;
use super::seen::Seen;
use super::situations::Situation;
use crate::object::{Ran, Run};

/// Lists that are remembered for each account.
const LISTS_KEPT: usize = 60;

impl World {
    /// Whether a record of ours knows that a machine is there.
    pub fn is_known(&self, place: usize) -> bool {
        let machine = &self.around.cloud.machines[place];
        let Some(marker) = &machine.marker else {
            return false;
        };
        let by_rental = self.rental_of(marker).is_some_and(|seen| {
            let is_it = seen.machine.as_ref().is_none_or(|it| *it == machine.id);
            !seen.state.is_over() && seen.attempt == marker.attempt && is_it
        });
        if by_rental {
            return true;
        }
        let Some(Connected { org, id, .. }) = self.account_of(place) else {
            return false;
        };
        let name = ObjectName::account(ORGS[*org], id);
        let row = |table: &str, key: String| {
            let object = self.objects.get(&name)?;
            let statement = format!("SELECT record FROM {table} WHERE id = ?");
            let rows = object.store.exec(&statement, &[Value::from(key)]).ok()?;
            Some(rows.first()?.first()?.as_text()?.to_owned())
        };
        let stray = row("strays", machine.id.clone())
            .and_then(|text| serde_json::from_str::<StrayRow>(&text).ok());
        if let Some(stray) = stray {
            return !matches!(stray.stray.watch, Watch::Gone { .. });
        }
        let key = format!("{}/{}", marker.instance, marker.attempt);
        let attempt =
            row("attempts", key).and_then(|text| serde_json::from_str::<Tracked>(&text).ok());
        attempt.is_some_and(|tracked| !tracked.attempt.is_over())
    }

    /// A turn is on disk.
    pub fn learn(&mut self, name: &ObjectName, ran: &Ran<Seen>) {
        match name.kind() {
            ObjectKind::Instance => self.learn_of_rental(name, ran),
            ObjectKind::Account => self.learn_of_account(name, ran),
            ObjectKind::Ledger => self.learn_of_ledger(name, ran),
            _ => {}
        }
    }

    fn learn_of_rental(&mut self, name: &ObjectName, ran: &Ran<Seen>) {
        let Some(after) = ran.after.clone() else {
            return;
        };
        let before = self.object(name).mirror.replace(after.clone());
        for effect in &ran.turn.effects {
            if let Effect::Send { to, message, .. } = effect
                && to.kind() == ObjectKind::Ledger
                && let Ok(LedgerCommand::State { statement }) = serde_json::from_str(message)
            {
                let org = name.org().unwrap_or_default().to_owned();
                let key = (org, statement.window);
                let known = self.around.oracle.revisions.entry(key).or_default();
                *known = (*known).max(statement.revision);
            }
        }
        if before.as_ref().map(|it| (it.state, &it.machine)) != Some((after.state, &after.machine))
        {
            self.note(|| {
                format!(
                    "{name} is now {:?}, {:?}, {:?}",
                    after.state, after.cause, after.machine
                )
            });
        }
        self.note_adoption(name, &after);
        self.note_shifts(name, before.as_ref(), &after);
    }

    fn note_adoption(&mut self, name: &ObjectName, after: &Seen) {
        let Some(id) = &after.machine else {
            return;
        };
        let mut machines = self.around.cloud.machines.iter();
        let place = machines.position(|machine| {
            let marker = machine.marker.as_ref();
            machine.id == *id && marker.is_some_and(|it| Some(it.instance.as_str()) == name.tail())
        });
        match place {
            Some(place) => {
                self.around.oracle.adopted.insert(place);
            }
            None => self.violate(
                "a rental's machine is one of its own",
                format!("{name} takes {id} for its own"),
            ),
        }
    }

    fn note_shifts(&mut self, name: &ObjectName, before: Option<&Seen>, after: &Seen) {
        let was = before.map(|before| before.state);
        if was == Some(after.state) {
            if after.suspect && before.is_some_and(|before| !before.suspect) {
                self.met(Situation::Suspect);
            }
            if before.is_some_and(|before| before.billed != after.billed) {
                self.met(Situation::Billed);
            }
            return;
        }
        let id = name.tail().unwrap_or_default().to_owned();
        match (after.state, after.cause) {
            (State::Ready | State::ReadyUnreachable, _)
                if self.around.oracle.stopped.remove(&id) =>
            {
                self.met(Situation::StoppedAndStarted);
            }
            (State::Ready, _) => self.met(Situation::Ready),
            (State::ReadyUnreachable, _) => self.met(Situation::Unreachable),
            (State::Stopped, cause) => {
                self.around.oracle.stopped.insert(id);
                if cause == Some(Cause::StopWindow) {
                    self.met(Situation::StopWindow);
                }
            }
            (State::Terminating, Some(Cause::LateSighting)) => self.met(Situation::LateSighting),
            (State::Lost, _) => {
                self.met(Situation::Ghost);
                self.check_lost(name, after);
            }
            (State::Failed, Some(Cause::NothingToRent)) => self.met(Situation::NothingToRent),
            (State::Failed, Some(Cause::Budget))
                if was.is_none_or(|was| was == State::Requested) =>
            {
                self.met(Situation::LaunchDenied);
                let now = self.now;
                let mut others = self.around.oracle.refused_launches.iter();
                let _ = others.next();
                self.around.oracle.refused_launches.push(now);
                if self.is_race(name) {
                    self.met(Situation::CapRace);
                }
            }
            _ => {}
        }
        use tidegate_domain::lifecycle::Creating;
        match (was, after.state) {
            (_, State::Provisioning(Creating::Ambiguous)) => self.met(Situation::Ambiguous),
            (Some(State::Provisioning(Creating::Ambiguous)), State::Booting) => {
                self.met(Situation::Adopted);
            }
            _ => {}
        }
        let is_end = matches!(
            after.state,
            State::Terminating | State::Draining(_) | State::Stopping
        );
        if is_end && was.is_some_and(|was| !matches!(was, State::Draining(_))) {
            match after.cause {
                Some(Cause::Idle) => self.met(Situation::IdleEnd),
                Some(Cause::MaxLifetime) => self.met(Situation::MaxLifetime),
                Some(Cause::ReservationEnd) => self.met(Situation::ReservationEnd),
                Some(Cause::StartupTimeout) => self.met(Situation::StartupTimeout),
                Some(Cause::GpuMissing) => self.met(Situation::GpuMissing),
                Some(Cause::Budget) => self.met(Situation::CapReached),
                Some(Cause::LedgerSilent) => self.met(Situation::LedgerSilent),
                _ => {}
            }
        }
    }

    /// Whether another launch of the same moment was let through.
    fn is_race(&self, name: &ObjectName) -> bool {
        let rentals = &self.around.operator.rentals;
        let plan_of = |id: &str| {
            let found = rentals.iter().find(|it| it.id == id)?;
            Some(&self.around.scenario.launches[found.plan])
        };
        let Some(own) = name.tail().and_then(plan_of) else {
            return false;
        };
        rentals.iter().any(|other| {
            let plan = &self.around.scenario.launches[other.plan];
            let is_other = name.tail() != Some(other.id.as_str()) && plan.org == own.org;
            is_other && (plan.at - own.at).abs() < 1_000
        })
    }

    fn learn_of_account(&mut self, name: &ObjectName, ran: &Ran<Seen>) {
        for effect in &ran.turn.effects {
            if let Effect::Vendor(call) = effect {
                let asked = self.asked_of(name, call);
                self.around
                    .oracle
                    .asked
                    .insert((name.clone(), call.id), asked);
            }
        }
        match &ran.run {
            Run::Call { message, .. } if message.contains(r#""command":"act""#) => {
                if let Ok(command) = serde_json::from_str::<AccountCommand>(message) {
                    self.note_order(name, &command);
                }
            }
            Run::Done {
                id,
                outcome: Outcome::Vendor { reply, error, .. },
            } => {
                if let Some(reply) = reply {
                    self.note_reply(name, reply);
                }
                let asked = self.around.oracle.asked.remove(&(name.clone(), *id));
                match asked {
                    Some(Asked::Create(key)) => {
                        if let Some(error) = error {
                            self.note_refusal(name, &key, error);
                        }
                    }
                    Some(Asked::Page {
                        region,
                        is_first,
                        at,
                        is_trial,
                    }) => {
                        if let Some(Reply::Machines(page)) = reply {
                            let begun = is_first.then_some(Walk {
                                begun_at: at,
                                is_trial,
                                ..Walk::default()
                            });
                            self.note_page(name, &region, begun, page);
                        }
                    }
                    Some(Asked::Other) | None => {}
                }
            }
            _ => {}
        }
    }

    /// An answer that an account has taken in shows a machine.
    fn note_reply(&mut self, name: &ObjectName, reply: &Reply) {
        if let Reply::Created { machine } | Reply::Machine { machine } = reply {
            self.note_shown(name, std::slice::from_ref(machine.as_ref()));
        }
    }

    /// So does a list, once it is whole.
    fn note_shown(&mut self, name: &ObjectName, machines: &[Machine]) {
        let Some(own) = self.around.operator.connected(name).cloned() else {
            return;
        };
        for report in machines {
            let marked = report.marker.as_ref().map(|it| &it.fingerprint);
            if marked != Some(&own.fingerprint) {
                continue;
            }
            let Some(place) = self.around.cloud.find(own.tenant, &report.id) else {
                continue;
            };
            let oracle = &mut self.around.oracle;
            if report.state == MachineState::Terminated {
                oracle.end_seen.insert(place);
            } else {
                oracle.sighted.insert(place);
            }
            let is_down = report.billing == Billing::Disk;
            oracle
                .last_shown
                .insert(place, (report.billed_from_ms, is_down));
        }
    }

    /// Whether a turn of this object that is not on disk yet calls a vendor.
    pub fn held_a_call(&mut self, name: &ObjectName) -> bool {
        let held = self.object(name).held.iter();
        let mut effects = held.flat_map(|ran| &ran.turn.effects);
        effects.any(|effect| matches!(effect, Effect::Vendor(_)))
    }

    fn note_refusal(&mut self, name: &ObjectName, key: &AttemptKey, error: &ProviderError) {
        let vendor = self
            .around
            .operator
            .tenant_of(name)
            .map(|tenant| self.around.cloud.tenants[tenant].plan.vendor);
        let attempt = self.around.oracle.attempt(key);
        if error.kind == ErrorKind::RateLimited {
            attempt.doubts = attempt.doubts.saturating_sub(1);
        } else if !error.unclear {
            // The same token refused for want of machines is one that none was made for.
            let rules_out_all = vendor == Some(Vendor::Aws) && error.kind == ErrorKind::Capacity;
            attempt.is_refused |= attempt.doubts <= 1 || rules_out_all;
            attempt.doubts = attempt.doubts.saturating_sub(1);
        }
    }

    fn note_page(&mut self, name: &ObjectName, region: &str, begun: Option<Walk>, page: &Page) {
        let key = (name.clone(), region.to_owned());
        let walk = self.around.oracle.walks.entry(key.clone()).or_default();
        if let Some(begun) = begun {
            *walk = begun;
        }
        walk.machines.extend(page.machines.iter().cloned());
        let shown = page.machines.iter();
        walk.shown
            .extend(shown.filter_map(|it| it.marker.as_ref().map(ToString::to_string)));
        if page.next.is_some() {
            return;
        }
        let Some(walk) = self.around.oracle.walks.remove(&key) else {
            return;
        };
        self.note_disbelief(name, &walk);
        if !walk.is_trial {
            self.note_shown(name, &walk.machines);
        }
        let walk = Walk {
            machines: Vec::new(),
            ..walk
        };
        let lists = self.around.oracle.lists.entry(name.clone()).or_default();
        if lists.len() == LISTS_KEPT {
            lists.remove(0);
        }
        lists.push(walk);
    }

    /// A whole list that lacks a machine that is wanted, serves and could be in it.
    fn note_disbelief(&mut self, name: &ObjectName, walk: &Walk) {
        let Some(account) = self.around.operator.connected(name) else {
            return;
        };
        let lacks = self.around.oracle.adopted.iter().any(|place| {
            let machine = &self.around.cloud.machines[*place];
            let marker = machine.marker.as_ref();
            marker.is_some_and(|it| it.fingerprint == account.fingerprint)
                && machine.listed_from < walk.begun_at
                && self.is_wanted(*place)
                && machine.is_there()
                && !walk.shown.contains(&machine.name)
        });
        if lacks {
            self.met(Situation::ListDisbelieved);
        }
    }

    fn learn_of_ledger(&mut self, name: &ObjectName, ran: &Ran<Seen>) {
        let Run::Call { message, .. } = &ran.run else {
            return;
        };
        if !message.contains(r#""command":"advance""#) {
            return;
        }
        if let (Ok(LedgerCommand::Advance(ask)), Some(tidegate_durable::turn::Reply::Now(answer))) =
            (serde_json::from_str(message), &ran.turn.reply)
        {
            self.note_advance(name, &ask, answer);
        }
    }
}
