//! What an account stores: what it is, its attempts to rent, the calls that must be made, machines that nobody
//! owns, and the sweep.
//!
//! Invariant: the formats are pinned by tests. Every one of them is read whole when the object opens, so a row
//! that cannot be read keeps the account from acting at all: it would otherwise take a machine for a stray.

mod attempt;
mod call;
mod machines;
mod stray;
#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::call_budget::{BudgetRecord, Pause};
use tidegate_provider_api::{Machine, ProviderError};

pub use self::attempt::{Tracked, attempt_key};
pub use self::call::{Call, Errand, Sent};
pub use self::stray::StrayRow;
use crate::bindings::account::AccountSpec;
use crate::json::{decode, encode};
use crate::ports::{Sql, StoreError, Value};
use crate::records::columns::text;

/// The account itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// What the registry says; nothing before it has said so, and after a removal.
    #[serde(default)]
    pub spec: Option<AccountSpec>,
    /// The credential, sealed.
    #[serde(default)]
    pub sealed: Option<String>,
    /// The generation of the last change that was taken, a removal included.
    #[serde(default)]
    pub generation: u64,
    /// Whether that change was a removal.
    #[serde(default)]
    pub is_removed: bool,
    /// Facts, statements and audits so far: each carries a number of its own.
    #[serde(default)]
    pub sequence: u64,
    /// Pauses that the vendor imposes.
    #[serde(default)]
    pub pauses: PausesRow,
    /// The credential is refused.
    #[serde(default)]
    pub outage: Option<OutageRow>,
    /// The last thing that went wrong.
    #[serde(default)]
    pub last_error: Option<ProviderError>,
    /// When.
    #[serde(default)]
    pub last_error_ms: Option<i64>,
    /// When the last sweep of everything was begun.
    #[serde(default)]
    pub full_sweep_ms: Option<i64>,
    /// When the last sweep of some regions was begun.
    #[serde(default)]
    pub quick_sweep_ms: Option<i64>,
    /// The oldest of the last whole lists, as the directory was told.
    #[serde(default)]
    pub swept_ms: Option<i64>,
}

/// The credential is refused, since when, and which call will show that it is not any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageRow {
    /// Since when.
    pub since_ms: i64,
    /// The call that was refused.
    pub operation: String,
    /// In which region, where the call has one.
    #[serde(default)]
    pub region: Option<String>,
}

/// Pauses, see [`BudgetRecord`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausesRow {
    /// After too many calls.
    #[serde(default)]
    pub limited: PauseRow,
    /// After silence.
    #[serde(default)]
    pub silent: PauseRow,
    /// While the credential is refused.
    #[serde(default)]
    pub refused: PauseRow,
}

/// One pause, see [`Pause`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseRow {
    /// How often in a row.
    #[serde(default)]
    pub count: u32,
    /// Until when.
    #[serde(default)]
    pub until_ms: i64,
    /// How long it was.
    #[serde(default)]
    pub length_ms: i64,
}

impl From<BudgetRecord> for PausesRow {
    fn from(record: BudgetRecord) -> Self {
        let row = |pause: Pause| PauseRow {
            count: pause.count,
            until_ms: pause.until.as_ms(),
            length_ms: pause.length.as_ms(),
        };
        Self {
            limited: row(record.limited),
            silent: row(record.silent),
            refused: row(record.refused),
        }
    }
}

impl From<PausesRow> for BudgetRecord {
    fn from(row: PausesRow) -> Self {
        let pause = |row: PauseRow| Pause {
            count: row.count,
            until: Timestamp::from_ms(row.until_ms),
            length: Span::from_ms(row.length_ms),
        };
        Self {
            limited: pause(row.limited),
            silent: pause(row.silent),
            refused: pause(row.refused),
        }
    }
}

/// A sweep under way. Its row is the lock: there is one sweep at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepRow {
    /// Regions that are still to be listed.
    #[serde(default)]
    pub regions: Vec<String>,
    /// The list that is being read.
    #[serde(default)]
    pub list: Option<ListRow>,
}

