//! Streams as the three engines write them.

use super::{DONE, End, Outcome, Played, StreamOptions, hiding, play_chunks};
use crate::Usage;

pub(super) const RECORDINGS: [(&str, &str); 9] = [
    (
        "llama_cpp_chat",
        include_str!("../../../tests/recordings/llama_cpp_chat.sse"),
    ),
    (
        "llama_cpp_unicode",
        include_str!("../../../tests/recordings/llama_cpp_unicode.sse"),
    ),
    (
        "llama_cpp_sse_trap",
        include_str!("../../../tests/recordings/llama_cpp_sse_trap.sse"),
    ),
    (
        "llama_cpp_tool_call",
        include_str!("../../../tests/recordings/llama_cpp_tool_call.sse"),
    ),
    (
        "vllm_chat",
        include_str!("../../../tests/recordings/vllm_chat.sse"),
    ),
    (
        "vllm_continuous_usage",
        include_str!("../../../tests/recordings/vllm_continuous_usage.sse"),
    ),
    (
        "vllm_two_choices",
        include_str!("../../../tests/recordings/vllm_two_choices.sse"),
    ),
    (
        "vllm_completions",
        include_str!("../../../tests/recordings/vllm_completions.sse"),
    ),
    (
        "transformers_chat",
        include_str!("../../../tests/recordings/transformers_chat.sse"),
    ),
];

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
    for (name, text) in RECORDINGS {
        let played = play(StreamOptions::default(), name);
        let expected = if name == "transformers_chat" {
            text.to_owned() + DONE
        } else {
            text.to_owned()
        };
        assert_eq!(played.text, expected, "{name}");
        assert_eq!(played.outcome, Some(Outcome::Complete), "{name}");
        assert!(played.usage.is_some(), "{name}");
    }
}

#[test]
fn every_recording_cut_before_its_finish_ends_with_an_error() {
    for (name, text) in RECORDINGS {
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
        "llama_cpp_chat",
        "vllm_chat",
        "vllm_completions",
        "vllm_two_choices",
    ] {
        let played = play(hiding(), name);
        let frames = |text: &str| text.matches("\n\n").count();
        assert_eq!(frames(&played.text), frames(recording(name)) - 1, "{name}");
        assert!(!played.text.contains("\"choices\":[]"), "{name}");
        assert!(played.text.ends_with(DONE), "{name}");
    }
    assert_eq!(play(hiding(), "llama_cpp_chat").usage, usage(14, 9));
    assert_eq!(play(hiding(), "vllm_chat").usage, usage(31, 10));
}

#[test]
fn transformers_usage_in_the_finish_chunk_is_read_and_the_chunk_passes() {
    let played = play(hiding(), "transformers_chat");
    assert_eq!(
        played.text,
        recording("transformers_chat").to_owned() + DONE
    );
    assert_eq!(played.usage, usage(36, 9));
}

#[test]
fn continuous_usage_passes_beside_choices_and_the_last_one_counts() {
    let played = play(hiding(), "vllm_continuous_usage");
    assert_eq!(played.text.matches("\"usage\"").count(), 10);
    assert_eq!(played.usage, usage(31, 9));
}

#[test]
fn an_aborted_stream_is_counted_by_what_was_sent() {
    let text = recording("llama_cpp_chat");
    let fifth = text.match_indices("\n\n").nth(5).unwrap().0 + 2;
    let played = play_chunks(hiding(), [&text.as_bytes()[..fifth]], End::ClientLeft);
    assert_eq!((played.content, played.usage), (5, None));
}

#[test]
fn text_that_looks_like_sse_does_not_end_the_stream() {
    let played = play(hiding(), "llama_cpp_sse_trap");
    assert_eq!(played.outcome, Some(Outcome::Complete));
    assert_eq!(
        content(&played.text),
        "A stream ends with:\n\ndata: [DONE]\n\nand an error is:\r\nevent: error\ndata: {\"error\":{\"message\":\"no\"}}\n\ndata: [DONE]."
    );
}

#[test]
fn unicode_text_arrives_whole() {
    let played = play(hiding(), "llama_cpp_unicode");
    assert_eq!(
        content(&played.text),
        "Zażółć gęślą jaźń; 你好，世界 👋🏽👩‍👩‍👧 مرحبا नमस्ते"
    );
}
