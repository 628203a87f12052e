//! `Account`: one account at a vendor of GPUs. It alone calls that vendor.
//!
//! Name: `account/{org}/{id}`. Messages: [`AccountCommand`]. Tables: `schemas/sql/account.sql`. All of it lives
//! in memory as well and is written through at the end of each turn.
//!
//! Invariants: a call that changes something at the vendor is a row before it leaves, marked as sent in the turn
//! that sends it; so what may have been done is known whatever is evicted, and each such row ends by an answer
//! or by a decision about its silence. Only a list that was read to its end says what is not there. What the
//! vendor shows with our mark belongs to an attempt, or is a stray, and a stray is watched until the vendor
//! itself says that it is gone.
//!
//! It is atomic because a turn takes one event, changes rows and memory, and only then lets its messages and
//! calls out. Reads that nobody would miss (pages of a list, the catalogue, tests) are kept in memory alone and
//! asked again.
//!
//! In scope: when the vendor is called, what its answers mean for an attempt, strays, the credential. Out of
//! scope: what a rental is to do (`Instance`), what may be spent (`Ledger`), a vendor's HTTP (`providers/`).

mod act;
mod answers;
mod calls;
mod configure;
mod facts;
mod hint;
mod look;
mod rent;
mod rotate;
mod rows;
mod shop;
mod strays;
mod sweep;
mod test;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use tidegate_domain::ids::{InstanceId, MachineId};
use tidegate_domain::time::Timestamp;
use tidegate_domain::vendor::attempt::AttemptId;
use tidegate_domain::vendor::call_budget::CallBudget;
use tidegate_provider_api::Provider;

use self::calls::Ask;
use self::rotate::Rotation;
use self::rows::Changed;
use self::shop::{Offers, Regions};
use self::test::Testing;
use crate::bindings::account::AccountCommand;
use crate::bindings::instance::Done;
use crate::bindings::journal::AuditEntry;
use crate::driver::{Cx, Object, TurnError, encode, ticket};
use crate::ports::StoreError;
use crate::records::account::{AccountRow, Call, Errand, StrayRow, SweepRow, Tracked};
use crate::records::schema::statements;
use crate::turn::{Effect, EffectId, Outcome, Reply, Ticket};

const SCHEMA: [&str; 7] = statements(include_str!("../../../schemas/sql/account.sql"));

/// One account in memory.
pub struct Account {
    org: String,
    id: String,
    row: AccountRow,
    attempts: BTreeMap<AttemptId, Tracked>,
    calls: BTreeMap<Errand, Call>,
    strays: BTreeMap<MachineId, StrayRow>,
    /// When each region was last listed to its end.
    listed: BTreeMap<String, Timestamp>,
    sweep: Option<SweepRow>,
    /// What is written at the end of the turn.
    changed: Changed,
    audits: Vec<AuditEntry>,

    budget: CallBudget,
    /// Reads that live in memory alone.
    asks: BTreeMap<u64, Ask>,
    /// Regions to list soon.
    wanted: BTreeSet<String>,
    everything_wanted: bool,
    offers: Offers,
    regions: Regions,
    testing: Testing,
    rotation: Option<Rotation>,

    /// Nothing was done yet in this life: what was under way in the one before is not any more.
    is_fresh: bool,
    due: Option<Timestamp>,
}

/// A caller that waits.
#[derive(Clone, Copy, Debug)]
struct Poll {
    ticket: Ticket,
    /// It gets what there is by then.
    until: Timestamp,
}

impl Object for Account {
    const SCHEMA: &'static [&'static str] = &SCHEMA;

    fn open(cx: &mut Cx<'_>) -> Result<Self, StoreError> {
        Self::load(cx)
    }

    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError> {
        let command =
            serde_json::from_str(message).map_err(|error| TurnError::message(cx.name, &error))?;
        self.begin(cx)?;
        let reply = self.command(cx, command)?;
        self.finish(cx)?;
        Ok(reply)
    }

    fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        self.begin(cx)?;
        Ok(self.finish(cx)?)
    }

    fn done(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), TurnError> {
        if let Outcome::Delivered { .. } = outcome {
            return Ok(());
        }
        self.call_ended(cx, id, outcome)?;
        self.begin(cx)?;
        Ok(self.finish(cx)?)
    }

    fn next_alarm(&self) -> Option<Timestamp> {
        self.due
    }
}

