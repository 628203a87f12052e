//! An organisation's policies.

use serde::{Deserialize, Serialize};

/// Timeouts, retries, breaker and queue numbers of an organisation. Durations in milliseconds.
///
/// A number that only a newer release knows is ignored: during a deploy a newer fleet configures older
/// instances. Typing errors of administrators are caught where they come in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReliabilityPolicy {
    /// Grows with each change; set by the fleet.
    pub version: u64,
    /// Hard limit on the time to the first token.
    pub first_token_timeout_ms: u64,
    /// Longest silence between two chunks.
    pub idle_timeout_ms: u64,
    /// Longest request in all.
    pub total_timeout_ms: u64,
    /// Retries after the first attempt.
    pub max_retries: u32,
    /// Whether a silent server is raced against another.
    pub hedge: bool,
    /// Shortest wait before that.
    pub hedge_min_ms: u64,
    /// The wait while nothing is known of a model.
    pub hedge_initial_ms: u64,
    /// Failures in a row that eject.
    pub eject_after_consecutive_failures: u32,
    /// Share of failures that ejects, in percent.
    pub eject_failure_percent: u32,
    /// Requests that the share needs.
    pub eject_min_requests: u32,
    /// First ejection; each further one is as much longer.
    pub ejection_base_ms: u64,
    /// Longest ejection.
    pub ejection_cap_ms: u64,
    /// Share of retries and hedges, in percent.
    pub retry_budget_percent: u32,
    /// Longest wait in a server's queue.
    pub queue_timeout_ms: u64,
    /// Requests that may wait for a model whose servers are all full.
    pub max_waiting_per_model: u32,
    /// Longest wait for such a model.
    pub model_wait_ms: u64,
    /// Time between two health checks.
    pub health_interval_ms: u64,
    /// A health check's limit.
    pub health_timeout_ms: u64,
    /// Failed checks in a row that take a server out.
    pub unhealthy_after: u32,
    /// Good checks in a row that put it back.
    pub healthy_after: u32,
}

impl Default for ReliabilityPolicy {
    fn default() -> Self {
        Self {
            version: 0,
            first_token_timeout_ms: 300_000,
            idle_timeout_ms: 60_000,
            total_timeout_ms: 1_800_000,
            max_retries: 2,
            hedge: true,
            hedge_min_ms: 2_000,
            hedge_initial_ms: 4_000,
            eject_after_consecutive_failures: 5,
            eject_failure_percent: 50,
            eject_min_requests: 20,
            ejection_base_ms: 30_000,
            ejection_cap_ms: 300_000,
            retry_budget_percent: 20,
            queue_timeout_ms: 10_000,
            max_waiting_per_model: 1_000,
            model_wait_ms: 60_000,
            health_interval_ms: 60_000,
            health_timeout_ms: 10_000,
            unhealthy_after: 3,
            healthy_after: 1,
        }
    }
}

/// Who may ask without a key, and how much. Only the organisation `default` can have it, for a request without
/// a key names no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnonymousPolicy {
    /// Whether anybody may.
    pub enabled: bool,
    /// Models and routes that may be asked for.
    pub models: Vec<String>,
    /// Requests a minute, for each address.
    pub requests_per_minute: u64,
    /// Tokens a minute, for each address.
    pub tokens_per_minute: Option<u64>,
    /// Requests at once, for each address.
    pub concurrency: Option<u32>,
}

impl Default for AnonymousPolicy {
    fn default() -> Self {
        Self {
            enabled: false,
            models: Vec::new(),
            requests_per_minute: 60,
            tokens_per_minute: None,
            concurrency: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_a_newer_release_is_ignored_and_an_absent_one_has_its_default() {
        let newer = r#"{"version":7,"max_retries":1,"shadow_percent":5}"#;
        let policy: ReliabilityPolicy = serde_json::from_str(newer).unwrap();
        let expected = ReliabilityPolicy {
            version: 7,
            max_retries: 1,
            ..ReliabilityPolicy::default()
        };
        assert_eq!(policy, expected);
    }
}
