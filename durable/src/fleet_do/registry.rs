//! Servers come, change, drain and go.
//!
//! Invariant: no two servers of an organisation have the same model and URL, and an instance is told of
//! each change of its entry exactly as often as the outbox needs: `generation` makes repeats harmless.

use tidegate_domain::time::Timestamp;

use super::{Fleet, audit, checks};
use crate::bindings::ObjectName;
use crate::bindings::fleet::{
    FleetAnswer, FleetStats, ServerChange, ServerEntry, ServerState, ServerStatus,
};
use crate::bindings::instance::{CheckReport, InstanceCommand, TotalsView};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::fleet::{ServerRecord, count_keys};

/// A registry is held in memory and sent as one snapshot: at about 500 bytes a server this many are
/// 2.5 MB of JSON, well inside a message (32 MiB) and five times what one gateway is built for.
const MAX_SERVERS: usize = 5_000;

impl Fleet {
    pub(super) fn server(&self, id: &str, now: Timestamp) -> FleetAnswer {
        self.servers
            .get(id)
            .map_or(FleetAnswer::NotFound, |server| self.shown(server, now))
    }

    pub(super) fn register(
        &mut self,
        cx: &mut Cx<'_>,
        id: String,
        entry: ServerEntry,
        first_check: CheckReport,
    ) -> Result<FleetAnswer, StoreError> {
        if let Err(refused) = checks::server_id(&id).and_then(|()| checks::entry(&entry)) {
            return Ok(refused.into());
        }
        if !first_check.ok {
            let reason = first_check.reason.unwrap_or_default();
            return Ok(FleetAnswer::Invalid {
                param: "endpoint_url".to_owned(),
                reason: format!("the first health check failed: {reason}"),
            });
        }
        if let Some(existing) = self.twin(&entry) {
            // The same id again is the same registration, whose answer was lost.
            return Ok(if existing.id == id {
                self.shown(existing, cx.now)
            } else {
                FleetAnswer::Duplicate {
                    existing: existing.id.clone(),
                }
            });
        }
        if self.servers.contains_key(&id) {
            return Ok(FleetAnswer::Duplicate { existing: id });
        }
        if self.servers.len() >= MAX_SERVERS {
            return Ok(FleetAnswer::Invalid {
                param: "model_name".to_owned(),
                reason: format!("an organisation holds at most {MAX_SERVERS} servers"),
            });
        }
        let now = cx.now.as_ms();
        let server = ServerRecord {
            id: id.clone(),
            entry,
            announced: ServerStatus {
                state: ServerState::Healthy,
                since_ms: now,
                checked_at_ms: first_check.at_ms,
                ..ServerStatus::default()
            },
            draining_since_ms: None,
            generation: 1,
            sequence: None,
            created_at_ms: now,
            updated_at_ms: now,
        };
        server.put(cx.sql)?;
        self.enroll(cx)?;
        self.configure(cx, &server, Some(first_check))?;
        let entry = &server.entry;
        let reason = format!("{} at {}", entry.model_name, entry.endpoint_url);
        self.note(cx, "server.registered", &id, reason);
        self.bump();
        let answer = self.shown(&server, cx.now);
        self.servers.insert(id, server);
        Ok(answer)
    }

    pub(super) fn update(
        &mut self,
        cx: &mut Cx<'_>,
        id: &str,
        change: ServerChange,
    ) -> Result<FleetAnswer, StoreError> {
        if Self::is_rented(cx, id)? {
            return Ok(rented());
        }
        let Some(server) = self.servers.get(id) else {
            return Ok(FleetAnswer::NotFound);
        };
        let entry = changed(&server.entry, change);
        if entry == server.entry {
            return Ok(self.shown(server, cx.now));
        }
        if let Err(refused) = checks::entry(&entry) {
            return Ok(refused.into());
        }
        if let Some(existing) = self.twin(&entry).filter(|twin| twin.id != id) {
            return Ok(FleetAnswer::Duplicate {
                existing: existing.id.clone(),
            });
        }
        let reason = audit::entry_changes(&server.entry, &entry);
        let server = ServerRecord {
            entry,
            generation: server.generation + 1,
            updated_at_ms: cx.now.as_ms(),
            ..server.clone()
        };
        server.put(cx.sql)?;
        self.configure(cx, &server, None)?;
        self.note(cx, "server.updated", id, reason);
        self.bump();
        let answer = self.shown(&server, cx.now);
        self.servers.insert(id.to_owned(), server);
        Ok(answer)
    }

    pub(super) fn deregister(
        &mut self,
        cx: &mut Cx<'_>,
        id: &str,
    ) -> Result<FleetAnswer, StoreError> {
        if Self::is_rented(cx, id)? {
            return Ok(rented());
        }
        let Some(server) = self.servers.remove(id) else {
            return Ok(FleetAnswer::NotFound);
        };
        ServerRecord::delete(cx.sql, id)?;
        self.tell(
            cx,
            id,
            &InstanceCommand::Remove {
                generation: server.generation + 1,
            },
        )?;
        let entry = server.entry;
        let reason = format!("{} at {}", entry.model_name, entry.endpoint_url);
        self.note(cx, "server.deregistered", id, reason);
        self.bump();
        Ok(FleetAnswer::Done)
    }

