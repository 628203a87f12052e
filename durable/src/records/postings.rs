//! The books: postings, newest last, and what the oldest of them came to.
//!
//! Invariant: a posting is written once and never changed; summing old ones up changes no balance.

use tidegate_domain::time::Timestamp;

use crate::bindings::ledger::{Balance, Entry};
use crate::ports::{Row, Sql, StoreError, Value};
use crate::records::columns::{counter, from_counter, integer, text};

const POSTING: &str = "posting";

/// Writes one; its number is the next.
///
/// # Errors
/// When it cannot be written.
pub fn append(sql: &dyn Sql, entry: &Entry) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO postings (at_ms, debit, credit, microusd, window, memo) VALUES (?, ?, ?, ?, ?, ?)",
        &[
            Value::from(entry.at_ms),
            Value::from(entry.debit.as_str()),
            Value::from(entry.credit.as_str()),
            from_counter(entry.microusd),
            Value::from(entry.window.as_str()),
            Value::from(entry.memo.as_str()),
        ],
    )?;
    Ok(())
}

/// At most `limit` with a smaller number than `before`, newest first; of one account, if it is named.
///
/// # Errors
/// When they cannot be read.
pub fn newest(
    sql: &dyn Sql,
    before: i64,
    account: Option<&str>,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    let rows = sql.exec(
        "SELECT number, at_ms, debit, credit, microusd, window, memo FROM postings \
         WHERE number < ?1 AND (?2 IS NULL OR ?2 IN (debit, credit)) ORDER BY number DESC LIMIT ?3",
        &[
            Value::from(before),
            Value::from(account),
            Value::from(i64::from(limit)),
        ],
    )?;
    rows.iter().map(entry).collect()
}

fn entry(row: &Row) -> Result<Entry, StoreError> {
    Ok(Entry {
        number: integer(POSTING, row, 0)?,
        at_ms: integer(POSTING, row, 1)?,
        debit: text(POSTING, row, 2)?.to_owned(),
        credit: text(POSTING, row, 3)?.to_owned(),
        microusd: counter(POSTING, row, 4)?,
        window: text(POSTING, row, 5)?.to_owned(),
        memo: text(POSTING, row, 6)?.to_owned(),
    })
}

/// Every account and its balance, by name.
///
/// # Errors
/// When they cannot be read.
pub fn balances(sql: &dyn Sql) -> Result<Vec<Balance>, StoreError> {
    let rows = sql.exec(
        "WITH both AS (SELECT debit, credit, microusd FROM postings \
         UNION ALL SELECT debit, credit, microusd FROM opening) \
         SELECT account, SUM(microusd) FROM (SELECT debit AS account, microusd FROM both \
         UNION ALL SELECT credit, -microusd FROM both) GROUP BY account ORDER BY account",
        &[],
    )?;
    let read = |row: &Row| {
        Ok(Balance {
            account: text(POSTING, row, 0)?.to_owned(),
            microusd: integer(POSTING, row, 1)?,
        })
    };
    rows.iter().map(read).collect()
}

/// What an account has gained since a moment, in micro-dollars; without one, ever.
///
/// # Errors
/// When it cannot be read.
pub fn gained(sql: &dyn Sql, account: &str, since: Option<Timestamp>) -> Result<i64, StoreError> {
    let rows = match since {
        Some(since) => sql.exec(
            "SELECT SUM(CASE WHEN debit = ?1 THEN microusd ELSE -microusd END) FROM postings \
             WHERE ?1 IN (debit, credit) AND at_ms >= ?2",
            &[Value::from(account), Value::from(since.as_ms())],
        )?,
        None => sql.exec(
            "SELECT SUM(CASE WHEN debit = ?1 THEN microusd ELSE -microusd END) FROM \
             (SELECT debit, credit, microusd FROM postings \
             UNION ALL SELECT debit, credit, microusd FROM opening) WHERE ?1 IN (debit, credit)",
            &[Value::from(account)],
        )?,
    };
    let sum = rows.first().and_then(|row| row.first());
    // The sum of nothing is NULL.
    Ok(sum.and_then(Value::as_integer).unwrap_or_default())
}

/// Sums up at most `most` of the oldest postings, as far as they were posted before a moment.
///
/// # Errors
/// When they cannot be moved.
pub fn sum_up(sql: &dyn Sql, before: Timestamp, most: u32) -> Result<(), StoreError> {
    let rows = sql.exec(
        "SELECT number, at_ms FROM postings ORDER BY number LIMIT ?",
        &[Value::from(i64::from(most))],
    )?;
    let mut last = None;
    for row in &rows {
        if integer(POSTING, row, 1)? >= before.as_ms() {
            break;
        }
        last = Some(integer(POSTING, row, 0)?);
    }
    let Some(last) = last else {
        return Ok(());
    };
    sql.exec(
        "INSERT INTO opening (debit, credit, microusd) \
         SELECT debit, credit, SUM(microusd) FROM postings WHERE number <= ? GROUP BY debit, credit \
         ON CONFLICT (debit, credit) DO UPDATE SET microusd = microusd + excluded.microusd",
        &[Value::from(last)],
    )?;
    sql.exec(
        "DELETE FROM postings WHERE number <= ?",
        &[Value::from(last)],
    )?;
    Ok(())
}
