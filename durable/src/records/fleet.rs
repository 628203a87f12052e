//! What a fleet stores: servers, keys, routes, the policy and its counters. One JSON document a row.
//!
//! Invariant: a record of the release before loads, and so does one of the release after (a rollback):
//! documents only gain fields, absent ones take their defaults, unknown ones are ignored.

use std::collections::BTreeMap;

use tidegate_domain::time::Timestamp;

use crate::bindings::fleet::{
    AnonymousPolicy, KeyRecord, ReliabilityPolicy, Route, ServerEntry, ServerState, ServerStatus,
    ServerView, SnapshotServer,
};
use crate::bindings::instance::{InstanceSpec, TotalsView};
use crate::driver::{decode, encode};
use crate::ports::{Sql, StoreError, Value};
use crate::records::columns::{counter, from_counter, integer, integer_if_any, text};

/// A registered server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerRecord {
    /// Its id.
    pub id: String,
    /// The entry, with the sealed key.
    pub entry: ServerEntry,
    /// What the instance announced last.
    pub announced: ServerStatus,
    /// Since when it is being emptied on request.
    pub draining_since_ms: Option<i64>,
    /// Changes of the entry so far.
    pub generation: u64,
    /// Number of the last announcement that was applied.
    pub sequence: Option<u64>,
    /// Registered when.
    pub created_at_ms: i64,
    /// Changed when.
    pub updated_at_ms: i64,
}

impl ServerRecord {
    /// Every server, by id.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn load_all(sql: &dyn Sql) -> Result<BTreeMap<String, Self>, StoreError> {
        let rows = sql.exec(
            "SELECT id, entry, status, draining_since_ms, generation, sequence, created_at_ms, \
             updated_at_ms FROM servers",
            &[],
        )?;
        let mut servers = BTreeMap::new();
        for row in &rows {
            let id = text("server", row, 0)?.to_owned();
            let server = Self {
                id: id.clone(),
                entry: decode("server entry", text("server", row, 1)?)?,
                // A state that only a newer release knows must not keep the registry from loading: the
                // status is the peer's word and its next announcement replaces it.
                announced: decode("server status", text("server", row, 2)?).unwrap_or_default(),
                draining_since_ms: integer_if_any(row, 3),
                generation: counter("server", row, 4)?,
                sequence: integer_if_any(row, 5).and_then(|number| u64::try_from(number).ok()),
                created_at_ms: integer("server", row, 6)?,
                updated_at_ms: integer("server", row, 7)?,
            };
            servers.insert(id, server);
        }
        Ok(servers)
    }

    /// Writes the whole row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, sql: &dyn Sql) -> Result<(), StoreError> {
        sql.exec(
            "INSERT INTO servers (id, entry, status, draining_since_ms, generation, sequence, \
             created_at_ms, updated_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET entry = excluded.entry, status = excluded.status, \
             draining_since_ms = excluded.draining_since_ms, generation = excluded.generation, \
             sequence = excluded.sequence, updated_at_ms = excluded.updated_at_ms",
            &[
                Value::from(self.id.as_str()),
                Value::from(encode("server entry", &self.entry)?),
                Value::from(encode("server status", &self.announced)?),
                Value::from(self.draining_since_ms),
                from_counter(self.generation),
                self.sequence.map_or(Value::Null, from_counter),
                Value::from(self.created_at_ms),
                Value::from(self.updated_at_ms),
            ],
        )?;
        Ok(())
    }

    /// Writes what an announcement changes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_announced(&self, sql: &dyn Sql) -> Result<(), StoreError> {
        sql.exec(
            "UPDATE servers SET status = ?, sequence = ? WHERE id = ?",
            &[
                Value::from(encode("server status", &self.announced)?),
                self.sequence.map_or(Value::Null, from_counter),
                Value::from(self.id.as_str()),
            ],
        )?;
        Ok(())
    }

    /// Removes the row.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn delete(sql: &dyn Sql, id: &str) -> Result<(), StoreError> {
        sql.exec("DELETE FROM servers WHERE id = ?", &[Value::from(id)])?;
        Ok(())
    }

    /// The state that others see, as it was announced: being emptied on request hides whatever the instance announced, so
    /// that an announcement made before the instance knew does not bring the traffic back.
    pub fn status(&self) -> ServerStatus {
        match self.draining_since_ms {
            None => self.announced.clone(),
            Some(since_ms) => ServerStatus {
                state: ServerState::Draining,
                reason: "drained on request".to_owned(),
                since_ms,
                until_ms: None,
                ..self.announced.clone()
            },
        }
    }

    /// The part of the status that routing depends on: alike for equal snapshot versions.
    pub fn routing_status(&self) -> ServerStatus {
        ServerStatus {
            checked_at_ms: 0,
            totals: TotalsView::default(),
            ..self.status()
        }
    }

    /// As lists show it at this moment, without the sealed key.
    pub fn view(&self, now: Timestamp) -> ServerView {
        ServerView {
            id: self.id.clone(),
            has_api_key: self.entry.sealed_api_key.is_some(),
            entry: ServerEntry {
                sealed_api_key: None,
                ..self.entry.clone()
            },
            status: self.status().at(now.as_ms()),
            created_at_ms: self.created_at_ms,
            updated_at_ms: self.updated_at_ms,
        }
    }

    /// As the routing snapshot shows it.
    pub fn in_snapshot(&self) -> SnapshotServer {
        SnapshotServer {
            id: self.id.clone(),
            entry: self.entry.clone(),
            status: self.routing_status(),
            created_at_ms: self.created_at_ms,
        }
    }

    /// What the instance is told.
    pub fn spec(&self) -> InstanceSpec {
        let entry = &self.entry;
        InstanceSpec {
            generation: self.generation,
            model: entry
                .upstream_model
                .clone()
                .unwrap_or_else(|| entry.model_name.clone()),
            endpoint_url: entry.endpoint_url.clone(),
            sealed_api_key: entry.sealed_api_key.clone(),
            max_concurrency: entry.max_concurrency,
            queue_depth: entry.queue_depth,
        }
    }
}

