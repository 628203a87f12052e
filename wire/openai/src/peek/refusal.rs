//! Why a body was refused, told so that the client can mend it.

use serde::de::IgnoredAny;
use serde_json::error::Category;

use crate::error::{ErrorCode, ErrorEnvelope};

/// A body that no server is asked with. Always a 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Not UTF-8 from this byte on.
    #[error("The request body is not valid UTF-8 at byte {at}. Encode it as UTF-8.")]
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// No JSON text.
    #[error(
        "The request body is not valid JSON (line {line}, column {column}). Send one JSON object and nothing after it."
    )]
    NotJson {
        /// Line of the first fault, from 1.
        line: usize,
        /// Column of the first fault.
        column: usize,
    },
    /// JSON, but a list, string or the like.
    #[error("The request body is valid JSON but not an object. Send one JSON object.")]
    NotAnObject,
    /// Deeper than any server should be asked to read.
    #[error("The request body nests deeper than {limit} levels. Flatten it.")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
    /// A required field is absent or null.
    #[error("You must provide the parameter `{param}`.")]
    Missing {
        /// The field.
        param: &'static str,
    },
    /// A required field is blank.
    #[error("The parameter `{param}` must not be empty.")]
    Empty {
        /// The field.
        param: &'static str,
    },
    /// A field has another type than the API says.
    #[error("The parameter `{param}` must be {expected}.")]
    WrongType {
        /// The field.
        param: &'static str,
        /// What it must be, with its article.
        expected: &'static str,
    },
    /// A field is too long to be meant.
    #[error("The parameter `{param}` is longer than {limit} bytes.")]
    TooLong {
        /// The field.
        param: &'static str,
        /// Bytes allowed.
        limit: usize,
    },
    /// A field stands twice.
    #[error(
        "The parameter `{param}` appears more than once, so its value is ambiguous. Send it once."
    )]
    Duplicate {
        /// The field.
        param: &'static str,
    },
}

impl BadRequest {
    /// The code of the error, which carries its status.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotUtf8 { .. } | Self::NotJson { .. } | Self::NotAnObject => {
                ErrorCode::InvalidJson
            }
            Self::TooDeep { .. } => ErrorCode::JsonTooDeep,
            Self::Missing { .. } => ErrorCode::MissingParameter,
            Self::Empty { .. } | Self::TooLong { .. } => ErrorCode::InvalidValue,
            Self::WrongType { .. } => ErrorCode::InvalidType,
            Self::Duplicate { .. } => ErrorCode::DuplicateParameter,
        }
    }

    /// The field at fault, if the fault lies in one.
    pub fn param(&self) -> Option<&'static str> {
        match self {
            Self::NotUtf8 { .. }
            | Self::NotJson { .. }
            | Self::NotAnObject
            | Self::TooDeep { .. } => None,
            Self::Missing { param }
            | Self::Empty { param }
            | Self::WrongType { param, .. }
            | Self::TooLong { param, .. }
            | Self::Duplicate { param } => Some(param),
        }
    }

    /// The error as the client sees it.
    pub fn envelope(&self) -> ErrorEnvelope {
        let envelope = self.code().envelope(self.to_string());
        match self.param() {
            Some(param) => envelope.with_param(param),
            None => envelope,
        }
    }
}

/// Tells a text that is no JSON from one that is no object.
pub(super) fn unreadable(text: &str, error: &serde_json::Error) -> BadRequest {
    let is_json = || serde_json::from_str::<IgnoredAny>(text).is_ok();
    if error.classify() == Category::Data && is_json() {
        return BadRequest::NotAnObject;
    }
    BadRequest::NotJson {
        line: error.line(),
        column: error.column(),
    }
}
