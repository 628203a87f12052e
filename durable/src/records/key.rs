//! What a key stores: one row for each request of the last minute.
//!
//! The charge of a visitor is stored under `{visitor}/{request}`; a key's own under the request alone, which
//! holds no slash.
//!
//! Invariant: one row write per change. Rows that mean nothing any more stay until their slot is used
//! again or the key falls idle, and are told apart by their own times.

use tidegate_domain::ids::RequestId;
use tidegate_domain::limits::{Charge, Overuse};
use tidegate_domain::time::{Span, Timestamp};

use crate::ports::{Row, Sql, StoreError, Value};
use crate::records::columns::{LARGEST_INTEGER, counter, integer, integer_if_any, text};

const RECORD: &str = "charge";

/// Every row, the earliest admission first, each with its slot and its visitor (a key's own: none).
///
/// # Errors
/// When one cannot be read.
pub fn all(sql: &dyn Sql) -> Result<Vec<(i64, String, Charge)>, StoreError> {
    sql.exec(
        "SELECT slot, request, admitted_at_ms, tokens, lease_until_ms, over_at_ms, over_tokens \
         FROM charges ORDER BY admitted_at_ms, slot",
        &[],
    )?
    .iter()
    .map(|row| {
        let (visitor, charge) = charge(row)?;
        Ok((integer(RECORD, row, 0)?, visitor, charge))
    })
    .collect()
}

/// Writes a charge into its slot, over whatever is there.
///
/// # Errors
/// When it cannot be written.
pub fn keep(sql: &dyn Sql, slot: i64, visitor: &str, charge: &Charge) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO charges (slot, request, admitted_at_ms, tokens, lease_until_ms, over_at_ms, \
         over_tokens) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (slot) DO UPDATE SET \
         request = excluded.request, admitted_at_ms = excluded.admitted_at_ms, \
         tokens = excluded.tokens, lease_until_ms = excluded.lease_until_ms, \
         over_at_ms = excluded.over_at_ms, over_tokens = excluded.over_tokens",
        &[
            Value::from(slot),
            Value::from(format!("{}{}", prefix(visitor), charge.request.as_str())),
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

/// Moves every time in every row of a visitor back.
///
/// # Errors
/// When they cannot be written.
pub fn shift(sql: &dyn Sql, visitor: &str, back: Span) -> Result<(), StoreError> {
    sql.exec(
        "UPDATE charges SET admitted_at_ms = admitted_at_ms - ?1, \
         lease_until_ms = lease_until_ms - ?1, over_at_ms = over_at_ms - ?1 \
         WHERE substr(request, 1, length(?2)) = ?2",
        &[Value::from(back.as_ms()), Value::from(prefix(visitor))],
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

fn prefix(visitor: &str) -> String {
    if visitor.is_empty() {
        return String::new();
    }
    format!("{visitor}/")
}

fn charge(row: &Row) -> Result<(String, Charge), StoreError> {
    let stored = text(RECORD, row, 1)?;
    let (visitor, request) = stored.split_once('/').unwrap_or(("", stored));
    let overuse = match integer_if_any(row, 5) {
        Some(at_ms) => Some(Overuse {
            at: Timestamp::from_ms(at_ms),
            tokens: counter(RECORD, row, 6)?,
        }),
        None => None,
    };
    let charge = Charge {
        request: RequestId::new(request),
        admitted_at: Timestamp::from_ms(integer(RECORD, row, 2)?),
        tokens: counter(RECORD, row, 3)?,
        lease_until: integer_if_any(row, 4).map(Timestamp::from_ms),
        overuse,
    };
    Ok((visitor.to_owned(), charge))
}

/// Charges are bounded far below this by the machine that makes them.
fn whole(tokens: u64) -> i64 {
    i64::try_from(tokens).map_or(LARGEST_INTEGER, |tokens| tokens.min(LARGEST_INTEGER))
}
