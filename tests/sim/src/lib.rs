//! A seeded, single-threaded simulation of the whole gateway on virtual time: real gateways in several
//! isolates, real objects on real SQLite, modelled servers, clients and an operator; and between them
//! everything that a platform may do to messages, alarms, memory, disks and clocks.
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
mod calm;
mod checks;
mod clients;
mod facts;
mod isolate;
mod model_server;
mod object;
mod objects;
mod operator;
mod oracle;
mod rng;
mod scenario;
mod seen;
mod situations;
mod transcript;
mod upstreams;
mod world;

pub use situations::{Situation, Situations};
pub use world::Violation;

use world::World;

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
    /// Clients in all.
    pub clients: usize,
    /// Virtual milliseconds.
    pub virtual_ms: i64,
    /// The last lines, when it was traced.
    pub trace: Vec<String>,
}

/// Runs a seed to its end and keeps so many of its last lines.
pub fn run(seed: u64, lines: usize) -> Report {
    let mut world = World::new(seed, lines);
    world.run();
    Report {
        seed,
        violation: world.violation,
        situations: world.situations,
        digest: world.digest,
        events: world.events,
        clients: world.clients.len(),
        virtual_ms: world.now - world.start,
        trace: world.trace.unwrap_or_default().into(),
    }
}
