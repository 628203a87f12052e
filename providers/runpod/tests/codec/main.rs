//! The codec as its host sees it: what is sent for each request, what becomes of each answer.
//!
//! The answers in `replies` are of the form of RunPod's API file (`spec` checks that), with values of our own.
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
mod catalogue;
mod errors;
mod machines;
mod random;
mod rig;
mod spec;
