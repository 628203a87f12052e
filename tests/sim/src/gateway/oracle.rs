//! What is known to be true, from what was seen at servers and of committed turns, never from what the
//! code says of itself.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_domain::instance::Lease;
use tidegate_durable::bindings::fleet::ReliabilityPolicy;
use tidegate_durable::bindings::journal::AuditEntry;

use super::scenario::Scenario;

/// A grant as it was written.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    /// The lease.
    pub lease: Lease,
    /// When, in true time.
    pub at: i64,
}

/// When a lease was prolonged, in true time.
#[derive(Clone, Debug, Default)]
pub struct Renewed {
    /// In memory, oldest first.
    pub heard: Vec<i64>,
    /// As the stored row says at least.
    pub stored: i64,
}

impl Renewed {
    /// The last that counts.
    pub fn last(&self) -> i64 {
        self.heard
            .last()
            .copied()
            .unwrap_or(self.stored)
            .max(self.stored)
    }

    /// Memory went: what was heard after `written` is lost, and the row may lag by `lag`.
    pub fn reload(&mut self, written: i64, lag: i64) {
        let last = self.heard.drain(..).rfind(|at| *at <= written);
        self.stored = self.stored.max(last.map_or(self.stored, |last| last - lag));
    }
}

/// What is known of an instance.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Grants by request, the last of each.
    pub grants: BTreeMap<String, Grant>,
    /// Requests whose lease ended although they run, for a reason that is allowed.
    pub excused: BTreeSet<String>,
    /// Until when leases last at least.
    pub renewed: BTreeMap<String, Renewed>,
    /// Attempts that arrived in this life of the object: when, and whether as a retry or hedge.
    pub arrivals: Vec<(i64, bool)>,
    /// First attempts that were granted in this life of the object.
    pub firsts: Vec<i64>,
    /// The last panic grant.
    pub panicked: Option<i64>,
    /// The most requests it may ever have been allowed at once.
    pub most_capacity: u32,
    /// Answers that the server finished.
    pub finished: u64,
}

/// What is known of a key.
#[derive(Clone, Debug, Default)]
pub struct KnownKey {
    /// Admissions by request, by the key's clock.
    pub admitted: BTreeMap<String, i64>,
    /// Places that are held, by request, until (key's clock).
    pub held: BTreeMap<String, i64>,
}

/// Everything that is known.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    /// By instance id.
    pub instances: BTreeMap<String, Known>,
    /// By key id.
    pub keys: BTreeMap<String, KnownKey>,
    /// Clients by the gateway's request id.
    pub requests: BTreeMap<String, usize>,
    /// Audit entries that were committed, by event id.
    pub audits: BTreeMap<String, Vec<AuditEntry>>,
    /// Servers that exist, and how often each change was committed by its action.
    pub changes: BTreeMap<&'static str, u64>,
    /// The highest sequence of a committed announcement, by instance.
    pub sequences: BTreeMap<String, u64>,
    /// The largest limits that were in force.
    pub longest_total_ms: u64,
    /// See above.
    pub most_retries: u32,
    /// See above.
    pub retry_percent: u32,
    /// Servers that are registered.
    pub registered: BTreeSet<String>,
    /// Those of them that are drained.
    pub draining: BTreeSet<String>,
    /// How far clocks have jumped, in all.
    pub jumps_ms: i64,
    /// A message to an object was given up.
    pub told_in_vain: bool,
    /// Messages that were told twice: a settled lease may be settled again.
    pub told_twice: u64,
}

impl Oracle {
    /// Nothing has happened yet.
    pub fn new(scenario: &Scenario) -> Self {
        let mut oracle = Self::default();
        oracle.policy_may_be(&scenario.policy);
        oracle
    }

    /// From now on these numbers may be in force.
    pub fn policy_may_be(&mut self, policy: &ReliabilityPolicy) {
        self.longest_total_ms = self.longest_total_ms.max(policy.total_timeout_ms);
        self.most_retries = self.most_retries.max(policy.max_retries);
        self.retry_percent = self.retry_percent.max(policy.retry_budget_percent);
    }

    /// A change of the registry was committed.
    pub fn change(&mut self, action: &'static str) {
        *self.changes.entry(action).or_default() += 1;
    }

    /// A clock jumped.
    pub const fn jumped(&mut self, by: i64) {
        self.jumps_ms += by.abs();
    }

    /// A message was told a second time.
    pub const fn told_again(&mut self) {
        self.told_twice += 1;
    }

    /// A server finished an answer.
    pub fn finished(&mut self, instance: &str) {
        self.known(instance).finished += 1;
    }

    /// What is known of an instance.
    pub fn known(&mut self, instance: &str) -> &mut Known {
        self.instances.entry(instance.to_owned()).or_default()
    }
}