    pub(super) fn set_draining(
        &mut self,
        cx: &mut Cx<'_>,
        id: &str,
        draining: bool,
    ) -> Result<FleetAnswer, StoreError> {
        let Some(server) = self.servers.get(id) else {
            return Ok(FleetAnswer::NotFound);
        };
        if Self::is_rented(cx, id)? {
            return Ok(rented());
        }
        if server.draining_since_ms.is_some() == draining {
            return Ok(self.shown(server, cx.now));
        }
        let now = cx.now.as_ms();
        let mut server = server.clone();
        server.updated_at_ms = now;
        server.draining_since_ms = draining.then_some(now);
        if !draining && server.announced.state == ServerState::Draining {
            server.announced.state = ServerState::Healthy;
            server.announced.reason = String::new();
            server.announced.since_ms = now;
            server.announced.until_ms = None;
        }
        server.put(cx.sql)?;
        let (command, action) = if draining {
            (InstanceCommand::Drain, "server.draining")
        } else {
            (InstanceCommand::Resume, "server.resumed")
        };
        self.tell(cx, id, &command)?;
        self.note(cx, action, id, String::new());
        self.bump();
        let answer = self.shown(&server, cx.now);
        self.servers.insert(id.to_owned(), server);
        Ok(answer)
    }

    pub(super) fn stats(&self, cx: &Cx<'_>) -> Result<FleetAnswer, StoreError> {
        let mut stats = FleetStats {
            servers: count(self.servers.len()),
            keys: count_keys(cx.sql)?,
            snapshot_version: self.meta.version,
            ..FleetStats::default()
        };
        let mut models = std::collections::BTreeSet::new();
        for server in self.servers.values() {
            models.insert(server.entry.model_name.as_str());
            stats.healthy +=
                u32::from(server.status().state_at(cx.now.as_ms()) == ServerState::Healthy);
            add(&mut stats.totals, &server.announced.totals);
        }
        stats.models = count(models.len());
        Ok(FleetAnswer::Stats { stats })
    }

    pub(super) fn tell(
        &self,
        cx: &mut Cx<'_>,
        id: &str,
        command: &InstanceCommand,
    ) -> Result<(), StoreError> {
        cx.send(ObjectName::instance(&self.org, id), command)
    }

    pub(super) fn configure(
        &self,
        cx: &mut Cx<'_>,
        server: &ServerRecord,
        first_check: Option<CheckReport>,
    ) -> Result<(), StoreError> {
        let command = InstanceCommand::Configure {
            spec: server.spec(),
            first_check,
            policy: self.policy.clone(),
        };
        self.tell(cx, &server.id, &command)
    }

    fn twin(&self, entry: &ServerEntry) -> Option<&ServerRecord> {
        self.servers.values().find(|server| {
            server.entry.model_name == entry.model_name
                && server.entry.endpoint_url == entry.endpoint_url
        })
    }

    fn shown(&self, server: &ServerRecord, now: Timestamp) -> FleetAnswer {
        FleetAnswer::Server {
            server: Box::new(server.view(now)),
            spec: server.spec(),
            policy: self.policy.clone(),
        }
    }
}

/// What is asked of a rented server through the registry.
fn rented() -> FleetAnswer {
    FleetAnswer::Invalid {
        param: "id".to_owned(),
        reason: "names a rented GPU, which comes and goes by itself: use the routes under /admin/instances"
            .to_owned(),
    }
}

/// The entry with a change applied. An empty owner or upstream model clears it.
fn changed(entry: &ServerEntry, change: ServerChange) -> ServerEntry {
    let or_cleared = |new: Option<String>, old: &Option<String>| match new {
        None => old.clone(),
        Some(text) => Some(text).filter(|text| !text.is_empty()),
    };
    ServerEntry {
        model_name: change
            .model_name
            .unwrap_or_else(|| entry.model_name.clone()),
        endpoint_url: change
            .endpoint_url
            .unwrap_or_else(|| entry.endpoint_url.clone()),
        sealed_api_key: change
            .sealed_api_key
            .unwrap_or_else(|| entry.sealed_api_key.clone()),
        owner: or_cleared(change.owner, &entry.owner),
        max_concurrency: change.max_concurrency.unwrap_or(entry.max_concurrency),
        queue_depth: change.queue_depth.unwrap_or(entry.queue_depth),
        weight: change.weight.unwrap_or(entry.weight),
        priority: change.priority.unwrap_or(entry.priority),
        price_microusd_per_hour: change
            .price_microusd_per_hour
            .unwrap_or(entry.price_microusd_per_hour),
        metadata: change.metadata.unwrap_or_else(|| entry.metadata.clone()),
        upstream_model: or_cleared(change.upstream_model, &entry.upstream_model),
        first_token_cap_ms: change
            .first_token_cap_ms
            .unwrap_or(entry.first_token_cap_ms),
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn add(sum: &mut TotalsView, part: &TotalsView) {
    let pairs = [
        (&mut sum.requests, part.requests),
        (&mut sum.successes, part.successes),
        (&mut sum.client_errors, part.client_errors),
        (&mut sum.backpressure, part.backpressure),
        (&mut sum.failures, part.failures),
        (&mut sum.client_left, part.client_left),
        (&mut sum.leases_expired, part.leases_expired),
        (&mut sum.prompt_tokens, part.prompt_tokens),
        (&mut sum.completion_tokens, part.completion_tokens),
    ];
    for (sum, part) in pairs {
        *sum = sum.saturating_add(part);
    }
}
