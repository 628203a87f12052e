//! Who is asking.
//!
//! A client's key is believed by its MAC before any object is addressed, so a forged one creates nothing;
//! its record is then looked up (5 s cache, longer while the registry does not answer). The administrator's
//! key is one secret of the installation and acts on the organisation in `X-Tidegate-Org`, else on
//! `default`.

use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand, KeyRecord};
use tidegate_vault::{ApiKey, Organisation, SecretHash, VerifiedKey, same_secret};
use tidegate_wire_openai::{ErrorCode, ErrorDialect};

use crate::admin::rfc3339::moment;
use crate::anonymous::{self, Visitor};
use crate::api_error::ApiError;
use crate::flow::{ASK_TIMEOUT_MS, Step, Unanswered};
use crate::gateway::Cx;
use crate::idempotency::Permit;
use crate::key_cache::Known;
use crate::request::Head;
use crate::snapshot::REFRESH_TIMEOUT_MS;

/// No budget has a longer period that ends: a suspension beyond it is one for good.
const LONGEST_SUSPENSION: Span = Span::from_secs(31 * 24 * 3600);

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Inference routes.
    Inference,
    /// Reading models and admin lists.
    Read,
    /// Everything.
    Admin,
}

impl Scope {
    /// As it stands in a key record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    /// A key with a wider scope may do what a narrower one may.
    fn is_granted_by(self, scopes: &[String]) -> bool {
        let has = |scope: Self| scopes.iter().any(|granted| granted == scope.as_str());
        has(self) || has(Self::Admin)
    }
}

/// A client that is who it says.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its organisation.
    pub org: String,
    /// Its key.
    pub key: KeyRecord,
    /// Who it is that has none.
    pub visitor: Option<Visitor>,
}

/// An administrator, and the organisation that is acted on.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The organisation.
    pub org: Organisation,
    /// Who it is, for the audit: `admin` or `key/{id}`.
    pub actor: String,
    /// For a change that may be repeated.
    pub permit: Option<Permit>,
}

/// Lets a client through that holds a key with one of `scopes`.
pub fn client(
    cx: &mut Cx<'_>,
    scopes: &'static [Scope],
    then: impl FnOnce(&mut Cx<'_>, Caller) -> Step + 'static,
) -> Step {
    let Some(text) = client_key(cx.head) else {
        // A key in the wrong place is a mistake to be told, not somebody without one.
        if shows_a_key(cx.head) {
            return missing_key().into();
        }
        return anonymous::caller(cx, scopes, |cx, caller| match caller {
            Some(caller) => known(cx, caller, then),
            None => missing_key().into(),
        });
    };
    let Ok(verified) = ApiKey::parse_and_verify(&cx.shared.config.installation, text) else {
        return bad_key().into();
    };
    with_record(cx, verified, move |cx, verified, record| {
        match judge(&verified, record, cx.now, scopes) {
            Ok(caller) => known(cx, caller, then),
            Err(refused) => refused.into(),
        }
    })
}

fn known(cx: &mut Cx<'_>, caller: Caller, then: impl FnOnce(&mut Cx<'_>, Caller) -> Step) -> Step {
    cx.notes.org = Some(caller.org.clone());
    cx.notes.key = Some(caller.key.id.clone());
    cx.notes.project.clone_from(&caller.key.project);
    then(cx, caller)
}

/// Lets an administrator through: the installation's admin key, or a client key of scope `admin`
/// (`read` for reading). Any other key is 403, as is none.
pub fn admin(cx: &mut Cx<'_>, then: impl FnOnce(&mut Cx<'_>, Admin) -> Step + 'static) -> Step {
    let then = |cx: &mut Cx<'_>, admin: Admin| {
        cx.notes.org = Some(admin.org.as_str().to_owned());
        cx.notes.actor = Some(admin.actor.clone());
        then(cx, admin)
    };
    let Some(text) = cx.head.header("x-api-key").or_else(|| bearer(cx.head)) else {
        return no_admin().into();
    };
    if let Some(admin_key) = &cx.shared.config.admin_key
        && same_secret(text.as_bytes(), admin_key.expose())
    {
        let org = cx.head.header("x-tidegate-org").unwrap_or("default");
        return match Organisation::parse(org) {
            Ok(org) => then(
                cx,
                Admin {
                    org,
                    actor: "admin".to_owned(),
                    permit: None,
                },
            ),
            Err(refused) => ApiError::new(ErrorCode::InvalidValue, refused.to_string())
                .param("X-Tidegate-Org")
                .into(),
        };
    }
    let Ok(verified) = ApiKey::parse_and_verify(&cx.shared.config.installation, text) else {
        return no_admin().into();
    };
    let reading = cx.head.verb() == "GET";
    let scopes: &[Scope] = if reading {
        &[Scope::Read]
    } else {
        &[Scope::Admin]
    };
    with_record(cx, verified, move |cx, verified, record| {
        let org = verified.organisation.clone();
        match judge(&verified, record, cx.now, scopes) {
            Ok(caller) => then(
                cx,
                Admin {
                    org,
                    actor: format!("key/{}", caller.key.id),
                    permit: None,
                },
            ),
            Err(_) => no_admin().into(),
        }
    })
}

