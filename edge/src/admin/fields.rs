//! The strict reading of an admin request's JSON body, field by field.
//!
//! Invariant: a field that is unknown, stands twice or has the wrong type refuses the whole body, naming
//! the field; no message repeats a value, which may be a secret. Values stay as they were spelled until a
//! getter reads them, so that a price is exact to the last digit.
//!
//! Out of scope: bounds on values. The registry checks those, for every caller alike.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use tidegate_wire_openai::ErrorCode;

use crate::api_error::ApiError;

/// Fields of one body that no getter has taken yet.
#[derive(Debug)]
pub struct Fields {
    members: BTreeMap<String, Box<RawValue>>,
}

impl Fields {
    /// Reads a body. An empty one has no fields, for routes whose fields are all optional.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        if body.is_empty() {
            return Ok(Self {
                members: BTreeMap::new(),
            });
        }
        let mut reader = serde_json::Deserializer::from_slice(body);
        let members = reader
            .deserialize_map(Members)
            .and_then(|members| reader.end().map(|()| members))
            .map_err(|error| unreadable(&error))?;
        match members.twice {
            Some(name) => Err(ApiError::new(
                ErrorCode::DuplicateParameter,
                format!("`{name}` stands twice in the body, so it is not clear what is meant. Send it once."),
            )
            .param(name)),
            None => Ok(Self {
                members: members.once,
            }),
        }
    }

    /// The same without fields that are `null`, for bodies where that means "not given".
    #[must_use]
    pub fn without_nulls(mut self) -> Self {
        self.members.retain(|_, value| value.get() != "null");
        self
    }

    /// Names of the fields, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// A text.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        self.typed(name, "a text")
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &'static str) -> Result<String, ApiError> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    /// A text, or `null` in the place of one: `Some(None)`.
    pub fn text_or_null(&mut self, name: &'static str) -> Result<Option<Option<String>>, ApiError> {
        let Some(value) = self.members.remove(name) else {
            return Ok(None);
        };
        parse(name, "a text or null", &value).map(Some)
    }

    /// A list of texts.
    pub fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, ApiError> {
        self.typed(name, "a list of texts")
    }

    /// An object with values of any kind.
    pub fn object(
        &mut self,
        name: &'static str,
    ) -> Result<Option<BTreeMap<String, Value>>, ApiError> {
        self.typed(name, "an object")
    }

    /// An object whose values are whole numbers from 0 up.
    pub fn numbers(
        &mut self,
        name: &'static str,
    ) -> Result<Option<BTreeMap<String, u32>>, ApiError> {
        self.typed(name, "an object with whole numbers from 0 up as values")
    }

    /// A whole number within a range, written without fraction or exponent.
    pub fn number<T>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, ApiError>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let Some(value) = self.members.remove(name) else {
            return Ok(None);
        };
        let text = value.get();
        let must = format!(
            "must be a whole number from {} to {}",
            range.start(),
            range.end()
        );
        match text.parse::<T>() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            Ok(_) => Err(bad_value(name, &must)),
            // Too large for its type, or not a whole number at all.
            Err(_)
                if text
                    .bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_digit()) =>
            {
                Err(bad_value(name, &must))
            }
            Err(_) => Err(bad_type(name, &must)),
        }
    }

    /// Whether a field is there as `null`; it is taken then.
    pub fn take_null(&mut self, name: &str) -> bool {
        let is_null = self
            .members
            .get(name)
            .is_some_and(|value| value.get() == "null");
        if is_null {
            self.members.remove(name);
        }
        is_null
    }

    /// A field as it was spelled.
    pub fn raw(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.members.remove(name)
    }

    /// Refuses what no getter has taken.
    pub fn finish(self, known: &str) -> Result<(), ApiError> {
        match self.members.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(unknown(name, known)),
        }
    }

    fn typed<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        what: &str,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.members.remove(name) else {
            return Ok(None);
        };
        parse(name, what, &value).map(Some)
    }
}

fn parse<T: DeserializeOwned>(
    name: &'static str,
    what: &str,
    value: &RawValue,
) -> Result<T, ApiError> {
    serde_json::from_str(value.get()).map_err(|_| bad_type(name, &format!("must be {what}")))
}

/// A field of the wrong type; `must` goes on after its name.
pub fn bad_type(name: impl Into<String>, must: &str) -> ApiError {
    let name = name.into();
    ApiError::new(
        ErrorCode::InvalidType,
        format!("`{name}` {must}. Nothing was changed."),
    )
    .param(name)
}

/// A field of the right type with a value that will not do; `must` goes on after its name.
pub fn bad_value(name: impl Into<String>, must: &str) -> ApiError {
    let name = name.into();
    ApiError::new(
        ErrorCode::InvalidValue,
        format!("`{name}` {must}. Nothing was changed."),
    )
    .param(name)
}

/// A field that must be there.
pub fn missing(name: &'static str) -> ApiError {
    ApiError::new(
        ErrorCode::MissingParameter,
        format!("`{name}` is missing. Nothing was changed; send it with the others."),
    )
    .param(name)
}

