//! Which addresses the gateway may call.
//!
//! Every URL that did not come from this code (a registered server, a redirect, a vendor's link) passes
//! [`Gate::check`] when it is registered and again whenever it is used. The gate looks at text only: it
//! resolves nothing, because a Worker cannot pin the address a name resolves to. A public name that
//! resolves to a private address is for the host to stop (Cloudflare's network does; `workerd` with
//! `network(allow = ["public"])` does).
//!
//! Invariant: an accepted URL has one reading. Whatever two URL parsers could disagree about (control
//! characters, backslashes, credentials, escaped or foreign digits in the host, unusual spellings of an
//! address) is refused rather than normalised.

mod endpoint;
mod gate;
mod pinned;
mod rule;

mod refused;

mod address;
mod name;
mod port;
mod spelling;

#[doc(hidden)]
pub mod fuzzing;

pub use address::AddressClass;
pub use endpoint::{Endpoint, RouteRefused};
pub use gate::{Destination, Gate, Reach};
pub use name::NameClass;
pub use pinned::Pinned;
pub use refused::Refused;
pub use rule::{HostRule, RuleRefused};
