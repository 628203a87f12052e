//! What every request meets before its route: preflights, limits of the head, and the headers that any
//! answer to it carries.

use tidegate_wire_openai::{Endpoint, RequestBody};

use crate::api_error::ApiError;
use crate::cors::Origins;
use crate::effect::Effect;
use crate::flow::Step;
use crate::head_limits;
use crate::request::Head;

/// What the installation is told about strangers.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    /// Web pages that may call.
    pub origins: Origins,
    /// The header that tells a caller's address and that no caller can set, where there is one.
    pub client_address: Option<String>,
}

impl Manners {
    /// An answer that needs no route.
    pub fn first(&self, head: &Head) -> Option<Step> {
        if let Some(preflight) = self.origins.preflight(head) {
            return Some(Step::Respond(preflight));
        }
        let refused: ApiError = head_limits::check(head, body_limit(&head.path)).err()?;
        Some(refused.into())
    }
}

fn body_limit(path: &str) -> usize {
    match Endpoint::from_path(path).map(|endpoint| endpoint.traits().body) {
        // Passed on as it comes, and counted then.
        Some(RequestBody::Multipart) => usize::MAX,
        Some(RequestBody::Json) => crate::inference::MAX_BODY,
        None => crate::admin::BODY_LIMIT,
    }
}

/// Adds to each answer among the effects what any answer carries.
pub fn mark(always: &[(String, String)], effects: &mut [Effect]) {
    if always.is_empty() {
        return;
    }
    for effect in effects {
        if let Effect::Respond { headers, .. }
        | Effect::RespondAsset { headers, .. }
        | Effect::Open { headers } = effect
        {
            headers.extend_from_slice(always);
        }
    }
}
