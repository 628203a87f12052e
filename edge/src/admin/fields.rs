//! The strict reading of an admin request's JSON body, field by field.
//!
//! Invariant: a field that is unknown, stands twice or has the wrong type refuses the whole body, naming
//! the field; no message repeats a value, which may be a secret. Values stay as they were spelled until a
//! getter reads them, so that a price is exact to the last digit.
//!
//! Fields of an object in a field are read the same way and named with it: `scaling.on_idle`.
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

use super::price;
use crate::api_error::ApiError;

/// Fields of one body that no getter has taken yet.
#[derive(Debug)]
pub struct Fields {
    members: BTreeMap<String, Box<RawValue>>,
    /// What stands before their names: nothing, or the object that they are in, with a dot.
    within: String,
}

impl Fields {
    /// Reads a body. An empty one has no fields, for routes whose fields are all optional.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        if body.is_empty() {
            return Ok(Self {
                members: BTreeMap::new(),
                within: String::new(),
            });
        }
        let mut reader = serde_json::Deserializer::from_slice(body);
        let members = reader
            .deserialize_map(Members)
            .and_then(|members| reader.end().map(|()| members))
            .map_err(|error| unreadable(&error))?;
        Self::once(members, String::new())
    }

    fn nested(name: String, value: &RawValue) -> Result<Self, ApiError> {
        let mut reader = serde_json::Deserializer::from_str(value.get());
        match reader.deserialize_map(Members) {
            Ok(members) => Self::once(members, format!("{name}.")),
            Err(_) => Err(bad_type(name, "must be an object")),
        }
    }

    fn once(members: Read, within: String) -> Result<Self, ApiError> {
        let Some(name) = members.twice else {
            return Ok(Self {
                members: members.once,
                within,
            });
        };
        let name = format!("{within}{name}");
        Err(ApiError::new(
            ErrorCode::DuplicateParameter,
            format!(
                "`{name}` stands twice in the body, so it is not clear what is meant. Send it once."
            ),
        )
        .param(name))
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
        let text = self.text(name)?;
        text.ok_or_else(|| missing(self.full(name)))
    }

    /// A text, or `null` in the place of one: `Some(None)`.
    pub fn text_or_null(&mut self, name: &'static str) -> Result<Option<Option<String>>, ApiError> {
        let Some(value) = self.members.remove(name) else {
            return Ok(None);
        };
        parse(&self.full(name), "a text or null", &value).map(Some)
    }

    /// `true` or `false`.
    pub fn switch(&mut self, name: &'static str) -> Result<Option<bool>, ApiError> {
        self.typed(name, "true or false")
    }

    /// Dollars, as micro-dollars.
    pub fn dollars(&mut self, name: &'static str) -> Result<Option<u64>, ApiError> {
        let price = self.raw(name).map(|raw| price::microusd(&raw)).transpose();
        price.map_err(|refused| bad_value(self.full(name), &refused.to_string()))
    }

    /// The fields of an object in a field.
    pub fn inner(&mut self, name: &'static str) -> Result<Option<Self>, ApiError> {
        let value = self.members.remove(name);
        value
            .map(|value| Self::nested(self.full(name), &value))
            .transpose()
    }

    /// The fields of each object of a list in a field.
    pub fn inner_list(&mut self, name: &'static str) -> Result<Option<Vec<Self>>, ApiError> {
        let Some(values) = self.typed::<Vec<Box<RawValue>>>(name, "a list of objects")? else {
            return Ok(None);
        };
        let name = self.full(name);
        let values = values.iter().enumerate();
        let read = values.map(|(at, value)| Self::nested(format!("{name}[{at}]"), value));
        read.collect::<Result<_, _>>().map(Some)
    }

    /// All fields, each a text.
    pub fn into_texts(self) -> Result<BTreeMap<String, String>, ApiError> {
        self.into_all("a text")
    }

    /// All fields, each a text or `null`.
    pub fn into_texts_or_nulls(self) -> Result<BTreeMap<String, Option<String>>, ApiError> {
        self.into_all("a text or null")
    }

    fn into_all<T: DeserializeOwned>(self, what: &str) -> Result<BTreeMap<String, T>, ApiError> {
        let within = self.within;
        let one = |(name, value): (String, Box<RawValue>)| {
            let value = parse(&format!("{within}{name}"), what, &value)?;
            Ok((name, value))
        };
        self.members.into_iter().map(one).collect()
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
        let name = self.full(name);
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
            Some(name) => Err(unknown(format!("{}{name}", self.within), known)),
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
        parse(&self.full(name), what, &value).map(Some)
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.within)
    }
}

fn parse<T: DeserializeOwned>(name: &str, what: &str, value: &RawValue) -> Result<T, ApiError> {
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
pub fn missing(name: impl Into<String>) -> ApiError {
    let name = name.into();
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
#[path = "fields/tests.rs"]
mod tests;
