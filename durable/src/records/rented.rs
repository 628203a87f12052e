//! The fleet's index of what is rented. One row a rental, kept for 90 days after its life is over.

use tidegate_domain::time::{Span, Timestamp};

use crate::bindings::fleet::{RentalEntry, RentalRow};
use crate::bindings::rental::{Candidate, Launch, RentalStatus};
use crate::driver::{decode, encode};
use crate::ports::{Row, Sql, StoreError, Value};
use crate::records::columns::{counter, from_counter, integer, text};

const RENTAL: &str = "rental";
const COLUMNS: &str = "id, launch, status, sealed_ssh_key, sequence, server_generation, created_at_ms, \
                       updated_at_ms";
/// As long as the audit that tells of it.
const KEPT_FOR: Span = Span::from_secs(90 * 86_400);

/// A rented GPU, as the fleet knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct RentalRecord {
    /// Its id.
    pub id: String,
    /// What was launched.
    pub launch: Launch,
    /// What its object announced last.
    pub status: RentalStatus,
    /// The private half of its key pair, sealed.
    pub sealed_ssh_key: Option<String>,
    /// Number of the last announcement that was applied.
    pub sequence: u64,
    /// The last generation of its server entry.
    pub server_generation: u64,
    /// Launched when.
    pub created_at_ms: i64,
    /// Changed when.
    pub updated_at_ms: i64,
}

impl RentalRecord {
    /// One rental, if it is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(sql: &dyn Sql, id: &str) -> Result<Option<Self>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM rentals WHERE id = ?");
        let rows = sql.exec(&query, &[Value::from(id)])?;
        rows.first().map(Self::read).transpose()
    }

    /// Rentals, newest first; only those whose life is over, or is not, where that is given.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn load_all(sql: &dyn Sql, over: Option<bool>) -> Result<Vec<Self>, StoreError> {
        let order = "ORDER BY created_at_ms DESC, id";
        let rows = match over {
            None => sql.exec(&format!("SELECT {COLUMNS} FROM rentals {order}"), &[])?,
            Some(over) => sql.exec(
                &format!("SELECT {COLUMNS} FROM rentals WHERE over = ? {order}"),
                &[Value::from(i64::from(over))],
            )?,
        };
        rows.iter().map(Self::read).collect()
    }

    /// Ids of rentals whose life has been over since a moment after `since`, and that moment.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn over_since(
        sql: &dyn Sql,
        since: Timestamp,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        sql.exec(
            "SELECT id, updated_at_ms FROM rentals WHERE over = 1 AND updated_at_ms >= ?",
            &[Value::from(since.as_ms())],
        )?
        .iter()
        .map(|row| {
            let at = Timestamp::from_ms(integer(RENTAL, row, 1)?);
            Ok((text(RENTAL, row, 0)?.to_owned(), at))
        })
        .collect()
    }

    /// Whether there is one.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn is_any(sql: &dyn Sql) -> Result<bool, StoreError> {
        Ok(!sql.exec("SELECT 1 FROM rentals LIMIT 1", &[])?.is_empty())
    }

    /// Ids of rentals whose life is not over.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn live(sql: &dyn Sql) -> Result<Vec<String>, StoreError> {
        sql.exec("SELECT id FROM rentals WHERE over = 0", &[])?
            .iter()
            .map(|row| Ok(text(RENTAL, row, 0)?.to_owned()))
            .collect()
    }

    /// Forgets what has been over for long.
    ///
    /// # Errors
    /// When the rows cannot be deleted.
    pub fn prune(sql: &dyn Sql, now: Timestamp) -> Result<(), StoreError> {
        sql.exec(
            "DELETE FROM rentals WHERE over = 1 AND updated_at_ms < ?",
            &[Value::from((now - KEPT_FOR).as_ms())],
        )?;
        Ok(())
    }

    /// Writes the whole row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, sql: &dyn Sql) -> Result<(), StoreError> {
        sql.exec(
            "INSERT OR REPLACE INTO rentals (id, launch, status, sealed_ssh_key, sequence, \
             server_generation, over, created_at_ms, updated_at_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[
                Value::from(self.id.as_str()),
                Value::from(encode("launch", &self.launch)?),
                Value::from(encode("rental status", &self.status)?),
                Value::from(self.sealed_ssh_key.clone()),
                from_counter(self.sequence),
                from_counter(self.server_generation),
                Value::from(i64::from(self.status.state.is_over())),
                Value::from(self.created_at_ms),
                Value::from(self.updated_at_ms),
            ],
        )?;
        Ok(())
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: text(RENTAL, row, 0)?.to_owned(),
            launch: decode("launch", text(RENTAL, row, 1)?)?,
            // A state of a newer release must not keep the others from being listed: the next announcement
            // replaces it, and until then it counts as one that may be billed.
            status: decode("rental status", text(RENTAL, row, 2)?).unwrap_or_default(),
            sealed_ssh_key: row.get(3).and_then(Value::as_text).map(str::to_owned),
            sequence: counter(RENTAL, row, 4)?,
            server_generation: counter(RENTAL, row, 5)?,
            created_at_ms: integer(RENTAL, row, 6)?,
            updated_at_ms: integer(RENTAL, row, 7)?,
        })
    }

    /// The offer that it comes from, or will take first.
    pub fn candidate(&self) -> Option<&Candidate> {
        let at = usize::try_from(self.status.candidate).ok()?;
        let candidates = &self.launch.candidates;
        candidates.get(at).or_else(|| candidates.first())
    }

    /// All of it.
    pub fn entry(self) -> RentalEntry {
        RentalEntry {
            id: self.id,
            launch: self.launch,
            status: self.status,
            created_at_ms: self.created_at_ms,
            sealed_ssh_key: self.sealed_ssh_key,
        }
    }

    /// As lists show it.
    pub fn row(&self) -> RentalRow {
        let candidate = self.candidate();
        let offer = candidate.map(|candidate| &candidate.offer);
        let of = |text: fn(&Candidate) -> &String| candidate.map(text).cloned().unwrap_or_default();
        RentalRow {
            id: self.id.clone(),
            name: self.launch.name.clone(),
            project: self.launch.project.clone(),
            profile: self.launch.runtime.profile.clone(),
            model_name: self.launch.runtime.model_name.clone(),
            vendor: of(|candidate| &candidate.vendor),
            account: of(|candidate| &candidate.account),
            region: of(|candidate| &candidate.offer.region),
            gpu: of(|candidate| &candidate.offer.gpu.model),
            gpu_count: offer.map(|offer| offer.gpu.count).unwrap_or_default(),
            spot: offer.is_some_and(|offer| offer.spot),
            status: self.status.clone(),
            created_at_ms: self.created_at_ms,
        }
    }
}
