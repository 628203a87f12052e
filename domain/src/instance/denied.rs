//! Why a request may not use the server, and when it is worth asking again.

use thiserror::Error;

use super::ask::Load;
use crate::breaker::EjectReason;
use crate::health::CheckFault;
use crate::time::{Span, Timestamp};

/// The reasons. Each is final for this ask; another server may be asked at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    /// Too many requests failed.
    #[error(
        "the server is ejected after {reason}; ask another server, or this one after its pause"
    )]
    Ejected {
        /// Since when it has been out.
        since: Timestamp,
        /// When one probe may go.
        until: Timestamp,
        /// Why.
        reason: EjectReason,
    },
    /// Ejected, and the one request that may try it is on its way.
    #[error("the server is ejected after {reason} and its one probe is out; ask another server")]
    Probing {
        /// Since when it has been out.
        since: Timestamp,
        /// Why.
        reason: EjectReason,
    },
    /// It answered 429 or 503 and is left alone for a while.
    #[error("the server asked for a pause; ask another server, or this one after the pause")]
    CoolingDown {
        /// Until when.
        until: Timestamp,
    },
    /// Its health checks fail.
    #[error("the server fails its health checks with {reason}; see to the server")]
    Unhealthy {
        /// Since when.
        since: Timestamp,
        /// What the check found.
        reason: CheckFault,
        /// When it is checked again.
        recheck_at: Timestamp,
    },
    /// It takes no new requests.
    #[error("the server is draining and takes no new requests; ask another server")]
    Draining,
    /// No slot is free, and the ask was not one to wait.
    #[error("every slot of the server is taken; ask another server or wait in its queue")]
    Busy {
        /// How busy.
        load: Load,
    },
    /// No slot is free and no place to wait.
    #[error("every slot of the server is taken and {depth} requests wait already; ask again later")]
    QueueFull {
        /// How many wait.
        depth: u32,
        /// When a place is likely to be free, from now.
        expected_start: Span,
    },
    /// It waited as long as one may wait here.
    #[error("no slot came free within the time a request may wait; ask another server")]
    QueueTimeout,
    /// The client would be gone before the answer.
    #[error("the time left is shorter than the wait for an answer; ask with a later deadline")]
    DeadlineTooShort {
        /// When its turn would be, from now.
        expected_start: Span,
    },
    /// Retries and hedges have had their share.
    #[error("retries and hedges have used up their share of this server; give the request up")]
    RetryBudgetSpent,
    /// Another panic request was granted within the last second.
    #[error(
        "the server is ejected and this second's trial request is taken; ask again in a second"
    )]
    PanicSpent {
        /// When the next may go.
        until: Timestamp,
    },
    /// The request was cancelled while it waited.
    #[error("the request was cancelled while it waited for a slot")]
    Cancelled,
    /// No such server. Hosts answer this when nothing is stored.
    #[error("no such server is registered; refresh the list of servers")]
    NotRegistered,
}

impl Denied {
    /// When asking this server again may help, from `now`; `None` if it will not.
    pub fn retry_after(&self, now: Timestamp) -> Option<Span> {
        let second = Span::from_secs(1);
        match self {
            Self::Ejected { until, .. }
            | Self::CoolingDown { until }
            | Self::PanicSpent { until } => Some(now.until(*until)),
            Self::Unhealthy { recheck_at, .. } => Some(now.until(*recheck_at).max(second)),
            Self::QueueFull { expected_start, .. } => {
                Some((*expected_start).clamp(second, Span::from_secs(60)))
            }
            Self::Probing { .. } | Self::Busy { .. } | Self::QueueTimeout => Some(second),
            Self::DeadlineTooShort { expected_start } => Some(*expected_start),
            Self::Draining | Self::RetryBudgetSpent | Self::Cancelled | Self::NotRegistered => None,
        }
    }
}
