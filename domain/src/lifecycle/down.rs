//! Going down: requests finish, the vendor is told, and nothing is forgotten before it has confirmed.

use super::costs::Costs;
use super::event::{Action, Refusal};
use super::state::{Creating, State, Then, Told};
use super::{Cause, Effect, Lifecycle, What};
use crate::time::{Span, Timestamp};

/// How soon after the order the vendor is asked whether it is done.
pub(super) const FIRST_LOOK: Span = Span::from_secs(5);
/// The longest pause between two questions, without end.
pub(super) const LOOK_CAP: Span = Span::from_secs(60);
/// Longest time that running requests are given.
const DRAIN: Span = Span::from_secs(120);
/// A machine that is being taken away may be gone in two minutes or in thirty seconds.
const DRAIN_PREEMPTED: Span = Span::from_secs(20);
/// How soon the vendor is asked what it cost, and then how often, and how often at all: three days. A bill grows
/// while its records come in, so it is asked for until the same sum has come twice.
const BILL_FIRST: Span = Span::from_secs(60);
const BILL_AGAIN: Span = Span::from_secs(3600);
pub(super) const MOST_BILLS: u32 = 75;

impl Lifecycle {
    /// It is to end, because of this. What cannot end yet does so as soon as it can.
    pub(super) fn end(&mut self, cause: Cause, effects: &mut Vec<Effect>) {
        match self.record.state {
            State::Requested => self.give_up(cause, effects),
            State::Provisioning(creating) => {
                if self.record.wish.is_none() {
                    self.record.wish = Some(cause);
                    // Also one that has left: where the same "create" again is the same machine, it is repeated.
                    if creating != Creating::Ambiguous {
                        effects.push(Effect::Withdraw {
                            attempt: self.attempt(),
                        });
                    }
                    effects.push(Effect::Announce);
                }
            }
            State::Ready | State::Draining(Then::Stay | Then::Stop) if drains(cause) => {
                self.drain(Then::Terminate, cause, effects);
            }
            State::Draining(Then::Terminate) if drains(cause) => {}
            State::Booting
            | State::Warming(_)
            | State::Ready
            | State::ReadyUnreachable
            | State::Draining(_)
            | State::Stopping
            | State::Stopped
            | State::Starting(_) => self.give_back(cause, effects),
            State::Terminating | State::Terminated | State::Failed | State::Lost => {}
        }
    }

    /// It is to be down, with its disk kept where that can be.
    pub(super) fn stop(&mut self, cause: Cause, effects: &mut Vec<Effect>) {
        if !self.term().can_stop {
            self.end(cause, effects);
            return;
        }
        match self.record.state {
            State::Ready | State::Draining(Then::Stay) => self.drain(Then::Stop, cause, effects),
            State::Booting | State::Warming(_) | State::ReadyUnreachable => {
                self.go_down(cause, effects);
            }
            State::Starting(Told::NotYet) => self.enter(State::Stopped, Some(cause), effects),
            State::Starting(Told::Yes) => self.go_down(cause, effects),
            State::Requested
            | State::Provisioning(_)
            | State::Draining(Then::Stop | Then::Terminate)
            | State::Stopping
            | State::Stopped
            | State::Terminating
            | State::Terminated
            | State::Failed
            | State::Lost => {}
        }
    }

    pub(super) fn drain(&mut self, then: Then, cause: Cause, effects: &mut Vec<Effect>) {
        let was_draining = matches!(self.record.state, State::Draining(_));
        self.enter(State::Draining(then), Some(cause), effects);
        if was_draining {
            // Another end of the same drain: its time begins anew.
            self.record.since = self.now;
            effects.push(Effect::Announce);
        } else {
            effects.push(Effect::Drain);
        }
    }

    /// When running requests have had their time.
    pub(super) fn drain_ends(&self) -> Option<Timestamp> {
        let limit = match self.record.cause {
            Some(Cause::Preempted) => DRAIN_PREEMPTED,
            _ => DRAIN,
        };
        match self.record.state {
            State::Draining(Then::Stop | Then::Terminate) => Some(self.record.since + limit),
            _ => None,
        }
    }

