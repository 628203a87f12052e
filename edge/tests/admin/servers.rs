//! `/admin/servers`: lists, one server in full, and its switches.

use serde_json::{Value, json};
use tidegate_durable::bindings::ObjectKind;
use tidegate_durable::bindings::fleet::{ServerState, ServerStatus};
use tidegate_durable::bindings::instance::{CheckReport, InstanceView, LeaseView, WhyOutView};
use tidegate_edge::effect::CallOutcome;

use crate::world::{SERVER_KEY, Script, World};

fn three() -> (World, Vec<String>) {
    let mut world = World::new();
    let ids = [
        ("a", "ml", 3, "0.5"),
        ("a", "web", 2, "2"),
        ("b", "ml", 1, "1.25"),
    ]
    .map(|(model, owner, priority, price)| {
        let url = format!("https://{owner}-{model}.example.com");
        world.register(json!({
            "model_name": model, "owner": owner, "priority": priority, "price_per_hour": price,
            "endpoint_url": url, "api_key": SERVER_KEY,
        }))
    });
    (world, ids.to_vec())
}

fn ids(body: &Value) -> Vec<&str> {
    let data = body["data"].as_array().unwrap();
    data.iter()
        .map(|server| server["id"].as_str().unwrap())
        .collect()
}

#[test]
fn the_list_is_filtered_sorted_and_paged() {
    let (mut world, all) = three();
    let mut list = |query: &str| world.get(&format!("/admin/servers?{query}")).body;
    let body = list("");
    assert_eq!(
        (&body["total"], &body["limit"], &body["offset"]),
        (&json!(3), &json!(50), &json!(0))
    );
    assert_eq!(ids(&list("model=a&sort=price")), [&all[0], &all[1]]);
    assert_eq!(ids(&list("owner=ml&sort=-priority")), [&all[0], &all[2]]);
    assert_eq!(ids(&list("sort=price&limit=1&offset=1")), [&all[2]]);
    assert_eq!(list("state=ejected")["total"], 0);
    assert_eq!(list("state=healthy&model=&owner=")["total"], 3);
}

#[test]
fn a_query_that_makes_no_sense_is_400() {
    let (mut world, _) = three();
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("offset=x", "offset"),
        ("state=sick", "state"),
        ("sort=colour", "sort"),
    ] {
        let answer = world.get(&format!("/admin/servers?{query}"));
        assert_eq!(
            answer.error(),
            (400, "invalid_value", Some(param)),
            "{query}"
        );
    }
}

#[test]
fn a_state_shows_its_reason_and_its_end() {
    let (mut world, all) = three();
    let status = ServerStatus {
        state: ServerState::Ejected,
        reason: "5 failures in a row".to_owned(),
        since_ms: 1_795_255_201_000,
        until_ms: Some(1_795_255_231_000),
        ..ServerStatus::default()
    };
    world.announce(&all[0], status);
    let body = world.get("/admin/servers?state=ejected").body;
    let server = &body["data"][0];
    assert_eq!(server["id"], json!(all[0]));
    assert_eq!(server["status"], "ejected");
    assert_eq!(server["status_reason"], "5 failures in a row");
    assert_eq!(server["status_since_at"], "2026-11-21T10:00:01.000Z");
    assert_eq!(server["status_until_at"], "2026-11-21T10:00:31.000Z");
    assert_eq!(server["checked_at"], Value::Null);
    assert_eq!(server["has_api_key"], true);
    assert_eq!(server["price_per_hour"], "0.5");
}

fn view() -> InstanceView {
    InstanceView {
        phase: "active".to_owned(),
        in_service: false,
        why_out: Some(WhyOutView {
            reason: "ejected".to_owned(),
            since_ms: Some(1_795_255_200_000),
            until_ms: None,
        }),
        health: "healthy".to_owned(),
        checks: vec![
            CheckReport {
                at_ms: 1_795_255_100_000,
                ok: true,
                latency_ms: 4,
                reason: None,
            },
            CheckReport {
                at_ms: 1_795_255_160_000,
                ok: false,
                latency_ms: 9,
                reason: Some("status 500".to_owned()),
            },
        ],
        success_rate: Some(0.5),
        mean_latency_ms: Some(4.0),
        breaker: "ejected".to_owned(),
        consecutive_failures: 5,
        ejections: 1,
        running: 1,
        queued: 2,
        capacity: 32,
        queue_depth: 64,
        leases: vec![LeaseView {
            request: "req_1".to_owned(),
            granted_at_ms: 1_795_255_190_000,
            expires_at_ms: 1_795_255_250_000,
            kind: "normal".to_owned(),
        }],
        ..InstanceView::default()
    }
}

