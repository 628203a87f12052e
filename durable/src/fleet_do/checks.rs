//! What a server entry, a key and a route must look like before the registry takes them.
//!
//! Invariant: pure and total; whatever passes can be stored, sent in a snapshot and acted upon without
//! another look. In scope: numbers, lengths, references. Out of scope: whether a URL may be called (the
//! gate) and whether a secret is genuine (the vault).

use std::collections::{BTreeMap, BTreeSet};

use crate::bindings::fleet::{FleetAnswer, KeyRecord, Route, ServerEntry};

/// Names of models, owners, keys and routes, in bytes: twice the longest model name in use.
const MAX_NAME: usize = 256;
/// URLs longer than this are refused by common servers anyway.
const MAX_URL: usize = 2_048;
/// A sealed value is base64 of the key and about 100 bytes around it; no provider's key is near this.
pub(super) const MAX_SEALED: usize = 16 * 1_024;
/// Free labels, as JSON. 1,000 servers of this size are 4 MB in a snapshot.
const MAX_METADATA: usize = 4 * 1_024;
const MAX_TARGETS: usize = 100;
const MAX_FALLBACKS: usize = 16;
const MAX_MODELS: usize = 100;
const SCOPES: [&str; 3] = ["inference", "read", "admin"];

/// Which field was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{param}` {reason}")]
pub(super) struct Refused {
    param: String,
    reason: String,
}

impl From<Refused> for FleetAnswer {
    fn from(refused: Refused) -> Self {
        Self::Invalid {
            param: refused.param,
            reason: refused.reason,
        }
    }
}

pub(super) fn refused(param: &str, reason: impl Into<String>) -> Refused {
    Refused {
        param: param.to_owned(),
        reason: reason.into(),
    }
}

/// A whole number between two bounds, both included.
pub(super) fn within(param: &str, number: u64, low: u64, high: u64) -> Result<(), Refused> {
    if (low..=high).contains(&number) {
        return Ok(());
    }
    Err(refused(
        param,
        format!("must be {low} to {high}, not {number}"),
    ))
}

pub(super) fn server_id(id: &str) -> Result<(), Refused> {
    name("id", id)
}

pub(super) fn entry(entry: &ServerEntry) -> Result<(), Refused> {
    name("model_name", &entry.model_name)?;
    text("endpoint_url", &entry.endpoint_url, MAX_URL)?;
    if let Some(sealed) = &entry.sealed_api_key {
        text("api_key", sealed, MAX_SEALED)?;
    }
    if let Some(owner) = &entry.owner {
        name("owner", owner)?;
    }
    if let Some(model) = &entry.upstream_model {
        name("upstream_model", model)?;
    }
    within("max_concurrency", entry.max_concurrency.into(), 1, 10_000)?;
    within("queue_depth", entry.queue_depth.into(), 0, 100_000)?;
    within("weight", entry.weight.into(), 1, 1_000)?;
    if !(-1_000..=1_000).contains(&entry.priority) {
        return Err(refused("priority", "must be -1000 to 1000"));
    }
    // 1,000,000 dollars an hour: far above any machine, far below where sums of micro-dollars overflow.
    let price = entry.price_microusd_per_hour;
    within("price_per_hour", price, 0, 1_000_000_000_000)?;
    if let Some(cap) = entry.first_token_cap_ms {
        within("first_token_cap_ms", cap, 100, 3_600_000)?;
    }
    let metadata = serde_json::to_string(&entry.metadata).map_or(usize::MAX, |text| text.len());
    if metadata > MAX_METADATA {
        let reason = format!("must be at most {MAX_METADATA} bytes of JSON");
        return Err(refused("metadata", reason));
    }
    Ok(())
}

pub(super) fn key(record: &KeyRecord) -> Result<(), Refused> {
    name("id", &record.id)?;
    name("name", &record.name)?;
    secret_hash(&record.secret_hash)?;
    if let Some(project) = &record.project {
        name("project", project)?;
    }
    if record.scopes.is_empty() {
        return Err(refused("scopes", "must name at least one scope"));
    }
    if let Some(odd) = record
        .scopes
        .iter()
        .find(|scope| !SCOPES.contains(&scope.as_str()))
    {
        let reason = format!("`{odd}` is none of {}", SCOPES.join(", "));
        return Err(refused("scopes", reason));
    }
    let limits = &record.limits;
    for (param, limit) in [
        ("requests_per_minute", limits.requests_per_minute),
        ("tokens_per_minute", limits.tokens_per_minute),
        ("concurrency", limits.concurrency.map(u64::from)),
    ] {
        // A limit of zero is a revoked key in disguise.
        limit.map_or(Ok(()), |limit| within(param, limit, 1, 1_000_000_000_000))?;
    }
    count("models", record.models.len(), 0, MAX_MODELS)?;
    record
        .models
        .iter()
        .try_for_each(|model| name("models", model))?;
    if record
        .expires_at_ms
        .is_some_and(|end| end <= record.created_at_ms)
    {
        return Err(refused("expires_at", "must lie in the future"));
    }
    Ok(())
}

