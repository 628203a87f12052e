//! The registry as a page: filtered, sorted, cut.
//!
//! Invariant: ties are broken by id, in both directions of the order, so that pages neither repeat nor
//! skip a server while the registry stands still.

use core::cmp::Ordering;
use std::collections::BTreeMap;

use tidegate_domain::time::Timestamp;

use crate::bindings::fleet::{FleetAnswer, ServerQuery, ServerState};
use crate::records::fleet::ServerRecord;

const MAX_PAGE: u32 = 200;

pub(super) fn page(
    servers: &BTreeMap<String, ServerRecord>,
    query: &ServerQuery,
    now: Timestamp,
) -> FleetAnswer {
    if query.limit == 0 || query.limit > MAX_PAGE {
        return FleetAnswer::Invalid {
            param: "limit".to_owned(),
            reason: format!("must be 1 to {MAX_PAGE}"),
        };
    }
    let sort = query.sort.as_deref().unwrap_or("created_at");
    let (field, is_reversed) = sort
        .strip_prefix('-')
        .map_or((sort, false), |field| (field, true));
    let Some(order) = order_by(field) else {
        return FleetAnswer::Invalid {
            param: "sort".to_owned(),
            reason:
                "must be created_at, model, price, priority or state, with an optional leading -"
                    .to_owned(),
        };
    };
    let mut matches: Vec<&ServerRecord> = servers
        .values()
        .filter(|server| is_match(server, query, now))
        .collect();
    // The map is in the order of ids and the sort is stable.
    matches.sort_by(|left, right| {
        let ordering = order(left, right, now);
        if is_reversed {
            ordering.reverse()
        } else {
            ordering
        }
    });
    let skip = usize::try_from(query.offset).unwrap_or(usize::MAX);
    let take = usize::try_from(query.limit).unwrap_or(usize::MAX);
    FleetAnswer::Servers {
        total: u32::try_from(matches.len()).unwrap_or(u32::MAX),
        servers: matches
            .into_iter()
            .skip(skip)
            .take(take)
            .map(|server| server.view(now))
            .collect(),
    }
}

fn is_match(server: &ServerRecord, query: &ServerQuery, now: Timestamp) -> bool {
    let is_model = |model: &String| *model == server.entry.model_name;
    let is_state = |state: &ServerState| *state == server.status().state_at(now.as_ms());
    query.model.as_ref().is_none_or(is_model)
        && (query.owner.is_none() || query.owner == server.entry.owner)
        && query.state.as_ref().is_none_or(is_state)
}

type Order = fn(&ServerRecord, &ServerRecord, Timestamp) -> Ordering;

fn order_by(field: &str) -> Option<Order> {
    Some(match field {
        "created_at" => |left, right, _| left.created_at_ms.cmp(&right.created_at_ms),
        "model" => |left, right, _| left.entry.model_name.cmp(&right.entry.model_name),
        "price" => |left, right, _| {
            let price = |server: &ServerRecord| server.entry.price_microusd_per_hour;
            price(left).cmp(&price(right))
        },
        "priority" => |left, right, _| left.entry.priority.cmp(&right.entry.priority),
        "state" => |left, right, now| rank(left, now).cmp(&rank(right, now)),
        _ => return None,
    })
}

/// Serving first, then the more hopeful before the less.
fn rank(server: &ServerRecord, now: Timestamp) -> u8 {
    match server.status().state_at(now.as_ms()) {
        ServerState::Healthy => 0,
        ServerState::CoolingDown => 1,
        ServerState::Draining => 2,
        ServerState::Ejected => 3,
        ServerState::Unhealthy => 4,
    }
}
