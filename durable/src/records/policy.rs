//! The reliability policy as an instance's machine takes it.

use tidegate_domain::breaker::BreakerPolicy;
use tidegate_domain::health::HealthPolicy;
use tidegate_domain::instance::{Policy, RetryPolicy};
use tidegate_domain::queue::QueuePolicy;
use tidegate_domain::time::Span;

use crate::bindings::fleet::ReliabilityPolicy;

/// The numbers of one server's machine; what the policy does not name keeps its default.
pub fn machine_policy(wire: &ReliabilityPolicy) -> Policy {
    let defaults = Policy::default();
    Policy {
        breaker: BreakerPolicy {
            consecutive_failures: wire.eject_after_consecutive_failures,
            failure_share_permille: wire.eject_failure_percent.saturating_mul(10),
            least_requests: wire.eject_min_requests,
            ejection: span(wire.ejection_base_ms),
            longest_ejection: span(wire.ejection_cap_ms),
            ..defaults.breaker
        },
        queue: QueuePolicy {
            longest_wait: span(wire.queue_timeout_ms),
        },
        health: HealthPolicy {
            every: span(wire.health_interval_ms),
            out_after: wire.unhealthy_after,
            recover_after: wire.healthy_after,
            timeout: span(wire.health_timeout_ms),
            // A failure makes the next check come sooner, never later.
            after_failure: defaults
                .health
                .after_failure
                .min(span(wire.health_interval_ms)),
            ..defaults.health
        },
        retry_budget: RetryPolicy {
            share_permille: wire.retry_budget_percent.saturating_mul(10),
            ..defaults.retry_budget
        },
        ..defaults
    }
}

fn span(ms: u64) -> Span {
    Span::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}
