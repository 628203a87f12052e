//! `/admin/keys`: shown once, listed without hashes, rotated with an overlap, revoked at once.

use serde_json::{Value, json};
use tidegate_domain::time::Span;

use crate::world::World;

/// Whether the gateway takes the key for reading the list of servers.
fn is_good(world: &mut World, key: &str) -> bool {
    let bearer = format!("Bearer {key}");
    world
        .raw("GET", "/admin/servers", &[("authorization", &bearer)], b"")
        .status
        == 200
}

fn mint(world: &mut World, body: Value) -> (String, String) {
    let answer = world.admin("POST", "/admin/keys", body);
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    (answer.text("id").to_owned(), answer.text("key").to_owned())
}

#[test]
fn a_key_is_shown_once_and_never_reaches_an_object() {
    let mut world = World::new();
    let body = json!({
        "name": "ci", "requests_per_minute": 60, "tokens_per_minute": 10_000, "concurrency": 4,
        "models": ["tiny"], "expires_at": "2026-12-01T00:00:00+01:00", "priority": 9, "project": "web",
    });
    let answer = world.admin("POST", "/admin/keys", body);
    let (id, key) = (answer.text("id").to_owned(), answer.text("key").to_owned());
    assert!(key.starts_with("tg_"));
    let mut shown = answer.body.clone();
    shown.as_object_mut().unwrap().remove("key");
    assert_eq!(
        shown,
        json!({
            "id": id, "name": "ci", "scopes": ["inference"], "requests_per_minute": 60,
            "tokens_per_minute": 10_000, "concurrency": 4, "models": ["tiny"], "priority": 9,
            "project": "web", "created_at": "2026-11-21T10:00:00.000Z",
            "expires_at": "2026-11-30T23:00:00.000Z", "previous_until_at": null,
        })
    );
    assert!(!world.asked[0].1.to_string().contains(&key));
    let list = world.get("/admin/keys").body;
    assert_eq!(list, json!({ "object": "list", "data": [shown] }));
    assert!(!list.to_string().contains("hash"));
}

#[test]
fn a_key_that_makes_no_sense_is_400() {
    let mut world = World::new();
    for (body, code, param) in [
        (json!({}), "missing_required_parameter", "name"),
        (json!({ "name": "" }), "invalid_value", "name"),
        (
            json!({ "name": "a", "scopes": [] }),
            "invalid_value",
            "scopes",
        ),
        (
            json!({ "name": "a", "scopes": ["root"] }),
            "invalid_value",
            "scopes",
        ),
        (
            json!({ "name": "a", "scopes": "read" }),
            "invalid_type",
            "scopes",
        ),
        (
            json!({ "name": "a", "requests_per_minute": 0 }),
            "invalid_value",
            "requests_per_minute",
        ),
        (
            json!({ "name": "a", "concurrency": "4" }),
            "invalid_type",
            "concurrency",
        ),
        (
            json!({ "name": "a", "priority": 256 }),
            "invalid_value",
            "priority",
        ),
        (
            json!({ "name": "a", "expires_at": 1795255200 }),
            "invalid_type",
            "expires_at",
        ),
        (
            json!({ "name": "a", "expires_at": "tomorrow" }),
            "invalid_value",
            "expires_at",
        ),
        (
            json!({ "name": "a", "expires_at": "2026-11-21T09:59:59Z" }),
            "invalid_value",
            "expires_at",
        ),
        (
            json!({ "name": "a", "expires_in_seconds": 0 }),
            "invalid_value",
            "expires_in_seconds",
        ),
        (
            json!({ "name": "a", "expires_in_seconds": 5, "expires_at": "2027-01-01T00:00:00Z" }),
            "invalid_value",
            "expires_in_seconds",
        ),
        (
            json!({ "name": "a", "key": "tg_mine" }),
            "invalid_value",
            "key",
        ),
    ] {
        let answer = world.admin("POST", "/admin/keys", body.clone());
        assert_eq!(answer.error(), (400, code, Some(param)), "{body}");
    }
    assert_eq!(world.get("/admin/keys").body["data"], json!([]));
}

#[test]
fn a_key_ends_when_it_should() {
    let mut world = World::new();
    let body = json!({ "name": "short", "scopes": ["read"], "expires_in_seconds": 60 });
    let (_, key) = mint(&mut world, body);
    assert!(is_good(&mut world, &key));
    world.wait(Span::from_secs(60));
    assert!(!is_good(&mut world, &key));
}

