//! Rented GPUs in admin JSON: what the registry knows, and what the GPU's own object adds.
//!
//! Invariant: nothing sealed is shown; a member that only the GPU's own object knows is `null` when that does not
//! answer, and `live_error` says so.

use serde_json::{Map, Value, json};
use tidegate_durable::bindings::fleet::RentalRow;
use tidegate_durable::bindings::ledger::CostAnswer;
use tidegate_durable::bindings::profile::RentalEntry;
use tidegate_durable::bindings::rental::{
    Candidate, Ends, Launch, RentalStatus, RentalView, StopWindowSpec,
};

use crate::admin::price::dollars;
use crate::admin::profiles::on_idle;
use crate::admin::providers;
use crate::admin::rfc3339::moment;
use crate::admin::server_view::members;

/// A line of the list.
pub fn row(row: &RentalRow) -> Map<String, Value> {
    let mut body = members(json!({
        "id": row.id,
        "name": row.name,
        "project": row.project,
        "profile": row.profile,
        "model_name": row.model_name,
        "vendor": row.vendor,
        "account_id": row.account,
        "region": row.region,
        "gpu": row.gpu,
        "gpu_count": row.gpu_count,
        "spot": row.spot,
        "created_at": moment(row.created_at_ms),
    }));
    body.extend(status(&row.status));
    body
}

/// Everything, with what it has cost where the ledger says so.
pub fn detail(
    entry: &RentalEntry,
    live_view: Option<&RentalView>,
    cost: Option<CostAnswer>,
) -> Map<String, Value> {
    let mut body = registered(entry);
    let cost = cost.map(|cost| dollars(cost.microusd));
    body.insert("cost".to_owned(), json!(cost));
    body.extend(live(live_view));
    if let Some(view) = live_view {
        body.extend(status(&view.status));
    }
    body
}

/// The registry's part.
pub fn registered(entry: &RentalEntry) -> Map<String, Value> {
    let launch = &entry.launch;
    let candidate = current(launch, &entry.status);
    let vendor = candidate.map(|it| it.vendor.as_str()).unwrap_or_default();
    let offer = candidate.map(|it| &it.offer);
    let mut body = members(json!({
        "id": entry.id,
        "name": launch.name,
        "project": launch.project,
        "profile": launch.runtime.profile,
        "model_name": launch.runtime.model_name,
        "vendor": vendor,
        "account_id": candidate.map(|it| it.account.as_str()).unwrap_or_default(),
        "region": offer.map(|it| it.region.as_str()).unwrap_or_default(),
        "zone": offer.and_then(|it| it.zone.as_deref()),
        "machine_type": offer.map(|it| it.machine_type.as_str()).unwrap_or_default(),
        "gpu": offer.map(|it| it.gpu.model.as_str()).unwrap_or_default(),
        "gpu_count": offer.map(|it| it.gpu.count).unwrap_or_default(),
        "vram_gb": offer.map(|it| it.gpu.vram_gb).unwrap_or_default(),
        "spot": offer.is_some_and(|it| it.spot),
        "launched_by": launch.actor,
        "image": launch.runtime.image,
        "has_ssh_key": entry.sealed_ssh_key.is_some(),
        "candidates": launch.candidates.len(),
        "ends": ends(&launch.ends),
        "dead_man_switches": providers::switches(vendor),
        "created_at": moment(entry.created_at_ms),
    }));
    body.extend(status(&entry.status));
    body
}

/// What it now is.
pub fn status(status: &RentalStatus) -> Map<String, Value> {
    members(json!({
        "status": status.state.as_str(),
        "status_reason": Some(&status.reason).filter(|reason| !reason.is_empty()),
        "status_since_at": (status.since_ms != 0).then(|| moment(status.since_ms)),
        "suspect": status.suspect,
        "draining": status.draining,
        "endpoint_url": status.endpoint,
        "attempt": status.attempt,
        "machine_id": status.machine,
        "billing": Some(&status.billing).filter(|billing| !billing.is_empty()),
        "price_per_hour": dollars(status.microusd_per_hour),
    }))
}

/// The part of the GPU's own object; the same members without it.
pub fn live(view: Option<&RentalView>) -> Map<String, Value> {
    let Some(view) = view else {
        return members(json!({
            "phases": null,
            "timers": null,
            "attempts": null,
            "last_active_at": null,
            "address": null,
            "live_error": "The instance's own object did not answer, so phases, timers and attempts are not known \
                           now. The rest is what it last announced. Try again in a moment.",
        }));
    };
    let phases = view
        .phases
        .iter()
        .map(|it| json!({ "status": it.state.as_str(), "reached_at": moment(it.at_ms) }));
    let timers = view
        .timers
        .iter()
        .map(|it| json!({ "timer": it.timer, "due_at": moment(it.at_ms) }));
    let attempts = view.attempts.iter().map(|it| {
        json!({
            "number": it.number,
            "account_id": it.account,
            "outcome": it.outcome,
            "machine_id": it.machine,
        })
    });
    members(json!({
        "phases": phases.collect::<Vec<_>>(),
        "timers": timers.collect::<Vec<_>>(),
        "attempts": attempts.collect::<Vec<_>>(),
        "last_active_at": view.last_active_ms.map(moment),
        "address": view.address,
        "live_error": null,
    }))
}

fn current<'a>(launch: &'a Launch, status: &RentalStatus) -> Option<&'a Candidate> {
    let place = usize::try_from(status.candidate).unwrap_or(usize::MAX);
    launch.candidates.get(place).or(launch.candidates.first())
}

fn ends(ends: &Ends) -> Value {
    let windows = ends.stop_windows.iter().map(window);
    json!({
        "idle_timeout_seconds": ends.idle_ms.map(|ms| ms / 1000),
        "on_idle": on_idle(ends.on_idle),
        "max_lifetime_seconds": ends.max_lifetime_ms / 1000,
        "until": ends.until_ms.map(moment),
        "stop_windows": windows.collect::<Vec<_>>(),
    })
}

fn window(window: &StopWindowSpec) -> Value {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    json!({ "from": clock(window.from_minute), "to": clock(window.to_minute) })
}
