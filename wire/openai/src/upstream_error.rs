//! Errors as model servers write them, put into OpenAI's envelope.
//!
//! The dialects (llama.cpp, vLLM, transformers serve, FastAPI, proxies in between):
//! `{"error":{…,"code":400}}` with an integer, `{"error":"text"}`, `{"detail":"text"}`,
//! `{"detail":[{"loc","msg"}]}`, `{"object":"error","message"}`, HTML, plain text, nothing.
//!
//! Invariant: whatever comes in, an envelope with a message and an error status comes out.
//! Out of scope: whether a request is tried again; the host knows what it sent.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::error::{ErrorCode, ErrorEnvelope, kind_for_status};

/// Longest message passed on, in bytes. A traceback of a few KiB is for the server's log.
const MAX_MESSAGE_BYTES: usize = 2048;

/// A server's error in the gateway's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalised {
    /// The status for the client.
    pub status: u16,
    /// The body for the client.
    pub envelope: ErrorEnvelope,
    /// The request is at fault, whatever status the server gave: the breaker must not count it.
    pub client_fault: bool,
    /// The server gave a status and nothing to go with it.
    pub without_message: bool,
}

/// What an error says of itself, before its status is settled.
#[derive(Debug, Default)]
struct Told {
    message: Option<String>,
    kind: Option<String>,
    param: Option<String>,
    code: Option<String>,
    status: Option<u16>,
}

/// Reads the body of an answer whose status is an error, or that holds an error under a 2xx.
pub(crate) fn read_body(status: u16, body: &[u8]) -> Normalised {
    let told = match serde_json::from_slice::<Value>(body) {
        Ok(value) => told_by_json(&value),
        Err(_) => told_by_text(&String::from_utf8_lossy(body)),
    };
    settle(Some(status), told)
}

/// Reads the data of an error event inside a stream, where no status can be had any more.
pub(crate) fn read_event(data: &str) -> Normalised {
    let told = match serde_json::from_str::<Value>(data) {
        Ok(value) => told_by_json(&value),
        Err(_) => told_by_text(data),
    };
    settle(None, told)
}

/// An error that the gateway itself finds in an answer.
pub(crate) fn found(code: ErrorCode, message: &str) -> Normalised {
    Normalised {
        status: code.status(),
        envelope: code.envelope(message),
        client_fault: false,
        without_message: false,
    }
}

fn told_by_json(value: &Value) -> Told {
    let Some(object) = value.as_object() else {
        return Told {
            message: value.as_str().map(str::to_owned),
            ..Told::default()
        };
    };
    match object.get("error") {
        Some(Value::Object(error)) => told_by_object(error),
        Some(Value::String(message)) => Told {
            message: Some(message.clone()),
            ..told_by_object(object)
        },
        _ => told_by_object(object),
    }
}

fn told_by_object(object: &Map<String, Value>) -> Told {
    let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = object.get("code");
    Told {
        message: text("message").or_else(|| object.get("detail").and_then(detail)),
        kind: text("type"),
        param: text("param").as_deref().and_then(field),
        // An integer in the place of the code is the HTTP status over again.
        code: code.and_then(Value::as_str).map(str::to_owned),
        status: code
            .and_then(Value::as_u64)
            .and_then(|code| u16::try_from(code).ok())
            .filter(|code| (400..600).contains(code)),
    }
}

/// vLLM names a field by its place, `body.messages`; `body` is no field, nor is the offset of bad JSON.
fn field(param: &str) -> Option<String> {
    let name = param.strip_prefix("body.").unwrap_or(param);
    let is_one = name != "body" && !name.bytes().all(|byte| byte.is_ascii_digit());
    is_one.then(|| name.to_owned())
}

/// FastAPI's `detail`: a text, or a list of what was wrong where.
fn detail(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(faults) => {
            let told: Vec<String> = faults.iter().filter_map(fault).collect();
            (!told.is_empty()).then(|| told.join("; "))
        }
        Value::Object(object) => told_by_object(object).message,
        _ => None,
    }
}

fn fault(value: &Value) -> Option<String> {
    let message = value.get("msg")?.as_str()?;
    let place: Vec<String> = value
        .get("loc")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|step| {
            step.as_str()
                .map_or_else(|| step.to_string(), str::to_owned)
        })
        .collect();
    Some(if place.is_empty() {
        message.to_owned()
    } else {
        format!("{}: {message}", place.join("."))
    })
}

fn told_by_text(text: &str) -> Told {
    let text = text.trim();
    // A page is written for people in front of a browser and may name inner hosts.
    let message = (!text.is_empty() && !text.starts_with('<')).then(|| text.to_owned());
    Told {
        message,
        ..Told::default()
    }
}

