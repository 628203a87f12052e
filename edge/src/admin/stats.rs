//! `GET /admin/stats`: totals over the organisation.

use serde_json::json;
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand};

use super::ask::{self, Subject};
use super::server_view::totals;
use crate::auth::Admin;
use crate::flow::Step;
use crate::request::Response;

/// The totals.
pub fn show(admin: Admin) -> Step {
    let subject = Subject {
        what: "organisation",
        name: admin.org.as_str().to_owned(),
        list: "GET /admin/stats",
    };
    ask::fleet(
        &admin,
        FleetCommand::Stats,
        subject,
        |_, answer| match answer {
            FleetAnswer::Stats { stats } => Ok(Step::Respond(Response::json(
                200,
                &json!({
                    "servers": stats.servers,
                    "healthy_servers": stats.healthy,
                    "models": stats.models,
                    "keys": stats.keys,
                    "snapshot_version": stats.snapshot_version,
                    "totals": totals(&stats.totals),
                }),
            ))),
            other => Err(Box::new(other)),
        },
    )
}
