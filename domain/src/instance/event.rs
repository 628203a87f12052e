//! What happens to a server, as facts.

use super::ask::Ask;
use super::policy::{Limits, Policy};
use crate::health::{CheckId, Checked};
use crate::ids::{ModelName, RequestId};
use crate::outcome::Outcome;
use crate::time::{Span, Timestamp};

/// A fact. Stale and repeated ones yield nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request asked for the server.
    Asked(Ask),
    /// The holder of a lease is still at it.
    Renewed(RequestId),
    /// A granted request ended.
    Settled(Settled),
    /// The asker gave up: a queued request leaves, a granted one was never sent.
    Cancelled(RequestId),
    /// A health check ended.
    CheckFinished {
        /// Which.
        check: CheckId,
        /// How.
        result: Checked,
    },
    /// Someone wants a health check now.
    CheckRequested,
    /// The server shall take no new requests.
    DrainRequested,
    /// The server shall take requests again.
    Undrained,
    /// New numbers.
    PolicyChanged(Policy),
    /// New capacity.
    LimitsChanged(Limits),
    /// Requests for a model wait for any slot that serves it.
    ModelWaiting {
        /// Which model.
        model: ModelName,
        /// How long its wish is to be remembered.
        until: Timestamp,
    },
    /// Time passed.
    Tick,
}

/// How a granted request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which request.
    pub request: RequestId,
    /// How it ended.
    pub outcome: Outcome,
    /// Time to the first token, if one came.
    pub ttft: Option<Span>,
    /// From sending the request to the end of the answer.
    pub duration: Span,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
}
