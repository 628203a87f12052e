//! The pieces of the catalogue put together: what can be rented where, and for how much.
//!
//! Invariant: every offer is for a place that a launch can be sent to as it stands: a subnet lies in one zone,
//! so where the account names subnets, offers are for their zones.
//!
//! In scope: choosing and pricing. Out of scope: reading AWS's answers (`offers.rs`).

use std::collections::{BTreeMap, BTreeSet};

use tidegate_provider_api::{Availability, DiskPrice, Gpu, Offer, Part, Settings, gpu_names};

use crate::offers::{Kept, Kind, SpotPrice, TypeRow};
use crate::settings;

/// "Public IPv4 address: $0.005 per hour" in every region (Amazon VPC pricing). Every launch asks for one, and a
/// stopped machine has none.
const ADDRESS_MICROUSD_PER_HOUR: u64 = 5_000;

/// Everything that is known of one region.
#[derive(Default)]
struct Region {
    types: BTreeMap<String, TypeRow>,
    zones: BTreeMap<String, BTreeSet<String>>,
    /// Whether the last page of the zones is there, so that a type without any has none.
    zones_are_whole: bool,
    prices: BTreeMap<String, u64>,
    spot: BTreeMap<String, BTreeMap<String, SpotPrice>>,
    gb_month: Option<u64>,
}

/// Puts the pieces together, in the order of region, type, market and zone.
pub(crate) fn offers(account: &Settings, parts: &[Part]) -> Vec<Offer> {
    settings::regions(account)
        .iter()
        .flat_map(|name| Region::of(name, parts).offers(account, name))
        .collect()
}

impl Region {
    fn of(name: &str, parts: &[Part]) -> Self {
        let mut region = Self::default();
        for part in parts {
            let kind = Kind::parse(&part.query.kind);
            // Read by reference: a part may have been kept since a release before.
            let kept = serde::Deserialize::deserialize(&part.body);
            let (Some(kind), Ok(kept), true) =
                (kind, kept, part.query.region.as_deref() == Some(name))
            else {
                continue;
            };
            region.zones_are_whole |= kind == Kind::Zones && part.next.is_none();
            region.add(kept);
        }
        region
    }

    fn add(&mut self, kept: Kept) {
        let by_name = kept.types.into_iter().map(|row| (row.name.clone(), row));
        self.types.extend(by_name);
        for (name, zones) in kept.zones {
            self.zones.entry(name).or_default().extend(zones);
        }
        self.prices.extend(kept.prices);
        for (name, zones) in kept.spot {
            let known = self.spot.entry(name).or_default();
            for (zone, price) in zones {
                let newest = known.entry(zone).or_insert(price);
                *newest = price.max(*newest);
            }
        }
        self.gb_month = self.gb_month.max(kept.gb_month);
    }

    fn offers(&self, account: &Settings, name: &str) -> Vec<Offer> {
        let mut offers = Vec::new();
        for row in self.types.values() {
            // A region that has types and no zone at all has not told its zones.
            let told = self.zones_are_whole && !self.zones.is_empty();
            if told && !self.zones.contains_key(&row.name) {
                continue;
            }
            if row.on_demand {
                let price = self.prices.get(&row.name).copied();
                let places = self.on_demand_places(account, name, &row.name);
                let of = |zone| self.offer(account, name, row, false, zone, price);
                offers.extend(places.into_iter().map(of));
            }
            if row.spot {
                let places = self.spot_places(account, name, &row.name);
                let of = |(zone, price)| self.offer(account, name, row, true, zone, price);
                offers.extend(places.into_iter().map(of));
            }
        }
        offers
    }

    /// Zones with this type, as far as anything tells.
    fn zones_of(&self, machine_type: &str) -> BTreeSet<&str> {
        let offered = self.zones.get(machine_type).into_iter().flatten();
        let priced = self.spot.get(machine_type).into_iter().flatten();
        let offered: BTreeSet<&str> = offered.map(String::as_str).collect();
        if offered.is_empty() {
            priced.map(|(zone, _)| zone.as_str()).collect()
        } else {
            offered
        }
    }

    /// EC2 chooses the zone, unless only some zones have a subnet.
    fn on_demand_places(
        &self,
        account: &Settings,
        region: &str,
        machine_type: &str,
    ) -> Vec<Option<String>> {
        let named = settings::zones_with(account, "subnet_id", region);
        let everywhere = settings::placed(account, "subnet_id", region, None).is_some();
        if everywhere || named.is_empty() {
            return vec![None];
        }
        let zones = self.zones_of(machine_type);
        let fits = |zone: &&str| zones.is_empty() || zones.contains(zone);
        let kept = named.into_iter().filter(fits);
        kept.map(|zone| Some(zone.to_owned())).collect()
    }

    /// Each zone has its own price. Where a subnet's zone is not known, the dearest counts.
    fn spot_places(
        &self,
        account: &Settings,
        region: &str,
        machine_type: &str,
    ) -> Vec<(Option<String>, Option<u64>)> {
        let prices = self.spot.get(machine_type);
        let price = |zone: &str| Some(prices?.get(zone)?.microusd);
        let zones = self.zones_of(machine_type);
        let named = settings::zones_with(account, "subnet_id", region);
        let everywhere = settings::placed(account, "subnet_id", region, None).is_some();
        if everywhere && named.is_empty() {
            let dearest = zones.iter().filter_map(|zone| price(zone)).max();
            return vec![(None, dearest)];
        }
        let fits = |zone: &&&str| named.is_empty() || named.contains(*zone);
        let kept = zones.iter().filter(fits);
        kept.map(|zone| (Some((*zone).to_owned()), price(zone)))
            .collect()
    }

    fn offer(
        &self,
        account: &Settings,
        region: &str,
        row: &TypeRow,
        spot: bool,
        zone: Option<String>,
        microusd_per_hour: Option<u64>,
    ) -> Offer {
        Offer {
            region: region.to_owned(),
            zone,
            machine_type: row.name.clone(),
            gpu: Gpu {
                model: gpu_names::canonical(&row.gpu, row.vram_gb),
                name: row.gpu.clone(),
                count: row.count,
                vram_gb: row.vram_gb,
            },
            vcpus: row.vcpus,
            memory_gb: row.memory_gb,
            spot,
            microusd_per_hour,
            disk: self.gb_month.map(|microusd_per_gb_month| DiskPrice {
                microusd_per_gb_month,
                added_gb: settings::system_disk_gb(account),
                least_gb: 0,
            }),
            address_microusd_per_hour: ADDRESS_MICROUSD_PER_HOUR,
            // EC2 tells what it sells, not what it has left.
            availability: Availability::Unknown,
        }
    }
}
