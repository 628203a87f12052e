//! What came of it: answers of objects, bytes of servers, timers, a client that left.

use tidegate_domain::dispatch::{Event, Refusal};
use tidegate_domain::outcome::{FailureKind, Outcome};
use tidegate_domain::time::Span;
use tidegate_durable::bindings::instance::{AskAnswer, DeniedWire, Turnover};
use tidegate_durable::bindings::key::{KeyAnswer, KeySettled};
use tidegate_durable::bindings::model::WaitAnswer;

use super::attempt::{Passed, Standing};
use super::{Call, Inference, KeyGate, span};
use crate::account::CLIENT_LEFT_CODE;
use crate::effect::{BodyEnd, CallId, CallOutcome, Effect};
use crate::gateway::Cx;

/// From this share of its capacity on a server's releases do not wait for a ride: somebody else may be
/// waiting for the slot.
const PRESSED_PERCENT: u32 = 75;

/// Calls to the waiting room lost in a row before the request gives up.
const LOST_WAITS: u32 = 2;
const AFTER_LOST_WAITS: Span = Span::from_secs(2);

impl Inference {
    pub(super) fn hear(&mut self, cx: &mut Cx<'_>, event: Event) {
        let effects = self.dispatch.handle(cx.now, event);
        self.run(cx, effects);
    }

    /// An object answered, or did not.
    pub fn on_answer(&mut self, cx: &mut Cx<'_>, call: CallId, outcome: CallOutcome) {
        if self.dispatch.is_finished() {
            return;
        }
        match self.calls.remove(&call) {
            Some(Call::Ask { slot, riding }) => self.on_ask_answer(cx, slot, riding, outcome),
            Some(Call::Key { riding }) => self.on_key_answer(cx, riding, outcome),
            Some(Call::Wait) => self.on_wait_answer(cx, outcome),
            None => {}
        }
    }

    fn on_ask_answer(
        &mut self,
        cx: &mut Cx<'_>,
        slot: usize,
        riding: Turnover,
        outcome: CallOutcome,
    ) {
        let answer = match &outcome {
            CallOutcome::Answered(text) => serde_json::from_str::<AskAnswer>(text).ok(),
            CallOutcome::Failed(_) => None,
        };
        let event = match answer {
            Some(AskAnswer::Granted {
                running,
                queued,
                capacity,
                score,
                ..
            }) => {
                self.pressed |= queued > 0
                    || running.saturating_mul(100) >= capacity.saturating_mul(PRESSED_PERCENT);
                if let Some(server) = self
                    .slots
                    .get(slot)
                    .and_then(|index| self.routing.servers.get(*index))
                {
                    cx.shared.board.note_load(server.id(), score / 10, cx.now);
                }
                if !self.leased.contains(&slot) {
                    self.leased.push(slot);
                }
                Event::Granted { slot, score }
            }
            Some(AskAnswer::Denied {
                denied,
                retry_after_ms,
            }) => {
                self.refusal = Some(words(&denied));
                Event::Refused {
                    slot,
                    refusal: refusal(&denied),
                    retry_after: retry_after_ms.map(span),
                }
            }
            Some(AskAnswer::Noted) | None => {
                // The call is lost, not what it carried: the releases go again, and a grant that may have
                // been written is given back. The object takes each of them once.
                self.send_again(cx, slot, riding);
                self.cancel(cx, slot);
                self.refusal = Some("the object that guards the server did not answer".to_owned());
                Event::Refused {
                    slot,
                    refusal: Refusal::Unreachable,
                    retry_after: None,
                }
            }
        };
        self.hear(cx, event);
    }

    /// A key whose limits cannot be asked is not let through: limits are never over, also in trouble.
    fn on_key_answer(&mut self, cx: &mut Cx<'_>, riding: Vec<KeySettled>, outcome: CallOutcome) {
        let answer = match outcome {
            CallOutcome::Answered(text) => serde_json::from_str::<KeyAnswer>(&text).ok(),
            CallOutcome::Failed(_) => None,
        };
        let event = match answer {
            Some(KeyAnswer::Allowed { windows }) => {
                self.key = KeyGate::Allowed(windows);
                Event::KeyAllowed
            }
            Some(KeyAnswer::Denied {
                limit,
                retry_after_ms,
                never_fits,
                windows,
            }) => {
                self.key = KeyGate::Denied {
                    limit,
                    retry_after_ms,
                    never_fits,
                    windows,
                };
                Event::KeyDenied
            }
            None => {
                self.settle_key_again(cx, riding);
                self.key = KeyGate::Unreachable;
                Event::KeyDenied
            }
        };
        self.hear(cx, event);
    }

