//! What a ledger stores: cost windows, budgets, counters. Its postings are in `postings`.
//!
//! Invariant: a window's row is everything that is known of it, so that an advance is one row and a statement
//! one row and its postings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_domain::money::{self, Segment, Window};
use tidegate_domain::time::{Span, Timestamp};

use crate::bindings::ledger::{Budget, Period, WindowStatement};
use crate::driver::{decode, encode};
use crate::ports::{Row, Sql, StoreError, Value};
use crate::records::columns::{counter, from_counter, text};

const WINDOW: &str = "cost window";
const BUDGET: &str = "budget";
const COUNTERS: &str = "ledger counters";

/// One cost window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowRecord {
    /// The newest statement; nothing while there are only advances.
    #[serde(default)]
    pub statement: Option<WindowStatement>,
    /// The project that its advances name.
    #[serde(default)]
    pub project: Option<String>,
    /// The running advance, and how it began.
    #[serde(default)]
    pub hold: Option<Hold>,
    /// What the last advances were answered, the latest at the end.
    #[serde(default)]
    pub answers: Vec<Answered>,
    /// Budgets whose refusal of this window is in the audit.
    #[serde(default)]
    pub denied: Vec<String>,
    /// What is in the books of it.
    #[serde(default)]
    pub posted: Vec<Leg>,
}

/// A promise: this may be billed until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when it is promised without a gap, in milliseconds since the epoch.
    pub since_ms: i64,
    /// Until when, in milliseconds since the epoch.
    pub until_ms: i64,
    /// At which rate.
    pub microusd_per_hour: u64,
}

/// What an advance was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Which.
    pub number: u64,
    /// Until when it was granted, in milliseconds since the epoch.
    #[serde(default)]
    pub until_ms: Option<i64>,
    /// Why it was not.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What stands in the books between two accounts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leg {
    /// Into which account.
    pub debit: String,
    /// Out of which.
    pub credit: String,
    /// Micro-dollars.
    pub microusd: u64,
}

impl WindowRecord {
    /// What the statement says, in the words of the rules.
    pub fn window(&self) -> Option<Window> {
        self.statement.as_ref().map(Window::from)
    }

    /// Who pays.
    pub fn project(&self) -> Option<&str> {
        let stated = self.statement.as_ref().and_then(|it| it.project.as_deref());
        stated.or(self.project.as_deref())
    }

    /// From when on it counts in sums only; nothing while it is open.
    fn matters_until_ms(&self) -> Option<i64> {
        let held = self.hold.map_or(0, |hold| hold.until_ms);
        let Some(window) = self.window() else {
            return Some(held);
        };
        if window.is_open() {
            return None;
        }
        let opened = window.opened_at().unwrap_or_default();
        let ended = window.until.unwrap_or_default().max(opened);
        Some(held.max(ended.as_ms()))
    }

    /// Those that are open, or were later than a moment.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn load_since(
        sql: &dyn Sql,
        since: Timestamp,
    ) -> Result<BTreeMap<String, Self>, StoreError> {
        let rows = sql.exec(
            "SELECT window, record FROM windows \
             WHERE matters_until_ms IS NULL OR matters_until_ms >= ?",
            &[Value::from(since.as_ms())],
        )?;
        let read = |row: &Row| {
            let record = decode(WINDOW, text(WINDOW, row, 1)?)?;
            Ok((text(WINDOW, row, 0)?.to_owned(), record))
        };
        rows.iter().map(read).collect()
    }

    /// What all the others cost, by project.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn sums_before(
        sql: &dyn Sql,
        since: Timestamp,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let rows = sql.exec(
            "SELECT project, SUM(microusd) FROM windows WHERE matters_until_ms < ? GROUP BY project",
            &[Value::from(since.as_ms())],
        )?;
        let read = |row: &Row| Ok((text(WINDOW, row, 0)?.to_owned(), counter(WINDOW, row, 1)?));
        rows.iter().map(read).collect()
    }

    /// The windows of an instance, each with what it cost when it was written.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn costs_of(sql: &dyn Sql, instance: &str) -> Result<Vec<(String, u64)>, StoreError> {
        // `0` follows `/`, and no id holds a slash: exactly the names that begin with the instance's.
        let rows = sql.exec(
            "SELECT window, microusd FROM windows WHERE window >= ? || '/' AND window < ? || '0'",
            &[Value::from(instance), Value::from(instance)],
        )?;
        let read = |row: &Row| Ok((text(WINDOW, row, 0)?.to_owned(), counter(WINDOW, row, 1)?));
        rows.iter().map(read).collect()
    }

    /// One window, with the project and the sum under which it counts while it is not in memory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(sql: &dyn Sql, window: &str) -> Result<Option<(Self, String, u64)>, StoreError> {
        let rows = sql.exec(
            "SELECT record, project, microusd FROM windows WHERE window = ?",
            &[Value::from(window)],
        )?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        Ok(Some((
            decode(WINDOW, text(WINDOW, row, 0)?)?,
            text(WINDOW, row, 1)?.to_owned(),
            counter(WINDOW, row, 2)?,
        )))
    }

    /// Writes the row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, sql: &dyn Sql, window: &str) -> Result<(), StoreError> {
        sql.exec(
            "INSERT INTO windows (window, project, matters_until_ms, microusd, record) \
             VALUES (?, ?, ?, ?, ?) ON CONFLICT (window) DO UPDATE SET \
             project = excluded.project, matters_until_ms = excluded.matters_until_ms, \
             microusd = excluded.microusd, record = excluded.record",
            &[
                Value::from(window),
                Value::from(self.project().unwrap_or_default()),
                Value::from(self.matters_until_ms()),
                from_counter(self.window().map_or(0, |window| window.total())),
                Value::from(encode(WINDOW, self)?),
            ],
        )?;
        Ok(())
    }
}

