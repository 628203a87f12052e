//! `/admin/register`: servers come, change and go.
//!
//! A server is checked before it is registered and before its address or key changes; what fails the
//! check changes nothing. The registry is asked first, then the server's own object is told at once, as
//! a courtesy: if that is lost, the registry's outbox repeats it.
//!
//! Invariant: a server's key leaves in the clear only as the bearer of a check of the address that it was
//! given for; to objects it travels sealed.

use serde_json::{Value, json};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::{
    FleetAnswer, FleetCommand, ReliabilityPolicy, ServerChange, ServerEntry, ServerView,
};
use tidegate_durable::bindings::instance::{CheckReport, Done, InstanceCommand, InstanceSpec};
use tidegate_egress::Endpoint;
use tidegate_vault::{Secret, mint_instance_id, open, seal};
use tidegate_wire_openai::ErrorCode;

use super::ask::{self, COURTESY_TIMEOUT_MS, Subject};
use super::fields::bad_value;
use super::probe::{self, Passed};
use super::registration_body::{KeyChange, NewServer, ServerEdit};
use super::rfc3339::moment;
use super::server_view::{members, state_name};
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::{Step, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;
use crate::snapshot::api_key_context;

/// `POST /admin/register`.
pub fn register(admin: Admin) -> Step {
    ask::fields(move |cx, fields| {
        let NewServer { mut entry, api_key } = NewServer::read(fields)?;
        let endpoint = gated(cx, &entry.endpoint_url)?;
        entry.endpoint_url = endpoint.canonical();
        let made = admin.permit.as_ref().filter(|permit| permit.made);
        let noted = made.and_then(|permit| Passed::noted(permit.note.as_deref()?));
        if let Some(passed) = noted {
            // It passed its check and is registered: only the answer was lost.
            return enter(cx, &admin, entry, api_key, passed);
        }
        Ok(probe::check(
            &endpoint,
            api_key.clone().as_ref(),
            move |cx, passed| enter(cx, &admin, entry, api_key, passed),
        ))
    })
}

fn enter(
    cx: &mut Cx<'_>,
    admin: &Admin,
    mut entry: ServerEntry,
    api_key: Option<Secret>,
    passed: Passed,
) -> Result<Step, ApiError> {
    let random = admin.random(cx, "server");
    let id = mint_instance_id(&cx.shared.config.installation, &admin.org, random);
    entry.sealed_api_key = api_key
        .map(|key| sealed(cx, admin, &id, &key))
        .transpose()?;
    let subject = Subject::server(&id);
    let command = FleetCommand::Register {
        id,
        entry,
        first_check: passed.report.clone(),
    };
    let mut admin = admin.clone();
    if let Some(permit) = &mut admin.permit {
        permit.note = Some(passed.note());
    }
    Ok(changed(&admin, command, subject, 201, Some(passed)))
}

/// `PUT /admin/register/{id}`.
pub fn update(cx: &mut Cx<'_>, admin: Admin, id: String) -> Step {
    ask::server(cx, admin, id, move |admin, id| {
        ask::fields(move |cx, fields| {
            let edit = ServerEdit::read(fields)?;
            // A bad address is refused before anybody is asked.
            let endpoint = match &edit.endpoint_url {
                Some(url) => Some(gated(cx, url)?),
                None => None,
            };
            if endpoint.is_none() && edit.api_key == KeyChange::Keep {
                return Ok(change(&admin, id, edit.change, None));
            }
            Ok(move_server(&admin, id, edit, endpoint))
        })
    })
}

/// Another address or key: the check needs both, so the half that stays is asked for.
fn move_server(admin: &Admin, id: String, edit: ServerEdit, endpoint: Option<Endpoint>) -> Step {
    let command = FleetCommand::Server { id: id.clone() };
    let owner = admin.clone();
    ask::fleet(
        admin,
        command,
        Subject::server(&id),
        move |cx, answer| match answer {
            FleetAnswer::Server { spec, .. } => {
                Ok(check_moved(cx, owner, id, edit, endpoint, &spec).unwrap_or_else(Step::from))
            }
            other => Err(Box::new(other)),
        },
    )
}

fn check_moved(
    cx: &mut Cx<'_>,
    admin: Admin,
    id: String,
    edit: ServerEdit,
    endpoint: Option<Endpoint>,
    spec: &InstanceSpec,
) -> Result<Step, ApiError> {
    let endpoint = match endpoint {
        Some(endpoint) => endpoint,
        None => gated(cx, &spec.endpoint_url)?,
    };
    let bearer = match &edit.api_key {
        KeyChange::Replace(key) => Some(key.clone()),
        KeyChange::Remove => None,
        KeyChange::Keep => kept_key(cx, &admin, &id, spec, &endpoint)?,
    };
    Ok(probe::check(
        &endpoint.clone(),
        bearer.as_ref(),
        move |cx, passed| {
            let mut edit_change = edit.change;
            edit_change.endpoint_url = Some(endpoint.canonical());
            edit_change.sealed_api_key = match edit.api_key {
                KeyChange::Keep => None,
                KeyChange::Remove => Some(None),
                KeyChange::Replace(key) => Some(Some(sealed(cx, &admin, &id, &key)?)),
            };
            Ok(change(&admin, id, edit_change, Some(passed)))
        },
    ))
}

/// The stored key, if it may be shown to `endpoint`. It was given for one origin and goes to no other,
/// or else whoever may edit a server could have its key sent to a machine of their own.
fn kept_key(
    cx: &Cx<'_>,
    admin: &Admin,
    id: &str,
    spec: &InstanceSpec,
    endpoint: &Endpoint,
) -> Result<Option<Secret>, ApiError> {
    let Some(stored) = &spec.sealed_api_key else {
        return Ok(None);
    };
    let config = &cx.shared.config;
    let origin = |endpoint: &Endpoint| endpoint.destination().origin();
    let before = config.gate.endpoint(&spec.endpoint_url).ok();
    if before.map(|before| origin(&before)) != Some(origin(endpoint)) {
        return Err(bad_value(
            "api_key",
            "must be sent again (or null to remove it) when endpoint_url moves to another host, port or \
             scheme: a stored key is never shown to an address it was not given for",
        ));
    }
    let record = format!("server/{id}");
    let context = api_key_context(admin.org.as_str(), &record);
    open(&config.keyring, &context, stored)
        .map(Some)
        .map_err(|refused| bad_value("api_key", &format!("must be sent again, because {refused}")))
}

/// `DELETE /admin/register/{id}`.
pub fn deregister(cx: &mut Cx<'_>, admin: Admin, id: String) -> Step {
    ask::server(cx, admin, id, move |admin, id| {
        let command = FleetCommand::Deregister { id: id.clone() };
        let org = admin.org.clone();
        ask::fleet(
            &admin,
            command,
            Subject::server(&id),
            move |cx, answer| match answer {
                FleetAnswer::Done => {
                    cx.shared.snapshots.outdate(org.as_str(), cx.now);
                    let body = json!({ "registration_id": id, "deleted": true });
                    Ok(Step::Respond(Response::json(200, &body)))
                }
                other => Err(Box::new(other)),
            },
        )
    })
}

fn change(admin: &Admin, id: String, change: ServerChange, passed: Option<Passed>) -> Step {
    let subject = Subject::server(&id);
    let command = FleetCommand::Update { id, change };
    changed(admin, command, subject, 200, passed)
}

/// Asks for the change, tells the server's object, answers.
fn changed(
    admin: &Admin,
    command: FleetCommand,
    subject: Subject,
    status: u16,
    passed: Option<Passed>,
) -> Step {
    let org = admin.org.clone();
    ask::fleet(admin, command, subject, move |cx, answer| match answer {
        FleetAnswer::Server {
            server,
            spec,
            policy,
        } => {
            cx.shared.snapshots.outdate(org.as_str(), cx.now);
            let instance = ObjectName::instance(org.as_str(), &server.id);
            let report = passed.as_ref().map(|passed| passed.report.clone());
            let body = view(&server, &spec, passed);
            Ok(configure(
                instance,
                spec,
                policy,
                report,
                Response::json(status, &body),
            ))
        }
        other => Err(Box::new(other)),
    })
}

fn configure(
    instance: ObjectName,
    spec: InstanceSpec,
    policy: ReliabilityPolicy,
    first_check: Option<CheckReport>,
    response: Response,
) -> Step {
    let command = InstanceCommand::Configure {
        spec,
        first_check,
        policy,
    };
    let then = move |_: &mut Cx<'_>, _: Result<Done, Unanswered>| Step::Respond(response);
    Step::ask_within(COURTESY_TIMEOUT_MS, instance, &command, then)
}

fn view(server: &ServerView, spec: &InstanceSpec, passed: Option<Passed>) -> Value {
    let mut body = members(json!({
        "registration_id": server.id,
        "model_name": server.entry.model_name,
        "endpoint_url": server.entry.endpoint_url,
        "status": state_name(server.status.state),
        "created_at": moment(server.created_at_ms),
        "updated_at": moment(server.updated_at_ms),
    }));
    if let Some(passed) = passed {
        if let Some(warning) = passed.warning(&spec.model) {
            body.insert("warning".to_owned(), json!(warning));
        }
        body.insert("models_at_server".to_owned(), json!(passed.models));
    }
    Value::Object(body)
}

fn gated(cx: &Cx<'_>, url: &str) -> Result<Endpoint, ApiError> {
    cx.shared.config.gate.endpoint(url).map_err(|refused| {
        ApiError::new(
            ErrorCode::InvalidValue,
            format!("`endpoint_url` was refused: {refused}. Nothing was changed."),
        )
        .param("endpoint_url")
    })
}

fn sealed(cx: &Cx<'_>, admin: &Admin, id: &str, key: &Secret) -> Result<String, ApiError> {
    let record = format!("server/{id}");
    let context = api_key_context(admin.org.as_str(), &record);
    seal(
        &cx.shared.config.keyring,
        &context,
        key.expose(),
        &cx.random(),
    )
    .map(tidegate_vault::Sealed::into_string)
    .map_err(|refused| bad_value("api_key", &format!("was not stored: {refused}")))
}
