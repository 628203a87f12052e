//! The bodies of `POST /admin/register` and `PUT /admin/register/{id}`.
//!
//! Invariant: a body is read whole or refused whole. In a `POST` `null` means "not given"; in a `PUT` it
//! removes what can be absent (`api_key`, `owner`, `upstream_model`, `first_token_timeout_seconds`) and is
//! refused elsewhere.

use tidegate_durable::bindings::fleet::{ServerChange, ServerEntry};
use tidegate_vault::Secret;

use super::fields::{Fields, bad_value};
use crate::api_error::ApiError;

const FIELDS: &str = "model_name, endpoint_url, api_key, owner, max_concurrency, queue_depth, weight, \
                      priority, price_per_hour, metadata, upstream_model, first_token_timeout_seconds";
/// Vendors' keys stay under 200 characters, signed tokens under 4,000.
const MAX_KEY: usize = 8 * 1024;
const FIRST_TOKEN: &str = "first_token_timeout_seconds";
/// One hour: longer than any first token is waited for.
const MAX_FIRST_TOKEN_SECS: u64 = 3_600;

/// What an engine on one GPU runs side by side by default.
const MAX_CONCURRENCY: u32 = 32;
const QUEUE_DEPTH: u32 = 64;

/// A server to register.
#[derive(Debug)]
pub struct NewServer {
    /// The entry, without its key.
    pub entry: ServerEntry,
    /// The server's own key.
    pub api_key: Option<Secret>,
}

/// Changes to a server.
#[derive(Debug)]
pub struct ServerEdit {
    /// Everything but address and key.
    pub change: ServerChange,
    /// Another address.
    pub endpoint_url: Option<String>,
    /// What becomes of the key.
    pub api_key: KeyChange,
}

/// What becomes of a server's key.
#[derive(Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// It stays.
    Keep,
    /// It goes.
    Remove,
    /// Another takes its place.
    Replace(Secret),
}

impl NewServer {
    /// Reads the body of a `POST`.
    pub fn read(fields: Fields) -> Result<Self, ApiError> {
        let mut fields = fields.without_nulls();
        let model_name = fields.required_text("model_name")?;
        let endpoint_url = fields.required_text("endpoint_url")?;
        let first_token_cap_ms = first_token_cap(&mut fields)?;
        let entry = ServerEntry {
            model_name,
            endpoint_url,
            sealed_api_key: None,
            owner: fields.text("owner")?,
            max_concurrency: whole(&mut fields, "max_concurrency")?.unwrap_or(MAX_CONCURRENCY),
            queue_depth: whole(&mut fields, "queue_depth")?.unwrap_or(QUEUE_DEPTH),
            weight: whole(&mut fields, "weight")?.unwrap_or(1),
            priority: priority(&mut fields)?.unwrap_or_default(),
            price_microusd_per_hour: fields.dollars("price_per_hour")?.unwrap_or_default(),
            metadata: fields.object("metadata")?.unwrap_or_default(),
            upstream_model: fields.text("upstream_model")?,
            first_token_cap_ms,
        };
        let api_key = fields.text("api_key")?.map(api_key).transpose()?;
        fields.finish(FIELDS)?;
        Ok(Self { entry, api_key })
    }
}

impl ServerEdit {
    /// Reads the body of a `PUT`.
    pub fn read(mut fields: Fields) -> Result<Self, ApiError> {
        let api_key = match fields.text_or_null("api_key")? {
            None => KeyChange::Keep,
            Some(None) => KeyChange::Remove,
            Some(Some(text)) => KeyChange::Replace(api_key(text)?),
        };
        let endpoint_url = fields.text("endpoint_url")?;
        let change = ServerChange {
            model_name: fields.text("model_name")?,
            owner: cleared(fields.text_or_null("owner")?),
            max_concurrency: whole(&mut fields, "max_concurrency")?,
            queue_depth: whole(&mut fields, "queue_depth")?,
            weight: whole(&mut fields, "weight")?,
            priority: priority(&mut fields)?,
            price_microusd_per_hour: fields.dollars("price_per_hour")?,
            metadata: fields.object("metadata")?,
            upstream_model: cleared(fields.text_or_null("upstream_model")?),
            first_token_cap_ms: if fields.take_null(FIRST_TOKEN) {
                Some(None)
            } else {
                first_token_cap(&mut fields)?.map(Some)
            },
            ..ServerChange::default()
        };
        fields.finish(FIELDS)?;
        Ok(Self {
            change,
            endpoint_url,
            api_key,
        })
    }
}

fn whole(fields: &mut Fields, name: &'static str) -> Result<Option<u32>, ApiError> {
    fields.number(name, 0..=u32::MAX)
}

fn first_token_cap(fields: &mut Fields) -> Result<Option<u64>, ApiError> {
    let secs = fields.number(FIRST_TOKEN, 1..=MAX_FIRST_TOKEN_SECS)?;
    Ok(secs.map(|secs| secs * 1000))
}

fn priority(fields: &mut Fields) -> Result<Option<i32>, ApiError> {
    fields.number("priority", i32::MIN..=i32::MAX)
}

/// The fleet takes an empty text for a removal.
fn cleared(text: Option<Option<String>>) -> Option<String> {
    text.map(Option::unwrap_or_default)
}

/// A key is sent as a header, so it may hold nothing that would end one.
fn api_key(text: String) -> Result<Secret, ApiError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > MAX_KEY || !is_plain {
        let must = format!("must be 1 to {MAX_KEY} visible ASCII characters, without spaces");
        return Err(bad_value("api_key", &must));
    }
    Ok(Secret::from(text))
}
