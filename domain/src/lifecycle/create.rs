//! Renting: the intent is written before anything leaves, and what became of it is found out before anything
//! else is tried.

use super::state::{Creating, Seen, Sighting, State};
use super::{Attempt, Cause, Costs, Effect, Lifecycle, Refusal, What};
use crate::time::Timestamp;

/// Whole lists that must not show an attempt before it counts as never made.
const LISTS_WITHOUT: u32 = 2;

impl Lifecycle {
    /// The money for the next offer is there.
    pub(super) fn begin_attempt(&mut self, effects: &mut Vec<Effect>) {
        let candidate = self.record.next_candidate;
        self.record.attempts.push(Attempt {
            candidate,
            sent_at: None,
            costs: Costs::default(),
        });
        self.record.next_candidate = candidate.saturating_add(1);
        self.record.up_since = self.now;
        self.record.machine = None;
        self.record.sighted_at = None;
        let attempt = self.attempt();
        effects.push(Effect::Note {
            what: What::AttemptBegun(attempt),
            cause: None,
        });
        effects.push(Effect::Rent { attempt, candidate });
        self.enter(State::Provisioning(Creating::Unsent), None, effects);
    }

    /// The "create" of this attempt leaves: from now on it may cost money.
    pub(super) fn create_sent(&mut self, attempt: u32, at: Timestamp, effects: &mut Vec<Effect>) {
        if attempt != self.attempt() {
            return;
        }
        let terms = self.term();
        if let Some(current) = self.current_mut()
            && current.sent_at.is_none()
        {
            current.sent_at = Some(at);
            current.costs.open(at, &terms);
            effects.push(Effect::StateWindow { attempt });
        }
        if self.record.state == State::Provisioning(Creating::Unsent) {
            self.record.state = State::Provisioning(Creating::Sent);
        }
    }

    pub(super) fn create_unclear(&mut self, attempt: u32, effects: &mut Vec<Effect>) {
        let is_waiting = matches!(
            self.record.state,
            State::Provisioning(Creating::Unsent | Creating::Sent)
        );
        if attempt != self.attempt() || !is_waiting {
            return;
        }
        // The word that it was sent may still be on its way.
        let at = self.now;
        self.create_sent(attempt, at, effects);
        self.record.state = State::Provisioning(Creating::Ambiguous);
        self.record.absences = super::Absences::default();
        self.look_in(super::up::AMBIGUOUS_LOOK);
        effects.push(Effect::Note {
            what: What::AttemptAmbiguous(attempt),
            cause: None,
        });
        effects.push(Effect::Announce);
    }

    /// There is certainly no machine of this attempt, and there never will be one.
    pub(super) fn create_refused(
        &mut self,
        attempt: u32,
        refusal: Option<Refusal>,
        effects: &mut Vec<Effect>,
    ) {
        let is_waiting = matches!(self.record.state, State::Provisioning(_));
        if attempt != self.attempt() || !is_waiting {
            return;
        }
        self.forget_attempt(attempt, effects);
        if let Some(wish) = self.record.wish {
            self.give_up(wish, effects);
            return;
        }
        let account = self.term().account;
        let refused_whole_account = refusal == Some(Refusal::Auth);
        let next = (self.record.next_candidate..)
            .zip(
                self.terms
                    .iter()
                    .skip(usize::try_from(self.record.next_candidate).unwrap_or(usize::MAX)),
            )
            .find(|(_, terms)| !(refused_whole_account && terms.account == account))
            .map(|(at, _)| at);
        match next {
            Some(next) => {
                self.record.next_candidate = next;
                // Neither what was paid ahead nor what is being asked for is for the next one.
                self.record.advance.until = None;
                self.record.advance.asked_at = None;
                self.enter(State::Requested, None, effects);
            }
            None => {
                let cause = refusal.map_or(Cause::NothingToRent, Refusal::cause);
                self.give_up(cause, effects);
            }
        }
    }

    fn forget_attempt(&mut self, attempt: u32, effects: &mut Vec<Effect>) {
        if let Some(current) = self.current_mut() {
            current.costs.void();
            if current.sent_at.is_some() {
                effects.push(Effect::StateWindow { attempt });
            }
        }
        effects.push(Effect::Note {
            what: What::AttemptOver(attempt),
            cause: None,
        });
    }

    /// A whole list that was begun late enough does not show the machine whose "create" is ambiguous.
    pub(super) fn absent_while_ambiguous(&mut self, effects: &mut Vec<Effect>) {
        if self.record.absences.lists >= LISTS_WITHOUT {
            let attempt = self.attempt();
            effects.push(Effect::Abandon { attempt });
            self.create_refused(attempt, Some(Refusal::Unavailable), effects);
        }
    }

    /// The first sight of the machine of the current attempt.
    pub(super) fn appeared(&mut self, sighting: &Sighting, effects: &mut Vec<Effect>) {
        if self.record.state == State::Provisioning(Creating::Ambiguous) {
            effects.push(Effect::Note {
                what: What::Adopted(self.attempt()),
                cause: None,
            });
        }
        match self.record.wish {
            // Asked for before anything was known to give back.
            Some(wish) if sighting.seen != Seen::Terminated => self.give_back(wish, effects),
            _ => {
                self.enter(State::Booting, None, effects);
                self.look_in(super::up::BOOT_LOOK);
            }
        }
    }

    /// Nothing is left that could be billed, and nothing more will be tried.
    pub(super) fn give_up(&mut self, cause: Cause, effects: &mut Vec<Effect>) {
        let state = if cause == Cause::Asked {
            State::Terminated
        } else {
            State::Failed
        };
        self.record.wish = None;
        self.enter(state, Some(cause), effects);
    }
}
