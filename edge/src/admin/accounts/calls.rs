//! What is asked of a vendor through an account: is all well, which regions, which GPUs; and another credential.
//!
//! Invariant: the vendor is called by the account's own object alone. These are long polls, and none of them changes
//! anything at the vendor.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::account::{
    AccountCommand, OffersAnswer, RegionsAnswer, RotateAnswer, TestReport,
};
use tidegate_durable::bindings::fleet::{
    AccountEntryView, FleetAnswer, FleetCommand, FleetMessage,
};
use tidegate_provider_api::{Offer, ProviderError};
use tidegate_wire_openai::ErrorCode;

use super::{CREDENTIAL, form, in_doubt, record, registered, view, with};
use crate::admin::ask;
use crate::admin::fields::bad_value;
use crate::admin::offers::{COMMON_DISK_GB, OFFERS_TIMEOUT_MS, offered};
use crate::admin::price::dollars;
use crate::admin::providers;
use crate::admin::rfc3339::moment;
use crate::admin::seals::sealed;
use crate::admin::vendor_error;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::{Step, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;

/// A test asks the vendor once for each permission, a rotation lists every region: each call may take 20 s, and
/// they wait their turn behind what is more urgent.
const CALLS_TIMEOUT_MS: u64 = 90_000;

/// `POST …/{id}/test`.
pub fn test(cx: &mut Cx<'_>, admin: Admin, vendor: String, id: String) -> Step {
    with(cx, admin, vendor, id, |_, admin, account| {
        let to = ObjectName::account(admin.org.as_str(), &account.id);
        let then = |_: &mut Cx<'_>, report: Result<TestReport, Unanswered>| match report {
            Ok(report) => Step::Respond(Response::json(200, &view::test(&report))),
            Err(unanswered) => ApiError::from(unanswered).into(),
        };
        Step::ask_within(CALLS_TIMEOUT_MS, to, &AccountCommand::Test, then)
    })
}

/// `POST …/{id}/rotate`.
pub fn rotate(cx: &mut Cx<'_>, admin: Admin, vendor: String, id: String) -> Step {
    with(cx, admin, vendor, id, |_, admin, account| {
        ask::fields(move |cx, mut fields| {
            let provider = providers::named(&account.entry.vendor)?;
            let credential = fields.inner(CREDENTIAL)?;
            fields.finish(CREDENTIAL)?;
            let credential = form::credential(provider, credential)?;
            let plaintext = credential.to_plaintext();
            let sealed = sealed(cx, &admin, &record(&account.id), CREDENTIAL, &plaintext)
                .map_err(|refused| bad_value(CREDENTIAL, &format!("was not stored: {refused}")))?;
            let to = ObjectName::account(admin.org.as_str(), &account.id);
            let then = move |_: &mut Cx<'_>, answer: Result<RotateAnswer, Unanswered>| match answer
            {
                Ok(RotateAnswer::Rotated) => noted(&admin, &account),
                Ok(RotateAnswer::Refused { reason, missing }) => refused(&reason, &missing).into(),
                Err(_) => in_doubt("The account").into(),
            };
            let command = AccountCommand::Rotate { sealed };
            Ok(Step::ask_within(CALLS_TIMEOUT_MS, to, &command, then))
        })
    })
}

/// The new credential is in use, whether or not the audit hears of it now.
fn noted(admin: &Admin, account: &AccountEntryView) -> Step {
    let mut body = registered(account);
    body.insert("rotated".to_owned(), json!(true));
    let message = FleetMessage {
        actor: Some(admin.actor.clone()),
        once: None,
        command: FleetCommand::NoteAccount {
            id: account.id.clone(),
            action: "account.rotated".to_owned(),
            reason: "another credential is in use".to_owned(),
        },
    };
    let to = ObjectName::fleet(admin.org.as_str());
    Step::ask(
        to,
        &message,
        move |_, _: Result<FleetAnswer, Unanswered>| {
            Step::Respond(Response::json(200, &Value::Object(body)))
        },
    )
}

