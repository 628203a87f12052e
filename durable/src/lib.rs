//! The objects: durable records around the pure machines of `tidegate-domain`, generic over the host.
//!
//! An object is a single writer. Each message is one synchronous *turn*: load, handle, write, and only
//! then effects. Nothing here awaits, reads a clock or opens a connection: a host passes the time in,
//! executes the effects that a turn returns and feeds their results back as further turns.
//!
//! Invariant: whatever a turn answers or sends is already written, because the host commits the turn
//! before it lets anything out (see [`driver`]).
#![cfg_attr(
    test,
    allow(
        clippy::string_slice,
        clippy::unreachable,
        reason = "clippy has no switch for these two in tests"
    )
)]

pub mod account_do;
pub mod bindings;
pub mod directory_do;
pub mod driver;
pub mod fleet_do;
pub mod instance_do;
pub mod journal_do;
mod json;
pub mod key_do;
pub mod ledger_do;
pub mod model_do;
pub mod ports;
pub mod records;
#[cfg(test)]
mod rig;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod turn;
