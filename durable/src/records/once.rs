//! What a fleet stores of a change that may be repeated. One JSON document a row.
//!
//! Invariant: documents only gain fields; what they hold of a secret is sealed, or is of no use without the
//! installation's own.

use serde::{Deserialize, Serialize};
use tidegate_domain::idempotency::{Entry, Stage};
use tidegate_domain::time::Timestamp;

use crate::bindings::once::OnceReply;
use crate::driver::{decode, encode};
use crate::ports::{Sql, StoreError, Value};
use crate::records::columns::{integer, integer_if_any, text};

const RECORD: &str = "repeatable change";

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnceRecord {
    /// When it came first.
    pub first_at_ms: i64,
    /// Until when its asker is waited for.
    #[serde(default)]
    pub lease_until_ms: i64,
    /// Which asker.
    pub token: String,
    /// Stands for the body.
    pub fingerprint: String,
    /// What ids and secrets are made from, until they are not to be made again.
    #[serde(default)]
    pub seed: Option<String>,
    /// The change's own answer, from the turn that made it until it is rendered.
    #[serde(default)]
    pub made: Option<String>,
    /// What was left with the change.
    #[serde(default)]
    pub note: Option<String>,
    /// Whether it was answered.
    #[serde(default)]
    pub answered: bool,
    /// Whether that answer holds a secret.
    #[serde(default)]
    pub secret: bool,
    /// The answer, as long as it is kept.
    #[serde(default)]
    pub reply: Option<OnceReply>,
}

impl OnceRecord {
    /// How far it got.
    pub fn entry(&self) -> Entry {
        let lease = Timestamp::from_ms(self.lease_until_ms);
        let stage = match (self.answered, &self.made) {
            (true, _) => Stage::Answered {
                secret: self.secret,
            },
            (false, Some(_)) => Stage::Made(lease),
            (false, None) => Stage::Running(lease),
        };
        Entry {
            first_at: Timestamp::from_ms(self.first_at_ms),
            stage,
        }
    }

    /// Takes the machine's word for the times.
    pub fn follow(&mut self, entry: Entry) {
        self.first_at_ms = entry.first_at.as_ms();
        match entry.stage {
            Stage::Running(until) | Stage::Made(until) => self.lease_until_ms = until.as_ms(),
            Stage::Answered { secret } => {
                self.answered = true;
                self.secret = secret;
            }
        }
    }

    /// Drops whatever a secret could be read or made from.
    pub fn erase(&mut self) {
        self.seed = None;
        self.note = None;
        self.reply = None;
        // That the change was made is still to be known, not what it said.
        self.made = self.made.take().map(|_| String::new());
    }

    /// One key's record.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(sql: &dyn Sql, id: &str) -> Result<Option<Self>, StoreError> {
        let rows = sql.exec("SELECT record FROM once WHERE id = ?", &[Value::from(id)])?;
        let record = rows
            .first()
            .map(|row| decode(RECORD, text(RECORD, row, 0)?));
        record.transpose()
    }

    /// The records that are due, at most `most`.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn load_due(
        sql: &dyn Sql,
        now: Timestamp,
        most: i64,
    ) -> Result<Vec<(String, Self)>, StoreError> {
        let rows = sql.exec(
            "SELECT id, record FROM once WHERE due_at_ms <= ? LIMIT ?",
            &[Value::from(now.as_ms()), Value::from(most)],
        )?;
        rows.iter()
            .map(|row| {
                let id = text(RECORD, row, 0)?.to_owned();
                Ok((id, decode(RECORD, text(RECORD, row, 1)?)?))
            })
            .collect()
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, sql: &dyn Sql, id: &str, due_at: Timestamp) -> Result<(), StoreError> {
        sql.exec(
            "INSERT INTO once (id, due_at_ms, record) VALUES (?, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET due_at_ms = excluded.due_at_ms, record = excluded.record",
            &[
                Value::from(id),
                Value::from(due_at.as_ms()),
                Value::from(encode(RECORD, self)?),
            ],
        )?;
        Ok(())
    }

    /// Removes it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn delete(sql: &dyn Sql, id: &str) -> Result<(), StoreError> {
        sql.exec("DELETE FROM once WHERE id = ?", &[Value::from(id)])?;
        Ok(())
    }
}

/// How many keys are remembered, and when the next of them is due.
///
/// # Errors
/// When they cannot be counted.
pub fn census(sql: &dyn Sql) -> Result<(i64, Option<Timestamp>), StoreError> {
    let rows = sql.exec("SELECT COUNT(*), MIN(due_at_ms) FROM once", &[])?;
    let Some(row) = rows.first() else {
        return Ok((0, None));
    };
    let due = integer_if_any(row, 1).map(Timestamp::from_ms);
    Ok((integer(RECORD, row, 0)?, due))
}
