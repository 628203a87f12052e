//! `/admin/policies/reliability`.

use serde_json::{Value, json};
use tidegate_durable::bindings::fleet::ReliabilityPolicy;

use crate::world::World;

const PATH: &str = "/admin/policies/reliability";

#[test]
fn the_policy_begins_with_its_defaults() {
    let defaults = serde_json::to_value(ReliabilityPolicy::default()).unwrap();
    assert_eq!(World::new().get(PATH).body, defaults);
}

#[test]
fn a_part_is_changed_and_the_rest_stays() {
    let mut world = World::new();
    let answer = world.admin("PUT", PATH, json!({ "max_retries": 4, "hedge": false }));
    assert_eq!(answer.status, 200);
    let answer = world.admin("PUT", PATH, json!({ "idle_timeout_ms": 30_000 }));
    let expected = ReliabilityPolicy {
        version: 2,
        max_retries: 4,
        hedge: false,
        idle_timeout_ms: 30_000,
        ..ReliabilityPolicy::default()
    };
    assert_eq!(answer.body, serde_json::to_value(&expected).unwrap());
    assert_eq!(world.get(PATH).body, answer.body);
    assert_eq!(world.snapshot().policy, expected);
}

#[test]
fn what_was_read_can_be_put_back_unless_it_changed_meanwhile() {
    let mut world = World::new();
    let read = world.get(PATH).body;
    assert_eq!(world.admin("PUT", PATH, read.clone()).status, 200);
    assert_eq!(
        world.admin("PUT", PATH, json!({ "max_retries": 1 })).status,
        200
    );
    let answer = world.admin("PUT", PATH, read);
    assert_eq!(answer.error(), (409, "conflict", Some("version")));
    assert_eq!(world.commands(), ["policy"]);
}

#[test]
fn an_unknown_field_or_a_wrong_type_is_400_before_anybody_is_asked() {
    let mut world = World::new();
    for (body, code, param) in [
        (json!({ "max_retrys": 1 }), "invalid_value", "max_retrys"),
        (json!({ "max_retries": "1" }), "invalid_type", "max_retries"),
        (json!({ "max_retries": -1 }), "invalid_type", "max_retries"),
        (json!({ "max_retries": 1.5 }), "invalid_type", "max_retries"),
        (
            json!({ "max_retries": null }),
            "invalid_type",
            "max_retries",
        ),
        (
            json!({ "max_retries": 5_000_000_000_u64 }),
            "invalid_type",
            "max_retries",
        ),
        (json!({ "hedge": 1 }), "invalid_type", "hedge"),
        (
            json!({ "hedge_min_ms": [] }),
            "invalid_type",
            "hedge_min_ms",
        ),
    ] {
        let answer = world.admin("PUT", PATH, body.clone());
        assert_eq!(answer.error(), (400, code, Some(param)), "{body}");
        assert_eq!(world.asked, []);
    }
}

#[test]
fn a_number_out_of_bounds_is_400_and_changes_nothing() {
    let mut world = World::new();
    let before = world.get(PATH).body;
    let answer = world.admin("PUT", PATH, json!({ "health_interval_ms": 1 }));
    assert_eq!(
        answer.error(),
        (400, "invalid_value", Some("health_interval_ms"))
    );
    assert_eq!(world.get(PATH).body, before);
    assert_eq!(
        world.admin("PUT", PATH, Value::Null).body,
        before,
        "an empty body changes nothing"
    );
}