    fn on_wait_answer(&mut self, cx: &mut Cx<'_>, outcome: CallOutcome) {
        let answer = match outcome {
            CallOutcome::Answered(text) => serde_json::from_str::<WaitAnswer>(&text).ok(),
            CallOutcome::Failed(_) => None,
        };
        let event = match answer {
            Some(WaitAnswer::Go { instance }) => {
                let named = |index: &usize| {
                    self.routing
                        .servers
                        .get(*index)
                        .is_some_and(|server| server.id() == instance)
                };
                match self.slots.iter().position(named) {
                    Some(slot) => Event::WaitOver { slot },
                    None => Event::WaitAgain,
                }
            }
            Some(WaitAnswer::Full { retry_after_ms }) => Event::WaitRefused {
                retry_after: span(retry_after_ms),
            },
            Some(WaitAnswer::Again) => {
                self.lost_waits = 0;
                Event::WaitAgain
            }
            // The waiting room was evicted: the servers are asked anew. One that fails again and again is
            // overloaded, and asking everybody at once would not help it.
            None => {
                self.lost_waits += 1;
                if self.lost_waits < LOST_WAITS {
                    Event::WaitAgain
                } else {
                    Event::WaitRefused {
                        retry_after: AFTER_LOST_WAITS,
                    }
                }
            }
        };
        self.hear(cx, event);
    }

    /// A server's response headers.
    pub fn on_headers(
        &mut self,
        cx: &mut Cx<'_>,
        number: u32,
        status: u16,
        headers: &[(String, String)],
    ) {
        let Some((number, attempt)) = self.attempt(number) else {
            return;
        };
        attempt.headers(status, headers);
        self.choose_reading(cx, number);
        self.hear(cx, Event::Answering { attempt: number });
    }

    /// A chunk of a stream.
    pub fn on_chunk(&mut self, cx: &mut Cx<'_>, number: u32, chunk: &[u8]) {
        let committed = self.committed;
        if self.dispatch.is_finished() {
            return;
        }
        let Some((number, attempt)) = self.attempt(number) else {
            return;
        };
        let is_committed = committed == Some(number);
        if committed.is_some() && !is_committed {
            return;
        }
        let (passed, standing) = attempt.chunk(chunk, is_committed);
        if is_committed {
            match passed {
                Passed::Untouched => cx.effects.push(Effect::WriteChunk),
                Passed::Held => self.write_held(cx, number),
                Passed::Nothing => {}
            }
        }
        if let Standing::Over(outcome) = standing
            && outcome != Outcome::Success
        {
            // Judged before its end: what the server still says is wanted by nobody.
            cx.effects.push(Effect::Abort {
                attempt: super::effects::number(number),
            });
        }
        self.on_standing(cx, number, standing);
    }

    /// A whole answer.
    pub fn on_whole(&mut self, cx: &mut Cx<'_>, number: u32, body: &[u8]) {
        if self.dispatch.is_finished() {
            return;
        }
        let for_stream = self.peek.stream;
        let Some((number, attempt)) = self.attempt(number) else {
            return;
        };
        let outcome = if for_stream {
            attempt.whole_for_stream(body)
        } else {
            attempt.whole(body)
        };
        let event = attempt.ended(number, outcome);
        self.hear(cx, event);
    }

    /// The end of a stream, or of a connection.
    pub fn on_body_end(&mut self, cx: &mut Cx<'_>, number: u32, end: BodyEnd) {
        let committed = self.committed;
        if self.dispatch.is_finished() {
            return;
        }
        let Some((number, attempt)) = self.attempt(number) else {
            return;
        };
        let standing = match end {
            BodyEnd::TooLarge => Standing::Over(Outcome::Failure {
                kind: FailureKind::InvalidAnswer,
            }),
            BodyEnd::Eof | BodyEnd::Broken => attempt.end(end),
        };
        if committed == Some(number) {
            self.write_held(cx, number);
        }
        self.on_standing(cx, number, standing);
    }

    /// The timer rang.
    pub fn on_wake(&mut self, cx: &mut Cx<'_>, reading: bool) {
        self.wake_at = None;
        if let Some(attempt) = self.committed.filter(|_| !reading) {
            // Nobody waits for the server: the client is the slow one.
            let _ = self.dispatch.handle(cx.now, Event::Progress { attempt });
        }
        if !reading && self.committed.is_none() {
            self.still_sending(cx);
        }
        let effects = self.dispatch.handle_timeout(cx.now);
        self.run(cx, effects);
    }

    /// The client went away.
    pub fn on_client_left(&mut self, cx: &mut Cx<'_>) {
        // Nobody reads what would still be written.
        self.pressed = true;
        self.error = Some(CLIENT_LEFT_CODE.to_owned());
        self.hear(cx, Event::ClientLeft);
    }

