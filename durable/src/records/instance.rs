//! What an instance stores: one small record, its leases, and figures that may be lost.
//!
//! Invariant: a record of the release before can be read; every field added later has a default.

mod figures;
mod lease;
mod machine;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::figures::{CheckRow, FiguresRow, RunRow};
pub use self::lease::{GrantRow, LeaseColumn};
pub use self::machine::limits;
use crate::bindings::fleet::ReliabilityPolicy;
use crate::bindings::instance::InstanceSpec;

/// Everything of a registered server that must survive, as one JSON row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The registry entry; `None` after its removal, of which only the generation is kept.
    pub spec: Option<InstanceSpec>,
    /// The newest generation seen.
    pub generation: u64,
    /// The policy in force.
    #[serde(default)]
    pub policy: ReliabilityPolicy,
    /// Orders the announcements to the fleet; outlives a removal, for a registration under the same id.
    #[serde(default)]
    pub sequence: u64,
    /// The machine.
    #[serde(default)]
    pub machine: Option<MachineRow>,
}

/// The machine's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineRow {
    /// As text: it uses all 64 bits.
    pub salt: String,
    /// Active, draining, drained.
    pub phase: PhaseRow,
    /// The breaker.
    pub breaker: BreakerRow,
    /// Ejections not yet forgiven.
    pub ejections: u32,
    /// The pause that runs.
    #[serde(default)]
    pub pause: Option<PauseRow>,
    /// Pauses since the last success.
    #[serde(default)]
    pub strikes: u32,
    /// Why health checks have it out, and since when.
    #[serde(default)]
    pub unhealthy: Option<UnhealthyRow>,
}

/// Whether it takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum PhaseRow {
    /// It does.
    Active,
    /// No new ones.
    Draining {
        /// Since when.
        since_ms: i64,
    },
    /// None runs any more.
    Drained {
        /// Since when.
        since_ms: i64,
    },
}

/// The breaker. A probe's request is not kept: after a restart its fate is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum BreakerRow {
    /// Requests pass.
    Admitting {
        /// Since when.
        since_ms: i64,
        /// When the count of ejections was last lowered.
        forgiven_at_ms: i64,
    },
    /// None does.
    Ejected {
        /// Since when.
        since_ms: i64,
        /// Until when.
        until_ms: i64,
        /// How long this ejection is.
        length_ms: i64,
        /// Why.
        reason: ReasonRow,
    },
    /// One is out.
    Probing {
        /// Which.
        request: String,
        /// Since when.
        granted_at_ms: i64,
        /// Since when the server is out.
        since_ms: i64,
        /// Why.
        reason: ReasonRow,
    },
}

/// Why it was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum ReasonRow {
    /// In a row.
    Consecutive {
        /// How many.
        failures: u32,
        /// The last of them.
        last: KindRow,
    },
    /// Of a window.
    Share {
        /// How many.
        failures: u32,
        /// Of how many.
        requests: u32,
    },
    /// The probe.
    ProbeFailed {
        /// How.
        kind: KindRow,
    },
}

/// A failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum KindRow {
    /// A 5xx.
    Http5xx {
        /// Which.
        status: u16,
    },
    /// The connection.
    Transport,
    /// No first token.
    Timeout,
    /// Silence.
    Stalled,
    /// No end.
    CutStream,
    /// Rubbish, or what only a newer release can tell from it: after a rollback its record must load.
    #[serde(other)]
    InvalidAnswer,
}

/// A pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseRow {
    /// Since when.
    pub since_ms: i64,
    /// Until when.
    pub until_ms: i64,
}

/// Out by health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnhealthyRow {
    /// Since when.
    pub since_ms: i64,
    /// What the check found.
    pub fault: FaultRow,
}

/// What a failed check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum FaultRow {
    /// A status other than 2xx.
    Status {
        /// Which.
        status: u16,
    },
    /// The connection.
    Transport,
    /// No answer in time.
    Timeout,
    /// A redirect.
    Redirected,
    /// An address that may not be asked.
    AddressRefused,
    /// Not a list of models, or a finding of a newer release.
    #[serde(other)]
    InvalidAnswer,
}
