//! What the breaker lets through. Nothing here changes anything.

use super::{Breaker, BreakerDenied, BreakerState, Pass};
use crate::time::Timestamp;

impl Breaker {
    /// How badly it went lately, in thousandths of ejection: the larger of the run of failures against
    /// its limit and the failure share of the window, plus a tenth for each ejection not yet forgiven
    /// (at most half), so that a server just back is eased in.
    pub fn strain_permille(&self, now: Timestamp) -> u32 {
        let of = |part: u32, whole: u32| {
            let permille = u64::from(part) * 1000 / u64::from(whole.max(1));
            u32::try_from(permille).unwrap_or(1000).min(1000)
        };
        let limit = self.policy.consecutive_failures.max(1);
        let run = of(self.consecutive, limit);
        let sum = self.window.sum(now);
        // One failure among two requests is not a share yet: weigh it against the run limit at least.
        let share = of(sum.marked, sum.all().max(limit));
        let history = self.times.saturating_mul(100).min(500);
        run.max(share).saturating_add(history).min(1000)
    }

    /// Whether a request may pass at `now`. Looks, never changes.
    pub fn admit(&self, now: Timestamp, panic: bool) -> Result<Pass, BreakerDenied> {
        match &self.state {
            BreakerState::Admitting { .. } => Ok(Pass::Ordinary),
            BreakerState::Ejected {
                since,
                until,
                length,
                reason,
            } => {
                let until = (*until).min(now + *length);
                if self.ripe || now >= until {
                    Ok(Pass::Probe)
                } else if panic {
                    self.admit_panic(now)
                } else {
                    Err(BreakerDenied::Ejected {
                        since: *since,
                        until,
                        reason: *reason,
                    })
                }
            }
            BreakerState::Probing { .. } if panic => self.admit_panic(now),
            BreakerState::Probing { since, reason, .. } => Err(BreakerDenied::Probing {
                since: *since,
                reason: *reason,
            }),
        }
    }

    /// Whether the panic rule lets a request pass. For a host that must not send a second probe.
    pub fn admit_panic(&self, now: Timestamp) -> Result<Pass, BreakerDenied> {
        match self
            .panicked_at
            .map(|at| at.min(now) + self.policy.panic_every)
        {
            Some(until) if until > now => Err(BreakerDenied::PanicSpent { until }),
            _ => Ok(Pass::Panic),
        }
    }
}
