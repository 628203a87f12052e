//! What the meter says, beside arithmetic done here.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod client;

use client::{Sim, pod, quick};
use serde_json::{Value, json};

const L4: u64 = 430_000;

/// Whole seconds between two times of the cloud, as the meter counts them.
fn seconds(from_ms: &Value, to_ms: &Value) -> u64 {
    let second = |ms: &Value| ms.as_u64().unwrap() / 1000;
    second(to_ms) - second(from_ms)
}

fn cost(parts: &[(u64, u64)]) -> u64 {
    let sum: u64 = parts.iter().map(|(rate, seconds)| rate * seconds).sum();
    (sum + 1800) / 3600
}

#[tokio::test]
async fn a_pod_costs_its_price_from_its_creation_until_it_is_gone() {
    let sim = Sim::start(quick());
    let id = sim.pod("a").await;
    sim.until(&id, "RUNNING").await;
    sim.advance(3_600_000).await;
    let path = format!("/v2/pods/{id}");
    assert_eq!(sim.runpod("DELETE", &path, Value::Null).await.status, 204);
    sim.until(&id, "TERMINATED").await;
    let bill = sim.bill(&id).await;
    let lived = seconds(&bill["created_ms"], &bill["ended_ms"]);
    assert!((3600..3700).contains(&lived), "{bill}");
    assert_eq!(bill["seconds"], json!({"full": lived, "disk": 0}));
    assert_eq!(bill["microusd"], cost(&[(L4, lived)]));
    assert_eq!(bill["billing"], "none");
    sim.advance(3_600_000).await;
    assert_eq!(sim.bill(&id).await["microusd"], bill["microusd"]);
}

#[tokio::test]
async fn a_stopped_pod_costs_its_persistent_mount_and_nothing_else() {
    let sim = Sim::start(quick());
    let mut body = pod("a");
    body["mounts"] = json!({"persistent": {"size": 100, "path": "/data"}});
    let made = sim.runpod("POST", "/v2/pods", body).await.json();
    let id = made["id"].as_str().unwrap();
    let bare = sim.pod("b").await;
    for id in [id, &bare] {
        sim.until(id, "RUNNING").await;
        let action = format!("/v2/pods/{id}/action");
        sim.runpod("POST", &action, json!({"action": "stop"})).await;
        sim.until(id, "EXITED").await;
    }
    sim.advance(7_200_000).await;
    let bill = sim.bill(id).await;
    assert_eq!(bill["billing"], "disk");
    let stretch = &bill["stretches"][1];
    // 100 GB at $0.20 a month of 720 hours.
    assert_eq!(stretch["microusd_per_hour"], 27_778);
    let full = bill["stretches"][0]["seconds"].as_u64().unwrap();
    let disk = stretch["seconds"].as_u64().unwrap();
    assert!(disk >= 7200);
    assert_eq!(bill["microusd"], cost(&[(L4, full), (27_778, disk)]));
    assert_eq!(sim.bill(&bare).await["billing"], "none");
}

#[tokio::test]
async fn a_disk_beside_a_running_pod_is_billed_with_it() {
    let sim = Sim::start(quick());
    sim.order("settings", json!({"machines_alone": false}))
        .await;
    let id = sim.pod("a").await;
    let bill = sim.bill(&id).await;
    let rates: Vec<_> = bill["stretches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["microusd_per_hour"].clone())
        .collect();
    // 50 GB of container disk at $0.10 a month of 720 hours.
    assert_eq!(rates, [json!(L4), json!(6_944)]);
}

#[tokio::test]
async fn the_bill_over_the_api_is_the_meters_however_it_is_cut() {
    let sim = Sim::start(quick());
    let id = sim.pod("a").await;
    sim.until(&id, "RUNNING").await;
    for _ in 0..3 {
        sim.advance(24 * 3_600_000 + 1_234_567).await;
    }
    let path = format!("/v2/pods/{id}");
    sim.runpod("DELETE", &path, Value::Null).await;
    sim.until(&id, "TERMINATED").await;
    let total = sim.bill(&id).await["microusd"].as_u64().unwrap();
    let micro = |usd: &Value| (usd.as_f64().unwrap() * 1e6).round() as u64;
    for bucket in ["hour", "day", "week", "month", "year"] {
        let path = format!("/v2/billing/pods?podId={id}&bucketSize={bucket}");
        let bill = sim.runpod("GET", &path, Value::Null).await.json();
        let records = bill["records"].as_array().unwrap();
        let sum: u64 = records
            .iter()
            .map(|record| micro(&record["totalAmount"]))
            .sum();
        assert_eq!(sum, total, "{bucket}");
        assert_eq!(micro(&bill["metadata"]["totals"]["totalAmount"]), total);
        assert_eq!(bill["metadata"]["recordCount"], records.len());
        for pair in records.windows(2) {
            assert_eq!(pair[0]["endTime"], pair[1]["startTime"]);
        }
    }
    let both = "/v2/billing/pods?lastN=1&startTime=2026-01-01T00:00:00Z";
    assert_eq!(sim.runpod("GET", both, Value::Null).await.status, 400);
    let last = sim
        .runpod(
            "GET",
            "/v2/billing/pods?lastN=5&bucketSize=day",
            Value::Null,
        )
        .await
        .json();
    assert_eq!(micro(&last["metadata"]["totals"]["totalAmount"]), total);
}

#[tokio::test]
async fn what_happens_later_is_billed_to_its_own_moment_however_late_it_is_looked_at() {
    let sim = Sim::start(quick());
    let id = sim.pod("a").await;
    sim.until(&id, "RUNNING").await;
    sim.once("destroy", json!({"do": "slow", "ms": 600_000}))
        .await;
    sim.runpod("DELETE", &format!("/v2/pods/{id}"), Value::Null)
        .await;
    sim.advance(86_400_000).await;
    let bill = sim.bill(&id).await;
    let lived = seconds(&bill["created_ms"], &bill["ended_ms"]);
    assert!((600..700).contains(&lived), "{bill}");
    assert_eq!(bill["microusd"], cost(&[(L4, lived)]));
}

#[tokio::test]
async fn totals_are_the_sums_of_machines() {
    let sim = Sim::start(quick());
    for name in ["a", "b", "c"] {
        sim.pod(name).await;
        sim.advance(1_000_001).await;
    }
    let meter = sim.look("meter").await;
    let all = meter["machines"].as_array().unwrap();
    let sum: u64 = all
        .iter()
        .map(|machine| machine["microusd"].as_u64().unwrap())
        .sum();
    assert_eq!(meter["totals"]["microusd"], sum);
    assert_eq!(meter["totals"]["microusd_per_hour"], 3 * L4);
    assert_eq!(meter["totals"]["billing_machines"], 3);
}
