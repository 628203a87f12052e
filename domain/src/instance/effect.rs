//! What the host must do, in the order given. Rows (`LeaseWritten`, `LeaseRemoved`, `RecordChanged`) are
//! stored in the same turn as the event that caused them, before any answer leaves.

use super::ask::{GrantKind, Load};
use super::denied::Denied;
use crate::breaker::EjectReason;
use crate::health::{Check, CheckFault};
use crate::ids::{ModelName, RequestId};
use crate::time::Timestamp;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer the request: whoever waits for it now gets this.
    Answer {
        /// Which request.
        request: RequestId,
        /// What to say.
        answer: Answer,
    },
    /// Check the server's health and report the result.
    Check(Check),
    /// Tell the fleet, which ranks servers by it.
    Announce(Change),
    /// Write an audit line.
    Audit {
        /// What changed.
        what: Change,
        /// What made it change.
        reason: Cause,
    },
    /// Tell a model that has waiting requests.
    SlotFree {
        /// Which model.
        model: ModelName,
        /// How many slots are free.
        free: u32,
    },
    /// Store this lease ([`super::Instance::lease`]).
    LeaseWritten(RequestId),
    /// Delete this lease.
    LeaseRemoved(RequestId),
    /// Store the record ([`super::Instance::record`]).
    RecordChanged,
}

/// An answer to an ask. `Queued` is followed by another answer, the others are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go ahead.
    Granted {
        /// The lease must be renewed before.
        lease_until: Timestamp,
        /// How it was granted.
        kind: GrantKind,
        /// How busy the server is with it.
        load: Load,
    },
    /// Wait.
    Queued {
        /// The place in the queue, from 1.
        position: u32,
        /// How busy the server is.
        load: Load,
    },
    /// No.
    Denied(Denied),
}

/// A change of the server's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its health checks pass again.
    Healthy,
    /// Its health checks fail.
    Unhealthy {
        /// What the last one found.
        reason: CheckFault,
    },
    /// Its requests fail.
    Ejected {
        /// When a probe may go.
        until: Timestamp,
        /// Ejections not yet forgiven.
        times: u32,
        /// Why.
        reason: EjectReason,
    },
    /// Its one probe is out. Audited only.
    Probing,
    /// It is back.
    Readmitted,
    /// It asked for a pause.
    CoolingDown {
        /// Until when.
        until: Timestamp,
    },
    /// It takes no new requests.
    Draining,
    /// Nothing runs on it any more.
    Drained,
    /// It takes requests again.
    Undrained,
}

/// What made the state change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Health checks.
    Checks,
    /// How requests ended.
    Failures,
    /// A probe was granted, or ended.
    Probe,
    /// A probe ended without a word on the server.
    ProbeLost,
    /// A request under the panic rule was answered well.
    Panic,
    /// The server answered 429 or 503.
    Backpressure {
        /// Which.
        status: u16,
    },
    /// Someone asked for it.
    Asked,
    /// The last running request ended.
    Idle,
}
