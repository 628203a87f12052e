//! What to rent and what to run on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_vault::Secret;

use crate::Marker;

/// A machine to rent. Holds no secret in the clear: objects store it and pass it on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateSpec {
    /// Its name and tag, and the idempotency token where the vendor has such.
    pub marker: Marker,
    /// In which region, as the offer says.
    pub region: String,
    /// In which zone of it, where the offer names one.
    #[serde(default)]
    pub zone: Option<String>,
    /// The vendor's id of the machine or GPU type, as the offer says.
    pub machine_type: String,
    /// How many GPUs.
    pub gpu_count: u32,
    /// Whether it may be taken away.
    #[serde(default)]
    pub spot: bool,
    /// The most that may be paid an hour, for vendors that take a bid.
    #[serde(default)]
    pub max_microusd_per_hour: Option<u64>,
    /// Disk for image and weights.
    pub disk_gb: u32,
    /// What runs on it.
    pub runtime: Runtime,
    /// The hard end of its life, for vendors or machines that can hold it themselves; seconds from its start.
    pub lifetime_secs: u64,
    /// Who may log in (`ssh-ed25519 …`).
    #[serde(default)]
    pub ssh_public_key: Option<String>,
    /// Where the machine calls when it is up.
    #[serde(default)]
    pub callback: Option<Callback>,
}

/// What runs on the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// A container image.
    pub image: String,
    /// Arguments of its entrypoint.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment, where that is no secret.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its environment, where that is one.
    #[serde(default)]
    pub sealed_env: Vec<SealedEnv>,
    /// The port that it serves HTTP on.
    pub port: u16,
}

/// A sealed variable, and what it was sealed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedEnv {
    /// Its name.
    pub name: String,
    /// The record that it was sealed for.
    pub record: String,
    /// The field of that record.
    pub field: String,
    /// The sealed text.
    pub sealed: String,
}

/// Where the machine calls: once when it is up, then every 15 seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// `https://…/webhooks/boot/{org}~{instance}`.
    pub url: String,
}

/// What goes onto the machine in the clear, opened just before the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateSecrets {
    /// The runtime's sealed variables.
    pub env: BTreeMap<String, Secret>,
    /// What the machine shows when it calls: good for this machine alone, and for nothing else.
    pub boot_token: Option<Secret>,
}
