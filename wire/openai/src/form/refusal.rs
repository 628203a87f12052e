//! Why a form was refused, told so that the client can mend it.

use crate::error::{ErrorCode, ErrorEnvelope};
use crate::peek::BadRequest;

/// A form that no server is asked with. Always a 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// The body is something else, by its own account.
    #[error(
        "The request's content type is not multipart/form-data with a boundary. Send the file and its fields as one form, as the OpenAI SDKs do."
    )]
    NotAForm,
    /// A boundary that RFC 2046 does not allow.
    #[error(
        "The boundary of the multipart form is not valid. Use 1 to 70 of the characters that RFC 2046 allows."
    )]
    BadBoundary,
    /// The body does not hold what the boundary promises.
    #[error(
        "Could not parse the multipart form: {what} at byte {at}. Have a library write the form."
    )]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Offset of the part, or of the line, in which it stands.
        at: u64,
    },
    /// The headers of a part, or the number of parts, are beyond what anybody means.
    #[error("The multipart form has {what}. Send fewer.")]
    TooMuch {
        /// Of what.
        what: &'static str,
    },
    /// A field is at fault.
    #[error(transparent)]
    Field(#[from] BadRequest),
}

impl BadForm {
    /// The code of the error, which carries its status.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotAForm | Self::BadBoundary | Self::Malformed { .. } | Self::TooMuch { .. } => {
                ErrorCode::InvalidMultipart
            }
            Self::Field(field) => field.code(),
        }
    }

    /// The error as the client sees it.
    pub fn envelope(&self) -> ErrorEnvelope {
        match self {
            Self::Field(field) => field.envelope(),
            other => other.code().envelope(other.to_string()),
        }
    }
}
