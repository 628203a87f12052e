//! What objects store: each record with the statements that read and write it.
//!
//! Invariant: records outlive releases. Formats are pinned by tests and only ever gain fields.

pub mod account;
pub mod columns;
pub mod fleet;
pub mod instance;
pub mod journal;
pub mod key;
pub mod ledger;
pub mod log;
pub mod once;
pub mod policy;
pub mod postings;
pub mod rental;
pub mod rented;
pub mod renting;
pub mod schema;
pub mod totals;
