//! The routing snapshot, and the routes in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::policy::{AnonymousPolicy, ReliabilityPolicy};
use super::server::{ServerEntry, ServerStatus};

/// The answer to [`super::fleet::FleetCommand::Snapshot`].
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
    /// Who may ask without a key, if anybody may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<Box<AnonymousPolicy>>,
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
