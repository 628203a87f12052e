//! `/admin/policies/reliability`: timeouts, retries, breaker and queue numbers.
//!
//! A `PUT` holds any of the numbers; the others stay. Two administrators who change different numbers at
//! the same moment may undo each other: whoever minds sends the `version` that was read, and gets 409.
//!
//! Invariant: the numbers of a policy are named once, in its type; a field is known if the type has it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand, ReliabilityPolicy};
use tidegate_wire_openai::ErrorCode;

use super::ask::{self, Subject};
use super::fields::{Fields, bad_type, unknown};
use super::server_view::members;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::Step;
use crate::gateway::Cx;
use crate::request::Response;

/// What a `PUT` asks for: numbers and switches by name.
type Changes = BTreeMap<String, Value>;

/// `GET`.
pub fn show(admin: Admin) -> Step {
    ask::fleet(
        &admin,
        FleetCommand::Policy,
        subject(),
        |_, answer| match answer {
            FleetAnswer::Policy { policy } => Ok(respond(&policy)),
            other => Err(Box::new(other)),
        },
    )
}

/// `PUT`.
pub fn put(admin: Admin) -> Step {
    ask::fields(move |_, fields| {
        let changes = read(fields)?;
        // Whatever is wrong with the body is found before anybody is asked.
        merged(&ReliabilityPolicy::default(), &changes)?;
        let asker = admin.clone();
        let then = move |_: &mut Cx<'_>, answer| match answer {
            FleetAnswer::Policy { policy } => {
                Ok(store(&admin, &policy, &changes).unwrap_or_else(Step::from))
            }
            other => Err(Box::new(other)),
        };
        Ok(ask::fleet(&asker, FleetCommand::Policy, subject(), then))
    })
}

fn store(admin: &Admin, current: &ReliabilityPolicy, changes: &Changes) -> Result<Step, ApiError> {
    let policy = merged(current, changes)?;
    if policy.version != current.version {
        return Err(ApiError::new(
            ErrorCode::Conflict,
            format!(
                "The policy is at version {} by now, not {}, so nothing was changed. Read it again and \
                 repeat the change.",
                current.version, policy.version
            ),
        )
        .param("version"));
    }
    let org = admin.org.clone();
    let command = FleetCommand::PutPolicy { policy };
    Ok(ask::fleet(
        admin,
        command,
        subject(),
        move |cx, answer| match answer {
            FleetAnswer::Policy { policy } => {
                cx.shared.snapshots.outdate(org.as_str(), cx.now);
                Ok(respond(&policy))
            }
            other => Err(Box::new(other)),
        },
    ))
}

fn read(mut fields: Fields) -> Result<Changes, ApiError> {
    let known = named(&ReliabilityPolicy::default());
    let names: Vec<String> = fields.names().map(str::to_owned).collect();
    if let Some(odd) = names.iter().find(|name| !known.contains_key(*name)) {
        let known: Vec<&str> = known.keys().map(String::as_str).collect();
        return Err(unknown(odd.clone(), &known.join(", ")));
    }
    let value = |name: String| fields.raw(&name).map(|raw| (name, scalar(&raw)));
    Ok(names.into_iter().filter_map(value).collect())
}

/// Numbers and switches; everything else becomes `null`, which no field of a policy is.
fn scalar(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

fn merged(current: &ReliabilityPolicy, changes: &Changes) -> Result<ReliabilityPolicy, ApiError> {
    let mut merged = current.clone();
    for (name, value) in changes {
        let mut policy = named(&merged);
        let previous = policy.insert(name.clone(), value.clone());
        merged = serde_json::from_value(Value::Object(policy)).map_err(|_| {
            let must = match previous {
                Some(Value::Bool(_)) => "must be true or false",
                _ => "must be a whole number from 0 up to what its unit allows",
            };
            bad_type(name.clone(), must)
        })?;
    }
    Ok(merged)
}

fn named(policy: &ReliabilityPolicy) -> Map<String, Value> {
    members(serde_json::to_value(policy).unwrap_or_default())
}

fn respond(policy: &ReliabilityPolicy) -> Step {
    Step::Respond(Response::json(200, &Value::Object(named(policy))))
}

fn subject() -> Subject {
    Subject {
        what: "policy",
        name: "reliability".to_owned(),
        list: "GET /admin/policies/reliability",
    }
}
