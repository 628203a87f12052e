//! RunPod's API, as a client meets it.
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

use client::{Sim, ask, ids, pod, quick};
use serde_json::{Value, json};

#[tokio::test]
async fn without_a_good_bearer_token_nothing_is_told() {
    let sim = Sim::start(quick());
    let url = format!("{}/v2/pods", sim.url("runpod"));
    let missing = ask("GET", &url, &[], "").await.unwrap();
    assert_eq!(missing.status, 401);
    assert_eq!(missing.json()["detail"], "missing bearer token");
    assert_eq!(
        missing.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(missing.header("ratelimit"), None);
    let wrong = ask("GET", &url, &[("Authorization", "Bearer x")], "")
        .await
        .unwrap();
    assert_eq!(wrong.status, 401);
}

#[tokio::test]
async fn a_body_that_the_document_does_not_describe_is_named_and_makes_nothing() {
    let sim = Sim::start(quick());
    let mut body = pod("a");
    body["dataCenterId"] = json!("US-KS-2");
    let reply = sim.runpod("POST", "/v2/pods", body).await;
    assert_eq!(reply.status, 422);
    let expected = "$: additional properties 'dataCenterId' not allowed";
    assert_eq!(reply.json()["errors"], json!([expected]));
    assert!(sim.listed().await.is_empty());
}

#[tokio::test]
async fn rules_between_fields_and_missing_capacity_are_both_400() {
    let sim = Sim::start(quick());
    let with = |member: &str, value: Value| {
        let mut body = pod("a");
        body[member] = value;
        body
    };
    let capacity = "There are no longer any instances available";
    for (body, detail) in [
        (with("gpu", json!({"id": "NVIDIA L4"})), capacity),
        (
            with("gpu", json!({"id": "NVIDIA L4", "count": 9})),
            capacity,
        ),
        (
            with("gpu", json!({"id": "NVIDIA H200", "count": 1})),
            capacity,
        ),
        (with("dataCenterIds", json!(["XX-1"])), capacity),
        (with("cloud", json!("COMMUNITY")), capacity),
        (
            with(
                "gpu",
                json!({"id": "NVIDIA L4", "count": 1, "minCudaVersion": "13.0"}),
            ),
            capacity,
        ),
        (
            with("gpu", json!({"id": "x", "count": 1})),
            "unknown GPU type",
        ),
        (
            with("cpu", json!({"id": "cpu5c", "vcpuCount": 2})),
            "exactly one of gpu or cpu",
        ),
        (with("ports", json!(["8000"])), "invalid port"),
    ] {
        let reply = sim.runpod("POST", "/v2/pods", body.clone()).await;
        assert_eq!(reply.status, 400, "{body}");
        let text = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(text.starts_with(detail), "{body}: {text}");
    }
    assert!(sim.listed().await.is_empty());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_its_key_is_looked_at() {
    let sim = Sim::start(quick());
    let body = json!({"name": "a".repeat(102_400)}).to_string();
    let url = format!("{}/v2/pods", sim.url("runpod"));
    assert_eq!(ask("POST", &url, &[], &body).await.unwrap().status, 413);
}

#[tokio::test]
async fn a_pod_comes_up_stops_starts_and_is_gone() {
    let sim = Sim::start(quick());
    let made = sim.runpod("POST", "/v2/pods", pod("a")).await.json();
    assert_eq!(made["status"], "PROVISIONING");
    assert_eq!(made["runtime"], Value::Null);
    assert_eq!(made["env"], json!({"A": "b"}));
    let id = made["id"].as_str().unwrap();
    let path = format!("/v2/pods/{id}");
    let action = format!("{path}/action");

    sim.until(id, "RUNNING").await;
    let up = sim.runpod("GET", &path, Value::Null).await.json();
    assert_eq!(up["actions"], json!(["stop", "restart", "terminate"]));
    assert_eq!(up["runtime"]["gpus"].as_array().unwrap().len(), 1);
    assert_eq!(up["cost"], 0.43);
    let illegal = sim
        .runpod("POST", &action, json!({"action": "start"}))
        .await;
    assert_eq!(illegal.status, 409);

    assert_eq!(
        sim.runpod("POST", &action, json!({"action": "stop"}))
            .await
            .status,
        200
    );
    sim.until(id, "EXITED").await;
    let down = sim.runpod("GET", &path, Value::Null).await.json();
    assert_eq!(
        (&down["cost"], &down["runtime"]),
        (&json!(0.0), &Value::Null)
    );
    assert_eq!(
        sim.runpod("POST", &action, json!({"action": "stop"}))
            .await
            .status,
        409
    );

    assert_eq!(
        sim.runpod("POST", &action, json!({"action": "start"}))
            .await
            .status,
        200
    );
    sim.until(id, "RUNNING").await;
    let gone = sim
        .runpod("POST", &action, json!({"action": "terminate"}))
        .await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    sim.until(id, "TERMINATED").await;
    assert_eq!(sim.runpod("GET", &path, Value::Null).await.status, 404);
    assert_eq!(sim.runpod("DELETE", &path, Value::Null).await.status, 404);
    assert!(sim.listed().await.is_empty());
}

#[tokio::test]
async fn the_same_name_twice_is_two_pods() {
    let sim = Sim::start(quick());
    let (one, other) = (sim.pod("a").await, sim.pod("a").await);
    assert_ne!(one, other);
    assert_eq!(sim.listed().await.len(), 2);
}

#[tokio::test]
async fn pages_hold_each_pod_once_newest_first() {
    let sim = Sim::start(quick());
    let mut made = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        made.push(sim.pod(name).await);
        sim.advance(1000).await;
    }
    made.reverse();
    let mut seen = Vec::new();
    let mut path = String::from("/v2/pods?limit=2&whatever=1");
    loop {
        let page = sim.runpod("GET", &path, Value::Null).await.json();
        seen.extend(ids(&page));
        let pagination = &page["pagination"];
        let next = pagination["nextCursor"].as_str();
        assert_eq!(pagination["hasNextPage"], next.is_some());
        match next {
            Some(cursor) => path = format!("/v2/pods?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, made);
    assert_eq!(
        sim.runpod("GET", "/v2/pods?cursor=abc", Value::Null)
            .await
            .status,
        422
    );
    assert_eq!(
        sim.runpod("GET", "/v2/pods?limit=0", Value::Null)
            .await
            .status,
        422
    );
}

#[tokio::test]
async fn availability_needs_a_product_and_a_product_needs_availability() {
    let sim = Sim::start(quick());
    let get = async |path: &str| sim.runpod("GET", path, Value::Null).await;
    assert_eq!(
        get("/v2/catalog/gpus?include=AVAILABILITY").await.status,
        400
    );
    assert_eq!(get("/v2/catalog/gpus?product=POD").await.status, 400);
    let plain = get("/v2/catalog/gpus").await.json();
    assert_eq!(plain["gpus"][0].get("availability"), None);
    let gpu = get("/v2/catalog/gpus/NVIDIA%20L4?include=AVAILABILITY&product=POD")
        .await
        .json();
    assert_eq!(
        (&gpu["availability"], &gpu["price"]["secure"]),
        (&json!("HIGH"), &json!(0.43))
    );
    let romania = "/v2/catalog/gpus?include=AVAILABILITY&product=POD&countryCodes=RO";
    for gpu in get(romania).await.json()["gpus"].as_array().unwrap() {
        assert_eq!(gpu["dataCenters"][0]["id"], "EU-RO-1", "{gpu}");
    }
    let centers = get("/v2/catalog/datacenters?include=GPU_AVAILABILITY&regions=EUROPE")
        .await
        .json();
    for center in centers["dataCenters"].as_array().unwrap() {
        assert_eq!(center["region"], "EUROPE");
        assert_eq!(
            center.get("gpuAvailability").is_some(),
            center["id"] != "EUR-IS-1"
        );
    }
}

#[tokio::test]
async fn past_the_budget_of_calls_comes_429_until_the_window_is_over() {
    let sim = Sim::start(quick());
    sim.order("settings", json!({"runpod_calls": {"minute": 2}}))
        .await;
    for _ in 0..2 {
        let reply = sim.runpod("GET", "/v2/pods", Value::Null).await;
        assert_eq!(reply.status, 200);
        assert!(
            reply
                .header("ratelimit-policy")
                .unwrap()
                .starts_with("\"minute\";q=2;w=60, ")
        );
    }
    let refused = sim.runpod("POST", "/v2/pods", pod("a")).await;
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    sim.advance(wait * 1000).await;
    assert!(sim.listed().await.is_empty());
}

#[tokio::test]
async fn a_key_sees_its_own_account_and_does_what_it_may() {
    let sim = Sim::start(quick());
    let id = sim.pod("a").await;
    let key = |id: &str, account: &str, denies: Value| json!({"vendor": "runpod", "id": id, "account": account, "denies": denies});
    sim.order("keys", key("reader", "main", json!(["changes"])))
        .await;
    sim.order("keys", key("stranger", "other", json!([]))).await;
    let url = format!("{}/v2/pods/{id}", sim.url("runpod"));
    let as_key = async |method: &str, key: &str| {
        let bearer = format!("Bearer {key}");
        let reply = ask(method, &url, &[("Authorization", &bearer)], "").await;
        reply.unwrap().status
    };
    assert_eq!(as_key("GET", "reader").await, 200);
    assert_eq!(as_key("DELETE", "reader").await, 403);
    assert_eq!(as_key("GET", "stranger").await, 404);
    assert_eq!(as_key("DELETE", "stranger").await, 404);
    sim.control("DELETE", "keys/runpod/reader", Value::Null)
        .await;
    assert_eq!(as_key("GET", "reader").await, 401);
    assert_eq!(sim.listed().await, [id]);
}

#[tokio::test]
async fn a_wrong_method_hears_which_ones_there_are() {
    let sim = Sim::start(quick());
    let reply = sim.runpod("PUT", "/v2/pods", json!({})).await;
    assert_eq!(
        (reply.status, reply.header("allow")),
        (405, Some("GET, POST"))
    );
    assert_eq!(sim.runpod("GET", "/v1/pods", Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_pod_is_changed_without_touching_what_is_not_named() {
    let sim = Sim::start(quick());
    let id = sim.pod("a").await;
    sim.until(&id, "RUNNING").await;
    let path = format!("/v2/pods/{id}");
    let locked = sim
        .runpod("PATCH", &path, json!({"locked": true, "name": "b"}))
        .await
        .json();
    assert_eq!(
        (&locked["name"], &locked["status"]),
        (&json!("b"), &json!("RUNNING"))
    );
    let stop = sim
        .runpod("POST", &format!("{path}/action"), json!({"action": "stop"}))
        .await;
    assert_eq!(stop.status, 409);
    let again = sim
        .runpod("PATCH", &path, json!({"env": {"A": "c"}}))
        .await
        .json();
    assert_eq!(
        (&again["env"]["A"], &again["image"]),
        (&json!("c"), &json!("ghcr.io/x/server:1"))
    );
    assert_eq!(again["status"], "STARTING");
    assert_eq!(
        sim.runpod("PATCH", &path, json!({"gpu": {}})).await.status,
        422
    );
}

#[tokio::test]
async fn ssh_keys_are_what_was_put_there() {
    let sim = Sim::start(quick());
    let keys = json!({"keys": ["ssh-ed25519 AAAA me"]});
    assert_eq!(
        sim.runpod("PUT", "/v2/account/ssh-keys", keys.clone())
            .await
            .json(),
        keys
    );
    assert_eq!(
        sim.runpod("GET", "/v2/account/ssh-keys", Value::Null)
            .await
            .json(),
        keys
    );
}
