//! `Instance`: one server.
//!
//! Name: `instance/{org}/{id}`. Messages: [`InstanceCommand`]. Tables: `record` (what it is, and the
//! machine), `leases`, `figures`.
//!
//! Invariants: an ask is answered once, in its turn or by a later one; breaker, cool-down, phase and
//! health are stored in the turn that changes them; `granted ≤ capacity` counts stored leases from the
//! first moment after an eviction.
//!
//! **Leases are written behind**, in one batch at most once a second, and not in the admitting turn: an
//! answer that waits for the disk costs a third of a request's throughput on a quiet disk and nine
//! tenths on a busy one (measured, `bench/RESULTS.md`), and most requests are over before their row
//! would be read. What is lost with an eviction is at most the last second's count, so the server may for
//! a moment run that many requests more than its capacity; each of them still ends or runs out. A row
//! that outlives its request the same way holds its slot until the lease runs out, 60 s at most.
//!
//! In scope: storing, long polls, health checks, telling the fleet and waiting models. Out of scope: who
//! is admitted (the machine in `tidegate_domain::instance`).

mod asks;
mod checks;
mod store;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;

use tidegate_domain::ids::{ModelName, RequestId};
use tidegate_domain::instance::{self as machine, Event};
use tidegate_domain::time::Timestamp;

use crate::bindings::ObjectName;
use crate::bindings::fleet::{
    FleetAnswer, FleetCommand, ReliabilityPolicy, ServerState, ServerStatus,
};
use crate::bindings::instance::{AskAnswer, CheckReport, Done, InstanceCommand, InstanceSpec};
use crate::bindings::model::ModelCommand;
use crate::driver::{Cx, Object, TurnError, encode};
use crate::ports::StoreError;
use crate::records::instance::{Stored, limits};
use crate::records::policy::machine_policy;
use crate::records::schema::statements;
use crate::turn::{EffectId, Outcome, Reply, Ticket};

const SCHEMA: [&str; 3] = statements(include_str!("../../../schemas/sql/instance.sql"));

/// Finished checks between two reports to the fleet. A report is how the cron knows that the alarm of
/// this object still rings; at a check a minute the fleet hears of it every five minutes.
const CHECKS_PER_REPORT: u32 = 5;

/// One server in memory.
pub struct Instance {
    stored: Stored,
    machine: Option<machine::Instance>,
    /// Long polls of asks that wait in the queue.
    polls: BTreeMap<RequestId, Ticket>,
    /// Callers that wait for the end of a health check.
    check_polls: Vec<Ticket>,
    checks_out: BTreeMap<EffectId, tidegate_domain::health::CheckId>,
    checks_since_report: u32,
    behind: store::WriteBehind,
    policy_asked: bool,
}

/// What a turn has collected from the machine's effects besides what was done at once.
#[derive(Default)]
struct Heard {
    answer: Option<AskAnswer>,
    announce: bool,
    record_changed: bool,
}

impl Object for Instance {
    const SCHEMA: &'static [&'static str] = &SCHEMA;

    fn open(cx: &mut Cx<'_>) -> Result<Self, StoreError> {
        let (stored, machine) = store::load(cx)?;
        Ok(Self {
            stored,
            machine,
            polls: BTreeMap::new(),
            check_polls: Vec::new(),
            checks_out: BTreeMap::new(),
            checks_since_report: 0,
            behind: store::WriteBehind::new(cx.now),
            policy_asked: false,
        })
    }

    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError> {
        let command = serde_json::from_str(message).map_err(|error| TurnError::Message {
            object: cx.name.to_string(),
            reason: error.to_string(),
        })?;
        match command {
            InstanceCommand::Turnover(turnover) => self.turnover(cx, turnover),
            InstanceCommand::Configure {
                spec,
                first_check,
                policy,
            } => {
                self.configure(cx, spec, first_check.as_ref(), policy)?;
                done()
            }
            InstanceCommand::Remove { generation } => {
                self.remove(cx, generation)?;
                done()
            }
            InstanceCommand::Drain => self.note(cx, Event::DrainRequested),
            InstanceCommand::Resume => self.note(cx, Event::Undrained),
            InstanceCommand::HealthCheck => self.check_now(cx),
            InstanceCommand::Describe => Ok(Reply::Now(encode("view", &self.view(cx.now))?)),
            InstanceCommand::Tick => self.note(cx, Event::Tick),
            InstanceCommand::Demand { model, until_ms } => {
                let until = Timestamp::from_ms(until_ms);
                self.note(
                    cx,
                    Event::ModelWaiting {
                        model: ModelName::new(model),
                        until,
                    },
                )
            }
            InstanceCommand::Policy { policy } => {
                self.adopt_policy(cx, policy)?;
                done()
            }
        }
    }

    fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        self.hear(cx, Event::Tick, None)?;
        self.behind.flush(cx, self.machine.as_ref())?;
        self.behind.flush_figures(cx, self.machine.as_ref())?;
        Ok(())
    }

    fn done(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), TurnError> {
        if let Some(check) = self.checks_out.remove(&id) {
            return self.check_finished(cx, check, &outcome);
        }
        if let Outcome::Delivered { reply } = outcome
            && self.policy_asked
            && let Ok(FleetAnswer::Policy { policy }) = serde_json::from_str(&reply)
        {
            self.policy_asked = false;
            self.adopt_policy(cx, policy)?;
        }
        Ok(())
    }

    fn next_alarm(&self) -> Option<Timestamp> {
        self.machine
            .as_ref()
            .and_then(machine::Instance::poll_timeout)
    }
}

