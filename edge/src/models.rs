//! `GET /v1/models` and `GET /v1/models/{id}`: what this key can ask for, and how many healthy servers
//! each model has.

use std::collections::BTreeSet;
use std::rc::Rc;

use tidegate_domain::time::Timestamp;
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::{FleetCommand, SnapshotAnswer};
use tidegate_wire_openai::ErrorCode;

use crate::api_error::ApiError;
use crate::auth::Caller;
use crate::flow::{Step, Unanswered};
use crate::gateway::{Cx, unavailable};
use crate::request::Response;
use crate::snapshot::{FIRST_TIMEOUT_MS, Freshness, REFRESH_TIMEOUT_MS, Routing};

/// `GET /v1/models`.
pub fn list(cx: &mut Cx<'_>, caller: Caller) -> Step {
    let org = caller.org.clone();
    with_routing(cx, &org, move |cx, routing| {
        every(&caller, &routing, cx.now)
    })
}

/// `GET /v1/models/{model}`.
pub fn show(cx: &mut Cx<'_>, caller: Caller, model: String) -> Step {
    let org = caller.org.clone();
    with_routing(cx, &org, move |cx, routing| {
        single(&caller, &routing, &model, cx.now)
    })
}

/// Goes on with the organisation's routing, refreshed as its age demands.
pub fn with_routing(
    cx: &mut Cx<'_>,
    org: &str,
    then: impl FnOnce(&mut Cx<'_>, Rc<Routing>) -> Step + 'static,
) -> Step {
    let fallback = match cx.shared.snapshots.look(org, cx.now) {
        Freshness::Fresh(routing) => return then(cx, routing),
        Freshness::Stale(routing) => {
            cx.refresh_snapshot(org);
            return then(cx, routing);
        }
        Freshness::Old(fallback) => fallback,
    };
    let command = FleetCommand::Snapshot {
        known_version: cx.shared.snapshots.version(org),
    };
    let timeout_ms = if fallback.is_some() {
        REFRESH_TIMEOUT_MS
    } else {
        FIRST_TIMEOUT_MS
    };
    let fleet = ObjectName::fleet(org);
    let org = org.to_owned();
    Step::ask_within(
        timeout_ms,
        fleet,
        &command,
        move |cx, answer: Result<SnapshotAnswer, Unanswered>| {
            let fresh = answer
                .ok()
                .and_then(|answer| cx.shared.take_snapshot(&org, answer, cx.now));
            if let Some(routing) = fresh {
                return then(cx, routing);
            }
            let Some(routing) = fallback else {
                return unavailable().into();
            };
            // Should the registry only be slow, its answer still arrives behind this request.
            cx.shared.snapshots.unanswered(&org, cx.now);
            cx.refresh_snapshot(&org);
            then(cx, routing)
        },
    )
}

/// Whether a key may ask for a model.
pub fn is_allowed(caller: &Caller, model: &str) -> bool {
    caller.key.models.is_empty() || caller.key.models.iter().any(|allowed| allowed == model)
}

fn every(caller: &Caller, routing: &Routing, now: Timestamp) -> Step {
    let names: BTreeSet<&str> = routing
        .by_model
        .keys()
        .chain(routing.routes.keys())
        .map(String::as_str)
        .collect();
    let models: Vec<serde_json::Value> = names
        .into_iter()
        .filter(|name| is_allowed(caller, name))
        .map(|name| describe(routing, name, now))
        .collect();
    Step::Respond(Response::json(
        200,
        &serde_json::json!({ "object": "list", "data": models }),
    ))
}

fn single(caller: &Caller, routing: &Routing, id: &str, now: Timestamp) -> Step {
    let exists = routing.by_model.contains_key(id) || routing.routes.contains_key(id);
    if !exists || !is_allowed(caller, id) {
        return unknown_model(id).into();
    }
    Step::Respond(Response::json(200, &describe(routing, id, now)))
}

/// The refusal for a model that does not exist or that this key may not see: the same words for both, so
/// that a key with an allow-list cannot list what else there is.
pub fn unknown_model(id: &str) -> ApiError {
    ApiError::new(
        ErrorCode::ModelNotFound,
        format!("The model `{id}` does not exist, or this key may not use it. See GET /v1/models."),
    )
    .param("model")
}

fn describe(routing: &Routing, name: &str, now: Timestamp) -> serde_json::Value {
    let servers: Vec<usize> = crate::inference::resolve::all_servers(routing, name);
    let of = |index: &usize| routing.servers.get(*index);
    let healthy = servers
        .iter()
        .filter_map(of)
        .filter(|server| server.is_healthy(now))
        .count();
    let created_ms = servers
        .iter()
        .filter_map(of)
        .map(|server| server.entry.created_at_ms)
        .min();
    let owner = servers
        .iter()
        .filter_map(of)
        .find_map(|server| server.entry.entry.owner.clone());
    serde_json::json!({
        "id": name,
        "object": "model",
        "created": created_ms.unwrap_or_default() / 1000,
        "owned_by": owner.unwrap_or_else(|| "tidegate".to_owned()),
        "tidegate": { "servers": servers.len(), "healthy_servers": healthy },
    })
}
