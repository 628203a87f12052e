//! From the name a client asks for to the servers that could take the request.
//!
//! A name is a route or a model. A route's targets are servers, models or other routes; its fallbacks
//! come in later tiers. A key's project, where a route of that name exists, narrows the choice to what
//! that route reaches.

use std::collections::BTreeSet;

use tidegate_domain::placement::{Fitness, Server as Seen, Strategy};
use tidegate_domain::time::Timestamp;
use tidegate_durable::bindings::fleet::{ServerState, Strategy as StrategyWire};

use crate::load_board::LoadBoard;
use crate::snapshot::{Routing, Server};

/// Routes may point at routes this many times; a circle ends here.
const DEPTH: u32 = 5;

/// A server in the running, with its tier and weight by the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Index into [`Routing::servers`].
    pub server: usize,
    /// 0 for the name itself, then one for each fallback.
    pub tier: u32,
    /// The route's weight for the target; `None` where the server's own counts.
    pub weight: Option<u32>,
}

/// What a name means.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Servers, each once, in its best tier.
    pub reached: Vec<Reached>,
    /// How to choose.
    pub strategy: Strategy,
}

/// What `name` means; `None` when there is neither a route nor a model of that name.
pub fn resolve(routing: &Routing, name: &str, project: Option<&str>) -> Option<Resolved> {
    let route = routing.routes.get(name);
    if route.is_none() && !routing.by_model.contains_key(name) {
        return None;
    }
    let project = project.and_then(|project| routing.routes.get(project));
    let strategy = project.or(route).map_or(Strategy::default(), |route| strategy(route.strategy));
    let mut walk = Walk { routing, seen: BTreeSet::new(), reached: Vec::new() };
    walk.name(name, 0, None, DEPTH);
    let mut reached = walk.reached;
    if let Some(project) = project {
        let mut narrow = Walk { routing, seen: BTreeSet::new(), reached: Vec::new() };
        for target in &project.targets {
            narrow.name(target, 0, project.weights.get(target).copied(), DEPTH);
        }
        for (tier, fallback) in (1..).zip(&project.fallbacks) {
            narrow.name(fallback, tier, None, DEPTH);
        }
        reached.retain_mut(|candidate| {
            let Some(found) = narrow.reached.iter().find(|other| other.server == candidate.server) else {
                return false;
            };
            candidate.tier = candidate.tier.saturating_add(found.tier);
            candidate.weight = found.weight.or(candidate.weight);
            true
        });
    }
    Some(Resolved { reached, strategy })
}

/// Every server behind a name, for the model list.
pub fn all_servers(routing: &Routing, name: &str) -> Vec<usize> {
    let resolved = resolve(routing, name, None);
    resolved.map_or_else(Vec::new, |resolved| resolved.reached.iter().map(|reached| reached.server).collect())
}

struct Walk<'a> {
    routing: &'a Routing,
    seen: BTreeSet<usize>,
    reached: Vec<Reached>,
}

impl Walk<'_> {
    fn name(&mut self, name: &str, tier: u32, weight: Option<u32>, depth: u32) {
        if let Some(route) = self.routing.routes.get(name).filter(|_| depth > 0) {
            for target in &route.targets {
                let weight = route.weights.get(target).copied().or(weight);
                // A route named like its own model (an alias that only sets a strategy) means the model.
                if target == name {
                    self.model(target, tier, weight);
                } else {
                    self.name(target, tier, weight, depth - 1);
                }
            }
            for (step, fallback) in (1..).zip(&route.fallbacks) {
                self.name(fallback, tier.saturating_add(step), None, depth - 1);
            }
        } else if let Some(server) = self.routing.by_id.get(name) {
            self.add(*server, tier, weight);
        } else {
            self.model(name, tier, weight);
        }
    }

    fn model(&mut self, name: &str, tier: u32, weight: Option<u32>) {
        for server in self.routing.by_model.get(name).into_iter().flatten() {
            self.add(*server, tier, weight);
        }
    }

    fn add(&mut self, server: usize, tier: u32, weight: Option<u32>) {
        if self.seen.insert(server) {
            self.reached.push(Reached { server, tier, weight });
        }
    }
}

/// A server as placement sees it.
pub fn seen(server: &Server, reached: Reached, board: &LoadBoard) -> Seen {
    let entry = &server.entry.entry;
    Seen {
        hash: server.hash,
        tier: reached.tier,
        priority: entry.priority,
        weight: reached.weight.unwrap_or(entry.weight),
        price: entry.price_microusd_per_hour,
        fitness: fitness(server),
        load: board.load(server.id()),
        first_token_ms: board.first_token_ms(server.id()),
    }
}

fn fitness(server: &Server) -> Fitness {
    let status = &server.entry.status;
    // Without a known end the server's object decides; it is asked last.
    let until = status.until_ms.map_or(Timestamp::from_ms(i64::MAX), Timestamp::from_ms);
    match status.state {
        _ if !server.is_usable() => Fitness::Out,
        ServerState::Healthy => Fitness::Fit,
        ServerState::Unhealthy | ServerState::Draining => Fitness::Out,
        ServerState::Ejected => Fitness::Ejected(until),
        ServerState::CoolingDown => Fitness::Resting(until),
    }
}

const fn strategy(wire: StrategyWire) -> Strategy {
    match wire {
        StrategyWire::LeastBusy => Strategy::LeastBusy,
        StrategyWire::RoundRobin => Strategy::RoundRobin,
        StrategyWire::Latency => Strategy::Latency,
        StrategyWire::Cost => Strategy::Cost,
        StrategyWire::Weighted => Strategy::Weighted,
        StrategyWire::PrefixAffinity => Strategy::PrefixAffinity,
    }
}
