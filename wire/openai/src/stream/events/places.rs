//! Where an event of a response belongs: its number, its output item, its content part.
//!
//! The specification asks for all three on every event, and SDKs put an answer together by them; llama.cpp
//! sends none of them. What an engine sends is believed, what it leaves out is counted along.
//! <https://www.openresponses.org/reference>

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::members::span_in;
use crate::response_shape::ResponseShape;

use super::super::typed::{TypedView, member, text};

/// Output items kept apart. Answers have a handful; beyond this all count as the last.
const MOST_ITEMS: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Places {
    /// The number that the next event has if its server gives it none.
    next: u64,
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    id: Option<String>,
    /// Content parts that have begun.
    parts: u64,
}

impl Places {
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    /// The event with what it lacks; `None` when it lacks nothing.
    pub(super) fn complete(
        &mut self,
        kind: &str,
        payload: &str,
        view: &TypedView<'_>,
        shape: Option<&ResponseShape>,
    ) -> Option<String> {
        let mut added = String::new();
        // Writing to a text cannot fail.
        let mut add = |name: &str, value: &dyn std::fmt::Display| {
            let comma = if added.is_empty() && view.is_bare {
                ""
            } else {
                ","
            };
            let _ = write!(added, "{comma}\"{name}\":{value}");
        };
        let own = view
            .sequence_number
            .and_then(|raw| raw.get().parse::<u64>().ok());
        let number = own.unwrap_or(self.next);
        self.next = number.saturating_add(1);
        if view.sequence_number.is_none() {
            add("sequence_number", &number);
        }
        if let Some(scope) = Scope::of(kind) {
            let (item, part) = self.locate(kind, view);
            if !view.has_output_index {
                add("output_index", &item);
            }
            if scope >= Scope::Part && !view.has_content_index {
                add("content_index", &part);
            }
            if scope == Scope::Text && !view.has_logprobs {
                add("logprobs", &"[]");
            }
        }
        let response = view.response.and_then(|response| {
            let completed = shape?.complete(response.get())?;
            Some((span_in(payload, response.get()), completed))
        });
        if added.is_empty() && response.is_none() {
            return None;
        }
        let open = payload.strip_suffix('}')?;
        let head = match response {
            Some((span, completed)) => {
                Cow::Owned([open.get(..span.start)?, &completed, open.get(span.end..)?].concat())
            }
            None => Cow::Borrowed(open),
        };
        Some([&head, added.as_str(), "}"].concat())
    }

    /// The item and the part that an event is about, which it may begin.
    fn locate(&mut self, kind: &str, view: &TypedView<'_>) -> (usize, u64) {
        let id = view
            .item_id
            .or_else(|| view.item.and_then(|item| member(item, "id")))
            .and_then(text);
        if kind == "response.output_item.added" && self.items.len() < MOST_ITEMS {
            self.items.push(Item {
                id: id.map(Cow::into_owned),
                parts: 0,
            });
            return (self.items.len().saturating_sub(1), 0);
        }
        let named = self
            .items
            .iter()
            .position(|item| id.is_some() && item.id.as_deref() == id.as_deref());
        let at = named.unwrap_or(self.items.len().saturating_sub(1));
        let Some(item) = self.items.get_mut(at) else {
            return (at, 0);
        };
        if kind == "response.content_part.added" {
            item.parts = item.parts.saturating_add(1);
        }
        (at, item.parts.saturating_sub(1))
    }
}

/// How far down an event points.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// At an output item.
    Item,
    /// At a content part of one.
    Part,
    /// At a part that is text, whose events carry log-probabilities.
    Text,
}

impl Scope {
    /// `None` for events about the whole response, and for those that are not known.
    fn of(kind: &str) -> Option<Self> {
        let (family, what) = kind.strip_prefix("response.")?.split_once('.')?;
        Some(match (family, what) {
            ("output_text", "delta" | "done") => Self::Text,
            ("output_text" | "content_part" | "refusal" | "reasoning" | "reasoning_text", _) => {
                Self::Part
            }
            (
                "output_item"
                | "function_call_arguments"
                | "reasoning_summary_part"
                | "reasoning_summary_text"
                | "custom_tool_call_input",
                _,
            ) => Self::Item,
            _ => return None,
        })
    }
}
