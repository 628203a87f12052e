//! `/admin/providers/{vendor}/accounts`: accounts at vendors of GPUs are connected, changed, forgotten; `calls` has
//! what is asked of the vendor itself.
//!
//! The registry is asked first, then the account's own object is told at once, as a courtesy: if that is lost, the
//! registry's outbox repeats it. Forgetting goes the other way round: the account's own object alone knows whether
//! something of it may be alive and billed.
//!
//! Invariant: a credential is sealed before anything is asked, and never shown; the secret that signs an account's
//! webhooks is shown in one answer, after the audit has it; an id from a path addresses an
//! object only if this installation made it for this organisation and the registry has it at this vendor.

pub mod calls;
mod form;
mod view;
pub mod webhook;

use serde_json::{Value, json};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::account::{AccountCommand, AccountSpec, AccountView, RemoveAnswer};
use tidegate_durable::bindings::fleet::{
    AccountEntry, AccountEntryView, FleetAnswer, FleetCommand,
};
use tidegate_durable::bindings::instance::Done;
use tidegate_provider_api::Fingerprint;
use tidegate_vault::{mint_account_id, verify_account_id};
use tidegate_wire_openai::ErrorCode;

use super::ask::{self, COURTESY_TIMEOUT_MS, Subject};
use super::fields::bad_value;
use super::providers;
use super::seals::sealed;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::{Step, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;

pub(super) use view::registered;

const FIELDS: &str = "label, credential, settings";
const CHANGES: &str = "label, settings";
/// The field that a credential is sealed for, in the record `account/{id}`.
const CREDENTIAL: &str = "credential";

/// `GET /admin/providers/{vendor}/accounts`.
pub fn list(admin: Admin, vendor: String) -> Step {
    if let Err(refused) = providers::named(&vendor) {
        return refused.into();
    }
    ask::fleet(
        &admin,
        FleetCommand::Accounts,
        subject(""),
        move |_, answer| match answer {
            FleetAnswer::Accounts { accounts } => {
                let own = accounts.iter().filter(|it| it.entry.vendor == vendor);
                let data: Vec<Value> = own.map(|it| Value::Object(registered(it))).collect();
                let body = json!({ "object": "list", "data": data });
                Ok(Step::Respond(Response::json(200, &body)))
            }
            other => Err(Box::new(other)),
        },
    )
}

/// `POST /admin/providers/{vendor}/accounts`.
pub fn connect(admin: Admin, vendor: String) -> Step {
    let provider = match providers::named(&vendor) {
        Ok(provider) => provider,
        Err(refused) => return refused.into(),
    };
    ask::fields(move |cx, fields| {
        let mut fields = fields.without_nulls();
        let label = fields.required_text("label")?;
        let (credential, settings) = (fields.inner("credential")?, fields.inner("settings")?);
        fields.finish(FIELDS)?;
        let credential = form::credential(provider, credential)?;
        let settings = form::settings(provider, settings)?;
        let installation = &cx.shared.config.installation;
        let random = admin.random(cx, "account");
        let id = mint_account_id(installation, &admin.org, random);
        let mark = installation.fingerprint(&admin.org, &id);
        let fingerprint = Fingerprint::parse(&mark).ok_or_else(|| {
            ApiError::new(
                ErrorCode::InternalError,
                "The account's mark is none. Report this.",
            )
        })?;
        let plaintext = credential.to_plaintext();
        let sealed = sealed(cx, &admin, &record(&id), CREDENTIAL, &plaintext)
            .map_err(|refused| bad_value(CREDENTIAL, &format!("was not stored: {refused}")))?;
        let entry = AccountEntry {
            vendor: provider.vendor().to_owned(),
            label,
            settings,
            fingerprint,
        };
        let command = FleetCommand::ConnectAccount {
            id: id.clone(),
            entry,
            sealed: sealed.clone(),
        };
        Ok(changed(&admin, command, subject(&id), 201, Some(sealed)))
    })
}

/// `GET /admin/providers/{vendor}/accounts/{id}`: what the registry has, and how its own object is.
pub fn show(cx: &mut Cx<'_>, admin: Admin, vendor: String, id: String) -> Step {
    with(cx, admin, vendor, id, |_, admin, account| {
        let to = ObjectName::account(admin.org.as_str(), &account.id);
        let then = move |_: &mut Cx<'_>, live: Result<AccountView, Unanswered>| {
            let mut body = registered(&account);
            body.extend(view::live(live.ok().as_ref()));
            Step::Respond(Response::json(200, &Value::Object(body)))
        };
        Step::ask_within(COURTESY_TIMEOUT_MS, to, &AccountCommand::Describe, then)
    })
}

