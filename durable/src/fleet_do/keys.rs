//! API keys: minted, read one by one, rotated with an overlap, suspended by the ledger, revoked by removal.
//!
//! Invariant: a hash leaves only with [`Fleet::key`], for the caller that verifies secrets. Keys are not
//! part of the snapshot and do not move its version.

use super::{Fleet, checks};
use crate::bindings::fleet::{FleetAnswer, KeyRecord};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::fleet::{count_keys, delete_key, load_key, load_keys, put_key};

/// All keys are listed in one answer: at about 500 bytes each this many are 5 MB of JSON.
const MAX_KEYS: u32 = 10_000;

impl Fleet {
    pub(super) fn key(cx: &Cx<'_>, id: &str) -> Result<FleetAnswer, StoreError> {
        let record = load_key(cx.sql, id)?;
        Ok(
            record.map_or(FleetAnswer::NotFound, |record| FleetAnswer::Key {
                record: Box::new(record),
            }),
        )
    }

    pub(super) fn keys(cx: &Cx<'_>) -> Result<FleetAnswer, StoreError> {
        let records = load_keys(cx.sql)?.into_iter().map(without_hashes);
        Ok(FleetAnswer::Keys {
            records: records.collect(),
        })
    }

    pub(super) fn mint_key(
        &mut self,
        cx: &mut Cx<'_>,
        record: KeyRecord,
    ) -> Result<FleetAnswer, StoreError> {
        if let Err(refused) = checks::key(&record) {
            return Ok(refused.into());
        }
        match load_key(cx.sql, &record.id)? {
            // The same record again is the same minting, whose answer was lost.
            Some(existing) if as_minted(existing.clone()) == record => return Ok(shown(existing)),
            Some(existing) => {
                return Ok(FleetAnswer::Duplicate {
                    existing: existing.id,
                });
            }
            None => {}
        }
        if count_keys(cx.sql)? >= MAX_KEYS {
            return Ok(FleetAnswer::Invalid {
                param: "name".to_owned(),
                reason: format!("an organisation holds at most {MAX_KEYS} keys; revoke one first"),
            });
        }
        put_key(cx.sql, &record)?;
        let reason = format!("{} ({})", record.name, record.scopes.join(", "));
        self.note(cx, "key.minted", &record.id, reason);
        Ok(shown(record))
    }

    pub(super) fn rotate_key(
        &mut self,
        cx: &mut Cx<'_>,
        id: &str,
        secret_hash: String,
        overlap_until_ms: i64,
    ) -> Result<FleetAnswer, StoreError> {
        if let Err(refused) = checks::secret_hash(&secret_hash) {
            return Ok(refused.into());
        }
        let Some(mut record) = load_key(cx.sql, id)? else {
            return Ok(FleetAnswer::NotFound);
        };
        // Repeated after a lost answer it must not put the new secret in the place of the old one.
        if record.secret_hash == secret_hash {
            return Ok(shown(record));
        }
        let previous = std::mem::replace(&mut record.secret_hash, secret_hash);
        let overlaps = overlap_until_ms > cx.now.as_ms();
        record.previous_secret_hash = overlaps.then_some(previous);
        record.previous_until_ms = overlaps.then_some(overlap_until_ms);
        put_key(cx.sql, &record)?;
        let reason = if overlaps {
            format!("the old secret stays good until {overlap_until_ms}")
        } else {
            "the old secret ended at once".to_owned()
        };
        self.note(cx, "key.rotated", id, reason);
        Ok(shown(record))
    }

    pub(super) fn revoke_key(
        &mut self,
        cx: &mut Cx<'_>,
        id: &str,
    ) -> Result<FleetAnswer, StoreError> {
        let Some(record) = load_key(cx.sql, id)? else {
            return Ok(FleetAnswer::NotFound);
        };
        delete_key(cx.sql, id)?;
        self.note(cx, "key.revoked", id, record.name);
        Ok(FleetAnswer::Done)
    }

    /// What the ledger says of a key's budget. Messages may overtake each other: the greatest number counts.
    pub(super) fn suspend_key(
        &mut self,
        cx: &mut Cx<'_>,
        id: &str,
        number: u64,
        until_ms: Option<i64>,
        reason: String,
    ) -> Result<FleetAnswer, StoreError> {
        let Some(mut record) = load_key(cx.sql, id)? else {
            return Ok(FleetAnswer::Done);
        };
        if Some(number) <= record.suspension {
            return Ok(FleetAnswer::Done);
        }
        record.suspension = Some(number);
        record.suspended_until_ms = until_ms;
        record.suspended_reason = until_ms.map_or_else(String::new, |_| reason.clone());
        put_key(cx.sql, &record)?;
        let (action, reason) = match until_ms {
            Some(until_ms) => ("key.suspended", format!("{reason} (until {until_ms})")),
            None => ("key.resumed", reason),
        };
        self.note(cx, action, id, reason);
        Ok(FleetAnswer::Done)
    }
}

/// Without what the ledger has said since.
fn as_minted(record: KeyRecord) -> KeyRecord {
    KeyRecord {
        suspended_until_ms: None,
        suspended_reason: String::new(),
        suspension: None,
        ..record
    }
}

fn shown(record: KeyRecord) -> FleetAnswer {
    FleetAnswer::Key {
        record: Box::new(without_hashes(record)),
    }
}

/// The time of an overlap stays: it says that an old secret is still good.
fn without_hashes(record: KeyRecord) -> KeyRecord {
    KeyRecord {
        secret_hash: String::new(),
        previous_secret_hash: None,
        ..record
    }
}