    /// Goes on once nothing runs any more, or its time is up.
    pub(super) fn settle_drain(&mut self, effects: &mut Vec<Effect>) {
        let is_due = self.usage.busy == 0 || self.drain_ends().is_some_and(|end| end <= self.now);
        let cause = self.record.cause.unwrap_or(Cause::Asked);
        match self.record.state {
            State::Draining(Then::Stop) if is_due => self.go_down(cause, effects),
            State::Draining(Then::Terminate) if is_due => self.give_back(cause, effects),
            _ => {}
        }
    }

    fn go_down(&mut self, cause: Cause, effects: &mut Vec<Effect>) {
        self.enter(State::Stopping, Some(cause), effects);
        self.act(Action::Stop, effects);
        self.look_in(FIRST_LOOK);
    }

    /// The vendor is told to take it back.
    pub(super) fn give_back(&mut self, cause: Cause, effects: &mut Vec<Effect>) {
        if self.record.state == State::Terminating {
            return;
        }
        self.record.wish = None;
        self.enter(State::Terminating, Some(cause), effects);
        self.act(Action::Destroy, effects);
        self.look_in(FIRST_LOOK);
    }

    pub(super) fn taken(&mut self, action: Action, at: Timestamp) {
        let is_last = matches!(
            (self.record.state, action),
            (State::Terminating, Action::Destroy)
                | (State::Stopping, Action::Stop)
                | (State::Starting(Told::Yes), Action::Start)
        );
        if is_last {
            self.record.act_taken_at = Some(at);
        }
    }

    pub(super) fn refused(&mut self, action: Action, refusal: Refusal, effects: &mut Vec<Effect>) {
        let note = Effect::Note {
            what: What::ActionRefused(action),
            cause: None,
        };
        match (self.record.state, action) {
            // It goes on being told; somebody should know.
            (State::Terminating, Action::Destroy) => effects.push(note),
            (State::Stopping, Action::Stop) => {
                effects.push(note);
                if refusal == Refusal::Never {
                    self.give_back(Cause::StopRefused, effects);
                }
            }
            (State::Starting(Told::Yes), Action::Start) => {
                effects.push(note);
                self.reckon_anew(effects, Costs::assume_no_run);
                self.enter(State::Stopped, Some(Cause::StartRefused), effects);
            }
            _ => {}
        }
    }

    /// The vendor, asked late enough for the answer to mean something, does not show the machine.
    pub(super) fn not_seen(
        &mut self,
        asked_at: Timestamp,
        in_list: bool,
        effects: &mut Vec<Effect>,
    ) {
        let lag = self.term().list_lag;
        let is_past_lag = self
            .current()
            .and_then(|attempt| attempt.sent_at)
            .is_some_and(|sent| asked_at >= sent + lag);
        // A vendor that has taken the order to end it knew it: then its word for this very machine counts.
        let is_past_order = !in_list
            && self.record.state == State::Terminating
            && self
                .record
                .act_taken_at
                .is_some_and(|taken| asked_at >= taken);
        let is_late_enough = is_past_lag || is_past_order;
        let is_older = self
            .record
            .sighted_at
            .is_some_and(|sighted| asked_at < sighted);
        if !is_late_enough || is_older {
            // A vendor's lists and look-ups lag behind its own answers.
            return;
        }
        match self.record.state {
            State::Provisioning(Creating::Ambiguous) if in_list => {
                if self.count_absence(asked_at, true) {
                    self.absent_while_ambiguous(effects);
                }
            }
            State::Requested
            | State::Provisioning(_)
            | State::Terminated
            | State::Failed
            | State::Lost => {}
            State::Terminating => {
                if !self.count_absence(asked_at, in_list) {
                    return;
                }
                let absences = self.record.absences;
                // Its own word for this very machine, after it took the order; or twice of anything.
                let is_gone = (absences.looks >= 1 && self.record.act_taken_at.is_some())
                    || absences.looks + absences.lists >= 2;
                if is_gone {
                    self.gone(Cause::DeletedOutside, effects);
                }
            }
            State::Booting
            | State::Warming(_)
            | State::Ready
            | State::ReadyUnreachable
            | State::Draining(_)
            | State::Stopping
            | State::Stopped
            | State::Starting(_) => {
                if !self.count_absence(asked_at, in_list) {
                    return;
                }
                let absences = self.record.absences;
                if absences.looks >= 1 && absences.looks + absences.lists >= 2 {
                    self.gone(Cause::DeletedOutside, effects);
                } else {
                    // A list may lie when its vendor is ill: the machine itself is asked for.
                    effects.push(Effect::Look {
                        attempt: self.attempt(),
                    });
                }
            }
        }
    }

