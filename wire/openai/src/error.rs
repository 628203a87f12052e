//! OpenAI's error envelope and the closed list of codes that the gateway itself speaks.
//!
//! Invariant: an envelope always renders as `{"error":{"message","type","param","code"}}`, all four
//! keys present, because the official SDKs choose their exception by status and read these four.
//! Source of the shape: <https://platform.openai.com/docs/guides/error-codes>.
//! Out of scope: response headers (`Retry-After`, `x-should-retry`), which depend on what was tried.

use std::borrow::Cow;

use serde::Serialize;

use crate::endpoint::ErrorDialect;

/// What a gateway error is, as clients can match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The body is not JSON, not UTF-8 or not an object.
    InvalidJson,
    /// The body nests too deep.
    JsonTooDeep,
    /// The body is not a multipart form, or not one that everybody reads alike.
    InvalidMultipart,
    /// A parameter that must be there is not.
    MissingParameter,
    /// A parameter has the wrong type.
    InvalidType,
    /// A parameter has a type that fits and a value that does not.
    InvalidValue,
    /// A parameter stands twice, so that two parsers may read two values.
    DuplicateParameter,
    /// The prompt does not fit the model.
    ContextLengthExceeded,
    /// No key, or one that nobody issued.
    InvalidApiKey,
    /// None of a webhook's signatures is ours.
    InvalidSignature,
    /// What is asked for would cost more than a budget has left.
    BudgetExceeded,
    /// The key is good and may not do this.
    InsufficientPermissions,
    /// No such model, or none that this key may see.
    ModelNotFound,
    /// No such route or record.
    NotFound,
    /// The route exists, the method does not.
    MethodNotAllowed,
    /// The client fell silent in the middle of its body.
    UploadStalled,
    /// The response to go on from is nowhere, or not where this key may look.
    PreviousResponseNotFound,
    /// The model's server does not have this route.
    EndpointNotSupported,
    /// The request contradicts what is stored.
    Conflict,
    /// What was asked for was here, and nobody waits for it any more.
    Gone,
    /// Nothing that fits can be rented now.
    NoOffer,
    /// The body is over the limit.
    RequestTooLarge,
    /// An earlier request with this idempotency key still runs.
    IdempotencyInProgress,
    /// What the earlier request with this idempotency key was answered is not kept any more.
    IdempotencyReplyErased,
    /// The URL is over the limit.
    UriTooLong,
    /// The body is compressed.
    UnsupportedEncoding,
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// The headers are over the limit.
    HeadersTooLarge,
    /// Understood and refused.
    Unprocessable,
    /// The key has used up its window.
    RateLimitExceeded,
    /// The key has used up its money or tokens.
    InsufficientQuota,
    /// Every server is busy and its queue is full.
    ServersBusy,
    /// No server of this model can take requests.
    NoHealthyServer,
    /// The gateway lacks the state it needs to decide.
    GatewayUnavailable,
    /// A fault of the gateway's own.
    InternalError,
    /// The server reported an error.
    UpstreamError,
    /// The server's answer is not what the protocol asks for.
    UpstreamInvalidAnswer,
    /// The server refused the key that the gateway holds for it.
    UpstreamRefusedKey,
    /// The server pointed elsewhere; redirects are never followed.
    UpstreamRedirected,
    /// A vendor of GPUs did not do what it was asked.
    VendorError,
    /// The connection broke or was never made.
    UpstreamUnreachable,
    /// The stream ended before the answer did.
    UpstreamTruncated,
    /// The server fell silent in the middle.
    UpstreamStalled,
    /// The server did not answer in time.
    UpstreamTimeout,
}

impl ErrorCode {
    /// Every code, for tables in documents and tests.
    pub const ALL: [Self; 44] = [
        Self::InvalidJson,
        Self::JsonTooDeep,
        Self::InvalidMultipart,
        Self::MissingParameter,
        Self::InvalidType,
        Self::InvalidValue,
        Self::DuplicateParameter,
        Self::ContextLengthExceeded,
        Self::PreviousResponseNotFound,
        Self::InvalidApiKey,
        Self::InvalidSignature,
        Self::BudgetExceeded,
        Self::InsufficientPermissions,
        Self::ModelNotFound,
        Self::NotFound,
        Self::EndpointNotSupported,
        Self::MethodNotAllowed,
        Self::UploadStalled,
        Self::Conflict,
        Self::NoOffer,
        Self::IdempotencyInProgress,
        Self::IdempotencyReplyErased,
        Self::Gone,
        Self::RequestTooLarge,
        Self::UriTooLong,
        Self::UnsupportedEncoding,
        Self::Unprocessable,
        Self::IdempotencyKeyReused,
        Self::HeadersTooLarge,
        Self::RateLimitExceeded,
        Self::InsufficientQuota,
        Self::ServersBusy,
        Self::NoHealthyServer,
        Self::GatewayUnavailable,
        Self::InternalError,
        Self::UpstreamError,
        Self::UpstreamInvalidAnswer,
        Self::UpstreamRefusedKey,
        Self::UpstreamRedirected,
        Self::VendorError,
        Self::UpstreamUnreachable,
        Self::UpstreamTruncated,
        Self::UpstreamStalled,
        Self::UpstreamTimeout,
    ];

