//! What a journal stores: audit entries in the order in which they were reported.
//!
//! Invariant: sequence numbers only grow and are never used twice, so that a page's `before` means the
//! same entry for ever.

use crate::bindings::journal::AuditEntry;
use crate::ports::{Sql, StoreError, Value};
use crate::records::columns::{integer, text};

/// Writes one entry.
///
/// # Errors
/// When it cannot be written.
pub fn append(sql: &dyn Sql, entry: &AuditEntry) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO entries (at_ms, actor, action, subject, reason) VALUES (?, ?, ?, ?, ?)",
        &[
            Value::from(entry.at_ms),
            Value::from(entry.actor.as_str()),
            Value::from(entry.action.as_str()),
            Value::from(entry.subject.as_str()),
            Value::from(entry.reason.as_str()),
        ],
    )?;
    Ok(())
}

/// Entries before a sequence number, newest first, each with its own.
///
/// # Errors
/// When they cannot be read.
pub fn newest(
    sql: &dyn Sql,
    before: i64,
    limit: u32,
) -> Result<Vec<(i64, AuditEntry)>, StoreError> {
    let rows = sql.exec(
        "SELECT seq, at_ms, actor, action, subject, reason FROM entries WHERE seq < ? \
         ORDER BY seq DESC LIMIT ?",
        &[Value::from(before), Value::from(i64::from(limit))],
    )?;
    rows.iter()
        .map(|row| {
            let entry = AuditEntry {
                at_ms: integer("audit entry", row, 1)?,
                actor: text("audit entry", row, 2)?.to_owned(),
                action: text("audit entry", row, 3)?.to_owned(),
                subject: text("audit entry", row, 4)?.to_owned(),
                reason: text("audit entry", row, 5)?.to_owned(),
            };
            Ok((integer("audit entry", row, 0)?, entry))
        })
        .collect()
}

/// Whether there is any entry.
///
/// # Errors
/// When the table cannot be read.
pub fn has_entries(sql: &dyn Sql) -> Result<bool, StoreError> {
    Ok(!sql.exec("SELECT 1 FROM entries LIMIT 1", &[])?.is_empty())
}

/// Removes every entry.
///
/// # Errors
/// When they cannot be removed.
pub fn clear(sql: &dyn Sql) -> Result<(), StoreError> {
    sql.exec("DELETE FROM entries", &[])?;
    Ok(())
}
