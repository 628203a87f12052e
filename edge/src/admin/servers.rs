//! `/admin/servers`: the registry's list, everything about one server, and its switches.

use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::{Value, json};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::{
    FleetAnswer, FleetCommand, ServerQuery, ServerState, ServerView,
};
use tidegate_durable::bindings::instance::{Done, InstanceCommand, InstanceView};

use super::ask::{self, COURTESY_TIMEOUT_MS, Subject};
use super::fields::bad_value;
use super::server_view::{self, STATES, state_name};
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::{Step, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;

const PAGE: u32 = 50;
const MAX_PAGE: u32 = 200;
/// The policy lets a check take a minute; the object needs a moment more.
const CHECK_TIMEOUT_MS: u64 = 65_000;

/// `GET /admin/servers?model=&owner=&state=&sort=&limit=&offset=`.
pub fn list(cx: &mut Cx<'_>, admin: Admin) -> Step {
    let query = match read_query(cx) {
        Ok(query) => query,
        Err(refused) => return refused.into(),
    };
    let (limit, offset) = (query.limit, query.offset);
    let command = FleetCommand::Servers(query);
    ask::fleet(
        &admin,
        command,
        Subject::server(""),
        move |_, answer| match answer {
            FleetAnswer::Servers { servers, total } => {
                let view = |server: &ServerView| Value::Object(server_view::registered(server));
                let body = json!({
                    "object": "list",
                    "data": servers.iter().map(view).collect::<Vec<_>>(),
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

/// `GET /admin/servers/{id}`.
pub fn show(cx: &mut Cx<'_>, admin: Admin, id: String) -> Step {
    ask::server(cx, admin, id, move |admin, id| {
        let command = FleetCommand::Server { id: id.clone() };
        let org = admin.org.clone();
        ask::fleet(
            &admin,
            command,
            Subject::server(&id),
            move |_, answer| match answer {
                FleetAnswer::Server { server, .. } => {
                    Ok(describe(ObjectName::instance(org.as_str(), &id), server))
                }
                other => Err(Box::new(other)),
            },
        )
    })
}

/// The registry's part stands by itself: a server's object that does not answer is worth knowing about,
/// not worth an error.
fn describe(instance: ObjectName, server: Box<ServerView>) -> Step {
    let then = move |_: &mut Cx<'_>, view: Result<InstanceView, Unanswered>| {
        let mut body = server_view::registered(&server);
        let error = match view {
            Ok(view) => {
                body.extend(server_view::live(&view));
                Value::Null
            }
            Err(_) => {
                let absent = server_view::live(&InstanceView::default()).into_iter();
                let absent = absent.filter(|(name, _)| name != "totals");
                body.extend(absent.map(|(name, _)| (name, Value::Null)));
                json!(
                    "The server's own object did not answer, so checks, breaker, queue and leases are \
                     not known now. The rest is what it last announced. Try again in a moment."
                )
            }
        };
        body.insert("live_error".to_owned(), error);
        Step::Respond(Response::json(200, &Value::Object(body)))
    };
    Step::ask_within(
        COURTESY_TIMEOUT_MS,
        instance,
        &InstanceCommand::Describe,
        then,
    )
}

/// `POST /admin/servers/{id}/health-check`.
pub fn check(cx: &mut Cx<'_>, admin: Admin, id: String) -> Step {
    ask::server(cx, admin, id, move |admin, id| {
        let instance = ObjectName::instance(admin.org.as_str(), &id);
        let then = move |_: &mut Cx<'_>, view: Result<InstanceView, Unanswered>| match view {
            Ok(view) if view.phase == "unregistered" => Subject::server(&id).unknown().into(),
            Ok(view) => {
                let mut body = server_view::live(&view);
                body.insert("id".to_owned(), json!(id));
                body.insert(
                    "check".to_owned(),
                    json!(view.checks.last().map(server_view::check)),
                );
                Step::Respond(Response::json(200, &Value::Object(body)))
            }
            Err(unanswered) => ApiError::from(unanswered).into(),
        };
        Step::ask_within(
            CHECK_TIMEOUT_MS,
            instance,
            &InstanceCommand::HealthCheck,
            then,
        )
    })
}

/// `POST /admin/servers/{id}/drain`. Running requests finish.
pub fn drain(cx: &mut Cx<'_>, admin: Admin, id: String) -> Step {
    set_draining(cx, admin, id, true)
}

/// `POST /admin/servers/{id}/resume`.
pub fn resume(cx: &mut Cx<'_>, admin: Admin, id: String) -> Step {
    set_draining(cx, admin, id, false)
}

fn set_draining(cx: &mut Cx<'_>, admin: Admin, id: String, draining: bool) -> Step {
    ask::server(cx, admin, id, move |admin, id| {
        let command = FleetCommand::SetDraining {
            id: id.clone(),
            draining,
        };
        let org = admin.org.clone();
        ask::fleet(
            &admin,
            command,
            Subject::server(&id),
            move |cx, answer| match answer {
                FleetAnswer::Server { server, .. } => {
                    cx.shared.snapshots.outdate(org.as_str(), cx.now);
                    let instance = ObjectName::instance(org.as_str(), &id);
                    Ok(tell(instance, draining, server))
                }
                other => Err(Box::new(other)),
            },
        )
    })
}

/// The fleet's outbox tells the server as well; asking here makes the answer true when it is read.
fn tell(instance: ObjectName, draining: bool, server: Box<ServerView>) -> Step {
    let command = if draining {
        InstanceCommand::Drain
    } else {
        InstanceCommand::Resume
    };
    let then = move |_: &mut Cx<'_>, _: Result<Done, Unanswered>| {
        let body = Value::Object(server_view::registered(&server));
        Step::Respond(Response::json(200, &body))
    };
    Step::ask_within(COURTESY_TIMEOUT_MS, instance, &command, then)
}

fn read_query(cx: &Cx<'_>) -> Result<ServerQuery, ApiError> {
    let text = |name| cx.head.query(name).filter(|text| !text.is_empty());
    Ok(ServerQuery {
        model: text("model"),
        owner: text("owner"),
        state: text("state").map(|text| read_state(&text)).transpose()?,
        sort: text("sort"),
        limit: query_number(cx, "limit", 1..=MAX_PAGE)?.unwrap_or(PAGE),
        offset: query_number(cx, "offset", 0..=u32::MAX)?.unwrap_or_default(),
    })
}

fn read_state(text: &str) -> Result<ServerState, ApiError> {
    let state = STATES.into_iter().find(|state| state_name(*state) == text);
    state.ok_or_else(|| {
        let names = STATES.map(state_name).join(", ");
        bad_value("state", &format!("must be one of {names}"))
    })
}

/// A whole number in the query.
pub fn query_number<T>(
    cx: &Cx<'_>,
    name: &'static str,
    range: RangeInclusive<T>,
) -> Result<Option<T>, ApiError>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let Some(text) = cx.head.query(name) else {
        return Ok(None);
    };
    match text.parse::<T>() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => {
            let (low, high) = (range.start(), range.end());
            Err(bad_value(
                name,
                &format!("must be a whole number from {low} to {high}"),
            ))
        }
    }
}