/// One key, if it is there.
///
/// # Errors
/// When it cannot be read.
pub fn load_key(sql: &dyn Sql, id: &str) -> Result<Option<KeyRecord>, StoreError> {
    let rows = sql.exec("SELECT record FROM keys WHERE id = ?", &[Value::from(id)])?;
    rows.first()
        .map(|row| decode("key record", text("key", row, 0)?))
        .transpose()
}

/// Every key, by id.
///
/// # Errors
/// When one cannot be read.
pub fn load_keys(sql: &dyn Sql) -> Result<Vec<KeyRecord>, StoreError> {
    sql.exec("SELECT record FROM keys ORDER BY id", &[])?
        .iter()
        .map(|row| decode("key record", text("key", row, 0)?))
        .collect()
}

/// How many keys there are.
///
/// # Errors
/// When they cannot be counted.
pub fn count_keys(sql: &dyn Sql) -> Result<u32, StoreError> {
    let rows = sql.exec("SELECT COUNT(*) FROM keys", &[])?;
    let count = rows.first().and_then(|row| integer_if_any(row, 0));
    Ok(count
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or_default())
}

/// Writes a key.
///
/// # Errors
/// When it cannot be written.
pub fn put_key(sql: &dyn Sql, record: &KeyRecord) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO keys (id, record) VALUES (?, ?) \
         ON CONFLICT (id) DO UPDATE SET record = excluded.record",
        &[
            Value::from(record.id.as_str()),
            Value::from(encode("key record", record)?),
        ],
    )?;
    Ok(())
}

/// Removes a key.
///
/// # Errors
/// When it cannot be removed.
pub fn delete_key(sql: &dyn Sql, id: &str) -> Result<(), StoreError> {
    sql.exec("DELETE FROM keys WHERE id = ?", &[Value::from(id)])?;
    Ok(())
}

/// Every route, by name.
///
/// # Errors
/// When one cannot be read.
pub fn load_routes(sql: &dyn Sql) -> Result<BTreeMap<String, Route>, StoreError> {
    sql.exec("SELECT name, route FROM routes", &[])?
        .iter()
        .map(|row| {
            let route = decode("route", text("route", row, 1)?)?;
            Ok((text("route", row, 0)?.to_owned(), route))
        })
        .collect()
}

/// Writes a route.
///
/// # Errors
/// When it cannot be written.
pub fn put_route(sql: &dyn Sql, name: &str, route: &Route) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO routes (name, route) VALUES (?, ?) \
         ON CONFLICT (name) DO UPDATE SET route = excluded.route",
        &[Value::from(name), Value::from(encode("route", route)?)],
    )?;
    Ok(())
}

