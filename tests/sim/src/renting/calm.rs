//! Liveness: once the faults are over everything settles; once everything is ended nothing is left, and the
//! ledger agrees with the vendors' meters.
//!
//! The bounds. Thirty minutes, the design's, plus what is inherent: a machine that was made in the last moment
//! may be hidden from lists for ten minutes, is first seen by a sweep up to five minutes later, is left alone for
//! ten, and is given back by a sweep up to five minutes after that. To end everything takes an hour at most; a
//! bill that is not on record when it is first asked for is asked for again an hour later.

use tidegate_domain::lifecycle::{State, Then};
use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::ports::{Sql, Value};
use tidegate_durable::records::account::StrayRow;

use super::cloud::Stage;
use super::operator::ORGS;
use super::scenario::{MINUTE, Vendor};
use super::{Event, Phase, World};

/// A call that was ordered so long ago is not on its way, but stuck.
const LONGEST_CALL_MS: i64 = 2 * MINUTE;
const SETTLES_WITHIN: i64 = 60;
const ENDS_WITHIN: i64 = 60;
const BILLS_WITHIN: i64 = 2 * 60 + 15;

impl World {
    /// The end of a quiet minute.
    pub fn inspect(&mut self, minute: i64) {
        let (open, bound, property) = match self.around.phase {
            Phase::Settling => (
                self.unsettled(),
                SETTLES_WITHIN,
                "everything settles within an hour after the faults",
            ),
            Phase::Ending => (
                self.unended(),
                ENDS_WITHIN,
                "an hour after the order nothing is left at the vendors",
            ),
            Phase::Billing => (
                self.unbilled(),
                BILLS_WITHIN,
                "within two hours the vendors' bills are in the books",
            ),
        };
        let phase = self.around.phase;
        self.note(|| format!("minute {minute} of {phase:?}, open: {open:?}"));
        if !open.is_empty() {
            if minute >= bound {
                return self.violate(property, open.join("; "));
            }
            return self.after(MINUTE, Event::Inspect { minute: minute + 1 });
        }
        match self.around.phase {
            Phase::Settling => {
                self.around.settled_after = minute;
                self.around.phase = Phase::Ending;
                self.check_books();
                self.end_everything();
                self.after(MINUTE, Event::Inspect { minute: 1 });
            }
            Phase::Ending => {
                self.around.phase = Phase::Billing;
                self.after(0, Event::Inspect { minute: 1 });
            }
            Phase::Billing => {
                self.check_books();
                self.check_sums();
                self.settled = true;
            }
        }
    }

    /// What is on its way somewhere.
    fn unfinished(&self) -> Vec<String> {
        let mut open = Vec::new();
        if !self.around.operator.is_idle() {
            open.push("a command of the operator".to_owned());
        }
        for object in self.objects.values() {
            let name = &object.name;
            let count = |statement: &str| count(&object.store, statement);
            // An account that is forgotten is woken as long as the directory knows it, and then no more, whether
            // it knows that the directory has heard of its end or not.
            let connected = self.around.operator.connected(name);
            let is_removed = connected.is_some_and(|account| account.is_removed);
            let owed = count(if is_removed {
                "SELECT COUNT(*) FROM outbox WHERE message NOT LIKE '%retire_account%'"
            } else {
                "SELECT COUNT(*) FROM outbox"
            });
            if owed > 0 {
                open.push(format!("{owed} undelivered facts at {name}"));
            }
            if name.kind() == ObjectKind::Account {
                // A machine that has fallen silent is asked for twice a minute.
                let old = self.now + object.skew_ms - LONGEST_CALL_MS;
                let calls = count(&format!(
                    "SELECT COUNT(*) FROM calls WHERE id NOT LIKE 'bill%' AND \
                     json_extract(record, '$.since_ms') < {old}"
                ));
                if calls > 0 {
                    open.push(format!("{calls} calls of {name}"));
                }
                self.unfinished_strays(name, &object.store, &mut open);
            }
        }
        open
    }

    fn unfinished_strays(&self, name: &ObjectName, store: &dyn Sql, open: &mut Vec<String>) {
        let rows = store
            .exec("SELECT id, record FROM strays", &[])
            .unwrap_or_default();
        for row in rows {
            let text = row.get(1).and_then(Value::as_text).unwrap_or_default();
            let Ok(stray) = serde_json::from_str::<StrayRow>(text) else {
                continue;
            };
            if stray.closed_at().is_none() {
                let machine = stray.machine.id;
                open.push(format!("{name} watches {machine}: {:?}", stray.stray.watch));
            }
        }
    }