fn with_record(
    cx: &mut Cx<'_>,
    verified: VerifiedKey,
    then: impl FnOnce(&mut Cx<'_>, VerifiedKey, Option<KeyRecord>) -> Step + 'static,
) -> Step {
    let (org, id) = (
        verified.organisation.as_str().to_owned(),
        verified.key_id.to_string(),
    );
    let timeout_ms = match cx.shared.keys.look(&org, &id, cx.now) {
        Known::Yes(record) => return then(cx, verified, record),
        Known::Ageing(record) => {
            cx.refresh_key(&org, &id);
            return then(cx, verified, record);
        }
        Known::Old => REFRESH_TIMEOUT_MS,
        Known::No => ASK_TIMEOUT_MS,
    };
    let command = FleetCommand::Key { id: id.clone() };
    Step::ask_within(
        timeout_ms,
        ObjectName::fleet(&org),
        &command,
        move |cx, answer: Result<FleetAnswer, Unanswered>| {
            let record = match answer {
                Ok(FleetAnswer::Key { record }) => Some(*record),
                Ok(FleetAnswer::NotFound) => None,
                // A registry that is down must not take every key down with it. Should it only be slow,
                // a revocation still arrives, behind this request.
                Ok(_) | Err(_) => {
                    let Some(record) = cx.shared.keys.unanswered(&org, &id, cx.now) else {
                        return no_verdict().into();
                    };
                    cx.refresh_key(&org, &id);
                    return then(cx, verified, Some(record));
                }
            };
            cx.shared.keys.store(&org, &id, record.clone(), cx.now);
            then(cx, verified, record)
        },
    )
}

fn judge(
    verified: &VerifiedKey,
    record: Option<KeyRecord>,
    now: Timestamp,
    scopes: &[Scope],
) -> Result<Caller, ApiError> {
    let Some(key) = record else {
        return Err(bad_key());
    };
    let matches = |stored: &str| {
        SecretHash::from_hex(stored).is_ok_and(|stored| verified.secret_hash.matches(&stored))
    };
    let overlap = key
        .previous_until_ms
        .is_some_and(|until| now.as_ms() < until);
    let previous = overlap && key.previous_secret_hash.as_deref().is_some_and(matches);
    if !matches(&key.secret_hash) && !previous {
        return Err(bad_key());
    }
    if key
        .expires_at_ms
        .is_some_and(|expires| now.as_ms() >= expires)
    {
        return Err(ApiError::new(
            ErrorCode::InvalidApiKey,
            "This key has expired. Ask for a new one.",
        ));
    }
    if !scopes.iter().any(|scope| scope.is_granted_by(&key.scopes)) {
        let wanted: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        return Err(ApiError::new(
            ErrorCode::InsufficientPermissions,
            format!(
                "This key does not have the scope `{}` that the route asks for.",
                wanted.join("` or `")
            ),
        ));
    }
    // What costs nothing is free: models may be listed, and a budget be raised.
    if scopes == [Scope::Inference]
        && let Some(refused) = suspended(&key, now)
    {
        return Err(refused);
    }
    Ok(Caller {
        org: verified.organisation.as_str().to_owned(),
        key,
        visitor: None,
    })
}

/// A bearer token. Anthropic's SDKs send theirs in a header of its own, on the routes that are theirs.
fn client_key(head: &Head) -> Option<&str> {
    let own = || match head.error_dialect() {
        ErrorDialect::Anthropic => head.header("x-api-key"),
        ErrorDialect::OpenAi => None,
    };
    bearer(head).or_else(own)
}

fn shows_a_key(head: &Head) -> bool {
    ["authorization", "x-api-key", "api-key"]
        .into_iter()
        .any(|name| head.header(name).is_some())
}

/// The token of an `Authorization: Bearer`.
pub fn bearer(head: &Head) -> Option<&str> {
    let value = head.header("authorization")?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn missing_key() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidApiKey,
        "There is no API key. Send it as `Authorization: Bearer tg_…`.",
    )
}

fn bad_key() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidApiKey,
        "This API key is not known here: it was mistyped, revoked or made by another gateway.",
    )
}

/// The ledger's word, as old as the record: 5 s, or 15 minutes while the registry does not answer.
fn suspended(key: &KeyRecord, now: Timestamp) -> Option<ApiError> {
    let until_ms = key
        .suspended_until_ms
        .filter(|until| now.as_ms() < *until)?;
    let wait = now.until(Timestamp::from_ms(until_ms));
    let ends = wait <= LONGEST_SUSPENSION;
    let reason = &key.suspended_reason;
    let message = if ends {
        let moment = moment(until_ms);
        format!("This key is suspended until {moment}: {reason}. Wait, or ask for a larger budget.")
    } else {
        format!("This key is suspended: {reason}. Ask for a larger budget.")
    };
    let refused = ApiError::new(ErrorCode::InsufficientQuota, message);
    Some(refused.retry_after(ends.then_some(wait)))
}

fn no_verdict() -> ApiError {
    ApiError::new(
        ErrorCode::GatewayUnavailable,
        "The gateway could not look this API key up, so nothing was decided about it. Try again.",
    )
    .retry_after(Some(Span::from_secs(1)))
}

fn no_admin() -> ApiError {
    ApiError::new(
        ErrorCode::InsufficientPermissions,
        "This route asks for the admin key, in `X-API-Key` or as `Authorization: Bearer`.",
    )
}