/// `PUT /admin/providers/{vendor}/accounts/{id}`: another label, or other settings as a whole.
pub fn update(cx: &mut Cx<'_>, admin: Admin, vendor: String, id: String) -> Step {
    with(cx, admin, vendor, id, |_, admin, account| {
        ask::fields(move |_, fields| {
            let mut fields = fields.without_nulls();
            let provider = providers::named(&account.entry.vendor)?;
            let label = fields.text("label")?;
            let settings = fields.inner("settings")?;
            fields.finish(CHANGES)?;
            let settings = match settings {
                Some(settings) => Some(form::settings(provider, Some(settings))?),
                None => None,
            };
            let subject = subject(&account.id);
            let command = FleetCommand::UpdateAccount {
                id: account.id,
                label,
                settings,
            };
            Ok(changed(&admin, command, subject, 200, None))
        })
    })
}

/// `DELETE /admin/providers/{vendor}/accounts/{id}`.
pub fn remove(cx: &mut Cx<'_>, admin: Admin, vendor: String, id: String) -> Step {
    with(cx, admin, vendor, id, |_, admin, account| {
        let to = ObjectName::account(admin.org.as_str(), &account.id);
        let command = AccountCommand::Remove {
            generation: account.generation.saturating_add(1),
        };
        let then = move |_: &mut Cx<'_>, answer: Result<RemoveAnswer, Unanswered>| match answer {
            Ok(RemoveAnswer::Removed) => forget(&admin, account.id),
            Ok(RemoveAnswer::Kept { reason, instances }) => kept(&reason, &instances).into(),
            Err(_) => in_doubt("The account").into(),
        };
        Step::ask(to, &command, then)
    })
}

fn forget(admin: &Admin, id: String) -> Step {
    let subject = subject(&id);
    let command = FleetCommand::RemoveAccount { id: id.clone() };
    ask::fleet(admin, command, subject, move |_, answer| match answer {
        FleetAnswer::Done => {
            let body = json!({ "id": id, "deleted": true });
            Ok(Step::Respond(Response::json(200, &body)))
        }
        other => Err(Box::new(other)),
    })
}

fn kept(reason: &str, instances: &[String]) -> ApiError {
    let named = if instances.is_empty() {
        String::new()
    } else {
        format!(" Not over: {}.", instances.join(", "))
    };
    ApiError::new(
        ErrorCode::Conflict,
        format!(
            "The account stays connected, because {reason}.{named} End them with POST \
             /admin/instances/{{id}}/terminate and try again once they are over."
        ),
    )
}

/// A change that may or may not have been made, and may be asked for again.
pub(super) fn in_doubt(who: &str) -> ApiError {
    ApiError::new(
        ErrorCode::GatewayUnavailable,
        format!(
            "{who} did not answer in time: it may or may not have done it. Ask again; a repetition does no harm."
        ),
    )
}

/// Asks the registry for a change, tells the account's own object, answers.
fn changed(
    admin: &Admin,
    command: FleetCommand,
    subject: Subject,
    status: u16,
    sealed: Option<String>,
) -> Step {
    let org = admin.org.clone();
    ask::fleet(admin, command, subject, move |_, answer| match answer {
        FleetAnswer::Account { account } => {
            let body = Value::Object(registered(&account));
            let response = Response::json(status, &body);
            let to = ObjectName::account(org.as_str(), &account.id);
            let configure = AccountCommand::Configure {
                spec: spec(*account),
                sealed,
            };
            let then = move |_: &mut Cx<'_>, _: Result<Done, Unanswered>| Step::Respond(response);
            Ok(Step::ask_within(COURTESY_TIMEOUT_MS, to, &configure, then))
        }
        other => Err(Box::new(other)),
    })
}

fn spec(account: AccountEntryView) -> AccountSpec {
    AccountSpec {
        generation: account.generation,
        vendor: account.entry.vendor,
        label: account.entry.label,
        settings: account.entry.settings,
        fingerprint: account.entry.fingerprint,
    }
}

/// Goes on with an account that is there, at this vendor.
fn with(
    cx: &mut Cx<'_>,
    admin: Admin,
    vendor: String,
    id: String,
    then: impl FnOnce(&mut Cx<'_>, Admin, AccountEntryView) -> Step + 'static,
) -> Step {
    if let Err(refused) = providers::named(&vendor) {
        return refused.into();
    }
    if !is_ours(cx, &admin, &id) {
        return subject(&id).unknown().into();
    }
    let asker = admin.clone();
    let command = FleetCommand::Account { id: id.clone() };
    ask::fleet(
        &asker,
        command,
        subject(&id),
        move |cx, answer| match answer {
            FleetAnswer::Account { account } if account.entry.vendor == vendor => {
                Ok(then(cx, admin, *account))
            }
            FleetAnswer::Account { .. } => Err(Box::new(FleetAnswer::NotFound)),
            other => Err(Box::new(other)),
        },
    )
}

/// Whether this installation made the id for this organisation.
pub(super) fn is_ours(cx: &Cx<'_>, admin: &Admin, id: &str) -> bool {
    verify_account_id(&cx.shared.config.installation, &admin.org, id)
}

fn record(id: &str) -> String {
    format!("account/{id}")
}

/// What questions about an account are about.
pub(super) fn subject(id: &str) -> Subject {
    Subject {
        what: "account",
        name: id.to_owned(),
        list: "GET /admin/providers",
    }
}
