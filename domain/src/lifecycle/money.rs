//! The prepaid lease: a rental is billed only while the ledger has said yes ahead of time.
//!
//! Invariant: it ends itself at `until − stop lead`, so that the vendor's meter has stopped when `until` comes.

use super::state::{State, Told};
use super::{Action, Cause, Effect, Lifecycle};
use crate::time::{Span, Timestamp};

/// An advance covers this beyond the time it takes to end the machine.
pub const RENEWAL: Span = Span::from_secs(300);
/// The next one is asked for so long before the machine would have to end itself: a dozen tries.
pub(super) const MARGIN: Span = Span::from_secs(120);
/// An answer that has not come by then is asked for again.
pub(super) const ASK_AGAIN: Span = Span::from_secs(10);

impl Lifecycle {
    /// Micro-dollars an hour that are to be covered, now or as soon as it runs.
    fn rate(&self) -> u64 {
        let terms = self.term();
        match self.record.state {
            State::Requested => self
                .terms
                .get(usize::try_from(self.record.next_candidate).unwrap_or(usize::MAX))
                .map_or(0, |next| next.microusd_per_hour),
            State::Starting(_) => terms.microusd_per_hour,
            _ => self
                .current()
                .and_then(|attempt| attempt.costs.rate())
                .unwrap_or(terms.microusd_per_hour),
        }
    }

    /// Whether it may be billed in this state, so that an advance must cover it.
    pub(super) fn is_covered(&self) -> bool {
        match self.record.state {
            State::Requested => false,
            // One that is to end anyway is ended as soon as it can be.
            State::Provisioning(_) => self.record.wish.is_none(),
            State::Booting
            | State::Warming(_)
            | State::Ready
            | State::ReadyUnreachable
            | State::Draining(_)
            | State::Stopping
            | State::Starting(Told::Yes) => true,
            // Its disk.
            State::Stopped | State::Starting(Told::NotYet) => {
                self.term().stopped_microusd_per_hour > 0
            }
            // What is being ended costs what it costs.
            State::Terminating | State::Terminated | State::Failed | State::Lost => false,
        }
    }

    /// When the ledger is to be asked next.
    pub(super) fn advance_due(&self) -> Option<Timestamp> {
        let advance = &self.record.advance;
        if let Some(asked) = advance.asked_at {
            return Some(asked + ASK_AGAIN);
        }
        match self.record.state {
            State::Requested | State::Starting(Told::NotYet) => Some(self.record.since),
            _ if self.is_covered() => {
                let due = match advance.until {
                    Some(until) => until - self.term().stop_lead - MARGIN,
                    None => self.record.since,
                };
                Some(match advance.denied_at {
                    Some(denied) => due.max(denied + ASK_AGAIN),
                    None => due,
                })
            }
            _ => None,
        }
    }

    /// When it must begin to end itself, unless the ledger says more.
    pub(super) fn advance_ends(&self) -> Option<Timestamp> {
        if !self.is_covered() {
            return None;
        }
        // Without one it has as long to get one as for any other, however many states it comes to meanwhile.
        Some(match self.record.advance.until {
            Some(until) => until - self.term().stop_lead,
            None => self.record.up_since + MARGIN,
        })
    }

    pub(super) fn ask_advance(&mut self, effects: &mut Vec<Effect>) {
        let terms = self.term();
        if self.record.advance.asked_at.is_none() {
            self.record.advance.number += 1;
        }
        self.record.advance.asked_at = Some(self.now);
        effects.push(Effect::AskAdvance {
            number: self.record.advance.number,
            microusd_per_hour: self.rate(),
            hold: RENEWAL + terms.stop_lead + terms.billing_minimum,
        });
    }

    pub(super) fn advanced(&mut self, number: u64, until: Timestamp, effects: &mut Vec<Effect>) {
        let advance = &mut self.record.advance;
        if number != advance.number || advance.asked_at.take().is_none() {
            return;
        }
        advance.until = Some(until);
        advance.denied_at = None;
        match self.record.state {
            State::Requested => self.begin_attempt(effects),
            State::Starting(Told::NotYet) => {
                self.record.state = State::Starting(Told::Yes);
                let (now, terms) = (self.now, self.term());
                self.reckon_anew(effects, |costs| costs.assume_run(now, &terms));
                self.act(Action::Start, effects);
                self.look_in(super::down::FIRST_LOOK);
            }
            _ => {}
        }
    }

    pub(super) fn advance_denied(&mut self, number: u64, effects: &mut Vec<Effect>) {
        let advance = &mut self.record.advance;
        if number != advance.number || advance.asked_at.take().is_none() {
            return;
        }
        advance.denied_at = Some(self.now);
        match self.record.state {
            State::Requested => self.give_up(Cause::Budget, effects),
            State::Starting(Told::NotYet) => {
                self.enter(State::Stopped, Some(Cause::Budget), effects);
            }
            _ => {}
        }
    }

    /// The time that is paid for runs out.
    pub(super) fn advance_ended(&mut self, effects: &mut Vec<Effect>) {
        let cause = if self.record.advance.denied_at.is_some() {
            Cause::Budget
        } else {
            Cause::LedgerSilent
        };
        // Asked no more: it ends.
        self.record.advance.asked_at = None;
        self.end(cause, effects);
    }
}
