//! From the name a client asks for to the servers that could take the request.
//!
//! A name is a route or a model. A route's targets are servers, models or other routes; its fallbacks
//! come in later tiers. A key's project, where a route of that name exists, narrows the choice to what
//! that route reaches.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_domain::placement::{Fitness, Server as Seen, Strategy};
use tidegate_domain::time::Timestamp;
use tidegate_durable::bindings::fleet::{ServerState, Strategy as StrategyWire};

use crate::load_board::LoadBoard;
use crate::snapshot::{Routing, Server};

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
    let strategy = project
        .or(route)
        .map_or(Strategy::default(), |route| strategy(route.strategy));
    let mut reached = Walk::from(routing, [(name, 0, None)]);
    if let Some(project) = project {
        let targets = project
            .targets
            .iter()
            .map(|target| (target.as_str(), 0, project.weights.get(target).copied()));
        let fallbacks = (1..)
            .zip(&project.fallbacks)
            .map(|(tier, fallback)| (fallback.as_str(), tier, None));
        let narrowed: BTreeMap<usize, Reached> = Walk::from(routing, targets.chain(fallbacks))
            .into_iter()
            .map(|found| (found.server, found))
            .collect();
        reached.retain_mut(|candidate| {
            let Some(found) = narrowed.get(&candidate.server) else {
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
    resolved.map_or_else(Vec::new, |resolved| {
        resolved
            .reached
            .iter()
            .map(|reached| reached.server)
            .collect()
    })
}

/// Tier by tier, so that whatever is reached twice is first reached in its best tier. A route is taken
/// apart once: circles end, and the work is bounded by what the routes say, however they point at each
/// other.
struct Walk<'a> {
    routing: &'a Routing,
    pending: BTreeMap<u32, Vec<(Meant<'a>, Option<u32>)>>,
    taken_apart: BTreeSet<&'a str>,
    seen: BTreeSet<usize>,
    reached: Vec<Reached>,
}

/// What a name stands for.
#[derive(Clone, Copy)]
enum Meant<'a> {
    /// A route, else a server, else a model.
    Anything(&'a str),
    /// A model: a route that names itself (an alias that only sets a strategy) means the model.
    Model(&'a str),
}

impl<'a> Walk<'a> {
    fn from(
        routing: &'a Routing,
        names: impl IntoIterator<Item = (&'a str, u32, Option<u32>)>,
    ) -> Vec<Reached> {
        let mut walk = Self {
            routing,
            pending: BTreeMap::new(),
            taken_apart: BTreeSet::new(),
            seen: BTreeSet::new(),
            reached: Vec::new(),
        };
        for (name, tier, weight) in names {
            walk.later(Meant::Anything(name), tier, weight);
        }
        // A name can only add names of its own tier or of later ones.
        while let Some((tier, names)) = walk.pending.pop_first() {
            for (meant, weight) in names {
                match meant {
                    Meant::Anything(name) => walk.name(name, tier, weight),
                    Meant::Model(name) => walk.model(name, tier, weight),
                }
            }
        }
        walk.reached
    }

    fn later(&mut self, meant: Meant<'a>, tier: u32, weight: Option<u32>) {
        self.pending.entry(tier).or_default().push((meant, weight));
    }

    fn name(&mut self, name: &'a str, tier: u32, weight: Option<u32>) {
        if let Some(route) = self.routing.routes.get(name) {
            if !self.taken_apart.insert(name) {
                return;
            }
            let meant = |other: &'a str| {
                if other == name {
                    Meant::Model(other)
                } else {
                    Meant::Anything(other)
                }
            };
            for target in &route.targets {
                let weight = route.weights.get(target).copied().or(weight);
                self.later(meant(target), tier, weight);
            }
            for (step, fallback) in (1..).zip(&route.fallbacks) {
                self.later(meant(fallback), tier.saturating_add(step), None);
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
            self.reached.push(Reached {
                server,
                tier,
                weight,
            });
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
    let until = status
        .until_ms
        .map_or(Timestamp::from_ms(i64::MAX), Timestamp::from_ms);
    match status.state {
        _ if !server.is_usable() => Fitness::Out,
        ServerState::Healthy => Fitness::Fit,
        ServerState::Unhealthy | ServerState::Draining => Fitness::Out,
        ServerState::Ejected => Fitness::Ejected(until),
        ServerState::CoolingDown => Fitness::Resting(until),
    }
}

/// Why a server is not in the running, in words.
pub fn why_out(server: &Server) -> Option<String> {
    let status = &server.entry.status;
    match status.state {
        _ if server.endpoint.is_none() => {
            Some("its address may not be called from here".to_owned())
        }
        _ if !server.is_usable() => Some("its key cannot be opened".to_owned()),
        ServerState::Draining => Some("it is being drained".to_owned()),
        // The reason is a sentence without its "its": `health checks fail with status 500`.
        ServerState::Unhealthy if !status.reason.is_empty() => {
            Some(format!("its {}", status.reason))
        }
        ServerState::Unhealthy => Some("its health checks fail".to_owned()),
        ServerState::Healthy | ServerState::Ejected | ServerState::CoolingDown => None,
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
