//! What a server's object stores of its state: small, and written only when it changes.

use super::cooldown::CooldownRecord;
use super::policy::{Limits, Policy};
use crate::breaker::BreakerRecord;
use crate::health::HealthVerdict;
use crate::time::Timestamp;

/// The durable record. Leases are rows of their own; totals and the health ring are stored rarely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceRecord {
    /// Drawn once at registration: spreads this server's timers from those of others.
    pub salt: u64,
    /// Its limits.
    pub limits: Limits,
    /// The numbers in force.
    pub policy: Policy,
    /// Whether it takes requests.
    pub phase: Phase,
    /// Its breaker.
    pub breaker: BreakerRecord,
    /// Its cool-down.
    pub cooldown: CooldownRecord,
    /// What its health checks say.
    pub health: HealthVerdict,
}

/// Whether a server takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It does.
    Active,
    /// No new ones; those granted go on.
    Draining {
        /// Since when.
        since: Timestamp,
    },
    /// No new ones, and none runs.
    Drained {
        /// Since when.
        since: Timestamp,
    },
}
