//! Messages between callers and objects: late, lost, doubled, unanswered.

use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::turn::Outcome;
use tidegate_edge::effect::CallOutcome;

use crate::object::CallNo;
use crate::situations::Situation;
use crate::world::{Caller, Event, World};

impl World {
    /// Sends a message to an object.
    pub fn send(&mut self, to: &ObjectName, message: String, timeout_ms: u64, caller: Caller) {
        let call = self.number();
        // Outbox rows have even numbers: those are facts, which are delivered at least once.
        let is_fact = matches!(caller, Caller::Effect { id, .. } if id % 2 == 0);
        if let Caller::Effect { object, id, .. } = &caller
            && is_fact
            && self.oracle.delivered_before(object, *id)
        {
            self.met(Situation::DuplicateDelivery);
        }
        let by_operator = matches!(caller, Caller::Operator);
        self.calls.insert(call, caller);
        self.after(
            i64::try_from(timeout_ms).unwrap_or(i64::MAX / 4),
            Event::TimedOut { call },
        );
        if self.is_unreachable(to) || self.rng.chance(self.faults.message_lost) {
            self.note(|| format!("lost on the way to {to}: {message}"));
            if self.rng.chance(500) {
                let latency = self.latency();
                self.after(
                    latency,
                    Event::Answer {
                        call,
                        said: Err("the connection broke".to_owned()),
                    },
                );
            }
            return;
        }
        if is_fact && self.rng.chance(self.faults.delivered_twice) {
            self.met(Situation::DuplicateDelivery);
            let second = self.number();
            let latency = self.latency();
            self.after(
                latency,
                Event::ToObject {
                    to: to.clone(),
                    message: message.clone(),
                    call: second,
                },
            );
        }
        // A command that comes later than its repetition would undo what followed: no fault of ours.
        let latency = if by_operator { 1 } else { self.latency() };
        self.after(
            latency,
            Event::ToObject {
                to: to.clone(),
                message,
                call,
            },
        );
    }

    fn is_unreachable(&self, to: &ObjectName) -> bool {
        let since = self.now - self.start;
        to.kind() == ObjectKind::Fleet
            && self
                .faults
                .fleet_out
                .is_some_and(|(from, until)| (from..until).contains(&since))
    }

    fn latency(&mut self) -> i64 {
        if self.rng.chance(self.faults.message_late) {
            return self.rng.range(300, 8_000);
        }
        self.rng.range(0, 6)
    }

    /// An object's answer leaves for its caller.
    pub fn reply(&mut self, call: CallNo, said: Result<String, String>) {
        if said.is_ok() && self.rng.chance(self.faults.reply_lost) {
            self.note(|| format!("the answer to call {call} is lost"));
            return;
        }
        let latency = self.latency();
        self.after(latency, Event::Answer { call, said });
    }

    /// An answer, or that there is none, reaches the caller.
    pub fn answer(&mut self, call: CallNo, said: Result<String, String>) {
        let Some(caller) = self.calls.remove(&call) else {
            return;
        };
        match caller {
            Caller::Exchange { at, call, snapshot } => {
                if snapshot && said.is_err() {
                    self.note_stale_snapshot(at);
                }
                let outcome = outcome(said);
                self.note(|| format!("{at} hears of its call {call}: {outcome:?}"));
                self.hear(at, true, |gateway, now| {
                    gateway.answered(at.exchange, now, call, outcome)
                });
            }
            Caller::Refresh {
                isolate,
                life,
                token,
            } => {
                let now = self.isolate_time(isolate);
                let Some(host) = self
                    .isolates
                    .get_mut(isolate)
                    .filter(|isolate| isolate.life == life)
                else {
                    return;
                };
                let effects = host.gateway.refreshed(now, token, outcome(said));
                self.perform_all_behind(isolate, life, effects);
            }
            Caller::Tell {
                isolate,
                life,
                to,
                message,
                again,
            } => {
                let alive = self
                    .isolates
                    .get(isolate)
                    .is_some_and(|isolate| isolate.life == life);
                self.oracle.told_in_vain |= said.is_err() && !again;
                if said.is_err() && again && alive {
                    self.oracle.told_again();
                    let caller = Caller::Tell {
                        isolate,
                        life,
                        to: to.clone(),
                        message: message.clone(),
                        again: false,
                    };
                    self.send(&to, message, 10_000, caller);
                }
            }
            Caller::Effect { object, life, id } => {
                let outcome = match said {
                    Ok(reply) => Outcome::Delivered { reply },
                    Err(reason) => Outcome::Failed { reason },
                };
                self.effect_done(&object, life, id, outcome);
            }
            Caller::Operator => self.operator_hears(said),
            Caller::Nobody => {}
        }
    }
}

fn outcome(said: Result<String, String>) -> CallOutcome {
    match said {
        Ok(text) => CallOutcome::Answered(text),
        Err(reason) => CallOutcome::Failed(reason),
    }
}
