//! `/admin/policies/anonymous`: off until somebody says who may ask for what.

use serde_json::json;

use crate::world::World;

const PATH: &str = "/admin/policies/anonymous";

#[test]
fn nobody_may_ask_without_a_key_until_it_is_said_and_what_is_left_out_has_its_default() {
    let mut world = World::new();
    let off = json!({
        "enabled": false, "models": [], "requests_per_minute": 60, "tokens_per_minute": null,
        "concurrency": null,
    });
    assert_eq!(world.get(PATH).body, off);
    assert_eq!(world.snapshot().anonymous, None);
    let on = world.admin(
        "PUT",
        PATH,
        json!({ "enabled": true, "models": ["tiny"], "concurrency": 2 }),
    );
    assert_eq!((on.status, &on.body["concurrency"]), (200, &json!(2)));
    let shown = world.snapshot().anonymous.expect("it is open");
    assert_eq!(
        (shown.requests_per_minute, shown.models),
        (60, vec!["tiny".to_owned()])
    );
    let closed = world.admin("PUT", PATH, json!({}));
    assert_eq!(closed.body, off);
    assert_eq!(world.snapshot().anonymous, None);
    let audit = world.get("/admin/audit?day=2026-11-21");
    let reasons: Vec<&str> = audit.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["reason"].as_str().unwrap())
        .collect();
    assert!(
        reasons.contains(&"60 a minute and address for tiny"),
        "{reasons:?}"
    );
    assert!(reasons.contains(&"nobody"), "{reasons:?}");
}

#[test]
fn it_is_refused_without_models_for_another_organisation_and_with_odd_limits() {
    let mut world = World::new();
    for (body, param) in [
        (json!({ "enabled": true }), "models"),
        (json!({ "enabled": true, "models": [""] }), "models"),
        (json!({ "enabled": "yes" }), "enabled"),
        (json!({ "requests_per_minute": 0 }), "requests_per_minute"),
        (
            json!({ "requests_per_minute": 1_000_001 }),
            "requests_per_minute",
        ),
        (json!({ "tokens_per_minute": 0 }), "tokens_per_minute"),
        (json!({ "model": ["tiny"] }), "model"),
    ] {
        let refused = world.admin("PUT", PATH, body.clone());
        assert_eq!(
            (refused.error().0, refused.error().2),
            (400, Some(param)),
            "{body}"
        );
    }
    assert_eq!(world.snapshot().anonymous, None);
    let mut other = World::of_org("acme");
    let open = json!({ "enabled": true, "models": ["tiny"] });
    let refused = other.admin("PUT", PATH, open);
    assert_eq!(refused.error(), (400, "invalid_value", Some("enabled")));
    assert!(refused.message().contains("`default`"));
}