/// A list that is being read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRow {
    /// Of which region.
    pub region: String,
    /// When its first page was asked for; nothing before that.
    #[serde(default)]
    pub begun_at_ms: Option<i64>,
    /// The page that comes next; nothing for the first.
    #[serde(default)]
    pub page: Option<String>,
    /// Pages read so far.
    #[serde(default)]
    pub pages: u32,
    /// What they held of ours, each machine once.
    #[serde(default)]
    pub found: Vec<Machine>,
    /// Failures since it was begun.
    #[serde(default)]
    pub failures: u32,
}

/// When a region was last listed to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRow {
    /// When that list was begun.
    pub begun_at_ms: i64,
}

/// The tables of documents.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    /// `attempts`
    Attempts,
    /// `calls`
    Calls,
    /// `strays`
    Strays,
    /// `regions`
    Regions,
}

impl Table {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Attempts, Self::Calls, Self::Strays, Self::Regions];

    const fn name(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Calls => "calls",
            Self::Strays => "strays",
            Self::Regions => "regions",
        }
    }

    /// Every document with its key.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn load<T: DeserializeOwned>(self, sql: &dyn Sql) -> Result<Vec<(String, T)>, StoreError> {
        let name = self.name();
        let rows = sql.exec(&format!("SELECT id, record FROM {name} ORDER BY id"), &[])?;
        rows.iter()
            .map(|row| {
                let id = text(name, row, 0)?.to_owned();
                Ok((id, decode(name, text(name, row, 1)?)?))
            })
            .collect()
    }

    /// Writes a document, or removes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(
        self,
        sql: &dyn Sql,
        id: &str,
        document: Option<&impl Serialize>,
    ) -> Result<(), StoreError> {
        let name = self.name();
        match document {
            Some(document) => {
                let text = encode(name, document)?;
                sql.exec(
                    &format!(
                        "INSERT INTO {name} (id, record) VALUES (?, ?) \
                         ON CONFLICT (id) DO UPDATE SET record = excluded.record"
                    ),
                    &[Value::from(id), Value::from(text)],
                )?;
            }
            None => {
                let statement = format!("DELETE FROM {name} WHERE id = ?");
                sql.exec(&statement, &[Value::from(id)])?;
            }
        }
        Ok(())
    }

    /// Removes every document.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn clear(self, sql: &dyn Sql) -> Result<(), StoreError> {
        sql.exec(&format!("DELETE FROM {}", self.name()), &[])?;
        Ok(())
    }
}

impl AccountRow {
    /// The row, or the one of an account that nobody has told anything.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(sql: &dyn Sql) -> Result<Self, StoreError> {
        let row = one(sql, "SELECT record FROM account", "account")?;
        Ok(row.unwrap_or_default())
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, sql: &dyn Sql) -> Result<(), StoreError> {
        sql.exec(
            "INSERT INTO account (one, record) VALUES (1, ?) \
             ON CONFLICT (one) DO UPDATE SET record = excluded.record",
            &[Value::from(encode("account", self)?)],
        )?;
        Ok(())
    }
}

impl SweepRow {
    /// The sweep that is running, if one is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(sql: &dyn Sql) -> Result<Option<Self>, StoreError> {
        one(sql, "SELECT record FROM sweep", "sweep")
    }

    /// Writes it, or that none is running.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(sweep: Option<&Self>, sql: &dyn Sql) -> Result<(), StoreError> {
        match sweep {
            Some(sweep) => sql.exec(
                "INSERT INTO sweep (one, record) VALUES (1, ?) \
                 ON CONFLICT (one) DO UPDATE SET record = excluded.record",
                &[Value::from(encode("sweep", sweep)?)],
            )?,
            None => sql.exec("DELETE FROM sweep", &[])?,
        };
        Ok(())
    }
}

fn one<T: DeserializeOwned>(
    sql: &dyn Sql,
    statement: &str,
    record: &'static str,
) -> Result<Option<T>, StoreError> {
    let rows = sql.exec(statement, &[])?;
    let row = rows.first();
    row.map(|row| decode(record, text(record, row, 0)?))
        .transpose()
}
