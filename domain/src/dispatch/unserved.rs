//! A server that lacks what was asked for: servers of one model may run different engines.

use super::{AttemptNo, Dispatch, Effect, Phase};
use crate::outcome::Outcome;
use crate::time::Timestamp;

/// What such a server answers, whatever status it says it with: nothing is wrong with it.
const LACKING: Outcome = Outcome::ClientError(404);

impl Dispatch {
    /// Another candidate, not asked yet or only busy, may have it; without one this is the answer. An attempt
    /// that runs beside it goes on alone.
    pub(super) fn on_unserved(
        &mut self,
        now: Timestamp,
        number: AttemptNo,
        effects: &mut Vec<Effect>,
    ) {
        if self.live_attempt(number).is_none() {
            return;
        }
        let running = self.attempts.iter().filter(|attempt| attempt.live).count();
        let is_there_another = self.next_fresh().or(self.least_busy_refused()).is_some();
        let may_ask = self.retries < self.limits.max_retries && is_there_another;
        let is_open = !matches!(self.phase, Phase::Committed(_));
        if is_open && (running > 1 || may_ask) {
            self.settle(now, number, LACKING, effects);
            self.try_elsewhere(now, None, effects);
        } else {
            self.on_ended(now, number, LACKING, effects);
        }
    }
}
