//! Good answers, in the four ways that engines word them.
//!
//! Invariant: the same request gets the same bytes. The differences are those seen on the wire of
//! llama.cpp's server, vLLM and `transformers serve`: first chunk, place of usage, terminator,
//! wording of errors, and whether the connection survives a stream.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::request::Request;

/// Whose manners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Dialect {
    /// OpenAI's own.
    #[default]
    #[serde(rename = "openai")]
    Openai,
    /// llama.cpp's server.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
    /// vLLM.
    #[serde(rename = "vllm")]
    Vllm,
    /// `transformers serve`.
    #[serde(rename = "transformers")]
    Transformers,
}

/// Which of the two text routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completion,
}

/// What a request for text asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The route.
    pub kind: Kind,
    /// `model`, as sent.
    pub model: String,
    /// `stream`.
    pub stream: bool,
    /// `stream_options.include_usage`.
    pub include_usage: bool,
    /// `max_completion_tokens` or `max_tokens`.
    pub max_tokens: Option<usize>,
    /// Words in the prompt: this server's measure of tokens.
    pub prompt_tokens: usize,
}

/// A stream's events, in groups that misbehaviours can reach.
#[derive(Debug, Clone, PartialEq)]
pub struct Events {
    /// The role chunk, if the dialect sends one.
    pub first: Vec<Value>,
    /// One for each token.
    pub content: Vec<Value>,
    /// Finish, then usage.
    pub last: Vec<Value>,
    /// Whether `[DONE]` follows.
    pub done: bool,
}

const CREATED: u64 = 1_763_683_200;
const WORDS: [&str; 9] = [
    "Hello", "!", " How", " can", " I", " help", " you", " today", "?",
];

impl Dialect {
    /// By the name in scripts and on the command line.
    pub fn named(name: &str) -> Option<Self> {
        serde_json::from_value(Value::from(name)).ok()
    }
}

impl Asked {
    /// Reads a body; `None` when it is not a JSON object.
    pub fn read(kind: Kind, request: &Request) -> Option<Self> {
        let body = request.json().filter(Value::is_object)?;
        let number = |name: &str| body.get(name).and_then(Value::as_u64);
        Some(Self {
            kind,
            model: text(body.get("model")),
            stream: body.get("stream").and_then(Value::as_bool) == Some(true),
            include_usage: body
                .pointer("/stream_options/include_usage")
                .and_then(Value::as_bool)
                == Some(true),
            max_tokens: number("max_completion_tokens")
                .or_else(|| number("max_tokens"))
                .and_then(|limit| usize::try_from(limit).ok()),
            prompt_tokens: words(body.get("messages")) + words(body.get("prompt")),
        })
    }
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn words(value: Option<&Value>) -> usize {
    match value {
        Some(Value::String(text)) => text.split_whitespace().count(),
        Some(Value::Array(items)) => items.iter().map(|item| words(Some(item))).sum(),
        Some(Value::Object(fields)) => words(fields.get("content")) + words(fields.get("text")),
        _ => 0,
    }
}

/// The usual short answer, cut at the token limit.
pub fn usual_tokens(asked: &Asked) -> (Vec<String>, &'static str) {
    let limit = asked.max_tokens.unwrap_or(WORDS.len()).min(WORDS.len());
    let finish = if limit < WORDS.len() {
        "length"
    } else {
        "stop"
    };
    let tokens = WORDS.iter().take(limit).map(|word| (*word).to_owned());
    (tokens.collect(), finish)
}

fn usage(asked: &Asked, completion: usize) -> Value {
    json!({
        "prompt_tokens": asked.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": asked.prompt_tokens + completion,
    })
}

fn id(kind: Kind) -> &'static str {
    match kind {
        Kind::Chat => "chatcmpl-1",
        Kind::Completion => "cmpl-1",
    }
}

/// The body of a plain answer.
pub fn whole(dialect: Dialect, asked: &Asked, tokens: &[String], finish: &str) -> Value {
    let content = tokens.concat();
    let (object, choice) = match asked.kind {
        Kind::Chat => (
            "chat.completion",
            json!({"index": 0, "message": {"role": "assistant", "content": content},
                   "logprobs": null, "finish_reason": finish}),
        ),
        Kind::Completion => (
            "text_completion",
            json!({"index": 0, "text": content, "logprobs": null, "finish_reason": finish}),
        ),
    };
    let mut body = json!({
        "id": id(asked.kind), "object": object, "created": CREATED, "model": asked.model,
        "choices": [choice], "usage": usage(asked, tokens.len()),
    });
    if dialect == Dialect::LlamaCpp {
        set(&mut body, "timings", timings(tokens.len()));
    }
    body
}

