//! Who gets in, and who is asked about it.

use serde_json::json;
use tidegate_durable::bindings::ObjectKind;
use tidegate_durable::bindings::fleet::ServerState;
use tidegate_edge::effect::CallOutcome;
use tidegate_edge::request::Head;
use tidegate_vault::{ApiKey, Installation, KeyId, Organisation};

use crate::rig::{Rig, chat, forged, installation, mint};

fn with_key(rig: &Rig, key: &str) -> Head {
    let mut head = rig.head("/v1/chat/completions");
    head.headers[0].1 = format!("Bearer {key}");
    head
}

fn refused(rig: &mut Rig, head: Head) -> (u16, String) {
    let (id, lines) = rig.arrive(head);
    let status = rig.talk(id).status.expect("answered");
    assert_eq!(lines, [&format!("respond {status}"), "log", "done"]);
    assert!(rig.talk(id).header("x-request-id").is_some());
    rig.talk(id).error()
}

#[test]
fn without_a_key_nobody_gets_in_and_only_the_snapshot_says_so() {
    let mut rig = Rig::new(&["a"]);
    for value in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Basic dTpw"),
    ] {
        let mut head = rig.head("/v1/chat/completions");
        head.headers.remove(0);
        head.headers
            .extend(value.map(|value| ("authorization".to_owned(), value.to_owned())));
        assert_eq!(refused(&mut rig, head), (401, "invalid_api_key".to_owned()));
    }
    // Whether anybody may ask without a key stands in the snapshot, which is asked for once.
    assert_eq!(rig.fleet_asked, ["snapshot"]);
}

#[test]
fn a_key_that_was_not_made_here_asks_no_object() {
    let mut rig = Rig::new(&["a"]);
    let foreign = Installation::derive(b"another-installation-0123456789ab").unwrap();
    let foreign = mint(&foreign, 7).text.expose_str().unwrap().to_owned();
    for key in [
        forged(&rig.key),
        foreign,
        "tg_short".to_owned(),
        "sk-proj-something".to_owned(),
        "ключ".to_owned(),
    ] {
        let head = with_key(&rig, &key);
        assert_eq!(refused(&mut rig, head), (401, "invalid_api_key".to_owned()));
    }
    assert_eq!(rig.fleet_asked, [""; 0]);
}

#[test]
fn a_revoked_key_is_refused_and_the_miss_is_remembered() {
    let mut rig = Rig::new(&["a"]);
    rig.records.clear();
    for _ in 0..5 {
        let head = with_key(&rig, &rig.key);
        assert_eq!(refused(&mut rig, head), (401, "invalid_api_key".to_owned()));
    }
    assert_eq!(rig.fleet_asked, ["key"]);
    rig.pass(5_000);
    let head = with_key(&rig, &rig.key);
    refused(&mut rig, head);
    assert_eq!(rig.fleet_asked, ["key", "key"]);
}

#[test]
fn a_revoked_key_lives_on_for_five_seconds_at_most() {
    let mut rig = Rig::new(&["a"]);
    rig.chat(&chat());
    rig.records.clear();
    rig.pass(4_999);
    let (_, lines) = rig.chat(&chat());
    assert!(lines.contains(&"ask a: first normal".to_owned()));
    rig.pass(1);
    let head = with_key(&rig, &rig.key);
    assert_eq!(refused(&mut rig, head).0, 401);
}

#[test]
fn an_ageing_record_is_fetched_again_behind_one_request() {
    let mut rig = Rig::new(&["a"]);
    rig.chat(&chat());
    rig.pass(3_000);
    let (_, lines) = rig.arrive(rig.head("/v1/chat/completions"));
    assert_eq!(lines, ["refresh fleet: key", "read_body"]);
    let (_, lines) = rig.arrive(rig.head("/v1/chat/completions"));
    assert_eq!(lines, ["read_body"]);
    rig.refreshed();
    rig.pass(2_900);
    let (_, lines) = rig.arrive(rig.head("/v1/chat/completions"));
    assert_eq!(lines, ["read_body"], "fresh again");
}

