//! RunPod's catalogue as offers.
//!
//! One call tells price and stock of every GPU type for one number of GPUs, so there is one piece for each
//! number. Stock is told per data centre in RunPod's own cloud, and for all of it in the community's.
//!
//! Invariant: a price that cannot be read is none, never another; a GPU type that cannot be read costs the
//! others nothing.
//!
//! In scope: the catalogue. Out of scope: whether there really is a machine; only a "create" tells.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidegate_provider_api::{
    Availability, DiskPrice, Dollars, EncodeCx, Gpu, Offer, Part, Query, Settings, gpu_names,
};

use crate::form::{self, DATA_CENTERS, SECURE};
use crate::request::LEAST_VOLUME_GB;
use crate::{GLOBAL, object};

/// Numbers of GPUs that are asked for. Whatever is in between is rented rarely, and each costs a call.
const COUNTS: [u32; 4] = [1, 2, 4, 8];

const KIND: &str = "gpus/";

/// Container disk and volume are as large as each other and cost 0.10 USD a GB and month each while their pod runs;
/// while it is stopped the volume costs 0.20 and the other is gone (docs.runpod.io/pods/pricing). So it is one price.
const DISK: DiskPrice = DiskPrice {
    microusd_per_gb_month: 200_000,
    added_gb: 0,
    least_gb: LEAST_VOLUME_GB,
};

/// The pieces.
pub fn queries() -> Vec<Query> {
    let piece = |count: u32| Query {
        kind: format!("{KIND}{count}"),
        region: None,
        page: None,
    };
    COUNTS.into_iter().map(piece).collect()
}

/// For how many GPUs a piece is; nothing for one that is not RunPod's.
pub fn gpu_count(query: &Query) -> Option<u32> {
    let count = query.kind.strip_prefix(KIND)?.parse().ok()?;
    COUNTS.contains(&count).then_some(count)
}

/// A GPU type, cut down to what offers are made of.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: String,
    name: String,
    vram_gb: u32,
    /// For all GPUs of the piece, in the cloud that was asked for.
    microusd_per_hour: Option<u64>,
    availability: Option<String>,
    data_centers: Vec<Place>,
}

#[derive(Serialize, Deserialize)]
struct Place {
    id: String,
    availability: Option<String>,
}

#[derive(Deserialize)]
struct Catalogue<'a> {
    #[serde(borrow)]
    gpus: Vec<&'a RawValue>,
}

/// What is read of a `GpuType`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GpuType<'a> {
    id: String,
    #[serde(default)]
    name: Option<String>,
    memory: u32,
    secure: bool,
    community: bool,
    #[serde(default, borrow)]
    price: PerCloud<Option<&'a RawValue>>,
    #[serde(default)]
    max_count: PerCloud<Option<u32>>,
    #[serde(default)]
    availability: Option<String>,
    #[serde(default)]
    data_centers: Vec<Place>,
}

#[derive(Default, Deserialize)]
struct PerCloud<T> {
    #[serde(default)]
    secure: T,
    #[serde(default)]
    community: T,
}

impl<T> PerCloud<T> {
    fn of(self, cloud: &str) -> T {
        if cloud == SECURE {
            self.secure
        } else {
            self.community
        }
    }
}

/// Reads a piece.
pub fn read(cx: &EncodeCx<'_>, query: &Query, body: &str) -> Option<Part> {
    let count = gpu_count(query)?;
    let Catalogue { gpus } = object::read(body)?;
    let cloud = form::cloud(cx.settings);
    let kept: Vec<Kept> = gpus
        .into_iter()
        .filter_map(|gpu| object::read(gpu.get()))
        .filter_map(|gpu| keep(gpu, cloud, count))
        .collect();
    Some(Part {
        query: query.clone(),
        body: serde_json::to_value(kept).ok()?,
        next: None,
    })
}

/// Nothing for what this cloud does not have at all, or never so many of in one machine.
fn keep(gpu: GpuType<'_>, cloud: &str, count: u32) -> Option<Kept> {
    let is_offered = if cloud == SECURE {
        gpu.secure
    } else {
        gpu.community
    };
    let most = gpu.max_count.of(cloud).unwrap_or(u32::MAX);
    if !is_offered || count > most {
        return None;
    }
    let price = gpu
        .price
        .of(cloud)
        .and_then(|price| Dollars::parse(price.get()));
    // The list price is for one GPU. What zero means is not documented; nothing is free.
    let rate = price.map(|price| price.times(count).microusd());
    Some(Kept {
        name: gpu.name.unwrap_or_else(|| gpu.id.clone()),
        id: gpu.id,
        vram_gb: gpu.memory,
        microusd_per_hour: rate.filter(|rate| *rate > 0),
        availability: gpu.availability,
        data_centers: gpu.data_centers,
    })
}

/// Puts the pieces together: an offer for each GPU type, number and data centre.
pub fn assemble(settings: &Settings, parts: &[Part]) -> Vec<Offer> {
    let mut offers = Vec::new();
    for part in parts {
        let kept = serde_json::from_value::<Vec<Kept>>(part.body.clone()).ok();
        if let (Some(count), Some(kept)) = (gpu_count(&part.query), kept) {
            offers.extend(kept.iter().flat_map(|gpu| of_gpu(settings, gpu, count)));
        }
    }
    offers
}

fn of_gpu(settings: &Settings, gpu: &Kept, count: u32) -> Vec<Offer> {
    let offer = |region: &str, availability: &Option<String>| Offer {
        region: region.to_owned(),
        zone: None,
        machine_type: gpu.id.clone(),
        gpu: Gpu {
            model: gpu_names::canonical(&gpu.id, gpu.vram_gb),
            name: gpu.name.clone(),
            count,
            vram_gb: gpu.vram_gb,
        },
        vcpus: None,
        memory_gb: None,
        spot: false,
        microusd_per_hour: gpu.microusd_per_hour,
        disk: Some(DISK),
        address_microusd_per_hour: 0,
        availability: level(availability.as_deref()),
    };
    let chosen = settings.list(DATA_CENTERS);
    // Without data centres there is none anywhere, or it is the community's cloud, which has none.
    if gpu.data_centers.is_empty() && chosen.is_empty() {
        return vec![offer(GLOBAL, &gpu.availability)];
    }
    let is_chosen = |place: &&Place| chosen.is_empty() || chosen.contains(&place.id.as_str());
    let places = gpu.data_centers.iter().filter(is_chosen);
    places
        .map(|place| offer(&place.id, &place.availability))
        .collect()
}

/// `AvailabilityLevel` of the API file.
fn level(word: Option<&str>) -> Availability {
    match word {
        Some("NONE") => Availability::None,
        Some("LOW") => Availability::Low,
        Some("MEDIUM") => Availability::Medium,
        Some("HIGH") => Availability::High,
        Some(_) | None => Availability::Unknown,
    }
}
