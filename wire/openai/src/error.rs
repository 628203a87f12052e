//! OpenAI's error envelope and the closed list of codes that the gateway itself speaks.
//!
//! Invariant: an envelope always renders as `{"error":{"message","type","param","code"}}`, all four
//! keys present, because the official SDKs choose their exception by status and read these four.
//! Source of the shape: <https://platform.openai.com/docs/guides/error-codes>.
//! Out of scope: response headers (`Retry-After`, `x-should-retry`), which depend on what was tried.

use std::borrow::Cow;

use serde::Serialize;

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
    /// The request contradicts what is stored.
    Conflict,
    /// The body is over the limit.
    RequestTooLarge,
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
    pub const ALL: [Self; 31] = [
        Self::InvalidJson,
        Self::JsonTooDeep,
        Self::InvalidMultipart,
        Self::MissingParameter,
        Self::InvalidType,
        Self::InvalidValue,
        Self::DuplicateParameter,
        Self::ContextLengthExceeded,
        Self::InvalidApiKey,
        Self::InsufficientPermissions,
        Self::ModelNotFound,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UploadStalled,
        Self::Conflict,
        Self::RequestTooLarge,
        Self::Unprocessable,
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
            Self::InsufficientPermissions => "insufficient_permissions",
            Self::ModelNotFound => "model_not_found",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UploadStalled => "upload_stalled",
            Self::Conflict => "conflict",
            Self::RequestTooLarge => "request_too_large",
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
            | Self::ContextLengthExceeded => 400,
            Self::InvalidApiKey => 401,
            Self::InsufficientPermissions => 403,
            Self::ModelNotFound | Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::UploadStalled => 408,
            Self::Conflict => 409,
            Self::RequestTooLarge => 413,
            Self::Unprocessable => 422,
            Self::RateLimitExceeded | Self::InsufficientQuota | Self::ServersBusy => 429,
            Self::InternalError => 500,
            Self::UpstreamError
            | Self::UpstreamInvalidAnswer
            | Self::UpstreamRefusedKey
            | Self::UpstreamRedirected
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
    use super::{ErrorCode, sse_error_event};

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
