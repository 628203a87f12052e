//! Inference, driven through the gateway as a host would: requests in, effects out, results back. The
//! tests state whole sequences of effects; whatever is not listed did not happen.

#[path = "../contract/document.rs"]
mod document;
mod fixtures;
mod fleet;
mod lines;
mod rig;
mod talk;

mod access;
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
