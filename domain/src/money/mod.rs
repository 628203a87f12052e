//! Money: what a rented GPU costs, who has used it, and whether more may be spent.
//!
//! Invariant: whole micro-dollars and whole milliseconds, multiplied in 128 bits and rounded once a window,
//! so that parts always add up to the whole. Sums that no vendor could ask for end at `u64::MAX` instead of
//! wrapping.
//!
//! In scope: arithmetic and the decision. Out of scope: who is told, and the books (`Ledger`).

mod budget;
mod dollars;
mod share;
#[cfg(test)]
mod tests;
mod watch;
mod window;

pub use budget::{Bounds, Budget, Denied, Period, Scope, Usage, decide};
pub use dollars::Dollars;
pub use share::{LeaseTime, ShareMeter, Split, split};
pub use watch::{Crossing, Watch};
pub use window::{Segment, Window, price};

/// Milliseconds of an hour: prices are by the hour.
const HOUR_MS: u128 = 3_600_000;
