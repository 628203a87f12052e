//! `/admin/policies/anonymous`: who may ask without a key, and how much.
//!
//! A `PUT` holds all of it: what is left out has its default, so that nothing stays open by oversight.

use serde_json::{Value, json};
use tidegate_durable::bindings::fleet::{AnonymousPolicy, FleetAnswer, FleetCommand};

use super::ask::{self, Subject};
use super::fields::Fields;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::Step;
use crate::request::Response;

const FIELDS: &str = "enabled, models, requests_per_minute, tokens_per_minute, concurrency";

/// `GET`.
pub fn show(admin: Admin) -> Step {
    ask::fleet(
        &admin,
        FleetCommand::Anonymous,
        subject(),
        |_, answer| match answer {
            FleetAnswer::Anonymous { policy } => Ok(respond(&policy)),
            other => Err(Box::new(other)),
        },
    )
}

/// `PUT`.
pub fn put(admin: Admin) -> Step {
    ask::fields(move |_, fields| {
        let command = FleetCommand::PutAnonymous {
            policy: read(fields.without_nulls())?,
        };
        let org = admin.org.clone();
        Ok(ask::fleet(
            &admin,
            command,
            subject(),
            move |cx, answer| match answer {
                FleetAnswer::Anonymous { policy } => {
                    cx.shared.snapshots.outdate(org.as_str(), cx.now);
                    Ok(respond(&policy))
                }
                other => Err(Box::new(other)),
            },
        ))
    })
}

fn read(mut fields: Fields) -> Result<AnonymousPolicy, ApiError> {
    let default = AnonymousPolicy::default();
    let policy = AnonymousPolicy {
        enabled: fields.switch("enabled")?.unwrap_or(default.enabled),
        models: fields.texts("models")?.unwrap_or_default(),
        requests_per_minute: fields
            .number("requests_per_minute", 1..=1_000_000)?
            .unwrap_or(default.requests_per_minute),
        tokens_per_minute: fields.number("tokens_per_minute", 1..=u64::MAX)?,
        concurrency: fields.number("concurrency", 1..=u32::MAX)?,
    };
    fields.finish(FIELDS)?;
    Ok(policy)
}

fn respond(policy: &AnonymousPolicy) -> Step {
    let body: Value = json!({
        "enabled": policy.enabled,
        "models": policy.models,
        "requests_per_minute": policy.requests_per_minute,
        "tokens_per_minute": policy.tokens_per_minute,
        "concurrency": policy.concurrency,
    });
    Step::Respond(Response::json(200, &body))
}

fn subject() -> Subject {
    Subject {
        what: "policy",
        name: "anonymous".to_owned(),
        list: "GET /admin/policies/anonymous",
    }
}