impl From<&WindowStatement> for Window {
    fn from(statement: &WindowStatement) -> Self {
        let segments = statement.segments.iter().map(|row| Segment {
            from: Timestamp::from_ms(row.from_ms),
            microusd_per_hour: row.microusd_per_hour,
        });
        Self {
            segments: segments.collect(),
            until: statement.until_ms.map(Timestamp::from_ms),
            minimum: Span::from_ms(statement.minimum_ms),
            step: Span::from_ms(statement.step_ms),
            billed: statement.billed_microusd,
            void: statement.void,
        }
    }
}

/// One budget and what was told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRecord {
    /// It.
    pub budget: Budget,
    /// When its period began, in milliseconds since the epoch; the least number there is for `total`.
    pub from_ms: i64,
    /// Thresholds that were told in it.
    #[serde(default)]
    pub told: Vec<u8>,
    /// Whether it was told that the cap is reached.
    #[serde(default)]
    pub cap_told: bool,
    /// Of a key's: micro-dollars of shares that were posted in the period.
    #[serde(default)]
    pub shares_microusd: i64,
    /// Of a key's: until when its key is suspended, as the fleet was last told.
    #[serde(default)]
    pub suspended_until_ms: Option<i64>,
}

impl BudgetRecord {
    /// Every budget by its scope.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn load_all(sql: &dyn Sql) -> Result<BTreeMap<String, Self>, StoreError> {
        let rows = sql.exec("SELECT scope, record FROM budgets", &[])?;
        let read = |row: &Row| {
            let record = decode(BUDGET, text(BUDGET, row, 1)?)?;
            Ok((text(BUDGET, row, 0)?.to_owned(), record))
        };
        rows.iter().map(read).collect()
    }

    /// Writes the row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, sql: &dyn Sql, scope: &str) -> Result<(), StoreError> {
        sql.exec(
            "INSERT INTO budgets (scope, record) VALUES (?, ?) \
             ON CONFLICT (scope) DO UPDATE SET record = excluded.record",
            &[Value::from(scope), Value::from(encode(BUDGET, self)?)],
        )?;
        Ok(())
    }

    /// Removes the row.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn delete(sql: &dyn Sql, scope: &str) -> Result<(), StoreError> {
        sql.exec("DELETE FROM budgets WHERE scope = ?", &[Value::from(scope)])?;
        Ok(())
    }
}

impl From<&Budget> for money::Budget {
    fn from(budget: &Budget) -> Self {
        Self {
            period: budget.period.into(),
            cap: budget.cap_microusd,
            target: budget.target_microusd,
            thresholds: budget.thresholds.clone(),
        }
    }
}

impl From<Period> for money::Period {
    fn from(period: Period) -> Self {
        match period {
            Period::Day => Self::Day,
            Period::Month => Self::Month,
            Period::Total => Self::Total,
        }
    }
}

/// The counters of a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerMeta {
    /// Audit messages written so far: makes their event ids unique.
    pub audits: u64,
    /// Suspensions of keys written so far: orders them.
    pub suspensions: u64,
}

impl LedgerMeta {
    /// The stored counters, or those of a new ledger.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn load(sql: &dyn Sql) -> Result<Self, StoreError> {
        let rows = sql.exec("SELECT audits, suspensions FROM meta", &[])?;
        let Some(row) = rows.first() else {
            return Ok(Self::default());
        };
        Ok(Self {
            audits: counter(COUNTERS, row, 0)?,
            suspensions: counter(COUNTERS, row, 1)?,
        })
    }

    /// Writes the counters.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn put(self, sql: &dyn Sql) -> Result<(), StoreError> {
        sql.exec(
            "INSERT INTO meta (one, audits, suspensions) VALUES (1, ?, ?) \
             ON CONFLICT (one) DO UPDATE SET audits = excluded.audits, \
             suspensions = excluded.suspensions",
            &[from_counter(self.audits), from_counter(self.suspensions)],
        )?;
        Ok(())
    }
}
