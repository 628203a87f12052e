//! Each lie once, seen from the client and from the meter.
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

use client::{Sim, ids, pod, quick, with_boxes};
use serde_json::{Value, json};

async fn alive(sim: &Sim) -> usize {
    sim.look("meter").await["totals"]["billing_machines"]
        .as_u64()
        .unwrap() as usize
}

#[tokio::test]
async fn a_lost_reply_to_a_create_leaves_a_pod_that_bills() {
    let sim = Sim::start(quick());
    sim.once("create", json!({"do": "reply_lost"})).await;
    assert!(sim.try_runpod("POST", "/v2/pods", pod("a")).await.is_err());
    assert_eq!(alive(&sim).await, 1);
    let list = sim.runpod("GET", "/v2/pods", Value::Null).await.json();
    assert_eq!(list["pods"][0]["name"], "a");
    let call = sim.look("journal?operation=create").await["calls"][0].clone();
    assert_eq!(
        (&call["status"], &call["answered"]),
        (&json!(201), &json!(false))
    );
    assert_eq!(call["faults"], json!(["reply_lost"]));
}

#[tokio::test]
async fn an_error_may_have_done_it_all_the_same_or_not() {
    let sim = Sim::start(quick());
    sim.once(
        "createPod",
        json!({"do": "status", "status": 500, "done": true}),
    )
    .await;
    let reply = sim.runpod("POST", "/v2/pods", pod("a")).await;
    assert_eq!(
        (reply.status, &reply.json()["title"]),
        (500, &json!("Internal Server Error"))
    );
    assert_eq!(alive(&sim).await, 1);
    sim.once("createPod", json!({"do": "status", "status": 502}))
        .await;
    assert_eq!(sim.runpod("POST", "/v2/pods", pod("b")).await.status, 502);
    sim.once("createPod", json!({"do": "close"})).await;
    assert!(sim.try_runpod("POST", "/v2/pods", pod("c")).await.is_err());
    assert_eq!(alive(&sim).await, 1);
}

#[tokio::test]
async fn a_create_that_hangs_is_in_the_journal_once_it_is_done() {
    let sim = Sim::start(quick());
    sim.once("create", json!({"do": "hang"})).await;
    let journal = sim.look("journal?operation=create&count=1&wait_ms=20000");
    let create = sim.try_runpod("POST", "/v2/pods", pod("a"));
    let journal = tokio::select! {
        _answered = create => panic!("an answer came"),
        journal = journal => journal,
    };
    assert_eq!(journal["calls"][0]["answered"], false);
    assert_eq!(alive(&sim).await, 1);
}

#[tokio::test]
async fn one_create_may_make_two_and_a_half_answer_is_none() {
    let sim = Sim::start(quick());
    sim.once("create", json!({"do": "duplicate"})).await;
    let made = sim.runpod("POST", "/v2/pods", pod("a")).await.json();
    let listed = sim.listed().await;
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&made["id"].as_str().unwrap().to_owned()));
    sim.once("create", json!({"do": "truncated"})).await;
    assert!(sim.try_runpod("POST", "/v2/pods", pod("b")).await.is_err());
    assert_eq!(sim.listed().await.len(), 3);
}

#[tokio::test]
async fn refusals_are_worded_as_the_vendor_words_them() {
    let sim = Sim::start(quick());
    for (fault, status, detail) in [
        (
            json!({"do": "no_capacity"}),
            400,
            "There are no longer any instances available",
        ),
        (json!({"do": "no_quota"}), 402, "insufficient balance"),
        (json!({"do": "token_expired"}), 401, "invalid bearer token"),
        (json!({"do": "denied"}), 403, "access denied"),
        (json!({"do": "rate_limited"}), 429, "rate limit exceeded"),
    ] {
        sim.once("create", fault).await;
        let reply = sim.runpod("POST", "/v2/pods", pod("a")).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("retry-after"), None);
        let text = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(text.starts_with(detail), "{text}");
    }
    sim.once("list", json!({"do": "rate_limited", "retry_after": 7}))
        .await;
    let reply = sim.runpod("GET", "/v2/pods", Value::Null).await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (429, Some("7"))
    );
    assert_eq!(alive(&sim).await, 0);
}

