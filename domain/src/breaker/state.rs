//! The breaker's words: its states, why it ejects, what it refuses and what it reports.
//!
//! Plain data with public fields, so that hosts can store and show it; only [`super::Breaker`] changes it.

use core::fmt;

use crate::ids::RequestId;
use crate::outcome::FailureKind;
use crate::time::{Span, Timestamp};

/// Where the breaker stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests pass.
    Admitting {
        /// Since when. Answers to requests granted earlier are old news and are not counted.
        since: Timestamp,
        /// When the count of ejections was last lowered (or the server re-admitted).
        forgiven_at: Timestamp,
    },
    /// Nothing passes until `until`; then one probe does.
    Ejected {
        /// Since when the server has been out, over all ejections in a row.
        since: Timestamp,
        /// When a probe may go.
        until: Timestamp,
        /// How long this ejection is: the bound on the time left if the clock jumps back.
        length: Span,
        /// Why.
        reason: EjectReason,
    },
    /// One probe is out; its answer decides.
    Probing {
        /// The request that is the probe.
        request: RequestId,
        /// When it was granted.
        granted_at: Timestamp,
        /// Since when the server has been out.
        since: Timestamp,
        /// Why it was ejected.
        reason: EjectReason,
    },
}

/// Why a server was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EjectReason {
    /// Too many failures in a row.
    Consecutive {
        /// How many.
        failures: u32,
        /// The last of them.
        last: FailureKind,
    },
    /// Too large a share of the window failed.
    Share {
        /// Failures in the window.
        failures: u32,
        /// Requests in the window.
        requests: u32,
    },
    /// The probe failed.
    ProbeFailed(FailureKind),
}

/// How a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// As any request.
    Ordinary,
    /// As the one probe.
    Probe,
    /// Under the panic rule.
    Panic,
}

/// Why a request may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerDenied {
    /// The server is out.
    Ejected {
        /// Since when.
        since: Timestamp,
        /// Until when.
        until: Timestamp,
        /// Why.
        reason: EjectReason,
    },
    /// The one probe is out already.
    Probing {
        /// Since when the server has been out.
        since: Timestamp,
        /// Why it was ejected.
        reason: EjectReason,
    },
    /// This second's panic request has been granted.
    PanicSpent {
        /// When the next may go.
        until: Timestamp,
    },
}

/// A request that was let through, as its answer comes in.
#[derive(Clone, Copy, Debug)]
pub struct Passed<'a> {
    /// The request.
    pub request: &'a RequestId,
    /// When it was let through.
    pub granted_at: Timestamp,
    /// How.
    pub pass: Pass,
}

/// A change of state that others must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// The server is out, or stays out longer.
    Ejected {
        /// Until when.
        until: Timestamp,
        /// The how-manieth time, counting those not yet forgiven.
        times: u32,
        /// Why.
        reason: EjectReason,
    },
    /// The server is back.
    Readmitted {
        /// What proved it works.
        by: Pass,
    },
}

/// What outlives a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerRecord {
    /// The state.
    pub state: BreakerState,
    /// Ejections not yet forgiven.
    pub times: u32,
}

/// Failures in a row while admitting. Stored apart from the record, for it changes with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureRun {
    /// How many.
    pub failures: u32,
    /// Since when the server had been admitted: a run says nothing about another stretch.
    pub admitted_at: Timestamp,
}

impl fmt::Display for EjectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consecutive { failures, last } => {
                write!(f, "{failures} failures in a row, the last {last}")
            }
            Self::Share { failures, requests } => {
                write!(f, "{failures} of the last {requests} requests failed")
            }
            Self::ProbeFailed(kind) => write!(f, "the probe ended with {kind}"),
        }
    }
}
