//! Offers in admin JSON.
//!
//! Invariant: dollars are decimal texts, exact to the micro-dollar; the price of one GPU is the nearest such text.

use serde_json::{Value, json};
use tidegate_domain::time::Timestamp;
use tidegate_provider_api::Availability;

use super::id::OfferId;
use super::market::{Failure, Listed, offered};
use crate::admin::price::dollars;
use crate::admin::providers;
use crate::admin::vendor_error;

/// An offer, to somebody who would ask for so much disk.
pub fn offer(listed: &Listed, disk_gb: u32, now: Timestamp) -> Value {
    let Listed {
        account,
        offer,
        fetched_at_ms,
    } = listed;
    let vendor = account.entry.vendor.as_str();
    let age = fetched_at_ms.map(|at_ms| now.since(Timestamp::from_ms(at_ms)));
    let capability = tidegate_providers::by_name(vendor).map(|it| it.capability());
    let priced = offered(vendor, offer, disk_gb);
    let can_stop = capability.is_some_and(|it| it.stop_start) && !offer.spot;
    let disk = offer.disk.filter(|_| can_stop);
    let stopped = disk.map(|disk| disk.microusd_per_hour(disk_gb));
    let is_reachable = capability.is_some_and(|it| it.public_tls);
    json!({
        "id": OfferId::of(listed).to_text(),
        "vendor": vendor,
        "account_id": account.id,
        "account_label": account.entry.label,
        "gpu": {
            "model": offer.gpu.model,
            "name": offer.gpu.name,
            "count": offer.gpu.count,
            "vram_gb": offer.gpu.vram_gb,
        },
        "region": offer.region,
        "zone": offer.zone,
        "machine_type": offer.machine_type,
        "vcpus": offer.vcpus,
        "memory_gb": offer.memory_gb,
        "price_per_hour": priced.microusd_per_hour.map(dollars),
        "price_per_gpu_hour": priced.microusd_per_gpu_hour().map(dollars),
        "machine_price_per_hour": offer.microusd_per_hour.map(dollars),
        "stopped_price_per_hour": stopped.map(dollars),
        "spot": offer.spot,
        "availability": availability(offer.availability),
        "age_seconds": age.map(|age| age.as_ms().max(0) / 1000),
        "reachable": is_reachable,
        "dead_man_switches": providers::switches(vendor),
    })
}

/// What an account could not tell.
pub fn failure(failure: &Failure) -> Value {
    let Failure { account, error } = failure;
    let told = error.as_ref().map(vendor_error::view);
    json!({
        "vendor": account.entry.vendor,
        "account_id": account.id,
        "account_label": account.entry.label,
        "message": match error {
            Some(error) => error.to_string(),
            None => "the account did not answer in time: its offers are missing here".to_owned(),
        },
        "error": told,
    })
}

/// A hint in JSON.
pub const fn availability(availability: Availability) -> &'static str {
    match availability {
        Availability::None => "none",
        Availability::Low => "low",
        Availability::Unknown => "unknown",
        Availability::Medium => "medium",
        Availability::High => "high",
    }
}
