//! The body of `PUT /admin/profiles/{name}`.
//!
//! Invariant: a body is read whole or refused whole, and what it leaves out is filled in from its kind.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;
use tidegate_durable::bindings::fleet::Profile;
use tidegate_durable::bindings::rental::{OnIdle, Preload};
use tidegate_vault::Secret;

use super::kinds::Kind;
use crate::admin::fields::{Fields, bad_type, bad_value, missing};
use crate::admin::seals::sealed;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::gateway::Cx;

const FIELDS: &str = "kind, model_name, upstream_model, image, args, env, secret_env, api_key_env, port, health_path, \
                      preload, min_vram_gb, gpu_count, disk_gb, max_concurrency, queue_depth, scaling";
const SCALING: &str = "max_instances, idle_timeout_seconds, on_idle, max_lifetime_seconds";
const PRELOAD: &str = "path, body";
const QUEUE_DEPTH: u32 = 64;
/// Long enough for a pause at lunch, short enough that a forgotten GPU costs cents.
const IDLE_MS: i64 = 900_000;
/// Half a day: whoever forgets a GPU in the evening finds it gone in the morning.
const MAX_LIFETIME_MS: i64 = 43_200_000;
/// The registry has bounds of its own; these keep the arithmetic inside an `i64`.
const SECONDS: RangeInclusive<i64> = 0..=1_000_000_000;

/// Reads it.
pub fn read(
    cx: &Cx<'_>,
    admin: &Admin,
    name: &str,
    mut fields: Fields,
) -> Result<Profile, ApiError> {
    // `null` means "none" for these, and "not given" for all others.
    let upstream_model = fields.text_or_null("upstream_model")?.flatten();
    let api_key_env = fields.text_or_null("api_key_env")?;
    let no_preload = fields.take_null("preload");
    let mut fields = fields.without_nulls();

    let kind = kind(&fields.required_text("kind")?)?;
    let model_name = fields.required_text("model_name")?;
    let model = upstream_model.as_deref().unwrap_or(&model_name);
    let given = fields.text("image")?.or(kind.image().map(str::to_owned));
    let image = given.ok_or_else(|| missing("image"))?;
    let given = fields.number("port", 1..=u16::MAX)?.or(kind.port());
    let port = given.ok_or_else(|| missing("port"))?;
    let gpu_count = whole(&mut fields, "gpu_count")?.unwrap_or(1);
    let given = whole(&mut fields, "max_concurrency")?;
    let max_concurrency = given.unwrap_or_else(|| kind.max_concurrency());
    let preload = match fields.inner("preload")? {
        Some(given) => Some(preload(given)?),
        None if no_preload => None,
        None => kind.preload(model),
    };
    let args = match fields.texts("args")? {
        Some(args) => args,
        None => kind.args(model, port, gpu_count, max_concurrency),
    };
    let env = match fields.inner("env")? {
        Some(env) => env.into_texts()?,
        None => kind.env(port, max_concurrency),
    };
    let secrets = fields.inner("secret_env")?.map(Fields::into_texts_or_nulls);
    let secrets = secrets.transpose()?.unwrap_or_default();
    let scaling = Scaling::read(fields.inner("scaling")?)?;
    let profile = Profile {
        kind: kind.as_str().to_owned(),
        image,
        args,
        env,
        sealed_env: seal_all(cx, admin, name, secrets)?,
        api_key_env: match api_key_env {
            Some(given) => given,
            None => kind.api_key_env().map(str::to_owned),
        },
        port,
        health_path: fields
            .text("health_path")?
            .unwrap_or_else(|| kind.health_path().to_owned()),
        preload,
        min_vram_gb: whole(&mut fields, "min_vram_gb")?.unwrap_or_default(),
        gpu_count,
        disk_gb: whole(&mut fields, "disk_gb")?.unwrap_or_else(|| kind.disk_gb()),
        max_concurrency,
        queue_depth: whole(&mut fields, "queue_depth")?.unwrap_or(QUEUE_DEPTH),
        max_instances: scaling.max_instances,
        idle_ms: scaling.idle_ms,
        on_idle: scaling.on_idle,
        max_lifetime_ms: scaling.max_lifetime_ms,
        updated_at_ms: 0,
        model_name,
        upstream_model,
    };
    fields.finish(FIELDS)?;
    Ok(profile)
}

