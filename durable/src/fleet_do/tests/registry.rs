use serde_json::json;

use super::*;
use crate::bindings::fleet::ServerChange;
use crate::bindings::fleet::{FleetStats, ReliabilityPolicy};
use crate::bindings::instance::TotalsView;
use tidegate_domain::time::Span;

fn default_policy() -> serde_json::Value {
    serde_json::to_value(ReliabilityPolicy::default()).unwrap()
}

fn update(id: &str, change: ServerChange) -> FleetCommand {
    FleetCommand::Update {
        id: id.to_owned(),
        change,
    }
}

fn drain(id: &str, draining: bool) -> FleetCommand {
    FleetCommand::SetDraining {
        id: id.to_owned(),
        draining,
    }
}

fn get(id: &str) -> FleetCommand {
    FleetCommand::Server { id: id.to_owned() }
}

fn state(rig: &mut Rig<Fleet>, id: &str) -> ServerState {
    match ask(rig, &get(id)) {
        FleetAnswer::Server { server, .. } => server.status.state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_registration_tells_the_directory_the_instance_and_the_journal() {
    let mut rig = fleet();
    let (answer, messages) = settle(&mut rig, &register("a", entry("llama", "gpu")));
    let FleetAnswer::Server {
        server,
        spec,
        policy,
    } = answer
    else {
        panic!("{answer:?}");
    };
    assert_eq!(server.id, "a");
    assert!(server.has_api_key);
    assert_eq!(server.entry.sealed_api_key, None);
    assert_eq!(server.status.state, ServerState::Healthy);
    assert_eq!(server.status.checked_at_ms, START.as_ms());
    assert_eq!(server.created_at_ms, START.as_ms());
    assert_eq!(spec.generation, 1);
    assert_eq!(spec.model, "llama");
    assert_eq!(spec.sealed_api_key.as_deref(), Some("sealed-secret"));
    assert_eq!(policy, ReliabilityPolicy::default());
    let configure = json!({
        "command": "configure",
        "spec": {
            "generation": 1,
            "model": "llama",
            "endpoint_url": "https://gpu/v1",
            "sealed_api_key": "sealed-secret",
            "max_concurrency": 8,
            "queue_depth": 16,
        },
        "first_check": {"at_ms": START.as_ms(), "ok": true, "latency_ms": 12},
        "policy": default_policy(),
    });
    let append = json!({
        "command": "append",
        "event_id": "fleet/acme/1",
        "entries": [{
            "at_ms": START.as_ms(),
            "actor": "admin",
            "action": "server.registered",
            "subject": "a",
            "reason": "llama at https://gpu/v1",
        }],
    });
    assert_eq!(
        messages,
        [
            (
                "directory".to_owned(),
                json!({"command": "enroll", "org": "acme"})
            ),
            ("instance/acme/a".to_owned(), configure),
            ("journal/acme/2026-11-21".to_owned(), append),
        ]
    );
    assert_eq!(rig.count("outbox"), 0);
    assert_eq!(rig.alarm().effects, []);
}

#[test]
fn an_organisation_is_enrolled_once() {
    let mut rig = fleet_with(&["a"]);
    rig.evict();
    let (_, messages) = settle(&mut rig, &register("b", entry("llama", "b")));
    let receivers: Vec<_> = messages.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(receivers, ["instance/acme/b", "journal/acme/2026-11-21"]);
    assert_eq!(messages[1].1["event_id"], "fleet/acme/2");
}

#[test]
fn the_same_model_at_the_same_url_is_a_duplicate() {
    let mut rig = fleet_with(&["a"]);
    let before = version(&mut rig);
    let (answer, messages) = settle(&mut rig, &register("b", entry("llama", "a")));
    let existing = "a".to_owned();
    assert_eq!(answer, FleetAnswer::Duplicate { existing });
    assert_eq!(messages, []);
    assert_eq!(version(&mut rig), before);
    let (answer, _) = settle(&mut rig, &register("b", entry("other", "a")));
    assert!(matches!(answer, FleetAnswer::Server { .. }));
}

#[test]
fn a_registration_repeated_after_a_lost_answer_is_answered_again() {
    let mut rig = fleet_with(&["a"]);
    let (answer, messages) = settle(&mut rig, &register("a", entry("llama", "a")));
    assert!(matches!(answer, FleetAnswer::Server { .. }));
    assert_eq!(messages, []);
    let (answer, _) = settle(&mut rig, &register("a", entry("llama", "elsewhere")));
    let existing = "a".to_owned();
    assert_eq!(answer, FleetAnswer::Duplicate { existing });
}

#[test]
fn a_server_that_failed_its_first_check_is_not_registered() {
    let mut rig = fleet();
    let command = FleetCommand::Register {
        id: "a".to_owned(),
        entry: entry("llama", "a"),
        first_check: CheckReport {
            ok: false,
            reason: Some("connection refused".to_owned()),
            ..check(0)
        },
    };
    let (answer, messages) = settle(&mut rig, &command);
    assert_eq!(invalid(&answer), Some("endpoint_url"));
    assert_eq!(messages, []);
    assert_eq!(rig.count("servers"), 0);
}

#[test]
fn an_entry_out_of_bounds_is_refused_on_the_way_in_and_in_a_change() {
    let mut rig = fleet_with(&["a"]);
    let idle = ServerEntry {
        max_concurrency: 0,
        ..entry("llama", "b")
    };
    let (answer, messages) = settle(&mut rig, &register("b", idle));
    assert_eq!(invalid(&answer), Some("max_concurrency"));
    assert_eq!(messages, []);
    let change = ServerChange {
        weight: Some(0),
        ..ServerChange::default()
    };
    let (answer, messages) = settle(&mut rig, &update("a", change));
    assert_eq!(invalid(&answer), Some("weight"));
    assert_eq!(messages, []);
}

#[test]
fn a_change_raises_the_generation_and_names_what_changed() {
    let mut rig = fleet_with(&["a"]);
    let before = version(&mut rig);
    rig.wait(Span::from_secs(5));
    let change = ServerChange {
        max_concurrency: Some(4),
        sealed_api_key: Some(Some("sealed-anew".to_owned())),
        owner: Some(String::new()),
        upstream_model: Some("llama-q4".to_owned()),
        metadata: Some([("note".to_owned(), json!("private"))].into()),
        ..ServerChange::default()
    };
    let (answer, messages) = settle(&mut rig, &update("a", change.clone()));
    let FleetAnswer::Server { server, spec, .. } = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(server.entry.owner, None);
    assert_eq!(server.updated_at_ms, START.as_ms() + 5_000);
    assert_eq!(server.created_at_ms, START.as_ms());
    assert_eq!(spec.generation, 2);
    assert_eq!(spec.model, "llama-q4");
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].0, "instance/acme/a");
    assert_eq!(messages[0].1["command"], "configure");
    assert_eq!(messages[0].1["spec"], serde_json::to_value(&spec).unwrap());
    assert_eq!(messages[0].1["first_check"], json!(null));
    let reason = "max_concurrency: 8 → 4, owner: \"ops\" → null, \
                  upstream_model: null → \"llama-q4\", api key replaced, metadata changed";
    assert_eq!(
        audit(&messages),
        audited("admin", "server.updated", "a", reason)
    );
    assert_eq!(version(&mut rig), before + 1);

    let (answer, messages) = settle(&mut rig, &update("a", change));
    assert!(matches!(answer, FleetAnswer::Server { spec, .. } if spec.generation == 2));
    assert_eq!(messages, []);
    assert_eq!(version(&mut rig), before + 1);
}

