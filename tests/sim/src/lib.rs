//! A seeded, single-threaded simulation on virtual time: real objects on real SQLite, and between them
//! everything that a platform may do to messages, alarms, memory, disks and clocks. Around the objects stands
//! one of two worlds: the gateway, with isolates, servers, clients and an operator, or renting, with vendors of
//! GPUs and their machines.
//!
//! Invariant: a run is a function of its seed.
//!
//! In scope: safety after every step and liveness after the faults, judged from outside. Out of scope:
//! HTTP itself and the Worker's own host, which `tests/e2e` runs for real.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod calls;
mod faults;
mod hosting;
mod object;
mod rng;
mod situations;
mod world;

mod gateway;
mod renting;

pub use situations::Situations;
pub use world::Violation;

use world::{Surroundings, World};

/// Which world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Requests go through isolates to servers.
    Gateway,
    /// GPUs are rented, paid and given back.
    Renting,
}

impl Which {
    /// Every world.
    pub const ALL: [Self; 2] = [Self::Gateway, Self::Renting];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Renting => "renting",
        }
    }

    /// Names of the situations that a batch has to have met.
    pub const fn situations(self) -> &'static [&'static str] {
        match self {
            Self::Gateway => gateway::Situation::NAMES,
            Self::Renting => renting::Situation::NAMES,
        }
    }

    /// Failing seeds that led to a change, each with why; a line each.
    pub const fn regressions(self) -> &'static str {
        match self {
            Self::Gateway => include_str!("../regressions/gateway.txt"),
            Self::Renting => include_str!("../regressions/renting.txt"),
        }
    }

    /// Runs a seed to its end and keeps so many of its last lines.
    pub fn run(self, seed: u64, lines: usize) -> Report {
        match self {
            Self::Gateway => gateway::run(seed, lines),
            Self::Renting => renting::run(seed, lines),
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// The property that did not hold.
    pub violation: Option<Violation>,
    /// What it met.
    pub situations: Situations,
    /// A digest of all its events: equal for equal seeds.
    pub digest: u64,
    /// Events in all.
    pub events: u64,
    /// Clients, or machines that were rented, in all.
    pub guests: usize,
    /// Virtual milliseconds.
    pub virtual_ms: i64,
    /// The last lines, when it was traced.
    pub trace: Vec<String>,
}

impl Report {
    fn of<A: Surroundings>(seed: u64, guests: usize, world: World<A>) -> Self {
        Self {
            seed,
            violation: world.violation,
            situations: world.situations,
            digest: world.digest,
            events: world.events,
            guests,
            virtual_ms: world.now - world.start,
            trace: world.trace.unwrap_or_default().into(),
        }
    }
}
