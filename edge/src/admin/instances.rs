//! `/admin/instances`: rented GPUs, looked at and told what to do; `launch` begins them.
//!
//! What is to be done is asked of the GPU's own object at once, without the registry in between: giving back what
//! costs money must not wait for anything else. The registry's part of a view stands by itself when that object does
//! not answer.
//!
//! Invariant: an id addresses an object only if this installation made it for this organisation. The private key of
//! a GPU leaves in one answer, which is not to be stored, and after the audit has it.

mod body;
mod estimate;
pub mod launch;
mod view;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand, RentalQuery, RentalRow};
use tidegate_durable::bindings::instance::InstanceCommand;
use tidegate_durable::bindings::ledger::{CostAnswer, LedgerCommand};
use tidegate_durable::bindings::profile::RentalEntry;
use tidegate_durable::bindings::rental::{
    RentalAnswer, RentalEvent, RentalEvents, RentalState, RentalVerb, RentalView,
};
use tidegate_vault::verify_instance_id;
use tidegate_wire_openai::ErrorCode;

use super::accounts::in_doubt;
use super::ask::{self, COURTESY_TIMEOUT_MS, Subject};
use super::fields::bad_value;
use super::rfc3339::moment;
use super::seals::opened;
use super::servers::query_number;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::{Question, Step, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;

const PAGE: u32 = 50;
const MAX_PAGE: u32 = 200;
const EVENTS_PAGE: u32 = 100;
const MAX_EVENTS_PAGE: u32 = 500;
/// Numbers pass through JavaScript, which holds no larger ones exactly.
const MOST_BEFORE: u64 = (1 << 53) - 1;
/// The field that the private key is sealed for, in the record `instance/{id}`.
const SSH_KEY: &str = "ssh_key";

/// `GET /admin/instances?state=&over=&account=&profile=&limit=&offset=`.
pub fn list(cx: &mut Cx<'_>, admin: Admin) -> Step {
    let query = match read_query(cx) {
        Ok(query) => query,
        Err(refused) => return refused.into(),
    };
    let (limit, offset) = (query.limit, query.offset);
    ask::fleet(
        &admin,
        FleetCommand::Rentals(query),
        subject(""),
        move |_, answer| match answer {
            FleetAnswer::Rentals { rentals, total } => {
                let row = |row: &RentalRow| Value::Object(view::row(row));
                let body = json!({
                    "object": "list",
                    "data": rentals.iter().map(row).collect::<Vec<_>>(),
                    "total": total,
                    "limit": limit,
                    "offset": offset,
                });
                Ok(Step::Respond(Response::json(200, &body)))
            }
            other => Err(Box::new(other)),
        },
    )
}

fn read_query(cx: &Cx<'_>) -> Result<RentalQuery, ApiError> {
    let text = |name| cx.head.query(name).filter(|text| !text.is_empty());
    let state = text("state").map(|text| {
        let mut states = RentalState::ALL.into_iter();
        states.find(|it| it.as_str() == text).ok_or_else(|| {
            let names = RentalState::ALL.map(RentalState::as_str).join(", ");
            bad_value("state", &format!("must be one of {names}"))
        })
    });
    let over = text("over").map(|text| match text.as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad_value("over", "must be true or false")),
    });
    Ok(RentalQuery {
        state: state.transpose()?,
        over: over.transpose()?,
        account: text("account"),
        profile: text("profile"),
        limit: query_number(cx, "limit", 1..=MAX_PAGE)?.unwrap_or(PAGE),
        offset: query_number(cx, "offset", 0..=u32::MAX)?.unwrap_or_default(),
    })
}

/// `GET /admin/instances/{id}`.
pub fn show(cx: &mut Cx<'_>, admin: Admin, id: String) -> Step {
    with_entry(cx, admin, id, |_, admin, entry| {
        let org = admin.org.as_str();
        let cost = LedgerCommand::Cost {
            instance: entry.id.clone(),
        };
        let questions = vec![
            Question::new(
                ObjectName::instance(org, &entry.id),
                &InstanceCommand::Rental,
                COURTESY_TIMEOUT_MS,
            ),
            Question::new(ObjectName::ledger(org), &cost, COURTESY_TIMEOUT_MS),
        ];
        Step::gather(
            questions,
            move |_, answers: Vec<Result<Value, Unanswered>>| {
                let mut answers = answers.into_iter();
                let live = read::<RentalAnswer>(answers.next()).and_then(rental);
                let cost = read::<CostAnswer>(answers.next());
                let body = Value::Object(view::detail(&entry, live.as_ref(), cost));
                Step::Respond(Response::json(200, &body))
            },
        )
    })
}

fn read<T: DeserializeOwned>(answer: Option<Result<Value, Unanswered>>) -> Option<T> {
    serde_json::from_value(answer?.ok()?).ok()
}

/// `POST /admin/instances/{id}/{verb}`.
pub fn tell(cx: &mut Cx<'_>, admin: Admin, id: String, verb: RentalVerb) -> Step {
    if !is_ours(cx, &admin, &id) {
        return subject(&id).unknown().into();
    }
    let to = ObjectName::instance(admin.org.as_str(), &id);
    let command = InstanceCommand::Do {
        verb,
        actor: admin.actor.clone(),
    };
    let then = move |cx: &mut Cx<'_>, answer: Result<RentalAnswer, Unanswered>| match answer {
        Ok(RentalAnswer::Accepted { rental }) => done(cx, &admin, &id, "accepted", &rental),
        Ok(RentalAnswer::AlreadySo { rental }) => done(cx, &admin, &id, "already_so", &rental),
        Ok(RentalAnswer::Refused { reason, rental }) => {
            let state = rental.status.state.as_str();
            let refused = format!("The instance is {state}, and nothing was done: {reason}");
            ApiError::new(ErrorCode::Conflict, refused).into()
        }
        Ok(RentalAnswer::NotFound) => not_begun(cx, admin, id),
        Err(_) => in_doubt("The instance").into(),
    };
    Step::ask(to, &command, then)
}

