//! Judges an ask. Nothing here changes anything.

use super::Instance;
use super::ask::{Admission, Ask, AskMode, GrantKind, Load};
use super::denied::Denied;
use super::record::Phase;
use crate::breaker::{BreakerDenied, BreakerState, Pass};
use crate::health::HealthVerdict;
use crate::queue::{Place, QueueDenied};
use crate::time::{Span, Timestamp};

impl Instance {
    /// What an ask would come to. The state is taken as of the last event: run due timers first
    /// ([`Event::Tick`](super::Event::Tick)) for the answer an event would get.
    pub fn admit(&self, now: Timestamp, ask: &Ask) -> Result<Admission, Denied> {
        if self.leases.get(&ask.request).is_some() {
            return Ok(Admission::AlreadyGranted);
        }
        if self.queue.position(&ask.request).is_some() {
            return Ok(Admission::AlreadyQueued);
        }
        if self.withdrawn.holds(now, &ask.request) {
            return Err(Denied::Cancelled);
        }
        let pass = self.gate(now, ask.mode == AskMode::Panic)?;
        if now + ask.least_service > ask.deadline {
            return Err(Denied::DeadlineTooShort {
                expected_start: Span::ZERO,
            });
        }
        if !self.retry_budget.allows(now, ask.kind) {
            return Err(Denied::RetryBudgetSpent);
        }
        if self.slots_free() > 0 {
            return Ok(Admission::Grant(match (pass, ask.mode) {
                (Pass::Probe, _) => GrantKind::Probe,
                (Pass::Panic, _) => GrantKind::Panic,
                (Pass::Ordinary, AskMode::Tentative) => GrantKind::Tentative,
                (Pass::Ordinary, AskMode::Normal | AskMode::Panic) => GrantKind::Normal,
            }));
        }
        if pass != Pass::Ordinary || ask.mode == AskMode::Tentative {
            return Err(Denied::Busy {
                load: self.load(now),
            });
        }
        match self.queue.admit(now, ask, self.slot_every()) {
            Ok(Place::Enqueue { .. }) => Ok(Admission::Enqueue),
            Ok(Place::AlreadyQueued { .. }) => Ok(Admission::AlreadyQueued),
            Err(QueueDenied::Full { depth }) => {
                let expected_start = self.slot_every().times(i64::from(depth));
                Err(Denied::QueueFull {
                    depth,
                    expected_start,
                })
            }
            Err(QueueDenied::DeadlineTooShort { expected_start }) => {
                Err(Denied::DeadlineTooShort { expected_start })
            }
        }
    }

    /// How busy the server is, and how badly it went lately.
    pub fn load(&self, now: Timestamp) -> Load {
        Load {
            running: self.leases.running(),
            queued: self.queue.len(),
            capacity: self.limits.max_concurrency,
            strain_permille: self.breaker.strain_permille(now),
        }
    }

    /// Whether the server may be asked at all, and as what.
    pub(super) fn gate(&self, now: Timestamp, panic: bool) -> Result<Pass, Denied> {
        match self.phase {
            Phase::Active => {}
            Phase::Draining { .. } | Phase::Drained { .. } => return Err(Denied::Draining),
        }
        if let HealthVerdict::Unhealthy { since, reason } = self.health.verdict() {
            let recheck_at = self.health.next_at();
            return Err(Denied::Unhealthy {
                since,
                reason,
                recheck_at,
            });
        }
        let mut pass = self.breaker.admit(now, panic);
        if let (Ok(Pass::Probe), BreakerState::Ejected { since, reason, .. }) =
            (pass, self.breaker.state())
            && self.leases.has_probe()
        {
            // A probe from before a restart still runs; a second one must not join it.
            pass = if panic {
                self.breaker.admit_panic(now)
            } else {
                Err(BreakerDenied::Probing {
                    since: *since,
                    reason: *reason,
                })
            };
        }
        let pass = pass.map_err(|denied| match denied {
            BreakerDenied::Ejected {
                since,
                until,
                reason,
            } => Denied::Ejected {
                since,
                until,
                reason,
            },
            BreakerDenied::Probing { since, reason } => Denied::Probing { since, reason },
            BreakerDenied::PanicSpent { until } => Denied::PanicSpent { until },
        })?;
        match self.cooldown.pause(now) {
            Some(pause) => Err(Denied::CoolingDown { until: pause.until }),
            None => Ok(pass),
        }
    }

    pub(super) fn slots_free(&self) -> u32 {
        self.limits
            .max_concurrency
            .saturating_sub(self.leases.running())
    }

    /// How many requests that wait elsewhere could start here now: every free slot, or one if an
    /// ejected server awaits its probe.
    pub(super) fn openings(&self, now: Timestamp) -> u32 {
        match self.gate(now, false) {
            Ok(Pass::Ordinary) => self.slots_free(),
            Ok(Pass::Probe) => self.slots_free().min(1),
            Ok(Pass::Panic) | Err(_) => 0,
        }
    }

    /// How often a slot frees up when all are taken; zero (wait and see) before the first answer.
    fn slot_every(&self) -> Span {
        let duration = self.figures.duration.span().unwrap_or(Span::ZERO);
        let slots = i64::from(self.limits.max_concurrency.max(1));
        Span::from_ms(duration.as_ms() / slots)
    }
}
