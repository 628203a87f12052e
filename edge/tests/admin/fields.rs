//! The fields that the admin routes take, compared with the OpenAPI document.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::document::document;
use crate::world::World;

fn operations() -> impl Iterator<Item = (&'static str, String, &'static Value)> {
    let paths = document().root["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(|(method, operation)| (path.as_str(), method.to_uppercase(), operation))
    })
}

/// Those of renting are compared beside the other tests of it.
const RENTING: [&str; 4] = [
    "/admin/providers",
    "/admin/profiles",
    "/admin/instances",
    "/admin/budgets",
];

/// A path with an id or name of something that exists.
fn existing(path: &str, server: &str, key: &str) -> String {
    let id = if path.contains("/keys/") { key } else { server };
    path.replace("{id}", id).replace("{name}", "fast")
}

#[test]
fn admin_routes_take_the_fields_that_the_document_lists_and_no_others() {
    let document = document();
    let mut compared = 0;
    for (path, method, operation) in operations() {
        let id = &operation["operationId"];
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let is_renting = RENTING.iter().any(|root| path.starts_with(root));
        if !path.starts_with("/admin/") || is_renting || schema.is_null() {
            continue;
        }
        let schema = document.resolve(schema);
        let listed: BTreeSet<&str> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(schema["additionalProperties"], false, "{id}");
        let mut world = World::new();
        let server = world.register(json!({}));
        let minted = world.admin("POST", "/admin/keys", json!({ "name": "a" }));
        let at = existing(path, &server, minted.text("id"));
        // The refusal of a field that no route has names those that this one has.
        let mut body = json!({ "no_route_has_this": 1 });
        for name in schema["required"].as_array().into_iter().flatten() {
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            body[name.as_str().unwrap()] = example[name.as_str().unwrap()].clone();
        }
        let refused = world.admin(&method, &at, body);
        assert_eq!(refused.error().0, 400, "{id}: {}", refused.body);
        let (_, names) = refused
            .message()
            .split_once("Its fields are ")
            .unwrap_or_else(|| panic!("{id} names no fields: {}", refused.body));
        let taken: BTreeSet<&str> = names.trim_end_matches('.').split(", ").collect();
        assert_eq!(taken, listed, "{id}");
        compared += 1;
    }
    assert_eq!(compared, 7, "admin routes with a body");
}
