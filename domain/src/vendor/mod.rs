//! An account at a vendor of GPUs: who is called when, and what the answers mean.
//!
//! Invariant: silence is never taken for an answer. A call without one leaves open what was done, a list that
//! is not whole says nothing of what it lacks, and nothing is destroyed for being absent from our own records
//! alone: it takes two whole lists and a grace.
//!
//! In scope: the vendor's budget of calls ([`call_budget`]), what is known of an attempt to rent ([`attempt`]),
//! what a whole list means ([`sweep`]) and when a machine that nobody owns is given back ([`stray`]). Out of
//! scope: what a vendor's HTTP looks like, and where any of this is stored.

pub mod attempt;
pub mod call_budget;
pub mod stray;
pub mod sweep;
