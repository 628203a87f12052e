//! RunPod's `application/problem+json`. Texts are the documented ones where there are such.

use serde_json::json;

use crate::http::Answer;

/// What a create answers when nothing is to be had; there is no code for it, only this text.
pub const NO_CAPACITY: &str = "There are no longer any instances available with the requested specifications. Please refresh and try again.";

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status.
    pub status: u16,
    /// In words.
    pub detail: String,
    /// One by one, where a body is not as it must be.
    pub errors: Vec<String>,
}

impl Problem {
    /// One with this detail.
    pub fn new(status: u16, detail: &str) -> Self {
        Self {
            status,
            detail: detail.to_owned(),
            errors: Vec::new(),
        }
    }

    /// There is no such thing, or none that this key may see.
    pub fn not_found(what: &str) -> Self {
        Self::new(404, &format!("{what} not found"))
    }

    /// The body is not as it must be.
    pub fn invalid(errors: Vec<String>) -> Self {
        Self {
            errors,
            ..Self::new(422, "Request validation failed.")
        }
    }

    /// As such a status is usually worded.
    pub fn usual(status: u16) -> Self {
        let detail = match status {
            400 => "request could not be processed",
            401 => "invalid bearer token",
            402 => "insufficient balance",
            403 => "access denied",
            404 => "resource not found",
            410 => "this API has been retired",
            413 => "request body too large",
            429 => "rate limit exceeded for the minute window",
            _ => "an unexpected error occurred",
        };
        Self::new(status, detail)
    }

    /// As it is answered.
    pub fn answer(&self) -> Answer {
        let mut body =
            json!({"title": title(self.status), "status": self.status, "detail": self.detail});
        if !self.errors.is_empty() {
            body["errors"] = json!(self.errors);
        }
        Answer::text(self.status, "application/problem+json", body.to_string())
    }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        413 => "Payload Too Large",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Internal Server Error",
    }
}
