//! RunPod's REST API v2 and AWS's EC2, STS and Price List, as their documents describe them, with a real process
//! for each rented GPU, a meter of what they would bill, and everything that goes wrong with them on command.
//!
//! Invariant: nothing here knows the project that is tested. It is written from the vendors' documents and
//! depends on no crate of the project, so that what both sides get wrong in the same way is at least not copied.
//!
//! Tests steer it over its control port ([`control`]) and read there what was asked, what runs and what it costs.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a native program that ends when its premises do not hold"
)]

pub mod clock;
pub mod fault;
pub mod faults;
pub mod journal;
pub mod keys;
pub mod meter;
pub mod operation;
pub mod options;
pub mod random;
pub mod settings;

pub mod machine;
pub mod world;

pub mod boxes;
pub mod cloud;
pub mod control;
pub mod http;
pub mod inspect;
pub mod misbehave;
pub mod proxy;

pub mod aws;
pub mod runpod;

pub use cloud::{Running, start};