fn timings(tokens: usize) -> Value {
    json!({"prompt_n": 1, "prompt_ms": 1.0, "predicted_n": tokens, "predicted_ms": 1.0})
}

fn set(value: &mut Value, name: &str, field: Value) {
    if let Some(object) = value.as_object_mut() {
        object.insert(name.to_owned(), field);
    }
}

/// The events of a stream.
pub fn events(dialect: Dialect, asked: &Asked, tokens: &[String], finish: &str) -> Events {
    let object = match asked.kind {
        Kind::Chat => "chat.completion.chunk",
        Kind::Completion => "text_completion",
    };
    let frame = |choices: Value| {
        json!({"id": id(asked.kind), "object": object, "created": CREATED,
               "model": asked.model, "choices": choices})
    };
    let delta = |delta: Value, finish: Value| {
        frame(json!([{"index": 0, "delta": delta, "finish_reason": finish}]))
    };
    let first = match (asked.kind, dialect) {
        (Kind::Completion, _) => None,
        (Kind::Chat, Dialect::Openai) => Some(delta(
            json!({"role": "assistant", "content": ""}),
            Value::Null,
        )),
        (Kind::Chat, Dialect::LlamaCpp) => Some(delta(
            json!({"role": "assistant", "content": null}),
            Value::Null,
        )),
        (Kind::Chat, Dialect::Vllm) => {
            let mut chunk = delta(json!({"role": "assistant", "content": ""}), Value::Null);
            set(&mut chunk, "prompt_token_ids", Value::Null);
            Some(chunk)
        }
        (Kind::Chat, Dialect::Transformers) => {
            Some(delta(json!({"role": "assistant"}), Value::Null))
        }
    };
    let content = tokens.iter().map(|token| match asked.kind {
        Kind::Chat => delta(json!({"content": token}), Value::Null),
        Kind::Completion => frame(json!([{"index": 0, "text": token, "finish_reason": null}])),
    });
    let mut finished = match asked.kind {
        Kind::Chat => delta(json!({}), Value::from(finish)),
        Kind::Completion => frame(json!([{"index": 0, "text": "", "finish_reason": finish}])),
    };
    let usage = usage(asked, tokens.len());
    let mut last = Vec::new();
    match dialect {
        Dialect::Transformers => {
            set(&mut finished, "usage", usage);
            last.push(finished);
        }
        Dialect::LlamaCpp | Dialect::Openai | Dialect::Vllm => {
            last.push(finished);
            if asked.include_usage {
                let mut chunk = frame(json!([]));
                set(&mut chunk, "usage", usage);
                if dialect == Dialect::LlamaCpp {
                    set(&mut chunk, "timings", timings(tokens.len()));
                }
                last.push(chunk);
            }
        }
    }
    Events {
        first: first.into_iter().collect(),
        content: content.collect(),
        last,
        done: dialect != Dialect::Transformers,
    }
}

/// The body of an error, as the dialect words it.
pub fn error(dialect: Dialect, status: u16, message: &str, code: &str) -> Value {
    match (dialect, status) {
        (Dialect::Openai, _) => json!({"error": {"message": message,
            "type": if status < 500 { "invalid_request_error" } else { "server_error" },
            "param": null, "code": code}}),
        (Dialect::LlamaCpp, _) => {
            json!({"error": {"code": status, "message": message, "type": code}})
        }
        (Dialect::Vllm, 401) => json!({"error": "Unauthorized"}),
        (Dialect::Vllm, _) => {
            json!({"error": {"message": message, "type": code, "param": null, "code": status}})
        }
        (Dialect::Transformers, _) => json!({"detail": message}),
    }
}

/// The body of `GET /v1/models`.
pub fn models(names: &[String]) -> Value {
    let data: Vec<Value> = names
        .iter()
        .map(|name| json!({"id": name, "object": "model", "created": CREATED, "owned_by": "upstream"}))
        .collect();
    json!({"object": "list", "data": data})
}

/// The body of `POST /v1/embeddings`: four numbers for each input, from its length.
pub fn embeddings(body: &Value) -> Value {
    let inputs: Vec<String> = match body.get("input") {
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            items.iter().map(|item| text(Some(item))).collect()
        }
        Some(Value::String(one)) => vec![one.clone()],
        other => vec![other.map(Value::to_string).unwrap_or_default()],
    };
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let size = input.chars().count() as f64;
            json!({"object": "embedding", "index": index,
                   "embedding": [0.5, size / 1024.0, -0.25, 0.125]})
        })
        .collect();
    let tokens: usize = inputs.iter().map(|i| i.split_whitespace().count()).sum();
    json!({"object": "list", "data": data, "model": text(body.get("model")),
           "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
}
