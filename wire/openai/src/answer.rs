//! Plain (non-streaming) answers: what may pass, and what must become an error.
//!
//! Invariant: a 2xx passes only with a JSON object of its endpoint's shape; the SDKs would otherwise
//! return an HTML page as the completion, or `choices=None` for an error sent with 200.
//! Out of scope: headers, retries, and whether the text makes sense.

mod chunks;
#[cfg(test)]
mod tests;

use crate::endpoint::Endpoint;
use crate::error::{ErrorCode, ErrorEnvelope};
use crate::members::{walk_list, walk_object};
use crate::nesting::{MAX_DEPTH, deeper_than};
use crate::upstream_error::{self, Normalised};
use crate::usage::Usage;

pub use chunks::chunks_from_answer;

/// What to do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Sound: send it on.
    Pass {
        /// The tokens reported, if any were.
        usage: Option<Usage>,
        /// The body to send in place of the server's, when bytes of it had to be mended (a byte order
        /// mark, broken UTF-8 inside the text).
        mended: Option<Vec<u8>>,
    },
    /// An error, now in OpenAI's envelope.
    Error {
        /// The status for the client.
        status: u16,
        /// The body for the client.
        envelope: ErrorEnvelope,
        /// The request is at fault whatever status the server gave: the breaker must not count it.
        client_fault: bool,
    },
}

impl From<Normalised> for Answer {
    fn from(error: Normalised) -> Self {
        Self::Error {
            status: error.status,
            envelope: error.envelope,
            client_fault: error.client_fault,
        }
    }
}

/// Judges a whole answer by its status, content type and body.
pub fn read_answer(
    endpoint: Endpoint,
    status: u16,
    content_type: Option<&str>,
    body: &[u8],
) -> Answer {
    if !(200..300).contains(&status) {
        return upstream_error::read_body(status, body).into();
    }
    let text = String::from_utf8_lossy(body);
    let sound = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mended = (sound.as_bytes() != body).then(|| sound.as_bytes().to_vec());
    match read_shape(endpoint, sound) {
        Shape::Sound { usage } => Answer::Pass { usage, mended },
        Shape::Error => upstream_error::read_body(status, sound.as_bytes()).into(),
        Shape::Rubbish => invalid_answer(content_type, body).into(),
    }
}

enum Shape {
    Sound { usage: Option<Usage> },
    Error,
    Rubbish,
}

fn read_shape(endpoint: Endpoint, text: &str) -> Shape {
    if deeper_than(text.as_bytes(), MAX_DEPTH) {
        return Shape::Rubbish;
    }
    let list_name = match endpoint {
        Endpoint::Chat | Endpoint::Completions => "choices",
        _ => "data",
    };
    let (mut usage, mut list, mut says_error, mut has_detail) = (None, None, false, false);
    let walked = walk_object(text, |member| {
        let raw = member.value.get();
        match &*member.name {
            "usage" => usage = Usage::read(raw),
            "error" => says_error = !matches!(raw, "null" | "false" | "\"\""),
            "object" => says_error |= raw == r#""error""#,
            "detail" => has_detail = raw != "null",
            name if name == list_name => list = Some(raw),
            _ => {}
        }
    });
    let has_list = list.is_some_and(is_list_of_objects);
    match walked {
        Err(_) => Shape::Rubbish,
        Ok(()) if says_error || (has_detail && !has_list) => Shape::Error,
        Ok(()) if has_list => Shape::Sound { usage },
        Ok(()) => Shape::Rubbish,
    }
}

/// At least one: every SDK example reads `choices[0]`.
fn is_list_of_objects(raw: &str) -> bool {
    let (mut any, mut all) = (false, true);
    let walked = walk_list(raw, |item| {
        any = true;
        all &= item.get().starts_with('{');
    });
    walked.is_ok() && any && all
}

/// Says what was received instead of an answer without repeating it: pages may name inner hosts.
fn invalid_answer(content_type: Option<&str>, body: &[u8]) -> Normalised {
    let what = match content_type {
        _ if body.iter().all(u8::is_ascii_whitespace) => "an empty body",
        Some(kind) if is_type(kind, "text/html") => "an HTML page",
        Some(kind) if is_type(kind, "text/event-stream") => "an event stream",
        _ if body.trim_ascii_start().starts_with(b"<") => "an HTML page",
        _ if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() => {
            "JSON of another shape"
        }
        _ => "something that is not JSON",
    };
    let message = format!(
        "The model server sent {what} where an answer was expected. Send the request again; if it persists, whoever runs the gateway should check the server's address."
    );
    upstream_error::found(ErrorCode::UpstreamInvalidAnswer, &message)
}

fn is_type(content_type: &str, wanted: &str) -> bool {
    let bare = content_type.split(';').next().unwrap_or_default();
    bare.trim().eq_ignore_ascii_case(wanted)
}
