//! What RunPod can do, in numbers, each with where it comes from.
//!
//! In scope: the numbers. Out of scope: what is made of them.

use tidegate_provider_api::{Capability, StoppedBilling};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;

/// RunPod, REST v2.
pub static CAPABILITY: Capability = Capability {
    // v2 has no interruptible pods; GraphQL, which had them, ends early 2027.
    spot: false,
    // `mounts.persistent` outlives a stop.
    stop_start: true,
    // Neither an idempotency header nor a client token, and names are not unique.
    idempotent_create: false,
    tags: false,
    // `https://{pod}-{port}.proxy.runpod.net`.
    public_tls: true,
    // `GET /v2/billing/pods`.
    bills: true,
    time_limit: None,
    stopped_billing: StoppedBilling::Disk,
    // No lag is documented; ten minutes is what we allow a vendor that documents none.
    list_lag_ms: 10 * MINUTE_MS,
    create_timeout_ms: 60_000,
    call_timeout_ms: 20_000,
    startup_timeout_ms: 20 * MINUTE_MS,
    large_startup_timeout_ms: 30 * MINUTE_MS,
    stop_lead_ms: MINUTE_MS,
    // "All Pods are billed by the second" (docs.runpod.io/pods/pricing).
    billing_minimum_ms: SECOND_MS,
    billing_step_ms: SECOND_MS,
    // The example of `RateLimit-Policy` in the API file: `"minute";q=60;w=60`.
    calls_per_minute: 60,
    // The proxy in front of pods answers 524 after 100 s of silence (docs.runpod.io/pods/configuration/expose-ports).
    first_token_cap_ms: Some(100_000),
    // Jobs of its serverless product have one, pods have none.
    webhooks: false,
};
