//! The routes whose bodies are not JSON: forms with a file in, sound out.
//!
//! Invariant: the same request gets the same bytes; an answer to a form says how many bytes came and
//! their hash, so that a test can prove that nothing was changed on the way.

use memchr::memmem;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::answer::{Answer, Part};
use crate::request::Request;
use crate::script::Behaviour;

const SAID: &str = "Hello! How can I help you today?";

/// The hash of a body, in hexadecimal.
pub fn sha256(body: &[u8]) -> String {
    Sha256::digest(body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A plain field of a form, found by its header; forms of tests hold no header inside a file.
pub fn form_field<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    if !request.header("content-type")?.starts_with("multipart/") {
        return None;
    }
    let header = format!("name=\"{name}\"\r\n\r\n");
    let body = &request.body;
    let start = memmem::find(body, header.as_bytes())? + header.len();
    let length = memmem::find(body.get(start..)?, b"\r\n")?;
    std::str::from_utf8(body.get(start..start + length)?).ok()
}

/// The answer to one of these routes, if the path is one.
pub fn answer(request: &Request, behaviour: &Behaviour) -> Option<Answer> {
    let translated = "/v1/audio/translations";
    match request.path.as_str() {
        "/v1/audio/transcriptions" => Some(transcript(request)),
        path if path == translated => Some(transcript(request)),
        "/v1/images/edits" => Some(Answer::json(
            200,
            &json!({
                "created": 1_795_255_200,
                "data": [{"b64_json": "iVBORw0="}],
                "body_bytes": request.body.len(),
                "body_sha256": sha256(&request.body),
            }),
        )),
        "/v1/audio/speech" => Some(speech(request, behaviour)),
        _ => None,
    }
}

fn transcript(request: &Request) -> Answer {
    if form_field(request, "stream") == Some("true") {
        let events = SAID
            .split_inclusive(' ')
            .map(|word| json!({"type": "transcript.text.delta", "delta": word}))
            .chain([json!({"type": "transcript.text.done", "text": SAID})]);
        let parts = events.map(|event| Part {
            wait_ms: 0,
            bytes: format!("data: {event}\n\n").into_bytes(),
        });
        return Answer::stream(parts.collect());
    }
    let subtitles = |point: char| format!("00:00:00{point}000 --> 00:00:02{point}000\n{SAID}\n");
    match form_field(request, "response_format") {
        Some("text") => Answer::plain(200, "text/plain; charset=utf-8", format!("{SAID}\n")),
        Some("srt") => Answer::plain(200, "text/plain", format!("1\n{}", subtitles(','))),
        Some("vtt") => Answer::plain(200, "text/vtt", format!("WEBVTT\n\n{}", subtitles('.'))),
        _ => Answer::json(
            200,
            &json!({
                "text": SAID,
                "body_bytes": request.body.len(),
                "body_sha256": sha256(&request.body),
            }),
        ),
    }
}

/// Sound in as many pieces as were ordered, each of one byte over and over, so that a test can say what
/// it must be.
fn speech(request: &Request, behaviour: &Behaviour) -> Answer {
    let (pieces, interval_ms, first_ms, length) = match behaviour {
        Behaviour::Pace {
            chunks,
            interval_ms,
            first_ms,
            chunk_chars,
        } => (*chunks, *interval_ms, *first_ms, *chunk_chars),
        _ => (4, 0, 0, 0),
    };
    let asked = request.json().unwrap_or_default();
    if asked
        .get("stream_format")
        .is_some_and(|format| format == "sse")
    {
        let part = |event: serde_json::Value| Part {
            wait_ms: 0,
            bytes: format!("data: {event}\n\n").into_bytes(),
        };
        return Answer::stream(vec![
            part(json!({"type": "speech.audio.delta", "audio": "aGk="})),
            part(
                json!({"type": "speech.audio.done", "usage": {"input_tokens": 2, "output_tokens": 3, "total_tokens": 5}}),
            ),
        ]);
    }
    let parts = (0..pieces).map(|number| Part {
        wait_ms: if number == 0 { first_ms } else { interval_ms },
        bytes: vec![u8::try_from(number % 251).unwrap_or_default(); length.max(1000)],
    });
    let mut answer = Answer::stream(parts.collect());
    answer.headers = vec![("Content-Type".to_owned(), "audio/mpeg".to_owned())];
    answer
}
