//! Inference, driven through the gateway as a host would: requests in, effects out, results back. The
//! tests state whole sequences of effects; whatever is not listed did not happen.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

#[path = "../contract/document.rs"]
mod document;
mod fixtures;
mod fleet;
mod lines;
mod rig;
mod talk;

mod access;
mod anonymous;
mod breadth;
mod breaks;
mod cors;
mod failover;
mod head_limits;
mod headers;
mod hedging;
mod key_limits;
mod leaving;
mod log;
mod plain;
mod random_events;
mod refusals;
mod routes;
mod snapshots;
mod speech;
mod stored;
mod streams;
mod uploads;
mod waiting;