/// Phrases by which engines say that the prompt does not fit: llama.cpp (the first three, of which it
/// sends the first as a 500), vLLM, SGLang, OpenAI.
const DOES_NOT_FIT: [&str; 7] = [
    "too large to process",
    "input is too large",
    "exceeds the available context size",
    "maximum context length",
    "maximum model length",
    "context length exceeded",
    "exceeds context",
];

fn does_not_fit(told: &Told) -> bool {
    if told.kind.as_deref() == Some("exceed_context_size_error")
        || told.code.as_deref() == Some(ErrorCode::ContextLengthExceeded.as_str())
    {
        return true;
    }
    let Some(message) = told.message.as_deref() else {
        return false;
    };
    let message = message.to_lowercase();
    DOES_NOT_FIT.iter().any(|phrase| message.contains(phrase))
}

/// Settles the status, then the four fields. `http` is the answer's own status, if it still has one.
fn settle(http: Option<u16>, told: Told) -> Normalised {
    let claimed = http
        .filter(|status| (400..600).contains(status))
        .or(told.status);
    let limited = matches!(claimed, None | Some(400 | 413 | 422 | 500));
    if limited && does_not_fit(&told) {
        let message = clip(told.message.unwrap_or_default());
        let envelope = ErrorCode::ContextLengthExceeded.envelope(message);
        return Normalised {
            status: 400,
            envelope,
            client_fault: true,
            without_message: false,
        };
    }
    let code = match (http, claimed) {
        (Some(300..=399), _) => Some(ErrorCode::UpstreamRedirected),
        (_, Some(401 | 403 | 407)) => Some(ErrorCode::UpstreamRefusedKey),
        (_, Some(400..=499 | 500 | 501 | 503 | 504)) => None,
        (_, Some(_)) => Some(ErrorCode::UpstreamError),
        (Some(_), None) => Some(ErrorCode::UpstreamInvalidAnswer),
        (None, None) => None,
    };
    let message = told.message.filter(|message| !message.trim().is_empty());
    match code {
        Some(code) => Normalised {
            status: code.status(),
            without_message: message.is_none(),
            envelope: code.envelope(gateway_message(code, message)),
            client_fault: false,
        },
        None => passed_on(
            claimed.unwrap_or(502),
            told.kind,
            told.param,
            told.code,
            message,
        ),
    }
}

/// An error of the server's whose status tells the client the truth.
fn passed_on(
    status: u16,
    kind: Option<String>,
    param: Option<String>,
    code: Option<String>,
    message: Option<String>,
) -> Normalised {
    let about_model = message
        .as_deref()
        .is_some_and(|message| message.to_lowercase().contains("model"));
    let named = match status {
        404 if about_model => Some(ErrorCode::ModelNotFound),
        404 => Some(ErrorCode::NotFound),
        405 => Some(ErrorCode::MethodNotAllowed),
        413 => Some(ErrorCode::RequestTooLarge),
        429 => Some(ErrorCode::RateLimitExceeded),
        500..=599 => Some(ErrorCode::UpstreamError),
        _ => None,
    };
    let kind = kind.filter(|kind| kind.ends_with("_error") && !kind.contains(char::is_uppercase));
    let without_message = message.is_none();
    let envelope = ErrorEnvelope {
        message: clip(message.unwrap_or_else(|| {
            format!("The model server answered with status {status} and no message.")
        })),
        kind: kind.map_or(Cow::Borrowed(kind_for_status(status)), Cow::Owned),
        param: param.map(Cow::Owned),
        code: code
            .map(Cow::Owned)
            .or(named.map(|named| Cow::Borrowed(named.as_str()))),
    };
    Normalised {
        status,
        envelope,
        client_fault: (400..500).contains(&status) && !matches!(status, 408 | 429),
        without_message,
    }
}

/// What the client reads when the server's status would mislead it. The server's own words about keys
/// and addresses stay inside.
fn gateway_message(code: ErrorCode, message: Option<String>) -> String {
    match code {
        ErrorCode::UpstreamRefusedKey => "The model server refused the key that this gateway holds for it. Your own key is fine; whoever runs the gateway must register the server with a valid key.".to_owned(),
        ErrorCode::UpstreamRedirected => "The model server answered with a redirect, which this gateway never follows. Whoever runs the gateway must register the final address.".to_owned(),
        _ => clip(message.unwrap_or_else(|| "The model server answered with something that is not an answer. Send the request again.".to_owned())),
    }
}

fn clip(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        let end = message.floor_char_boundary(MAX_MESSAGE_BYTES);
        message.truncate(end);
        message.push('…');
    }
    message
}
