//! What a key stores: one row for each request of the last minute.
//!
//! Invariant: one row write per change. Rows that mean nothing any more stay until their slot is used
//! again or the key falls idle, and are told apart by their own times.

use tidegate_domain::ids::RequestId;
use tidegate_domain::limits::{Charge, Overuse};
use tidegate_domain::time::{Span, Timestamp};

use crate::ports::{Row, Sql, StoreError, Value};
use crate::records::columns::{LARGEST_INTEGER, counter, integer, integer_if_any, text};

const RECORD: &str = "charge";

/// Every row, the earliest admission first, each with its slot.
///
/// # Errors
/// When one cannot be read.
pub fn all(sql: &dyn Sql) -> Result<Vec<(i64, Charge)>, StoreError> {
    sql.exec(
        "SELECT slot, request, admitted_at_ms, tokens, lease_until_ms, over_at_ms, over_tokens \
         FROM charges ORDER BY admitted_at_ms, slot",
        &[],
    )?
    .iter()
    .map(|row| Ok((integer(RECORD, row, 0)?, charge(row)?)))
    .collect()
}

/// Writes a charge into its slot, over whatever is there.
///
/// # Errors
/// When it cannot be written.
pub fn keep(sql: &dyn Sql, slot: i64, charge: &Charge) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO charges (slot, request, admitted_at_ms, tokens, lease_until_ms, over_at_ms, \
         over_tokens) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (slot) DO UPDATE SET \
         request = excluded.request, admitted_at_ms = excluded.admitted_at_ms, \
         tokens = excluded.tokens, lease_until_ms = excluded.lease_until_ms, \
         over_at_ms = excluded.over_at_ms, over_tokens = excluded.over_tokens",
        &[
            Value::from(slot),
            Value::from(charge.request.as_str()),
            Value::from(charge.admitted_at.as_ms()),
            Value::from(whole(charge.tokens)),
            Value::from(charge.lease_until.map(Timestamp::as_ms)),
            Value::from(charge.overuse.map(|over| over.at.as_ms())),
            Value::from(charge.overuse.map(|over| whole(over.tokens))),
        ],
    )?;
    Ok(())
}

/// Removes the row of a slot.
///
/// # Errors
/// When it cannot be removed.
pub fn erase(sql: &dyn Sql, slot: i64) -> Result<(), StoreError> {
    sql.exec("DELETE FROM charges WHERE slot = ?", &[Value::from(slot)])?;
    Ok(())
}

/// Moves every time in every row back.
///
/// # Errors
/// When they cannot be written.
pub fn shift(sql: &dyn Sql, back: Span) -> Result<(), StoreError> {
    sql.exec(
        "UPDATE charges SET admitted_at_ms = admitted_at_ms - ?1, \
         lease_until_ms = lease_until_ms - ?1, over_at_ms = over_at_ms - ?1",
        &[Value::from(back.as_ms())],
    )?;
    Ok(())
}

/// Removes every row.
///
/// # Errors
/// When they cannot be removed.
pub fn clear(sql: &dyn Sql) -> Result<(), StoreError> {
    sql.exec("DELETE FROM charges", &[])?;
    Ok(())
}

fn charge(row: &Row) -> Result<Charge, StoreError> {
    let overuse = match integer_if_any(row, 5) {
        Some(at_ms) => Some(Overuse {
            at: Timestamp::from_ms(at_ms),
            tokens: counter(RECORD, row, 6)?,
        }),
        None => None,
    };
    Ok(Charge {
        request: RequestId::new(text(RECORD, row, 1)?),
        admitted_at: Timestamp::from_ms(integer(RECORD, row, 2)?),
        tokens: counter(RECORD, row, 3)?,
        lease_until: integer_if_any(row, 4).map(Timestamp::from_ms),
        overuse,
    })
}

/// Charges are bounded far below this by the machine that makes them.
fn whole(tokens: u64) -> i64 {
    i64::try_from(tokens).map_or(LARGEST_INTEGER, |tokens| tokens.min(LARGEST_INTEGER))
}
