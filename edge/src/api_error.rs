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

/// The code under which an error is logged and counted: the gateway's own, and for whatever a server calls
/// its errors one for all.
pub fn own_code(code: Option<&str>) -> &'static str {
    ErrorCode::ALL
        .into_iter()
        .map(ErrorCode::as_str)
        .find(|own| Some(*own) == code)
        .unwrap_or(ErrorCode::UpstreamError.as_str())
}

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
    /// It decides by the status: OpenAI's repeat 408, 409, 429 and 5xx.
    Default,
    /// It should, whatever it makes of the status.
    Yes,
    /// Not: the gateway has spent its own tries and more would multiply them, or the same again would be
    /// refused again.
    No,
}

/// How a code is answered where nothing more is known: when to come back, and whether to try again.
/// `docs/status-codes.md` has the same table.
const fn advice(code: ErrorCode) -> (Option<Span>, Retry) {
    match code {
        // Objects are back within a second, or it lasts.
        ErrorCode::GatewayUnavailable => (Some(Span::from_secs(1)), Retry::Default),
        // About as long as an answer takes.
        ErrorCode::ServersBusy => (Some(Span::from_secs(2)), Retry::Default),
        ErrorCode::IdempotencyInProgress => (Some(Span::from_secs(1)), Retry::Yes),
        ErrorCode::Conflict
        | ErrorCode::NoOffer
        | ErrorCode::BudgetExceeded
        | ErrorCode::VendorError
        | ErrorCode::IdempotencyReplyErased
        | ErrorCode::NoHealthyServer
        | ErrorCode::InsufficientQuota
        | ErrorCode::UpstreamError
        | ErrorCode::UpstreamInvalidAnswer
        | ErrorCode::UpstreamRefusedKey
        | ErrorCode::UpstreamRedirected
        | ErrorCode::UpstreamUnreachable
        | ErrorCode::UpstreamTruncated
        | ErrorCode::UpstreamStalled
        | ErrorCode::UpstreamTimeout => (None, Retry::No),
        // 4xx, which no SDK repeats (but 408); a limit, which knows when it ends; a fault, which may not come
        // again.
        _ => (None, Retry::Default),
    }
}

