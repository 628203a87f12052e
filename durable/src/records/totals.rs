//! What the totals store: a row for each model and server, and how far each part of the log is in them.

use crate::bindings::totals::Sums;
use crate::driver::{decode, encode};
use crate::journal_do::sums::Key;
use crate::ports::{Sql, StoreError, Value};
use crate::records::columns::{counter, from_counter, text};

const SERIES: &str = "series of the totals";
const SOURCE: &str = "source of the totals";

/// Every series.
///
/// # Errors
/// When they cannot be read.
pub fn series(sql: &dyn Sql) -> Result<Vec<(Key, Sums)>, StoreError> {
    let rows = sql.exec("SELECT model, server, sums FROM series", &[])?;
    rows.iter()
        .map(|row| {
            let (model, server) = (text(SERIES, row, 0)?, text(SERIES, row, 1)?);
            let sums = decode(SERIES, text(SERIES, row, 2)?)?;
            Ok(((model.to_owned(), server.to_owned()), sums))
        })
        .collect()
}

/// Writes a series.
///
/// # Errors
/// When it cannot be written.
pub fn put_series(sql: &dyn Sql, (model, server): &Key, sums: &Sums) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO series (model, server, sums) VALUES (?, ?, ?) \
         ON CONFLICT (model, server) DO UPDATE SET sums = excluded.sums",
        &[
            Value::from(model.as_str()),
            Value::from(server.as_str()),
            Value::from(encode(SERIES, sums)?),
        ],
    )?;
    Ok(())
}

/// The last roll-up of each part of the log.
///
/// # Errors
/// When they cannot be read.
pub fn sources(sql: &dyn Sql) -> Result<Vec<(String, u64)>, StoreError> {
    let rows = sql.exec("SELECT source, number FROM sources", &[])?;
    rows.iter()
        .map(|row| Ok((text(SOURCE, row, 0)?.to_owned(), counter(SOURCE, row, 1)?)))
        .collect()
}

/// Notes the last roll-up of a part.
///
/// # Errors
/// When it cannot be written.
pub fn put_source(sql: &dyn Sql, source: &str, number: u64) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO sources (source, number) VALUES (?, ?) \
         ON CONFLICT (source) DO UPDATE SET number = excluded.number",
        &[Value::from(source), from_counter(number)],
    )?;
    Ok(())
}

/// Forgets parts of days before this one.
///
/// # Errors
/// When they cannot be removed.
pub fn forget_sources(sql: &dyn Sql, day: &str) -> Result<(), StoreError> {
    sql.exec("DELETE FROM sources WHERE source < ?", &[Value::from(day)])?;
    Ok(())
}

/// Log entries that were lost.
///
/// # Errors
/// When they cannot be read.
pub fn lost(sql: &dyn Sql) -> Result<u64, StoreError> {
    let rows = sql.exec("SELECT entries FROM lost", &[])?;
    rows.first()
        .map_or(Ok(0), |row| counter("lost entries", row, 0))
}

/// Notes how many were lost.
///
/// # Errors
/// When they cannot be written.
pub fn put_lost(sql: &dyn Sql, entries: u64) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO lost (one, entries) VALUES (1, ?) \
         ON CONFLICT (one) DO UPDATE SET entries = excluded.entries",
        &[from_counter(entries)],
    )?;
    Ok(())
}