    /// Whether it is another answer than the last one.
    fn count_absence(&mut self, asked_at: Timestamp, in_list: bool) -> bool {
        let absences = &mut self.record.absences;
        let (count, last) = if in_list {
            (&mut absences.lists, &mut absences.listed_at)
        } else {
            (&mut absences.looks, &mut absences.looked_at)
        };
        if last.is_some_and(|last| asked_at <= last) {
            return false;
        }
        *last = Some(asked_at);
        *count = count.saturating_add(1);
        true
    }

    /// The vendor has confirmed that there is nothing left.
    pub(super) fn gone(&mut self, cause: Cause, effects: &mut Vec<Effect>) {
        if self.record.state.is_over() {
            return;
        }
        let was_asked = self.record.state == State::Terminating;
        let cause = match self.record.cause {
            Some(given) if was_asked => given,
            _ => self.record.wish.unwrap_or(cause),
        };
        let attempt = self.attempt();
        // A ghost's window closes when it was last seen; one that we ended, when its end was seen.
        let at = match self.record.sighted_at {
            Some(sighted) if !was_asked => sighted,
            _ => self.now,
        };
        if let Some(current) = self.current_mut()
            && current.costs.is_open()
        {
            current.costs.close(at);
            effects.push(Effect::StateWindow { attempt });
        }
        if self.term().bills {
            self.record.bills_asked = 0;
            self.record.next_bill = Some(self.now + BILL_FIRST);
        }
        self.record.wish = None;
        let state = if was_asked || cause != Cause::DeletedOutside {
            if self.record.has_served || cause == Cause::Asked {
                State::Terminated
            } else {
                State::Failed
            }
        } else {
            State::Lost
        };
        self.enter(state, Some(cause), effects);
    }

    pub(super) fn ask_bill(&mut self, effects: &mut Vec<Effect>) {
        self.record.bills_asked = self.record.bills_asked.saturating_add(1);
        let is_last = self.record.bills_asked >= MOST_BILLS;
        self.record.next_bill = (!is_last).then(|| self.now + BILL_AGAIN);
        effects.push(Effect::AskBill {
            attempt: self.attempt(),
        });
    }

    pub(super) fn billed(&mut self, attempt: u32, microusd: u64, effects: &mut Vec<Effect>) {
        let is_current = attempt == self.attempt();
        let Some(billed) = usize::try_from(attempt)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .and_then(|at| self.record.attempts.get_mut(at))
        else {
            return;
        };
        if billed.costs.until.is_none() {
            return;
        }
        if billed.costs.billed == Some(microusd) {
            // An hour later the same: a bill that comes in pieces has come.
            if is_current && self.record.bills_asked >= 2 {
                self.record.next_bill = None;
            }
            return;
        }
        billed.costs.billed = Some(microusd);
        effects.push(Effect::StateWindow { attempt });
        effects.push(Effect::Note {
            what: What::Billed(microusd),
            cause: None,
        });
    }

    pub(super) fn alert(&mut self, effects: &mut Vec<Effect>) {
        self.record.is_alerted = true;
        effects.push(Effect::Note {
            what: What::StillThere,
            cause: self.record.cause,
        });
    }
}

/// Whether requests that run may finish first.
const fn drains(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Idle
            | Cause::MaxLifetime
            | Cause::ReservationEnd
            | Cause::StopWindow
            | Cause::Preempted
    )
}
