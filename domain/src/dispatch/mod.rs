//! The journey of one inference request: whom to ask, when to retry, when to race, when to give up.
//!
//! Invariants: at most one attempt is ever committed; until then any failure moves on to the next
//! candidate, afterwards none does; every admission that was granted is settled or cancelled exactly
//! once; a finished dispatch has nothing running and no timer.
//!
//! In scope: the order of asks (the best, or the better of two; then a queue; then the model's waiting
//! room; in panic the ejected), retries, hedging, all deadlines. Out of scope: ranking (see
//! [`crate::placement`]), admission (each server decides), bytes.

mod asking;
mod event;
mod hedging;
#[cfg(test)]
mod tests;
mod timers;
mod unserved;

pub use event::{
    AttemptNo, BreakReason, Candidate, Effect, Event, Failure, Limits, Manner, Purpose, Refusal,
    Slot,
};

use crate::outcome::{FailureKind, Outcome};
use crate::time::{Span, Timestamp};

/// Servers asked for panic admission: enough that one stuck server does not decide, few enough that a
/// fleet in trouble is not asked by everybody.
const PANIC_ASKS: u32 = 2;

/// Tentative asks in one pass. A model with hundreds of servers is not walked server by server; after
/// this many refusals the waiting room is the cheaper place.
const ASKS_PER_PASS: u32 = 8;

/// A pool may hold more than one connection that its server has closed without being noticed yet. Behind
/// llama.cpp's server, which closes one after each stream, 1 request in 500 meets one and 1 in 8,000 a
/// second; a third is hardly ever met, and a server that is down should not be asked for long.
const SAME_SERVER_RETRIES: u32 = 2;

/// How long a grant waits for the answer of the other server of a pair. Objects answer within a few
/// milliseconds; one that is being loaded or moved takes seconds, which the comparison is not worth.
const TWIN_PATIENCE: Span = Span::from_ms(100);

/// What is known of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Not asked in this pass.
    Fresh,
    /// Asked, no answer yet.
    Asked(Purpose, Manner),
    /// Granted; waiting for its twin's answer or for the key.
    Held(Purpose, u32),
    /// Refused.
    Refused(Refusal),
    /// Runs an attempt.
    Running,
    /// Had its attempt.
    Spent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Allowed,
    Pending,
}

#[derive(Clone, Debug)]
struct Attempt {
    slot: Slot,
    started_at: Timestamp,
    /// Longest time to the first token.
    patience: Span,
    first_token_deadline: Timestamp,
    answering: bool,
    ready_at: Option<Timestamp>,
    last_progress: Timestamp,
    live: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Searching,
    Waiting,
    Committed(AttemptNo),
    Finished,
}

/// One request on its way.
#[derive(Clone, Debug)]
pub struct Dispatch {
    candidates: Vec<Candidate>,
    standings: Vec<Standing>,
    limits: Limits,
    arrived_at: Timestamp,
    pair: bool,
    key: Key,
    phase: Phase,
    attempts: Vec<Attempt>,
    retries: u32,
    asks_in_pass: u32,
    panic_asks: u32,
    /// Since when a grant waits for its twin's answer.
    held_since: Option<Timestamp>,
    hedge: hedging::Hedge,
    same_server_retries: u32,
    retry_after: Option<Span>,
    last_failure: Option<FailureKind>,
    backpressure: Option<u16>,
}

impl Dispatch {
    /// A request with its candidates, best first. With `pair` the first two of the best tier are asked
    /// side by side; with `key_pending` nothing is sent before [`Event::KeyAllowed`].
    pub fn new(
        arrived_at: Timestamp,
        candidates: Vec<Candidate>,
        limits: Limits,
        pair: bool,
        key_pending: bool,
    ) -> Self {
        let standings = vec![Standing::Fresh; candidates.len()];
        let key = if key_pending {
            Key::Pending
        } else {
            Key::Allowed
        };
        Self {
            candidates,
            standings,
            limits,
            arrived_at,
            pair,
            key,
            phase: Phase::New,
            attempts: Vec::new(),
            retries: 0,
            asks_in_pass: 0,
            panic_asks: 0,
            held_since: None,
            hedge: hedging::Hedge::default(),
            same_server_retries: 0,
            retry_after: None,
            last_failure: None,
            backpressure: None,
        }
    }

