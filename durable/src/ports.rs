//! What an object needs from its host, as small synchronous ports.
//!
//! In scope: storage and randomness. Out of scope: time (passed to each turn as a value) and everything
//! that takes time (returned as an effect, see [`crate::turn`]).

/// A value as SQLite knows it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL `NULL`.
    Null,
    /// An integer. Hosts that pass numbers as doubles keep 53 bits; larger identifiers travel as text.
    Integer(i64),
    /// A double.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// The integer, also when the host handed it over as a whole double.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Real(number) if number.fract() == 0.0 => Some(*number as i64),
            _ => None,
        }
    }

    /// The text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The double.
    pub fn as_real(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            _ => None,
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row, columns in the order of the statement.
pub type Row = Vec<Value>;

/// The store refused or lost a statement. The turn that met it must not answer: the host rolls it back
/// and reloads the object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The engine refused the statement.
    #[error("storage refused `{statement}`: {reason}")]
    Refused {
        /// The statement, without its values.
        statement: String,
        /// The engine's words.
        reason: String,
    },
    /// A stored record cannot be read back.
    #[error(
        "the stored {record} cannot be read: {reason}; it was written by an incompatible release"
    )]
    Unreadable {
        /// Which record.
        record: &'static str,
        /// Why not.
        reason: String,
    },
}

/// Synchronous SQLite. Every statement between two awaits of the host belongs to one atomic write.
pub trait Sql {
    /// Runs one statement with its values and returns its rows.
    ///
    /// # Errors
    /// [`StoreError::Refused`] in the engine's words.
    fn exec(&self, statement: &str, values: &[Value]) -> Result<Vec<Row>, StoreError>;
}

/// Unpredictable bytes.
pub trait Entropy {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}
