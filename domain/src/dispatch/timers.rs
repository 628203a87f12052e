//! Every deadline of a dispatch: the whole request, the wait for the model, the first token of each
//! attempt, silence in the answer, the twin of a pair, and the moment to race a silent server (whose rules
//! stand in `hedging`).

use super::{Dispatch, Effect, Failure, Phase};
use crate::outcome::{FailureKind, Outcome};
use crate::time::Timestamp;

impl Dispatch {
    /// Runs whatever is due; calls that come early or twice do nothing.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        if matches!(self.phase, Phase::New | Phase::Finished) {
            return effects;
        }
        if now >= self.total_deadline() {
            self.run_out_of_time(now, &mut effects);
            return effects;
        }
        if let Phase::Committed(committed) = self.phase {
            if self
                .attempts
                .get(committed)
                .is_some_and(|a| a.live && now >= a.last_progress + self.limits.idle)
            {
                self.break_off(now, committed, FailureKind::Stalled, &mut effects);
            }
            return effects;
        }
        for number in 0..self.attempts.len() {
            if self
                .attempts
                .get(number)
                .is_some_and(|a| a.live && now >= a.first_token_deadline)
            {
                self.abort(
                    now,
                    number,
                    Outcome::Failure {
                        kind: FailureKind::Timeout,
                    },
                    &mut effects,
                );
                self.after_failure(now, FailureKind::Timeout, &mut effects);
            }
        }
        if self.twin_deadline().is_some_and(|at| now >= at) {
            self.use_held(now, &mut effects);
        }
        if self.phase == Phase::Waiting && now >= self.wait_deadline() {
            let retry_after = self.retry_after;
            self.fail(now, Failure::Busy { retry_after }, &mut effects);
        }
        if self.hedge_at().is_some_and(|at| now >= at) {
            self.ask_hedge(&mut effects);
        }
        effects
    }

    /// When [`Dispatch::handle_timeout`] next has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let mut earliest = match self.phase {
            Phase::New | Phase::Finished => return None,
            _ => self.total_deadline(),
        };
        if let Phase::Committed(committed) = self.phase {
            if let Some(attempt) = self.attempts.get(committed).filter(|attempt| attempt.live) {
                earliest = earliest.min(attempt.last_progress + self.limits.idle);
            }
            return Some(earliest);
        }
        for attempt in self.attempts.iter().filter(|attempt| attempt.live) {
            earliest = earliest.min(attempt.first_token_deadline);
        }
        if self.phase == Phase::Waiting {
            earliest = earliest.min(self.wait_deadline());
        }
        for at in [self.hedge_at(), self.twin_deadline()]
            .into_iter()
            .flatten()
        {
            earliest = earliest.min(at);
        }
        Some(earliest)
    }

    pub(super) fn total_deadline(&self) -> Timestamp {
        self.arrived_at + self.limits.total
    }

    pub(super) fn wait_deadline(&self) -> Timestamp {
        self.arrived_at + self.limits.model_wait.min(self.limits.total)
    }
}
