//! JSON objects, read as such.
//!
//! Invariant: an array is no object. (Serde takes one for a struct, member by member, which no API means.)

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::value::RawValue;

/// Reads an object; nothing for anything else.
pub fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    let is_object = text.trim_start().starts_with('{');
    is_object.then(|| serde_json::from_str(text).ok()).flatten()
}

/// For one member: of another form than expected it is as good as missing, and its neighbours are read.
///
/// # Errors
/// None but those of the JSON itself.
pub fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let raw = <&RawValue>::deserialize(from)?;
    Ok(serde_json::from_str(raw.get()).ok())
}
