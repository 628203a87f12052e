//! `Model`: requests that wait because every server of a model is full.
//!
//! Name: `model/{org}/{model}`. Messages: [`ModelCommand`]. Tables: none.
//!
//! Invariant: every long poll is answered once, by this turn or by a later one. The list lives in memory
//! only: after an eviction the broken polls are asked again, with the arrival times that make the same
//! order, and a row for each waiter would buy nothing. It is atomic because a turn takes the event and
//! tells those it concerns without a pause in between.
//!
//! In scope: polls, and demand on the candidates. Out of scope: who goes (the machine in
//! `tidegate_domain::waiting`).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tidegate_domain::ids::{InstanceId, RequestId};
use tidegate_domain::time::Timestamp;
use tidegate_domain::waiting::{Ask, Effect, Event, Said, Waiters};

use crate::bindings::ObjectName;
use crate::bindings::instance::{Done, InstanceCommand};
use crate::bindings::model::{ModelCommand, ModelView, WaitAnswer};
use crate::driver::{Cx, Object, TurnError, encode, ticket};
use crate::ports::StoreError;
use crate::turn::{self, EffectId, Outcome, Reply, Ticket};

/// One model in memory.
#[derive(Default)]
pub struct Model {
    waiters: Waiters,
    polls: BTreeMap<RequestId, Ticket>,
}

impl Object for Model {
    const SCHEMA: &'static [&'static str] = &[];

    fn open(_: &mut Cx<'_>) -> Result<Self, StoreError> {
        Ok(Self::default())
    }

    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError> {
        let command =
            serde_json::from_str(message).map_err(|error| TurnError::message(cx.name, &error))?;
        match command {
            ModelCommand::Wait {
                request,
                priority,
                arrived_at_ms,
                deadline_ms,
                candidates,
                max_waiting,
            } => {
                let ask = Ask {
                    request: RequestId::new(request),
                    priority,
                    arrived_at: Timestamp::from_ms(arrived_at_ms),
                    deadline: Timestamp::from_ms(deadline_ms),
                    candidates: candidates.into_iter().map(InstanceId::new).collect(),
                    max_waiting,
                };
                return Ok(self.wait(cx, ask)?);
            }
            ModelCommand::GiveUp { request } => {
                let request = RequestId::new(request);
                self.note(cx, Event::GaveUp { request })?;
            }
            ModelCommand::SlotFree {
                instance,
                free,
                grants,
            } => {
                let instance = InstanceId::new(instance);
                self.note(
                    cx,
                    Event::SlotFreed {
                        instance,
                        free,
                        grants,
                    },
                )?;
            }
            ModelCommand::Describe => {
                let waiting = u32::try_from(self.polls.len()).unwrap_or(u32::MAX);
                return Ok(Reply::Now(encode("model view", &ModelView { waiting })?));
            }
        }
        Ok(Reply::Now(encode("done", &Done {})?))
    }

    fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        let effects = self.waiters.handle_timeout(cx.now);
        Ok(self.run(cx, effects)?)
    }

    /// A lost demand needs no care: it is repeated while someone waits.
    fn done(&mut self, _: &mut Cx<'_>, _: EffectId, _: Outcome) -> Result<(), TurnError> {
        Ok(())
    }

    fn next_alarm(&self) -> Option<Timestamp> {
        self.waiters.poll_timeout()
    }
}

impl Model {
    fn wait(&mut self, cx: &mut Cx<'_>, ask: Ask) -> Result<Reply, StoreError> {
        let request = ask.request.clone();
        let poll = ticket(cx);
        if let Some(replaced) = self.polls.insert(request.clone(), poll) {
            resolve(cx, replaced, &WaitAnswer::Again)?;
        }
        let mut now = None;
        let mut later = Vec::new();
        for effect in self.waiters.handle(cx.now, Event::Asked(ask)) {
            match effect {
                Effect::Tell { request: to, said } if to == request => now = Some(said),
                other => later.push(other),
            }
        }
        self.run(cx, later)?;
        let Some(said) = now else {
            return Ok(Reply::Later(poll));
        };
        self.polls.remove(&request);
        let answer = WaitAnswer::from(said);
        Ok(Reply::Now(encode("wait answer", &answer)?))
    }

    fn note(&mut self, cx: &mut Cx<'_>, event: Event) -> Result<(), StoreError> {
        let effects = self.waiters.handle(cx.now, event);
        self.run(cx, effects)
    }

    fn run(&mut self, cx: &mut Cx<'_>, effects: Vec<Effect>) -> Result<(), StoreError> {
        for effect in effects {
            match effect {
                Effect::Tell { request, said } => {
                    if let Some(poll) = self.polls.remove(&request) {
                        resolve(cx, poll, &WaitAnswer::from(said))?;
                    }
                }
                Effect::Demand { instance, until } => {
                    let org = cx.name.org().unwrap_or_default();
                    let to = ObjectName::instance(org, instance.as_str());
                    let demand = InstanceCommand::Demand {
                        model: cx.name.tail().unwrap_or_default().to_owned(),
                        until_ms: until.as_ms(),
                    };
                    cx.poke(to, &demand)?;
                }
            }
        }
        Ok(())
    }
}

impl From<Said> for WaitAnswer {
    fn from(said: Said) -> Self {
        match said {
            Said::Go { instance } => Self::Go {
                instance: instance.to_string(),
            },
            Said::Again => Self::Again,
            Said::Full { retry_after } => Self::Full {
                retry_after_ms: u64::try_from(retry_after.as_ms()).unwrap_or(0),
            },
        }
    }
}

fn resolve(cx: &mut Cx<'_>, ticket: Ticket, answer: &WaitAnswer) -> Result<(), StoreError> {
    let reply = encode("wait answer", answer)?;
    cx.effect(turn::Effect::Resolve { ticket, reply });
    Ok(())
}
