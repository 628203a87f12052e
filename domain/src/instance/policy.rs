//! Every number of a server's admission.

use super::cooldown::CooldownPolicy;
use super::leases::LeasePolicy;
use super::retry_budget::RetryPolicy;
use crate::breaker::BreakerPolicy;
use crate::health::HealthPolicy;
use crate::queue::QueuePolicy;

/// The numbers an operator may set for all servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// When to eject and for how long.
    pub breaker: BreakerPolicy,
    /// How long to leave a server alone that asks for it.
    pub cooldown: CooldownPolicy,
    /// How long to wait for a slot.
    pub queue: QueuePolicy,
    /// How long a lease lives.
    pub leases: LeasePolicy,
    /// When to check health.
    pub health: HealthPolicy,
    /// The share of retries and hedges.
    pub retry_budget: RetryPolicy,
}

/// The numbers of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests at a time. Zero grants nothing.
    pub max_concurrency: u32,
    /// Places in the queue. Zero lets nobody wait.
    pub queue_depth: u32,
}

impl Default for Limits {
    /// Eight at a time suits a small model server; 32 places are four turns of those.
    fn default() -> Self {
        Self {
            max_concurrency: 8,
            queue_depth: 32,
        }
    }
}
