//! What one chunk says, read in validating passes that build no tree.
//!
//! Invariant: `read` succeeds exactly on JSON objects. A known field of an unknown shape is skipped,
//! not refused, because engines add to the format faster than gateways learn it.

use serde_json::value::RawValue;

use crate::members::{walk_list, walk_object};
use crate::usage::Usage;

/// The parts of a chunk that the reader acts on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EventView {
    /// Counts, if the chunk holds any.
    pub(super) usage: Option<Usage>,
    /// The choices in this chunk, one bit each.
    pub(super) seen: u128,
    /// Those of them that say why they stopped.
    pub(super) finished: u128,
    /// Any choice carries text, reasoning or part of a tool call.
    pub(super) has_content: bool,
    has_usage_object: bool,
    has_choices: bool,
    null_choices: bool,
    empty_choices: bool,
    has_error: bool,
    has_detail: bool,
}

impl EventView {
    pub(super) fn read(json: &str) -> Result<Self, serde_json::Error> {
        let mut view = Self::default();
        let mut choices = None;
        walk_object(json, |member| {
            let raw = member.value.get();
            match &*member.name {
                "choices" => choices = Some(raw),
                "usage" => {
                    view.has_usage_object = raw.starts_with('{');
                    view.usage = Usage::read(raw);
                }
                "error" => view.has_error |= is_substantial(raw),
                "detail" => view.has_detail |= is_substantial(raw),
                "object" => view.has_error |= raw == r#""error""#,
                _ => {}
            }
        })?;
        if let Some(raw) = choices {
            view.null_choices = raw == "null";
            view.has_choices = !view.null_choices;
            view.empty_choices = true;
            // A value of another shape was valid JSON, so the walk stops at its first byte.
            let _other_shape = walk_list(raw, |choice| view.read_choice(choice));
        }
        Ok(view)
    }

    fn read_choice(&mut self, choice: &RawValue) {
        self.empty_choices = false;
        let (mut index, mut finished) = (0, false);
        let mut has_content = false;
        let _other_shape = walk_object(choice.get(), |member| {
            let raw = member.value.get();
            match &*member.name {
                "index" => index = raw.parse::<u32>().unwrap_or(0),
                "finish_reason" => finished = is_substantial(raw),
                "text" => has_content |= is_substantial(raw),
                "delta" => has_content |= delta_has_content(raw),
                _ => {}
            }
        });
        let bit = 1_u128 << index.min(127);
        self.seen |= bit;
        self.finished |= if finished { bit } else { 0 };
        self.has_content |= has_content;
    }

    /// The extra chunk that `include_usage` brings: counts and no choice.
    pub(super) fn is_usage_chunk(&self) -> bool {
        self.has_usage_object && self.empty_choices
    }

    /// `"choices": null`, on which SDKs stop with an exception of their own: they read `choices[0]`, or the
    /// length. One with counts, which has no choice anyway, is let be: it ends an answer that is whole.
    pub(super) fn lacks_choices(&self) -> bool {
        self.null_choices && !self.has_usage_object
    }

    /// An error in the place of a chunk, in any dialect.
    pub(super) fn is_error(&self) -> bool {
        self.has_error || (self.has_detail && !self.has_choices)
    }
}

/// Engines name what a model says differently (`content`, `reasoning_content`, `tool_calls`, …);
/// the one field that says nothing is the role.
fn delta_has_content(delta: &str) -> bool {
    let mut has_content = false;
    let _other_shape = walk_object(delta, |member| {
        has_content |= member.name != "role" && is_substantial(member.value.get());
    });
    has_content
}

/// Anything but null, `false`, `""` and empty brackets.
pub(super) fn is_substantial(raw: &str) -> bool {
    let inner = match raw.as_bytes() {
        [b'"', inner @ .., b'"'] => return !inner.is_empty(),
        [b'{', inner @ .., b'}'] | [b'[', inner @ .., b']'] => inner,
        other => return !matches!(other, b"null" | b"false"),
    };
    !inner.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::EventView;

    fn read(json: &str) -> EventView {
        EventView::read(json).unwrap()
    }

    #[test]
    fn a_role_alone_is_no_content() {
        let view = read(
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}"#,
        );
        assert!(!view.has_content);
        assert_eq!((view.seen, view.finished), (1, 0));
    }

    #[test]
    fn text_reasoning_and_tool_calls_are_content() {
        for delta in [
            r#""delta":{"content":"x"}"#,
            r#""delta":{"reasoning_content":"x"}"#,
            r#""delta":{"tool_calls":[{"index":0}]}"#,
            r#""text":"x""#,
        ] {
            assert!(
                read(&format!(r#"{{"choices":[{{{delta}}}]}}"#)).has_content,
                "{delta}"
            );
        }
    }

    #[test]
    fn usage_beside_choices_is_read_and_is_no_usage_chunk() {
        let view =
            read(r#"{"choices":[{"index":2,"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#);
        assert!(view.usage.is_some() && !view.is_usage_chunk());
        assert_eq!((view.seen, view.finished), (4, 4));
    }

    #[test]
    fn null_usage_and_empty_choices_are_no_usage_chunk() {
        assert!(!read(r#"{"choices":[],"usage":null}"#).is_usage_chunk());
        assert!(read(r#"{"choices":[],"usage":{}}"#).is_usage_chunk());
    }

    #[test]
    fn null_choices_are_none_unless_the_chunk_is_there_for_its_counts() {
        assert!(read(r#"{"choices":null}"#).lacks_choices());
        assert!(read(r#"{"choices":null,"usage":null}"#).lacks_choices());
        assert!(!read(r#"{"choices":null,"usage":{"prompt_tokens":1}}"#).lacks_choices());
        assert!(!read(r#"{"choices":[]}"#).lacks_choices());
        assert!(!read(r#"{"type":"ping"}"#).lacks_choices());
    }

    #[test]
    fn known_fields_of_unknown_shape_are_skipped() {
        let view = read(
            r#"{"choices":"none","usage":[1],"id":1e999,"x":{"choices":[{"finish_reason":"stop"}]}}"#,
        );
        assert_eq!((view.seen, view.usage), (0, None));
        assert_eq!(
            read(r#"{"choices":[7,null,{"delta":"x","index":"0"}]}"#).seen,
            1
        );
    }

    #[test]
    fn only_objects_are_events() {
        for other in [
            "[]",
            "7",
            "\"x\"",
            "null",
            "{",
            "{}{}",
            "{\"a\":01}",
            "{'a':1}",
        ] {
            assert!(EventView::read(other).is_err(), "{other}");
        }
    }

    #[test]
    fn errors_are_seen_in_every_dialect() {
        for error in [
            r#"{"error":"x"}"#,
            r#"{"error":{"message":"x"}}"#,
            r#"{"detail":"x"}"#,
            r#"{"object":"error","message":"x"}"#,
        ] {
            assert!(read(error).is_error(), "{error}");
        }
        for sound in [
            r#"{"error":null,"choices":[]}"#,
            r#"{"detail":"high","choices":[]}"#,
        ] {
            assert!(!read(sound).is_error(), "{sound}");
        }
    }
}
