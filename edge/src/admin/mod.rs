//! `/admin`: servers, routes, keys, policies and what happened to them; vendors of GPUs, what is rented there and
//! what it costs.
//!
//! Path and file follow each other: `/admin/routes/…` is `routes.rs`. Every route reads strictly, asks an
//! object, renders; a refusal changes nothing and says what to do.
//!
//! Invariant: an id from a path addresses an object only after its MAC or its form has been checked; a
//! secret leaves in three places only, answers that are not to be stored: a fresh key, the private key of a rented
//! GPU, and the secret that signs an account's webhooks.
//!
//! Out of scope: who is an administrator (`auth`), what is allowed (the fleet).

pub mod registration;
mod registration_body;
pub mod servers;

pub mod anonymous;
pub mod keys;
pub mod policies;
pub mod routes;

pub mod accounts;
pub mod budgets;
pub mod instances;
pub mod ledger;
pub mod offers;
pub mod profiles;
pub mod providers;

pub mod audit;
pub mod logs;
pub mod stats;

mod ask;
mod csv;
mod log_search;
mod price;
mod probe;
pub(crate) mod rfc3339;
mod seals;
mod server_view;
mod vendor_error;

/// The strict reading of a body, for other routes as well.
pub mod fields;

pub use server_view::{STATES, state_name};

/// Largest body of an admin request: metadata is 4 KiB, a route's hundred targets are 25 KiB.
pub const BODY_LIMIT: usize = 1024 * 1024;
