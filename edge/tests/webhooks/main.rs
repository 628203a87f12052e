//! The webhooks, driven through the gateway as a host would. The objects behind follow a script: an account
//! that keeps ids, an instance that knows its machine.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod account;
#[path = "../contract/document.rs"]
mod document;
mod rig;

mod boot;
mod relay;
mod vendor;