#[test]
fn an_expired_key_is_refused_from_that_moment_on() {
    let mut rig = Rig::new(&["a"]);
    let until = rig.now.as_ms() + 1_000;
    rig.record().expires_at_ms = Some(until);
    let (_, lines) = rig.chat(&chat());
    assert!(lines.contains(&"ask a: first normal".to_owned()));
    rig.pass(1_000);
    let head = with_key(&rig, &rig.key);
    assert_eq!(refused(&mut rig, head), (401, "invalid_api_key".to_owned()));
}

#[test]
fn the_scope_must_fit_and_a_wider_one_does() {
    for (scopes, passes) in [
        (vec![], false),
        (vec!["read"], false),
        (vec!["something"], false),
        (vec!["read", "inference"], true),
        (vec!["admin"], true),
    ] {
        let mut rig = Rig::new(&["a"]);
        rig.record().scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let head = rig.head("/v1/chat/completions");
        if passes {
            assert_eq!(rig.arrive(head).1, ["read_body"], "{scopes:?}");
        } else {
            let expected = (403, "insufficient_permissions".to_owned());
            assert_eq!(refused(&mut rig, head), expected, "{scopes:?}");
        }
    }
}

#[test]
fn a_key_whose_budget_is_used_up_is_refused_until_its_period_ends() {
    let mut rig = Rig::new(&["a"]);
    let until = rig.now.as_ms() + 90_000;
    let record = rig.record();
    record.suspended_until_ms = Some(until);
    record.suspended_reason = "it has used up its budget".to_owned();
    let (id, lines) = rig.arrive(rig.head("/v1/chat/completions"));
    assert_eq!(lines, ["respond 429", "log", "done"]);
    let talk = rig.talk(id);
    assert_eq!(talk.error(), (429, "insufficient_quota".to_owned()));
    assert_eq!(talk.header("retry-after"), Some("90"));
    let message = talk.json()["error"]["message"].clone();
    assert_eq!(
        message,
        "This key is suspended until 2026-11-21T10:01:30.000Z: it has used up its budget. \
         Wait, or ask for a larger budget."
    );
    let mut models = rig.head("/v1/models");
    models.method = "GET".to_owned();
    let (id, _) = rig.arrive(models);
    assert_eq!(rig.talk(id).status, Some(200), "looking costs nothing");
    rig.pass(90_000);
    assert_eq!(
        rig.arrive(rig.head("/v1/chat/completions")).1,
        ["read_body"]
    );
}

#[test]
fn a_suspension_without_an_end_says_no_time_and_ends_within_five_seconds_of_the_ledgers_word() {
    let mut rig = Rig::new(&["a"]);
    let record = rig.record();
    record.suspended_until_ms = Some(253_402_300_799_999);
    record.suspended_reason = "it has used up its budget".to_owned();
    let (id, _) = rig.arrive(rig.head("/v1/chat/completions"));
    let talk = rig.talk(id);
    assert_eq!(talk.error(), (429, "insufficient_quota".to_owned()));
    assert_eq!(talk.header("retry-after"), None);
    assert_eq!(talk.header("x-should-retry"), Some("false"));
    rig.record().suspended_until_ms = None;
    rig.pass(5_000);
    assert_eq!(
        rig.arrive(rig.head("/v1/chat/completions")).1,
        ["read_body"]
    );
}