/// SHA-256 in lower-case hex.
pub(super) fn secret_hash(hash: &str) -> Result<(), Refused> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hash.len() == 64 && hash.bytes().all(is_hex) {
        return Ok(());
    }
    Err(refused(
        "secret_hash",
        "must be 64 lower-case hexadecimal digits",
    ))
}

/// `is_server` says whether a name is a server's id or a model that some server has.
pub(super) fn route(
    route_name: &str,
    route: &Route,
    is_server: &dyn Fn(&str) -> bool,
    routes: &BTreeMap<String, Route>,
) -> Result<(), Refused> {
    name("name", route_name)?;
    count("targets", route.targets.len(), 1, MAX_TARGETS)?;
    count("fallbacks", route.fallbacks.len(), 0, MAX_FALLBACKS)?;
    for (param, names) in [("targets", &route.targets), ("fallbacks", &route.fallbacks)] {
        if let Some(twice) = repeated(names) {
            return Err(refused(param, format!("names `{twice}` twice")));
        }
        let is_known = |name: &str| is_server(name) || routes.contains_key(name);
        if let Some(unknown) = names
            .iter()
            .find(|name| name.as_str() != route_name && !is_known(name))
        {
            let reason = format!("`{unknown}` is no server, model or route");
            return Err(refused(param, reason));
        }
    }
    if route
        .fallbacks
        .iter()
        .any(|fallback| fallback == route_name)
    {
        let reason = "a route cannot fall back on itself";
        return Err(refused("fallbacks", reason));
    }
    if leads_back(route_name, route, is_server, routes) {
        let reason = format!("lead back to `{route_name}`, so that no server would ever be found");
        return Err(refused("targets", reason));
    }
    for (target, weight) in &route.weights {
        if !route.targets.contains(target) {
            return Err(refused("weights", format!("`{target}` is not a target")));
        }
        within("weights", u64::from(*weight), 0, 1_000)?;
    }
    let has_share = |target: &String| route.weights.get(target) != Some(&0);
    if !route.targets.iter().any(has_share) {
        return Err(refused("weights", "leave no target with a share"));
    }
    Ok(())
}

/// Whether following targets that are routes returns to the start. A name that is a server or a model
/// ends there: that is how a route adds fallbacks to the model of its own name.
fn leads_back(
    start: &str,
    route: &Route,
    is_server: &dyn Fn(&str) -> bool,
    routes: &BTreeMap<String, Route>,
) -> bool {
    let mut seen = BTreeSet::new();
    let mut ahead: Vec<&str> = route.targets.iter().map(String::as_str).collect();
    while let Some(target) = ahead.pop() {
        if is_server(target) || !seen.insert(target) {
            continue;
        }
        if target == start {
            return true;
        }
        let next = routes.get(target).map(|route| route.targets.as_slice());
        ahead.extend(next.unwrap_or_default().iter().map(String::as_str));
    }
    false
}

fn repeated(names: &[String]) -> Option<&String> {
    let mut seen = BTreeSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

pub(super) fn count(param: &str, length: usize, low: usize, high: usize) -> Result<(), Refused> {
    if (low..=high).contains(&length) {
        return Ok(());
    }
    let reason = format!("must hold {low} to {high} names, not {length}");
    Err(refused(param, reason))
}

pub(super) fn name(param: &str, name: &str) -> Result<(), Refused> {
    text(param, name, MAX_NAME)
}

pub(super) fn text(param: &str, text: &str, longest: usize) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(refused(param, "must not be empty"));
    }
    if text.len() > longest {
        let reason = format!("must be at most {longest} bytes, not {}", text.len());
        return Err(refused(param, reason));
    }
    if text.chars().any(char::is_control) {
        return Err(refused(param, "must not hold control characters"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests/checks.rs"]
mod tests;
