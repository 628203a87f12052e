//! The shape that every vendor of GPUs has here: a codec from our requests to its HTTP and back.
//!
//! A codec is pure and synchronous. It opens no connection, reads no clock and keeps nothing: the host sends
//! what [`Provider::encode`] built and hands what came back to [`Provider::decode`]. Retries, timeouts, rate
//! limits, redaction and metrics so live once, around all vendors, and one crate serves Workers, the command
//! line and the tests.
//!
//! In scope: the words in which a vendor is asked and answers. Out of scope: when it is asked (the `Account`
//! object), what a vendor's own HTTP looks like (one crate each).

mod provider;

mod create;
mod machine;
mod marker;
mod reply;
mod request;

mod capability;
mod error;
mod offer;

mod call;
mod credential;
mod settings;

pub mod gpu_names;
pub mod rfc3339;

mod dollars;

pub use call::{HttpCall, HttpReply, Method};
pub use capability::{Capability, StoppedBilling, Switch, TimeLimit};
pub use create::{Callback, CreateSecrets, CreateSpec, Runtime, SealedEnv};
pub use credential::{Credential, CredentialForm, CredentialRefused, Field, FieldKind};
pub use dollars::Dollars;
pub use error::{ErrorKind, ProviderError};
pub use machine::{Billing, Ending, Machine, MachineState, Reason};
pub use marker::{Fingerprint, Marker};
pub use offer::{Availability, DiskPrice, Gpu, Offer, Part, Query};
pub use provider::{EncodeCx, Origins, Provider};
pub use reply::{Page, Region, Reply};
pub use request::{Permission, Request};
pub use settings::Settings;
