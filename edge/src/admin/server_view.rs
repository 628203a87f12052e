//! Servers in admin JSON: what the registry knows, and what the server's own object adds.
//!
//! Invariant: times are `*_at` in RFC 3339, a moment that never was is `null`; a server's key shows only
//! as `has_api_key`.

use serde_json::{Map, Value, json};
use tidegate_durable::bindings::fleet::{ServerState, ServerView};
use tidegate_durable::bindings::instance::{CheckReport, InstanceView, TotalsView};

use super::price::dollars;
use super::rfc3339::moment;

/// The registry's part.
pub fn registered(server: &ServerView) -> Map<String, Value> {
    let entry = &server.entry;
    let status = &server.status;
    members(json!({
        "id": server.id,
        "model_name": entry.model_name,
        "upstream_model": entry.upstream_model,
        "endpoint_url": entry.endpoint_url,
        "owner": entry.owner,
        "max_concurrency": entry.max_concurrency,
        "queue_depth": entry.queue_depth,
        "weight": entry.weight,
        "priority": entry.priority,
        "price_per_hour": dollars(entry.price_microusd_per_hour),
        "first_token_timeout_seconds": entry.first_token_cap_ms.map(|ms| ms / 1000),
        "metadata": entry.metadata,
        "has_api_key": server.has_api_key,
        "status": state_name(status.state),
        "status_reason": Some(&status.reason).filter(|reason| !reason.is_empty()),
        "status_since_at": happened(status.since_ms),
        "status_until_at": status.until_ms.map(moment),
        "checked_at": happened(status.checked_at_ms),
        "created_at": moment(server.created_at_ms),
        "updated_at": moment(server.updated_at_ms),
        "totals": totals(&status.totals),
    }))
}

/// The part of the server's own object.
pub fn live(view: &InstanceView) -> Map<String, Value> {
    let leases = view.leases.iter().map(|lease| {
        json!({
            "request_id": lease.request,
            "kind": lease.kind,
            "granted_at": moment(lease.granted_at_ms),
            "expires_at": moment(lease.expires_at_ms),
        })
    });
    members(json!({
        "phase": view.phase,
        "in_service": view.in_service,
        "out_of_service": view.why_out.as_ref().map(|why| json!({
            "reason": why.reason,
            "since_at": why.since_ms.map(moment),
            "until_at": why.until_ms.map(moment),
        })),
        "health": view.health,
        "checks": view.checks.iter().map(check).collect::<Vec<_>>(),
        "success_rate": view.success_rate,
        "mean_latency_ms": view.mean_latency_ms,
        "breaker": {
            "state": view.breaker,
            "consecutive_failures": view.consecutive_failures,
            "ejections": view.ejections,
        },
        "queue": {
            "running": view.running,
            "capacity": view.capacity,
            "waiting": view.queued,
            "depth": view.queue_depth,
        },
        "leases": leases.collect::<Vec<_>>(),
        "first_token_ewma_ms": view.first_token_ewma_ms,
        "duration_ewma_ms": view.duration_ewma_ms,
        "totals": totals(&view.totals),
    }))
}

/// One health check.
pub fn check(report: &CheckReport) -> Value {
    json!({
        "checked_at": moment(report.at_ms),
        "ok": report.ok,
        "latency_ms": report.latency_ms,
        "reason": report.reason,
    })
}

/// Counters.
pub fn totals(totals: &TotalsView) -> Value {
    serde_json::to_value(totals).unwrap_or_default()
}

/// A state as it is spelled in JSON, here and in `?state=`.
pub const fn state_name(state: ServerState) -> &'static str {
    match state {
        ServerState::Healthy => "healthy",
        ServerState::Unhealthy => "unhealthy",
        ServerState::Ejected => "ejected",
        ServerState::CoolingDown => "cooling_down",
        ServerState::Draining => "draining",
    }
}

/// Every state.
pub const STATES: [ServerState; 5] = [
    ServerState::Healthy,
    ServerState::Unhealthy,
    ServerState::Ejected,
    ServerState::CoolingDown,
    ServerState::Draining,
];

/// Records keep 0 for what never happened.
fn happened(at_ms: i64) -> Option<String> {
    (at_ms != 0).then(|| moment(at_ms))
}

/// The members of an object literal.
pub fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
