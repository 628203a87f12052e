//! `GET /v2/pods` and `GET /v2/pods/{id}`: newest first, in pages, and as old as lists are told to be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::clock::Millis;
use crate::fault::Fault;
use crate::faults::Applied;
use crate::http::Asked;
use crate::keys::Key;
use crate::machine::{Machine, Phase, Vendor};
use crate::runpod::errors::Problem;
use crate::runpod::pods::{Pod, view};
use crate::world::World;

const MOST: usize = 1000;

/// A pod that this key may see.
///
/// # Errors
/// 404.
pub fn find<'a>(world: &'a World, key: &Key, id: &str) -> Result<(&'a Machine, &'a Pod), Problem> {
    let machine = world.machines.get(id).filter(|machine| {
        machine.vendor == Vendor::Runpod && machine.account == key.account && !machine.is_over()
    });
    let machine = machine.ok_or_else(|| Problem::not_found("pod"))?;
    let pod = machine.pod().ok_or_else(|| Problem::not_found("pod"))?;
    Ok((machine, pod))
}

/// `GET /v2/pods/{id}`.
///
/// # Errors
/// 404.
pub fn one(
    world: &World,
    key: &Key,
    id: &str,
    now: Millis,
    applied: &Applied,
) -> Result<Value, Problem> {
    let (machine, pod) = find(world, key, id)?;
    Ok(view(machine, pod, machine.phase, now, applied))
}

/// Where a page begins: behind this pod, in the order of the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    created_ms: Millis,
    id: String,
}

impl Cursor {
    fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("pods:{}:{}", self.created_ms, self.id))
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (created_ms, id) = text.strip_prefix("pods:")?.split_once(':')?;
        Some(Self {
            created_ms: created_ms.parse().ok()?,
            id: id.to_owned(),
        })
    }
}

/// `GET /v2/pods`.
///
/// # Errors
/// 422 for a cursor or a limit that is none, and what faults want for the second page.
pub fn list(
    world: &World,
    key: &Key,
    asked: &Asked,
    now: Millis,
    applied: &Applied,
) -> Result<Value, Problem> {
    let invalid = |name: &str| Problem::invalid(vec![format!("query.{name}: not valid")]);
    let limit = match asked.query("limit") {
        None => MOST,
        Some(text) => text.parse().unwrap_or(0),
    };
    if !(1..=MOST).contains(&limit) {
        return Err(invalid("limit"));
    }
    let cursor = match asked.query("cursor") {
        None => None,
        Some(text) => Some(Cursor::read(&text).ok_or_else(|| invalid("cursor"))?),
    };
    let is_partial = applied.has(&Fault::PartialList {});
    if is_partial && cursor.is_some() {
        return Err(Problem::usual(500));
    }
    let all = seen(world, key, now, applied);
    let begins = cursor.as_ref().map_or(0, |cursor| {
        all.partition_point(|(machine, _, _)| place(machine) >= *cursor)
    });
    let overlap = usize::from(applied.has(&Fault::OverlappingPages {}) && begins > 0);
    let limit = applied
        .find(|fault| match fault {
            Fault::SmallPages { size } => Some((*size).max(1)),
            _ => None,
        })
        .map_or(limit, |size| size.min(limit));
    let limit = if is_partial {
        all.len().div_ceil(2).min(limit)
    } else {
        limit
    };
    let ends = (begins + limit).min(all.len());
    let pods: Vec<Value> = all[begins - overlap..ends]
        .iter()
        .map(|(machine, pod, phase)| view(machine, pod, *phase, now, applied))
        .collect();
    let last = all[..ends].last().map(|(machine, _, _)| place(machine));
    let more = ends < all.len() || is_partial;
    let next = last.filter(|_| more).map(|cursor| cursor.write());
    Ok(json!({"pods": pods, "pagination": {"nextCursor": next, "hasNextPage": next.is_some()}}))
}

fn place(machine: &Machine) -> Cursor {
    Cursor {
        created_ms: machine.created_ms,
        id: machine.id.clone(),
    }
}

/// The pods of the list, newest first.
fn seen<'a>(
    world: &'a World,
    key: &Key,
    now: Millis,
    applied: &Applied,
) -> Vec<(&'a Machine, &'a Pod, Phase)> {
    if applied.has(&Fault::EmptyList {}) {
        return Vec::new();
    }
    let stale = applied.find(|fault| match fault {
        Fault::Stale { ms } => Some(*ms),
        _ => None,
    });
    let lag = i64::from(stale.unwrap_or(0).max(world.settings.delays.list_lag_ms));
    let then = |machine: &'a Machine| {
        let pod = machine.pod()?;
        let phase = machine.phase_at(now - lag)?;
        let fits = machine.account == key.account && phase != Phase::Terminated;
        fits.then_some((machine, pod, phase))
    };
    let mut all: Vec<_> = world.machines.values().filter_map(then).collect();
    all.sort_by_key(|(machine, _, _)| std::cmp::Reverse(place(machine)));
    all
}
