//! The admin routes for renting, driven through the gateway as a host would. The registry and the journal are the
//! real objects on SQLite; accounts, rented GPUs and the ledger follow a script.
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
#[allow(dead_code, reason = "not all of it is asked here")]
mod document;
#[path = "../admin/world.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod world;

mod rig;

mod access;
mod accounts;
mod again;
mod doc;
mod fields;
mod instances;
mod launches;
mod money;
mod offers;
mod profiles;
mod providers;