/// A field that the route does not have.
pub fn unknown(name: String, known: &str) -> ApiError {
    ApiError::new(
        ErrorCode::InvalidValue,
        format!(
            "This route has no field `{name}`, so nothing was changed. Its fields are {known}."
        ),
    )
    .param(name)
}

/// The position alone: the reader's own words may quote the text.
fn unreadable(error: &serde_json::Error) -> ApiError {
    let what = match error.classify() {
        serde_json::error::Category::Data => "The body is JSON, but not an object",
        serde_json::error::Category::Eof => "The body ends before its JSON does",
        _ => "The body is not JSON",
    };
    let (line, column) = (error.line(), error.column());
    ApiError::new(
        ErrorCode::InvalidJson,
        format!(
            "{what} (line {line}, column {column}). Nothing was changed; send one JSON object."
        ),
    )
}

#[derive(Default)]
struct Read {
    once: BTreeMap<String, Box<RawValue>>,
    twice: Option<String>,
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Read;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
        let mut read = Read::default();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if read.once.insert(name.clone(), value).is_some() {
                read.twice = Some(name);
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Fields {
        Fields::read(body.as_bytes()).unwrap()
    }

    fn code(error: ApiError) -> (Option<String>, Option<String>) {
        let envelope = error.envelope();
        let text =
            |part: &Option<std::borrow::Cow<'static, str>>| part.as_deref().map(str::to_owned);
        (text(&envelope.code), text(&envelope.param))
    }

    fn is(code: &str, param: Option<&str>) -> (Option<String>, Option<String>) {
        (Some(code.to_owned()), param.map(str::to_owned))
    }

    #[test]
    fn a_body_is_one_json_object_without_repeated_fields() {
        for body in [
            "{",
            "[]",
            "\"sk-secret\"",
            "{} {}",
            "nonsense",
            "\u{feff}{}",
        ] {
            let refused = Fields::read(body.as_bytes()).unwrap_err();
            assert!(!refused.envelope().message.contains("sk-secret"));
            assert_eq!(code(refused), is("invalid_json", None), "{body}");
        }
        assert_eq!(
            code(Fields::read(b"\xff").unwrap_err()),
            is("invalid_json", None)
        );
        let twice = Fields::read(br#"{"a":1,"a":2}"#).unwrap_err();
        assert_eq!(code(twice), is("duplicate_parameter", Some("a")));
        assert!(fields("").finish("none").is_ok());
    }

    #[test]
    fn a_body_that_nests_without_end_is_refused_and_not_followed() {
        let deep = format!(r#"{{"metadata":{}"#, "[".repeat(500_000));
        assert_eq!(
            code(Fields::read(deep.as_bytes()).unwrap_err()),
            is("invalid_json", None)
        );
        let deep = format!(
            r#"{{"metadata":{{"a":{}{}}}}}"#,
            "[".repeat(9_000),
            "]".repeat(9_000)
        );
        let refused =
            Fields::read(deep.as_bytes()).and_then(|mut fields| fields.object("metadata"));
        assert!(refused.is_err());
    }

    #[test]
    fn wrong_types_name_the_field_and_never_its_value() {
        let mut body =
            fields(r#"{"a":7,"b":"sk-secret","c":1.0,"d":300,"e":-1,"f":[1],"g":{"x":-1}}"#);
        assert_eq!(
            code(body.text("a").unwrap_err()),
            is("invalid_type", Some("a"))
        );
        let refused = body.number::<u32>("b", 0..=9).unwrap_err();
        assert!(!refused.envelope().message.contains("secret"));
        assert_eq!(code(refused), is("invalid_type", Some("b")));
        assert_eq!(
            code(body.number::<u32>("c", 0..=9).unwrap_err()),
            is("invalid_type", Some("c"))
        );
        assert_eq!(
            code(body.number::<u8>("d", 0..=255).unwrap_err()),
            is("invalid_value", Some("d"))
        );
        assert_eq!(
            code(body.number::<u8>("e", 0..=255).unwrap_err()),
            is("invalid_value", Some("e"))
        );
        assert_eq!(
            code(body.texts("f").unwrap_err()),
            is("invalid_type", Some("f"))
        );
        assert_eq!(
            code(body.numbers("g").unwrap_err()),
            is("invalid_type", Some("g"))
        );
    }

    #[test]
    fn null_is_absent_or_a_removal_as_the_route_says() {
        let body = r#"{"owner":null}"#;
        assert_eq!(fields(body).without_nulls().text("owner"), Ok(None));
        assert_eq!(fields(body).text_or_null("owner"), Ok(Some(None)));
        assert!(fields(body).text("owner").is_err());
        assert_eq!(
            fields(r#"{"owner":"a"}"#).text_or_null("owner"),
            Ok(Some(Some("a".to_owned())))
        );
    }

    #[test]
    fn what_no_getter_takes_is_unknown() {
        let mut body = fields(r#"{"name":"a","nmae":"b"}"#);
        assert_eq!(body.required_text("name").as_deref(), Ok("a"));
        assert_eq!(
            code(body.finish("name").unwrap_err()),
            is("invalid_value", Some("nmae"))
        );
        let absent = fields("{}").required_text("name").unwrap_err();
        assert_eq!(code(absent), is("missing_required_parameter", Some("name")));
    }
}