#[test]
fn after_a_rotation_the_old_secret_counts_until_its_overlap_ends() {
    let mut rig = Rig::new(&["a"]);
    let old = rig.key.clone();
    let org = Organisation::parse("default").unwrap();
    let key_id = KeyId::parse(&rig.key_id).unwrap();
    let secret = [99; tidegate_vault::KEY_SECRET];
    let new = ApiKey::rotate(&installation(), &org, key_id, secret);
    let until = rig.now.as_ms() + 60_000;
    let record = rig.record();
    record.previous_secret_hash = Some(std::mem::take(&mut record.secret_hash));
    record.previous_until_ms = Some(until);
    record.secret_hash = new.secret_hash.to_hex();
    let new = new.text.expose_str().unwrap().to_owned();
    for key in [&old, &new] {
        let head = with_key(&rig, key);
        assert_eq!(rig.arrive(head).1, ["read_body"]);
    }
    rig.pass(60_000);
    let head = with_key(&rig, &old);
    assert_eq!(refused(&mut rig, head), (401, "invalid_api_key".to_owned()));
    let head = with_key(&rig, &new);
    assert_eq!(rig.arrive(head).1, ["read_body"]);
}

#[test]
fn an_old_secret_without_an_end_counts_for_nothing() {
    let mut rig = Rig::new(&["a"]);
    let record = rig.record();
    record.previous_secret_hash = Some(std::mem::take(&mut record.secret_hash));
    let head = with_key(&rig, &rig.key);
    assert_eq!(refused(&mut rig, head).0, 401);
}

#[test]
fn a_registry_that_does_not_answer_is_no_verdict_on_the_key() {
    let mut rig = Rig::new(&["a"]);
    rig.fleet_is_up = false;
    for outcome in [
        CallOutcome::Failed("moved".to_owned()),
        CallOutcome::Answered("{}".to_owned()),
    ] {
        let (id, lines) = rig.arrive(rig.head("/v1/chat/completions"));
        assert_eq!(lines, ["ask fleet: key"]);
        let call = rig.talk(id).asks[0].call;
        assert_eq!(rig.talk(id).asks[0].to.kind(), ObjectKind::Fleet);
        let effects = rig.gateway.answered(id, rig.now, call, outcome);
        assert_eq!(rig.take(id, effects), ["respond 503", "log", "done"]);
        assert_eq!(
            rig.talk(id).error(),
            (503, "gateway_unavailable".to_owned())
        );
        assert_eq!(rig.talk(id).header("retry-after"), Some("1"));
    }
}

#[test]
fn a_key_outlives_a_silent_registry_by_a_quarter_of_an_hour() {
    let mut rig = Rig::new(&["a"]);
    rig.chat(&chat());
    rig.fleet_is_up = false;
    let lost = || CallOutcome::Failed("moved".to_owned());
    rig.pass(5_000);
    let (id, lines) = rig.arrive(rig.head("/v1/chat/completions"));
    assert_eq!(lines, ["ask fleet: key"]);
    let ask = rig.talk(id).asks[0].clone();
    assert_eq!(ask.timeout_ms, 300, "it does not wait for long");
    let effects = rig.gateway.answered(id, rig.now, ask.call, lost());
    assert_eq!(rig.take(id, effects), ["refresh fleet: key", "read_body"]);
    rig.pass(999);
    let (_, lines) = rig.arrive(rig.head("/v1/chat/completions"));
    assert_eq!(lines, ["read_body"], "not every request waits");
    rig.pass(894_001);
    let (id, lines) = rig.arrive(rig.head("/v1/chat/completions"));
    assert_eq!(lines, ["ask fleet: key"]);
    let ask = rig.talk(id).asks[0].clone();
    assert_eq!(ask.timeout_ms, 10_000);
    let effects = rig.gateway.answered(id, rig.now, ask.call, lost());
    assert_eq!(rig.take(id, effects), ["respond 503", "log", "done"]);
}

