//! Routes as chains of steps: ask an object, go on with its answer, at last respond.
//!
//! A step holds its continuation as a closure, so a handler reads top to bottom like a function and can
//! still be driven by any host, one event at a time.

use tidegate_durable::bindings::ObjectName;

use crate::assets::Asset;
use crate::effect::{CallOutcome, ProbeOutcome};
use crate::gateway::Cx;
use crate::inference::Inference;
use crate::request::Response;
use crate::upload::Upload;

/// How a handler goes on, once it has what it wanted.
pub type Then<T> = Box<dyn FnOnce(&mut Cx<'_>, T) -> Step>;

/// What a handler wants next.
pub enum Step {
    /// The request's body (`Err` when it is larger than `limit`).
    Body {
        /// Bytes.
        limit: usize,
        /// Goes on.
        then: Then<Result<Vec<u8>, BodyTooLarge>>,
    },
    /// The body as far as it must be read to route it.
    Upload {
        /// What is known of it so far.
        upload: Box<Upload>,
        /// Goes on, once it is known where the request goes.
        then: Then<Box<Upload>>,
    },
    /// An object's answer.
    Ask {
        /// The object.
        to: ObjectName,
        /// The message, as JSON.
        message: String,
        /// When to stop waiting.
        timeout_ms: u64,
        /// Goes on.
        then: Then<CallOutcome>,
    },
    /// The answers of several objects, asked at once: one for each question, in their order.
    Gather {
        /// What to ask whom.
        questions: Vec<Question>,
        /// Goes on, once each has answered or its time is over; at once when there are none.
        then: Then<Vec<CallOutcome>>,
    },
    /// A server's answer to a health check.
    Probe {
        /// Where.
        url: String,
        /// A bearer token.
        bearer: Option<String>,
        /// When to give up.
        timeout_ms: u64,
        /// Goes on.
        then: Then<ProbeOutcome>,
    },
    /// The answer.
    Respond(Response),
    /// The answer is a file of the build.
    Asset(&'static Asset),
    /// The request goes to a server.
    Infer(Box<Inference>),
}

/// One question of several.
pub struct Question {
    /// The object.
    pub to: ObjectName,
    /// The message, as JSON.
    pub message: String,
    /// When to stop waiting for this one.
    pub timeout_ms: u64,
}

impl Question {
    /// A message for an object.
    pub fn new(to: ObjectName, message: &impl serde::Serialize, timeout_ms: u64) -> Self {
        Self {
            to,
            message: serde_json::to_string(message).unwrap_or_default(),
            timeout_ms,
        }
    }
}

/// The body is over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyTooLarge {
    /// The limit in bytes.
    pub limit: usize,
}

/// How long an object may take to answer an administrative question. Objects answer in milliseconds; one
/// that is being moved takes a few seconds.
pub const ASK_TIMEOUT_MS: u64 = 10_000;

impl Step {
    /// Asks an object, with an answer read as `T`.
    pub fn ask<M, T>(
        to: ObjectName,
        message: &M,
        then: impl FnOnce(&mut Cx<'_>, Result<T, Unanswered>) -> Self + 'static,
    ) -> Self
    where
        M: serde::Serialize,
        T: serde::de::DeserializeOwned,
    {
        Self::ask_within(ASK_TIMEOUT_MS, to, message, then)
    }

    /// The same with a limit of its own.
    pub fn ask_within<M, T>(
        timeout_ms: u64,
        to: ObjectName,
        message: &M,
        then: impl FnOnce(&mut Cx<'_>, Result<T, Unanswered>) -> Self + 'static,
    ) -> Self
    where
        M: serde::Serialize,
        T: serde::de::DeserializeOwned,
    {
        let message = serde_json::to_string(message).unwrap_or_default();
        let object = to.to_string();
        let then =
            move |cx: &mut Cx<'_>, outcome: CallOutcome| then(cx, read_answer(object, outcome));
        Self::Ask {
            to,
            message,
            timeout_ms,
            then: Box::new(then),
        }
    }

    /// Asks several objects at once, with answers read as `T`.
    pub fn gather<T>(
        questions: Vec<Question>,
        then: impl FnOnce(&mut Cx<'_>, Vec<Result<T, Unanswered>>) -> Self + 'static,
    ) -> Self
    where
        T: serde::de::DeserializeOwned,
    {
        let objects: Vec<String> = questions.iter().map(|it| it.to.to_string()).collect();
        let then = move |cx: &mut Cx<'_>, outcomes: Vec<CallOutcome>| {
            let read = objects.into_iter().zip(outcomes);
            let read = read.map(|(object, outcome)| read_answer(object, outcome));
            then(cx, read.collect())
        };
        Self::Gather {
            questions,
            then: Box::new(then),
        }
    }

    /// Reads the body, at most `limit` bytes.
    pub fn body(
        limit: usize,
        then: impl FnOnce(&mut Cx<'_>, Result<Vec<u8>, BodyTooLarge>) -> Self + 'static,
    ) -> Self {
        Self::Body {
            limit,
            then: Box::new(then),
        }
    }
}

/// An object did not answer, or not in words that this release knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object} did not answer: {reason}")]
pub struct Unanswered {
    /// Which object.
    pub object: String,
    /// Why, for the log.
    pub reason: String,
}

fn read_answer<T: serde::de::DeserializeOwned>(
    object: String,
    outcome: CallOutcome,
) -> Result<T, Unanswered> {
    match outcome {
        CallOutcome::Answered(text) => serde_json::from_str(&text).map_err(|error| Unanswered {
            object,
            // Not in serde's words: they quote values, and reasons reach logs.
            reason: format!(
                "its answer cannot be read from line {} column {} on",
                error.line(),
                error.column()
            ),
        }),
        CallOutcome::Failed(reason) => Err(Unanswered { object, reason }),
    }
}
