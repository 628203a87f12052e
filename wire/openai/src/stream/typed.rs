//! What a typed event says, read in one validating pass that builds no tree.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::members::walk_object;
use crate::usage::Usage;

use super::event::is_substantial;

/// The parts of an event that the reader acts on.
#[derive(Default)]
pub(super) struct TypedView<'a> {
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) response: Option<&'a RawValue>,
    pub(super) message: Option<&'a RawValue>,
    pub(super) item: Option<&'a RawValue>,
    pub(super) item_id: Option<&'a RawValue>,
    pub(super) delta: Option<&'a RawValue>,
    pub(super) usage: Option<Usage>,
    pub(super) sequence_number: Option<&'a RawValue>,
    pub(super) has_output_index: bool,
    pub(super) has_content_index: bool,
    pub(super) has_logprobs: bool,
    /// The object has no member at all.
    pub(super) is_bare: bool,
    has_error: bool,
    has_detail: bool,
}

impl<'a> TypedView<'a> {
    /// Succeeds exactly on JSON objects.
    pub(super) fn read(json: &'a str) -> Result<Self, serde_json::Error> {
        let mut view = Self {
            is_bare: true,
            ..Self::default()
        };
        walk_object(json, |member| {
            view.is_bare = false;
            let raw = member.value.get();
            match &*member.name {
                "type" => view.kind = text(member.value),
                "response" => view.response = Some(member.value),
                "message" => view.message = Some(member.value),
                "item" => view.item = Some(member.value),
                "item_id" => view.item_id = Some(member.value),
                "delta" => view.delta = Some(member.value),
                "usage" => view.usage = Usage::read(raw),
                "sequence_number" => view.sequence_number = Some(member.value),
                "output_index" => view.has_output_index = true,
                "content_index" => view.has_content_index = true,
                "logprobs" => view.has_logprobs = true,
                "error" => view.has_error |= is_substantial(raw),
                "detail" => view.has_detail |= is_substantial(raw),
                "object" => view.has_error |= raw == r#""error""#,
                _ => {}
            }
        })?;
        Ok(view)
    }

    /// An error in the place of an event, in any dialect.
    pub(super) fn is_error(&self) -> bool {
        match self.kind.as_deref() {
            Some(kind) => kind == "error",
            None => self.has_error || self.has_detail,
        }
    }
}

/// A string without its quotes; one with escapes costs a copy.
pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// A member of an object that is looked at once.
pub(super) fn member<'a>(object: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let mut found = None;
    // A value of another shape was valid JSON, so the walk stops at its first byte.
    let _other_shape = walk_object(object.get(), |member| {
        if member.name == name {
            found = Some(member.value);
        }
    });
    found
}
