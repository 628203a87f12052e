//! `Fleet`: one organisation's registry, keys, routes and policies. Called by the edge and, with facts,
//! by `Instance`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::instance::{CheckReport, InstanceSpec};
use super::key::KeyLimits;

/// A command and in whose name it is given. A command alone is a message too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetMessage {
    /// Who gives it, for the audit: `admin` or `key/{id}`. Absent means `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The command.
    #[serde(flatten)]
    pub command: FleetCommand,
}

/// What a fleet is asked to do. Unless said otherwise the answer is [`FleetAnswer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum FleetCommand {
    /// Adds a server that has passed its first check.
    Register {
        /// Its id, minted by the caller.
        id: String,
        /// The entry.
        entry: ServerEntry,
        /// The first check.
        first_check: CheckReport,
    },
    /// Changes a server's entry; absent fields stay.
    Update {
        /// Which.
        id: String,
        /// What to change.
        change: ServerChange,
    },
    /// Removes a server.
    Deregister {
        /// Which.
        id: String,
    },
    /// Stops or resumes a server's traffic.
    SetDraining {
        /// Which.
        id: String,
        /// Draining or not.
        draining: bool,
    },
    /// One entry.
    Server {
        /// Which.
        id: String,
    },
    /// The registry, filtered, sorted and paged.
    Servers(ServerQuery),
    /// The routing snapshot, if it is newer than the caller's. Answer: [`SnapshotAnswer`].
    Snapshot {
        /// The version that the caller has; 0 for none.
        known_version: u64,
    },
    /// One key record. Answer: [`FleetAnswer::Key`] or `NotFound`.
    Key {
        /// Which.
        id: String,
    },
    /// Stores a fresh key.
    MintKey {
        /// The record.
        record: KeyRecord,
    },
    /// Every key record, without hashes.
    Keys,
    /// Replaces a key's secret; the old one stays good until `overlap_until_ms`.
    RotateKey {
        /// Which.
        id: String,
        /// SHA-256 of the new secret, hex.
        secret_hash: String,
        /// When the old secret ends.
        overlap_until_ms: i64,
    },
    /// Revokes a key.
    RevokeKey {
        /// Which.
        id: String,
    },
    /// Every route.
    Routes,
    /// One route.
    Route {
        /// Its name.
        name: String,
    },
    /// Creates or replaces a route.
    PutRoute {
        /// Its name: a model alias or a project.
        name: String,
        /// The route.
        route: Route,
    },
    /// Removes a route.
    DeleteRoute {
        /// Its name.
        name: String,
    },
    /// The reliability policy.
    Policy,
    /// Replaces the reliability policy; its version is set by the fleet.
    PutPolicy {
        /// The numbers.
        policy: ReliabilityPolicy,
    },
    /// Facts from an instance, applied once for each event id. Answer: `Done`.
    Announce {
        /// Makes a repeated delivery harmless.
        event_id: String,
        /// Which instance.
        instance: String,
        /// What it now is.
        status: ServerStatus,
        /// Orders announcements of one instance.
        sequence: u64,
    },
    /// The minute is over: poke what is overdue. Answer: [`PokeReport`].
    Cron,
    /// Totals for the stats page.
    Stats,
}

/// The answer to most fleet messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum FleetAnswer {
    /// The entry as it now is.
    Server {
        /// It.
        server: Box<ServerView>,
        /// What the instance should be told (so that a caller can do it at once).
        spec: InstanceSpec,
        /// The policy that goes with it.
        policy: ReliabilityPolicy,
    },
    /// A page of the registry.
    Servers {
        /// The page.
        servers: Vec<ServerView>,
        /// Matches in all.
        total: u32,
    },
    /// A key record.
    Key {
        /// It.
        record: Box<KeyRecord>,
    },
    /// Key records.
    Keys {
        /// They; hashes are blank.
        records: Vec<KeyRecord>,
    },
    /// A route.
    Route {
        /// It.
        route: Route,
    },
    /// Routes by name.
    Routes {
        /// They.
        routes: BTreeMap<String, Route>,
    },
    /// The policy.
    Policy {
        /// It.
        policy: ReliabilityPolicy,
    },
    /// Totals.
    Stats {
        /// They.
        stats: FleetStats,
    },
    /// Done, nothing to show.
    Done,
    /// There is no such thing.
    NotFound,
    /// There is one already.
    Duplicate {
        /// Which.
        existing: String,
    },
    /// The request makes no sense in this state.
    Invalid {
        /// Which field.
        param: String,
        /// Why.
        reason: String,
    },
}

