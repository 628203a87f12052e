//! What EC2 has to rent, where, and for how much. Prices are whole micro-dollars an hour; those of regions and of
//! spot are fixed parts of the first region's, so that a client that takes one for another is found out.

use std::collections::BTreeSet;

/// An instance type.
#[derive(Debug, Clone)]
pub struct Type {
    /// Its name.
    pub name: &'static str,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Its GPUs, if it has any.
    pub gpu: Option<Gpu>,
    /// On demand, an hour, in the first region.
    pub microusd: u64,
    /// Spot, an hour, in the first zone of the first region.
    pub spot_microusd: u64,
    /// Zones that do not offer it at all.
    pub absent: BTreeSet<String>,
    /// Zones that have none now.
    pub empty_zones: BTreeSet<String>,
}

/// The GPUs of an instance type.
#[derive(Debug, Clone, Copy)]
pub struct Gpu {
    /// As EC2 calls it.
    pub name: &'static str,
    /// How many.
    pub count: u32,
    /// Memory of one in MiB.
    pub mib: u64,
}

/// A region.
#[derive(Debug, Clone, Copy)]
pub struct Region {
    /// Its name.
    pub name: &'static str,
    /// Its name in the Price List.
    pub location: &'static str,
    /// Its mark in usage types.
    pub mark: &'static str,
    /// Its prices, in thousandths of the first region's.
    pub prices: u64,
    /// Whether this customer has turned it on.
    pub is_on: bool,
}

/// All regions.
pub const REGIONS: [Region; 5] = [
    region("us-east-1", "US East (N. Virginia)", "", 1000, true),
    region("us-west-2", "US West (Oregon)", "USW2-", 1000, true),
    region("eu-west-1", "EU (Ireland)", "EU-", 1100, true),
    region("eu-central-1", "EU (Frankfurt)", "EUC1-", 1250, true),
    region("me-south-1", "Middle East (Bahrain)", "MES1-", 1300, false),
];

/// Letters of the zones that each region has, and their spot prices in thousandths.
pub const ZONES: [(&str, u64); 3] = [("a", 1000), ("b", 1050), ("c", 950)];

/// A month of a GB of gp3.
pub const GP3_MICROUSD: u64 = 80_000;

const fn region(
    name: &'static str,
    location: &'static str,
    mark: &'static str,
    prices: u64,
    is_on: bool,
) -> Region {
    Region {
        name,
        location,
        mark,
        prices,
        is_on,
    }
}

impl Region {
    /// The region of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        REGIONS.iter().find(|region| region.name == name)
    }

    /// Its zones.
    pub fn zones(&self) -> impl Iterator<Item = String> {
        let name = self.name;
        ZONES
            .iter()
            .map(move |(letter, _)| format!("{name}{letter}"))
    }

    /// A price of the first region, here.
    pub fn price(&self, microusd: u64) -> u64 {
        (microusd * self.prices + 500) / 1000
    }
}

impl Type {
    /// On demand, an hour.
    pub fn on_demand(&self, region: &Region) -> u64 {
        region.price(self.microusd)
    }

    /// Spot, an hour, in a zone.
    pub fn spot(&self, region: &Region, zone: &str) -> u64 {
        let zone = ZONES.iter().find(|(letter, _)| zone.ends_with(letter));
        let part = zone.map_or(1000, |(_, part)| *part);
        (region.price(self.spot_microusd) * part + 500) / 1000
    }

