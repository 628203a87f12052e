//! What was launched, as the terms of its life.

use tidegate_domain::lifecycle::{Ends, StopWindow, Terms};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_provider_api::{Capability, StoppedBilling};

use crate::bindings::rental::{Candidate, Launch, OnIdle};

/// What holds where a vendor is not known to this release: nothing can be stopped, nothing is public, and
/// everything takes long.
const UNKNOWN: Capability = Capability {
    spot: false,
    stop_start: false,
    idempotent_create: false,
    tags: false,
    public_tls: false,
    bills: false,
    time_limit: None,
    stopped_billing: StoppedBilling::Full,
    list_lag_ms: 600_000,
    create_timeout_ms: 60_000,
    call_timeout_ms: 20_000,
    startup_timeout_ms: 1_800_000,
    large_startup_timeout_ms: 1_800_000,
    stop_lead_ms: 120_000,
    billing_minimum_ms: 60_000,
    billing_step_ms: 1_000,
    calls_per_minute: 1,
    first_token_cap_ms: None,
    webhooks: false,
};

/// What a vendor can do.
pub(super) fn capability(vendor: &str) -> &'static Capability {
    tidegate_providers::by_name(vendor).map_or(&UNKNOWN, |provider| provider.capability())
}

/// The terms of every offer.
pub(super) fn of(launch: &Launch) -> Vec<Terms> {
    let mut accounts: Vec<&str> = Vec::new();
    let mut terms = Vec::new();
    for candidate in &launch.candidates {
        let at = accounts
            .iter()
            .position(|account| *account == candidate.account)
            .unwrap_or_else(|| {
                accounts.push(&candidate.account);
                accounts.len() - 1
            });
        terms.push(of_candidate(launch, candidate, at));
    }
    terms
}

fn of_candidate(launch: &Launch, candidate: &Candidate, account: usize) -> Terms {
    let can = capability(&candidate.vendor);
    let offer = &candidate.offer;
    let disk_gb = launch.runtime.disk_gb;
    let rate = offer.running_microusd_per_hour(disk_gb).unwrap_or_default();
    Terms {
        account: u32::try_from(account).unwrap_or(u32::MAX),
        microusd_per_hour: rate,
        stopped_microusd_per_hour: match can.stopped_billing {
            StoppedBilling::Full => rate,
            StoppedBilling::Disk => offer
                .disk
                .map_or(rate, |disk| disk.microusd_per_hour(disk_gb)),
            StoppedBilling::None => 0,
        },
        gpus: offer.gpu.count,
        is_public: can.public_tls,
        calls_home: launch.callback_base.is_some() && !can.public_tls,
        // What is rented by the bid cannot be stopped by its tenant.
        can_stop: can.stop_start && !offer.spot,
        bills: can.bills,
        is_idempotent: can.idempotent_create,
        list_lag: Span::from_ms(can.list_lag_ms),
        startup: Span::from_ms(can.startup_ms(offer.gpu.count)),
        stop_lead: Span::from_ms(can.stop_lead_ms),
        billing_minimum: Span::from_ms(can.billing_minimum_ms),
    }
}

/// When it ends by itself.
pub(super) fn ends(launch: &Launch) -> Ends {
    let ends = &launch.ends;
    Ends {
        idle: ends.idle_ms.map(Span::from_ms),
        idle_stops: ends.on_idle == OnIdle::Stop,
        max_lifetime: Span::from_ms(ends.max_lifetime_ms),
        until: ends.until_ms.map(Timestamp::from_ms),
        stop_windows: ends
            .stop_windows
            .iter()
            .map(|window| StopWindow {
                from: window.from_minute,
                to: window.to_minute,
            })
            .collect(),
    }
}
