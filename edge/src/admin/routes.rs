//! `/admin/routes`: model aliases, projects and fallbacks.

use serde_json::{Value, json};
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand, Route, Strategy};

use super::ask::{self, Subject};
use super::fields::{Fields, bad_value, missing};
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::Step;
use crate::request::Response;

const FIELDS: &str = "targets, strategy, weights, fallbacks";

/// `GET /admin/routes`.
pub fn list(admin: Admin) -> Step {
    ask::fleet(
        &admin,
        FleetCommand::Routes,
        subject(""),
        |_, answer| match answer {
            FleetAnswer::Routes { routes } => {
                let data: Vec<Value> = routes
                    .iter()
                    .map(|(name, route)| view(name, route))
                    .collect();
                let body = json!({ "object": "list", "data": data });
                Ok(Step::Respond(Response::json(200, &body)))
            }
            other => Err(Box::new(other)),
        },
    )
}

/// `GET /admin/routes/{name}`.
pub fn show(admin: Admin, name: String) -> Step {
    let command = FleetCommand::Route { name: name.clone() };
    ask::fleet(
        &admin,
        command,
        subject(&name),
        move |_, answer| match answer {
            FleetAnswer::Route { route } => {
                Ok(Step::Respond(Response::json(200, &view(&name, &route))))
            }
            other => Err(Box::new(other)),
        },
    )
}

/// `PUT /admin/routes/{name}`: the whole route, not a part of it.
pub fn put(admin: Admin, name: String) -> Step {
    ask::fields(move |_, fields| {
        let route = read(fields.without_nulls())?;
        let command = FleetCommand::PutRoute {
            name: name.clone(),
            route,
        };
        let org = admin.org.clone();
        Ok(ask::fleet(
            &admin,
            command,
            subject(&name),
            move |cx, answer| match answer {
                FleetAnswer::Route { route } => {
                    cx.shared.snapshots.outdate(org.as_str(), cx.now);
                    Ok(Step::Respond(Response::json(200, &view(&name, &route))))
                }
                other => Err(Box::new(other)),
            },
        ))
    })
}

/// `DELETE /admin/routes/{name}`.
pub fn delete(admin: Admin, name: String) -> Step {
    let command = FleetCommand::DeleteRoute { name: name.clone() };
    let org = admin.org.clone();
    ask::fleet(
        &admin,
        command,
        subject(&name),
        move |cx, answer| match answer {
            FleetAnswer::Done => {
                cx.shared.snapshots.outdate(org.as_str(), cx.now);
                let body = json!({ "name": name, "deleted": true });
                Ok(Step::Respond(Response::json(200, &body)))
            }
            other => Err(Box::new(other)),
        },
    )
}

fn read(mut fields: Fields) -> Result<Route, ApiError> {
    let route = Route {
        targets: fields.texts("targets")?.ok_or_else(|| missing("targets"))?,
        strategy: match fields.text("strategy")? {
            Some(text) => strategy(&text)?,
            None => Strategy::default(),
        },
        weights: fields.numbers("weights")?.unwrap_or_default(),
        fallbacks: fields.texts("fallbacks")?.unwrap_or_default(),
    };
    fields.finish(FIELDS)?;
    Ok(route)
}

fn strategy(text: &str) -> Result<Strategy, ApiError> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|_| {
        bad_value(
            "strategy",
            "must be least_busy, round_robin, latency, cost, weighted or prefix_affinity",
        )
    })
}

fn view(name: &str, route: &Route) -> Value {
    json!({
        "name": name,
        "targets": route.targets,
        "strategy": route.strategy,
        "weights": route.weights,
        "fallbacks": route.fallbacks,
    })
}

fn subject(name: &str) -> Subject {
    Subject {
        what: "route",
        name: name.to_owned(),
        list: "GET /admin/routes",
    }
}