/// A server's registry entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerEntry {
    /// The model, as clients name it.
    pub model_name: String,
    /// Base URL, normalised by the gate.
    pub endpoint_url: String,
    /// The server's own API key, sealed.
    #[serde(default)]
    pub sealed_api_key: Option<String>,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Requests at once.
    pub max_concurrency: u32,
    /// Requests waiting.
    pub queue_depth: u32,
    /// Share among equals.
    pub weight: u32,
    /// Higher is preferred.
    pub priority: i32,
    /// Micro-dollars an hour.
    pub price_microusd_per_hour: u64,
    /// Free labels.
    #[serde(default)]
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// The model's name at the server, where it differs.
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// The vendor's own limit on silence before the first byte, if it is known (a proxy's 100 s).
    #[serde(default)]
    pub first_token_cap_ms: Option<u64>,
}

/// Changes to an entry; absent fields stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerChange {
    /// See [`ServerEntry`].
    #[serde(default)]
    pub model_name: Option<String>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub endpoint_url: Option<String>,
    /// See [`ServerEntry`]; `Some(None)`, as JSON `null`, removes it.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub sealed_api_key: Option<Option<String>>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub owner: Option<String>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub max_concurrency: Option<u32>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub queue_depth: Option<u32>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub weight: Option<u32>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub priority: Option<i32>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub price_microusd_per_hour: Option<u64>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, serde_json::Value>>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// See [`ServerEntry`]; `Some(None)`, as JSON `null`, removes it.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub first_token_cap_ms: Option<Option<u64>>,
}

/// `null` is a value here: serde alone reads it as an absent field.
fn given<'de, D, T>(value: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(value).map(Some)
}

/// What the fleet knows of a server's state, from the instance's last announcement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Whether it can serve.
    pub state: ServerState,
    /// Why it is out.
    #[serde(default)]
    pub reason: String,
    /// Since when.
    #[serde(default)]
    pub since_ms: i64,
    /// Until when, if that is known.
    #[serde(default)]
    pub until_ms: Option<i64>,
    /// When it was last checked.
    #[serde(default)]
    pub checked_at_ms: i64,
    /// Counters since registration.
    #[serde(default)]
    pub totals: super::instance::TotalsView,
}

/// A server's state as placement sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// Serving.
    #[default]
    Healthy,
    /// Its checks fail.
    Unhealthy,
    /// The breaker took it out.
    Ejected,
    /// It asked for a pause.
    CoolingDown,
    /// Being emptied.
    Draining,
}

/// A server as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerView {
    /// Its id.
    pub id: String,
    /// The entry; the sealed key is blanked.
    pub entry: ServerEntry,
    /// Whether it has a key of its own.
    pub has_api_key: bool,
    /// Its state.
    pub status: ServerStatus,
    /// Registered when.
    pub created_at_ms: i64,
    /// Changed when.
    pub updated_at_ms: i64,
}

/// Filter, order and page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerQuery {
    /// Only this model.
    #[serde(default)]
    pub model: Option<String>,
    /// Only this owner.
    #[serde(default)]
    pub owner: Option<String>,
    /// Only this state.
    #[serde(default)]
    pub state: Option<ServerState>,
    /// `created_at`, `model`, `price`, `priority` or `state`; a leading `-` turns it round.
    #[serde(default)]
    pub sort: Option<String>,
    /// At most this many (1 to 200).
    pub limit: u32,
    /// Skip this many.
    #[serde(default)]
    pub offset: u32,
}

/// The answer to [`FleetCommand::Snapshot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum SnapshotAnswer {
    /// The caller's is current.
    Unchanged,
    /// A newer one.
    Fresh {
        /// It.
        snapshot: Snapshot,
    },
}

/// Everything the edge needs to route, at one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Grows with each change.
    pub version: u64,
    /// Servers.
    pub servers: Vec<SnapshotServer>,
    /// Routes by name.
    #[serde(default)]
    pub routes: BTreeMap<String, Route>,
    /// The reliability policy.
    pub policy: ReliabilityPolicy,
}

/// A server in the snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotServer {
    /// Its id.
    pub id: String,
    /// Its entry, with the sealed key.
    pub entry: ServerEntry,
    /// Its state.
    pub status: ServerStatus,
    /// Registered when (for `/v1/models`).
    pub created_at_ms: i64,
}

/// Where requests for a name go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Server ids or model names.
    pub targets: Vec<String>,
    /// How to choose among the targets' servers.
    #[serde(default)]
    pub strategy: Strategy,
    /// Shares by target, for `weighted`.
    #[serde(default)]
    pub weights: BTreeMap<String, u32>,
    /// Models or routes to try when no target can serve.
    #[serde(default)]
    pub fallbacks: Vec<String>,
}

/// How to choose among servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The less busy of two.
    #[default]
    LeastBusy,
    /// In turn.
    RoundRobin,
    /// The fastest lately.
    Latency,
    /// The cheapest.
    Cost,
    /// By weight.
    Weighted,
    /// The one that has seen this prompt's head.
    PrefixAffinity,
}