fn done(cx: &mut Cx<'_>, admin: &Admin, id: &str, result: &str, rental: &RentalView) -> Step {
    // It may have left the rotation.
    cx.shared.snapshots.outdate(admin.org.as_str(), cx.now);
    let mut body = view::live(Some(rental));
    body.extend(view::status(&rental.status));
    body.insert("id".to_owned(), json!(id));
    body.insert("result".to_owned(), json!(result));
    body.remove("live_error");
    Step::Respond(Response::json(200, &Value::Object(body)))
}

/// The registry knows whether it is on its way to its object or is none.
fn not_begun(cx: &mut Cx<'_>, admin: Admin, id: String) -> Step {
    with_entry(cx, admin, id, |_, _, _| {
        ApiError::new(
            ErrorCode::GatewayUnavailable,
            "The instance was launched a moment ago and its own object has not heard of it yet, so nothing was \
             done. Ask again.",
        )
        .into()
    })
}

/// `GET /admin/instances/{id}/events?limit=&before=`.
pub fn events(cx: &mut Cx<'_>, admin: Admin, id: String) -> Step {
    let page = || {
        let limit = query_number(cx, "limit", 1..=MAX_EVENTS_PAGE)?.unwrap_or(EVENTS_PAGE);
        let before = query_number(cx, "before", 0..=MOST_BEFORE)?;
        Ok::<_, ApiError>(InstanceCommand::Events { limit, before })
    };
    let command = match page() {
        Ok(command) => command,
        Err(refused) => return refused.into(),
    };
    with_entry(cx, admin, id, move |_, admin, entry| {
        let to = ObjectName::instance(admin.org.as_str(), &entry.id);
        Step::ask(
            to,
            &command,
            |_, answer: Result<RentalEvents, Unanswered>| match answer {
                Ok(page) => {
                    let event = |it: &RentalEvent| {
                        json!({
                            "number": it.number,
                            "happened_at": moment(it.at_ms),
                            "event": it.what,
                            "detail": it.detail,
                        })
                    };
                    let body = json!({
                        "object": "list",
                        "data": page.events.iter().map(event).collect::<Vec<_>>(),
                        "next_before": page.next_before,
                    });
                    Step::Respond(Response::json(200, &body))
                }
                Err(unanswered) => ApiError::from(unanswered).into(),
            },
        )
    })
}

/// `POST /admin/instances/{id}/ssh-key`: the private half of its key pair.
pub fn ssh_key(cx: &mut Cx<'_>, admin: Admin, id: String) -> Step {
    with_entry(cx, admin, id, |_, admin, entry| {
        let Some(sealed) = entry.sealed_ssh_key.clone() else {
            let message = "The instance was launched with `ssh` false, so it has no key pair.";
            return ApiError::new(ErrorCode::Conflict, message).into();
        };
        let asker = admin.clone();
        let note = FleetCommand::NoteRental {
            id: entry.id.clone(),
            action: "instance.ssh_key_shown".to_owned(),
            reason: String::new(),
        };
        let subject = subject(&entry.id);
        ask::fleet(&asker, note, subject, move |cx, answer| match answer {
            FleetAnswer::Done => Ok(shown(cx, &admin, &entry, &sealed).unwrap_or_else(Step::from)),
            other => Err(Box::new(other)),
        })
    })
}

fn shown(cx: &Cx<'_>, admin: &Admin, entry: &RentalEntry, sealed: &str) -> Result<Step, ApiError> {
    let key = opened(cx, admin, &record(&entry.id), SSH_KEY, sealed).map_err(|refused| {
        let message =
            format!("The key pair cannot be read any more: {refused}. Launch another instance.");
        ApiError::new(ErrorCode::Conflict, message)
    })?;
    let body = json!({
        "id": entry.id,
        "private_key": key.expose_str(),
        "public_key": entry.launch.ssh_public_key,
    });
    let response = Response::json(200, &body);
    Ok(Step::Respond(
        response.with_header("cache-control", "no-store"),
    ))
}

/// Goes on with a rental that the registry has.
fn with_entry(
    cx: &mut Cx<'_>,
    admin: Admin,
    id: String,
    then: impl FnOnce(&mut Cx<'_>, Admin, RentalEntry) -> Step + 'static,
) -> Step {
    if !is_ours(cx, &admin, &id) {
        return subject(&id).unknown().into();
    }
    let asker = admin.clone();
    let command = FleetCommand::Rental { id: id.clone() };
    ask::fleet(
        &asker,
        command,
        subject(&id),
        move |cx, answer| match answer {
            FleetAnswer::Rental { rental } => Ok(then(cx, admin, *rental)),
            other => Err(Box::new(other)),
        },
    )
}

fn rental(answer: RentalAnswer) -> Option<RentalView> {
    match answer {
        RentalAnswer::Accepted { rental }
        | RentalAnswer::AlreadySo { rental }
        | RentalAnswer::Refused { rental, .. } => Some(*rental),
        RentalAnswer::NotFound => None,
    }
}

fn is_ours(cx: &Cx<'_>, admin: &Admin, id: &str) -> bool {
    verify_instance_id(&cx.shared.config.installation, &admin.org, id)
}

fn record(id: &str) -> String {
    format!("instance/{id}")
}

fn subject(id: &str) -> Subject {
    Subject {
        what: "instance",
        name: id.to_owned(),
        list: "GET /admin/instances",
    }
}