impl ApiError {
    /// An error of this code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::of(code, code.envelope(message))
    }

    /// An error of this code that has been put into words.
    pub fn of(code: ErrorCode, envelope: ErrorEnvelope) -> Self {
        let (retry_after, retry) = advice(code);
        Self {
            envelope: Box::new(envelope),
            status: code.status(),
            retry_after,
            retry,
            allow: None,
        }
    }

    /// A stream was asked for where there is none.
    pub fn no_stream(path: &str) -> Self {
        let message = format!("`stream` is not for {path}: its answer is one piece.");
        Self::new(ErrorCode::InvalidValue, message).param("stream")
    }

    /// The same, naming the parameter.
    #[must_use]
    pub fn param(mut self, param: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        *self.envelope = self.envelope.with_param(param);
        self
    }

    /// The same, with a time to come back: then trying again is of use.
    #[must_use]
    pub const fn retry_after(mut self, retry_after: Option<Span>) -> Self {
        if let Some(after) = retry_after {
            self.retry_after = Some(after);
            if matches!(self.retry, Retry::No) {
                self.retry = Retry::Default;
            }
        }
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
        let mut response = Response::error(self.status, *self.envelope);
        if let Some(after) = self.retry_after {
            response = response
                .with_header("retry-after", after.as_secs_ceil().max(1).to_string())
                .with_header("retry-after-ms", after.as_ms().max(1).to_string());
        }
        if let Some(methods) = self.allow {
            response = response.with_header("allow", methods);
        }
        let too_long = self.retry_after.is_some_and(|after| after > PATIENCE);
        match self.retry {
            _ if too_long => response.with_header("x-should-retry", "false"),
            Retry::No => response.with_header("x-should-retry", "false"),
            Retry::Yes => response.with_header("x-should-retry", "true"),
            Retry::Default => response,
        }
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
            .retry_after(*retry_after),
            Failure::Backpressure { status, retry_after } => Self::new(
                ErrorCode::ServersBusy,
                format!("The servers of `{model}` asked for a pause."),
            )
            .status(*status)
            .retry_after(*retry_after)
            .do_not_retry_if(*status != 429),
            Failure::Upstream { last, attempts } => Self::new(
                upstream_code(*last),
                format!("`{model}` could not answer: {last} after {}.", tries(*attempts)),
            ),
            Failure::TimedOut { attempts } => Self::new(
                ErrorCode::UpstreamTimeout,
                format!("`{model}` did not answer in time ({}).", tries(*attempts)),
            ),
            Failure::Unreachable => Self::new(
                ErrorCode::GatewayUnavailable,
                "The gateway's own state could not be reached. Nothing was sent to a server; try again.",
            ),
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
        Self::of(refused.code(), refused.envelope())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../docs/status-codes.md");

    fn header(response: &Response, name: &str) -> Option<String> {
        let mut found = response.headers.iter().filter(|(key, _)| key == name);
        let value = found.next().map(|(_, value)| value.clone());
        assert_eq!(found.next(), None, "`{name}` twice");
        value
    }

    /// Code, `Retry-After` and `x-should-retry` of each row of the second table.
    fn documented() -> Vec<[String; 3]> {
        let (_, section) = DOCUMENT.split_once("\n## Trying again\n").unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        let row = |line: &str| {
            let cells = line.strip_prefix("| `")?.split('|');
            let mut cells = cells.map(|cell| cell.replace('`', "").trim().to_owned());
            let codes = cells.next()?;
            let (after, retry) = (cells.next()?, cells.next()?);
            let one = |code: &str| [code.trim().to_owned(), after.clone(), retry.clone()];
            Some(codes.split(',').map(one).collect::<Vec<_>>())
        };
        section.lines().filter_map(row).flatten().collect()
    }

    #[test]
    fn the_document_says_of_each_code_whether_to_try_again() {
        let mut expected: Vec<[String; 3]> = ErrorCode::ALL
            .into_iter()
            .map(|code| {
                let response = ApiError::new(code, "").into_response();
                let said = |name| header(&response, name).unwrap_or_else(|| "–".to_owned());
                [
                    code.as_str().to_owned(),
                    said("retry-after"),
                    said("x-should-retry"),
                ]
            })
            .collect();
        let mut documented = documented();
        expected.sort_unstable();
        documented.sort_unstable();
        assert_eq!(documented, expected);
    }

    #[test]
    fn a_pause_is_told_in_whole_seconds_and_in_milliseconds() {
        let of = |ms: i64| {
            let error = ApiError::new(ErrorCode::RateLimitExceeded, "");
            let response = error.retry_after(Some(Span::from_ms(ms))).into_response();
            [
                header(&response, "retry-after"),
                header(&response, "retry-after-ms"),
                header(&response, "x-should-retry"),
            ]
            .map(Option::unwrap_or_default)
        };
        assert_eq!(of(0), ["1", "1", ""]);
        assert_eq!(of(1_001), ["2", "1001", ""]);
        assert_eq!(of(120_000), ["120", "120000", ""]);
        assert_eq!(
            of(120_001),
            ["121", "120001", "false"],
            "nobody waits that long"
        );
    }

    #[test]
    fn a_time_to_come_back_makes_trying_again_worth_it() {
        let error = ApiError::new(ErrorCode::NoHealthyServer, "");
        let response = error.clone().into_response();
        assert_eq!(
            header(&response, "x-should-retry").as_deref(),
            Some("false")
        );
        let response = error.clone().retry_after(None).into_response();
        assert_eq!(
            header(&response, "x-should-retry").as_deref(),
            Some("false")
        );
        let response = error.retry_after(Some(Span::from_secs(5))).into_response();
        assert_eq!(header(&response, "x-should-retry"), None);
        assert_eq!(header(&response, "retry-after").as_deref(), Some("5"));
    }
}
