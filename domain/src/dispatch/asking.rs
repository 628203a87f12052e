//! Whom a dispatch asks next, and what an answer leads to.

use super::{
    ASKS_PER_PASS, Dispatch, Effect, Failure, Key, Manner, PANIC_ASKS, Phase, Purpose, Refusal,
};
use super::{SAME_SERVER_RETRIES, Slot, Standing, TWIN_PATIENCE};
use crate::outcome::FailureKind;
use crate::time::{Span, Timestamp};

impl Dispatch {
    pub(super) fn on_started(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.phase != Phase::New {
            return;
        }
        self.phase = Phase::Searching;
        if self.candidates.is_empty() {
            self.fail(now, Failure::NoServer { retry_after: None }, effects);
            return;
        }
        let twin = self.pair
            && self.candidates.get(1).is_some_and(|second| {
                self.candidates
                    .first()
                    .is_some_and(|first| first.tier == second.tier)
            });
        self.ask_next(now, Purpose::First, effects);
        if twin {
            self.ask_next(now, Purpose::First, effects);
        }
    }

    pub(super) fn on_key_allowed(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.key == Key::Pending {
            self.key = Key::Allowed;
            self.use_held(now, effects);
        }
    }

    pub(super) fn on_key_denied(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.key == Key::Pending && !self.is_finished() {
            self.fail(now, Failure::KeyDenied, effects);
        }
    }

    pub(super) fn on_granted(
        &mut self,
        now: Timestamp,
        slot: Slot,
        score: u32,
        effects: &mut Vec<Effect>,
    ) {
        match self.standings.get(slot) {
            // The twin of one that runs already: too late to compare, not too late for a retry.
            Some(Standing::Asked(Purpose::First, _)) if self.is_running() => {
                self.set(slot, Standing::Fresh);
                effects.push(Effect::Cancel { slot });
            }
            Some(Standing::Asked(purpose, _)) => {
                let purpose = *purpose;
                self.set(slot, Standing::Held(purpose, score));
                self.held_since.get_or_insert(now);
                self.use_held(now, effects);
            }
            // Already running or held: a repeated answer to the same ask.
            Some(Standing::Running | Standing::Held(..)) => {}
            _ => effects.push(Effect::Cancel { slot }),
        }
    }

    /// When a grant that is held stops waiting for its twin; `None` while it waits for nothing or for
    /// the key.
    pub(super) fn twin_deadline(&self) -> Option<Timestamp> {
        let held_since = self.held_since.filter(|_| self.key == Key::Allowed)?;
        self.is_asked(Purpose::First)
            .then_some(held_since + TWIN_PATIENCE)
    }

    /// Of what is held the least busy is used and the rest given back, once no first ask is open or the
    /// one that is has had its time.
    pub(super) fn use_held(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let twin_may_come = self.twin_deadline().is_some_and(|at| now < at);
        if self.key == Key::Pending || twin_may_come {
            return;
        }
        let held = |(slot, standing): (Slot, &Standing)| match standing {
            Standing::Held(purpose, score) => Some((*score, slot, *purpose)),
            _ => None,
        };
        let all = self.standings.iter().enumerate().filter_map(held);
        let Some((_, best, purpose)) = all.min_by_key(|(score, slot, _)| (*score, *slot)) else {
            return;
        };
        self.held_since = None;
        // Whatever it was asked as: a twin that takes the place of a failed attempt is a retry, too. A
        // race has an allowance of its own.
        if !self.attempts.is_empty() && purpose != Purpose::Hedge {
            self.retries += 1;
        }
        self.start_attempt(now, best, effects);
        self.give_back_held(effects);
    }

    fn give_back_held(&mut self, effects: &mut Vec<Effect>) {
        for slot in 0..self.standings.len() {
            if matches!(self.standings.get(slot), Some(Standing::Held(..))) {
                // Its turn may come again, as a retry or a hedge.
                self.set(slot, Standing::Fresh);
                effects.push(Effect::Cancel { slot });
            }
        }
    }