#[test]
fn null_removes_a_key_and_a_first_token_cap_and_an_absent_field_keeps_them() {
    let mut rig = fleet();
    let capped = ServerEntry {
        first_token_cap_ms: Some(100_000),
        ..entry("llama", "a")
    };
    settle(&mut rig, &register("a", capped));
    let mut put = |change: serde_json::Value| {
        let command = json!({"command": "update", "id": "a", "change": change});
        let command: FleetCommand = serde_json::from_value(command).unwrap();
        settle(&mut rig, &command);
        let entry = snapshot(&mut rig).servers[0].entry.clone();
        (entry.sealed_api_key.is_some(), entry.first_token_cap_ms)
    };
    assert_eq!(put(json!({"weight": 3})), (true, Some(100_000)));
    assert_eq!(
        put(json!({"first_token_cap_ms": 7_000})),
        (true, Some(7_000))
    );
    assert_eq!(put(json!({"first_token_cap_ms": null})), (true, None));
    assert_eq!(put(json!({"sealed_api_key": null})), (false, None));
}

#[test]
fn a_change_may_not_make_two_servers_alike() {
    let mut rig = fleet_with(&["a", "b"]);
    let change = ServerChange {
        endpoint_url: Some("https://a/v1".to_owned()),
        ..ServerChange::default()
    };
    let (answer, messages) = settle(&mut rig, &update("b", change));
    let existing = "a".to_owned();
    assert_eq!(answer, FleetAnswer::Duplicate { existing });
    assert_eq!(messages, []);
}

