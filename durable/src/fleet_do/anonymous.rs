//! Who may ask without a key. Isolates learn of it with the snapshot.
//!
//! Invariant: nobody may but in the organisation `default`, and only for models that are named.

use super::checks::{Refused, refused};
use super::{Fleet, checks};
use crate::bindings::fleet::{AnonymousPolicy, FleetAnswer};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::fleet::put_anonymous;

/// What a request without a key belongs to.
const ORGANISATION: &str = "default";
/// As many as a key may name.
const MAX_MODELS: usize = 100;

impl Fleet {
    pub(super) fn put_anonymous(
        &mut self,
        cx: &mut Cx<'_>,
        policy: AnonymousPolicy,
    ) -> Result<FleetAnswer, StoreError> {
        if policy != self.anonymous {
            if let Err(refused) = check(&self.org, &policy) {
                return Ok(refused.into());
            }
            put_anonymous(cx.sql, &policy)?;
            let what = if policy.enabled {
                let per_minute = policy.requests_per_minute;
                format!(
                    "{per_minute} a minute and address for {}",
                    policy.models.join(", ")
                )
            } else {
                "nobody".to_owned()
            };
            self.note(cx, "policy.changed", "anonymous", what);
            self.bump();
            self.anonymous = policy;
        }
        Ok(FleetAnswer::Anonymous {
            policy: self.anonymous.clone(),
        })
    }

    /// What the snapshot says of it.
    pub(super) fn shown_anonymous(&self) -> Option<Box<AnonymousPolicy>> {
        let policy = &self.anonymous;
        policy.enabled.then(|| Box::new(policy.clone()))
    }
}

fn check(org: &str, policy: &AnonymousPolicy) -> Result<(), Refused> {
    if policy.enabled && org != ORGANISATION {
        let reason = format!(
            "can be true in the organisation `{ORGANISATION}` only: a request without a key names no other"
        );
        return Err(refused("enabled", reason));
    }
    if policy.enabled && policy.models.is_empty() {
        let reason = "must name at least one model or route: whoever finds the address may use it";
        return Err(refused("models", reason));
    }
    checks::count("models", policy.models.len(), 0, MAX_MODELS)?;
    for model in &policy.models {
        checks::name("models", model)?;
    }
    let limits = [
        ("requests_per_minute", Some(policy.requests_per_minute)),
        ("tokens_per_minute", policy.tokens_per_minute),
        ("concurrency", policy.concurrency.map(u64::from)),
    ];
    for (param, limit) in limits {
        if limit == Some(0) {
            return Err(refused(param, "must be at least 1"));
        }
    }
    checks::within(
        "requests_per_minute",
        policy.requests_per_minute,
        1,
        1_000_000,
    )
}