/// Removes a route.
///
/// # Errors
/// When it cannot be removed.
pub fn delete_route(sql: &dyn Sql, name: &str) -> Result<(), StoreError> {
    sql.exec("DELETE FROM routes WHERE name = ?", &[Value::from(name)])?;
    Ok(())
}

/// The stored policy, or the defaults.
///
/// # Errors
/// When it cannot be read.
pub fn load_policy(sql: &dyn Sql) -> Result<ReliabilityPolicy, StoreError> {
    let rows = sql.exec("SELECT policy FROM policy", &[])?;
    let Some(row) = rows.first() else {
        return Ok(ReliabilityPolicy::default());
    };
    decode("reliability policy", text("policy", row, 0)?)
}

/// Writes the policy.
///
/// # Errors
/// When it cannot be written.
pub fn put_policy(sql: &dyn Sql, policy: &ReliabilityPolicy) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO policy (one, policy) VALUES (1, ?) \
         ON CONFLICT (one) DO UPDATE SET policy = excluded.policy",
        &[Value::from(encode("reliability policy", policy)?)],
    )?;
    Ok(())
}

/// Who may ask without a key: stored, or nobody.
///
/// # Errors
/// When it cannot be read.
pub fn load_anonymous(sql: &dyn Sql) -> Result<AnonymousPolicy, StoreError> {
    let rows = sql.exec("SELECT policy FROM anonymous", &[])?;
    let Some(row) = rows.first() else {
        return Ok(AnonymousPolicy::default());
    };
    decode("anonymous policy", text("anonymous policy", row, 0)?)
}

/// Writes it.
///
/// # Errors
/// When it cannot be written.
pub fn put_anonymous(sql: &dyn Sql, policy: &AnonymousPolicy) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO anonymous (one, policy) VALUES (1, ?) \
         ON CONFLICT (one) DO UPDATE SET policy = excluded.policy",
        &[Value::from(encode("anonymous policy", policy)?)],
    )?;
    Ok(())
}

/// The counters of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetMeta {
    /// Version of the routing snapshot. Starts at 1, since callers without a snapshot say 0.
    pub version: u64,
    /// Audit messages written so far: makes their event ids unique.
    pub audits: u64,
    /// Whether the directory has been told of this organisation.
    pub enrolled: bool,
}

impl Default for FleetMeta {
    fn default() -> Self {
        Self {
            version: 1,
            audits: 0,
            enrolled: false,
        }
    }
}

impl FleetMeta {
    /// The stored counters, or those of a new fleet.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn load(sql: &dyn Sql) -> Result<Self, StoreError> {
        let rows = sql.exec("SELECT version, audits, enrolled FROM meta", &[])?;
        let Some(row) = rows.first() else {
            return Ok(Self::default());
        };
        Ok(Self {
            version: counter("fleet counters", row, 0)?,
            audits: counter("fleet counters", row, 1)?,
            enrolled: integer("fleet counters", row, 2)? != 0,
        })
    }

    /// Writes the counters.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn put(&self, sql: &dyn Sql) -> Result<(), StoreError> {
        sql.exec(
            "INSERT INTO meta (one, version, audits, enrolled) VALUES (1, ?, ?, ?) \
             ON CONFLICT (one) DO UPDATE SET version = excluded.version, \
             audits = excluded.audits, enrolled = excluded.enrolled",
            &[
                from_counter(self.version),
                from_counter(self.audits),
                Value::from(i64::from(self.enrolled)),
            ],
        )?;
        Ok(())
    }
}

/// When there was traffic, in quarters of an hour since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The last one in which somebody asked for the snapshot.
    pub asked: i64,
    /// The last one in which the request log was woken.
    pub woken: i64,
}

impl Traffic {
    /// What is stored, or never.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(sql: &dyn Sql) -> Result<Self, StoreError> {
        let rows = sql.exec("SELECT asked, woken FROM traffic", &[])?;
        let Some(row) = rows.first() else {
            return Ok(Self::default());
        };
        Ok(Self {
            asked: integer("traffic", row, 0)?,
            woken: integer("traffic", row, 1)?,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, sql: &dyn Sql) -> Result<(), StoreError> {
        sql.exec(
            "INSERT INTO traffic (one, asked, woken) VALUES (1, ?, ?) \
             ON CONFLICT (one) DO UPDATE SET asked = excluded.asked, woken = excluded.woken",
            &[Value::from(self.asked), Value::from(self.woken)],
        )?;
        Ok(())
    }
}
