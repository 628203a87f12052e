//! Bounds on the numbers of a reliability policy: wide enough for any honest setting and for tests on
//! fast machines, narrow enough that no value disables a protection by accident or overflows.
//!
//! Invariant: pure and total.

use super::checks::{Refused, refused, within};
use crate::bindings::fleet::ReliabilityPolicy;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

pub(super) fn policy(policy: &ReliabilityPolicy) -> Result<(), Refused> {
    // Every field is named, so that a new one does not go unchecked.
    let ReliabilityPolicy {
        version: _,
        first_token_timeout_ms,
        idle_timeout_ms,
        total_timeout_ms,
        max_retries,
        hedge: _,
        hedge_min_ms,
        hedge_initial_ms,
        eject_after_consecutive_failures,
        eject_failure_percent,
        eject_min_requests,
        ejection_base_ms,
        ejection_cap_ms,
        retry_budget_percent,
        queue_timeout_ms,
        max_waiting_per_model,
        model_wait_ms,
        health_interval_ms,
        health_timeout_ms,
        unhealthy_after,
        healthy_after,
    } = *policy;
    for (param, number, low, high) in [
        ("first_token_timeout_ms", first_token_timeout_ms, 100, HOUR),
        ("idle_timeout_ms", idle_timeout_ms, 100, HOUR),
        ("total_timeout_ms", total_timeout_ms, 100, DAY),
        ("max_retries", max_retries.into(), 0, 10),
        ("hedge_min_ms", hedge_min_ms, 10, HOUR),
        ("hedge_initial_ms", hedge_initial_ms, 10, HOUR),
        (
            "eject_after_consecutive_failures",
            eject_after_consecutive_failures.into(),
            1,
            1_000,
        ),
        (
            "eject_failure_percent",
            eject_failure_percent.into(),
            1,
            100,
        ),
        ("eject_min_requests", eject_min_requests.into(), 1, 100_000),
        ("ejection_base_ms", ejection_base_ms, 100, HOUR),
        ("ejection_cap_ms", ejection_cap_ms, 100, DAY),
        ("retry_budget_percent", retry_budget_percent.into(), 0, 100),
        ("queue_timeout_ms", queue_timeout_ms, 0, 10 * MINUTE),
        (
            "max_waiting_per_model",
            max_waiting_per_model.into(),
            0,
            100_000,
        ),
        // Plain waits end at nine minutes: clients and proxies give up at ten.
        ("model_wait_ms", model_wait_ms, 0, 9 * MINUTE),
        ("health_interval_ms", health_interval_ms, SECOND, HOUR),
        // An alarm must end within a minute.
        ("health_timeout_ms", health_timeout_ms, 100, MINUTE),
        ("unhealthy_after", unhealthy_after.into(), 1, 100),
        ("healthy_after", healthy_after.into(), 1, 100),
    ] {
        within(param, number, low, high)?;
    }
    if ejection_base_ms > ejection_cap_ms {
        let reason = format!("must not exceed ejection_cap_ms, which is {ejection_cap_ms}");
        return Err(refused("ejection_base_ms", reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::fleet::FleetAnswer;

    fn param_refused(change: impl FnOnce(&mut ReliabilityPolicy)) -> Option<String> {
        let mut numbers = ReliabilityPolicy::default();
        change(&mut numbers);
        policy(&numbers).err().map(|refused| match refused.into() {
            FleetAnswer::Invalid { param, .. } => param,
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn the_defaults_pass() {
        assert_eq!(param_refused(|_| ()), None);
    }

    #[test]
    fn a_number_out_of_bounds_is_named() {
        let refused = param_refused(|policy| policy.first_token_timeout_ms = 0);
        assert_eq!(refused.as_deref(), Some("first_token_timeout_ms"));
        let refused = param_refused(|policy| policy.eject_failure_percent = 101);
        assert_eq!(refused.as_deref(), Some("eject_failure_percent"));
        let refused = param_refused(|policy| policy.health_interval_ms = u64::MAX);
        assert_eq!(refused.as_deref(), Some("health_interval_ms"));
        let refused = param_refused(|policy| policy.unhealthy_after = 0);
        assert_eq!(refused.as_deref(), Some("unhealthy_after"));
    }

    #[test]
    fn the_first_ejection_is_no_longer_than_the_longest() {
        let refused = param_refused(|policy| policy.ejection_cap_ms = policy.ejection_base_ms - 1);
        assert_eq!(refused.as_deref(), Some("ejection_base_ms"));
        assert_eq!(
            param_refused(|policy| policy.ejection_cap_ms = policy.ejection_base_ms),
            None
        );
    }
}