    fn on_standing(&mut self, cx: &mut Cx<'_>, number: usize, standing: Standing) {
        match standing {
            Standing::Waiting if self.committed == Some(number) => {
                let _ = self
                    .dispatch
                    .handle(cx.now, Event::Progress { attempt: number });
            }
            Standing::Waiting => {}
            Standing::Speaking if self.committed == Some(number) => {
                let _ = self
                    .dispatch
                    .handle(cx.now, Event::Progress { attempt: number });
            }
            Standing::Speaking => self.hear(cx, Event::Ready { attempt: number }),
            Standing::Over(outcome) => self.on_over(cx, number, outcome),
        }
    }

    /// The body is not needed any further: a host may still drain a few bytes to keep the connection.
    fn on_over(&mut self, cx: &mut Cx<'_>, number: usize, outcome: Outcome) {
        if self.committed.is_none() && outcome != Outcome::Success {
            self.keep_error(number, matches!(outcome, Outcome::ClientError(_)));
        }
        let Some(attempt) = self.attempts.get(number) else {
            return;
        };
        let event = attempt.ended(number, outcome);
        self.hear(cx, event);
    }

    /// An error that came as an event of the stream, before anything was sent, is answered as JSON.
    fn keep_error(&mut self, number: usize, client_fault: bool) {
        let Some(attempt) = self.attempts.get_mut(number) else {
            return;
        };
        attempt.held = Vec::new();
        if attempt.error.is_none() {
            attempt.error = attempt.stream_error(client_fault);
        }
    }

    fn write_held(&mut self, cx: &mut Cx<'_>, number: usize) {
        let Some(attempt) = self.attempts.get_mut(number) else {
            return;
        };
        let held = std::mem::take(&mut attempt.held);
        if !held.is_empty() {
            self.output.extend_from_slice(&held);
            cx.effects.push(Effect::Write);
        }
    }

    /// What rode on a call that was lost: it may have arrived, and the object takes each of it once.
    pub(super) fn send_again(&mut self, cx: &mut Cx<'_>, slot: usize, riding: Turnover) {
        let Some(instance) = self.instance(slot) else {
            return;
        };
        for settled in riding.settled {
            cx.shared.outbox.settle(&instance, settled, cx.now);
        }
        for request in riding.cancelled {
            cx.shared.outbox.cancel(&instance, &request, cx.now);
        }
        for request in riding.renewed {
            cx.shared.outbox.renew(&instance, &request, cx.now);
        }
    }

    /// The same for what rode to a key.
    pub(super) fn settle_key_again(&mut self, cx: &mut Cx<'_>, riding: Vec<KeySettled>) {
        let key = self.caller.limits_object();
        for settled in riding {
            cx.shared.outbox.settle_key(&key, settled, cx.now);
        }
    }

    fn attempt(&mut self, number: u32) -> Option<(usize, &mut super::Attempt)> {
        let number = usize::try_from(number).ok()?;
        Some((number, self.attempts.get_mut(number)?))
    }
}

const fn refusal(denied: &DeniedWire) -> Refusal {
    match denied {
        DeniedWire::Ejected { .. } => Refusal::Ejected,
        DeniedWire::CoolingDown { .. } => Refusal::CoolingDown,
        DeniedWire::Unhealthy { .. } | DeniedWire::Draining | DeniedWire::NotRegistered => {
            Refusal::OutOfService
        }
        DeniedWire::Busy { score } => Refusal::Busy { score: *score },
        DeniedWire::QueueFull { .. } | DeniedWire::QueueTimeout => Refusal::Full,
        DeniedWire::RetryBudgetSpent => Refusal::RetryBudgetSpent,
        DeniedWire::DeadlineTooShort => Refusal::TooLate,
        DeniedWire::PanicSpent { .. } => Refusal::PanicSpent,
    }
}

/// A refusal in words, for the client's error and for people.
fn words(denied: &DeniedWire) -> String {
    match denied {
        DeniedWire::Ejected { reason, .. } => format!("the breaker took it out after {reason}"),
        DeniedWire::CoolingDown { .. } => "it asked for a pause".to_owned(),
        DeniedWire::Unhealthy { reason, .. } => format!("its health checks fail with {reason}"),
        DeniedWire::Draining => "it is being drained".to_owned(),
        DeniedWire::Busy { .. } | DeniedWire::QueueFull { .. } => "it is full".to_owned(),
        DeniedWire::QueueTimeout => "no slot came free in time".to_owned(),
        DeniedWire::RetryBudgetSpent => "retries have used up their share".to_owned(),
        DeniedWire::DeadlineTooShort => "the time left is too short".to_owned(),
        DeniedWire::PanicSpent { .. } => {
            "the breaker took it out and this second's trial is taken".to_owned()
        }
        DeniedWire::NotRegistered => "it is not set up yet".to_owned(),
    }
}
