//! `Key`: the limits of one API key, exact across every isolate that asks; or, in a shard of callers without
//! a key, those of each visitor.
//!
//! Name: `key/{org}/{id}`, `key/{org}/anonymous-{shard}`. Messages: [`KeyCommand`]. Tables: `schemas/sql/key.sql`.
//!
//! Invariant: an answer leaves only after its charge is written, so an eviction forgets nothing and the
//! limits are never passed. It is atomic because a turn decides and writes without a pause in between.
//! One row write for an admission, a renewal and an end; none for a denial or a repetition.
//!
//! In scope: charges as rows, and their removal when the key is idle. Out of scope: what is allowed (the
//! machine in `tidegate_domain::limits`), and where the limits come from (each message brings them).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tidegate_domain::ids::RequestId;
use tidegate_domain::limits::{
    Ask, Crowd, Denied, Effect, Event, Limit, Limits, WindowView, Windows,
};
use tidegate_domain::time::{Span, Timestamp};

use crate::bindings::instance::Done;
use crate::bindings::key::{KeyAnswer, KeyCommand, KeyLimits, KeyWindows, Window};
use crate::driver::{Cx, Object, TurnError, encode};
use crate::ports::StoreError;
use crate::records::key;
use crate::records::schema::statements;
use crate::turn::{EffectId, Outcome, Reply};

/// After two minutes without a message every lease (60 s) and every window (60 s) has ended, so the rows
/// can go all at once. Until then their slots are used again, which costs nothing.
const IDLE: Span = Span::from_secs(120);

/// One key in memory.
#[derive(Default)]
pub struct Key {
    /// A key has one visitor, without a name.
    crowd: Crowd,
    slots: BTreeMap<RequestId, i64>,
    /// Slots whose rows mean nothing any more.
    free: Vec<i64>,
    /// Slots made so far. None: nothing to remove.
    made: i64,
    used_at: Timestamp,
}

impl Object for Key {
    const SCHEMA: &'static [&'static str] =
        &statements::<1>(include_str!("../../schemas/sql/key.sql"));

    fn open(cx: &mut Cx<'_>) -> Result<Self, StoreError> {
        let rows = key::all(cx.sql)?;
        let mut key = Self::default();
        for (slot, _, charge) in &rows {
            key.made = key.made.max(slot.saturating_add(1));
            // A request that came again after its row was forgotten has two: the later one counts.
            key.free
                .extend(key.slots.insert(charge.request.clone(), *slot));
        }
        let charges = rows.into_iter();
        key.crowd = Crowd::restore(charges.map(|(_, visitor, charge)| (visitor, charge)));
        key.used_at = key.crowd.latest();
        Ok(key)
    }

    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError> {
        let command =
            serde_json::from_str(message).map_err(|error| TurnError::message(cx.name, &error))?;
        self.used_at = cx.now;
        let reply = match command {
            KeyCommand::Admit {
                request,
                limits,
                reserve_tokens,
                visitor,
                settled,
            } => {
                for ended in settled {
                    let request = RequestId::new(ended.request);
                    let used_tokens = ended.used_tokens;
                    self.note(
                        cx,
                        ended.visitor,
                        Event::Settled {
                            request,
                            used_tokens,
                        },
                    )?;
                }
                let visitor = visitor.unwrap_or_default();
                let request = RequestId::new(request);
                let ask = Ask {
                    request,
                    reserve_tokens,
                };
                encode("key answer", &self.admit(cx, &visitor, &ask, limits)?)?
            }
            KeyCommand::Renew { request, visitor } => {
                let request = RequestId::new(request);
                self.note(cx, visitor, Event::Renewed { request })?
            }
            KeyCommand::Settle {
                request,
                used_tokens,
                refund,
                visitor,
            } => {
                let request = RequestId::new(request);
                let event = if refund {
                    Event::Refunded { request }
                } else {
                    Event::Settled {
                        request,
                        used_tokens,
                    }
                };
                self.note(cx, visitor, event)?
            }
        };
        Ok(Reply::Now(reply))
    }

    fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        if cx.now < self.used_at + IDLE {
            // What it sweeps is only forgotten, whoever it belonged to.
            let effects = self.crowd.sweep(cx.now);
            self.store(cx, "", effects)?;
        } else if self.made > 0 {
            key::clear(cx.sql)?;
            *self = Self::default();
        }
        Ok(())
    }

    fn done(&mut self, _: &mut Cx<'_>, _: EffectId, _: Outcome) -> Result<(), TurnError> {
        Ok(())
    }

    /// Leases and windows end by themselves at the next message: only the removal needs an alarm, and
    /// setting one is a billed row, so it is not set for less.
    fn next_alarm(&self) -> Option<Timestamp> {
        (self.made > 0).then_some(self.used_at + IDLE)
    }
}

