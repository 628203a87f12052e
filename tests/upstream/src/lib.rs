//! A model server that behaves like a good OpenAI-compatible one until it is told not to.
//!
//! Tests steer it over `/_control` (see [`control`]) and read in its journal what reached it and
//! when the client left. It speaks HTTP/1.1 over raw sockets, because most of its lies (a wrong
//! length, half a frame, a reset) are ones that an HTTP library would refuse to tell.
//!
//! In scope: what real engines do on the wire, well or badly. Out of scope: thinking.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a native program that ends when its premises do not hold"
)]

pub mod answer;
pub mod connection;
pub mod control;
pub mod dialect;
pub mod journal;
pub mod listen;
pub mod media;
pub mod misbehave;
pub mod plan;
pub mod request;
pub mod script;
pub mod state;

pub use listen::{Running, start};
pub use state::Settings;
