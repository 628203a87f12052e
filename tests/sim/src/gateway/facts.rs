//! Committed facts (§7.6): noted as turns reach the disk, compared with what the receivers hold at the end.

use tidegate_domain::instance::AskKind;
use tidegate_durable::bindings::fleet::FleetCommand;
use tidegate_durable::bindings::instance::InstanceCommand;
use tidegate_durable::bindings::journal::JournalCommand;
use tidegate_durable::bindings::key::{KeyAnswer, KeyCommand};
use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::turn::{Effect, Reply};

use super::World;
use super::checks::new_leases;
use super::oracle::Renewed;
use super::seen::Seen;
use crate::object::{Ran, Run};

const MINUTE_MS: i64 = 60_000;

impl World {
    /// A turn is on disk.
    pub fn check_committed(&mut self, name: &ObjectName, ran: &Ran<Seen>) {
        match name.kind() {
            ObjectKind::Instance => self.note_instance(name, ran),
            ObjectKind::Fleet => self.note_fleet(ran),
            ObjectKind::Key => self.note_key(name, ran),
            ObjectKind::Account
            | ObjectKind::Directory
            | ObjectKind::Journal
            | ObjectKind::Ledger
            | ObjectKind::Model => {}
        }
    }

    fn note_instance(&mut self, name: &ObjectName, ran: &Ran<Seen>) {
        let (Some(before), Some(after)) = (&ran.before, &ran.after) else {
            return;
        };
        let id = name.tail().unwrap_or_default();
        let now = self.now;
        let known = self.around.oracle.known(id);
        known.most_capacity = known.most_capacity.max(after.capacity);
        if ran.loaded {
            known.arrivals.clear();
            known.firsts.clear();
        }
        for (request, lease) in new_leases(ran, before, after) {
            known.grants.insert(
                request.clone(),
                super::oracle::Grant {
                    lease: *lease,
                    at: now,
                },
            );
            known.renewed.insert(
                request.clone(),
                Renewed {
                    heard: Vec::new(),
                    stored: now,
                },
            );
            known.excused.remove(request);
            if lease.asked_as == AskKind::First {
                known.firsts.push(now);
            }
        }
        if let Run::Call { message, .. } = &ran.run
            && message.contains(r#""renewed""#)
            && let Ok(InstanceCommand::Turnover(turnover)) = serde_json::from_str(message)
        {
            for request in turnover
                .renewed
                .into_iter()
                .filter(|request| after.leases.contains_key(request))
            {
                // One that had run out has a slot, and a row, anew.
                if !before.leases.contains_key(&request)
                    && let Some(grant) = known.grants.get_mut(&request)
                {
                    grant.at = now;
                }
                known.excused.remove(&request);
                known.renewed.entry(request).or_default().heard.push(now);
            }
        }
        for effect in &ran.turn.effects {
            let Effect::Send { to, message, .. } = effect else {
                continue;
            };
            if to.kind() == ObjectKind::Fleet
                && let Ok(FleetCommand::Announce { sequence, .. }) = serde_json::from_str(message)
            {
                self.note_announcement(id, sequence, ran);
            }
        }
    }

    fn note_announcement(&mut self, id: &str, sequence: u64, ran: &Ran<Seen>) {
        // An alarm also sends again what was sent before.
        if matches!(ran.run, Run::Alarm) {
            return;
        }
        let last = self
            .around
            .oracle
            .sequences
            .insert(id.to_owned(), sequence)
            .unwrap_or(0);
        if sequence <= last {
            self.violate(
                "§7.6 an announcement's number counts once",
                format!("{id} announces {sequence} after {last}"),
            );
        }
    }

    fn note_fleet(&mut self, ran: &Ran<Seen>) {
        for effect in &ran.turn.effects {
            let Effect::Send { to, message, .. } = effect else {
                continue;
            };
            if to.kind() != ObjectKind::Journal {
                continue;
            }
            let Ok(JournalCommand::Append { event_id, entries }) = serde_json::from_str(message)
            else {
                continue;
            };
            let known = self
                .around
                .oracle
                .audits
                .entry(event_id.clone())
                .or_insert_with(|| entries.clone());
            if *known != entries {
                let words = format!("{event_id} stands for {known:?} and for {entries:?}");
                return self.violate("§7.6 an event's number counts once", words);
            }
        }
        let (Run::Call { message, .. }, Some(Reply::Now(answer))) = (&ran.run, &ran.turn.reply)
        else {
            return;
        };
        if message.contains(r#""command":"announce""#)
            || message.contains(r#""command":"snapshot""#)
        {
            return;
        }
        let is_shown = answer.contains(r#""answer":"server""#);
        let is_done = answer.contains(r#""answer":"done""#);
        match serde_json::from_str(message) {
            Ok(FleetCommand::Register { id, .. })
                if is_shown && self.around.oracle.registered.insert(id.clone()) =>
            {
                self.around.oracle.change("server.registered");
            }
            Ok(FleetCommand::Deregister { id })
                if is_done && self.around.oracle.registered.remove(&id) =>
            {
                self.around.oracle.draining.remove(&id);
                self.around.oracle.change("server.deregistered");
            }
            Ok(FleetCommand::SetDraining { id, draining }) if is_shown => {
                let changed = if draining {
                    self.around.oracle.draining.insert(id)
                } else {
                    self.around.oracle.draining.remove(&id)
                };
                if changed {
                    self.around.oracle.change(if draining {
                        "server.draining"
                    } else {
                        "server.resumed"
                    });
                }
            }
            _ => {}
        }
    }

    fn note_key(&mut self, name: &ObjectName, ran: &Ran<Seen>) {
        let (Run::Call { message, .. }, Some(Reply::Now(answer))) = (&ran.run, &ran.turn.reply)
        else {
            return;
        };
        let id = name.tail().unwrap_or_default();
        let now = ran.now.as_ms();
        let known = self.around.oracle.keys.entry(id.to_owned()).or_default();
        match serde_json::from_str(message) {
            Ok(KeyCommand::Admit {
                request, limits, ..
            }) => {
                if !matches!(serde_json::from_str(answer), Ok(KeyAnswer::Allowed { .. })) {
                    return;
                }
                let is_repeated = known.admitted.insert(request.clone(), now).is_some();
                known.held.insert(request.clone(), now + MINUTE_MS);
                let in_minute = known
                    .admitted
                    .values()
                    .filter(|at| **at > now - MINUTE_MS)
                    .count();
                let held = known.held.values().filter(|until| **until > now).count();
                let over = |limit: Option<u64>, count: usize| {
                    limit.is_some_and(|limit| u64::try_from(count).unwrap_or(u64::MAX) > limit)
                };
                if !is_repeated
                    && (over(limits.requests_per_minute, in_minute)
                        || over(limits.concurrency.map(u64::from), held))
                {
                    let words = format!(
                        "{request} was let through as number {in_minute} of its minute, {held} at once; {limits:?}"
                    );
                    self.violate("a key is never over its limits", words);
                }
            }
            Ok(KeyCommand::Renew { request, .. }) => {
                if let Some(until) = known.held.get_mut(&request) {
                    *until = now + MINUTE_MS;
                }
            }
            Ok(KeyCommand::Settle {
                request, refund, ..
            }) => {
                known.held.remove(&request);
                if refund {
                    known.admitted.remove(&request);
                }
            }
            Err(_) => {}
        }
    }
}
