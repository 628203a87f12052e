//! Decides when to check a server and whether its checks put it out of rotation.
//!
//! Invariant: at most one check is in flight; the verdict changes only by `out_after` failures in a row
//! or `recover_after` successes in a row. A check is never activity and never speaks to the breaker.
//!
//! A check whose result never comes counts as not sent: the check itself ends within its time limit and
//! then reports a timeout, so a missing result means that our own host stopped in between. Blaming the
//! server for it would take a whole fleet out on each deploy. It is asked again soon.
//!
//! Out of scope: how a server is checked.

mod ring;
#[cfg(test)]
mod tests;

pub use self::ring::{CheckFault, CheckResult, RING, Ring};
use crate::backoff::jitter;
use crate::time::{Span, Timestamp};

/// When to check, and what it takes to be out or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPolicy {
    /// From one check to the next, plus up to a tenth.
    pub every: Span,
    /// From a failed check to the next.
    pub after_failure: Span,
    /// Failures in a row that put a server out.
    pub out_after: u32,
    /// Successes in a row that put it back.
    pub recover_after: u32,
    /// Time limit of one check.
    pub timeout: Span,
    /// How much later than its limit a result may still come.
    pub slack: Span,
    /// From a check that got lost to the next.
    pub after_lost: Span,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            every: Span::from_secs(60),
            after_failure: Span::from_secs(15),
            out_after: 3,
            recover_after: 1,
            timeout: Span::from_secs(10),
            slack: Span::from_secs(5),
            after_lost: Span::from_secs(5),
        }
    }
}

/// Names one check, so that a late result is told from the current one. It grows with the clock, so an
/// id is not used again after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId(pub u64);

/// A check to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name; comes back with the result.
    pub id: CheckId,
    /// When it must have ended.
    pub deadline: Timestamp,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// How long it took.
    pub latency: Span,
    /// What was wrong; `None` if nothing.
    pub fault: Option<CheckFault>,
}

/// What the checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthVerdict {
    /// In rotation.
    Healthy,
    /// Out of rotation.
    Unhealthy {
        /// Since when.
        since: Timestamp,
        /// What the check that put it out found.
        reason: CheckFault,
    },
}

/// A change of verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthShift {
    /// Out of rotation.
    Out {
        /// What the last check found.
        reason: CheckFault,
    },
    /// Back in rotation.
    Back,
}

/// The health of one server.
#[derive(Clone, Debug)]
pub struct Health {
    policy: HealthPolicy,
    salt: u64,
    ring: Ring,
    verdict: HealthVerdict,
    failures: u32,
    successes: u32,
    next_at: Timestamp,
    flight: Option<Check>,
    last_id: CheckId,
}

impl Health {
    /// Health with a first check due at once. Also after a restart: the alarm that woke the host was
    /// most likely this check's own, and a first check put off by a minute at each wake-up might never
    /// come.
    pub fn new(policy: HealthPolicy, salt: u64, verdict: HealthVerdict, now: Timestamp) -> Self {
        Self {
            policy,
            salt,
            ring: Ring::default(),
            verdict,
            failures: 0,
            successes: 0,
            next_at: now,
            flight: None,
            last_id: CheckId::default(),
        }
    }

    /// What the checks say.
    pub const fn verdict(&self) -> HealthVerdict {
        self.verdict
    }

    /// Whether the server is in rotation.
    pub const fn is_healthy(&self) -> bool {
        matches!(self.verdict, HealthVerdict::Healthy)
    }

    /// The last checks.
    pub const fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Puts stored results back. The run that they end in goes on: a host that sleeps between two checks
    /// would otherwise never see three failures in a row.
    pub fn restore_ring(&mut self, ring: Ring) {
        self.failures = ring.run(false);
        self.successes = ring.run(true);
        self.ring = ring;
    }

    /// When the next check goes.
    pub const fn next_at(&self) -> Timestamp {
        self.next_at
    }

