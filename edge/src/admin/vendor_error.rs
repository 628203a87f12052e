//! What a vendor would not do, for people.
//!
//! Invariant: the vendor's own words are passed on as they were kept (cut, on one line), beside what they mean
//! and who has to do something about it.

use serde_json::{Value, json};
use tidegate_domain::time::Span;
use tidegate_provider_api::{ErrorKind, ProviderError};
use tidegate_wire_openai::ErrorCode;

use crate::api_error::ApiError;

/// An error as a part of an answer.
pub fn view(error: &ProviderError) -> Value {
    json!({
        "kind": error.kind.as_str(),
        "operation": error.operation,
        "code": error.code,
        "message": error.words,
        "http_status": error.http_status,
        "retry_after_seconds": error.retry_after_ms.map(|ms| ms.div_ceil(1000)),
        "advice": advice(error.kind),
    })
}

/// An error as the answer.
pub fn refusal(title: &str, error: &ProviderError) -> ApiError {
    let wait = error
        .retry_after_ms
        .and_then(|ms| i64::try_from(ms).ok())
        .map(Span::from_ms);
    ApiError::new(
        ErrorCode::VendorError,
        format!("{title}: {error}. {}", advice(error.kind)),
    )
    .retry_after(wait)
}

/// Who has to do something about it.
const fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Auth => {
            "The credential is refused or may not do this: test the account, then give it the missing \
             permission or rotate the credential."
        }
        ErrorKind::Quota => {
            "A limit or the balance of the account is used up: raise it at the vendor."
        }
        ErrorKind::Capacity => {
            "The vendor has none of these now: take another offer, or try later."
        }
        ErrorKind::Network => "The vendor did not answer in a way that can be read: try again.",
        ErrorKind::Runtime => "The machine itself is broken: give it back and launch another.",
        ErrorKind::Validation => {
            "The vendor cannot do what was asked: look at the account's settings and the profile."
        }
        ErrorKind::RateLimited => "The vendor was asked too often: try again in a moment.",
        ErrorKind::NotFound => "The vendor knows no such thing (any more).",
    }
}