#[tokio::test]
async fn a_brown_out_ends_by_the_clouds_clock() {
    let sim = Sim::start(quick());
    sim.order(
        "faults",
        json!({"vendor": "runpod", "for_ms": 600_000, "fault": {"do": "html"}}),
    )
    .await;
    for (method, path) in [("GET", "/v2/pods"), ("POST", "/v2/pods")] {
        let reply = sim.runpod(method, path, pod("a")).await;
        assert_eq!(reply.status, 503);
        assert!(
            reply
                .header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
    }
    sim.advance(600_000).await;
    assert!(sim.listed().await.is_empty());
}

#[tokio::test]
async fn a_machine_may_never_boot_boot_late_fail_or_lack_gpus() {
    let sim = Sim::start(with_boxes());
    sim.once("create", json!({"do": "never_boots", "at": "provisioning"}))
        .await;
    let stuck = sim.pod("a").await;
    sim.once("create", json!({"do": "slow_boot", "ms": 600_000}))
        .await;
    let late = sim.pod("b").await;
    sim.once("create", json!({"do": "boot_fails"})).await;
    let failed = sim.pod("c").await;
    sim.once("create", json!({"do": "gpus", "count": 0})).await;
    let bare = sim.pod("d").await;
    sim.until(&failed, "ERROR").await;
    sim.until(&bare, "RUNNING").await;
    let told = sim
        .runpod("GET", &format!("/v2/pods/{bare}"), Value::Null)
        .await
        .json();
    assert_eq!(
        (&told["gpu"]["count"], &told["runtime"]["gpus"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(sim.bill(&bare).await["billing"], "full");
    sim.until(&late, "PROVISIONING").await;
    sim.advance(600_000).await;
    sim.until(&late, "RUNNING").await;
    sim.until(&stuck, "PROVISIONING").await;
    assert_eq!(sim.bill(&stuck).await["billing"], "full");
}

#[tokio::test]
async fn a_start_may_find_no_gpus_or_none_at_all() {
    let sim = Sim::start(quick());
    let id = sim.pod("a").await;
    sim.until(&id, "RUNNING").await;
    let action = format!("/v2/pods/{id}/action");
    sim.runpod("POST", &action, json!({"action": "stop"})).await;
    sim.until(&id, "EXITED").await;
    sim.once("start", json!({"do": "no_capacity"})).await;
    let full = sim
        .runpod("POST", &action, json!({"action": "start"}))
        .await;
    assert_eq!(full.status, 400);
    assert!(full.text().contains("not enough free GPUs"));
    sim.until(&id, "EXITED").await;
    sim.once("start", json!({"do": "gpus", "count": 0})).await;
    sim.runpod("POST", &action, json!({"action": "start"}))
        .await;
    assert_eq!(sim.until(&id, "RUNNING").await["gpus_present"], 0);
}

#[tokio::test]
async fn a_termination_may_be_slow_endless_or_a_lie() {
    let sim = Sim::start(quick());
    let pods = [sim.pod("a").await, sim.pod("b").await];
    for id in &pods {
        sim.until(id, "RUNNING").await;
    }
    let [endless, ghost] = &pods;
    let path = |id: &str| format!("/v2/pods/{id}");
    let never = json!({"operation": "destroy", "machine": endless, "fault": {"do": "never_ends"}});
    sim.order("faults", never).await;
    for _ in 0..2 {
        assert_eq!(
            sim.runpod("DELETE", &path(endless), Value::Null)
                .await
                .status,
            204
        );
    }
    sim.once("deletePod", json!({"do": "bills_on"})).await;
    assert_eq!(
        sim.runpod("DELETE", &path(ghost), Value::Null).await.status,
        204
    );
    assert_eq!(
        sim.runpod("GET", &path(ghost), Value::Null).await.status,
        404
    );
    sim.advance(3_600_000).await;
    assert_eq!(sim.listed().await, std::slice::from_ref(endless));
    for id in &pods {
        assert!(sim.bill(id).await["microusd"].as_u64().unwrap() >= 430_000);
    }
    assert_eq!(sim.bill(ghost).await["ghost"], true);
    for id in &pods {
        sim.order(&format!("machines/{id}/finish"), json!({})).await;
    }
    assert_eq!(alive(&sim).await, 0);
}

#[tokio::test]
async fn a_stale_list_lacks_the_new_and_shows_the_gone() {
    let sim = Sim::start(quick());
    let old = sim.pod("old").await;
    sim.until(&old, "RUNNING").await;
    sim.advance(60_000).await;
    sim.order(
        "faults",
        json!({"operation": "list", "fault": {"do": "stale", "ms": 30_000}}),
    )
    .await;
    let new = sim.pod("new").await;
    sim.runpod("DELETE", &format!("/v2/pods/{old}"), Value::Null)
        .await;
    sim.until(&old, "TERMINATED").await;
    let list = sim.runpod("GET", "/v2/pods", Value::Null).await.json();
    assert_eq!(ids(&list), [old]);
    assert_eq!(list["pods"][0]["status"], "RUNNING");
    assert_eq!(
        sim.runpod("GET", &format!("/v2/pods/{new}"), Value::Null)
            .await
            .status,
        200
    );
    sim.advance(31_000).await;
    assert_eq!(sim.listed().await, [new]);
}

#[tokio::test]
async fn a_list_may_be_empty_partial_overlapping_or_in_small_pages() {
    let sim = Sim::start(quick());
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        made.push(sim.pod(name).await);
        sim.advance(1000).await;
    }
    made.reverse();
    sim.once("list", json!({"do": "empty_list"})).await;
    assert!(sim.listed().await.is_empty());

    let rule = json!({"operation": "list", "times": 2, "fault": {"do": "partial_list"}});
    sim.order("faults", rule).await;
    let first = sim.runpod("GET", "/v2/pods", Value::Null).await.json();
    assert_eq!(ids(&first), made[..2]);
    assert_eq!(first["pagination"]["hasNextPage"], true);
    let next = |page: &Value| {
        format!(
            "/v2/pods?cursor={}",
            page["pagination"]["nextCursor"].as_str().unwrap()
        )
    };
    assert_eq!(
        sim.runpod("GET", &next(&first), Value::Null).await.status,
        500
    );

    for fault in [
        json!({"do": "small_pages", "size": 2}),
        json!({"do": "overlapping_pages"}),
    ] {
        let rule = json!({"operation": "list", "times": 2, "fault": fault});
        sim.order("faults", rule).await;
    }
    let first = sim.runpod("GET", "/v2/pods", Value::Null).await.json();
    let second = sim.runpod("GET", &next(&first), Value::Null).await.json();
    assert_eq!(
        (ids(&first), ids(&second)),
        (made[..2].to_vec(), made[1..].to_vec())
    );
    assert_eq!(second["pagination"]["hasNextPage"], false);
}

#[tokio::test]
async fn states_and_prices_may_be_no_states_and_prices() {
    let sim = Sim::start(quick());
    let id = sim.pod("a").await;
    let path = format!("/v2/pods/{id}");
    sim.once("get", json!({"do": "wrong_state", "word": "MIGRATING"}))
        .await;
    assert_eq!(
        sim.runpod("GET", &path, Value::Null).await.json()["status"],
        "MIGRATING"
    );
    let price = async |how: &str| {
        sim.once("listGpuTypes", json!({"do": "bad_price", "how": how}))
            .await;
        let gpus = sim
            .runpod("GET", "/v2/catalog/gpus", Value::Null)
            .await
            .json();
        gpus["gpus"][1]
            .get("price")
            .map(|price| price["secure"].clone())
    };
    assert_eq!(price("missing").await, None);
    assert_eq!(price("null").await, Some(Value::Null));
    assert_eq!(price("zero").await, Some(json!(0)));
    assert_eq!(price("negative").await, Some(json!(-1.43)));
    assert_eq!(price("text").await, Some(json!("0.43")));
}

#[tokio::test]
async fn what_is_done_in_the_console_is_seen_over_the_api() {
    let sim = Sim::start(quick());
    let id = sim.pod("a").await;
    sim.until(&id, "RUNNING").await;
    sim.order("machines/a/stop", json!({})).await;
    sim.until(&id, "EXITED").await;
    sim.order("machines/a/terminate", json!({})).await;
    sim.until(&id, "TERMINATED").await;
    assert!(
        sim.look("journal").await["calls"]
            .as_array()
            .unwrap()
            .iter()
            .all(|call| call["kind"] == "create")
    );
}

#[tokio::test]
async fn a_bill_may_lag_behind_the_meter() {
    let sim = Sim::start(quick());
    let id = sim.pod("a").await;
    sim.advance(3_600_000).await;
    sim.once("bill", json!({"do": "bill_lag", "ms": 1_800_000}))
        .await;
    let path = format!("/v2/billing/pods?podId={id}");
    let amount = async || {
        sim.runpod("GET", &path, Value::Null).await.json()["metadata"]["totals"]["totalAmount"]
            .as_f64()
            .unwrap()
    };
    let (lagging, whole) = (amount().await, amount().await);
    assert!((0.21..0.22).contains(&lagging), "{lagging}");
    assert!((0.43..0.44).contains(&whole), "{whole}");
}

#[tokio::test]
async fn an_order_with_a_typing_error_is_refused() {
    let sim = Sim::start(quick());
    let url = format!("{}/control/faults", sim.url("control"));
    let reply = client::ask("POST", &url, &[], "{\"fault\": {\"do\": \"reply_last\"}}")
        .await
        .unwrap();
    assert_eq!(reply.status, 400);
    assert_eq!(sim.look("faults").await["faults"], json!([]));
}

#[tokio::test]
async fn a_reset_leaves_nothing_but_the_time() {
    let sim = Sim::start(with_boxes());
    let id = sim.pod("a").await;
    sim.until(&id, "RUNNING").await;
    sim.advance(5_000).await;
    sim.order("faults", json!({"fault": {"do": "close"}})).await;
    sim.order("reset", json!({})).await;
    assert!(sim.listed().await.is_empty());
    assert_eq!(sim.look("meter").await["totals"]["microusd"], 0);
    assert!(sim.look("clock").await["ahead_ms"].as_i64().unwrap() >= 5_000);
}
