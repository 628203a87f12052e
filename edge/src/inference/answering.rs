//! What the client gets: an answer, an error, the end of a stream that broke; and what is left to say when
//! a request is over.
//!
//! Invariant: a request is answered once; what a stream has begun with, no error replaces.

use tidegate_domain::dispatch::{BreakReason, Failure};
use tidegate_domain::outcome::FailureKind;
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::key::{KeyCommand, KeySettled};
use tidegate_wire_openai::{End, ErrorCode};

use super::attempt::is_unserved;
use super::effects::{ms, tell};
use super::{Call, Inference, KeyGate, rate_headers};
use crate::account::{self, Ended};
use crate::api_error::ApiError;
use crate::effect::Effect;
use crate::gateway::{Cx, respond};
use crate::outbox::RIDE_MS;
use crate::request::Response;

/// What an answer is to the client.
enum Sent {
    /// A stream of events.
    Events,
    /// Bytes of this type, as they come.
    Media(String),
    /// One piece of this type.
    Whole(String),
}

/// Requests at once from which on one more for a moment is worth no message of its own.
const ROOMY: u32 = 16;

impl Inference {
    pub(super) fn commit(&mut self, cx: &mut Cx<'_>, number: usize) {
        self.committed = Some(number);
        // No other server will be sent it; a stream may run for half an hour.
        self.forget_body(cx);
        let server_id = self
            .attempts
            .get(number)
            .and_then(|attempt| self.instance(attempt.slot));
        let limits = self.rate_headers();
        let Some(attempt) = self.attempts.get_mut(number) else {
            return;
        };
        if let Some((status, envelope)) = attempt.error.take() {
            let mut response = Response::error(status, envelope);
            if let Some(id) = server_id.as_ref().and_then(ObjectName::tail) {
                response = response.with_header("x-gateway-server-id", id);
            }
            self.respond_with(cx, response);
            return;
        }
        let mut headers = std::mem::take(&mut attempt.response_headers);
        let held = std::mem::take(&mut attempt.held);
        let sent = if let Some(media_type) = attempt.media_type() {
            Sent::Media(media_type.to_owned())
        } else if self.peek.stream || attempt.reads_events() {
            Sent::Events
        } else {
            Sent::Whole(attempt.whole_type().to_owned())
        };
        let is_stream = !matches!(sent, Sent::Whole(_));
        self.is_unmarked = matches!(sent, Sent::Media(_));
        let is_events = matches!(sent, Sent::Events);
        headers
            .retain(|(name, _)| name != "content-type" && (!is_events || name != "cache-control"));
        let content_type = match sent {
            Sent::Events => {
                headers.push(("cache-control".to_owned(), "no-cache".to_owned()));
                "text/event-stream; charset=utf-8".to_owned()
            }
            Sent::Media(media_type) | Sent::Whole(media_type) => media_type,
        };
        headers.push(("content-type".to_owned(), content_type));
        headers.extend(limits);
        headers.push(("x-request-id".to_owned(), cx.request_id.to_owned()));
        if let Some(id) = server_id.as_ref().and_then(ObjectName::tail) {
            headers.push(("x-gateway-server-id".to_owned(), id.to_owned()));
        }
        self.answered = true;
        self.status = 200;
        self.output.extend_from_slice(&held);
        if is_stream {
            self.first_token = Some(cx.now.since(self.arrived_at));
            self.open = true;
            cx.effects.push(Effect::Open { headers });
            cx.effects.push(Effect::Write);
        } else {
            cx.effects.push(Effect::Respond {
                status: 200,
                headers,
                body: None,
            });
        }
    }

    pub(super) fn fail(&mut self, cx: &mut Cx<'_>, failure: &Failure) {
        if let (
            Failure::KeyDenied,
            KeyGate::Denied {
                limit,
                retry_after_ms,
                never_fits,
                ..
            },
        ) = (failure, &self.key)
        {
            if *never_fits {
                let message = format!(
                    "This request alone is more than the key's limit of {limit}. Ask for fewer `max_tokens`, or for a higher limit."
                );
                self.respond_error(
                    cx,
                    ApiError::new(ErrorCode::RateLimitExceeded, message).do_not_retry(),
                );
                return;
            }
            let message = match (&self.caller.visitor, limit.as_str()) {
                (None, _) => format!(
                    "This key is over its limit of {limit}. Wait as long as `Retry-After` says, or ask for a higher limit."
                ),
                (Some(_), "visitors") => "Too many callers without a key are here at the moment. Wait as long as `Retry-After` says, or send a key.".to_owned(),
                (Some(_), _) => format!(
                    "This address is over the limit of {limit} for callers without a key. Wait as long as `Retry-After` says, or send a key."
                ),
            };
            let error = ApiError::new(ErrorCode::RateLimitExceeded, message)
                .retry_after(Some(super::span(*retry_after_ms)));
            self.respond_error(cx, error);
            return;
        }
        let failure = match (failure, &self.key) {
            // That nobody can count does not mean that the key is over its limit.
            (Failure::KeyDenied, KeyGate::Unreachable) => &Failure::Unreachable,
            _ => failure,
        };
        // What the last server said is worth more to the client than that it failed.
        let said = self
            .attempts
            .iter_mut()
            .rev()
            .find_map(|attempt| attempt.error.take());
        let reasons = match &self.refusal {
            Some(reason) => format!(": {reason}"),
            None => String::new(),
        };
        let error = ApiError::from_failure(failure, &self.peek.model, &reasons);
        match said {
            // A server lacks the route, and no other could be asked.
            Some(said @ (status, _)) if is_unserved(&said) => match failure {
                Failure::NoServer { .. } => {
                    self.respond_with(cx, Response::error(status, said.1));
                }
                _ => self.respond_error(cx, error),
            },
            Some((status, envelope)) if matches!(failure, Failure::Upstream { .. }) => {
                let told = Response::error(status, envelope);
                let headers = error.into_response().headers;
                self.respond_with(cx, Response { headers, ..told });
            }
            _ => self.respond_error(cx, error),
        }
    }