    /// The zones of a region that offer it.
    pub fn zones(&self, region: &Region) -> Vec<String> {
        let offers = |zone: &String| !self.absent.contains(zone);
        region.zones().filter(offers).collect()
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// Instance types, by name.
    pub types: Vec<Type>,
}

impl Default for Catalogue {
    fn default() -> Self {
        let gpu = |name, count, mib| Some(Gpu { name, count, mib });
        let kind = |name, vcpus, gib: u64, gpu, microusd, spot_microusd| Type {
            name,
            vcpus,
            memory_mib: gib * 1024,
            gpu,
            microusd,
            spot_microusd,
            absent: BTreeSet::new(),
            empty_zones: BTreeSet::new(),
        };
        let absent = |mut kind: Type, zones: &[&str]| {
            kind.absent = zones.iter().map(|zone| (*zone).to_owned()).collect();
            kind
        };
        let all = |region: &str| ZONES.map(|(letter, _)| format!("{region}{letter}"));
        let mut types = vec![
            kind("g4dn.xlarge", 4, 16, gpu("T4", 1, 16_384), 526_000, 210_400),
            kind(
                "g5.xlarge",
                4,
                16,
                gpu("A10G", 1, 24_576),
                1_006_000,
                402_400,
            ),
            kind(
                "g5.12xlarge",
                48,
                192,
                gpu("A10G", 4, 24_576),
                5_672_000,
                2_268_800,
            ),
            kind("g6.xlarge", 4, 16, gpu("L4", 1, 22_888), 804_800, 321_900),
            absent(
                kind(
                    "g6.12xlarge",
                    48,
                    192,
                    gpu("L4", 4, 22_888),
                    4_601_600,
                    1_840_600,
                ),
                &["us-east-1c"],
            ),
            absent(
                kind(
                    "g6e.xlarge",
                    4,
                    32,
                    gpu("L40S", 1, 45_776),
                    1_861_000,
                    744_400,
                ),
                &["eu-west-1a"],
            ),
            kind("m7i.large", 2, 8, None, 100_800, 40_300),
            absent(
                kind(
                    "p4d.24xlarge",
                    96,
                    1_152,
                    gpu("A100", 8, 40_960),
                    21_957_642,
                    10_978_800,
                ),
                &["us-east-1b", "us-east-1c"],
            ),
            kind(
                "p5.48xlarge",
                192,
                2_048,
                gpu("H100", 8, 81_920),
                55_040_000,
                27_520_000,
            ),
            kind("t3.micro", 2, 1, None, 10_400, 3_100),
        ];
        if let Some(largest) = types.iter_mut().find(|kind| kind.name == "p5.48xlarge") {
            let elsewhere = ["eu-west-1", "eu-central-1", "me-south-1"];
            largest.absent = elsewhere.iter().flat_map(|region| all(region)).collect();
            largest.absent.insert(String::from("us-east-1b"));
        }
        Self { types }
    }
}

impl Catalogue {
    /// An instance type.
    pub fn find(&self, name: &str) -> Option<&Type> {
        self.types.iter().find(|kind| kind.name == name)
    }

    /// An instance type, to change it.
    pub fn find_mut(&mut self, name: &str) -> Option<&mut Type> {
        self.types.iter_mut().find(|kind| kind.name == name)
    }
}

/// Sixteen hexadecimal digits that follow from a text (FNV-1a), for ids that are the same in each run.
pub fn digits(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Micro-dollars as AWS writes money: a string of dollars with so many decimals, six at least.
pub fn dollars(microusd: u64, decimals: usize) -> String {
    let zeros = decimals.saturating_sub(6);
    format!(
        "{}.{:06}{}",
        microusd / 1_000_000,
        microusd % 1_000_000,
        "0".repeat(zeros)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_differ_by_region_and_zone() {
        let catalogue = Catalogue::default();
        let kind = catalogue.find("g6.xlarge").unwrap();
        let [virginia, frankfurt] =
            ["us-east-1", "eu-central-1"].map(|name| Region::named(name).unwrap());
        assert_eq!(kind.on_demand(virginia), 804_800);
        assert_eq!(kind.on_demand(frankfurt), 1_006_000);
        assert_eq!(kind.spot(virginia, "us-east-1b"), 337_995);
        assert_eq!(dollars(337_995, 6), "0.337995");
        assert_eq!(dollars(21_957_642, 10), "21.9576420000");
    }

    #[test]
    fn what_a_zone_does_not_offer_is_not_among_its_own() {
        let catalogue = Catalogue::default();
        let kind = catalogue.find("p5.48xlarge").unwrap();
        let zones = |name: &str| kind.zones(Region::named(name).unwrap());
        assert_eq!(zones("us-east-1"), ["us-east-1a", "us-east-1c"]);
        assert!(zones("eu-west-1").is_empty());
    }
}
