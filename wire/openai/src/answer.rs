//! Plain (non-streaming) answers: what may pass, and what must become an error.
//!
//! Invariant: a 2xx passes only with a JSON object of its endpoint's shape; the SDKs would otherwise
//! return an HTML page as the completion, or `choices=None` for an error sent with 200.
//! Out of scope: headers, retries, and whether the text makes sense.

mod chunks;
mod last_event;
mod media;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;

use crate::endpoint::Endpoint;
use crate::error::{ErrorCode, ErrorEnvelope};
use crate::members::{walk_list, walk_object};
use crate::nesting::{MAX_DEPTH, deeper_than};
use crate::upstream_error::{self, Normalised};
use crate::usage::Usage;

pub use chunks::chunks_from_answer;
pub use media::{MediaEnd, MediaReader, MediaStep, TextFormat};
pub use media::{read_instead_of_media, read_transcript};

/// What to do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Sound: send it on.
    Pass {
        /// The tokens reported, if any were.
        usage: Option<Usage>,
        /// The body to send in place of the server's, when bytes of it had to be mended (a byte order
        /// mark, broken UTF-8 inside the text, a stream where none was asked for).
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
        let error = upstream_error::read_body(status, body);
        return unserved(endpoint, status, &error).unwrap_or(error).into();
    }
    let text = String::from_utf8_lossy(body);
    let sound = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let sound = last_event::whole_response(endpoint, sound).unwrap_or(sound);
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

/// What an answer must hold to be one.
enum Wanted {
    /// A list with at least one object: every SDK example reads its first.
    Objects(&'static str),
    /// A list, which may be empty.
    List(&'static [&'static str]),
    /// A text.
    Text(&'static [&'static str]),
    /// A number.
    Number(&'static str),
}

impl Wanted {
    const fn of(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Chat | Endpoint::Completions => Self::Objects("choices"),
            Endpoint::ImagesGenerations | Endpoint::ImagesEdits => Self::Objects("data"),
            // As many as there were inputs, which may be none: that is no fault of the server's.
            Endpoint::Embeddings => Self::List(&["data"]),
            // `data` is the list of a stored response's inputs.
            Endpoint::Responses => Self::List(&["output", "data", "deleted"]),
            Endpoint::Messages => Self::List(&["content"]),
            Endpoint::CountTokens => Self::Number("input_tokens"),
            Endpoint::Rerank => Self::List(&["results"]),
            Endpoint::Moderations => Self::List(&["results"]),
            Endpoint::Tokenize => Self::List(&["tokens"]),
            // vLLM, llama.cpp.
            Endpoint::Detokenize => Self::Text(&["prompt", "content"]),
            Endpoint::Transcriptions | Endpoint::Translations | Endpoint::Speech => {
                Self::Text(&["text"])
            }
        }
    }

    fn is_met_by(&self, name: &str, raw: &str) -> bool {
        match self {
            Self::Objects(wanted) => name == *wanted && is_list_of_objects(raw),
            Self::List(wanted) => {
                wanted.contains(&name)
                    && (raw.starts_with('[') || (name == "deleted" && raw == "true"))
            }
            Self::Text(wanted) => wanted.contains(&name) && raw.starts_with('"'),
            Self::Number(wanted) => name == *wanted && raw.parse::<u64>().is_ok(),
        }
    }
}

fn read_shape(endpoint: Endpoint, text: &str) -> Shape {
    if deeper_than(text.as_bytes(), MAX_DEPTH) {
        return Shape::Rubbish;
    }
    let wanted = Wanted::of(endpoint);
    let (mut usage, mut is_met, mut says_error, mut has_detail) = (None, false, false, false);
    let walked = walk_object(text, |member| {
        let raw = member.value.get();
        is_met |= wanted.is_met_by(&member.name, raw);
        match &*member.name {
            "usage" => usage = Usage::read(raw),
            "error" => says_error = !matches!(raw, "null" | "false" | "\"\""),
            "object" => says_error |= raw == r#""error""#,
            "detail" => has_detail = raw != "null",
            _ => {}
        }
    });
    // A response that failed is told as a response, with its error inside.
    let may_hold_error = endpoint == Endpoint::Responses && is_met;
    match walked {
        Err(_) => Shape::Rubbish,
        Ok(()) if (says_error && !may_hold_error) || (has_detail && !is_met) => Shape::Error,
        Ok(()) if is_met => Shape::Sound { usage },
        Ok(()) => Shape::Rubbish,
    }
}

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

/// A server that lacks the route altogether, which is neither its failure nor the client's: a mount that
/// knows no such path (404, with a message that names nothing), a method (405), an engine that was started
/// without it (501).
fn unserved(endpoint: Endpoint, status: u16, error: &Normalised) -> Option<Normalised> {
    let message = error.envelope.message.to_lowercase();
    let names_nothing = [
        "not found",
        "file not found",
        "404 page not found",
        "not found.",
    ]
    .contains(&message.trim())
        || error.without_message;
    let lacks = match status {
        404 => names_nothing,
        405 | 501 => true,
        _ => false,
    };
    if !lacks {
        return None;
    }
    let path = endpoint.path();
    let why = if status == 501 && !error.without_message {
        format!(" It says: {}", error.envelope.message)
    } else {
        String::new()
    };
    let code = ErrorCode::EndpointNotSupported;
    Some(Normalised {
        client_fault: true,
        ..upstream_error::found(
            code,
            &format!(
                "The server of this model does not have the route `{path}` (it answered with status {status}). Ask for a model whose server does.{why}"
            ),
        )
    })
}

fn is_type(content_type: &str, wanted: &str) -> bool {
    let bare = content_type.split(';').next().unwrap_or_default();
    bare.trim().eq_ignore_ascii_case(wanted)
}