#[test]
fn a_revoked_key_is_refused_by_this_isolate_at_once() {
    let mut world = World::new();
    let (id, key) = mint(&mut world, json!({ "name": "a", "scopes": ["read"] }));
    assert!(is_good(&mut world, &key));
    let path = format!("/admin/keys/{id}");
    let answer = world.admin("DELETE", &path, Value::Null);
    assert_eq!(
        (answer.status, answer.body),
        (200, json!({ "id": id, "deleted": true }))
    );
    assert!(!is_good(&mut world, &key));
    assert_eq!(
        world.admin("DELETE", &path, Value::Null).error(),
        (404, "not_found", None)
    );
}

#[test]
fn a_rotated_key_overlaps_with_the_one_before() {
    let mut world = World::new();
    let (id, old) = mint(&mut world, json!({ "name": "a", "scopes": ["read"] }));
    assert!(is_good(&mut world, &old));
    let path = format!("/admin/keys/{id}/rotate");
    let answer = world.admin("POST", &path, json!({ "overlap_seconds": 60 }));
    assert_eq!(
        (answer.status, answer.header("cache-control")),
        (200, Some("no-store"))
    );
    assert_eq!(answer.text("previous_until_at"), "2026-11-21T10:01:00.000Z");
    let new = answer.text("key").to_owned();
    assert!(new != old && is_good(&mut world, &old) && is_good(&mut world, &new));
    world.wait(Span::from_secs(60));
    assert!(!is_good(&mut world, &old) && is_good(&mut world, &new));
}

#[test]
fn a_rotation_without_a_body_overlaps_for_an_hour_and_one_of_zero_not_at_all() {
    let mut world = World::new();
    let (id, old) = mint(&mut world, json!({ "name": "a", "scopes": ["read"] }));
    let path = format!("/admin/keys/{id}/rotate");
    let answer = world.admin("POST", &path, Value::Null);
    assert_eq!(answer.text("previous_until_at"), "2026-11-21T11:00:00.000Z");
    assert!(is_good(&mut world, &old));
    let answer = world.admin("POST", &path, json!({ "overlap_seconds": 0 }));
    assert_eq!(answer.body["previous_until_at"], Value::Null);
    assert!(
        !is_good(&mut world, &old),
        "the secret before the last is gone for good"
    );
}

#[test]
fn an_overlap_is_at_most_thirty_days() {
    let mut world = World::new();
    let (id, _) = mint(&mut world, json!({ "name": "a" }));
    let path = format!("/admin/keys/{id}/rotate");
    for (body, code, param) in [
        (
            json!({ "overlap_seconds": 2_592_001 }),
            "invalid_value",
            "overlap_seconds",
        ),
        (
            json!({ "overlap_seconds": -1 }),
            "invalid_value",
            "overlap_seconds",
        ),
        (
            json!({ "overlap_seconds": "1" }),
            "invalid_type",
            "overlap_seconds",
        ),
        (json!({ "overlap": 1 }), "invalid_value", "overlap"),
    ] {
        let answer = world.admin("POST", &path, body);
        assert_eq!(answer.error(), (400, code, Some(param)));
        assert_eq!(world.asked, []);
    }
    assert_eq!(
        world
            .admin("POST", &path, json!({ "overlap_seconds": 2_592_000 }))
            .status,
        200
    );
}

#[test]
fn an_id_without_the_form_of_one_asks_nobody() {
    let mut world = World::new();
    for id in [
        "x",
        "key_",
        "key_0000000000",
        "srv_00000000000",
        "key_!!!!!!!!!!!",
        "..%2Fx",
    ] {
        for (method, path) in [
            ("DELETE", format!("/admin/keys/{id}")),
            ("POST", format!("/admin/keys/{id}/rotate")),
        ] {
            assert_eq!(
                world.admin(method, &path, Value::Null).error(),
                (404, "not_found", None),
                "{id}"
            );
            assert_eq!(world.asked, []);
        }
    }
    let unknown = world.admin("POST", "/admin/keys/key_00000000001/rotate", Value::Null);
    assert_eq!(unknown.error(), (404, "not_found", None));
}
