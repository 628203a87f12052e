//! Servers come and go.

use serde_json::json;
use tidegate_durable::bindings::ObjectKind;
use tidegate_vault::{Context, Installation, Keyring, open};

use crate::world::{INSTALLATION, SERVER_KEY, URL, World, models, probed};

#[test]
fn a_server_is_checked_registered_and_told() {
    let mut world = World::new();
    let body = json!({
        "model_name": "tiny", "endpoint_url": "HTTPS://GPU.example.com:8000/", "api_key": SERVER_KEY,
        "owner": "ml", "max_concurrency": 8, "queue_depth": 9, "weight": 2, "priority": -1,
        "price_per_hour": 0.29, "metadata": { "rack": 7 }, "upstream_model": "tiny-f32",
        "first_token_timeout_seconds": 90,
    });
    world.probe = models(&["tiny-f32"]);
    let answer = world.admin("POST", "/admin/register", body);
    assert_eq!(answer.status, 201);
    let id = answer.text("registration_id").to_owned();
    assert_eq!(
        answer.body,
        json!({
            "registration_id": id, "model_name": "tiny", "endpoint_url": URL, "status": "healthy",
            "created_at": "2026-11-21T10:00:00.000Z", "updated_at": "2026-11-21T10:00:00.000Z",
            "models_at_server": ["tiny-f32"],
        })
    );
    let probe = (format!("{URL}/models"), Some(SERVER_KEY.to_owned()));
    assert_eq!(world.probed, [probe]);
    let asked: Vec<&str> = world
        .asked
        .iter()
        .map(|(object, _)| object.as_str())
        .collect();
    assert_eq!(asked, ["fleet/default", &format!("instance/default/{id}")]);
    let told = world.told("configure");
    assert_eq!(
        told["first_check"],
        json!({ "at_ms": 1_795_255_200_000_i64, "ok": true, "latency_ms": 7 })
    );
    assert_eq!(
        (&told["spec"]["model"], &told["spec"]["generation"]),
        (&json!("tiny-f32"), &json!(1))
    );
    let entry = &world.snapshot().servers[0].entry;
    assert_eq!(
        (entry.price_microusd_per_hour, entry.first_token_cap_ms),
        (290_000, Some(90_000))
    );
    assert_eq!(
        (
            entry.max_concurrency,
            entry.queue_depth,
            entry.weight,
            entry.priority
        ),
        (8, 9, 2, -1)
    );
}

#[test]
fn the_key_is_stored_sealed_for_its_server_and_organisation() {
    let mut world = World::new();
    let id = world.register(json!({ "api_key": SERVER_KEY }));
    let sealed = world.snapshot().servers[0]
        .entry
        .sealed_api_key
        .clone()
        .unwrap();
    assert!(!sealed.contains(SERVER_KEY));
    let installation = Installation::derive(INSTALLATION.as_bytes()).unwrap();
    let keyring = Keyring::new(installation.wrapping_key().clone(), None);
    let record = format!("server/{id}");
    let context = Context {
        organisation: "default",
        record: &record,
        field: "api_key",
    };
    assert_eq!(
        open(&keyring, &context, &sealed).unwrap().expose_str(),
        Some(SERVER_KEY)
    );
    let elsewhere = Context {
        organisation: "other",
        ..context
    };
    assert!(open(&keyring, &elsewhere, &sealed).is_err());
}

#[test]
fn defaults_stand_in_for_what_is_left_out_or_null() {
    let mut world = World::new();
    let id = world.register(json!({ "api_key": null, "owner": null, "weight": null }));
    assert_eq!(world.probed, [(format!("{URL}/models"), None)]);
    let server = world.get(&format!("/admin/servers/{id}")).body;
    for (field, value) in [
        ("max_concurrency", json!(32)),
        ("queue_depth", json!(64)),
        ("weight", json!(1)),
        ("priority", json!(0)),
        ("price_per_hour", json!("0")),
        ("owner", json!(null)),
        ("metadata", json!({})),
        ("has_api_key", json!(false)),
        ("first_token_timeout_seconds", json!(null)),
    ] {
        assert_eq!(server[field], value, "{field}");
    }
}

#[test]
fn a_model_that_the_server_does_not_list_is_warned_of() {
    let mut world = World::new();
    world.probe = models(&["other"]);
    let body = json!({ "model_name": "tiny", "endpoint_url": URL });
    let answer = world.admin("POST", "/admin/register", body);
    assert_eq!(
        (answer.status, &answer.body["models_at_server"]),
        (201, &json!(["other"]))
    );
    assert!(answer.text("warning").contains("upstream_model"));
}

#[test]
fn a_server_that_lists_nothing_is_registered_without_a_warning() {
    let mut world = World::new();
    world.probe = probed(200, r#"{"status":"ok"}"#);
    let body = json!({ "model_name": "tiny", "endpoint_url": URL });
    let answer = world.admin("POST", "/admin/register", body);
    assert_eq!(
        (answer.status, &answer.body["models_at_server"]),
        (201, &json!([]))
    );
    assert_eq!(answer.body.get("warning"), None);
}

#[test]
fn the_same_model_at_the_same_address_is_409_however_it_is_written() {
    let mut world = World::new();
    let id = world.register(json!({}));
    for url in [
        URL,
        "https://gpu.example.com:8000",
        "https://GPU.example.com:8000/v1/",
    ] {
        let body = json!({ "model_name": "tiny", "endpoint_url": url });
        let answer = world.admin("POST", "/admin/register", body);
        assert_eq!(answer.error(), (409, "conflict", None), "{url}");
        assert!(answer.message().contains(&id));
        assert_eq!(world.commands(), ["register"]);
    }
    world.register(json!({ "model_name": "other" }));
}

#[test]
fn a_server_whose_object_cannot_be_told_is_registered_all_the_same() {
    let mut world = World::new();
    world.silence(ObjectKind::Instance);
    world.register(json!({}));
    assert_eq!(world.snapshot().servers.len(), 1);
}

#[test]
fn a_server_is_removed_once() {
    let mut world = World::new();
    let id = world.register(json!({}));
    let path = format!("/admin/register/{id}");
    let answer = world.admin("DELETE", &path, json!(null));
    assert_eq!(
        (answer.status, answer.body),
        (200, json!({ "registration_id": id, "deleted": true }))
    );
    assert_eq!(
        world.admin("DELETE", &path, json!(null)).error(),
        (404, "not_found", None)
    );
    assert_eq!(world.get("/admin/servers").body["total"], 0);
}

#[test]
fn an_id_that_was_not_made_here_addresses_no_object() {
    let mut world = World::of_org("acme");
    let own = world.register(json!({}));
    let mut other = World::new();
    let foreign = other.register(json!({}));
    let forged = format!("{}0", &own[..own.len() - 1]);
    for id in [
        "x",
        "srv_0000000000000000000000",
        "..%2F..%2Ffleet",
        foreign.as_str(),
        &forged,
    ] {
        if id == own {
            continue;
        }
        for (method, path) in [
            ("PUT", format!("/admin/register/{id}")),
            ("DELETE", format!("/admin/register/{id}")),
            ("GET", format!("/admin/servers/{id}")),
            ("POST", format!("/admin/servers/{id}/health-check")),
            ("POST", format!("/admin/servers/{id}/drain")),
            ("POST", format!("/admin/servers/{id}/resume")),
        ] {
            let answer = world.admin(method, &path, json!({}));
            assert_eq!(answer.error(), (404, "not_found", None), "{method} {path}");
            assert_eq!(world.asked, [], "{method} {path}");
        }
    }
}
