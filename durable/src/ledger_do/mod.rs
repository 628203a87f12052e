//! `Ledger`: an organisation's money. It alone says whether something may be spent.
//!
//! Name: `ledger/{org}`. Messages: [`LedgerCommand`]. Tables: `schemas/sql/ledger.sql`. Windows that can matter
//! to a period that still runs, and budgets, live in memory and are written through.
//!
//! Invariants. *Admission:* when an advance is granted, `spent + held ≤ cap` holds in every budget that binds
//! it, because one turn reads all of them and writes the promise. *Books:* every posting takes the same sum
//! out of one account and into another, so all balances sum to zero; what is posted of a window is what its
//! newest statement comes to, so `gpu/{instance}` is zero once its windows are closed, and shares and idle
//! are the window to the micro-dollar. *Levels:* a statement replaces the one before by its revision, an
//! advance is decided once by its number, and a repetition of either writes nothing.
//!
//! What an open window costs meanwhile is computed, not posted: it is posted when it is stated. What is spent
//! in a period is computed from windows as well, never from postings, but for shares, which count in the
//! period in which they are posted.
//!
//! In scope: windows, advances, budgets, books. Out of scope: what a rate is and when a window opens
//! (`Instance`, `Account`), the arithmetic (`tidegate_domain::money`).

mod advances;
mod books;
mod budget_checks;
mod budgets;
mod spending;
mod statements;
#[cfg(test)]
mod tests;
mod watching;

use std::collections::{BTreeMap, BTreeSet};

use tidegate_domain::money::Period;
use tidegate_domain::time::{Span, Timestamp};

use crate::bindings::ObjectName;
use crate::bindings::instance::Done;
use crate::bindings::journal::{AuditEntry, JournalCommand, day_of};
use crate::bindings::ledger::LedgerCommand;
use crate::driver::{Cx, Object, TurnError, encode};
use crate::ports::StoreError;
use crate::records::ledger::{BudgetRecord, LedgerMeta, WindowRecord};
use crate::records::schema::statements;
use crate::turn::{EffectId, Outcome, Reply};

/// Who acts when nobody asked: budgets that are reached, keys that have used theirs up.
const LEDGER: &str = "ledger";

/// A clock that is set back by less than this still finds the windows of its month in memory.
const CLOCK_SLACK: Span = Span::from_secs(24 * 3600);

/// An organisation's money in memory.
pub struct Ledger {
    org: String,
    /// Windows that are open, promised, or ended in this month; and older ones that were asked about.
    windows: BTreeMap<String, WindowRecord>,
    /// What all the others cost, by project; the empty name stands for none.
    settled: BTreeMap<String, u64>,
    budgets: BTreeMap<String, BudgetRecord>,
    /// Budgets of this turn that have to be written.
    changed: BTreeSet<String>,
    meta: LedgerMeta,
    stored_meta: LedgerMeta,
    /// What this turn has to report; empty between turns.
    audits: Vec<AuditEntry>,
    /// When there may be something to tell.
    next: Option<Timestamp>,
}

impl Object for Ledger {
    const SCHEMA: &'static [&'static str] =
        &statements::<5>(include_str!("../../../schemas/sql/ledger.sql"));

    fn open(cx: &mut Cx<'_>) -> Result<Self, StoreError> {
        let org = cx.name.org().ok_or_else(|| StoreError::Unreadable {
            record: "ledger name",
            reason: format!("`{}` holds no organisation", cx.name),
        })?;
        let since = Period::Month.bounds(cx.now - CLOCK_SLACK).from;
        let meta = LedgerMeta::load(cx.sql)?;
        let mut ledger = Self {
            org: org.to_owned(),
            windows: WindowRecord::load_since(cx.sql, since)?,
            settled: WindowRecord::sums_before(cx.sql, since)?,
            budgets: BudgetRecord::load_all(cx.sql)?,
            changed: BTreeSet::new(),
            meta,
            stored_meta: meta,
            audits: Vec::new(),
            next: None,
        };
        ledger.roll(cx)?;
        ledger.plan(cx.now);
        Ok(ledger)
    }

    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError> {
        let command =
            serde_json::from_str(message).map_err(|error| TurnError::message(cx.name, &error))?;
        self.roll(cx)?;
        let reply = self.answer(cx, command)?;
        self.settle(cx)?;
        Ok(Reply::Now(reply))
    }

    fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        self.roll(cx)?;
        self.look_round(cx)?;
        Ok(self.settle(cx)?)
    }

    fn done(&mut self, _: &mut Cx<'_>, _: EffectId, _: Outcome) -> Result<(), TurnError> {
        Ok(())
    }

    fn next_alarm(&self) -> Option<Timestamp> {
        self.next
    }
}

impl Ledger {
    fn answer(&mut self, cx: &mut Cx<'_>, command: LedgerCommand) -> Result<String, StoreError> {
        match command {
            LedgerCommand::Advance(ask) => {
                let answer = self.advance(cx, ask)?;
                self.look_round(cx)?;
                encode("advance answer", &answer)
            }
            LedgerCommand::State { statement } => {
                self.state(cx, statement)?;
                self.look_round(cx)?;
                encode("done", &Done {})
            }
            LedgerCommand::Estimate {
                project,
                microusd_per_hour,
                hold_ms,
            } => {
                let hold = Span::from_ms(hold_ms);
                let answer = self.estimate(cx.now, project, microusd_per_hour, hold);
                encode("estimate", &answer)
            }
            LedgerCommand::PutBudget {
                scope,
                budget,
                actor,
            } => {
                let answer = self.put_budget(cx, &scope, budget, &actor)?;
                self.look_round(cx)?;
                encode("budget answer", &answer)
            }
            LedgerCommand::DeleteBudget { scope, actor } => {
                encode("budget answer", &self.delete_budget(cx, &scope, &actor)?)
            }
            LedgerCommand::Budgets => encode("budgets", &self.list_budgets(cx.now)),
            LedgerCommand::Books => encode("books", &self.books(cx)?),
            LedgerCommand::Entries {
                limit,
                before,
                instance,
            } => {
                let instance = instance.as_deref();
                encode("entries", &books::entries(cx, limit, before, instance)?)
            }
            LedgerCommand::Cost { instance } => encode("cost", &self.cost(cx, &instance)?),
            LedgerCommand::Tick => {
                self.look_round(cx)?;
                encode("done", &Done {})
            }
        }
    }

    /// For the audit.
    fn note(&mut self, cx: &Cx<'_>, actor: &str, action: &str, subject: &str, reason: String) {
        self.audits.push(AuditEntry {
            at_ms: cx.now.as_ms(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            reason,
        });
    }

    /// Ends a turn: writes what changed beside windows and postings, and reports what was noted.
    fn settle(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        for scope in std::mem::take(&mut self.changed) {
            if let Some(record) = self.budgets.get(&scope) {
                record.put(cx.sql, &scope)?;
            }
        }
        if !self.audits.is_empty() {
            self.meta.audits += 1;
            let journal = ObjectName::journal(&self.org, &day_of(cx.now.as_ms()));
            let append = JournalCommand::Append {
                event_id: format!("{}/{}", cx.name, self.meta.audits),
                entries: std::mem::take(&mut self.audits),
            };
            cx.send(journal, &append)?;
        }
        if self.meta != self.stored_meta {
            self.meta.put(cx.sql)?;
            self.stored_meta = self.meta;
        }
        self.plan(cx.now);
        Ok(())
    }
}