    /// The value of `error.code`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::JsonTooDeep => "json_too_deep",
            Self::InvalidMultipart => "invalid_multipart",
            Self::MissingParameter => "missing_required_parameter",
            Self::InvalidType => "invalid_type",
            Self::InvalidValue => "invalid_value",
            Self::DuplicateParameter => "duplicate_parameter",
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::InvalidApiKey => "invalid_api_key",
            Self::InvalidSignature => "invalid_signature",
            Self::BudgetExceeded => "budget_exceeded",
            Self::InsufficientPermissions => "insufficient_permissions",
            Self::ModelNotFound => "model_not_found",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UploadStalled => "upload_stalled",
            Self::PreviousResponseNotFound => "previous_response_not_found",
            Self::EndpointNotSupported => "endpoint_not_supported",
            Self::Conflict => "conflict",
            Self::IdempotencyInProgress => "idempotency_in_progress",
            Self::IdempotencyReplyErased => "idempotency_reply_erased",
            Self::Gone => "gone",
            Self::NoOffer => "no_offer",
            Self::RequestTooLarge => "request_too_large",
            Self::UriTooLong => "uri_too_long",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::HeadersTooLarge => "headers_too_large",
            Self::Unprocessable => "unprocessable",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::InsufficientQuota => "insufficient_quota",
            Self::ServersBusy => "servers_busy",
            Self::NoHealthyServer => "no_healthy_server",
            Self::GatewayUnavailable => "gateway_unavailable",
            Self::InternalError => "internal_error",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamInvalidAnswer => "upstream_invalid_answer",
            Self::UpstreamRefusedKey => "upstream_refused_key",
            Self::UpstreamRedirected => "upstream_redirected",
            Self::VendorError => "vendor_error",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamTruncated => "upstream_truncated",
            Self::UpstreamStalled => "upstream_stalled",
            Self::UpstreamTimeout => "upstream_timeout",
        }
    }

    /// The HTTP status that goes with the code.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidJson
            | Self::JsonTooDeep
            | Self::InvalidMultipart
            | Self::MissingParameter
            | Self::InvalidType
            | Self::InvalidValue
            | Self::DuplicateParameter
            | Self::ContextLengthExceeded
            | Self::PreviousResponseNotFound => 400,
            Self::InvalidApiKey | Self::InvalidSignature => 401,
            Self::BudgetExceeded => 402,
            Self::InsufficientPermissions => 403,
            Self::ModelNotFound | Self::NotFound | Self::EndpointNotSupported => 404,
            Self::MethodNotAllowed => 405,
            Self::UploadStalled => 408,
            Self::Conflict
            | Self::NoOffer
            | Self::IdempotencyInProgress
            | Self::IdempotencyReplyErased => 409,
            Self::Gone => 410,
            Self::RequestTooLarge => 413,
            Self::UriTooLong => 414,
            Self::UnsupportedEncoding => 415,
            Self::Unprocessable | Self::IdempotencyKeyReused => 422,
            Self::HeadersTooLarge => 431,
            Self::RateLimitExceeded | Self::InsufficientQuota | Self::ServersBusy => 429,
            Self::InternalError => 500,
            Self::UpstreamError
            | Self::UpstreamInvalidAnswer
            | Self::UpstreamRefusedKey
            | Self::UpstreamRedirected
            | Self::VendorError
            | Self::UpstreamUnreachable
            | Self::UpstreamTruncated => 502,
            Self::NoHealthyServer | Self::GatewayUnavailable => 503,
            Self::UpstreamStalled | Self::UpstreamTimeout => 504,
        }
    }

    /// The value of `error.type`.
    pub fn kind(self) -> &'static str {
        kind_for_status(self.status())
    }

    /// An envelope of this code without a parameter.
    pub fn envelope(self, message: impl Into<String>) -> ErrorEnvelope {
        ErrorEnvelope {
            message: message.into(),
            kind: Cow::Borrowed(self.kind()),
            param: None,
            code: Some(Cow::Borrowed(self.as_str())),
        }
    }
}

/// The `error.type` that OpenAI uses for a status.
pub fn kind_for_status(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// One error as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorEnvelope {
    /// What happened, what it means, what to do.
    pub message: String,
    /// The family of the error.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The request field at fault, if one is.
    pub param: Option<Cow<'static, str>>,
    /// The exact error; free text when the server named it.
    pub code: Option<Cow<'static, str>>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a ErrorEnvelope,
}

/// Anthropic's envelope: <https://docs.anthropic.com/en/api/errors>.
#[derive(Serialize)]
struct AnthropicBody<'a> {
    r#type: &'static str,
    error: AnthropicError<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    r#type: &'a str,
    message: &'a str,
}

/// The families of Anthropic's errors that OpenAI does not have.
const ANTHROPIC_ONLY: [&str; 6] = [
    "api_error",
    "billing_error",
    "not_found_error",
    "overloaded_error",
    "request_too_large",
    "timeout_error",
];

