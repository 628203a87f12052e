//! Streams as the three engines write them. Those of llama.cpp were taken off the wire; those of vLLM
//! and transformers serve were composed from the fields which these engines are known to send.

use super::{DONE, End, Outcome, Played, StreamOptions, hiding, play_chunks};
use crate::Usage;

macro_rules! recordings {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../tests/recordings/", $name, ".sse")))),*]
    };
}

pub(super) const RECORDINGS: &[(&str, &str)] = recordings! {
    "llama-cpp-chat"
    "llama-cpp-chat-usage"
    "llama-cpp-completions-usage"
    "llama-cpp-empty"
    "llama-cpp-length"
    "llama-cpp-sse-trap"
    "llama-cpp-thinking"
    "llama-cpp-tools"
    "llama-cpp-two-tools"
    "llama-cpp-unicode"
    "transformers-chat"
    "vllm-chat"
    "vllm-completions"
    "vllm-continuous-usage"
    "vllm-two-choices"
};

fn recording(name: &str) -> &'static str {
    RECORDINGS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap()
        .1
}

fn play(options: StreamOptions, name: &str) -> Played {
    play_chunks(options, [recording(name).as_bytes()], End::Eof)
}

/// The text of a chat stream, put together as a client does.
fn content(stream: &str) -> String {
    stream
        .split("\n\n")
        .filter_map(|frame| frame.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok())
        .filter_map(|chunk| {
            chunk["choices"][0]["delta"]["content"]
                .as_str()
                .map(str::to_owned)
        })
        .collect()
}

fn usage(prompt_tokens: u64, completion_tokens: u64) -> Option<Usage> {
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
    })
}

#[test]
fn every_recording_is_complete_and_passes_as_it_is() {
    for &(name, text) in RECORDINGS {
        let played = play(StreamOptions::default(), name);
        let expected = if name == "transformers-chat" {
            text.to_owned() + DONE
        } else {
            text.to_owned()
        };
        assert_eq!(played.text, expected, "{name}");
        assert_eq!(played.outcome, Some(Outcome::Complete), "{name}");
        assert_eq!(played.usage.is_some(), text.contains("\"usage\""), "{name}");
    }
}

#[test]
fn every_recording_cut_before_its_finish_ends_with_an_error() {
    for &(name, text) in RECORDINGS {
        let finish = text.find("_reason\":\"").unwrap();
        let cut = &text.as_bytes()[..finish];
        let played = play_chunks(StreamOptions::default(), [cut], End::Eof);
        assert_eq!(played.outcome, Some(Outcome::Truncated), "{name}");
        assert!(
            played
                .text
                .ends_with("\"code\":\"upstream_truncated\"}}\n\n"),
            "{name}"
        );
    }
}

#[test]
fn llama_cpp_and_vllm_lose_only_the_usage_chunk_when_it_is_hidden() {
    for name in [
        "llama-cpp-chat-usage",
        "vllm-chat",
        "vllm-completions",
        "vllm-two-choices",
    ] {
        let played = play(hiding(), name);
        let frames = |text: &str| text.matches("\n\n").count();
        assert_eq!(frames(&played.text), frames(recording(name)) - 1, "{name}");
        assert!(!played.text.contains("\"choices\":[]"), "{name}");
        assert!(played.text.ends_with(DONE), "{name}");
    }
    assert_eq!(play(hiding(), "llama-cpp-chat-usage").usage, usage(14, 10));
    assert_eq!(play(hiding(), "vllm-chat").usage, usage(31, 10));
}

#[test]
fn transformers_usage_in_the_finish_chunk_is_read_and_the_chunk_passes() {
    let played = play(hiding(), "transformers-chat");
    assert_eq!(
        played.text,
        recording("transformers-chat").to_owned() + DONE
    );
    assert_eq!(played.usage, usage(36, 9));
}

#[test]
fn continuous_usage_passes_beside_choices_and_the_last_one_counts() {
    let played = play(hiding(), "vllm-continuous-usage");
    assert_eq!(played.text.matches("\"usage\"").count(), 10);
    assert_eq!(played.usage, usage(31, 9));
}

#[test]
fn an_aborted_stream_is_counted_by_what_was_sent() {
    let text = recording("llama-cpp-chat-usage");
    let fifth = text.match_indices("\n\n").nth(5).unwrap().0 + 2;
    let played = play_chunks(hiding(), [&text.as_bytes()[..fifth]], End::ClientLeft);
    assert_eq!((played.content, played.usage), (5, None));
}

#[test]
fn text_that_looks_like_sse_does_not_end_the_stream() {
    let played = play(hiding(), "llama-cpp-sse-trap");
    assert_eq!(played.outcome, Some(Outcome::Complete));
    assert_eq!(
        content(&played.text),
        "data: {\"not\": \"an event\"}\n\ndata: [DONE]\n\nevent: error\nid: 1\n\r\nstill the same answer"
    );
}

#[test]
fn unicode_text_arrives_whole() {
    let played = play(hiding(), "llama-cpp-unicode");
    assert_eq!(
        content(&played.text),
        "Zażółć gęślą jaźń — 你好,世界 🦀🚀 — مرحبا — नमस्ते"
    );
}