    fn unsettled(&self) -> Vec<String> {
        let mut open = self.unfinished();
        for object in self.objects.values() {
            let (name, Some(seen)) = (&object.name, &object.mirror) else {
                continue;
            };
            let is_stable = seen.wish.is_none()
                && match seen.state {
                    State::Ready
                    | State::ReadyUnreachable
                    | State::Draining(Then::Stay)
                    | State::Stopped
                    | State::Terminated
                    | State::Failed
                    | State::Lost => true,
                    State::Requested
                    | State::Provisioning(_)
                    | State::Booting
                    | State::Warming(_)
                    | State::Draining(Then::Stop | Then::Terminate)
                    | State::Stopping
                    | State::Starting(_)
                    | State::Terminating => false,
                };
            if !is_stable {
                open.push(format!("{name} is {:?}, {:?}", seen.state, seen.cause));
            }
            if seen.state.is_over() {
                if !seen.open.is_empty() {
                    open.push(format!(
                        "{name} is over and its windows {:?} are open",
                        seen.open
                    ));
                }
                continue;
            }
            if object.alarm.is_none() || object.alarm_was_lost {
                open.push(format!("{name} has no alarm"));
            }
            let paid = seen.paid_until.map(|until| until.as_ms() - object.skew_ms);
            if is_stable && paid.is_none_or(|until| until < self.now) {
                open.push(format!("{name} is not paid ahead: {paid:?}"));
            }
        }
        for (place, machine) in self.around.cloud.machines.iter().enumerate() {
            if !self.is_ours(place) || !machine.is_there() {
                continue;
            }
            if !self.is_wanted(place) {
                open.push(format!("{} is there and nobody wants it", machine.id));
                continue;
            }
            let seen = machine.marker.as_ref().and_then(|it| self.rental_of(it));
            let agrees = seen.is_some_and(|seen| match machine.stage {
                Stage::Stopped => seen.state == State::Stopped,
                Stage::Running => matches!(
                    seen.state,
                    State::Ready | State::ReadyUnreachable | State::Draining(_)
                ),
                Stage::Pending | Stage::Stopping | Stage::Ending | Stage::Gone | Stage::Broken => {
                    false
                }
            });
            if !agrees {
                open.push(format!(
                    "{} is {:?} and {seen:?}",
                    machine.id, machine.stage
                ));
            }
        }
        open
    }

    fn unended(&self) -> Vec<String> {
        let mut open = self.unfinished();
        for object in self.objects.values() {
            let Some(seen) = &object.mirror else {
                continue;
            };
            if !seen.state.is_over() || !seen.open.is_empty() {
                open.push(format!(
                    "{} is {:?}, windows {:?}",
                    object.name, seen.state, seen.open
                ));
            }
        }
        for (place, machine) in self.around.cloud.machines.iter().enumerate() {
            if self.is_ours(place) && machine.is_there() {
                open.push(format!("{} is {:?}", machine.id, machine.stage));
            }
        }
        open
    }

    /// Machines whose vendor bills and whose bill is in no book.
    fn unbilled(&self) -> Vec<String> {
        let mut open = self.unended();
        for (place, machine) in self.around.cloud.machines.iter().enumerate() {
            let Some(account) = self.account_of(place) else {
                continue;
            };
            if self.vendor_of(place) != Vendor::RunPod || account.is_removed {
                continue;
            }
            let is_billed =
                self.windows_of(ORGS[account.org])
                    .into_iter()
                    .any(|(window, record)| {
                        let statement = record.statement.as_ref();
                        self.is_window_of(&window, place)
                            && statement.is_some_and(|it| it.billed_microusd.is_some())
                    });
            // Of one that nobody ever saw there is no bill to ask for.
            let oracle = &self.around.oracle;
            let is_known = oracle.sighted.contains(&place) || oracle.adopted.contains(&place);
            if !is_billed && is_known {
                open.push(format!("the bill of {} is missing", machine.id));
            }
        }
        open
    }
}

fn count(store: &dyn Sql, statement: &str) -> i64 {
    let rows = store.exec(statement, &[]).unwrap_or_default();
    let first = rows.first().and_then(|row| row.first());
    first.and_then(Value::as_integer).unwrap_or(0)
}
