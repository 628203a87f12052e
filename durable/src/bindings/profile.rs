//! What the fleet keeps for renting: runtime profiles, accounts at vendors, and the index of what is rented.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_provider_api::{Fingerprint, Settings};

use super::rental::{Launch, OnIdle, Preload, RentalState, RentalStatus};

/// How to run a model on a rented GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// `vllm`, `tgi`, `ollama`, `llama_cpp` or `custom`: where what is left out comes from.
    pub kind: String,
    /// The model, as clients name it.
    pub model_name: String,
    /// The model, as the server names it, where that differs.
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// A container image.
    pub image: String,
    /// Arguments of its entrypoint.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment, where that is no secret.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its environment, where that is one: sealed for `profile/{name}`, `env/{variable}`; blank in answers.
    #[serde(default)]
    pub sealed_env: BTreeMap<String, String>,
    /// The variable in which the image takes the key that it shall ask for; without one its server is open.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// The port that it serves HTTP on.
    pub port: u16,
    /// The path that answers 2xx once it is up.
    pub health_path: String,
    /// A `POST` that loads what is loaded on demand.
    #[serde(default)]
    pub preload: Option<Preload>,
    /// Memory of one GPU that it needs at least.
    #[serde(default)]
    pub min_vram_gb: u32,
    /// GPUs that it needs.
    pub gpu_count: u32,
    /// Disk for image and weights.
    pub disk_gb: u32,
    /// Requests at once.
    pub max_concurrency: u32,
    /// Requests waiting.
    pub queue_depth: u32,
    /// GPUs that may be rented for it at once.
    pub max_instances: u32,
    /// After so long without a request a GPU of it ends; never, without.
    #[serde(default)]
    pub idle_ms: Option<i64>,
    /// What happens then.
    #[serde(default)]
    pub on_idle: OnIdle,
    /// After so long in all a GPU of it ends.
    pub max_lifetime_ms: i64,
    /// Changed when.
    #[serde(default)]
    pub updated_at_ms: i64,
}

/// An account, as the registry keeps it. Its credential rests with its own object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountEntry {
    /// The vendor.
    pub vendor: String,
    /// What people call it.
    pub label: String,
    /// Where and how it rents.
    pub settings: Settings,
    /// Marks its machines.
    pub fingerprint: Fingerprint,
}

/// An account as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountEntryView {
    /// Its id.
    pub id: String,
    /// It.
    pub entry: AccountEntry,
    /// Counts its changes.
    pub generation: u64,
    /// Connected when.
    pub created_at_ms: i64,
    /// Changed when.
    pub updated_at_ms: i64,
}

/// A rental in the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RentalEntry {
    /// Its id.
    pub id: String,
    /// What was launched.
    pub launch: Launch,
    /// What its object announced last.
    pub status: RentalStatus,
    /// Launched when.
    pub created_at_ms: i64,
    /// The private half of its key pair, sealed for `instance/{id}`, `ssh_key`.
    #[serde(default)]
    pub sealed_ssh_key: Option<String>,
}

/// A rental as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RentalRow {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The project that pays.
    #[serde(default)]
    pub project: Option<String>,
    /// Its runtime profile.
    pub profile: String,
    /// The model that it serves.
    pub model_name: String,
    /// Its vendor.
    pub vendor: String,
    /// Its account.
    pub account: String,
    /// Where it is.
    pub region: String,
    /// Its GPU.
    pub gpu: String,
    /// How many.
    pub gpu_count: u32,
    /// Whether it may be taken away.
    pub spot: bool,
    /// What its object announced last.
    pub status: RentalStatus,
    /// Launched when.
    pub created_at_ms: i64,
}

/// Filter and page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RentalQuery {
    /// Only in this state.
    #[serde(default)]
    pub state: Option<RentalState>,
    /// Only what is not over, or only what is.
    #[serde(default)]
    pub over: Option<bool>,
    /// Only of this account.
    #[serde(default)]
    pub account: Option<String>,
    /// Only of this profile.
    #[serde(default)]
    pub profile: Option<String>,
    /// At most this many (1 to 200).
    pub limit: u32,
    /// Skip this many.
    #[serde(default)]
    pub offset: u32,
}
