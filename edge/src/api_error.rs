//! The one error type of the edge, and the only place that turns refusals into HTTP.
//!
//! One envelope for all routes, OpenAI's: the admin API is used with the same clients and the same eyes.
//! `docs/status-codes.md` says who does what on each.

use tidegate_domain::dispatch::Failure;
use tidegate_domain::outcome::FailureKind;
use tidegate_domain::time::Span;
use tidegate_wire_openai::{BadRequest, ErrorCode, ErrorEnvelope};

use crate::flow::{BodyTooLarge, Unanswered};
use crate::request::Response;

/// `Retry-After` above which an SDK should not wait by itself: its users would see a hang.
const PATIENCE: Span = Span::from_secs(120);

/// An error on its way to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    envelope: Box<ErrorEnvelope>,
    status: u16,
    retry_after: Option<Span>,
    retry: Retry,
    /// The methods that would have been right.
    allow: Option<String>,
}

/// What to tell the SDK about trying again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// It decides by the status.
    Default,
    /// Not: the gateway has spent its own tries, so more would multiply them.
    No,
}

impl ApiError {
    /// An error of this code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            envelope: Box::new(code.envelope(message)),
            status: code.status(),
            retry_after: None,
            retry: Retry::Default,
            allow: None,
        }
    }

    /// The same, naming the parameter.
    #[must_use]
    pub fn param(mut self, param: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        *self.envelope = self.envelope.with_param(param);
        self
    }

    /// The same, with a time to come back.
    #[must_use]
    pub const fn retry_after(mut self, retry_after: Option<Span>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// The same, with another status than the code's own.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same, asking the SDK not to try again.
    #[must_use]
    pub const fn do_not_retry(mut self) -> Self {
        self.retry = Retry::No;
        self
    }

    /// The body, to be looked at.
    #[cfg(test)]
    pub const fn envelope(&self) -> &ErrorEnvelope {
        &self.envelope
    }

    /// The answer.
    pub fn into_response(self) -> Response {
        let body = String::from_utf8(self.envelope.to_json()).unwrap_or_default();
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let mut response = Response {
            status: self.status,
            headers,
            body,
        };
        if let Some(after) = self.retry_after {
            response = response
                .with_header("retry-after", after.as_secs_ceil().max(1).to_string())
                .with_header("retry-after-ms", after.as_ms().max(1).to_string());
        }
        if let Some(methods) = self.allow {
            response = response.with_header("allow", methods);
        }
        let too_long = self.retry_after.is_some_and(|after| after > PATIENCE);
        if self.retry == Retry::No || too_long {
            response = response.with_header("x-should-retry", "false");
        }
        response
    }

    /// No such path.
    pub fn no_route(path: &str) -> Self {
        Self::new(
            ErrorCode::NotFound,
            format!("There is no route `{path}`. See the README for the routes."),
        )
    }

    /// The path exists, not with this method. A 405 says which it has (RFC 9110 §15.5.6).
    pub fn method(allowed: String) -> Self {
        let refused = Self::new(
            ErrorCode::MethodNotAllowed,
            format!("This route answers {allowed}."),
        );
        Self {
            allow: Some(allowed),
            ..refused
        }
    }

    /// A dispatch that ended without an answer; `model` is what the client asked for.
    pub fn from_failure(failure: &Failure, model: &str, reasons: &str) -> Self {
        match failure {
            Failure::KeyDenied => {
                Self::new(ErrorCode::RateLimitExceeded, "This key is over one of its limits.")
            }
            Failure::NoServer { retry_after } => Self::new(
                ErrorCode::NoHealthyServer,
                format!("No server of `{model}` is in service{reasons}. Look at GET /admin/servers."),
            )
            .retry_after(*retry_after),
            Failure::Busy { retry_after } => Self::new(
                ErrorCode::ServersBusy,
                format!("Every server of `{model}` is full, and so are their queues. Come back in a moment."),
            )
            .retry_after(Some(retry_after.unwrap_or(Span::from_secs(2)))),
            Failure::Backpressure { status, retry_after } => Self::new(
                ErrorCode::ServersBusy,
                format!("The servers of `{model}` asked for a pause."),
            )
            .status(*status)
            .retry_after(Some(retry_after.unwrap_or(Span::from_secs(2))))
            .do_not_retry_if(*status != 429),
            Failure::Upstream { last, attempts } => Self::new(
                upstream_code(*last),
                format!("`{model}` could not answer: {last} after {}.", tries(*attempts)),
            )
            .do_not_retry(),
            Failure::TimedOut { attempts } => Self::new(
                ErrorCode::UpstreamTimeout,
                format!("`{model}` did not answer in time ({}).", tries(*attempts)),
            )
            .do_not_retry(),
            Failure::Unreachable => Self::new(
                ErrorCode::GatewayUnavailable,
                "The gateway's own state could not be reached. Nothing was sent to a server; try again.",
            )
            .retry_after(Some(Span::from_secs(1))),
        }
    }

    const fn do_not_retry_if(self, spent: bool) -> Self {
        if spent { self.do_not_retry() } else { self }
    }
}

fn tries(attempts: u32) -> String {
    if attempts == 1 {
        "1 attempt".to_owned()
    } else {
        format!("{attempts} attempts")
    }
}

const fn upstream_code(kind: FailureKind) -> ErrorCode {
    match kind {
        FailureKind::Http5xx(_) => ErrorCode::UpstreamError,
        FailureKind::Transport => ErrorCode::UpstreamUnreachable,
        FailureKind::Timeout => ErrorCode::UpstreamTimeout,
        FailureKind::Stalled => ErrorCode::UpstreamStalled,
        FailureKind::CutStream => ErrorCode::UpstreamTruncated,
        FailureKind::InvalidAnswer => ErrorCode::UpstreamInvalidAnswer,
    }
}

impl From<Unanswered> for ApiError {
    fn from(_: Unanswered) -> Self {
        Self::new(
            ErrorCode::GatewayUnavailable,
            "The gateway's own state could not be reached, so nothing was decided. Try again.",
        )
        .retry_after(Some(Span::from_secs(1)))
    }
}

impl From<BodyTooLarge> for ApiError {
    fn from(refused: BodyTooLarge) -> Self {
        let limit = refused.limit;
        Self::new(
            ErrorCode::RequestTooLarge,
            format!("The body is larger than {limit} bytes. Send less."),
        )
    }
}

impl From<BadRequest> for ApiError {
    fn from(refused: BadRequest) -> Self {
        let status = refused.code().status();
        Self {
            envelope: Box::new(refused.envelope()),
            status,
            retry_after: None,
            retry: Retry::Default,
            allow: None,
        }
    }
}
