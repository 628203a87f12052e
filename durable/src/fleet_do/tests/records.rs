//! Stored formats: rows outlive releases, so each is pinned as it is written, and as older and newer
//! releases write it.

use super::*;
use crate::bindings::fleet::{KeyRecord, ReliabilityPolicy, Route};
use crate::bindings::key::KeyLimits;

#[test]
fn server_record_v1_format_unchanged() {
    let mut rig = fleet();
    let full = ServerEntry {
        metadata: [("region".to_owned(), json!("eu"))].into(),
        upstream_model: Some("llama-q4".to_owned()),
        first_token_cap_ms: Some(100_000),
        ..entry("llama", "gpu")
    };
    settle(&mut rig, &register("a", full));
    assert_eq!(
        rig.text("SELECT entry FROM servers"),
        r#"{"model_name":"llama","endpoint_url":"https://gpu/v1","sealed_api_key":"sealed-secret","owner":"ops","max_concurrency":8,"queue_depth":16,"weight":100,"priority":0,"price_microusd_per_hour":400000,"metadata":{"region":"eu"},"upstream_model":"llama-q4","first_token_cap_ms":100000}"#
    );
    assert_eq!(
        rig.text("SELECT status FROM servers"),
        r#"{"state":"healthy","reason":"","since_ms":1795255200000,"until_ms":null,"checked_at_ms":1795255200000,"totals":{"requests":0,"successes":0,"client_errors":0,"backpressure":0,"failures":0,"client_left":0,"leases_expired":0,"prompt_tokens":0,"completion_tokens":0}}"#
    );
}

#[test]
fn key_record_v1_format_unchanged() {
    let mut rig = fleet();
    let record = KeyRecord {
        id: "k1".to_owned(),
        name: "ci".to_owned(),
        secret_hash: "0".repeat(64),
        scopes: vec!["inference".to_owned()],
        limits: KeyLimits {
            requests_per_minute: Some(60),
            ..KeyLimits::default()
        },
        ..KeyRecord::default()
    };
    settle(&mut rig, &FleetCommand::MintKey { record });
    let zeros = "0".repeat(64);
    assert_eq!(
        rig.text("SELECT record FROM keys"),
        format!(
            r#"{{"id":"k1","name":"ci","secret_hash":"{zeros}","previous_secret_hash":null,"previous_until_ms":null,"scopes":["inference"],"limits":{{"requests_per_minute":60}},"models":[],"expires_at_ms":null,"created_at_ms":0,"priority":0,"project":null}}"#
        )
    );
}

#[test]
fn route_and_policy_record_v1_formats_unchanged() {
    let mut rig = fleet_with(&["a"]);
    let route = Route {
        targets: vec!["a".to_owned()],
        weights: [("a".to_owned(), 3)].into(),
        ..Route::default()
    };
    let name = "fast".to_owned();
    settle(&mut rig, &FleetCommand::PutRoute { name, route });
    assert_eq!(
        rig.text("SELECT route FROM routes"),
        r#"{"targets":["a"],"strategy":"least_busy","weights":{"a":3},"fallbacks":[]}"#
    );
    let policy = ReliabilityPolicy {
        max_retries: 1,
        ..ReliabilityPolicy::default()
    };
    settle(&mut rig, &FleetCommand::PutPolicy { policy });
    assert_eq!(
        rig.text("SELECT policy FROM policy"),
        r#"{"version":1,"first_token_timeout_ms":300000,"idle_timeout_ms":60000,"total_timeout_ms":1800000,"max_retries":1,"hedge":true,"hedge_min_ms":2000,"hedge_initial_ms":4000,"eject_after_consecutive_failures":5,"eject_failure_percent":50,"eject_min_requests":20,"ejection_base_ms":30000,"ejection_cap_ms":300000,"retry_budget_percent":20,"queue_timeout_ms":10000,"max_waiting_per_model":1000,"model_wait_ms":60000,"health_interval_ms":60000,"health_timeout_ms":10000,"unhealthy_after":3,"healthy_after":1}"#
    );
}

#[test]
fn a_record_without_newer_fields_still_loads() {
    let mut rig = fleet_with(&["a"]);
    rig.evict();
    rig.rows(
        r#"UPDATE servers SET status = '{"state":"unhealthy"}', entry =
        '{"model_name":"llama","endpoint_url":"https://old/v1","max_concurrency":1,"queue_depth":0,"weight":1,"priority":0,"price_microusd_per_hour":0}'"#,
    );
    rig.rows(r#"INSERT INTO keys VALUES ('k', '{"id":"k","name":"n","scopes":["read"],"created_at_ms":1}')"#);
    rig.rows(r#"INSERT INTO routes VALUES ('r', '{"targets":["a"]}')"#);
    rig.rows(r#"INSERT INTO policy VALUES (1, '{"version":4,"max_retries":0}')"#);
    let snapshot = snapshot(&mut rig);
    assert_eq!(snapshot.servers[0].entry.endpoint_url, "https://old/v1");
    assert_eq!(snapshot.servers[0].status.state, ServerState::Unhealthy);
    assert_eq!(snapshot.routes["r"].targets, ["a"]);
    assert_eq!(
        (snapshot.policy.version, snapshot.policy.max_retries),
        (4, 0)
    );
    assert_eq!(snapshot.policy.idle_timeout_ms, 60_000);
    let key = ask(&mut rig, &FleetCommand::Key { id: "k".to_owned() });
    assert!(matches!(key, FleetAnswer::Key { .. }));
}

#[test]
fn a_record_of_the_next_release_still_loads_after_a_rollback() {
    let mut rig = fleet_with(&["a"]);
    rig.evict();
    rig.rows(r#"UPDATE servers SET status = '{"state":"hibernating"}', entry = json_set(entry, '$.colour', 'red')"#);
    rig.rows(r#"INSERT INTO policy VALUES (1, '{"version":4,"shadow_percent":5}')"#);
    let snapshot = snapshot(&mut rig);
    assert_eq!(snapshot.servers[0].status.state, ServerState::Healthy);
    assert_eq!(snapshot.policy.version, 4);
}

#[test]
fn a_broken_record_is_named_and_nothing_is_answered() {
    let mut rig = fleet_with(&["a"]);
    rig.evict();
    rig.rows("UPDATE servers SET entry = '{}'");
    let error = rig.try_call(&FleetCommand::Stats).unwrap_err().to_string();
    assert!(
        error.starts_with("the stored server entry cannot be read: missing field `model_name`")
    );
}
