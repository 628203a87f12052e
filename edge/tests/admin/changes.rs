//! `PUT /admin/register/{id}`: what is checked again, and where a stored key may go.

use serde_json::{Value, json};

use crate::world::{OTHER_KEY, SERVER_KEY, URL, World, models};

fn put(world: &mut World, id: &str, body: Value) -> crate::world::Answer {
    world.admin("PUT", &format!("/admin/register/{id}"), body)
}

#[test]
fn numbers_change_without_a_check() {
    let mut world = World::new();
    let id = world.register(json!({ "api_key": SERVER_KEY, "owner": "ml", "upstream_model": "x" }));
    let answer = put(
        &mut world,
        &id,
        json!({ "weight": 3, "price_per_hour": "1.5", "priority": 2 }),
    );
    assert_eq!(
        (answer.status, answer.text("registration_id")),
        (200, id.as_str())
    );
    assert_eq!(world.probed, []);
    assert_eq!(world.commands(), ["update", "configure"]);
    assert_eq!(world.told("configure")["spec"]["generation"], 2);
    assert_eq!(world.told("configure")["first_check"], Value::Null);
    let entry = world.snapshot().servers[0].entry.clone();
    assert_eq!(
        (entry.weight, entry.price_microusd_per_hour, entry.priority),
        (3, 1_500_000, 2)
    );
    assert!(entry.sealed_api_key.is_some(), "the key stays");
    assert_eq!(entry.owner.as_deref(), Some("ml"));
    assert_eq!(entry.upstream_model.as_deref(), Some("x"));
}

#[test]
fn null_removes_what_can_be_absent_and_is_refused_elsewhere() {
    let mut world = World::new();
    let id = world.register(json!({ "owner": "ml", "upstream_model": "x" }));
    assert_eq!(
        put(
            &mut world,
            &id,
            json!({ "owner": null, "upstream_model": null })
        )
        .status,
        200
    );
    let entry = world.snapshot().servers[0].entry.clone();
    assert_eq!((entry.owner, entry.upstream_model), (None, None));
    for field in ["weight", "model_name", "endpoint_url", "metadata"] {
        let answer = put(&mut world, &id, json!({ field: null }));
        assert_eq!(answer.error(), (400, "invalid_type", Some(field)));
        assert_eq!(world.asked, []);
    }
}

#[test]
fn a_new_key_is_checked_at_the_old_address_and_sealed() {
    let mut world = World::new();
    let id = world.register(json!({ "api_key": SERVER_KEY }));
    let before = world.snapshot().servers[0].entry.sealed_api_key.clone();
    assert_eq!(
        put(&mut world, &id, json!({ "api_key": OTHER_KEY })).status,
        200
    );
    assert_eq!(
        world.probed,
        [(format!("{URL}/models"), Some(OTHER_KEY.to_owned()))]
    );
    assert_eq!(world.commands(), ["server", "update", "configure"]);
    assert_eq!(world.told("configure")["first_check"]["ok"], true);
    let after = world.snapshot().servers[0].entry.sealed_api_key.clone();
    assert!(after.is_some() && after != before);
}

#[test]
fn a_key_is_removed_by_null_after_a_check_without_it() {
    let mut world = World::new();
    let id = world.register(json!({ "api_key": SERVER_KEY }));
    assert_eq!(put(&mut world, &id, json!({ "api_key": null })).status, 200);
    assert_eq!(world.probed, [(format!("{URL}/models"), None)]);
    assert_eq!(world.snapshot().servers[0].entry.sealed_api_key, None);
}

#[test]
fn the_patience_for_a_first_token_is_changed_and_removed() {
    let mut world = World::new();
    let id = world.register(json!({ "first_token_timeout_seconds": 90 }));
    let mut cap = |seconds: Value| {
        let answer = put(
            &mut world,
            &id,
            json!({ "first_token_timeout_seconds": seconds }),
        );
        (
            answer.status,
            world.snapshot().servers[0].entry.first_token_cap_ms,
        )
    };
    assert_eq!(cap(json!(30)), (200, Some(30_000)));
    assert_eq!(cap(json!(0)), (400, Some(30_000)));
    assert_eq!(cap(json!(null)), (200, None));
    assert_eq!(world.probed, [], "the address is what it was");
}

#[test]
fn a_new_path_at_the_same_origin_is_checked_with_the_stored_key() {
    let mut world = World::new();
    let id = world.register(json!({ "api_key": SERVER_KEY }));
    let url = "https://gpu.example.com:8000/openai/v1";
    let answer = put(&mut world, &id, json!({ "endpoint_url": url }));
    assert_eq!((answer.status, answer.text("endpoint_url")), (200, url));
    assert_eq!(
        world.probed,
        [(format!("{url}/models"), Some(SERVER_KEY.to_owned()))]
    );
    assert!(world.snapshot().servers[0].entry.sealed_api_key.is_some());
}

#[test]
fn a_stored_key_is_never_shown_to_another_origin() {
    let mut world = World::new();
    let id = world.register(json!({ "api_key": SERVER_KEY }));
    let before = world.snapshot();
    for url in [
        "https://evil.example.com",
        "http://gpu.example.com:8000",
        "https://gpu.example.com",
    ] {
        let answer = put(&mut world, &id, json!({ "endpoint_url": url }));
        assert_eq!(
            answer.error(),
            (400, "invalid_value", Some("api_key")),
            "{url}"
        );
        assert_eq!(world.probed, []);
    }
    assert_eq!(world.snapshot(), before);
    let body = json!({ "endpoint_url": "https://new.example.com", "api_key": OTHER_KEY });
    assert_eq!(put(&mut world, &id, body).status, 200);
    let probe = (
        "https://new.example.com/v1/models".to_owned(),
        Some(OTHER_KEY.to_owned()),
    );
    assert_eq!(world.probed, [probe]);
}

#[test]
fn a_server_without_a_key_moves_freely() {
    let mut world = World::new();
    let id = world.register(json!({}));
    let answer = put(
        &mut world,
        &id,
        json!({ "endpoint_url": "https://new.example.com" }),
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text("endpoint_url"), "https://new.example.com/v1");
    assert_eq!(answer.body["models_at_server"], json!(["tiny"]));
}

#[test]
fn moving_onto_another_server_is_409() {
    let mut world = World::new();
    world.register(json!({}));
    world.probe = models(&["tiny"]);
    let id = world.register(json!({ "endpoint_url": "https://second.example.com" }));
    let answer = put(&mut world, &id, json!({ "endpoint_url": URL }));
    assert_eq!(answer.error(), (409, "conflict", None));
}

#[test]
fn a_server_that_is_gone_is_404_and_is_not_probed() {
    let mut world = World::new();
    let id = world.register(json!({}));
    world.admin("DELETE", &format!("/admin/register/{id}"), Value::Null);
    for body in [
        json!({ "weight": 2 }),
        json!({ "endpoint_url": "https://new.example.com" }),
    ] {
        assert_eq!(put(&mut world, &id, body).error(), (404, "not_found", None));
        assert_eq!(world.probed, []);
    }
}

#[test]
fn an_unknown_or_unchangeable_field_is_400() {
    let mut world = World::new();
    let id = world.register(json!({}));
    for field in ["wieght", "id", "status"] {
        let answer = put(&mut world, &id, json!({ field: 1 }));
        assert_eq!(answer.error(), (400, "invalid_value", Some(field)));
        assert_eq!(world.asked, []);
    }
}