    /// Whether a check should have gone a whole interval ago: its alarm was lost.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let due = self
            .flight
            .map_or(self.next_at, |check| check.deadline + self.policy.slack);
        now > due + self.policy.every
    }

    /// Takes new numbers; they hold from the next check on.
    pub fn set_policy(&mut self, policy: HealthPolicy) {
        self.policy = policy;
    }

    /// Asks for a check now. One in flight answers just as well.
    pub fn request(&mut self, now: Timestamp) {
        self.next_at = now;
    }

    /// Lets time pass; returns the check to send, if one is due.
    #[must_use]
    pub fn advance(&mut self, now: Timestamp) -> Option<Check> {
        self.bound(now);
        if let Some(check) = self.flight {
            if now < check.deadline + self.policy.slack {
                return None;
            }
            self.flight = None;
            self.next_at = now + self.spaced(self.policy.after_lost);
        }
        if now < self.next_at {
            return None;
        }
        let by_clock = u64::try_from(now.as_ms()).unwrap_or(0);
        let id = CheckId(by_clock.max(self.last_id.0.saturating_add(1)));
        let check = Check {
            id,
            deadline: now + self.policy.timeout,
        };
        self.last_id = id;
        self.flight = Some(check);
        self.next_at = now + self.spaced(self.policy.every);
        Some(check)
    }

    /// Takes in a result. One that is not of the check in flight yields nothing.
    pub fn finished(
        &mut self,
        now: Timestamp,
        id: CheckId,
        checked: Checked,
    ) -> Option<HealthShift> {
        if self.flight.map(|check| check.id) != Some(id) {
            return None;
        }
        self.flight = None;
        self.ring.push(CheckResult {
            at: now,
            ok: checked.fault.is_none(),
            latency_ms: u32::try_from(checked.latency.as_ms()).unwrap_or(u32::MAX),
            reason: checked.fault,
        });
        match checked.fault {
            None => self.passed(now),
            Some(reason) => self.failed(now, reason),
        }
    }

    /// When to call [`Self::advance`].
    #[must_use]
    pub fn poll_timeout(&self) -> Timestamp {
        self.flight
            .map_or(self.next_at, |check| check.deadline + self.policy.slack)
    }

    fn passed(&mut self, now: Timestamp) -> Option<HealthShift> {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        self.next_at = now + self.spaced(self.policy.every);
        if self.is_healthy() || self.successes < self.policy.recover_after.max(1) {
            return None;
        }
        self.verdict = HealthVerdict::Healthy;
        Some(HealthShift::Back)
    }

    fn failed(&mut self, now: Timestamp, reason: CheckFault) -> Option<HealthShift> {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        self.next_at = now + self.spaced(self.policy.after_failure);
        if !self.is_healthy() || self.failures < self.policy.out_after.max(1) {
            return None;
        }
        self.verdict = HealthVerdict::Unhealthy { since: now, reason };
        Some(HealthShift::Out { reason })
    }

    /// `span` plus up to a tenth, drawn anew for each check. At least a second, or a zero in the policy
    /// would make the alarm ring without end.
    fn spaced(&self, span: Span) -> Span {
        let span = span.max(Span::from_secs(1));
        span + jitter(self.salt, self.last_id.0, Span::from_ms(span.as_ms() / 10))
    }

    /// A clock that jumped back must not put a check off for longer than an interval.
    fn bound(&mut self, now: Timestamp) {
        let most = Span::from_ms(self.policy.every.as_ms().saturating_mul(11) / 10);
        let most = most
            .max(self.policy.after_failure)
            .max(self.policy.after_lost);
        self.next_at = self.next_at.min(now + most);
        if let Some(check) = &mut self.flight {
            check.deadline = check.deadline.min(now + self.policy.timeout);
        }
        if let HealthVerdict::Unhealthy { since, .. } = &mut self.verdict {
            *since = (*since).min(now);
        }
    }
}
