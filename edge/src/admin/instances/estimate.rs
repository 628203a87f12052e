//! What a launch would cost, before anything is rented.
//!
//! Invariant: sums are exact to the micro-dollar, reckoned as the ledger reckons. They are those of the first
//! candidate; what the dearest costs an hour stands beside them. Only the ledger says whether it may be spent.

use serde_json::{Value, json};
use tidegate_domain::lifecycle::RENEWAL;
use tidegate_domain::money::price;
use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::fleet::Profile;
use tidegate_durable::bindings::ledger::EstimateAnswer;
use tidegate_durable::bindings::rental::Ends;

use crate::admin::budgets;
use crate::admin::offers::{Failure, Listed, failure, offer};
use crate::admin::price::dollars;
use crate::gateway::Cx;

const HOUR: Span = Span::from_secs(3_600);

/// What it would cost, in micro-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// An hour.
    pub per_hour: u64,
    /// An hour, of the dearest candidate.
    pub dearest_per_hour: u64,
    /// From the first minute up to an hour.
    pub first_hour: u64,
    /// Until it ends by itself at the latest.
    pub whole_life: u64,
    /// The shortest time that is billed.
    pub minimum: u64,
    /// For how long it must be paid ahead to begin: as the instance will ask.
    pub hold: Span,
    /// How long it may live at most.
    pub life: Span,
}

impl Sums {
    /// Reckons up what these candidates would cost, of which the first is the cheapest.
    pub fn of(chosen: &[Listed], disk_gb: u32, ends: &Ends, now: Timestamp) -> Self {
        let rates = chosen
            .iter()
            .filter_map(|it| it.offer.running_microusd_per_hour(disk_gb));
        let per_hour = rates.clone().next().unwrap_or_default();
        let vendor = chosen.first().map(|it| it.account.entry.vendor.as_str());
        let can = vendor
            .and_then(tidegate_providers::by_name)
            .map(|it| it.capability());
        let minimum = can.map_or(Span::ZERO, |can| Span::from_ms(can.billing_minimum_ms));
        let lead = can.map_or(Span::ZERO, |can| Span::from_ms(can.stop_lead_ms));
        let most = Span::from_ms(ends.max_lifetime_ms);
        let until = ends.until_ms.map(Timestamp::from_ms);
        let life = until.map_or(most, |until| most.min(now.until(until)));
        Self {
            per_hour,
            dearest_per_hour: rates.max().unwrap_or_default(),
            first_hour: price(per_hour, life.min(HOUR).max(minimum)),
            whole_life: price(per_hour, life.max(minimum)),
            minimum: price(per_hour, minimum),
            hold: RENEWAL + lead + minimum,
            life,
        }
    }
}

/// All that is said before a launch.
pub fn view(
    cx: &Cx<'_>,
    profile: (&str, &Profile),
    chosen: &[Listed],
    sums: &Sums,
    ledger: &EstimateAnswer,
    failures: &[Failure],
) -> Value {
    let (name, profile) = profile;
    let candidates: Vec<Value> = chosen
        .iter()
        .map(|it| offer(it, profile.disk_gb, cx.now))
        .collect();
    json!({
        "profile": name,
        "model_name": profile.model_name,
        "candidates": candidates,
        "price_per_hour": dollars(sums.per_hour),
        "dearest_price_per_hour": dollars(sums.dearest_per_hour),
        "first_hour": dollars(sums.first_hour),
        "whole_life": dollars(sums.whole_life),
        "whole_life_seconds": sums.life.as_ms() / 1000,
        "billing_minimum": dollars(sums.minimum),
        "needed_now": dollars(ledger.needed_microusd),
        "budgets": ledger.budgets.iter().map(budgets::view).collect::<Vec<_>>(),
        "allowed": ledger.denied.is_none(),
        "denied": ledger.denied,
        "warnings": warnings(cx, profile, chosen),
        "failures": failures.iter().map(failure).collect::<Vec<_>>(),
    })
}

fn warnings(cx: &Cx<'_>, profile: &Profile, chosen: &[Listed]) -> Vec<String> {
    let mut warnings = Vec::new();
    if profile.api_key_env.is_none() {
        warnings.push(
            "The profile names no variable for a key (`api_key_env`), so its server asks for none: whoever finds \
             its address may use it."
                .to_owned(),
        );
    }
    let mut hidden: Vec<&str> = Vec::new();
    for listed in chosen {
        let vendor = tidegate_providers::by_name(&listed.account.entry.vendor);
        if let Some(vendor) = vendor.filter(|it| !it.capability().public_tls)
            && !hidden.contains(&vendor.title())
        {
            hidden.push(vendor.title());
        }
    }
    if !hidden.is_empty() {
        warnings.push(format!(
            "What runs at {} is not reachable over public TLS: it stays `ready_unreachable`, and bills, until the \
             node agent carries its requests.",
            hidden.join(" and ")
        ));
    }
    if chosen.iter().any(|it| it.offer.spot) {
        warnings.push("A spot machine may be taken away at any moment.".to_owned());
    }
    if cx.shared.config.public_url.is_none() {
        warnings.push(
            "PUBLIC_URL is not set, so the machine is not told to call home: it is watched from here alone."
                .to_owned(),
        );
    }
    warnings
}