#[test]
fn a_revocation_that_arrives_behind_a_request_counts_in_an_outage_too() {
    let mut rig = Rig::new(&["a"]);
    rig.chat(&chat());
    rig.fleet_is_up = false;
    rig.pass(5_000);
    let (id, _) = rig.arrive(rig.head("/v1/chat/completions"));
    let call = rig.talk(id).asks[0].call;
    let lost = CallOutcome::Failed("late".to_owned());
    let effects = rig.gateway.answered(id, rig.now, call, lost.clone());
    assert_eq!(rig.take(id, effects), ["refresh fleet: key", "read_body"]);
    rig.records.clear();
    rig.refreshed();
    let head = with_key(&rig, &rig.key);
    assert_eq!(refused(&mut rig, head), (401, "invalid_api_key".to_owned()));
    rig.pass(5_000);
    let (id, _) = rig.arrive(rig.head("/v1/chat/completions"));
    let call = rig.talk(id).asks[0].call;
    let effects = rig.gateway.answered(id, rig.now, call, lost);
    assert_eq!(rig.take(id, effects), ["respond 503", "log", "done"]);
}

#[test]
fn models_outside_the_keys_list_look_as_if_they_did_not_exist() {
    let mut rig = Rig::new(&["a"]);
    rig.record().models = vec!["other".to_owned()];
    let (id, _) = rig.chat(&chat());
    let (_, hidden) = (rig.talk(id).error(), rig.talk(id).json());
    rig.record().models = vec![];
    rig.snapshot.servers.clear();
    rig.snapshot.version += 1;
    rig.pass(10_000);
    let (id, _) = rig.chat(&chat());
    assert_eq!(rig.talk(id).error(), (404, "model_not_found".to_owned()));
    assert_eq!(rig.talk(id).json(), hidden);
}

#[test]
fn only_post_is_answered_and_other_paths_are_not_there() {
    let mut rig = Rig::new(&["a"]);
    let mut head = rig.head("/v1/chat/completions");
    head.method = "GET".to_owned();
    assert_eq!(
        refused(&mut rig, head),
        (405, "method_not_allowed".to_owned())
    );
    for (path, allowed) in [
        ("/v1/embeddings", "POST"),
        ("/v1/models", "GET"),
        ("/v1/models/m", "GET"),
    ] {
        let mut head = rig.head(path);
        head.method = "PUT".to_owned();
        let (id, _) = rig.arrive(head);
        assert_eq!(rig.talk(id).status, Some(405));
        assert_eq!(rig.talk(id).header("allow"), Some(allowed), "{path}");
    }
    let head = rig.head("/v1/unheard/of");
    assert_eq!(refused(&mut rig, head), (404, "not_found".to_owned()));
}

#[test]
fn a_server_whose_pause_is_over_counts_as_healthy() {
    let mut rig = Rig::new(&["a", "b"]);
    rig.record().scopes = vec!["read".to_owned()];
    let until = rig.now.as_ms() + 1_000;
    let status = &mut rig.snapshot.servers[0].status;
    status.state = ServerState::CoolingDown;
    status.until_ms = Some(until);
    for (wait, healthy) in [(999, 1), (1, 2)] {
        rig.pass(wait);
        let mut head = rig.head("/v1/models/m");
        head.method = "GET".to_owned();
        let (id, _) = rig.arrive(head);
        assert_eq!(rig.talk(id).json()["tidegate"]["healthy_servers"], healthy);
    }
}

#[test]
fn the_model_list_shows_what_this_key_may_ask_for() {
    let mut rig = Rig::new(&["a", "b"]);
    rig.entry(1).model_name = "n".to_owned();
    rig.snapshot
        .routes
        .insert("alias".to_owned(), crate::rig::route(&["m", "n"], &[]));
    rig.record().scopes = vec!["read".to_owned()];
    rig.record().models = vec!["m".to_owned(), "alias".to_owned()];
    let mut head = rig.head("/v1/models");
    head.method = "GET".to_owned();
    let (id, _) = rig.arrive(head);
    let body = rig.talk(id).json();
    let names: Vec<_> = body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["id"])
        .collect();
    assert_eq!(names, [&json!("alias"), &json!("m")]);
    assert_eq!(body["data"][0]["tidegate"]["servers"], 2);
    let mut head = rig.head("/v1/models/n");
    head.method = "GET".to_owned();
    let (id, _) = rig.arrive(head);
    assert_eq!(rig.talk(id).error(), (404, "model_not_found".to_owned()));
}