impl ErrorEnvelope {
    /// The same error, naming the request field at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The response body.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and nulls always serialize; the empty body is unreachable and still harmless.
        serde_json::to_vec(&Body { error: self }).unwrap_or_default()
    }

    /// The response body in a dialect; `request_id` where the dialect has a place for it.
    pub fn to_json_in(&self, dialect: ErrorDialect, request_id: Option<&str>) -> Vec<u8> {
        match dialect {
            ErrorDialect::OpenAi => self.to_json(),
            ErrorDialect::Anthropic => serde_json::to_vec(&AnthropicBody {
                r#type: "error",
                error: AnthropicError {
                    r#type: self.anthropic_kind(),
                    message: &self.message,
                },
                request_id,
            })
            .unwrap_or_default(),
        }
    }

    /// What a server of that dialect said stays; else the exact code decides, where it is one of ours.
    fn anthropic_kind(&self) -> &str {
        if ANTHROPIC_ONLY.contains(&&*self.kind) {
            return &self.kind;
        }
        let ours = ErrorCode::ALL
            .into_iter()
            .find(|code| Some(code.as_str()) == self.code.as_deref());
        match ours {
            Some(
                ErrorCode::ServersBusy | ErrorCode::NoHealthyServer | ErrorCode::GatewayUnavailable,
            ) => "overloaded_error",
            Some(code) => match code.status() {
                401 => "authentication_error",
                403 => "permission_error",
                404 => "not_found_error",
                413 => "request_too_large",
                429 => "rate_limit_error",
                504 => "timeout_error",
                400..=499 => "invalid_request_error",
                _ => "api_error",
            },
            None => match &*self.kind {
                "server_error" => "api_error",
                kind @ ("authentication_error" | "permission_error" | "rate_limit_error") => kind,
                _ => "invalid_request_error",
            },
        }
    }
}

/// The error as the last event of a stream that has begun. No `[DONE]` may follow it: the SDKs take
/// `[DONE]` for success.
pub fn sse_error_event(envelope: &ErrorEnvelope) -> Vec<u8> {
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(&envelope.to_json());
    event.extend_from_slice(b"\n\n");
    event
}

#[cfg(test)]
mod tests {
    use super::{ErrorCode, ErrorDialect, sse_error_event};

    #[test]
    fn an_envelope_always_has_its_four_keys() {
        let envelope = ErrorCode::ModelNotFound.envelope("No model `x`.");
        assert_eq!(
            String::from_utf8_lossy(&envelope.to_json()),
            r#"{"error":{"message":"No model `x`.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#
        );
    }

    #[test]
    fn an_error_event_is_one_frame_even_when_the_message_has_line_breaks() {
        let event = sse_error_event(&ErrorCode::UpstreamError.envelope("a\n\nb\r"));
        let text = String::from_utf8_lossy(&event);
        assert!(text.starts_with("data: {\"error\":{\"message\":\"a\\n\\nb\\r\""));
        assert_eq!(text.find("\n\n"), Some(text.len() - 2));
    }

    #[test]
    fn anthropics_envelope_has_its_own_types_and_the_requests_id() {
        let busy = ErrorCode::ServersBusy.envelope("Full.");
        assert_eq!(
            String::from_utf8_lossy(&busy.to_json_in(ErrorDialect::Anthropic, Some("req_1"))),
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Full."},"request_id":"req_1"}"#
        );
        assert_eq!(
            busy.to_json_in(ErrorDialect::OpenAi, Some("req_1")),
            busy.to_json()
        );
        let kind = |code: ErrorCode| code.envelope("").anthropic_kind().to_owned();
        assert_eq!(kind(ErrorCode::InvalidApiKey), "authentication_error");
        assert_eq!(kind(ErrorCode::InsufficientPermissions), "permission_error");
        assert_eq!(kind(ErrorCode::ModelNotFound), "not_found_error");
        assert_eq!(kind(ErrorCode::RequestTooLarge), "request_too_large");
        assert_eq!(kind(ErrorCode::RateLimitExceeded), "rate_limit_error");
        assert_eq!(kind(ErrorCode::MissingParameter), "invalid_request_error");
        assert_eq!(kind(ErrorCode::UpstreamTruncated), "api_error");
        assert_eq!(kind(ErrorCode::UpstreamTimeout), "timeout_error");
    }

    #[test]
    fn what_a_server_of_the_dialect_says_stays() {
        for (said, told) in [
            ("overloaded_error", "overloaded_error"),
            ("rate_limit_error", "rate_limit_error"),
            ("server_error", "api_error"),
            ("made_up_error", "invalid_request_error"),
        ] {
            let mut envelope = ErrorCode::UpstreamError.envelope("x");
            (envelope.kind, envelope.code) = (said.into(), None);
            assert_eq!(envelope.anthropic_kind(), told);
        }
    }

    #[test]
    fn codes_are_distinct_and_carry_an_error_status() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        assert!(
            ErrorCode::ALL
                .iter()
                .all(|code| (400..600).contains(&code.status()))
        );
    }
}