impl Key {
    fn admit(
        &mut self,
        cx: &mut Cx<'_>,
        visitor: &str,
        ask: &Ask,
        limits: KeyLimits,
    ) -> Result<KeyAnswer, StoreError> {
        let limits = Limits::from(limits);
        let (answer, effects) = self.crowd.admit(cx.now, visitor, ask, &limits);
        self.store(cx, visitor, effects)?;
        let windows = KeyWindows::from(self.crowd.windows(visitor, &limits));
        Ok(match answer {
            Ok(_) => KeyAnswer::Allowed { windows },
            Err(Denied::Exhausted { limit, retry_after }) => KeyAnswer::Denied {
                limit: limit_name(limit).to_owned(),
                retry_after_ms: millis(retry_after),
                never_fits: false,
                windows,
            },
            Err(Denied::NeverFits { limit, .. }) => KeyAnswer::Denied {
                limit: limit_name(limit).to_owned(),
                retry_after_ms: 0,
                never_fits: true,
                windows,
            },
        })
    }

    fn note(
        &mut self,
        cx: &mut Cx<'_>,
        visitor: Option<String>,
        event: Event,
    ) -> Result<String, StoreError> {
        let visitor = visitor.unwrap_or_default();
        let effects = self.crowd.handle(cx.now, &visitor, event);
        self.store(cx, &visitor, effects)?;
        encode("done", &Done {})
    }

    fn store(
        &mut self,
        cx: &mut Cx<'_>,
        visitor: &str,
        effects: Vec<Effect>,
    ) -> Result<(), StoreError> {
        for effect in effects {
            match effect {
                Effect::Keep(charge) => {
                    let slot = self.slot_of(&charge.request);
                    key::keep(cx.sql, slot, visitor, &charge)?;
                }
                Effect::Erase(request) => {
                    if let Some(slot) = self.slots.remove(&request) {
                        key::erase(cx.sql, slot)?;
                        self.free.push(slot);
                    }
                }
                Effect::Forget(request) => self.free.extend(self.slots.remove(&request)),
                Effect::Shift(back) => key::shift(cx.sql, visitor, back)?,
            }
        }
        Ok(())
    }

    fn slot_of(&mut self, request: &RequestId) -> i64 {
        if let Some(slot) = self.slots.get(request) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or(self.made);
        self.made = self.made.max(slot.saturating_add(1));
        self.slots.insert(request.clone(), slot);
        slot
    }
}

impl From<KeyLimits> for Limits {
    fn from(limits: KeyLimits) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            tokens_per_minute: limits.tokens_per_minute,
            concurrency: limits.concurrency,
        }
    }
}

impl From<Windows> for KeyWindows {
    fn from(windows: Windows) -> Self {
        Self {
            requests: windows.requests.map(Window::from),
            tokens: windows.tokens.map(Window::from),
        }
    }
}

impl From<WindowView> for Window {
    fn from(view: WindowView) -> Self {
        Self {
            limit: view.limit,
            remaining: view.remaining,
            reset_ms: millis(view.reset),
        }
    }
}

const fn limit_name(limit: Limit) -> &'static str {
    match limit {
        Limit::Requests => "requests",
        Limit::Tokens => "tokens",
        Limit::Concurrency => "concurrency",
        Limit::Visitors => "visitors",
    }
}

fn millis(span: Span) -> u64 {
    u64::try_from(span.as_ms()).unwrap_or(0)
}
