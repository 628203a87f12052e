//! Failures on demand, so that tests can prove what a panic or a trap does to its caller and its
//! neighbours. The host calls these only where the environment binds `FAULTS`.

use tidegate_durable::ports::{Sql, StoreError, Value};

/// Fails: `trap` poisons the whole instance, everything else panics.
#[expect(clippy::panic, reason = "what this module is for")]
pub fn fail(how: &str) -> ! {
    if how == "trap" {
        #[cfg(target_arch = "wasm32")]
        core::arch::wasm32::unreachable();
    }
    panic!("a fault on demand")
}

/// Writes a row, then fails. With `count` it fails at nothing and reports, as an error, how many rows
/// earlier faults have left behind.
///
/// # Errors
/// When the row cannot be written.
pub fn write_and_fail(sql: &dyn Sql, how: &str) -> Result<(), StoreError> {
    sql.exec(
        "CREATE TABLE IF NOT EXISTS fault (one INTEGER NOT NULL)",
        &[],
    )?;
    if how == "count" {
        let rows = sql.exec("SELECT count(*) FROM fault", &[])?;
        let count = rows.first().and_then(|row| row.first());
        return Err(StoreError::Refused {
            statement: "count".to_owned(),
            reason: format!("rows: {:?}", count.and_then(Value::as_integer)),
        });
    }
    sql.exec("INSERT INTO fault VALUES (1)", &[])?;
    if how == "refused" {
        sql.exec("INSERT INTO nowhere VALUES (1)", &[])?;
    }
    fail(how)
}