struct Scaling {
    max_instances: u32,
    idle_ms: Option<i64>,
    on_idle: OnIdle,
    max_lifetime_ms: i64,
}

impl Scaling {
    fn read(fields: Option<Fields>) -> Result<Self, ApiError> {
        let mut scaling = Self {
            max_instances: 1,
            idle_ms: Some(IDLE_MS),
            on_idle: OnIdle::Terminate,
            max_lifetime_ms: MAX_LIFETIME_MS,
        };
        let Some(mut fields) = fields else {
            return Ok(scaling);
        };
        if fields.take_null("idle_timeout_seconds") {
            scaling.idle_ms = None;
        }
        let mut fields = fields.without_nulls();
        if let Some(count) = whole(&mut fields, "max_instances")? {
            scaling.max_instances = count;
        }
        if let Some(seconds) = fields.number("idle_timeout_seconds", SECONDS)? {
            scaling.idle_ms = Some(seconds * 1000);
        }
        if let Some(text) = fields.text("on_idle")? {
            scaling.on_idle = read_on_idle("scaling.on_idle", &text)?;
        }
        if let Some(seconds) = fields.number("max_lifetime_seconds", SECONDS)? {
            scaling.max_lifetime_ms = seconds * 1000;
        }
        fields.finish(SCALING)?;
        Ok(scaling)
    }
}

/// `terminate` or `stop`.
pub fn read_on_idle(name: &str, text: &str) -> Result<OnIdle, ApiError> {
    match text {
        "terminate" => Ok(OnIdle::Terminate),
        "stop" => Ok(OnIdle::Stop),
        _ => Err(bad_value(name, "must be terminate or stop")),
    }
}

fn kind(text: &str) -> Result<Kind, ApiError> {
    Kind::parse(text).ok_or_else(|| {
        let known = Kind::ALL.map(Kind::as_str).join(", ");
        bad_value("kind", &format!("must be one of {known}"))
    })
}

fn preload(mut fields: Fields) -> Result<Preload, ApiError> {
    let path = fields.required_text("path")?;
    let raw = fields.raw("body").ok_or_else(|| missing("preload.body"))?;
    // Written anew, on one line.
    let body: Value = serde_json::from_str(raw.get())
        .map_err(|_| bad_type("preload.body", "must be JSON that this gateway can hold"))?;
    fields.finish(PRELOAD)?;
    Ok(Preload {
        path,
        body: body.to_string(),
    })
}

/// What is `null` stays blank: the registry keeps what it has.
fn seal_all(
    cx: &Cx<'_>,
    admin: &Admin,
    name: &str,
    secrets: BTreeMap<String, Option<String>>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let record = record(name);
    let one = |(variable, value): (String, Option<String>)| {
        let Some(value) = value else {
            return Ok((variable, String::new()));
        };
        let param = format!("secret_env.{variable}");
        if value.contains('\0') {
            return Err(bad_value(param, "must not hold NUL characters"));
        }
        let sealed = sealed(cx, admin, &record, &field(&variable), &Secret::from(value))
            .map_err(|refused| bad_value(param, &format!("was not stored: {refused}")))?;
        Ok((variable, sealed))
    };
    secrets.into_iter().map(one).collect()
}

/// The record that a profile's secrets are sealed for.
pub fn record(name: &str) -> String {
    format!("profile/{name}")
}

/// The field of that record that a variable is sealed for.
pub fn field(variable: &str) -> String {
    format!("env/{variable}")
}

fn whole(fields: &mut Fields, name: &'static str) -> Result<Option<u32>, ApiError> {
    fields.number(name, 0..=u32::MAX)
}