fn done() -> Result<Reply, TurnError> {
    Ok(Reply::Now(encode("acknowledgement", &Done {})?))
}

impl Instance {
    fn configure(
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
        let moved = self
            .stored
            .spec
            .as_ref()
            .is_none_or(|old| old.endpoint_url != spec.endpoint_url);
        let limits = limits(&spec);
        if policy.version >= self.stored.policy.version {
            self.stored.policy = policy;
        }
        self.stored.generation = spec.generation;
        self.stored.spec = Some(spec);
        let numbers = machine_policy(&self.stored.policy);
        match &mut self.machine {
            // At another address it is another server: what the breaker knows is about the old one.
            // Requests that run there keep their slots.
            Some(machine) if moved => {
                let fresh = machine::Instance::new(store::salt(cx), limits, numbers, cx.now);
                let leases = store::lease_rows(machine);
                let figures = *machine.figures();
                *machine = machine::Instance::restore(fresh.record(), leases, cx.now);
                machine.restore_figures(figures);
            }
            Some(_) => {
                self.hear(cx, Event::LimitsChanged(limits), None)?;
                self.hear(cx, Event::PolicyChanged(numbers), None)?;
            }
            None => {
                self.machine = Some(machine::Instance::new(
                    store::salt(cx),
                    limits,
                    numbers,
                    cx.now,
                ));
            }
        }
        if let (Some(machine), Some(check), true) = (&mut self.machine, first_check, moved) {
            machine.restore_ring(checks::ring_of(check));
        }
        store::save(cx, &mut self.stored, self.machine.as_ref())?;
        self.hear(cx, Event::Tick, None)?;
        Ok(())
    }

    /// Whoever waits is sent away; what runs is let run, but nobody counts it any more.
    fn remove(&mut self, cx: &mut Cx<'_>, generation: u64) -> Result<(), TurnError> {
        if generation <= self.stored.generation {
            return Ok(());
        }
        self.hear(cx, Event::DrainRequested, None)?;
        self.machine = None;
        self.stored = Stored {
            generation,
            ..store::nothing()
        };
        self.behind = store::WriteBehind::new(cx.now);
        store::erase(cx)?;
        store::save(cx, &mut self.stored, None)?;
        Ok(())
    }

    fn adopt_policy(
        &mut self,
        cx: &mut Cx<'_>,
        policy: ReliabilityPolicy,
    ) -> Result<(), TurnError> {
        if policy.version <= self.stored.policy.version || self.machine.is_none() {
            return Ok(());
        }
        let numbers = machine_policy(&policy);
        self.stored.policy = policy;
        self.hear(cx, Event::PolicyChanged(numbers), None)?;
        store::save(cx, &mut self.stored, self.machine.as_ref())?;
        Ok(())
    }

    /// An isolate knows a newer policy than this object: it is fetched.
    fn learn_policy(&mut self, cx: &mut Cx<'_>, version: u64) -> Result<(), StoreError> {
        if version <= self.stored.policy.version || self.policy_asked {
            return Ok(());
        }
        self.policy_asked = true;
        let org = cx.name.org().unwrap_or_default().to_owned();
        cx.send(ObjectName::fleet(&org), &FleetCommand::Policy)
    }

