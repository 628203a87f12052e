//! Pure decisions. Nothing here reads a clock, draws a random number, awaits or does I/O: the caller
//! passes the time in, and gets back what to do.
//!
//! In scope: who may use a server now ([`instance`]), what is rented ([`shop`]), how that lives and ends
//! ([`lifecycle`]), when its vendor is called and what it has said ([`vendor`]), what it costs ([`money`]),
//! where a request goes ([`placement`]) and how it gets there through failures ([`dispatch`]). Out of scope:
//! records, wire formats, hosts.

pub mod backoff;
pub mod breaker;
pub mod civil;
pub mod dispatch;
pub mod health;
pub mod hedge;
pub mod idempotency;
pub mod ids;
pub mod instance;
pub mod lifecycle;
pub mod limits;
mod mix;
pub mod money;
pub mod outcome;
pub mod placement;
pub mod queue;
pub mod shop;
pub mod time;
pub mod vendor;
pub mod waiting;
