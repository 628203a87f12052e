//! Reading the columns of a row, with an error that names the record instead of a default in its place.

use crate::ports::{Row, StoreError, Value};

/// The text in a column.
///
/// # Errors
/// [`StoreError::Unreadable`] when there is none.
pub fn text<'a>(record: &'static str, row: &'a Row, column: usize) -> Result<&'a str, StoreError> {
    row.get(column)
        .and_then(Value::as_text)
        .ok_or_else(|| unreadable(record, column, "text"))
}

/// The integer in a column.
///
/// # Errors
/// [`StoreError::Unreadable`] when there is none.
pub fn integer(record: &'static str, row: &Row, column: usize) -> Result<i64, StoreError> {
    row.get(column)
        .and_then(Value::as_integer)
        .ok_or_else(|| unreadable(record, column, "an integer"))
}

/// The integer in a column that may be `NULL`.
pub fn integer_if_any(row: &Row, column: usize) -> Option<i64> {
    row.get(column).and_then(Value::as_integer)
}

/// A counter in a column.
///
/// # Errors
/// [`StoreError::Unreadable`] when there is none, or it is negative.
pub fn counter(record: &'static str, row: &Row, column: usize) -> Result<u64, StoreError> {
    u64::try_from(integer(record, row, column)?)
        .map_err(|_| unreadable(record, column, "a counter"))
}

/// The largest integer that survives a host whose numbers are doubles: 2^53 - 1.
pub const LARGEST_INTEGER: i64 = (1 << 53) - 1;

/// A counter as SQLite stores it.
pub fn from_counter(counter: u64) -> Value {
    Value::Integer(i64::try_from(counter).map_or(LARGEST_INTEGER, |it| it.min(LARGEST_INTEGER)))
}

fn unreadable(record: &'static str, column: usize, wanted: &str) -> StoreError {
    StoreError::Unreadable {
        record,
        reason: format!("column {column} is not {wanted}"),
    }
}
