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
    /// What the machine costs an hour; nothing when the price cannot be known, and then nobody rents it.
    #[serde(default)]
    pub microusd_per_hour: Option<u64>,
    /// What its disk costs beside that, whether it runs or is stopped, where it can be known.
    #[serde(default)]
    pub disk: Option<DiskPrice>,
    /// What its public address costs an hour beside that while it runs.
    #[serde(default)]
    pub address_microusd_per_hour: u64,
    /// Whether there are any now, as far as the vendor tells.
    pub availability: Availability,
}

impl Offer {
    /// What is billed an hour beside the machine while it runs, when a launch asks for so much disk.
    pub fn beside_microusd_per_hour(&self, disk_gb: u32) -> u64 {
        let disk = self.disk.map_or(0, |disk| disk.microusd_per_hour(disk_gb));
        disk.saturating_add(self.address_microusd_per_hour)
    }

    /// What an hour costs in all while it runs; nothing when the machine's price cannot be known.
    pub fn running_microusd_per_hour(&self, disk_gb: u32) -> Option<u64> {
        let beside = self.beside_microusd_per_hour(disk_gb);
        Some(self.microusd_per_hour?.saturating_add(beside))
    }
}

/// What a disk costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPrice {
    /// Micro-dollars for a GB and month.
    pub microusd_per_gb_month: u64,
    /// GB beside those that a launch asks for.
    #[serde(default)]
    pub added_gb: u32,
    /// GB that it has at least.
    #[serde(default)]
    pub least_gb: u32,
}

impl DiskPrice {
    /// Hours of the month that a price is for. Amazon reckons thirty days ("Amazon EBS pricing", examples); RunPod
    /// does not say, and the shorter month makes the dearer hour.
    const HOURS_A_MONTH: u64 = 30 * 24;

    /// What it costs an hour when a launch asks for so many GB, half a micro-dollar rounded up.
    pub fn microusd_per_hour(&self, disk_gb: u32) -> u64 {
        let gb = disk_gb.saturating_add(self.added_gb).max(self.least_gb);
        let a_month = self.microusd_per_gb_month.saturating_mul(u64::from(gb));
        a_month.saturating_add(Self::HOURS_A_MONTH / 2) / Self::HOURS_A_MONTH
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_disk_costs_for_the_room_that_it_really_has() {
        let volume = DiskPrice {
            microusd_per_gb_month: 200_000,
            added_gb: 0,
            least_gb: 10,
        };
        assert_eq!(volume.microusd_per_hour(100), 27_778);
        assert_eq!(volume.microusd_per_hour(5), 2_778, "no less than ten");
        let with_a_system = DiskPrice {
            microusd_per_gb_month: 80_000,
            added_gb: 50,
            least_gb: 0,
        };
        assert_eq!(with_a_system.microusd_per_hour(100), 16_667);
        let absurd = DiskPrice {
            microusd_per_gb_month: u64::MAX,
            ..with_a_system
        };
        assert!(absurd.microusd_per_hour(u32::MAX) > 0);
    }
}
