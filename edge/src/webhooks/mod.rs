//! `/webhooks`: what rented machines and vendors tell by themselves.
//!
//! A message is verified, read, and becomes one command to one object, which decides. Each says in its path
//! what it is about as `{org}~{id}`, and an id carries a MAC over its organisation.
//!
//! Invariant: no object is addressed by an id that this installation did not make for that organisation, nor
//! by a message whose token or signature is not its own. Nothing is told of what exists before that.
//!
//! Out of scope: that a message counts once (the object keeps ids and binds machines), and what follows from it.

mod boot;
mod hint;
mod vendor;

pub use boot::boot;
pub use vendor::vendor;

use tidegate_vault::{Installation, Organisation};
use tidegate_wire_openai::ErrorCode;

use crate::api_error::ApiError;
use crate::gateway::Cx;

/// Whether an id was made for this organisation.
type VerifyId = fn(&Installation, &Organisation, &str) -> bool;

/// Reads `{org}~{id}`, and believes it only behind the id's MAC.
fn addressed(cx: &mut Cx<'_>, at: &str, verify: VerifyId) -> Option<(Organisation, String)> {
    let (org, id) = at.split_once('~')?;
    let org = Organisation::parse(org).ok()?;
    if !verify(&cx.shared.config.installation, &org, id) {
        return None;
    }
    cx.notes.org = Some(org.as_str().to_owned());
    Some((org, id.to_owned()))
}

fn unknown(what: &str) -> ApiError {
    ApiError::new(
        ErrorCode::NotFound,
        format!(
            "There is no {what} at this address: it was mistyped, or made by another gateway. Take the \
             whole address as this gateway gave it."
        ),
    )
}
