//! What EC2 can do, as numbers.

use tidegate_provider_api::{Capability, StoppedBilling, TimeLimit};

pub(crate) static CAPABILITY: Capability = Capability {
    spot: true,
    // On-demand machines only: a one-time spot request ends with its machine, and EC2 refuses to stop that.
    stop_start: true,
    // `ClientToken`.
    idempotent_create: true,
    tags: true,
    // A machine has a bare address; what it serves comes without a certificate.
    public_tls: false,
    // Cost Explorer lags by a day, and is another permission.
    bills: false,
    // `InstanceInitiatedShutdownBehavior=terminate`, and a timer that the user data starts.
    time_limit: Some(TimeLimit::Guest),
    // The EBS volume.
    stopped_billing: StoppedBilling::Disk,
    // "Eventual consistency in the Amazon EC2 API" names no bound; SDKs wait up to minutes for a new id.
    list_lag_ms: 300_000,
    create_timeout_ms: 60_000,
    call_timeout_ms: 20_000,
    startup_timeout_ms: 20 * 60_000,
    large_startup_timeout_ms: 30 * 60_000,
    stop_lead_ms: 60_000,
    // "Per-second billing, with a minimum of 60 seconds", for Linux.
    billing_minimum_ms: 60_000,
    billing_step_ms: 1_000,
    calls_per_minute: 120,
    first_token_cap_ms: None,
    webhooks: true,
};
