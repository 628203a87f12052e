//! What the checks look at inside an instance, copied before and after each turn.

use std::collections::BTreeMap;

use tidegate_domain::breaker::BreakerState;
use tidegate_domain::instance::Lease;
use tidegate_domain::time::Timestamp;

use crate::object::{self, Inside};

/// An instance at a moment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Whether a server is registered here.
    pub registered: bool,
    /// Who runs.
    pub leases: BTreeMap<String, Lease>,
    /// Requests at once.
    pub capacity: u32,
    /// Requests waiting.
    pub queued: u32,
    /// The breaker.
    pub breaker: Option<BreakerState>,
    /// What its checks say.
    pub healthy: bool,
    /// Leases that ran out so far.
    pub leases_expired: u64,
    /// Whole answers so far.
    pub successes: u64,
}

impl object::Seen for Seen {
    fn of(object: Inside<'_>) -> Option<Self> {
        let Inside::Instance(instance) = object else {
            return None;
        };
        let Some(machine) = instance.machine() else {
            return Some(Self {
                registered: false,
                leases: BTreeMap::new(),
                capacity: 0,
                queued: 0,
                breaker: None,
                healthy: true,
                leases_expired: 0,
                successes: 0,
            });
        };
        Some(Self {
            registered: true,
            leases: machine
                .leases()
                .map(|(request, lease)| (request.as_str().to_owned(), *lease))
                .collect(),
            capacity: machine.limits().max_concurrency,
            queued: machine.queue().len(),
            breaker: Some(machine.breaker().state().clone()),
            healthy: machine.health().is_healthy(),
            leases_expired: machine.figures().totals.leases_expired,
            successes: machine.figures().totals.successes,
        })
    }
}

impl Seen {
    /// Whether ordinary requests pass the breaker.
    pub const fn admits(&self) -> bool {
        matches!(self.breaker, None | Some(BreakerState::Admitting { .. }))
    }

    /// Whether the breaker waits for its probe's answer.
    pub const fn is_probing(&self) -> bool {
        matches!(self.breaker, Some(BreakerState::Probing { .. }))
    }

    /// When the ejection ends, if one runs.
    pub const fn ejected_until(&self) -> Option<Timestamp> {
        match self.breaker {
            Some(BreakerState::Ejected { until, .. }) => Some(until),
            _ => None,
        }
    }
}
