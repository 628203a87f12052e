//! Plain answers cut into streams.

use super::chunks_from_answer;
use crate::answer::tests::CHAT;
use crate::{End, Endpoint, Outcome, Step, StreamOptions, StreamReader};

#[test]
fn an_answer_becomes_a_stream_that_the_reader_finds_complete() {
    for hide_usage in [true, false] {
        let stream = chunks_from_answer(Endpoint::Chat, CHAT.as_bytes(), hide_usage).unwrap();
        let mut reader = StreamReader::new(StreamOptions::default());
        assert_eq!(reader.push(&stream), Step::Untouched);
        assert_eq!(reader.outcome(), Some(Outcome::Complete));
        assert_eq!(reader.usage().is_some(), !hide_usage);
        assert_eq!(reader.chunks_with_content(), 1);
        assert!(reader.end(End::Eof).is_empty());
    }
}

#[test]
fn a_chat_answer_becomes_chunks_with_indexed_tool_calls() {
    let stream = chunks_from_answer(Endpoint::Chat, CHAT.as_bytes(), false).unwrap();
    let chunks: Vec<serde_json::Value> = String::from_utf8(stream)
        .unwrap()
        .split("\n\n")
        .filter_map(|frame| serde_json::from_str(frame.strip_prefix("data: ")?).ok())
        .collect();
    assert_eq!(chunks.len(), 3);
    for chunk in &chunks {
        assert_eq!(chunk["id"], "chatcmpl-1");
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(
            (&chunk["created"], &chunk["model"]),
            (&7.into(), &"m".into())
        );
    }
    let delta = &chunks[0]["choices"][0]["delta"];
    assert_eq!(
        (&delta["role"], &delta["content"]),
        (&"assistant".into(), &"pong".into())
    );
    assert_eq!(
        (
            &delta["tool_calls"][0]["index"],
            &delta["tool_calls"][1]["index"]
        ),
        (&0.into(), &1.into())
    );
    assert!(chunks[0]["choices"][0]["finish_reason"].is_null());
    assert!(chunks[0]["choices"][0].get("message").is_none());
    assert_eq!(chunks[1]["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(chunks[2]["choices"], serde_json::json!([]));
    assert_eq!(chunks[2]["usage"]["total_tokens"], 7);
}

#[test]
fn a_completions_answer_becomes_text_chunks() {
    let body = br#"{"object":"text_completion","choices":[{"text":"1 2","index":0,"finish_reason":"length"}]}"#;
    let stream =
        String::from_utf8(chunks_from_answer(Endpoint::Completions, body, true).unwrap()).unwrap();
    assert!(stream.contains(r#""text":"1 2""#) && stream.contains(r#""finish_reason":"length""#));
    assert!(stream.contains(r#""id":"cmpl-"#) && stream.ends_with("data: [DONE]\n\n"));
}

#[test]
fn what_is_no_answer_cannot_become_a_stream() {
    let refusal = chunks_from_answer(Endpoint::Chat, b"<html>", true).unwrap_err();
    assert_eq!(refusal.code.as_deref(), Some("upstream_invalid_answer"));
    assert!(chunks_from_answer(Endpoint::Embeddings, br#"{"data":[{}]}"#, true).is_err());
}

/// The events of a stream, each read as JSON.
fn events(stream: &[u8]) -> Vec<serde_json::Value> {
    let text = String::from_utf8(stream.to_vec()).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn a_plain_transcript_becomes_the_events_that_a_stream_ends_with() {
    let body = br#"{"text":"Hello.","usage":{"type":"tokens","total_tokens":3},"logprobs":null}"#;
    let stream = chunks_from_answer(Endpoint::Transcriptions, body, false).unwrap();
    assert_eq!(
        events(&stream),
        [
            serde_json::json!({"type": "transcript.text.delta", "delta": "Hello."}),
            serde_json::json!({"type": "transcript.text.done", "text": "Hello.", "usage": {"type": "tokens", "total_tokens": 3}}),
        ]
    );
    let wordless = br#"{"text":null}"#;
    assert!(chunks_from_answer(Endpoint::Transcriptions, wordless, false).is_err());
}

#[test]
fn plain_images_become_one_event_each() {
    let body = br#"{"created":7,"size":"1x1","data":[{"b64_json":"AA=="},{"b64_json":"AQ=="}]}"#;
    let stream = chunks_from_answer(Endpoint::ImagesEdits, body, false).unwrap();
    let event = |image: &str| serde_json::json!({"type": "image_edit.completed", "created_at": 7, "size": "1x1", "b64_json": image});
    assert_eq!(events(&stream), [event("AA=="), event("AQ==")]);
    let named = stream.starts_with(b"event: image_edit.completed\ndata: ");
    assert!(named, "as OpenAI names them");
    let generated = chunks_from_answer(Endpoint::ImagesGenerations, body, false).unwrap();
    assert_eq!(events(&generated)[1]["type"], "image_generation.completed");
}

#[test]
fn events_made_of_an_answer_are_a_stream_that_the_reader_finds_whole() {
    for (endpoint, body) in [
        (Endpoint::Transcriptions, r#"{"text":"Hello."}"#),
        (
            Endpoint::ImagesEdits,
            r#"{"created":7,"data":[{"b64_json":"AA=="}]}"#,
        ),
        (
            Endpoint::ImagesGenerations,
            r#"{"created":7,"data":[{"b64_json":"AA=="}]}"#,
        ),
    ] {
        let stream = chunks_from_answer(endpoint, body.as_bytes(), false).unwrap();
        let dialect = endpoint.traits().stream.unwrap();
        let mut reader = StreamReader::new(StreamOptions {
            dialect,
            ..Default::default()
        });
        let _ = reader.push(&stream);
        let _ = reader.end(End::Eof);
        assert_eq!(reader.outcome(), Some(Outcome::Complete), "{endpoint:?}");
    }
}