    /// Open asks are cancelled too: their grant may already be written. Once an answer is committed or the
    /// dispatch is over none is left, so that whatever comes later is a stranger.
    pub(super) fn give_back_admissions(&mut self, effects: &mut Vec<Effect>) {
        for slot in 0..self.standings.len() {
            if matches!(
                self.standings.get(slot),
                Some(Standing::Held(..) | Standing::Asked(..))
            ) {
                self.set(slot, Standing::Spent);
                effects.push(Effect::Cancel { slot });
            }
        }
    }

    pub(super) fn on_refused(
        &mut self,
        now: Timestamp,
        slot: Slot,
        refusal: Refusal,
        retry_after: Option<Span>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(Standing::Asked(purpose, manner)) = self.standings.get(slot).copied() else {
            return;
        };
        // Where not even the queue takes it, the queue must not be asked again.
        let refusal = match refusal {
            Refusal::Busy { .. } if manner != Manner::Tentative => Refusal::Full,
            other => other,
        };
        self.set(slot, Standing::Refused(refusal));
        self.note_retry_after(retry_after);
        if self.is_running() {
            // A race or a comparison that is off; the attempt that is running goes on alone for now.
            if purpose == Purpose::Hedge {
                self.on_hedge_refused(now);
            }
            return;
        }
        if self.someone_is_asked() {
            return;
        }
        if self
            .standings
            .iter()
            .any(|standing| matches!(standing, Standing::Held(..)))
        {
            self.use_held(now, effects);
            return;
        }
        if self.attempts.is_empty() || purpose == Purpose::Retry {
            self.ask_next(now, purpose, effects);
        } else {
            // The attempt that this was to race, or its twin, has failed in the meantime.
            self.try_elsewhere(now, self.last_failure, effects);
        }
    }

    fn is_asked(&self, wanted: Purpose) -> bool {
        let asked = |standing: &Standing| matches!(standing, Standing::Asked(purpose, _) if *purpose == wanted);
        self.standings.iter().any(asked)
    }

    fn someone_is_asked(&self) -> bool {
        let asked = |standing: &Standing| matches!(standing, Standing::Asked(..));
        self.standings.iter().any(asked)
    }

    pub(super) fn next_fresh(&self) -> Option<Slot> {
        self.standings
            .iter()
            .position(|standing| *standing == Standing::Fresh)
    }

    /// Asks the next candidate in order: fresh ones, then the least busy one's queue, then, if the
    /// breaker took out everything, panic, then the waiting room. With no way left the request fails.
    pub(super) fn ask_next(&mut self, now: Timestamp, purpose: Purpose, effects: &mut Vec<Effect>) {
        let fresh = self
            .next_fresh()
            .filter(|_| self.asks_in_pass < ASKS_PER_PASS);
        if let Some(slot) = fresh {
            self.asks_in_pass += 1;
            let manner = if self.candidates.len() == 1 {
                Manner::Queue
            } else {
                Manner::Tentative
            };
            self.ask(slot, purpose, manner, effects);
            return;
        }
        if self.is_running() {
            return;
        }
        if let Some(slot) = self.least_busy_refused() {
            self.ask(slot, purpose, Manner::Queue, effects);
            return;
        }
        if let Some(slot) = self.panic_candidate() {
            self.panic_asks += 1;
            self.ask(slot, purpose, Manner::Panic, effects);
            return;
        }
        if self.someone_is_full() && purpose == Purpose::First && now < self.wait_deadline() {
            self.phase = Phase::Waiting;
            effects.push(Effect::Wait {
                deadline: self.wait_deadline(),
            });
            return;
        }
        let failure = self.verdict();
        self.fail(now, failure, effects);
    }

    pub(super) fn ask(
        &mut self,
        slot: Slot,
        purpose: Purpose,
        manner: Manner,
        effects: &mut Vec<Effect>,
    ) {
        self.set(slot, Standing::Asked(purpose, manner));
        effects.push(Effect::Ask {
            slot,
            purpose,
            manner,
            deadline: self.total_deadline(),
        });
    }

