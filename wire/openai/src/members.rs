//! The members of one JSON object, or of one list, as they are spelled: names decoded, values raw.
//!
//! Invariant: every span lies inside the text it was taken from. Values are validated and skipped by
//! `serde_json` without recursion and without building a tree.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// One member of an object.
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: &'a RawValue,
    /// From the opening quote of the name to the end of the value.
    pub(crate) span: Range<usize>,
}

/// Walks over the members of the one object that `text` holds.
pub(crate) fn walk_object<'a>(
    text: &'a str,
    visit: impl FnMut(Member<'a>),
) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(Walk { text, visit })?;
    deserializer.end()
}

struct Walk<'a, F> {
    text: &'a str,
    visit: F,
}

impl<'de, F: FnMut(Member<'de>)> Visitor<'de> for Walk<'de, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            let span = span_in(self.text, name.get()).start..span_in(self.text, value.get()).end;
            let name = decode(name.get());
            (self.visit)(Member { name, value, span });
        }
        Ok(())
    }
}

/// Walks over the values of the one list that `text` holds.
pub(crate) fn walk_list<'a>(
    text: &'a str,
    visit: impl FnMut(&'a RawValue),
) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_seq(WalkList { visit })?;
    deserializer.end()
}

struct WalkList<F> {
    visit: F,
}

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for WalkList<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<&'de RawValue>()? {
            (self.visit)(value);
        }
        Ok(())
    }
}

/// A name without its quotes; only a name with escapes costs a copy. One that escapes half a surrogate
/// pair names nothing we know and stays as it is spelled.
fn decode(raw: &str) -> Cow<'_, str> {
    match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        _ => serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(raw), Cow::Owned),
    }
}

/// Where `part`, a slice of `text`, begins and ends in it.
pub(crate) fn span_in(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start.saturating_add(part.len())
}