/// A stored API key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the secret, hex; blank in lists.
    #[serde(default)]
    pub secret_hash: String,
    /// The secret before the last rotation.
    #[serde(default)]
    pub previous_secret_hash: Option<String>,
    /// When that one ends.
    #[serde(default)]
    pub previous_until_ms: Option<i64>,
    /// `inference`, `read`, `admin`.
    pub scopes: Vec<String>,
    /// Limits.
    #[serde(default)]
    pub limits: KeyLimits,
    /// Models it may use; empty means all.
    #[serde(default)]
    pub models: Vec<String>,
    /// When it ends.
    #[serde(default)]
    pub expires_at_ms: Option<i64>,
    /// Made when.
    pub created_at_ms: i64,
    /// Scheduling priority of its requests.
    #[serde(default)]
    pub priority: u8,
    /// The project it belongs to: a route of this name narrows where its requests go.
    #[serde(default)]
    pub project: Option<String>,
}

/// Timeouts, retries, breaker and queue numbers of an organisation. Durations in milliseconds.
///
/// A number that only a newer release knows is ignored: during a deploy a newer fleet configures older
/// instances. Typing errors of administrators are caught where they come in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReliabilityPolicy {
    /// Grows with each change; set by the fleet.
    pub version: u64,
    /// Hard limit on the time to the first token.
    pub first_token_timeout_ms: u64,
    /// Longest silence between two chunks.
    pub idle_timeout_ms: u64,
    /// Longest request in all.
    pub total_timeout_ms: u64,
    /// Retries after the first attempt.
    pub max_retries: u32,
    /// Whether a silent server is raced against another.
    pub hedge: bool,
    /// Shortest wait before that.
    pub hedge_min_ms: u64,
    /// The wait while nothing is known of a model.
    pub hedge_initial_ms: u64,
    /// Failures in a row that eject.
    pub eject_after_consecutive_failures: u32,
    /// Share of failures that ejects, in percent.
    pub eject_failure_percent: u32,
    /// Requests that the share needs.
    pub eject_min_requests: u32,
    /// First ejection; each further one is as much longer.
    pub ejection_base_ms: u64,
    /// Longest ejection.
    pub ejection_cap_ms: u64,
    /// Share of retries and hedges, in percent.
    pub retry_budget_percent: u32,
    /// Longest wait in a server's queue.
    pub queue_timeout_ms: u64,
    /// Requests that may wait for a model whose servers are all full.
    pub max_waiting_per_model: u32,
    /// Longest wait for such a model.
    pub model_wait_ms: u64,
    /// Time between two health checks.
    pub health_interval_ms: u64,
    /// A health check's limit.
    pub health_timeout_ms: u64,
    /// Failed checks in a row that take a server out.
    pub unhealthy_after: u32,
    /// Good checks in a row that put it back.
    pub healthy_after: u32,
}

impl Default for ReliabilityPolicy {
    fn default() -> Self {
        Self {
            version: 0,
            first_token_timeout_ms: 300_000,
            idle_timeout_ms: 60_000,
            total_timeout_ms: 1_800_000,
            max_retries: 2,
            hedge: true,
            hedge_min_ms: 2_000,
            hedge_initial_ms: 4_000,
            eject_after_consecutive_failures: 5,
            eject_failure_percent: 50,
            eject_min_requests: 20,
            ejection_base_ms: 30_000,
            ejection_cap_ms: 300_000,
            retry_budget_percent: 20,
            queue_timeout_ms: 10_000,
            max_waiting_per_model: 1_000,
            model_wait_ms: 60_000,
            health_interval_ms: 60_000,
            health_timeout_ms: 10_000,
            unhealthy_after: 3,
            healthy_after: 1,
        }
    }
}

/// Totals over a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetStats {
    /// Servers registered.
    pub servers: u32,
    /// Servers in service.
    pub healthy: u32,
    /// Models with at least one server.
    pub models: u32,
    /// Keys not revoked.
    pub keys: u32,
    /// Sums over all servers, as last announced.
    pub totals: super::instance::TotalsView,
    /// The routing snapshot's version.
    pub snapshot_version: u64,
}

/// What a fleet's cron run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PokeReport {
    /// Servers overdue.
    pub overdue: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_a_newer_release_is_ignored_and_an_absent_one_has_its_default() {
        let newer = r#"{"version":7,"max_retries":1,"shadow_percent":5}"#;
        let policy: ReliabilityPolicy = serde_json::from_str(newer).unwrap();
        let expected = ReliabilityPolicy {
            version: 7,
            max_retries: 1,
            ..ReliabilityPolicy::default()
        };
        assert_eq!(policy, expected);
    }
}