    pub(super) fn least_busy_refused(&self) -> Option<Slot> {
        let busy = |(slot, standing): (Slot, &Standing)| match standing {
            Standing::Refused(Refusal::Busy { score }) => Some((*score, slot)),
            _ => None,
        };
        self.standings
            .iter()
            .enumerate()
            .filter_map(busy)
            .min()
            .map(|(_, slot)| slot)
    }

    fn panic_candidate(&self) -> Option<Slot> {
        if self.panic_asks >= PANIC_ASKS || self.someone_is_full() {
            return None;
        }
        self.standings
            .iter()
            .position(|standing| *standing == Standing::Refused(Refusal::Ejected))
    }

    fn someone_is_full(&self) -> bool {
        self.standings
            .iter()
            .any(|standing| matches!(standing, Standing::Refused(Refusal::Full)))
    }

    /// After a failed attempt: another candidate, else the same server again if the connection broke
    /// before anything came (a server may close a pooled connection at any moment).
    pub(super) fn try_elsewhere(
        &mut self,
        now: Timestamp,
        failure: Option<FailureKind>,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_running() || self.is_asked(Purpose::Hedge) {
            return;
        }
        if self.retries >= self.limits.max_retries {
            // Also with a twin still open: its grant would be one attempt too many.
            let failure = self.verdict();
            self.fail(now, failure, effects);
            return;
        }
        if self.someone_is_asked() {
            return;
        }
        self.asks_in_pass = 0;
        let exhausted = self.next_fresh().is_none() && self.least_busy_refused().is_none();
        if exhausted
            && failure == Some(FailureKind::Transport)
            && self.same_server_retries < SAME_SERVER_RETRIES
        {
            self.same_server_retries += 1;
            if let Some(slot) = self.attempts.last().map(|attempt| attempt.slot) {
                self.ask(slot, Purpose::Retry, Manner::Queue, effects);
                return;
            }
        }
        self.ask_next(now, Purpose::Retry, effects);
    }

    pub(super) fn on_wait_over(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Waiting {
            return;
        }
        if slot >= self.standings.len() {
            self.on_wait_again(now, effects);
            return;
        }
        self.phase = Phase::Searching;
        self.ask(slot, Purpose::First, Manner::Queue, effects);
    }

    /// Whoever was full is asked anew: the news of a free slot may have been lost.
    pub(super) fn on_wait_again(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Waiting {
            return;
        }
        if now >= self.wait_deadline() {
            let retry_after = self.retry_after;
            self.fail(now, Failure::Busy { retry_after }, effects);
            return;
        }
        self.phase = Phase::Searching;
        self.asks_in_pass = 0;
        for standing in &mut self.standings {
            if matches!(standing, Standing::Refused(_)) {
                *standing = Standing::Fresh;
            }
        }
        self.ask_next(now, Purpose::First, effects);
    }

    /// What to tell the client when no way is left: what really happened outranks what was refused.
    fn verdict(&self) -> Failure {
        let attempts = self.attempts();
        let refused = |wanted: Refusal| self.standings.contains(&Standing::Refused(wanted));
        match (self.last_failure, self.backpressure) {
            (Some(FailureKind::Timeout), _) => Failure::TimedOut { attempts },
            (Some(last), _) => Failure::Upstream { last, attempts },
            (None, Some(status)) => Failure::Backpressure {
                status,
                retry_after: self.retry_after,
            },
            (None, None) if refused(Refusal::Full) => Failure::Busy {
                retry_after: self.retry_after,
            },
            (None, None) if refused(Refusal::TooLate) => Failure::TimedOut { attempts },
            (None, None) if refused(Refusal::CoolingDown) => Failure::Backpressure {
                status: 429,
                retry_after: self.retry_after,
            },
            (None, None)
                if self
                    .standings
                    .iter()
                    .all(|s| *s == Standing::Refused(Refusal::Unreachable)) =>
            {
                Failure::Unreachable
            }
            (None, None) => Failure::NoServer {
                retry_after: self.retry_after,
            },
        }
    }
}
