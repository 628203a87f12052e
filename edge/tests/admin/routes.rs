//! `/admin/routes`.

use serde_json::{Value, json};

use crate::world::World;

fn world() -> World {
    let mut world = World::new();
    for model in ["a", "b"] {
        world.register(json!({ "model_name": model }));
    }
    world
}

#[test]
fn a_route_is_put_shown_listed_and_deleted() {
    let mut world = world();
    let route = json!({
        "name": "chat", "targets": ["a", "b"], "strategy": "weighted",
        "weights": { "a": 3, "b": 1 }, "fallbacks": [],
    });
    let body = json!({
        "targets": ["a", "b"], "strategy": "weighted", "weights": { "a": 3, "b": 1 },
    });
    let answer = world.admin("PUT", "/admin/routes/chat", body);
    assert_eq!((answer.status, &answer.body), (200, &route));
    assert_eq!(world.get("/admin/routes/chat").body, route);
    assert_eq!(
        world.get("/admin/routes").body,
        json!({ "object": "list", "data": [route] })
    );
    let answer = world.admin("DELETE", "/admin/routes/chat", Value::Null);
    assert_eq!(
        (answer.status, answer.body),
        (200, json!({ "name": "chat", "deleted": true }))
    );
    for method in ["GET", "DELETE"] {
        let answer = world.admin(method, "/admin/routes/chat", Value::Null);
        assert_eq!(answer.error(), (404, "not_found", None));
    }
}

#[test]
fn a_name_with_slashes_is_one_name_encoded_or_not() {
    let mut world = world();
    let body = json!({ "targets": ["a"], "strategy": null });
    assert_eq!(
        world
            .admin("PUT", "/admin/routes/meta-llama/Llama%203", body)
            .status,
        200
    );
    let shown = world.get("/admin/routes/meta-llama%2FLlama%203").body;
    assert_eq!(shown["name"], "meta-llama/Llama 3");
    assert_eq!(shown["strategy"], "least_busy");
}

#[test]
fn every_strategy_has_its_name() {
    let mut world = world();
    for strategy in [
        "least_busy",
        "round_robin",
        "latency",
        "cost",
        "weighted",
        "prefix_affinity",
    ] {
        let body = json!({ "targets": ["a"], "strategy": strategy });
        let answer = world.admin("PUT", "/admin/routes/chat", body);
        assert_eq!((answer.status, answer.text("strategy")), (200, strategy));
    }
}

#[test]
fn a_route_that_makes_no_sense_is_400() {
    let mut world = world();
    for (body, code, param) in [
        (json!({}), "missing_required_parameter", "targets"),
        (json!({ "targets": "a" }), "invalid_type", "targets"),
        (json!({ "targets": [] }), "invalid_value", "targets"),
        (
            json!({ "targets": ["nothing"] }),
            "invalid_value",
            "targets",
        ),
        (
            json!({ "targets": ["a"], "strategy": "best" }),
            "invalid_value",
            "strategy",
        ),
        (
            json!({ "targets": ["a"], "weights": { "a": -1 } }),
            "invalid_type",
            "weights",
        ),
        (
            json!({ "targets": ["a"], "weights": { "b": 1 } }),
            "invalid_value",
            "weights",
        ),
        (
            json!({ "targets": ["a"], "fallbacks": ["chat"] }),
            "invalid_value",
            "fallbacks",
        ),
        (
            json!({ "targets": ["a"], "fallback": ["b"] }),
            "invalid_value",
            "fallback",
        ),
    ] {
        let answer = world.admin("PUT", "/admin/routes/chat", body.clone());
        assert_eq!(answer.error(), (400, code, Some(param)), "{body}");
    }
    assert_eq!(world.get("/admin/routes").body["data"], json!([]));
}