impl Account {
    fn command(&mut self, cx: &mut Cx<'_>, command: AccountCommand) -> Result<Reply, StoreError> {
        match command {
            AccountCommand::Configure { spec, sealed } => self.configure(cx, spec, sealed)?,
            AccountCommand::Rotate { sealed } => return self.rotate(cx, sealed),
            AccountCommand::Remove { generation } => {
                let answer = self.remove(cx, generation)?;
                return now("answer to a removal", &answer);
            }
            AccountCommand::Test => return self.test(cx),
            AccountCommand::Regions => return self.list_regions(cx),
            AccountCommand::Offers => return self.list_offers(cx),
            AccountCommand::Rent { spec } => self.rent(cx, spec)?,
            AccountCommand::Withdraw { instance, attempt } => {
                self.withdraw(cx, &attempt_id(instance, attempt))?;
            }
            AccountCommand::Act {
                instance,
                attempt,
                action,
                number,
            } => self.act(cx, &attempt_id(instance, attempt), action, number)?,
            AccountCommand::Look { instance, attempt } => {
                self.look(cx, &attempt_id(instance, attempt));
            }
            AccountCommand::Abandon { instance, attempt } => {
                self.abandon(cx, &attempt_id(instance, attempt))?;
            }
            AccountCommand::Bill { instance, attempt } => {
                self.bill(cx, attempt_id(instance, attempt));
            }
            AccountCommand::Hint {
                event_id,
                digest,
                machine,
            } => {
                let answer = self.hint(cx, &event_id, &digest, machine)?;
                return now("answer to a hint", &answer);
            }
            AccountCommand::Tick => self.tick(cx)?,
            AccountCommand::Sweep => self.everything_wanted = true,
            AccountCommand::Describe => return now("view", &self.view(cx.now)),
        }
        now("acknowledgement", &Done {})
    }

    /// The vendor's codec, while the account is connected and this release knows the vendor.
    fn provider(&self) -> Option<&'static dyn Provider> {
        let spec = self.row.spec.as_ref()?;
        provider_of(&spec.vendor)
    }

    /// Whether the vendor can be called.
    fn can_call(&self) -> bool {
        self.provider().is_some() && self.row.sealed.is_some()
    }

    /// Before anything else in a turn: what was under way when the object was last in memory is not any more.
    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        if std::mem::take(&mut self.is_fresh) {
            self.resume(cx)?;
        }
        Ok(())
    }

    /// The end of every turn: whatever is due is done, what may go goes, and all of it is written.
    fn finish(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        self.expire(cx)?;
        self.answer_late(cx)?;
        self.alert(cx);
        self.continue_sweep(cx)?;
        self.pump(cx)?;
        self.save(cx)?;
        self.due = self.earliest(cx.now);
        Ok(())
    }

    /// A caller that is answered by a later turn.
    fn wait(cx: &mut Cx<'_>, patience: tidegate_domain::time::Span) -> (Poll, Reply) {
        let ticket = ticket(cx);
        let until = cx.now + patience;
        (Poll { ticket, until }, Reply::Later(ticket))
    }
}

fn provider_of(vendor: &str) -> Option<&'static dyn Provider> {
    #[cfg(test)]
    if let Some(scripted) = tests::vendor::by_name(vendor) {
        return Some(scripted);
    }
    tidegate_providers::by_name(vendor)
}

fn attempt_id(instance: String, number: u32) -> AttemptId {
    AttemptId {
        instance: InstanceId::new(instance),
        number,
    }
}

fn now(record: &'static str, answer: &impl serde::Serialize) -> Result<Reply, StoreError> {
    Ok(Reply::Now(encode(record, answer)?))
}

fn resolve(
    cx: &mut Cx<'_>,
    polls: Vec<Poll>,
    record: &'static str,
    answer: &impl serde::Serialize,
) -> Result<(), StoreError> {
    for poll in polls {
        let reply = encode(record, answer)?;
        let ticket = poll.ticket;
        cx.effect(Effect::Resolve { ticket, reply });
    }
    Ok(())
}
