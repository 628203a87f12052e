//! `/admin/keys`: minted, listed, rotated, revoked.
//!
//! Invariant: the text of a key is in the one answer that makes it, marked as not to be stored; what is
//! kept is the hash of its secret. An id that does not have a key's form addresses nothing.

use serde_json::{Value, json};
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand, KeyRecord};
use tidegate_durable::bindings::key::KeyLimits;
use tidegate_vault::{ApiKey, KeyId, Secret};

use super::ask::{self, Subject};
use super::fields::{Fields, bad_value};
use super::rfc3339::{moment, read_moment};
use super::server_view::members;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::Step;
use crate::request::Response;

const FIELDS: &str = "name, scopes, requests_per_minute, tokens_per_minute, concurrency, models, \
                      expires_at, expires_in_seconds, priority, project";
const DAY_SECS: u32 = 86_400;
/// A key that is to live longer is one without an end.
const MAX_LIFE_SECS: u32 = 3_650 * DAY_SECS;
/// Long enough for a deployment that runs once an hour.
const OVERLAP_SECS: u32 = 3_600;
const MAX_OVERLAP_SECS: u32 = 30 * DAY_SECS;

/// `GET /admin/keys`.
pub fn list(admin: Admin) -> Step {
    ask::fleet(
        &admin,
        FleetCommand::Keys,
        subject(""),
        |_, answer| match answer {
            FleetAnswer::Keys { records } => {
                let data: Vec<Value> = records.iter().map(view).collect();
                let body = json!({ "object": "list", "data": data });
                Ok(Step::Respond(Response::json(200, &body)))
            }
            other => Err(Box::new(other)),
        },
    )
}

/// `POST /admin/keys`.
pub fn mint(admin: Admin) -> Step {
    ask::fields(move |cx, fields| {
        let mut record = read(fields.without_nulls(), cx.now.as_ms())?;
        let random = admin.random(cx, "key");
        let key = ApiKey::mint(&cx.shared.config.installation, &admin.org, random);
        record.id = key.key_id.to_string();
        record.secret_hash = key.secret_hash.to_hex();
        let subject = subject(&record.id);
        let command = FleetCommand::MintKey { record };
        Ok(ask::fleet(
            &admin,
            command,
            subject,
            move |_, answer| match answer {
                FleetAnswer::Key { record } => Ok(shown_once(201, &record, &key.text)),
                other => Err(Box::new(other)),
            },
        ))
    })
}

/// `POST /admin/keys/{id}/rotate`.
pub fn rotate(admin: Admin, id: String) -> Step {
    let Ok(key_id) = KeyId::parse(&id) else {
        return subject(&id).unknown().into();
    };
    ask::fields(move |cx, fields| {
        let mut fields = fields.without_nulls();
        let overlap = fields.number("overlap_seconds", 0..=MAX_OVERLAP_SECS)?;
        fields.finish("overlap_seconds")?;
        let overlap_ms = i64::from(overlap.unwrap_or(OVERLAP_SECS)) * 1000;
        let installation = &cx.shared.config.installation;
        let random = admin.random(cx, "secret");
        let key = ApiKey::rotate(installation, &admin.org, key_id, random);
        let command = FleetCommand::RotateKey {
            id: id.clone(),
            secret_hash: key.secret_hash.to_hex(),
            overlap_until_ms: cx.now.as_ms().saturating_add(overlap_ms),
        };
        let org = admin.org.clone();
        Ok(ask::fleet(
            &admin,
            command,
            subject(&id),
            move |cx, answer| match answer {
                FleetAnswer::Key { record } => {
                    cx.shared.keys.forget(org.as_str(), &id);
                    Ok(shown_once(200, &record, &key.text))
                }
                other => Err(Box::new(other)),
            },
        ))
    })
}

/// `DELETE /admin/keys/{id}`.
pub fn revoke(admin: Admin, id: String) -> Step {
    if KeyId::parse(&id).is_err() {
        return subject(&id).unknown().into();
    }
    let command = FleetCommand::RevokeKey { id: id.clone() };
    let org = admin.org.clone();
    ask::fleet(
        &admin,
        command,
        subject(&id),
        move |cx, answer| match answer {
            FleetAnswer::Done => {
                cx.shared.keys.forget(org.as_str(), &id);
                let body = json!({ "id": id, "deleted": true });
                Ok(Step::Respond(Response::json(200, &body)))
            }
            other => Err(Box::new(other)),
        },
    )
}

fn read(mut fields: Fields, now_ms: i64) -> Result<KeyRecord, ApiError> {
    let record = KeyRecord {
        name: fields.required_text("name")?,
        scopes: fields
            .texts("scopes")?
            .unwrap_or_else(|| vec!["inference".to_owned()]),
        limits: KeyLimits {
            requests_per_minute: fields.number("requests_per_minute", 1..=u64::MAX)?,
            tokens_per_minute: fields.number("tokens_per_minute", 1..=u64::MAX)?,
            concurrency: fields.number("concurrency", 1..=u32::MAX)?,
        },
        models: fields.texts("models")?.unwrap_or_default(),
        expires_at_ms: expiry(&mut fields, now_ms)?,
        created_at_ms: now_ms,
        priority: fields.number("priority", 0..=u8::MAX)?.unwrap_or_default(),
        project: fields.text("project")?,
        ..KeyRecord::default()
    };
    fields.finish(FIELDS)?;
    Ok(record)
}

fn expiry(fields: &mut Fields, now_ms: i64) -> Result<Option<i64>, ApiError> {
    let at = fields.text("expires_at")?;
    let after = fields.number("expires_in_seconds", 1..=MAX_LIFE_SECS)?;
    match (at, after) {
        (Some(_), Some(_)) => Err(bad_value(
            "expires_in_seconds",
            "stands beside expires_at, and one end is enough: send one of them",
        )),
        (Some(at), None) => {
            let at_ms = read_moment(&at)
                .map_err(|refused| bad_value("expires_at", &refused.to_string()))?;
            Ok(Some(at_ms))
        }
        (None, after) => Ok(after.map(|secs| now_ms.saturating_add(i64::from(secs) * 1000))),
    }
}

fn shown_once(status: u16, record: &KeyRecord, text: &Secret) -> Step {
    let mut body = members(view(record));
    body.insert("key".to_owned(), json!(text.expose_str()));
    let response = Response::json(status, &Value::Object(body));
    Step::Respond(response.with_header("cache-control", "no-store"))
}

fn view(record: &KeyRecord) -> Value {
    json!({
        "id": record.id,
        "name": record.name,
        "scopes": record.scopes,
        "requests_per_minute": record.limits.requests_per_minute,
        "tokens_per_minute": record.limits.tokens_per_minute,
        "concurrency": record.limits.concurrency,
        "models": record.models,
        "priority": record.priority,
        "project": record.project,
        "created_at": moment(record.created_at_ms),
        "expires_at": record.expires_at_ms.map(moment),
        "previous_until_at": record.previous_until_ms.map(moment),
    })
}

fn subject(id: &str) -> Subject {
    Subject {
        what: "key",
        name: id.to_owned(),
        list: "GET /admin/keys",
    }
}
