//! Explains why a server is not asked: always answerable, with since when and until when.

use core::fmt;

use super::Instance;
use super::record::Phase;
use crate::breaker::{BreakerState, EjectReason};
use crate::health::{CheckFault, HealthVerdict};
use crate::time::Timestamp;

/// Why a server is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WhyOut {
    /// The reason; the one that asks are refused with first, if there are several.
    pub reason: OutReason,
    /// Since when.
    pub since: Timestamp,
    /// Until when, if that is known: the end of the ejection or pause, or the next health check.
    pub until: Option<Timestamp>,
}

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutReason {
    /// It is being drained.
    Draining,
    /// It has been drained.
    Drained,
    /// It fails its health checks.
    Unhealthy(CheckFault),
    /// Its requests failed.
    Ejected(EjectReason),
    /// Its requests failed, and a probe is out.
    Probing(EjectReason),
    /// It asked for a pause.
    CoolingDown,
}

impl Instance {
    /// Why the server is not asked at `now`; `None` if it is.
    pub fn why_out(&self, now: Timestamp) -> Option<WhyOut> {
        let out = |reason, since, until| {
            Some(WhyOut {
                reason,
                since,
                until,
            })
        };
        match self.phase {
            Phase::Draining { since } => return out(OutReason::Draining, since, None),
            Phase::Drained { since } => return out(OutReason::Drained, since, None),
            Phase::Active => {}
        }
        if let HealthVerdict::Unhealthy { since, reason } = self.health.verdict() {
            return out(
                OutReason::Unhealthy(reason),
                since,
                Some(self.health.next_at()),
            );
        }
        match self.breaker.state() {
            BreakerState::Ejected {
                since,
                until,
                length,
                reason,
            } => {
                let until = (*until).min(now + *length);
                out(OutReason::Ejected(*reason), *since, Some(until))
            }
            BreakerState::Probing { since, reason, .. } => {
                out(OutReason::Probing(*reason), *since, None)
            }
            BreakerState::Admitting { .. } => {
                let pause = self.cooldown.pause(now)?;
                out(OutReason::CoolingDown, pause.since, Some(pause.until))
            }
        }
    }
}

impl fmt::Display for OutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draining => f.write_str("draining: running requests end, no new ones begin"),
            Self::Drained => f.write_str("drained"),
            Self::Unhealthy(fault) => write!(f, "health checks fail with {fault}"),
            Self::Ejected(reason) => write!(f, "ejected after {reason}"),
            Self::Probing(reason) => write!(f, "ejected after {reason}, a probe is out"),
            Self::CoolingDown => f.write_str("the server asked for a pause"),
        }
    }
}
