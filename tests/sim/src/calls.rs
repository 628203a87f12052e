//! Messages between callers and objects: late, lost, doubled, unanswered.

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::turn::Outcome;

use crate::object::CallNo;
use crate::world::{Caller, Event, Happening, Surroundings, World};

impl<A: Surroundings> World<A> {
    /// Sends a message to an object.
    pub fn send(
        &mut self,
        to: &ObjectName,
        message: String,
        timeout_ms: u64,
        caller: impl Into<Caller<A>>,
    ) {
        let caller = caller.into();
        let call = self.number();
        // Outbox rows have even numbers: those are facts, which are delivered at least once.
        let is_fact = matches!(caller, Caller::Effect { id, .. } if id % 2 == 0);
        if let Caller::Effect { object, id, .. } = &caller
            && is_fact
            && !self.delivered.insert((object.clone(), *id))
        {
            A::happened(self, to, Happening::DeliveredAgain);
        }
        let is_in_order = matches!(&caller, Caller::Around(caller) if A::is_in_order(caller));
        self.calls.insert(call, caller);
        self.after(
            i64::try_from(timeout_ms).unwrap_or(i64::MAX / 4),
            Event::TimedOut { call },
        );
        if A::is_unreachable(self, to) || self.rng.chance(self.faults.message_lost) {
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
            A::happened(self, to, Happening::DeliveredAgain);
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
        let latency = if is_in_order { 1 } else { self.latency() };
        self.after(
            latency,
            Event::ToObject {
                to: to.clone(),
                message,
                call,
            },
        );
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
            Caller::Effect { object, life, id } => {
                let outcome = match said {
                    Ok(reply) => Outcome::Delivered { reply },
                    Err(reason) => Outcome::Failed { reason },
                };
                self.effect_done(&object, life, id, outcome);
            }
            Caller::Around(caller) => A::answered(self, caller, said),
            Caller::Nobody => {}
        }
    }
}
