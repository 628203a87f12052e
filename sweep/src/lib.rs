//! The sweep of an account at a vendor, from outside of the gateway: with a credential of its own it lists every
//! machine, and gives back those that carry the account's mark and that nobody owns.
//!
//! The gateway sweeps by itself, with its own script and its own credential. This is for the day on which one of
//! the two is gone. It decides by the same rules (`tidegate_domain::vendor`), and knows of the gateway only what
//! its admin API says.
//!
//! Invariant: `given back ⇒ whole lists of every region ∧ our mark ∧ (two sightings ∧ 10 minutes ∧ the gateway,
//! asked after each list and again for that very machine, knows no owner)`. An error of the vendor or of the
//! gateway is never "nobody owns it". Without the gateway only what somebody explicitly called too old is given
//! back. A machine counts as gone at the vendor's word alone.
//!
//! In scope: one account, one run. Out of scope: what HTTP of a vendor looks like, what a whole list means, when to
//! run again.

mod options;
mod run;

mod clock;
mod gateway;
mod vendor;

mod ending;
mod owners;
mod table;

pub use clock::{Clock, Wall};
pub use options::{Options, OptionsRefused, Sources, USAGE};
pub use run::{Exit, sweep};