    fn note(&mut self, cx: &mut Cx<'_>, event: Event) -> Result<Reply, TurnError> {
        self.hear(cx, event, None)?;
        done()
    }

    /// Hands an event to the machine and does what it asks for. An answer to `asker` is returned instead
    /// of resolved: its turn is still running.
    fn hear(
        &mut self,
        cx: &mut Cx<'_>,
        event: Event,
        asker: Option<&RequestId>,
    ) -> Result<Option<AskAnswer>, TurnError> {
        let Some(machine) = &mut self.machine else {
            return Ok(None);
        };
        let effects = machine.handle(cx.now, event);
        let mut heard = Heard::default();
        for effect in effects {
            self.run(cx, effect, asker, &mut heard)?;
        }
        if heard.record_changed || heard.announce {
            store::save(cx, &mut self.stored, self.machine.as_ref())?;
        }
        if heard.announce {
            self.announce(cx)?;
        }
        Ok(heard.answer)
    }

    fn run(
        &mut self,
        cx: &mut Cx<'_>,
        effect: machine::Effect,
        asker: Option<&RequestId>,
        heard: &mut Heard,
    ) -> Result<(), TurnError> {
        match effect {
            machine::Effect::Answer { request, answer } => {
                self.answer(cx, request, answer, asker, heard)?;
            }
            machine::Effect::Check(check) => self.send_check(cx, check),
            // The fleet audits what is announced; a probe alone is not announced and not audited.
            machine::Effect::Audit { .. } => {}
            machine::Effect::Announce(_) => heard.announce = true,
            machine::Effect::SlotFree { model, free } => {
                let org = cx.name.org().unwrap_or_default().to_owned();
                let grants = self
                    .machine
                    .as_ref()
                    .map(|machine| machine.figures().totals.granted);
                let instance = cx.name.tail().unwrap_or_default().to_owned();
                let message = ModelCommand::SlotFree {
                    instance,
                    free,
                    grants,
                };
                cx.poke(ObjectName::model(&org, model.as_str()), &message)?;
            }
            machine::Effect::LeaseWritten(request) | machine::Effect::LeaseRemoved(request) => {
                self.behind.touch(request);
            }
            machine::Effect::RecordChanged => heard.record_changed = true,
        }
        Ok(())
    }

    /// Tells the fleet what this server now is. The whole state, not the change, so that a later
    /// announcement makes an earlier one superfluous.
    fn announce(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        self.stored.sequence += 1;
        store::save(cx, &mut self.stored, self.machine.as_ref())?;
        self.checks_since_report = 0;
        let message = self.announcement(cx);
        let org = cx.name.org().unwrap_or_default().to_owned();
        cx.send(ObjectName::fleet(&org), &message)?;
        Ok(())
    }

    /// The same without a row: losing it delays the next by a few minutes.
    fn report(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        self.checks_since_report += 1;
        if self.checks_since_report < CHECKS_PER_REPORT {
            return Ok(());
        }
        self.checks_since_report = 0;
        self.stored.sequence += 1;
        store::save(cx, &mut self.stored, self.machine.as_ref())?;
        let message = self.announcement(cx);
        let org = cx.name.org().unwrap_or_default().to_owned();
        cx.poke(ObjectName::fleet(&org), &message)?;
        Ok(())
    }

    fn announcement(&self, cx: &Cx<'_>) -> FleetCommand {
        FleetCommand::Announce {
            event_id: format!("{}/{}", cx.name, self.stored.sequence),
            instance: cx.name.tail().unwrap_or_default().to_owned(),
            status: self.status(cx.now),
            sequence: self.stored.sequence,
        }
    }

    fn status(&self, now: Timestamp) -> ServerStatus {
        let Some(machine) = &self.machine else {
            return ServerStatus::default();
        };
        let why = machine.why_out(now);
        let checked = machine
            .health()
            .ring()
            .last()
            .map_or(0, |check| check.at.as_ms());
        ServerStatus {
            state: why.map_or(ServerState::Healthy, |why| view::state_of(why.reason)),
            reason: why.map(|why| why.reason.to_string()).unwrap_or_default(),
            since_ms: why.map_or(now.as_ms(), |why| why.since.as_ms()),
            until_ms: why.and_then(|why| why.until).map(Timestamp::as_ms),
            checked_at_ms: checked,
            totals: view::totals(machine.figures()),
        }
    }
}
