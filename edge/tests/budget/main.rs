//! The write budget: at most four rows and three object requests for each inference request, amortised.
//! Counted on the real objects, driven by the real gateway; alarms count as both. ARCHITECTURE.md has the
//! figures that this prints (`--nocapture`).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod host;

use host::Host;
use serde_json::{Value, json};
use tidegate_vault::{ApiKey, Installation, KEY_RANDOM, Organisation};

const MOST_ROWS: f64 = 4.0;
const MOST_REQUESTS: f64 = 3.0;
const REQUESTS: i64 = 1_000;

/// A key's text, id and the hash of its secret.
fn mint(installation: &Installation) -> (String, String, String) {
    let org = Organisation::parse("default").unwrap();
    let minted = ApiKey::mint(installation, &org, [7; KEY_RANDOM]);
    let text = minted.text.expose_str().unwrap().to_owned();
    (text, minted.key_id.to_string(), minted.secret_hash.to_hex())
}

/// Rows and object requests for each of a thousand requests, ten milliseconds apart.
fn steady(what: &str, servers: usize, server_ms: i64, limits: Value) -> (f64, f64) {
    let mut host = Host::new(servers, server_ms, limits);
    let bill = host.steady(REQUESTS, 10);
    assert!(host.answered >= 1_000, "{what}: {}", host.answered);
    let (rows, requests) = bill.sums();
    let each = |count: u64| count as f64 / REQUESTS as f64;
    let (rows, requests) = (each(rows), each(requests));
    println!("{what}: {rows:.2} rows, {requests:.2} requests; {bill:?}");
    (rows, requests)
}

fn limits() -> Value {
    json!({"requests_per_minute": 100_000, "tokens_per_minute": 10_000_000, "concurrency": 1_000})
}

#[test]
fn a_key_without_limits_stays_within_the_budget() {
    for (what, servers, server_ms) in [
        ("one server, 0.2 s", 1, 200),
        ("one server, 3 s", 1, 3_000),
        ("two servers, 0.2 s", 2, 200),
        ("two servers, 3 s", 2, 3_000),
    ] {
        let (rows, requests) = steady(what, servers, server_ms, json!({}));
        assert!(rows <= MOST_ROWS && requests <= MOST_REQUESTS, "{what}");
    }
}

#[test]
fn a_limited_key_stays_within_the_budget() {
    for (what, servers, server_ms) in [
        ("limited, one server, 0.2 s", 1, 200),
        ("limited, one server, 3 s", 1, 3_000),
        ("limited, two servers, 0.2 s", 2, 200),
        ("limited, two servers, 3 s", 2, 3_000),
    ] {
        let (rows, requests) = steady(what, servers, server_ms, limits());
        assert!(rows <= MOST_ROWS && requests <= MOST_REQUESTS, "{what}");
    }
}

/// Alone, nothing is shared. What that costs is stated, so that a change which makes it dearer is seen:
/// the log's batch and its way into the totals, the figures of the server, and that there was traffic this quarter.
#[test]
fn a_lone_request_costs_what_the_document_says() {
    for (what, limits, expected) in [
        ("alone", json!({}), (11, 7)),
        ("alone, limited", limits(), (14, 9)),
    ] {
        let mut host = Host::new(1, 200, limits);
        let bill = host.alone();
        assert_eq!(host.answered, 1, "{what}");
        println!("{what}: {bill:?}");
        assert_eq!(bill.sums(), expected, "{what}: {bill:?}");
    }
}
