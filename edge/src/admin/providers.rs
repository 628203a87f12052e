//! `GET /admin/providers`: every vendor of GPUs, what it wants to see, what it can and cannot do, and the accounts
//! that are connected there.
//!
//! Invariant: all of it is made from what the vendor's crate says of itself, so a form or a limit that is shown
//! is the one that is checked.

use serde_json::{Value, json};
use tidegate_durable::bindings::fleet::{AccountEntryView, FleetAnswer, FleetCommand};
use tidegate_provider_api::{Capability, Provider, StoppedBilling, Switch, TimeLimit};
use tidegate_wire_openai::ErrorCode;

use super::accounts;
use super::ask;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::Step;
use crate::request::Response;

/// Every vendor.
pub fn list(admin: Admin) -> Step {
    ask::fleet(
        &admin,
        FleetCommand::Accounts,
        accounts::subject(""),
        |_, answer| match answer {
            FleetAnswer::Accounts { accounts } => {
                let vendors = tidegate_providers::ALL.iter();
                let data: Vec<Value> = vendors.map(|vendor| view(*vendor, &accounts)).collect();
                let body = json!({ "object": "list", "data": data });
                Ok(Step::Respond(Response::json(200, &body)))
            }
            other => Err(Box::new(other)),
        },
    )
}

/// The vendor of a path.
pub fn named(vendor: &str) -> Result<&'static dyn Provider, ApiError> {
    tidegate_providers::by_name(vendor).ok_or_else(|| {
        let known = tidegate_providers::ALL.iter().map(|known| known.vendor());
        let known: Vec<&str> = known.collect();
        ApiError::new(
            ErrorCode::NotFound,
            format!(
                "There is no vendor `{vendor}` here. Known are {}; GET /admin/providers says what each wants.",
                known.join(", ")
            ),
        )
    })
}

/// What ends a machine of this vendor that nobody looks after.
pub fn switches(vendor: &str) -> Vec<&'static str> {
    let provider = tidegate_providers::by_name(vendor);
    let switches = provider.map(|it| it.capability().switches());
    let switches = switches.unwrap_or_default().into_iter();
    switches.map(Switch::as_str).collect()
}

fn view(provider: &dyn Provider, accounts: &[AccountEntryView]) -> Value {
    let form = provider.form();
    let can = provider.capability();
    let own = accounts
        .iter()
        .filter(|account| account.entry.vendor == provider.vendor())
        .map(|account| json!({ "id": account.id, "label": account.entry.label }));
    let permissions = provider.permissions().iter().map(|permission| {
        json!({
            "name": permission.name,
            "required": permission.required,
            "without": permission.without,
        })
    });
    json!({
        "vendor": provider.vendor(),
        "title": provider.title(),
        "credential": form.credential,
        "settings": form.settings,
        "help": form.help,
        "least_privilege": form.least_privilege,
        "permissions": permissions.collect::<Vec<_>>(),
        "capabilities": capabilities(can),
        "dead_man_switches": switches(provider.vendor()),
        "limits": limits(can),
        "accounts": own.collect::<Vec<_>>(),
    })
}

fn capabilities(can: &Capability) -> Value {
    json!({
        "spot": can.spot,
        "stop_start": can.stop_start,
        "idempotent_create": can.idempotent_create,
        "tags": can.tags,
        "public_tls": can.public_tls,
        "reports_cost": can.bills,
        "webhooks": can.webhooks,
        "stopped_billing": stopped_billing(can.stopped_billing),
        "time_limit": can.time_limit.map(|limit| match limit {
            TimeLimit::Vendor => "vendor",
            TimeLimit::Guest => "guest",
        }),
        "billing_minimum_seconds": seconds(can.billing_minimum_ms),
        "billing_step_seconds": seconds(can.billing_step_ms),
        "startup_timeout_seconds": seconds(can.startup_timeout_ms),
        "first_token_timeout_seconds": can.first_token_cap_ms.map(|ms| ms.div_ceil(1000)),
    })
}

const fn stopped_billing(billing: StoppedBilling) -> &'static str {
    match billing {
        StoppedBilling::Full => "full",
        StoppedBilling::Disk => "disk",
        StoppedBilling::None => "none",
    }
}

const fn seconds(ms: i64) -> u64 {
    ms.unsigned_abs().div_ceil(1000)
}

/// What it cannot do, and what that means to whoever rents there.
fn limits(can: &Capability) -> Vec<String> {
    let mut limits = Vec::new();
    if !can.public_tls {
        limits.push(
            "What a machine serves is not reachable over public TLS: an instance stays `ready_unreachable`, \
             and takes no requests, until the node agent carries them."
                .to_owned(),
        );
    }
    if !can.spot {
        limits.push("There are no spot machines.".to_owned());
    }
    limits.push(match (can.stop_start, can.stopped_billing) {
        (false, _) => {
            "A machine cannot be stopped, only given back: where a stop is asked for it ends.".to_owned()
        }
        (true, StoppedBilling::Full) => {
            "A stopped machine costs as much as a running one.".to_owned()
        }
        (true, StoppedBilling::Disk) => {
            "A stopped machine goes on costing its disk, and starting it again can fail for want of capacity."
                .to_owned()
        }
        (true, StoppedBilling::None) => {
            "Starting a stopped machine again can fail for want of capacity.".to_owned()
        }
    });
    if !can.idempotent_create {
        limits.push(format!(
            "When the reply to a launch gets lost, up to {} minutes pass until lists have told whether there is \
             a machine; another offer is tried only then.",
            can.list_lag_ms.unsigned_abs().div_ceil(60_000)
        ));
    }
    if !can.tags {
        limits.push(
            "Machines carry no tags: their name alone says whose they are, so do not rename them."
                .to_owned(),
        );
    }
    if can.time_limit.is_none() {
        limits.push(
            "Neither the vendor nor the machine ends its life when this gateway is gone for good: two dead-man's \
             switches guard it, not three."
                .to_owned(),
        );
    }
    if !can.bills {
        limits.push(
            "The vendor does not tell what a machine has cost: costs are reckoned from its price and its times."
                .to_owned(),
        );
    }
    if let Some(cap) = can.first_token_cap_ms {
        limits.push(format!(
            "Its proxy gives up a request that has had no answer for {} seconds.",
            cap.div_ceil(1000)
        ));
    }
    limits
}
