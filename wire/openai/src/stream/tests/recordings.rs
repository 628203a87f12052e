//! Chat and completions as the three engines stream them: the same model with the same weights, so that
//! what differs is the dialect.

use std::sync::LazyLock;

use serde_json::Value;

use super::{DONE, End, Outcome, Played, StreamOptions, hiding, play_chunks};
use crate::recordings::{self, Recording};
use crate::{Endpoint, Usage};

/// Streams of chunks, by title.
pub(super) fn streams() -> &'static [(String, String)] {
    static STREAMS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
        let chunks = |one: &&Recording| {
            one.is_stream() && matches!(one.endpoint(), Endpoint::Chat | Endpoint::Completions)
        };
        recordings::all()
            .iter()
            .filter(chunks)
            .map(|one| (one.title(), one.text()))
            .collect()
    });
    &STREAMS
}

fn text(title: &str) -> String {
    recordings::named(title).text()
}

fn play(options: StreamOptions, title: &str) -> Played {
    let recording = recordings::named(title);
    let chunks = recording.chunks.iter().map(Vec::as_slice);
    play_chunks(options, chunks, End::Eof)
}

fn payloads(stream: &str) -> Vec<Value> {
    stream
        .split("\n\n")
        .filter_map(|frame| frame.strip_prefix("data: "))
        .filter(|data| !["[DONE]", "null"].contains(data))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// The text of a stream, put together as a client does.
fn content(stream: &str) -> String {
    payloads(stream)
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect()
}

/// Its tool calls, put together: name and arguments of each.
fn calls(stream: &str) -> Vec<(String, Value)> {
    let mut calls: Vec<(String, String)> = Vec::new();
    for chunk in payloads(stream) {
        let pieces = chunk["choices"][0]["delta"]["tool_calls"].clone();
        for piece in pieces.as_array().into_iter().flatten() {
            let index = usize::try_from(piece["index"].as_u64().unwrap()).unwrap();
            calls.resize(calls.len().max(index + 1), Default::default());
            let function = &piece["function"];
            calls[index].0 += function["name"].as_str().unwrap_or_default();
            calls[index].1 += function["arguments"].as_str().unwrap_or_default();
        }
    }
    let read = |(name, arguments): (String, String)| (name, arguments.parse().unwrap());
    calls.into_iter().map(read).collect()
}

fn usage(prompt_tokens: u64, completion_tokens: u64) -> Option<Usage> {
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
    })
}

#[test]
fn every_stream_is_complete_and_passes_as_it_is() {
    assert!(streams().len() > 40);
    for (title, text) in streams() {
        let played = play(StreamOptions::default(), title);
        // transformers serve stops without the last word.
        let is_closed = !title.starts_with("transformers/");
        assert_eq!(text.ends_with(DONE), is_closed, "{title}");
        let mut expected = text.replace("data: null\n\n", "");
        if !is_closed {
            expected += DONE;
        }
        assert_eq!(played.text, expected, "{title}");
        assert_eq!(played.outcome, Some(Outcome::Complete), "{title}");
        assert_eq!(
            played.usage.is_some(),
            text.contains("\"usage\":{"),
            "{title}"
        );
    }
}

#[test]
fn every_stream_cut_before_its_finish_ends_with_an_error() {
    for (title, text) in streams() {
        let finish = text.find("_reason\":\"").unwrap();
        let cut = &text.as_bytes()[..finish];
        let played = play_chunks(StreamOptions::default(), [cut], End::Eof);
        assert_eq!(played.outcome, Some(Outcome::Truncated), "{title}");
        assert!(
            played
                .text
                .ends_with("\"code\":\"upstream_truncated\"}}\n\n"),
            "{title}"
        );
    }
}

#[test]
fn llama_cpp_and_vllm_lose_only_the_usage_chunk_when_it_is_hidden() {
    let mut hidden = 0;
    for (title, text) in streams() {
        let played = play(hiding(), title);
        let sent = payloads(&played.text);
        assert!(
            sent.iter().all(|chunk| chunk["choices"][0].is_object()),
            "{title}"
        );
        let dropped = payloads(text).len() - sent.len();
        // llama.cpp counts each choice in a chunk of its own.
        assert_eq!(dropped, text.matches("\"choices\":[]").count(), "{title}");
        assert!(played.text.ends_with(DONE), "{title}");
        hidden += dropped;
    }
    assert!(hidden > 15, "{hidden}");
}

#[test]
fn the_tokens_of_one_prompt_are_counted_alike_wherever_an_engine_reports_them() {
    for engine in ["llama-cpp", "vllm", "transformers"] {
        let title = format!("{engine}/chat-stream-usage");
        assert_eq!(play(hiding(), &title).usage, usage(14, 10), "{engine}");
    }
    assert_eq!(play(hiding(), "vllm/chat-stream").usage, None);
    // transformers serve counts without being asked, in the chunk that says why it stopped.
    let played = play(hiding(), "transformers/chat-stream");
    assert_eq!(played.usage, usage(14, 10));
    assert_eq!(played.text, text("transformers/chat-stream") + DONE);
    // Counts beside choices are no chunk of their own; the last one counts.
    let played = play(hiding(), "vllm/chat-stream-continuous-usage");
    assert!(played.text.matches("\"usage\":{").count() > 5);
    assert_eq!(played.usage, usage(14, 10));
}

#[test]
fn three_dialects_say_one_text() {
    for name in [
        "chat-stream",
        "chat-length-stream",
        "chat-sse-trap-stream",
        "chat-unicode-stream",
        "chat-empty-stream",
    ] {
        let said = |engine| content(&play(hiding(), &format!("{engine}/{name}")).text);
        assert_eq!(said("vllm"), said("llama-cpp"), "{name}");
        assert_eq!(said("transformers"), said("llama-cpp"), "{name}");
    }
    let said = |name| content(&play(hiding(), name).text);
    assert_eq!(
        said("llama-cpp/chat-stream"),
        "Hello! How can I help you today?"
    );
    assert_eq!(said("llama-cpp/chat-empty-stream"), "");
    // Text that looks like SSE does not end the stream.
    let trap = said("vllm/chat-sse-trap-stream");
    assert!(
        trap.contains("data: [DONE]\n\nevent: error\nid: 1\n\r\n"),
        "{trap:?}"
    );
    let unicode = said("transformers/chat-unicode-stream");
    assert!(
        unicode.starts_with("Zażółć gęślą jaźń — 你好,世界 🦀🚀 — مرحب"),
        "{unicode}"
    );
}

#[test]
fn three_dialects_make_the_same_tool_calls() {
    for engine in ["llama-cpp", "vllm", "transformers"] {
        for (name, cities) in [
            ("chat-tools-stream", &["Paris"][..]),
            ("chat-two-tools-stream", &["London", "Oslo"]),
        ] {
            let title = format!("{engine}/{name}");
            let expected: Vec<_> = cities
                .iter()
                .map(|city| {
                    (
                        "get_weather".to_owned(),
                        serde_json::json!({ "city": city }),
                    )
                })
                .collect();
            assert_eq!(calls(&play(hiding(), &title).text), expected, "{title}");
        }
    }
}

#[test]
fn an_aborted_stream_is_counted_by_what_was_sent() {
    let text = text("llama-cpp/chat-stream-usage");
    let fifth = text.match_indices("\n\n").nth(5).unwrap().0 + 2;
    let played = play_chunks(hiding(), [&text.as_bytes()[..fifth]], End::ClientLeft);
    assert_eq!((played.content, played.usage), (5, None));
}
