//! In which order a request's candidates are tried.
//!
//! Pure: the same inputs give the same order. Chance comes in as `draw`, a hash of the request's id, so
//! that isolates do not agree on a favourite.
//!
//! In scope: the six strategies, tiers, and where servers that are out go (last: the panic rule and the
//! probes still need them). Out of scope: admission.

use crate::mix::mix;
use crate::time::{Span, Timestamp};

/// How to choose among equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Two drawn by weight, the less busy first.
    #[default]
    LeastBusy,
    /// In turn.
    RoundRobin,
    /// The fastest lately.
    Latency,
    /// The cheapest.
    Cost,
    /// Drawn by weight.
    Weighted,
    /// The one that has seen this prompt's head, so that its cache is used.
    PrefixAffinity,
}

/// A server as placement sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// A stable hash of its id.
    pub hash: u64,
    /// Its tier: the route's fallback level, 0 first.
    pub tier: u32,
    /// Higher is preferred; compared within a tier before anything else.
    pub priority: i32,
    /// Share among equals, at least 1.
    pub weight: u32,
    /// Micro-dollars an hour.
    pub price: u64,
    /// Whether it can serve.
    pub fitness: Fitness,
    /// Load as last heard, with the time; a lower score is less busy.
    pub load: Option<(u32, Timestamp)>,
    /// Mean time to first token as last heard.
    pub first_token_ms: Option<u64>,
}

/// Whether a server can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// Yes.
    Fit,
    /// The breaker has it out until then.
    Ejected(Timestamp),
    /// It rests until then.
    Resting(Timestamp),
    /// No: unhealthy or draining.
    Out,
}

/// What a ranking depends on besides the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The time.
    pub now: Timestamp,
    /// A hash of the request's id.
    pub request: u64,
    /// A hash of the prompt's head.
    pub prefix: u64,
    /// Counts requests in this isolate.
    pub turn: u64,
}

/// Load news older than this says nothing.
const LOAD_NEWS: Span = Span::from_secs(5);

/// A favourite whose score is this much above the least busy one's is passed over: a full cache on an
/// overloaded server is worth less than a free slot elsewhere. Scores are in percent of capacity.
const AFFINITY_SPILL: u32 = 50;

/// The order in which to try `servers`, as their indices. Those that are out of service are left out;
/// ejected and resting ones come last within their tier, except one whose time is over, which comes
/// first when `probe` says that this isolate may offer it its probe.
pub fn rank(
    strategy: Strategy,
    servers: &[Server],
    draw: Draw,
    mut probe: impl FnMut(usize) -> bool,
) -> Vec<usize> {
    let mut keyed: Vec<(Key, usize)> = Vec::with_capacity(servers.len());
    for (index, server) in servers.iter().enumerate() {
        let standing = match server.fitness {
            Fitness::Out => continue,
            Fitness::Fit => 1,
            Fitness::Ejected(until) if until <= draw.now && probe(index) => 0,
            Fitness::Resting(until) if until <= draw.now => 1,
            Fitness::Resting(_) => 2,
            Fitness::Ejected(_) => 3,
        };
        keyed.push((
            (
                server.tier,
                standing,
                core::cmp::Reverse(server.priority),
                preference(strategy, server, draw),
            ),
            index,
        ));
    }
    keyed.sort();
    if strategy == Strategy::RoundRobin {
        rotate_best(&mut keyed, draw.turn);
    }
    let mut order: Vec<usize> = keyed.iter().map(|(_, index)| *index).collect();
    match strategy {
        Strategy::LeastBusy => less_busy_first(&mut order, &keyed, servers, draw.now),
        Strategy::PrefixAffinity => spill(&mut order, &keyed, servers, draw.now),
        _ => {}
    }
    order
}

type Key = (u32, u8, core::cmp::Reverse<i32>, u64);

/// Smaller is better.
fn preference(strategy: Strategy, server: &Server, draw: Draw) -> u64 {
    match strategy {
        Strategy::LeastBusy | Strategy::Weighted => lot(server, draw.request),
        Strategy::PrefixAffinity => lot(server, draw.prefix),
        Strategy::RoundRobin => server.hash,
        // What has not been measured goes first, so that it is.
        Strategy::Latency => server.first_token_ms.unwrap_or(0),
        Strategy::Cost => server.price,
    }
}

/// Weighted rendezvous hashing: `-ln(u) / weight` is smallest with a probability proportional to the
/// weight, and a server that comes or goes only moves what was or becomes its own.
fn lot(server: &Server, seed: u64) -> u64 {
    let mixed = mix(server.hash ^ mix(seed));
    // 53 bits make an exact double in (0, 1].
    let unit = ((mixed >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
    let lot = -unit.ln() / f64::from(server.weight.max(1));
    (lot * 1e15) as u64
}

/// How many at the head of the order are equals.
fn best_class(keyed: &[(Key, usize)]) -> usize {
    let class = |key: &Key| (key.0, key.1, key.2);
    let Some((first, _)) = keyed.first() else {
        return 0;
    };
    keyed
        .iter()
        .take_while(|(key, _)| class(key) == class(first))
        .count()
}

fn rotate_best(keyed: &mut [(Key, usize)], turn: u64) {
    let class = best_class(keyed);
    if let (Some(best), Ok(class)) = (keyed.get_mut(..class), u64::try_from(class))
        && class > 0
    {
        best.rotate_left(usize::try_from(turn % class).unwrap_or_default());
    }
}

fn score(server: Option<&Server>, now: Timestamp) -> Option<u32> {
    let (score, heard_at) = server?.load?;
    (now.since(heard_at) <= LOAD_NEWS).then_some(score)
}

/// Of the two that were drawn, the less busy as far as is known goes first. The real comparison is made
/// by asking both; this is for the isolate that asks only one.
fn less_busy_first(
    order: &mut [usize],
    keyed: &[(Key, usize)],
    servers: &[Server],
    now: Timestamp,
) {
    if best_class(keyed) < 2 {
        return;
    }
    if let [first, second, ..] = order
        && let (Some(a), Some(b)) = (
            score(servers.get(*first), now),
            score(servers.get(*second), now),
        )
        && b < a
    {
        core::mem::swap(first, second);
    }
}

fn spill(order: &mut [usize], keyed: &[(Key, usize)], servers: &[Server], now: Timestamp) {
    let class = best_class(keyed);
    let Some(best) = order.get_mut(..class) else {
        return;
    };
    let Some(favourite) = best
        .first()
        .and_then(|index| score(servers.get(*index), now))
    else {
        return;
    };
    let least = best
        .iter()
        .filter_map(|index| score(servers.get(*index), now))
        .min()
        .unwrap_or(favourite);
    if favourite > least.saturating_add(AFFINITY_SPILL) {
        best.rotate_left(1);
    }
}

#[cfg(test)]
mod tests;
