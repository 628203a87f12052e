//! What a fleet stores for renting: runtime profiles and accounts at vendors. One JSON document a row.
//!
//! Invariant: as for every record of a fleet, documents only gain fields; absent ones take their defaults,
//! unknown ones are ignored.

use std::collections::BTreeMap;

use crate::bindings::account::AccountSpec;
use crate::bindings::fleet::{AccountEntry, AccountEntryView, Profile};
use crate::driver::{decode, encode};
use crate::ports::{Row, Sql, StoreError, Value};
use crate::records::columns::{counter, from_counter, integer, integer_if_any, text};

const ACCOUNT: &str = "account";

/// An account at a vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its id.
    pub id: String,
    /// The entry.
    pub entry: AccountEntry,
    /// Changes of the entry so far.
    pub generation: u64,
    /// Connected when.
    pub created_at_ms: i64,
    /// Changed when.
    pub updated_at_ms: i64,
}

impl AccountRecord {
    /// One account, if it is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(sql: &dyn Sql, id: &str) -> Result<Option<Self>, StoreError> {
        let rows = sql.exec(
            "SELECT id, entry, generation, created_at_ms, updated_at_ms FROM accounts WHERE id = ?",
            &[Value::from(id)],
        )?;
        rows.first().map(Self::read).transpose()
    }

    /// Every account, oldest first.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn load_all(sql: &dyn Sql) -> Result<Vec<Self>, StoreError> {
        let rows = sql.exec(
            "SELECT id, entry, generation, created_at_ms, updated_at_ms FROM accounts \
             ORDER BY created_at_ms, id",
            &[],
        )?;
        rows.iter().map(Self::read).collect()
    }

    /// Writes the whole row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, sql: &dyn Sql) -> Result<(), StoreError> {
        sql.exec(
            "INSERT INTO accounts (id, entry, generation, created_at_ms, updated_at_ms) \
             VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET entry = excluded.entry, \
             generation = excluded.generation, updated_at_ms = excluded.updated_at_ms",
            &[
                Value::from(self.id.as_str()),
                Value::from(encode("account entry", &self.entry)?),
                from_counter(self.generation),
                Value::from(self.created_at_ms),
                Value::from(self.updated_at_ms),
            ],
        )?;
        Ok(())
    }

    /// Removes the row.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn delete(sql: &dyn Sql, id: &str) -> Result<(), StoreError> {
        sql.exec("DELETE FROM accounts WHERE id = ?", &[Value::from(id)])?;
        Ok(())
    }

    /// As lists show it.
    pub fn view(self) -> AccountEntryView {
        AccountEntryView {
            id: self.id,
            entry: self.entry,
            generation: self.generation,
            created_at_ms: self.created_at_ms,
            updated_at_ms: self.updated_at_ms,
        }
    }

    /// What the account's own object is told.
    pub fn spec(&self) -> AccountSpec {
        AccountSpec {
            generation: self.generation,
            vendor: self.entry.vendor.clone(),
            label: self.entry.label.clone(),
            settings: self.entry.settings.clone(),
            fingerprint: self.entry.fingerprint.clone(),
        }
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: text(ACCOUNT, row, 0)?.to_owned(),
            entry: decode("account entry", text(ACCOUNT, row, 1)?)?,
            generation: counter(ACCOUNT, row, 2)?,
            created_at_ms: integer(ACCOUNT, row, 3)?,
            updated_at_ms: integer(ACCOUNT, row, 4)?,
        })
    }
}

/// One profile with its secrets as they are sealed, if it is there.
///
/// # Errors
/// When it cannot be read.
pub fn load_profile(sql: &dyn Sql, name: &str) -> Result<Option<Profile>, StoreError> {
    let rows = sql.exec(
        "SELECT profile FROM profiles WHERE name = ?",
        &[Value::from(name)],
    )?;
    rows.first()
        .map(|row| decode("runtime profile", text("profile", row, 0)?))
        .transpose()
}

/// Every profile, by name.
///
/// # Errors
/// When one cannot be read.
pub fn load_profiles(sql: &dyn Sql) -> Result<BTreeMap<String, Profile>, StoreError> {
    sql.exec("SELECT name, profile FROM profiles", &[])?
        .iter()
        .map(|row| {
            let profile = decode("runtime profile", text("profile", row, 1)?)?;
            Ok((text("profile", row, 0)?.to_owned(), profile))
        })
        .collect()
}

/// How many profiles there are.
///
/// # Errors
/// When they cannot be counted.
pub fn count_profiles(sql: &dyn Sql) -> Result<u32, StoreError> {
    let rows = sql.exec("SELECT COUNT(*) FROM profiles", &[])?;
    let count = rows.first().and_then(|row| integer_if_any(row, 0));
    Ok(count
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or_default())
}

/// Writes a profile.
///
/// # Errors
/// When it cannot be written.
pub fn put_profile(sql: &dyn Sql, name: &str, profile: &Profile) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO profiles (name, profile) VALUES (?, ?) \
         ON CONFLICT (name) DO UPDATE SET profile = excluded.profile",
        &[
            Value::from(name),
            Value::from(encode("runtime profile", profile)?),
        ],
    )?;
    Ok(())
}

/// Removes a profile.
///
/// # Errors
/// When it cannot be removed.
pub fn delete_profile(sql: &dyn Sql, name: &str) -> Result<(), StoreError> {
    sql.exec("DELETE FROM profiles WHERE name = ?", &[Value::from(name)])?;
    Ok(())
}