fn answering(command: &'static str) -> Script {
    let reply = serde_json::to_string(&view()).unwrap();
    Box::new(move |_, message| {
        (message["command"] == command).then(|| CallOutcome::Answered(reply.clone()))
    })
}

#[test]
fn one_server_shows_checks_breaker_queue_and_leases() {
    let (mut world, all) = three();
    world.script = answering("describe");
    let server = world.get(&format!("/admin/servers/{}", all[0])).body;
    assert_eq!(server["model_name"], "a");
    assert_eq!(
        (&server["success_rate"], &server["mean_latency_ms"]),
        (&json!(0.5), &json!(4.0))
    );
    assert_eq!(
        server["checks"][1],
        json!({ "checked_at": "2026-11-21T09:59:20.000Z", "ok": false, "latency_ms": 9, "reason": "status 500" })
    );
    assert_eq!(
        server["breaker"],
        json!({ "state": "ejected", "consecutive_failures": 5, "ejections": 1 })
    );
    assert_eq!(
        server["queue"],
        json!({ "running": 1, "capacity": 32, "waiting": 2, "depth": 64 })
    );
    assert_eq!(
        server["out_of_service"],
        json!({ "reason": "ejected", "since_at": "2026-11-21T10:00:00.000Z", "until_at": null })
    );
    assert_eq!(server["leases"][0]["request_id"], "req_1");
    assert_eq!(
        server["leases"][0]["expires_at"],
        "2026-11-21T10:00:50.000Z"
    );
    assert_eq!(server["live_error"], Value::Null);
}

#[test]
fn a_server_whose_object_is_silent_still_shows_its_entry_and_says_so() {
    let (mut world, all) = three();
    world.silence(ObjectKind::Instance);
    let answer = world.get(&format!("/admin/servers/{}", all[0]));
    assert_eq!((answer.status, answer.text("model_name")), (200, "a"));
    assert_eq!(
        (&answer.body["checks"], &answer.body["breaker"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(answer.body["totals"]["requests"], 0);
    assert!(answer.text("live_error").contains("did not answer"));
}

#[test]
fn a_server_that_is_gone_is_404() {
    let (mut world, all) = three();
    let path = format!("/admin/servers/{}", all[0]);
    world.admin(
        "DELETE",
        &format!("/admin/register/{}", all[0]),
        Value::Null,
    );
    assert_eq!(world.get(&path).error(), (404, "not_found", None));
    for switch in ["drain", "resume"] {
        let answer = world.admin("POST", &format!("{path}/{switch}"), Value::Null);
        assert_eq!(answer.error(), (404, "not_found", None));
    }
    let gone = InstanceView {
        phase: "unregistered".to_owned(),
        ..InstanceView::default()
    };
    let reply = serde_json::to_string(&gone).unwrap();
    world.script = Box::new(move |_, _| Some(CallOutcome::Answered(reply.clone())));
    let answer = world.admin("POST", &format!("{path}/health-check"), Value::Null);
    assert_eq!(answer.error(), (404, "not_found", None));
}

#[test]
fn a_health_check_answers_with_its_result() {
    let (mut world, all) = three();
    world.script = answering("health_check");
    let answer = world.admin(
        "POST",
        &format!("/admin/servers/{}/health-check", all[0]),
        Value::Null,
    );
    assert_eq!((answer.status, answer.text("id")), (200, all[0].as_str()));
    assert_eq!(answer.body["check"]["ok"], false);
    assert_eq!(answer.body["check"]["reason"], "status 500");
    assert_eq!(answer.body["health"], "healthy");
    world.silence(ObjectKind::Instance);
    let answer = world.admin(
        "POST",
        &format!("/admin/servers/{}/health-check", all[0]),
        Value::Null,
    );
    assert_eq!(answer.error(), (503, "gateway_unavailable", None));
}

#[test]
fn a_server_is_drained_and_resumed_even_if_its_object_is_silent() {
    let (mut world, all) = three();
    let path = format!("/admin/servers/{}", all[0]);
    let answer = world.admin("POST", &format!("{path}/drain"), Value::Null);
    assert_eq!((answer.status, answer.text("status")), (200, "draining"));
    assert_eq!(world.commands(), ["set_draining", "drain"]);
    assert_eq!(world.get("/admin/servers?state=draining").body["total"], 1);
    world.silence(ObjectKind::Instance);
    let answer = world.admin("POST", &format!("{path}/resume"), Value::Null);
    assert_eq!((answer.status, answer.text("status")), (200, "healthy"));
    assert_eq!(world.commands(), ["set_draining", "resume"]);
}
