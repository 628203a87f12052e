//! In which order a request's candidates are tried.
//!
//! Pure: the same inputs give the same order. Chance comes in as `draw`, a hash of the request's id, so
//! that isolates do not agree on a favourite.
//!
//! In scope: the six strategies, tiers, and where servers that are out go (last: the panic rule and the
//! probes still need them). Out of scope: admission.

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

/// SplitMix64's finaliser.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
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
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_000_000);

    fn server(hash: u64) -> Server {
        Server {
            hash: mix(hash),
            tier: 0,
            priority: 0,
            weight: 1,
            price: 0,
            fitness: Fitness::Fit,
            load: None,
            first_token_ms: None,
        }
    }

    fn draw(request: u64) -> Draw {
        Draw {
            now: NOW,
            request: mix(request),
            prefix: 7,
            turn: request,
        }
    }

    fn order(strategy: Strategy, servers: &[Server], request: u64) -> Vec<usize> {
        rank(strategy, servers, draw(request), |_| true)
    }

    #[test]
    fn servers_out_of_service_are_left_out_and_resting_or_ejected_ones_come_last() {
        let mut servers = vec![server(1), server(2), server(3), server(4)];
        servers[0].fitness = Fitness::Ejected(NOW + Span::from_secs(9));
        servers[1].fitness = Fitness::Out;
        servers[2].fitness = Fitness::Resting(NOW + Span::from_secs(9));
        assert_eq!(order(Strategy::Weighted, &servers, 1), [3, 2, 0]);
    }

    #[test]
    fn a_server_whose_ejection_is_over_is_offered_its_probe_only_by_leave() {
        let mut servers = vec![server(1), server(2)];
        servers[1].fitness = Fitness::Ejected(NOW);
        assert_eq!(
            rank(Strategy::Weighted, &servers, draw(1), |_| true),
            [1, 0]
        );
        assert_eq!(
            rank(Strategy::Weighted, &servers, draw(1), |_| false),
            [0, 1]
        );
    }

    #[test]
    fn tiers_come_before_priority_and_priority_before_strategy() {
        let mut servers = vec![server(1), server(2), server(3)];
        servers[0].tier = 1;
        servers[0].priority = 9;
        servers[2].priority = 1;
        servers[1].price = 1;
        servers[2].price = 100;
        assert_eq!(order(Strategy::Cost, &servers, 1), [2, 1, 0]);
    }

    #[test]
    fn weighted_draws_follow_the_weights() {
        let mut servers = vec![server(1), server(2)];
        servers[0].weight = 3;
        let firsts = (0..4000)
            .filter(|n| order(Strategy::Weighted, &servers, *n).first() == Some(&0))
            .count();
        assert!(
            (2850..3150).contains(&firsts),
            "3 of 4 expected, got {firsts} of 4000"
        );
    }

    #[test]
    fn round_robin_takes_turns() {
        let servers = vec![server(1), server(2), server(3)];
        let mut firsts: Vec<usize> = (0..3)
            .filter_map(|n| order(Strategy::RoundRobin, &servers, n).first().copied())
            .collect();
        firsts.sort_unstable();
        assert_eq!(firsts, [0, 1, 2]);
    }

    #[test]
    fn the_same_prefix_goes_to_the_same_server_and_few_move_when_one_leaves() {
        let servers: Vec<Server> = (0..10).map(server).collect();
        let home = |servers: &[Server], prefix| {
            let draw = Draw {
                prefix,
                ..draw(prefix)
            };
            rank(Strategy::PrefixAffinity, servers, draw, |_| true)
                .first()
                .map(|index| servers[*index].hash)
        };
        let without: Vec<Server> = servers.iter().skip(1).cloned().collect();
        let moved = (0..1000)
            .filter(|prefix| home(&servers, *prefix) != home(&without, *prefix))
            .count();
        assert!(
            (50..160).contains(&moved),
            "about a tenth should move, {moved} of 1000 did"
        );
    }

    #[test]
    fn affinity_spills_to_the_next_server_when_the_favourite_is_overloaded() {
        let mut servers = vec![server(1), server(2)];
        let favourite = order(Strategy::PrefixAffinity, &servers, 1)[0];
        servers[favourite].load = Some((120, NOW));
        servers[1 - favourite].load = Some((10, NOW));
        assert_eq!(
            order(Strategy::PrefixAffinity, &servers, 1)[0],
            1 - favourite
        );
        servers[favourite].load = Some((120, NOW - Span::from_secs(6)));
        assert_eq!(
            order(Strategy::PrefixAffinity, &servers, 1)[0],
            favourite,
            "stale news must not count"
        );
    }

    #[test]
    fn of_two_drawn_the_less_busy_goes_first() {
        let mut servers = vec![server(1), server(2)];
        servers[0].load = Some((80, NOW));
        servers[1].load = Some((20, NOW));
        assert!((0..50).all(|n| order(Strategy::LeastBusy, &servers, n) == [1, 0]));
    }

    #[test]
    fn unmeasured_servers_are_tried_before_fast_ones() {
        let mut servers = vec![server(1), server(2), server(3)];
        servers[0].first_token_ms = Some(50);
        servers[1].first_token_ms = Some(20);
        assert_eq!(order(Strategy::Latency, &servers, 1), [2, 1, 0]);
    }
}
