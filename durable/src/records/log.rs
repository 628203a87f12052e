//! What a part of the request log stores: batches in the order of their arrival.
//!
//! Invariant: a batch is one row; the numbers of rows only grow.

use crate::bindings::log::LogEntry;
use crate::driver::decode;
use crate::ports::{Sql, StoreError, Value};
use crate::records::columns::{LARGEST_INTEGER, counter, from_counter, integer, text};

const BATCH: &str = "log batch";

/// Writes a batch and tells its number; nothing when it is there already.
///
/// # Errors
/// When it cannot be written.
pub fn append(
    sql: &dyn Sql,
    id: &str,
    (first_ms, last_ms): (i64, i64),
    lost: u64,
    entries: &str,
) -> Result<Option<i64>, StoreError> {
    let rows = sql.exec(
        "INSERT INTO batches (id, first_ms, last_ms, lost, entries) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT DO NOTHING RETURNING seq",
        &[
            Value::from(id),
            Value::from(first_ms),
            Value::from(last_ms),
            from_counter(lost),
            Value::from(entries),
        ],
    )?;
    rows.first().map(|row| integer(BATCH, row, 0)).transpose()
}

/// The number of the last batch; 0 without any.
///
/// # Errors
/// When it cannot be read.
pub fn last_seq(sql: &dyn Sql) -> Result<i64, StoreError> {
    let rows = sql.exec("SELECT COALESCE(MAX(seq), 0) FROM batches", &[])?;
    rows.first().map_or(Ok(0), |row| integer(BATCH, row, 0))
}

/// Batches with a larger number, each with what its isolate had lost before.
///
/// # Errors
/// When they cannot be read.
pub fn after(sql: &dyn Sql, seq: i64) -> Result<Vec<(Vec<LogEntry>, u64)>, StoreError> {
    let rows = sql.exec(
        "SELECT entries, lost FROM batches WHERE seq > ? ORDER BY seq",
        &[Value::from(seq)],
    )?;
    rows.iter()
        .map(|row| {
            Ok((
                decode(BATCH, text(BATCH, row, 0)?)?,
                counter(BATCH, row, 1)?,
            ))
        })
        .collect()
}

/// Batches up to a number that may hold entries from one moment to another, newest first.
///
/// # Errors
/// When they cannot be read.
pub fn newest(
    sql: &dyn Sql,
    up_to: Option<i64>,
    (from_ms, to_ms): (Option<i64>, Option<i64>),
    limit: u32,
) -> Result<Vec<(i64, Vec<LogEntry>)>, StoreError> {
    let rows = sql.exec(
        "SELECT seq, entries FROM batches WHERE seq <= ? AND last_ms >= ? AND first_ms < ? \
         ORDER BY seq DESC LIMIT ?",
        &[
            Value::from(up_to.unwrap_or(LARGEST_INTEGER)),
            Value::from(from_ms.unwrap_or(-LARGEST_INTEGER)),
            Value::from(to_ms.unwrap_or(LARGEST_INTEGER)),
            Value::from(i64::from(limit)),
        ],
    )?;
    rows.iter()
        .map(|row| {
            Ok((
                integer(BATCH, row, 0)?,
                decode(BATCH, text(BATCH, row, 1)?)?,
            ))
        })
        .collect()
}

/// The last batch that a roll-up holds, and the number of that roll-up.
///
/// # Errors
/// When they cannot be read.
pub fn rolled(sql: &dyn Sql) -> Result<(i64, u64), StoreError> {
    let rows = sql.exec("SELECT until_seq, number FROM rolled", &[])?;
    rows.first().map_or(Ok((0, 0)), |row| {
        Ok((integer("roll-up", row, 0)?, counter("roll-up", row, 1)?))
    })
}

/// Notes a roll-up.
///
/// # Errors
/// When it cannot be written.
pub fn roll(sql: &dyn Sql, until_seq: i64, number: u64) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO rolled (one, until_seq, number) VALUES (1, ?, ?) ON CONFLICT (one) \
         DO UPDATE SET until_seq = excluded.until_seq, number = excluded.number",
        &[Value::from(until_seq), from_counter(number)],
    )?;
    Ok(())
}

/// Removes every batch. What was rolled up stays noted: numbers of batches begin anew, those of roll-ups
/// never do.
///
/// # Errors
/// When they cannot be removed.
pub fn clear(sql: &dyn Sql) -> Result<(), StoreError> {
    sql.exec("DELETE FROM batches", &[])?;
    sql.exec("UPDATE rolled SET until_seq = 0", &[])?;
    Ok(())
}
