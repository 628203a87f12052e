//! Everything there is to know about a server, for people.

use tidegate_domain::breaker::BreakerState;
use tidegate_domain::health::CheckResult;
use tidegate_domain::instance::{Average, Figures, GrantKind, OutReason, Phase};
use tidegate_domain::time::Timestamp;

use super::Instance;
use crate::bindings::fleet::ServerState;
use crate::bindings::instance::{CheckReport, InstanceView, LeaseView, TotalsView, WhyOutView};

impl Instance {
    pub(super) fn view(&self, now: Timestamp) -> InstanceView {
        let Some(machine) = &self.machine else {
            return InstanceView {
                phase: "unregistered".to_owned(),
                health: "unknown".to_owned(),
                breaker: "admitting".to_owned(),
                ..InstanceView::default()
            };
        };
        let why = machine.why_out(now);
        let ring = machine.health().ring();
        let load = machine.load(now);
        let health = match (machine.health().is_healthy(), ring.is_empty()) {
            (false, _) => "unhealthy",
            (true, true) => "unknown",
            (true, false) => "healthy",
        };
        InstanceView {
            phase: match machine.phase() {
                Phase::Active => "active",
                Phase::Draining { .. } => "draining",
                Phase::Drained { .. } => "drained",
            }
            .to_owned(),
            in_service: why.is_none(),
            why_out: why.map(|why| WhyOutView {
                reason: why.reason.to_string(),
                since_ms: Some(why.since.as_ms()),
                until_ms: why.until.map(Timestamp::as_ms),
            }),
            health: health.to_owned(),
            checks: ring.iter().map(check).collect(),
            success_rate: ring
                .success_permille()
                .map(|permille| f64::from(permille) / 1000.0),
            mean_latency_ms: ring.mean_latency_ms().map(f64::from),
            breaker: match machine.breaker().state() {
                BreakerState::Admitting { .. } => "admitting",
                BreakerState::Ejected { .. } => "ejected",
                BreakerState::Probing { .. } => "probing",
            }
            .to_owned(),
            consecutive_failures: machine.breaker().consecutive_failures(),
            ejections: machine.breaker().times(),
            running: load.running,
            queued: load.queued,
            capacity: load.capacity,
            queue_depth: machine.limits().queue_depth,
            leases: machine
                .leases()
                .map(|(request, lease)| LeaseView {
                    request: request.to_string(),
                    granted_at_ms: lease.granted_at.as_ms(),
                    expires_at_ms: lease.expires_at.as_ms(),
                    kind: match lease.kind {
                        GrantKind::Normal | GrantKind::Tentative => "normal",
                        GrantKind::Probe => "probe",
                        GrantKind::Panic => "panic",
                    }
                    .to_owned(),
                })
                .collect(),
            first_token_ewma_ms: average(machine.figures().ttft),
            duration_ewma_ms: average(machine.figures().duration),
            totals: totals(machine.figures()),
        }
    }
}

fn average(average: Average) -> Option<f64> {
    average.ms_256.map(|ms_256| ms_256 as f64 / 256.0)
}

fn check(result: &CheckResult) -> CheckReport {
    CheckReport {
        at_ms: result.at.as_ms(),
        ok: result.ok,
        latency_ms: u64::from(result.latency_ms),
        reason: result.reason.map(|fault| fault.to_string()),
    }
}

pub(super) const fn totals(figures: &Figures) -> TotalsView {
    let totals = &figures.totals;
    TotalsView {
        requests: totals
            .successes
            .saturating_add(totals.client_errors)
            .saturating_add(totals.backpressure)
            .saturating_add(totals.failures.sum())
            .saturating_add(totals.clients_left),
        successes: totals.successes,
        client_errors: totals.client_errors,
        backpressure: totals.backpressure,
        failures: totals.failures.sum(),
        client_left: totals.clients_left,
        leases_expired: totals.leases_expired,
        prompt_tokens: totals.prompt_tokens,
        completion_tokens: totals.completion_tokens,
    }
}

pub(super) const fn state_of(reason: OutReason) -> ServerState {
    match reason {
        OutReason::Draining | OutReason::Drained => ServerState::Draining,
        OutReason::Unhealthy(_) => ServerState::Unhealthy,
        OutReason::Ejected(_) | OutReason::Probing(_) => ServerState::Ejected,
        OutReason::CoolingDown => ServerState::CoolingDown,
    }
}
