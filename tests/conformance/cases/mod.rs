//! The tests, by subject. Each is a function of one vendor before one cloud; `main.rs` lists them all.

pub mod account;
pub mod catalogue;
pub mod lists;
pub mod machines;
pub mod money;
pub mod outcomes;
pub mod power;
