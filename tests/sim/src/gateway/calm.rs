//! Liveness: within thirty minutes after the faults stopped everything has settled, and every committed
//! fact is where it belongs, once.

use std::collections::BTreeMap;

use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::ports::{Sql, Value};

use super::operator::ORG;
use super::{Event, World};

/// The bound that the design promises.
const MINUTES: i64 = 30;

impl World {
    /// The end of a quiet minute: has everything settled?
    pub fn inspect(&mut self, minute: i64) {
        let open = self.unsettled();
        self.note(|| format!("minute {minute} of calm, open: {open:?}"));
        if open.is_empty() {
            self.check_facts();
            self.settled = true;
        } else if minute >= MINUTES {
            self.violate(
                "everything settles within 30 minutes after the faults",
                open.join("; "),
            );
        } else {
            self.after(60_000, Event::Inspect { minute: minute + 1 });
        }
    }

    fn unsettled(&self) -> Vec<String> {
        let mut open = Vec::new();
        if !self.around.operator.is_idle() {
            open.push("a command of the operator".to_owned());
        }
        for object in self.objects.values() {
            let name = &object.name;
            // A poll whose caller has given up is nobody's, and ends with the object's memory.
            let polls = object
                .waiting
                .values()
                .filter(|call| self.calls.contains_key(call))
                .count();
            if polls > 0 {
                open.push(format!("{polls} polls at {name}"));
            }
            let rows = object
                .store
                .exec("SELECT COUNT(*) FROM outbox", &[])
                .unwrap_or_default();
            let pending = rows
                .first()
                .and_then(|row| row.first())
                .and_then(Value::as_integer)
                .unwrap_or(0);
            if pending > 0 {
                open.push(format!("{pending} undelivered facts at {name}"));
            }
        }
        for id in self.around.operator.registered.values() {
            self.unsettled_instance(id, &mut open);
        }
        for (server, isolate) in self.around.isolates.iter().enumerate() {
            let count = isolate.gateway.open_exchanges();
            if count > 0 {
                open.push(format!("{count} exchanges in isolate {server}"));
            }
        }
        let undone = self
            .around
            .clients
            .iter()
            .filter(|client| !client.done)
            .count();
        if undone > 0 || !self.around.upstreams.is_empty() {
            open.push(format!(
                "{undone} clients and {} requests at servers",
                self.around.upstreams.len()
            ));
        }
        let states = self.states();
        for id in self.around.operator.registered.values() {
            if states.get(id).map(String::as_str) != Some("healthy") {
                open.push(format!("{id} is {:?} in the registry", states.get(id)));
            }
        }
        if states.len() != self.around.operator.registered.len() {
            open.push(format!("{} servers in the registry", states.len()));
        }
        open
    }

    fn unsettled_instance(&self, id: &str, open: &mut Vec<String>) {
        let Some(object) = self.objects.get(&ObjectName::instance(ORG, id)) else {
            return open.push(format!("{id} was never called"));
        };
        let Some(seen) = &object.mirror else {
            return open.push(format!("{id} has done nothing"));
        };
        if !seen.registered || !seen.healthy || !seen.admits() {
            open.push(format!(
                "{id} is out: healthy {}, breaker {:?}",
                seen.healthy, seen.breaker
            ));
        }
        if !seen.leases.is_empty() || seen.queued > 0 {
            open.push(format!(
                "{id} has {} leases and a queue of {}",
                seen.leases.len(),
                seen.queued
            ));
        }
        if object.alarm.is_none() || object.alarm_was_lost {
            open.push(format!("{id} has no alarm"));
        }
    }

    /// States by id, as the registry has them on disk.
    fn states(&self) -> BTreeMap<String, String> {
        let Some(fleet) = self.objects.get(&ObjectName::fleet(ORG)) else {
            return BTreeMap::new();
        };
        let rows = fleet
            .store
            .exec("SELECT id, status, draining_since_ms FROM servers", &[])
            .unwrap_or_default();
        let state = |row: &Vec<Value>| {
            let id = row.first()?.as_text()?.to_owned();
            let status: serde_json::Value = serde_json::from_str(row.get(1)?.as_text()?).ok()?;
            let draining = row.get(2)?.as_integer().is_some();
            let state = status
                .get("state")
                .and_then(serde_json::Value::as_str)
                .unwrap_or("healthy")
                .to_owned();
            Some((
                id,
                if draining {
                    "draining".to_owned()
                } else {
                    state
                },
            ))
        };
        rows.iter().filter_map(state).collect()
    }

    /// §7.6: what was committed is there, once.
    fn check_facts(&mut self) {
        let mut written: BTreeMap<(i64, String, String, String), i64> = BTreeMap::new();
        let mut actions: BTreeMap<String, u64> = BTreeMap::new();
        for object in self
            .objects
            .values()
            .filter(|object| object.name.kind() == ObjectKind::Journal)
        {
            let rows = object
                .store
                .exec("SELECT at_ms, action, subject, reason FROM entries", &[])
                .unwrap_or_default();
            for row in rows {
                let text = |index: usize| {
                    row.get(index)
                        .and_then(Value::as_text)
                        .unwrap_or_default()
                        .to_owned()
                };
                let at = row.first().and_then(Value::as_integer).unwrap_or(0);
                *actions.entry(text(1)).or_default() += 1;
                *written.entry((at, text(1), text(2), text(3))).or_default() += 1;
            }
        }
        for entry in self.around.oracle.audits.values().flatten() {
            let key = (
                entry.at_ms,
                entry.action.clone(),
                entry.subject.clone(),
                entry.reason.clone(),
            );
            *written.entry(key).or_default() -= 1;
        }
        let odd: Vec<String> = written
            .iter()
            .filter(|(_, count)| **count != 0)
            .map(|(entry, count)| format!("{count:+} {entry:?}"))
            .collect();
        if !odd.is_empty() {
            self.violate(
                "§7.6 each audit entry is in the journal once",
                odd.join("; "),
            );
        }
        for (action, count) in self.around.oracle.changes.clone() {
            let found = actions.get(action).copied().unwrap_or(0);
            if found != count {
                self.violate(
                    "§7.6 each change is audited once",
                    format!("{action}: {count} changes, {found} entries"),
                );
            }
        }
        for (id, known) in self.around.oracle.instances.clone() {
            let object = self.objects.get(&ObjectName::instance(ORG, &id));
            let successes = object
                .and_then(|object| object.mirror.as_ref())
                .map_or(0, |seen| seen.successes);
            if successes > known.finished {
                let words = format!(
                    "{id} counts {successes} whole answers, its server finished {}",
                    known.finished
                );
                self.violate("§7.6 an ended request is counted once", words);
            }
        }
    }
}
