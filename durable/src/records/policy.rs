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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_that_set_nothing_has_the_machines_defaults() {
        let defaults = machine_policy(&ReliabilityPolicy::default());
        assert_eq!(defaults, Policy::default());
    }

    #[test]
    fn every_number_reaches_its_place() {
        let policy = machine_policy(&ReliabilityPolicy {
            eject_after_consecutive_failures: 1,
            eject_failure_percent: 2,
            eject_min_requests: 3,
            ejection_base_ms: 4,
            ejection_cap_ms: 5,
            retry_budget_percent: 6,
            queue_timeout_ms: 7,
            health_interval_ms: 8_000,
            health_timeout_ms: 9,
            unhealthy_after: 10,
            healthy_after: 11,
            ..ReliabilityPolicy::default()
        });
        let breaker = policy.breaker;
        assert_eq!(breaker.consecutive_failures, 1);
        assert_eq!(breaker.failure_share_permille, 20);
        assert_eq!(breaker.least_requests, 3);
        assert_eq!(breaker.ejection, Span::from_ms(4));
        assert_eq!(breaker.longest_ejection, Span::from_ms(5));
        assert_eq!(policy.retry_budget.share_permille, 60);
        assert_eq!(policy.queue.longest_wait, Span::from_ms(7));
        let health = policy.health;
        assert_eq!(
            (health.every, health.timeout),
            (Span::from_secs(8), Span::from_ms(9))
        );
        assert_eq!((health.out_after, health.recover_after), (10, 11));
        // A failure never makes the next check come later.
        assert_eq!(health.after_failure, Span::from_secs(8));
        let endless = machine_policy(&ReliabilityPolicy {
            ejection_cap_ms: u64::MAX,
            ..ReliabilityPolicy::default()
        });
        assert_eq!(endless.breaker.longest_ejection, Span::from_ms(i64::MAX));
    }
}
