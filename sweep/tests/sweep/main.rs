//! Sweeps against simcloud, beside a gateway that says what it is told to, and without one.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod alone;
mod endings;
mod gateway;
mod program;
mod rig;
mod strays;
mod vendor;