#[test]
fn a_removal_outranks_every_earlier_generation() {
    let mut rig = fleet_with(&["a"]);
    let before = version(&mut rig);
    let command = FleetCommand::Deregister { id: "a".to_owned() };
    let (answer, messages) = settle(&mut rig, &command);
    assert_eq!(answer, FleetAnswer::Done);
    assert_eq!(
        messages[0],
        (
            "instance/acme/a".to_owned(),
            json!({"command": "remove", "generation": 2})
        )
    );
    assert_eq!(
        audit(&messages),
        audited("admin", "server.deregistered", "a", "llama at https://a/v1")
    );
    assert_eq!(version(&mut rig), before + 1);
    assert_eq!(rig.count("servers"), 0);
    let (answer, messages) = settle(&mut rig, &command);
    assert_eq!(answer, FleetAnswer::NotFound);
    assert_eq!(messages, []);
}

#[test]
fn draining_is_seen_at_once_and_undone_by_resuming() {
    let mut rig = fleet_with(&["a"]);
    let before = version(&mut rig);
    let (_, messages) = settle(&mut rig, &drain("a", true));
    assert_eq!(messages[0].1, json!({"command": "drain"}));
    assert_eq!(
        audit(&messages),
        audited("admin", "server.draining", "a", "")
    );
    assert_eq!(state(&mut rig, "a"), ServerState::Draining);
    assert_eq!(version(&mut rig), before + 1);
    assert_eq!(settle(&mut rig, &drain("a", true)).1, []);

    settle(
        &mut rig,
        &announce("a", 1, status(ServerState::Draining, "drained")),
    );
    rig.evict();
    let (_, messages) = settle(&mut rig, &drain("a", false));
    assert_eq!(messages[0].1, json!({"command": "resume"}));
    assert_eq!(
        audit(&messages),
        audited("admin", "server.resumed", "a", "")
    );
    assert_eq!(state(&mut rig, "a"), ServerState::Healthy);
    assert_eq!(settle(&mut rig, &drain("a", false)).1, []);
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut rig = fleet();
    for command in [
        get("a"),
        update("a", ServerChange::default()),
        drain("a", true),
    ] {
        assert_eq!(ask(&mut rig, &command), FleetAnswer::NotFound);
    }
}

#[test]
fn stats_sum_what_was_announced() {
    let mut rig = fleet_with(&["a", "b"]);
    settle(&mut rig, &register("c", entry("small", "c")));
    for id in ["a", "b"] {
        let totals = TotalsView {
            requests: 10,
            prompt_tokens: 70,
            ..TotalsView::default()
        };
        let status = ServerStatus {
            totals,
            ..status(ServerState::Healthy, "")
        };
        settle(&mut rig, &announce(id, 1, status));
    }
    settle(&mut rig, &drain("b", true));
    let snapshot_version = version(&mut rig);
    let FleetAnswer::Stats { stats } = ask(&mut rig, &FleetCommand::Stats) else {
        panic!("no stats");
    };
    let totals = TotalsView {
        requests: 20,
        prompt_tokens: 140,
        ..TotalsView::default()
    };
    assert_eq!(
        stats,
        FleetStats {
            servers: 3,
            healthy: 2,
            models: 2,
            keys: 0,
            totals,
            snapshot_version,
        }
    );
}

#[test]
fn an_eviction_after_each_change_loses_nothing() {
    let mut rig = fleet_with(&["a", "b"]);
    settle(&mut rig, &drain("a", true));
    settle(
        &mut rig,
        &announce("b", 3, status(ServerState::Unhealthy, "503")),
    );
    let (before_a, before_b) = (ask(&mut rig, &get("a")), ask(&mut rig, &get("b")));
    let before = snapshot(&mut rig);
    rig.evict();
    assert_eq!(ask(&mut rig, &get("a")), before_a);
    assert_eq!(ask(&mut rig, &get("b")), before_b);
    assert_eq!(snapshot(&mut rig), before);
    // The number of the last announcement outlives the eviction too.
    let (_, messages) = settle(
        &mut rig,
        &announce("b", 3, status(ServerState::Healthy, "")),
    );
    assert_eq!(messages, []);
    assert_eq!(snapshot(&mut rig), before);
}
