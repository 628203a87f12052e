//! What can be rented, at which price, and the catalogue pieces it is put together from.

use serde::{Deserialize, Serialize};

/// One kind of machine in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Where.
    pub region: String,
    /// Where in there, if that must be chosen.
    #[serde(default)]
    pub zone: Option<String>,
    /// The vendor's id of the machine or GPU type, as [`crate::CreateSpec::machine_type`] takes it.
    pub machine_type: String,
    /// Its GPUs.
    pub gpu: Gpu,
    /// Virtual processors, where the vendor says so.
    #[serde(default)]
    pub vcpus: Option<u32>,
    /// Memory, where the vendor says so.
    #[serde(default)]
    pub memory_gb: Option<u32>,
    /// Whether it may be taken away.
    pub spot: bool,
    /// What all of it costs an hour; nothing when the price cannot be known, and then nobody rents it.
    #[serde(default)]
    pub microusd_per_hour: Option<u64>,
    /// What its disk goes on costing an hour while it is stopped, for the disk size that is asked for by default.
    #[serde(default)]
    pub stopped_microusd_per_hour: Option<u64>,
    /// Whether there are any now, as far as the vendor tells.
    pub availability: Availability,
}

/// The GPUs of an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// One name for one GPU over all vendors: `l4`, `a10g`, `rtx4090`, `a100-80gb`, `h100-80gb`.
    pub model: String,
    /// The vendor's name.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Memory of one of them, in GB (10^9 bytes or 2^30, as vendors round).
    pub vram_gb: u32,
}

/// Whether there are any. A hint: only a "create" tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// There are none.
    None,
    /// Few.
    Low,
    /// The vendor does not say.
    Unknown,
    /// Some.
    Medium,
    /// Many.
    High,
}

/// A piece of the catalogue to ask for. What `kind` means is the vendor's own business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Query {
    /// Which piece.
    pub kind: String,
    /// Of which region.
    #[serde(default)]
    pub region: Option<String>,
    /// Which page, as the one before said.
    #[serde(default)]
    pub page: Option<String>,
}

/// A piece of the catalogue, cut down to what offers are made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What was asked for.
    pub query: Query,
    /// What came; only the vendor's own crate reads it.
    pub body: serde_json::Value,
    /// The next page of it.
    #[serde(default)]
    pub next: Option<Query>,
}
