//! The OpenAI wire format, as a gateway needs it: look at a request without rebuilding it, watch a
//! stream without delaying it, and speak the error envelope.
//!
//! Invariant: bytes that are already right are never copied or re-spelled; bytes that are wrong never
//! reach the other side.
//!
//! In scope: bodies and streams of every inference endpoint, header lists, the model list. Out of scope: sockets, clocks, retries, who may call what.
#![cfg_attr(
    test,
    allow(
        clippy::string_slice,
        clippy::unreachable,
        reason = "clippy has no switch for these two in tests"
    )
)]

pub mod endpoint;
pub mod error;
pub mod headers;
pub mod models;

pub mod form;
pub mod peek;
pub mod rewrite;

pub mod answer;
pub mod stream;
pub mod upstream_error;
pub mod usage;

mod affinity;
mod members;
mod nesting;
#[cfg(test)]
mod recordings;

pub mod response_shape;

#[doc(hidden)]
pub mod fuzzing;

pub use answer::{Answer, chunks_from_answer, read_answer};
pub use endpoint::{AnswerBody, Endpoint, ErrorDialect, RequestBody, StreamDialect, Traits};
pub use error::{ErrorCode, ErrorEnvelope, sse_error_event};
pub use form::{BadForm, FormReader};
pub use models::ModelCard;
pub use peek::{BadRequest, Peek, PeekLimits, peek};
pub use response_shape::ResponseShape;
pub use rewrite::{Edits, rewrite};
pub use stream::{End, Outcome, Step, StreamOptions, StreamReader};
pub use usage::Usage;
