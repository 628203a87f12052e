//! What the registry says a server is, and the policy that goes with it.
//!
//! Invariant: an older generation of the entry, or version of the policy, never overwrites a newer one.

use tidegate_domain::instance::{self as machine, Event, InstanceRecord};

use super::behind::WriteBehind;
use super::rental::Rental;
use super::{Instance, checks, store};
use crate::bindings::ObjectName;
use crate::bindings::fleet::{FleetCommand, ReliabilityPolicy};
use crate::bindings::instance::{CheckReport, DeniedWire, InstanceSpec};
use crate::driver::{Cx, TurnError};
use crate::ports::StoreError;
use crate::records::instance::{Stored, limits};
use crate::records::policy::machine_policy;

impl Instance {
    pub(super) fn configure(
        &mut self,
        cx: &mut Cx<'_>,
        spec: InstanceSpec,
        first_check: Option<&CheckReport>,
        policy: ReliabilityPolicy,
    ) -> Result<(), TurnError> {
        if spec.generation <= self.stored.generation {
            // A repeated or late delivery.
            return Ok(());
        }
        let old = self.stored.spec.as_ref().filter(|_| self.machine.is_some());
        let moved = old.is_none_or(|old| old.endpoint_url != spec.endpoint_url);
        let limits = limits(&spec);
        if policy.version >= self.stored.policy.version {
            self.stored.policy = policy;
        }
        self.stored.generation = spec.generation;
        self.stored.spec = Some(spec);
        self.due.save = true;
        let numbers = machine_policy(&self.stored.policy);
        if !moved {
            self.hear(cx, Event::LimitsChanged(limits), None)?;
            self.hear(cx, Event::PolicyChanged(numbers), None)?;
            return Ok(());
        }
        let fresh = machine::Instance::new(store::salt(cx), limits, numbers, cx.now);
        let mut machine = match self.machine.take() {
            Some(old) => self.at_new_address(cx, &old, &fresh)?,
            None => {
                // Registered again: an announcement of the time before may still be on its way to the fleet,
                // and must not be the last that it hears.
                self.due.announce |= self.stored.sequence > 0;
                fresh
            }
        };
        if let Some(check) = first_check {
            machine.restore_ring(checks::ring_of(check));
        }
        self.behind.write_figures(cx, &machine)?;
        self.machine = Some(machine);
        if self.rental.as_ref().is_some_and(Rental::is_draining) {
            // It began before there was a server to drain.
            self.hear(cx, Event::DrainRequested, None)?;
        }
        self.hear(cx, Event::Tick, None)?;
        Ok(())
    }

    /// At another address it is another server: what breaker, cool-down and checks know is about the old
    /// one. Requests that run there keep their slots, and a drain goes on.
    fn at_new_address(
        &mut self,
        cx: &mut Cx<'_>,
        old: &machine::Instance,
        fresh: &machine::Instance,
    ) -> Result<machine::Instance, StoreError> {
        let record = InstanceRecord {
            phase: old.phase(),
            ..fresh.record()
        };
        let mut machine = machine::Instance::restore(record, store::lease_rows(old), cx.now);
        machine.restore_figures(*old.figures());
        self.send_away(cx, &DeniedWire::QueueTimeout)?;
        if old.why_out(cx.now) != machine.why_out(cx.now) {
            self.due.announce = true;
        }
        Ok(machine)
    }

    /// Whoever waits is sent away; what runs is let run, but nobody counts it any more, and what was not
    /// told yet concerns nobody. The number of the last announcement stays: the fleet knows the earlier
    /// ones.
    pub(super) fn remove(&mut self, cx: &mut Cx<'_>, generation: u64) -> Result<(), TurnError> {
        if generation <= self.stored.generation {
            return Ok(());
        }
        self.machine = None;
        self.stored = Stored {
            generation,
            sequence: self.stored.sequence,
            ..store::nothing()
        };
        self.behind = WriteBehind::default();
        self.due.save = true;
        store::erase(cx)?;
        if self.rental.is_none() {
            cx.recall()?;
        }
        self.send_away(cx, &DeniedWire::NotRegistered)?;
        self.resolve_checks(cx)
    }

    pub(super) fn adopt_policy(
        &mut self,
        cx: &mut Cx<'_>,
        policy: ReliabilityPolicy,
    ) -> Result<(), TurnError> {
        if policy.version <= self.stored.policy.version || self.machine.is_none() {
            return Ok(());
        }
        let numbers = machine_policy(&policy);
        self.stored.policy = policy;
        self.due.save = true;
        self.hear(cx, Event::PolicyChanged(numbers), None)?;
        Ok(())
    }

    /// An isolate knows a newer policy than this object: it is fetched.
    pub(super) fn learn_policy(&mut self, cx: &mut Cx<'_>, version: u64) -> Result<(), StoreError> {
        if version <= self.stored.policy.version || self.policy_asked {
            return Ok(());
        }
        self.policy_asked = true;
        let org = cx.name.org().unwrap_or_default().to_owned();
        cx.send(ObjectName::fleet(&org), &FleetCommand::Policy)
    }
}