    pub(super) fn respond_error(&mut self, cx: &mut Cx<'_>, error: ApiError) {
        self.respond_with(cx, error.into_response());
    }

    fn respond_with(&mut self, cx: &mut Cx<'_>, mut response: Response) {
        if self.answered {
            return;
        }
        self.answered = true;
        self.status = response.status;
        self.error = response.error_code();
        response.headers.extend(self.rate_headers());
        cx.effects.push(respond(cx.head, cx.request_id, response));
    }

    /// The answer has begun and cannot go on: an error event, no `[DONE]`, and the end.
    pub(super) fn break_off(&mut self, cx: &mut Cx<'_>, number: usize, reason: BreakReason) {
        let Some(attempt) = self.attempts.get_mut(number) else {
            return;
        };
        let (end, code) = match reason {
            BreakReason::Upstream(FailureKind::Stalled) => {
                (End::Stalled, ErrorCode::UpstreamStalled)
            }
            BreakReason::Upstream(FailureKind::InvalidAnswer) => {
                (End::TransportError, ErrorCode::UpstreamInvalidAnswer)
            }
            BreakReason::Upstream(_) => (End::TransportError, ErrorCode::UpstreamTruncated),
            BreakReason::Total => (End::TotalTimeout, ErrorCode::UpstreamTimeout),
        };
        self.is_broken = true;
        self.error = Some(code.as_str().to_owned());
        attempt.cut(end);
        let held = std::mem::take(&mut attempt.held);
        if !held.is_empty() {
            self.output.extend_from_slice(&held);
            cx.effects.push(Effect::Write);
        }
    }

    pub(super) fn finish(&mut self, cx: &mut Cx<'_>) {
        if self.open {
            self.open = false;
            // Events say for themselves that they are not all; sound does not.
            cx.effects.push(if self.is_broken && self.is_unmarked {
                Effect::Break
            } else {
                Effect::Close
            });
        }
        if self.key != KeyGate::Unlimited {
            let used = self.tokens.0.saturating_add(self.tokens.1);
            let refund = self.attempts.is_empty();
            let request = cx.request_id.to_owned();
            let key = self.caller.limits_object();
            let visitor = self.caller.visitor_tag();
            // A place among few is wanted at once, perhaps through another isolate.
            let limits = self.caller.key.limits;
            let is_roomy = limits.concurrency.is_none_or(|most| most >= ROOMY);
            if is_roomy && !refund {
                let settled = KeySettled {
                    request,
                    used_tokens: used,
                    visitor,
                };
                cx.shared.outbox.settle_key(&key, settled, cx.now);
            } else {
                let message = KeyCommand::Settle {
                    request,
                    used_tokens: used,
                    refund,
                    visitor,
                };
                tell(cx, key, &message);
            }
        }
        let server = self.committed.and_then(|number| self.attempts.get(number));
        let server = server.and_then(|attempt| self.instance(attempt.slot));
        let ended = Ended {
            status: self.status,
            error: self.error.take(),
            server: server
                .as_ref()
                .and_then(ObjectName::tail)
                .map(str::to_owned),
            attempts: self.dispatch.attempts(),
            first_token_ms: self.first_token.map(ms),
            tokens: self.tokens,
            cost_microusd: self.cost_nanousd.saturating_add(500) / 1_000,
        };
        account::close(cx, ended);
        // Nobody will hear whether calls that are still out arrive.
        for call in std::mem::take(&mut self.calls).into_values() {
            match call {
                Call::Ask { slot, riding } => self.send_again(cx, slot, riding),
                Call::Key { riding } => self.settle_key_again(cx, riding),
                Call::Wait => {}
            }
        }
        self.flush(if self.pressed { 0 } else { RIDE_MS });
        if let Some(ms) = self.flush_within.take() {
            if ms == 0 {
                cx.shared.outbox.hurry();
            }
            cx.effects.push(Effect::FlushAfter { ms });
        }
        cx.effects.push(Effect::Done);
    }

    /// OpenAI's own headers, which its SDKs read.
    fn rate_headers(&self) -> Vec<(String, String)> {
        match &self.key {
            KeyGate::Allowed(windows) => rate_headers::lines(windows, None),
            KeyGate::Denied {
                windows,
                limit,
                retry_after_ms,
                never_fits,
            } => {
                let pause = (!never_fits).then_some((limit.as_str(), *retry_after_ms));
                rate_headers::lines(windows, pause)
            }
            KeyGate::Unlimited | KeyGate::Asked | KeyGate::Unreachable => Vec::new(),
        }
    }
}
