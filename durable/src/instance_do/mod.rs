//! `Instance`: one server.
//!
//! Name: `instance/{org}/{id}`. Messages: [`InstanceCommand`]. Tables: `record` (what it is, and the
//! machine), `leases`, `figures`.
//!
//! Invariants: an ask is answered once, in its turn or by a later one; breaker, cool-down, phase and
//! health are stored in the turn that changes them; `granted ≤ capacity` counts stored leases from the
//! first moment after an eviction.
//!
//! **Leases are written behind**, in one batch a second after the first of them, and not in the admitting
//! turn (see `behind`): an answer that waits for the disk costs a third of a request's throughput on a
//! quiet disk and nine tenths on a busy one (measured, `bench/RESULTS.md`), and most requests are over
//! before their row would be read. What is lost with an eviction is at most the last second's count, so the server may for
//! a moment run that many requests more than its capacity; each of them still ends or runs out. A row
//! that outlives its request the same way holds its slot until the lease runs out, 60 s at most.
//!
//! In scope: storing, long polls, health checks, telling the fleet and waiting models. Out of scope: who
//! is admitted (the machine in `tidegate_domain::instance`).

mod asks;
mod behind;
mod checks;
mod news;
mod rental;
mod spec;
mod store;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;

use tidegate_domain::health::Check;
use tidegate_domain::ids::{ModelName, RequestId};
use tidegate_domain::instance::{self as machine, Event};
use tidegate_domain::time::Timestamp;

use self::behind::WriteBehind;
use crate::bindings::ObjectName;
use crate::bindings::fleet::FleetAnswer;
use crate::bindings::instance::{AskAnswer, Done, InstanceCommand};
use crate::bindings::model::ModelCommand;
use crate::driver::{Cx, Object, TurnError, encode};
use crate::ports::StoreError;
use crate::records::instance::Stored;
use crate::records::schema::statements;
use crate::turn::{EffectId, Outcome, Reply, Ticket};

const SCHEMA: [&str; 5] = statements(include_str!("../../../schemas/sql/instance.sql"));

/// One server in memory.
pub struct Instance {
    stored: Stored,
    machine: Option<machine::Instance>,
    /// Long polls of asks that wait in the queue.
    polls: BTreeMap<RequestId, Ticket>,
    /// Callers that wait for the end of a health check.
    check_polls: Vec<Ticket>,
    check_out: Option<(EffectId, Check)>,
    reported_at: Option<Timestamp>,
    behind: WriteBehind,
    policy_asked: bool,
    due: Due,
    /// The GPU that it runs on, where that is rented.
    rental: Option<rental::Rental>,
}

/// What is done once at the end of a turn, however often the turn asked for it.
#[derive(Default)]
struct Due {
    save: bool,
    announce: bool,
}

