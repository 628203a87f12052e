//! A plain answer given to a streaming request, cut into the chunks or events the client waits for.
//!
//! Off the hot path (servers that ignore `stream` are rare), so it builds trees.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::affinity::fnv1a;
use crate::answer::{Answer, read_answer};
use crate::endpoint::Endpoint;
use crate::error::{ErrorCode, ErrorEnvelope};

/// Turns a JSON answer into an SSE stream: chunks that end with `[DONE]`, or for images and transcripts the
/// events that end theirs. `hide_usage` as for [`StreamOptions`](crate::StreamOptions).
///
/// # Errors
/// The envelope to send instead, with the status of [`ErrorCode::UpstreamInvalidAnswer`], when the body
/// is not a sound answer; the error's own envelope when the body holds one.
pub fn chunks_from_answer(
    endpoint: Endpoint,
    body: &[u8],
    hide_usage: bool,
) -> Result<Vec<u8>, ErrorEnvelope> {
    let mended = match read_answer(endpoint, 200, Some("application/json"), body) {
        Answer::Pass { mended, .. } => mended,
        Answer::Error { envelope, .. } => return Err(envelope),
    };
    let body = mended.as_deref().unwrap_or(body);
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else {
        return Err(unfit());
    };
    let (kind, prefix) = match endpoint {
        Endpoint::Chat => ("chat.completion.chunk", "chatcmpl-"),
        Endpoint::Completions => ("text_completion", "cmpl-"),
        // Whisper and the older image models ignore `stream` at OpenAI's too.
        Endpoint::Transcriptions => return transcript(answer),
        Endpoint::ImagesGenerations => return images(answer, "image_generation.completed"),
        Endpoint::ImagesEdits => return images(answer, "image_edit.completed"),
        _ => return Err(unfit()),
    };
    let Some(Value::Array(choices)) = answer.remove("choices") else {
        return Err(unfit());
    };
    let usage = answer.remove("usage");
    // Chunks of one answer share an id; an answer without one gets the same each time it is read.
    if !answer.get("id").is_some_and(Value::is_string) {
        answer.insert(
            "id".to_owned(),
            format!("{prefix}{:016x}", fnv1a(body)).into(),
        );
    }
    answer.insert("object".to_owned(), kind.into());

    let mut out = Vec::with_capacity(body.len().saturating_mul(2));
    for (position, choice) in choices.into_iter().enumerate() {
        let Value::Object(choice) = choice else {
            return Err(unfit());
        };
        let index = choice
            .get("index")
            .cloned()
            .unwrap_or_else(|| position.into());
        let (spoken, finish) = match endpoint {
            Endpoint::Chat => chat_choice(choice, &index),
            _ => text_choice(choice, &index),
        };
        write_chunk(&mut out, &answer, vec![spoken]);
        write_chunk(&mut out, &answer, vec![finish]);
    }
    if let Some(usage @ Value::Object(_)) = usage.filter(|_| !hide_usage) {
        answer.insert("usage".to_owned(), usage);
        write_chunk(&mut out, &answer, Vec::new());
    }
    out.extend_from_slice(b"data: [DONE]\n\n");
    Ok(out)
}

/// One `transcript.text.delta` with all of it, then `transcript.text.done`.
fn transcript(mut answer: Map<String, Value>) -> Result<Vec<u8>, ErrorEnvelope> {
    let Some(text @ Value::String(_)) = answer.remove("text") else {
        return Err(unfit());
    };
    let mut done = json!({"type": "transcript.text.done", "text": text});
    if let (Some(done), Some(usage @ Value::Object(_))) =
        (done.as_object_mut(), answer.remove("usage"))
    {
        done.insert("usage".to_owned(), usage);
    }
    let delta = json!({"type": "transcript.text.delta", "delta": text});
    Ok(format!("data: {delta}\n\ndata: {done}\n\n").into_bytes())
}

/// One event for each image; what the answer says of all of them, each says too.
fn images(mut answer: Map<String, Value>, kind: &str) -> Result<Vec<u8>, ErrorEnvelope> {
    let Some(Value::Array(found)) = answer.remove("data") else {
        return Err(unfit());
    };
    let mut out = Vec::new();
    for image in found {
        let Value::Object(image) = image else {
            return Err(unfit());
        };
        let mut event = answer.clone();
        if let Some(created) = event.remove("created") {
            event.insert("created_at".to_owned(), created);
        }
        event.extend(image);
        event.insert("type".to_owned(), kind.into());
        let event = Value::Object(event);
        out.extend_from_slice(format!("event: {kind}\ndata: {event}\n\n").as_bytes());
    }
    Ok(out)
}

fn unfit() -> ErrorEnvelope {
    ErrorCode::UpstreamInvalidAnswer
        .envelope("The model server answered a streaming request with JSON that cannot be streamed. Send the request again without `stream`.")
}

fn write_chunk(out: &mut Vec<u8>, answer: &Map<String, Value>, choices: Vec<Value>) {
    let mut chunk = answer.clone();
    chunk.insert("choices".to_owned(), Value::Array(choices));
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(Value::Object(chunk).to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// The message becomes one delta; what else the choice carries (log-probabilities, filter results)
/// goes with it.
fn chat_choice(mut choice: Map<String, Value>, index: &Value) -> (Value, Value) {
    let finish_reason = finish_reason(&mut choice);
    let mut delta = match choice.remove("message") {
        Some(Value::Object(message)) => message,
        _ => Map::new(),
    };
    delta.entry("role").or_insert_with(|| "assistant".into());
    if let Some(Value::Array(calls)) = delta.get_mut("tool_calls") {
        // Clients put the pieces of a call together by this index, which plain answers lack.
        for (position, call) in calls.iter_mut().enumerate() {
            if let Value::Object(call) = call {
                call.entry("index").or_insert_with(|| position.into());
            }
        }
    }
    choice.insert("index".to_owned(), index.clone());
    choice.insert("delta".to_owned(), Value::Object(delta));
    choice.insert("finish_reason".to_owned(), Value::Null);
    (
        Value::Object(choice),
        json!({"index": index, "delta": {}, "finish_reason": finish_reason}),
    )
}

fn text_choice(mut choice: Map<String, Value>, index: &Value) -> (Value, Value) {
    let finish_reason = finish_reason(&mut choice);
    choice.insert("index".to_owned(), index.clone());
    choice.insert("finish_reason".to_owned(), Value::Null);
    (
        Value::Object(choice),
        json!({"index": index, "text": "", "logprobs": null, "finish_reason": finish_reason}),
    )
}

/// A whole answer has stopped, even if the server did not say why.
fn finish_reason(choice: &mut Map<String, Value>) -> Value {
    match choice.remove("finish_reason") {
        Some(reason @ Value::String(_)) => reason,
        _ => "stop".into(),
    }
}