fn refused(reason: &str, missing: &[String]) -> ApiError {
    let named = if missing.is_empty() {
        String::new()
    } else {
        format!(" It does not show {}.", missing.join(", "))
    };
    ApiError::new(
        ErrorCode::Conflict,
        format!(
            "The old credential stays in use, because {reason}.{named} A new one takes over only once it has \
             shown every machine that is alive."
        ),
    )
}

/// `GET …/{id}/regions`.
pub fn regions(cx: &mut Cx<'_>, admin: Admin, vendor: String, id: String) -> Step {
    with(cx, admin, vendor, id, |_, admin, account| {
        let to = ObjectName::account(admin.org.as_str(), &account.id);
        let then = |_: &mut Cx<'_>, answer: Result<RegionsAnswer, Unanswered>| match answer {
            Ok(RegionsAnswer::Regions { regions }) => {
                let data: Vec<Value> = regions
                    .iter()
                    .map(|it| json!({ "id": it.id, "name": it.name, "enabled": it.enabled }))
                    .collect();
                let body = json!({ "object": "list", "data": data });
                Step::Respond(Response::json(200, &body))
            }
            Ok(RegionsAnswer::Failed { error }) => {
                vendor_error::refusal("The vendor did not tell its regions", &error).into()
            }
            Err(unanswered) => ApiError::from(unanswered).into(),
        };
        Step::ask_within(OFFERS_TIMEOUT_MS, to, &AccountCommand::Regions, then)
    })
}

/// `GET …/{id}/gpu-types`: each GPU once, out of all that the account offers.
pub fn gpu_types(cx: &mut Cx<'_>, admin: Admin, vendor: String, id: String) -> Step {
    with(cx, admin, vendor, id, |_, admin, account| {
        let to = ObjectName::account(admin.org.as_str(), &account.id);
        let then = |_: &mut Cx<'_>, answer: Result<OffersAnswer, Unanswered>| match answer {
            Ok(answer) if answer.offers.is_empty() && !answer.failures.is_empty() => {
                let first = answer.failures.first();
                let refusal = |error: &ProviderError| {
                    vendor_error::refusal("The vendor did not tell what it has", error).into()
                };
                first.map_or_else(|| types(&answer), refusal)
            }
            Ok(answer) => types(&answer),
            Err(unanswered) => ApiError::from(unanswered).into(),
        };
        Step::ask_within(OFFERS_TIMEOUT_MS, to, &AccountCommand::Offers, then)
    })
}

#[derive(Default)]
struct GpuType<'a> {
    name: &'a str,
    vram_gb: u32,
    counts: BTreeSet<u32>,
    regions: BTreeSet<&'a str>,
    spot: bool,
    cheapest: Option<u64>,
}

fn types(answer: &OffersAnswer) -> Step {
    let mut types: BTreeMap<&str, GpuType<'_>> = BTreeMap::new();
    for offer in &answer.offers {
        let Offer { gpu, region, .. } = offer;
        let kind = types.entry(&gpu.model).or_default();
        kind.name = &gpu.name;
        kind.vram_gb = gpu.vram_gb;
        kind.counts.insert(gpu.count);
        kind.regions.insert(region);
        kind.spot |= offer.spot;
        let price = offered("", offer, COMMON_DISK_GB).microusd_per_gpu_hour();
        kind.cheapest = match (kind.cheapest, price) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    let data: Vec<Value> = types
        .into_iter()
        .map(|(model, it)| {
            json!({
                "model": model,
                "name": it.name,
                "vram_gb": it.vram_gb,
                "counts": it.counts,
                "regions": it.regions,
                "spot": it.spot,
                "price_per_gpu_hour_from": it.cheapest.map(dollars),
            })
        })
        .collect();
    let failures: Vec<Value> = answer.failures.iter().map(vendor_error::view).collect();
    let body = json!({
        "object": "list",
        "data": data,
        "fetched_at": answer.fetched_at_ms.map(moment),
        "failures": failures,
    });
    Step::Respond(Response::json(200, &body))
}
