//! One attached server: who may use it now.
//!
//! Composes breaker, cool-down, queue, leases, health and retry budget. One object per server runs it
//! and is its only writer, so every rule here holds across all callers.
//!
//! Invariants: leases granted ≤ `max_concurrency`, probes and panic requests included; requests wait
//! only while the server may be asked and no slot is free; every ask gets exactly one final answer; what
//! a restart loses (queue, windows, retry budget) makes the server more careful, never less.
//!
//! `handle` takes facts and returns what to do; `admit` only looks; the alarm is `poll_timeout`. Every
//! event first runs the timers that are due, so traffic makes up for a lost alarm.
//!
//! Out of scope: sending anything, storing anything, renting the server.

mod admission;
mod ask;
mod cooldown;
mod demand;
mod denied;
mod effect;
mod event;
mod figures;
mod handle;
mod leases;
mod level;
mod policy;
mod record;
mod retry_budget;
#[cfg(test)]
mod tests;
mod why_out;
mod withdrawn;

pub use self::ask::{Admission, Ask, AskKind, AskMode, GrantKind, Load};
use self::cooldown::Cooldown;
pub use self::cooldown::{CooldownPolicy, CooldownRecord, Pause};
use self::demand::Demand;
pub use self::denied::Denied;
pub use self::effect::{Answer, Cause, Change, Effect};
pub use self::event::{Event, Settled};
pub use self::figures::{Average, FailureTotals, Figures, Totals};
use self::leases::Leases;
pub use self::leases::{Lease, LeasePolicy, LeaseRow};
pub use self::policy::{Limits, Policy};
pub use self::record::{InstanceRecord, Phase};
use self::retry_budget::RetryBudget;
pub use self::retry_budget::RetryPolicy;
pub use self::why_out::{OutReason, WhyOut};
use crate::breaker::{Breaker, FailureRun};
use crate::health::{Health, HealthVerdict, Ring};
use crate::ids::RequestId;
use crate::queue::Queue;
use crate::time::Timestamp;

/// One server.
#[derive(Clone, Debug)]
pub struct Instance {
    salt: u64,
    limits: Limits,
    policy: Policy,
    phase: Phase,
    breaker: Breaker,
    cooldown: Cooldown,
    queue: Queue,
    leases: Leases,
    health: Health,
    retry_budget: RetryBudget,
    figures: Figures,
    demand: Demand,
    /// Cancels that came before their asks.
    withdrawn: withdrawn::Withdrawn,
    /// The record as the host has it, to tell when it must be written again.
    stored: InstanceRecord,
    /// Openings after the last event, to tell when one came free.
    openings: u32,
}

impl Instance {
    /// A server that was just registered: active and healthy, with a first check due at once. Store its
    /// [`Self::record`].
    pub fn new(salt: u64, limits: Limits, policy: Policy, now: Timestamp) -> Self {
        let breaker = Breaker::new(policy.breaker, salt, now);
        let record = InstanceRecord {
            salt,
            limits,
            policy,
            phase: Phase::Active,
            breaker: breaker.snapshot(),
            cooldown: CooldownRecord::default(),
            health: HealthVerdict::Healthy,
        };
        Self::assemble(record, breaker, Leases::new(policy.leases), now)
    }

    /// A server after a restart. Stored leases hold their slots from the first moment; nobody waits
    /// (their connections are gone, they ask again); a probe whose fate is unknown is lost; counts
    /// restart, but for what [`Self::restore_run`] puts back.
    pub fn restore(record: InstanceRecord, leases: Vec<LeaseRow>, now: Timestamp) -> Self {
        let breaker = Breaker::restore(
            record.policy.breaker,
            record.salt,
            record.breaker.clone(),
            now,
        );
        let leases = Leases::restore(record.policy.leases, leases, now);
        Self::assemble(record, breaker, leases, now)
    }

    fn assemble(record: InstanceRecord, breaker: Breaker, leases: Leases, now: Timestamp) -> Self {
        let InstanceRecord {
            salt,
            limits,
            policy,
            phase,
            cooldown,
            health,
            ..
        } = record;
        let mut instance = Self {
            salt,
            limits,
            policy,
            phase,
            breaker,
            cooldown: Cooldown::new(policy.cooldown, cooldown),
            queue: Queue::new(policy.queue, limits.queue_depth),
            leases,
            health: Health::new(policy.health, salt, health, now),
            retry_budget: RetryBudget::new(policy.retry_budget),
            figures: Figures::default(),
            demand: Demand::default(),
            withdrawn: withdrawn::Withdrawn::default(),
            stored: record,
            openings: 0,
        };
        instance.openings = instance.openings(now);
        instance
    }

    /// What to store on [`Effect::RecordChanged`].
    pub fn record(&self) -> InstanceRecord {
        InstanceRecord {
            salt: self.salt,
            limits: self.limits,
            policy: self.policy,
            phase: self.phase,
            breaker: self.breaker.snapshot(),
            cooldown: self.cooldown.record(),
            health: self.health.verdict(),
        }
    }

    /// When to hand in [`Event::Tick`]: the earliest of all timers. A health check is always
    /// among them, so there always is one.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        [
            self.breaker.poll_timeout(),
            self.cooldown.poll_timeout(),
            self.queue.poll_timeout(),
            self.leases.poll_timeout(),
            Some(self.health.poll_timeout()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The lease of a request, to store it.
    pub fn lease(&self, request: &RequestId) -> Option<&Lease> {
        self.leases.get(request)
    }

    /// All leases.
    pub fn leases(&self) -> impl Iterator<Item = (&RequestId, &Lease)> {
        self.leases.iter()
    }

    /// Whether the server takes requests.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Its limits.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The numbers in force.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its breaker.
    pub const fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Its queue.
    pub const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Its health.
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// Puts the stored health ring back after [`Self::restore`].
    pub fn restore_ring(&mut self, ring: Ring) {
        self.health.restore_ring(ring);
    }

    /// Totals and averages.
    pub const fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Puts the breaker's stored run of failures back after [`Self::restore`].
    pub fn restore_run(&mut self, run: FailureRun) {
        self.breaker.resume(run);
    }

    /// Puts stored totals and averages back after [`Self::restore`].
    pub fn restore_figures(&mut self, figures: Figures) {
        self.figures = figures;
    }
}