impl Object for Instance {
    const SCHEMA: &'static [&'static str] = &SCHEMA;

    fn open(cx: &mut Cx<'_>) -> Result<Self, StoreError> {
        let (stored, machine, behind) = store::load(cx)?;
        Ok(Self {
            stored,
            machine,
            polls: BTreeMap::new(),
            check_polls: Vec::new(),
            check_out: None,
            reported_at: None,
            behind,
            policy_asked: false,
            due: Due::default(),
            rental: rental::Rental::load(cx)?,
        })
    }

    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError> {
        let command =
            serde_json::from_str(message).map_err(|error| TurnError::message(cx.name, &error))?;
        let reply = match command {
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
            // Whether a rented server drains is its life's to say: the fleet may have heard less of that.
            InstanceCommand::Drain | InstanceCommand::Resume if self.rental.is_some() => done(),
            InstanceCommand::Drain => self.note(cx, Event::DrainRequested),
            InstanceCommand::Resume => self.note(cx, Event::Undrained),
            InstanceCommand::HealthCheck => self.check_now(cx),
            InstanceCommand::Describe => Ok(Reply::Now(encode("view", &self.view(cx.now))?)),
            InstanceCommand::Tick => {
                self.rental_alarm(cx)?;
                self.note(cx, Event::Tick)
            }
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
            InstanceCommand::Launch(launch) => self.launch(cx, *launch),
            InstanceCommand::Do { verb, actor } => self.command(cx, verb, &actor),
            InstanceCommand::Heard {
                event_id,
                at_ms,
                attempt,
                fact,
                ..
            } => {
                if cx.is_first_sight(&event_id)? {
                    self.learn(cx, attempt, at_ms, fact)
                } else {
                    done()
                }
            }
            InstanceCommand::CallHome(call) => self.call_home(cx, call),
            InstanceCommand::Rental => self.show_rental(cx.now),
            InstanceCommand::Events { limit, before } => rental::page(cx, limit, before),
            InstanceCommand::Policy { policy } => {
                self.adopt_policy(cx, policy)?;
                done()
            }
        }?;
        self.finish(cx)?;
        Ok(reply)
    }

    fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        self.hear(cx, Event::Tick, None)?;
        self.rental_alarm(cx)?;
        self.catch_up(cx)?;
        self.finish(cx)
    }

    fn soon(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        self.behind.turn_came();
        self.catch_up(cx)?;
        self.finish(cx)
    }

    fn done(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), TurnError> {
        if let Some((_, check)) = self.check_out.take_if(|(out, _)| *out == id) {
            self.check_finished(cx, check, &outcome)?;
        } else if let Some(Outcome::Delivered { reply }) = self.rental_done(cx, id, outcome)?
            // Also one that was asked for before an eviction.
            && let Ok(FleetAnswer::Policy { policy }) = serde_json::from_str(&reply)
        {
            self.policy_asked = false;
            self.adopt_policy(cx, policy)?;
        }
        self.finish(cx)
    }

    fn next_alarm(&self) -> Option<Timestamp> {
        let server = self.machine.as_ref().and_then(|it| it.poll_timeout());
        let rental = self.rental.as_ref().and_then(|it| it.poll_timeout());
        server.into_iter().chain(rental).min()
    }
}

fn done() -> Result<Reply, TurnError> {
    Ok(Reply::Now(encode("acknowledgement", &Done {})?))
}

impl Instance {
    /// The life of the GPU that it runs on, where that is rented.
    #[cfg(feature = "testkit")]
    pub fn life(&self) -> Option<&tidegate_domain::lifecycle::Lifecycle> {
        self.rental.as_ref().map(rental::Rental::life)
    }

    /// The machine, while a server is registered.
    #[cfg(feature = "testkit")]
    pub const fn machine(&self) -> Option<&machine::Instance> {
        self.machine.as_ref()
    }

    /// The end of every turn.
    fn finish(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        self.finish_rental(cx)?;
        let Due { save, announce } = std::mem::take(&mut self.due);
        if announce {
            self.announce(cx)?;
        } else if save {
            self.save(cx)?;
        }
        self.behind.schedule(cx);
        Ok(())
    }

    fn save(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        store::save(cx, &mut self.stored, self.machine.as_ref())
    }

    fn catch_up(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        match &self.machine {
            Some(machine) => self.behind.catch_up(cx, machine),
            None => Ok(()),
        }
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
        let mut answer = None;
        for effect in effects {
            self.run(cx, effect, asker, &mut answer)?;
        }
        Ok(answer)
    }

    fn run(
        &mut self,
        cx: &mut Cx<'_>,
        effect: machine::Effect,
        asker: Option<&RequestId>,
        answered: &mut Option<AskAnswer>,
    ) -> Result<(), TurnError> {
        match effect {
            machine::Effect::Answer { request, answer } => {
                self.answer(cx, request, answer, asker, answered)?;
            }
            machine::Effect::Check(check) => self.send_check(cx, check),
            // The fleet audits what is announced; a probe alone is not announced and not audited.
            machine::Effect::Audit { .. } => {}
            machine::Effect::Announce(_) => self.due.announce = true,
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
            machine::Effect::LeaseWritten(request) => {
                if let Some(rental) = &mut self.rental {
                    rental.holds(cx.now, &request);
                }
                self.behind.granted(cx.now, request);
            }
            machine::Effect::LeaseRemoved(request) => {
                if let Some(rental) = &mut self.rental {
                    rental.leaves(cx.now, &request);
                }
                self.behind.ended(cx.now, request);
            }
            machine::Effect::RecordChanged => self.due.save = true,
        }
        Ok(())
    }
}
