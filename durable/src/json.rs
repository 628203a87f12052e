//! Records and messages as JSON.
//!
//! Invariant: an error says where a text went wrong and never quotes a value of it: errors reach logs, and
//! values may be anything.

use serde_json::error::Category;

use crate::ports::StoreError;

/// Serialises what is about to be stored or sent.
///
/// # Errors
/// When the value cannot be written as JSON (a map with odd keys): a bug, reported rather than panicked.
pub fn encode(record: &'static str, value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unreadable {
        record,
        reason: without_values(&error),
    })
}

/// Reads back what was stored.
///
/// # Errors
/// When the text is not such a record.
pub fn decode<T: serde::de::DeserializeOwned>(
    record: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable {
        record,
        reason: without_values(&error),
    })
}

/// What is wrong with a text, and where, as far as that is known.
pub(crate) fn without_values(error: &serde_json::Error) -> String {
    let words = error.to_string();
    // The name of a field that this release asks for is no value, and neither is what it expects: the
    // last words of `invalid type: string "…", expected u32`.
    if words.starts_with("missing field `") {
        return words;
    }
    if words.starts_with("invalid type: ")
        && let Some((_, expected)) = words.rsplit_once(", expected ")
    {
        return format!("expected {expected}");
    }
    let what = match error.classify() {
        Category::Data => "a value that is not expected",
        Category::Syntax => "no JSON",
        Category::Eof => "an end too early",
        Category::Io => "a failed write",
    };
    match (error.line(), error.column()) {
        (0, _) => what.to_owned(),
        (line, column) => format!("{what} at line {line} column {column}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
    #[expect(dead_code, reason = "only read from JSON")]
    enum Told {
        Number { number: u32 },
    }

    #[test]
    fn errors_say_where_and_quote_nothing() {
        const UNEXPECTED: &str = "a value that is not expected";
        for (text, expected) in [
            (r#"{"kind":"number"}"#, "missing field `number`"),
            (r#"{"kind":"s3cret"}"#, UNEXPECTED),
            (r#"{"kind":"number","number":7,"s3cret":8}"#, UNEXPECTED),
            (
                r#"{"kind":"number","number":"s3cret, expected s3crets"}"#,
                "expected u32",
            ),
            (r#"{"kind":"number","number":"s3cret"}"#, "expected u32"),
            ("s3cret", "no JSON at line 1 column 1"),
            (r#"{"kind":"s3cr"#, "an end too early at line 1 column 13"),
        ] {
            let error = decode::<Told>("word", text).unwrap_err().to_string();
            let rest = error
                .strip_prefix("the stored word cannot be read: ")
                .unwrap();
            assert!(rest.starts_with(expected), "{error}");
            assert!(!error.contains("s3cr"), "{error}");
        }
    }
}
