//! Instances as EC2 knows them.

use std::collections::BTreeMap;

use crate::clock::Millis;
use crate::machine::Phase;

/// What only EC2 knows of a machine.
#[derive(Debug, Clone, Default)]
pub struct Instance {
    /// Its image.
    pub image: String,
    /// Its availability zone.
    pub zone: String,
    /// Its subnet.
    pub subnet: String,
    /// Its security groups.
    pub groups: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its disk's tags.
    pub volume_tags: BTreeMap<String, String>,
    /// The client token of its launch.
    pub token: Option<String>,
    /// The SSH key of its launch.
    pub key_name: Option<String>,
    /// What it executes when it boots for the first time, decoded.
    pub user_data: Vec<u8>,
    /// May be taken away.
    pub spot: bool,
    /// A shutdown from inside terminates it; else that stops it.
    pub ends_on_shutdown: bool,
    /// Its disk stays when it is terminated, and goes on costing.
    pub leaves_disk: bool,
    /// Its disk in GB.
    pub disk_gb: u64,
    /// Its disk's id.
    pub volume: String,
    /// The name of its disk inside.
    pub root_device: String,
    /// Its private address.
    pub private_address: String,
    /// Whether it has a public one.
    pub is_public: bool,
    /// The launch that it is part of.
    pub reservation: String,
    /// When it was launched, or last started.
    pub launch_ms: Millis,
    /// Whether it is only told about for that long after its end.
    pub is_forgotten: bool,
    /// Of its type.
    pub vcpus: u32,
    /// `required` or `optional`.
    pub http_tokens: String,
    /// Why it changed, as `reason` has it.
    pub transition: String,
}

/// A client token that was used.
#[derive(Debug, Clone)]
pub struct Token {
    /// What it was used with.
    pub request: BTreeMap<String, String>,
    /// What came of it.
    pub instances: Vec<String>,
}

/// EC2's code and word for a phase.
pub fn state(phase: Phase) -> (u16, &'static str) {
    match phase {
        Phase::Provisioning | Phase::Starting => (0, "pending"),
        Phase::Running => (16, "running"),
        Phase::Terminating => (32, "shutting-down"),
        Phase::Terminated | Phase::Failed => (48, "terminated"),
        Phase::Stopping => (64, "stopping"),
        Phase::Stopped => (80, "stopped"),
    }
}