    /// Whether nothing is left to happen.
    pub const fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished)
    }

    /// Attempts made so far.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.attempts.len()).unwrap_or(u32::MAX)
    }

    /// Takes a fact in. Late and repeated facts change nothing, except that an admission which comes
    /// too late is given back.
    pub fn handle(&mut self, now: Timestamp, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Started => self.on_started(now, &mut effects),
            Event::KeyAllowed => self.on_key_allowed(now, &mut effects),
            Event::KeyDenied => self.on_key_denied(now, &mut effects),
            Event::Granted { slot, score } => self.on_granted(now, slot, score, &mut effects),
            Event::Refused {
                slot,
                refusal,
                retry_after,
            } => {
                self.on_refused(now, slot, refusal, retry_after, &mut effects);
            }
            Event::WaitOver { slot } => self.on_wait_over(now, slot, &mut effects),
            Event::WaitAgain => self.on_wait_again(now, &mut effects),
            Event::WaitRefused { retry_after } => {
                if self.phase == Phase::Waiting {
                    self.fail(
                        now,
                        Failure::Busy {
                            retry_after: Some(retry_after),
                        },
                        &mut effects,
                    );
                }
            }
            Event::Answering { attempt } => {
                if let Some(attempt) = self.live_attempt(attempt) {
                    attempt.answering = true;
                }
            }
            Event::Ready { attempt } => self.on_ready(now, attempt, &mut effects),
            Event::Sending { attempt } => {
                if let Some(attempt) = self.live_attempt(attempt) {
                    attempt.first_token_deadline = now + attempt.patience;
                    attempt.last_progress = now;
                }
            }
            Event::BodyGone => {
                self.limits.max_retries = 0;
                self.limits.hedge_after = None;
            }
            Event::Progress { attempt } => {
                if let Some(attempt) = self.live_attempt(attempt) {
                    attempt.last_progress = now;
                }
            }
            Event::Ended { attempt, outcome } => self.on_ended(now, attempt, outcome, &mut effects),
            Event::Unserved { attempt } => self.on_unserved(now, attempt, &mut effects),
            Event::ClientLeft => self.on_client_left(now, &mut effects),
        }
        effects
    }

    fn is_running(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.live)
    }

    fn live_attempt(&mut self, number: AttemptNo) -> Option<&mut Attempt> {
        self.attempts.get_mut(number).filter(|attempt| attempt.live)
    }

    fn start_attempt(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) {
        let cap = self
            .candidates
            .get(slot)
            .and_then(|candidate| candidate.first_token_cap);
        let patience = cap.map_or(self.limits.first_token, |cap| {
            cap.min(self.limits.first_token)
        });
        let number = self.attempts.len();
        self.attempts.push(Attempt {
            slot,
            started_at: now,
            patience,
            first_token_deadline: now + patience,
            answering: false,
            ready_at: None,
            last_progress: now,
            live: true,
        });
        self.set(slot, Standing::Running);
        self.phase = Phase::Searching;
        effects.push(Effect::Fetch {
            attempt: number,
            slot,
        });
    }

    fn on_ready(&mut self, now: Timestamp, number: AttemptNo, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Committed(_) | Phase::Finished) {
            return;
        }
        let Some(attempt) = self.live_attempt(number) else {
            return;
        };
        attempt.ready_at = Some(now);
        attempt.last_progress = now;
        self.commit(now, number, effects);
    }

    /// The winner's answer begins; everything else is broken off. A rival that has not even sent its
    /// headers although it started earlier is counted as too slow: the race only starts when it is far
    /// beyond what this model usually takes, and a server that hangs must not stay in rotation.
    fn commit(&mut self, now: Timestamp, number: AttemptNo, effects: &mut Vec<Effect>) {
        self.phase = Phase::Committed(number);
        effects.push(Effect::Commit { attempt: number });
        for rival in 0..self.attempts.len() {
            if rival == number {
                continue;
            }
            let silent = self
                .attempts
                .get(rival)
                .is_some_and(|attempt| !attempt.answering)
                && rival < number;
            let outcome = if silent {
                Outcome::Failure {
                    kind: FailureKind::Timeout,
                }
            } else {
                Outcome::ClientLeft
            };
            self.abort(now, rival, outcome, effects);
        }
        self.give_back_admissions(effects);
    }

    fn on_ended(
        &mut self,
        now: Timestamp,
        number: AttemptNo,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) {
        if self.live_attempt(number).is_none() {
            return;
        }
        let failure = match outcome {
            Outcome::Failure { kind } => Some(kind),
            _ => None,
        };
        if self.phase == Phase::Committed(number) {
            self.settle(now, number, outcome, effects);
            if let Some(kind) = failure {
                effects.push(Effect::Break {
                    attempt: number,
                    reason: BreakReason::Upstream(kind),
                });
            }
            self.finish(effects);
            return;
        }
        match outcome {
            Outcome::Success | Outcome::ClientError(_) => {
                self.commit(now, number, effects);
                self.settle(now, number, outcome, effects);
                self.finish(effects);
            }
            Outcome::Failure { kind } => {
                self.settle(now, number, outcome, effects);
                self.after_failure(now, kind, effects);
            }
            Outcome::Backpressure {
                status,
                retry_after,
            } => {
                self.backpressure = Some(status);
                self.note_retry_after(retry_after);
                self.settle(now, number, outcome, effects);
                self.try_elsewhere(now, None, effects);
            }
            Outcome::ClientLeft | Outcome::Cancelled => {
                self.settle(now, number, outcome, effects);
                self.try_elsewhere(now, None, effects);
            }
        }
    }

    fn after_failure(&mut self, now: Timestamp, kind: FailureKind, effects: &mut Vec<Effect>) {
        self.last_failure = Some(kind);
        self.try_elsewhere(now, Some(kind), effects);
    }

    fn settle(
        &mut self,
        now: Timestamp,
        number: AttemptNo,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) {
        let Some(attempt) = self.live_attempt(number) else {
            return;
        };
        attempt.live = false;
        let (slot, started_at, ready_at) = (attempt.slot, attempt.started_at, attempt.ready_at);
        self.set(slot, Standing::Spent);
        effects.push(Effect::Settle {
            attempt: number,
            slot,
            outcome,
            first_token: ready_at.map(|at| at.since(started_at)),
            duration: now.since(started_at),
        });
    }

    fn abort(
        &mut self,
        now: Timestamp,
        number: AttemptNo,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) {
        if self.live_attempt(number).is_some() {
            effects.push(Effect::Abort { attempt: number });
            self.settle(now, number, outcome, effects);
        }
    }

    fn break_off(
        &mut self,
        now: Timestamp,
        number: AttemptNo,
        kind: FailureKind,
        effects: &mut Vec<Effect>,
    ) {
        self.abort(now, number, Outcome::Failure { kind }, effects);
        effects.push(Effect::Break {
            attempt: number,
            reason: BreakReason::Upstream(kind),
        });
        self.finish(effects);
    }

    fn on_client_left(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.is_finished() {
            return;
        }
        self.stop_everything(now, effects);
        self.finish(effects);
    }

    /// Aborted for no fault of the servers, which were only slower than the client or the limit.
    fn stop_everything(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for number in 0..self.attempts.len() {
            self.abort(now, number, Outcome::ClientLeft, effects);
        }
        if self.phase == Phase::Waiting {
            effects.push(Effect::StopWaiting);
        }
        self.give_back_admissions(effects);
    }

    fn run_out_of_time(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let committed = match self.phase {
            Phase::Committed(number) => Some(number),
            _ => None,
        };
        self.stop_everything(now, effects);
        let attempts = self.attempts();
        effects.push(match committed {
            Some(attempt) => Effect::Break {
                attempt,
                reason: BreakReason::Total,
            },
            None => Effect::Fail(Failure::TimedOut { attempts }),
        });
        self.finish(effects);
    }

    fn fail(&mut self, now: Timestamp, failure: Failure, effects: &mut Vec<Effect>) {
        self.stop_everything(now, effects);
        effects.push(Effect::Fail(failure));
        self.finish(effects);
    }

    fn finish(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Finished;
        effects.push(Effect::Finish);
    }

    fn set(&mut self, slot: Slot, standing: Standing) {
        if let Some(entry) = self.standings.get_mut(slot) {
            *entry = standing;
        }
    }

    fn note_retry_after(&mut self, retry_after: Option<Span>) {
        self.retry_after = match (self.retry_after, retry_after) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
    }
}
