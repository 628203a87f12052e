//! The admin routes, driven through the gateway as a host would: requests in, effects out, results back.
//! The registry and the journal are the real objects on SQLite; a server's own object and the servers
//! themselves follow a script.
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
mod world;

mod access;
mod anonymous;
mod bad_bodies;
mod bad_urls;
mod changes;
mod failed_checks;
mod fields;
mod idempotency;
mod keys;
mod logs;
mod metrics;
mod policies;
mod registration;
mod routes;
mod servers;
