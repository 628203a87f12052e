//! `/admin/profiles`: how a model is run on a rented GPU.
//!
//! A `PUT` holds the whole profile. What is left out comes from its kind and is stored with it; `null` means "none"
//! where there can be none. The value of a secret is sealed at once and never shown: `secret_env` lists names with
//! `null`, and a name that is sent with `null` keeps the value that is stored. So what a `GET` shows, `name` and
//! `updated_at` apart, can be sent back as it is and changes nothing.
//!
//! Invariant: no value of a secret is in any answer.

mod body;
mod kinds;

use serde_json::{Value, json};
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand, Profile};
use tidegate_durable::bindings::rental::OnIdle;

use super::ask::{self, Subject};
use super::rfc3339::moment;
use crate::auth::Admin;
use crate::flow::Step;
use crate::request::Response;

pub(super) use body::{field as secret_field, read_on_idle, record};

/// `GET /admin/profiles`.
pub fn list(admin: Admin) -> Step {
    ask::fleet(
        &admin,
        FleetCommand::Profiles,
        subject(""),
        |_, answer| match answer {
            FleetAnswer::Profiles { profiles } => {
                let data: Vec<Value> = profiles.iter().map(|(name, it)| view(name, it)).collect();
                let body = json!({ "object": "list", "data": data });
                Ok(Step::Respond(Response::json(200, &body)))
            }
            other => Err(Box::new(other)),
        },
    )
}

/// `GET /admin/profiles/{name}`.
pub fn show(admin: Admin, name: String) -> Step {
    let command = FleetCommand::Profile { name: name.clone() };
    asked(&admin, command, name)
}

/// `PUT /admin/profiles/{name}`.
pub fn put(admin: Admin, name: String) -> Step {
    ask::fields(move |cx, fields| {
        let profile = body::read(cx, &admin, &name, fields)?;
        let command = FleetCommand::PutProfile {
            name: name.clone(),
            profile: Box::new(profile),
        };
        Ok(asked(&admin, command, name))
    })
}

/// `DELETE /admin/profiles/{name}`. What runs of it goes on.
pub fn delete(admin: Admin, name: String) -> Step {
    let command = FleetCommand::DeleteProfile { name: name.clone() };
    ask::fleet(
        &admin,
        command,
        subject(&name),
        move |_, answer| match answer {
            FleetAnswer::Done => {
                let body = json!({ "name": name, "deleted": true });
                Ok(Step::Respond(Response::json(200, &body)))
            }
            other => Err(Box::new(other)),
        },
    )
}

fn asked(admin: &Admin, command: FleetCommand, name: String) -> Step {
    ask::fleet(
        admin,
        command,
        subject(&name),
        move |_, answer| match answer {
            FleetAnswer::Profile { profile } => {
                Ok(Step::Respond(Response::json(200, &view(&name, &profile))))
            }
            other => Err(Box::new(other)),
        },
    )
}

fn view(name: &str, profile: &Profile) -> Value {
    let variables = profile.sealed_env.keys();
    let secrets: serde_json::Map<String, Value> =
        variables.map(|name| (name.clone(), Value::Null)).collect();
    let preload = profile.preload.as_ref().map(|preload| {
        let body: Value = serde_json::from_str(&preload.body).unwrap_or_default();
        json!({ "path": preload.path, "body": body })
    });
    json!({
        "name": name,
        "kind": profile.kind,
        "model_name": profile.model_name,
        "upstream_model": profile.upstream_model,
        "image": profile.image,
        "args": profile.args,
        "env": profile.env,
        "secret_env": secrets,
        "api_key_env": profile.api_key_env,
        "port": profile.port,
        "health_path": profile.health_path,
        "preload": preload,
        "min_vram_gb": profile.min_vram_gb,
        "gpu_count": profile.gpu_count,
        "disk_gb": profile.disk_gb,
        "max_concurrency": profile.max_concurrency,
        "queue_depth": profile.queue_depth,
        "scaling": {
            "max_instances": profile.max_instances,
            "idle_timeout_seconds": profile.idle_ms.map(seconds),
            "on_idle": on_idle(profile.on_idle),
            "max_lifetime_seconds": seconds(profile.max_lifetime_ms),
        },
        "updated_at": moment(profile.updated_at_ms),
    })
}

const fn seconds(ms: i64) -> i64 {
    ms / 1000
}

/// What happens to an idle GPU, in JSON.
pub(super) const fn on_idle(on_idle: OnIdle) -> &'static str {
    match on_idle {
        OnIdle::Terminate => "terminate",
        OnIdle::Stop => "stop",
    }
}

/// What questions about a profile are about.
pub(super) fn subject(name: &str) -> Subject {
    Subject {
        what: "profile",
        name: name.to_owned(),
        list: "GET /admin/profiles",
    }
}
