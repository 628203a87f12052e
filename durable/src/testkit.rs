//! The ports on real SQLite, for tests and the simulation on the native target. Compiled only with the
//! `testkit` feature.
//!
//! Invariant: what a turn wrote is lost unless [`Store::commit`] follows, as on a host that rolls a
//! broken turn back.

use core::cell::{Cell, RefCell};

use rusqlite::types::ValueRef;

use crate::ports::{Entropy, Row, Sql, StoreError, Value};

/// An object's database in memory, with failures on demand.
pub struct Store {
    connection: rusqlite::Connection,
    rows_written: Cell<u64>,
    fail_after: Cell<Option<u32>>,
}

impl Store {
    /// An empty database.
    ///
    /// # Panics
    /// When SQLite cannot be opened in memory.
    #[expect(clippy::expect_used, reason = "test kit")]
    pub fn new() -> Self {
        let connection = rusqlite::Connection::open_in_memory().expect("SQLite opens in memory");
        Self {
            connection,
            rows_written: Cell::new(0),
            fail_after: Cell::new(None),
        }
    }

    /// Opens the transaction of a turn.
    pub fn begin(&self) {
        let _ = self.connection.execute_batch("BEGIN");
    }

    /// Keeps what the turn wrote.
    pub fn commit(&self) {
        let _ = self.connection.execute_batch("COMMIT");
    }

    /// Forgets what the turn wrote.
    pub fn rollback(&self) {
        let _ = self.connection.execute_batch("ROLLBACK");
    }

    /// The statement after the next `statements` fails.
    pub fn fail_after(&self, statements: u32) {
        self.fail_after.set(Some(statements));
    }

    /// Rows written so far, for the write budget.
    pub fn rows_written(&self) -> u64 {
        self.rows_written.get()
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Sql for Store {
    fn exec(&self, statement: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let refused = |reason: String| StoreError::Refused {
            statement: statement.to_owned(),
            reason,
        };
        if let Some(left) = self.fail_after.get() {
            if left == 0 {
                self.fail_after.set(None);
                return Err(refused("injected failure".to_owned()));
            }
            self.fail_after.set(Some(left - 1));
        }
        let mut prepared = self
            .connection
            .prepare_cached(statement)
            .map_err(|error| refused(error.to_string()))?;
        let columns = prepared.column_count();
        let parameters = rusqlite::params_from_iter(values.iter().map(parameter));
        let mut cursor = prepared
            .query(parameters)
            .map_err(|error| refused(error.to_string()))?;
        let mut rows = Vec::new();
        while let Some(row) = cursor.next().map_err(|error| refused(error.to_string()))? {
            let values =
                (0..columns).map(|column| row.get_ref(column).map(value).unwrap_or(Value::Null));
            rows.push(values.collect());
        }
        let changes = if prepared_writes(statement) {
            self.connection.changes()
        } else {
            0
        };
        self.rows_written.set(self.rows_written.get() + changes);
        Ok(rows)
    }
}

fn prepared_writes(statement: &str) -> bool {
    let head = statement.trim_start();
    ["INSERT", "UPDATE", "DELETE", "REPLACE"]
        .iter()
        .any(|verb| head.starts_with(verb))
}

fn parameter(value: &Value) -> rusqlite::types::Value {
    match value {
        Value::Null => rusqlite::types::Value::Null,
        Value::Integer(number) => rusqlite::types::Value::Integer(*number),
        Value::Real(number) => rusqlite::types::Value::Real(*number),
        Value::Text(text) => rusqlite::types::Value::Text(text.clone()),
        Value::Blob(bytes) => rusqlite::types::Value::Blob(bytes.clone()),
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// Repeatable bytes from a seed (SplitMix64).
pub struct Seeded(RefCell<u64>);

impl Seeded {
    /// A source with this seed.
    pub const fn new(seed: u64) -> Self {
        Self(RefCell::new(seed))
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let mut state = self.0.borrow_mut();
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = *state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (mixed ^ (mixed >> 31)) as u8;
        }
    }
}
