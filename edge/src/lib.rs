//! The stateless side of the gateway: a request comes in, effects go out, their results come back, an
//! answer leaves. Nothing here awaits; a host (a Worker, a test, a simulation) runs the effects.
//!
//! Invariants: every exchange ends in exactly one answer; nothing is sent to a server before its object
//! granted it; what an isolate caches (snapshot, key records) is never older than its module allows.
//!
//! In scope: parse → ask → render. Out of scope: decisions about servers and requests, which live in
//! `tidegate-domain` and behind the objects.
#![cfg_attr(
    test,
    allow(
        clippy::string_slice,
        clippy::unreachable,
        reason = "clippy has no switch for these two in tests"
    )
)]

pub mod effect;
pub mod gateway;
pub mod request;
pub mod routes;

mod account;
mod admin;
mod anonymous;
mod api_error;
mod assets;
mod auth;
mod cors;
mod flow;
mod head_limits;
mod health;
mod idempotency;
mod inference;
mod key_cache;
mod load_board;
mod manners;
mod metrics;
mod models;
mod outbox;
mod public_url;
mod request_log;
mod snapshot;
mod trace;
mod upload;
mod webhooks;
