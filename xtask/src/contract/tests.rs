//! Mutated documents and the verdict on each; then every removal that the real document offers.

use serde_json::{Value, json};

use super::{broken, compatible};

/// A small contract with one of everything.
fn base() -> Value {
    json!({
        "info": { "version": "1.2.0" },
        "paths": {
            "/things/{id}": {
                "put": {
                    "operationId": "putThing",
                    "security": [{ "key": [] }, { "token": [] }],
                    "parameters": [
                        { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } },
                        { "name": "dry", "in": "query", "schema": { "type": "boolean" } },
                    ],
                    "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Edit" } } } },
                    "responses": {
                        "200": {
                            "headers": { "x-request-id": { "required": true, "schema": { "type": "string", "pattern": "^r" } } },
                            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } } },
                        },
                        "404": { "content": { "application/json": { "schema": { "type": "object" } } } },
                    },
                },
            },
            "/open": { "get": { "operationId": "open", "security": [], "responses": { "200": {} } } },
        },
        "components": { "schemas": {
            "Edit": {
                "type": "object", "additionalProperties": false, "required": ["name"],
                "properties": {
                    "name": { "type": "string", "maxLength": 10 },
                    "size": { "type": ["integer", "null"], "minimum": 0, "maximum": 9 },
                    "mode": { "type": "string", "enum": ["fast", "slow"] },
                    "price": { "oneOf": [{ "type": "number" }, { "type": "string" }] },
                    "tags": { "type": "array", "items": { "type": "string" } },
                },
            },
            "Thing": {
                "type": "object", "required": ["name", "state"],
                "properties": {
                    "name": { "type": "string" },
                    "state": { "type": "string", "enum": ["up", "down"] },
                    "since": { "type": "string", "format": "date-time" },
                    "owner": { "anyOf": [{ "$ref": "#/components/schemas/Owner" }, { "type": "null" }] },
                    "parts": { "type": "array", "items": { "$ref": "#/components/schemas/Thing" } },
                },
            },
            "Owner": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } },
        } },
    })
}

const PUT: &str = "/paths/~1things~1{id}/put";
const EDIT: &str = "/components/schemas/Edit";
const THING: &str = "/components/schemas/Thing";

/// `base` with the value at a pointer set, or removed by `null`.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut document = base();
    for (at, value) in changes {
        let (parent, name) = at.rsplit_once('/').unwrap();
        let name = name.replace("~1", "/");
        match document.pointer_mut(parent).unwrap() {
            Value::Object(members) if value.is_null() => {
                drop(members.remove(&name).expect("there"))
            }
            Value::Object(members) => drop(members.insert(name, value.clone())),
            Value::Array(items) if value.is_null() => drop(items.remove(name.parse().unwrap())),
            Value::Array(items) => items.push(value.clone()),
            other => panic!("nothing can be put into {other}"),
        }
    }
    document
}

fn at(prefix: &str, rest: &str) -> String {
    format!("{prefix}/{rest}")
}

#[test]
fn what_takes_something_away_is_a_complaint_that_names_it() {
    let put = "PUT /things/{}";
    let table: Vec<(String, Value, &str)> = vec![
        ("/paths/~1open".into(), Value::Null, "GET /open is gone"),
        (PUT.into(), Value::Null, "PUT /things/{} is gone"),
        (at(PUT, "operationId"), json!("other"), "is called"),
        (
            at(PUT, "security/1"),
            Value::Null,
            "no longer lets in with {\"token\":[]}",
        ),
        (
            "/paths/~1open/get/security".into(),
            json!([{ "key": [] }]),
            "asks for a key",
        ),
        (
            at(PUT, "parameters/1"),
            Value::Null,
            "no longer takes dry in query",
        ),
        (
            at(PUT, "parameters/1/required"),
            json!(true),
            "asks for dry in query, which could",
        ),
        (
            at(PUT, "parameters/-"),
            json!({ "name": "why", "in": "query", "required": true }),
            "asks for why in query, which there was not",
        ),
        (
            at(PUT, "parameters/1/schema"),
            json!({ "type": "string" }),
            "no longer takes boolean",
        ),
        (
            at(PUT, "requestBody/required"),
            json!(true),
            "asks for a body",
        ),
        (
            at(PUT, "requestBody/content"),
            json!({ "text/plain": {} }),
            "no longer takes a body in application/json",
        ),
        (
            at(EDIT, "properties/tags"),
            Value::Null,
            "body.tags is gone",
        ),
        (
            at(EDIT, "required/-"),
            json!("size"),
            "body.size must be sent",
        ),
        (
            at(EDIT, "properties/size/type"),
            json!("integer"),
            "body.size no longer takes null",
        ),
        (
            at(EDIT, "properties/size/maximum"),
            json!(8),
            "body.size has a lower maximum",
        ),
        (
            at(EDIT, "properties/size/minimum"),
            json!(1),
            "body.size has a higher minimum",
        ),
        (
            at(EDIT, "properties/name/maxLength"),
            json!(9),
            "body.name has a lower maxLength",
        ),
        (
            at(EDIT, "properties/name/minLength"),
            json!(1),
            "body.name has a higher minLength",
        ),
        (
            at(EDIT, "properties/name/pattern"),
            json!("^a"),
            "body.name has another pattern",
        ),
        (
            at(EDIT, "properties/name/enum"),
            json!(["a"]),
            "body.name takes only 1 values",
        ),
        (
            at(EDIT, "properties/mode/enum"),
            json!(["fast"]),
            "body.mode loses the value \"slow\"",
        ),
        (
            at(EDIT, "properties/price/oneOf/1"),
            Value::Null,
            "body.price no longer takes string",
        ),
        (
            at(EDIT, "properties/tags/uniqueItems"),
            json!(true),
            "body.tags takes nothing twice",
        ),
        (
            at(EDIT, "properties/tags/items"),
            json!({ "type": "integer" }),
            "body.tags[] no longer takes string",
        ),
        (
            at(PUT, "responses/404"),
            Value::Null,
            "no longer answers 404",
        ),
        (
            at(PUT, "responses/200/headers/x-request-id"),
            Value::Null,
            "no longer has the header x-request-id",
        ),
        (
            at(PUT, "responses/200/headers/x-request-id/required"),
            json!(false),
            "may leave out the header",
        ),
        (
            at(PUT, "responses/200/headers/x-request-id/schema/pattern"),
            json!("^s"),
            "has another pattern",
        ),
        (
            at(PUT, "responses/200/content"),
            json!({ "text/plain": {} }),
            "no longer answers in application/json",
        ),
        (
            at(THING, "properties/name"),
            Value::Null,
            "200.name is gone",
        ),
        (
            at(THING, "required"),
            json!(["name"]),
            "200.state may be left out",
        ),
        (
            at(THING, "properties/name/type"),
            json!(["string", "null"]),
            "200.name may be null",
        ),
        (
            at(THING, "properties/name/type"),
            json!("integer"),
            "200.name may be integer",
        ),
        (
            at(THING, "properties/state/enum"),
            json!(["up"]),
            "200.state loses the value \"down\"",
        ),
        (
            at(THING, "properties/state/enum"),
            Value::Null,
            "200.state may be any value",
        ),
        (
            at(THING, "properties/since/format"),
            Value::Null,
            "200.since has another format",
        ),
        (
            at(THING, "properties/owner/anyOf/-"),
            json!({ "type": "string" }),
            "200.owner may be string",
        ),
        (
            at(THING, "properties/parts/items"),
            json!({ "type": "string" }),
            "200.parts[] may be string",
        ),
        (
            "/components/schemas/Owner/properties/id".into(),
            Value::Null,
            "200.owner.id is gone",
        ),
    ];
    for (at, value, expected) in table {
        let found = broken(&base(), &with(&[(&at, value.clone())]));
        let named = found.iter().any(|complaint| complaint.contains(expected));
        assert!(named, "{at} = {value}: {found:?}, not {expected:?}");
        let elsewhere = found
            .iter()
            .find(|complaint| !complaint.starts_with(put) && !complaint.starts_with("GET /open"));
        assert_eq!(elsewhere, None);
    }
}

#[test]
fn what_only_adds_is_none() {
    let get = json!({ "operationId": "getThing", "responses": { "200": {} } });
    let table: Vec<(String, Value)> = vec![
        ("/paths/~1more".into(), json!({ "get": get })),
        ("/paths/~1things~1{id}/get".into(), get),
        (at(PUT, "security/-"), json!({ "cookie": [] })),
        (at(PUT, "security"), json!([])),
        (at(PUT, "summary"), json!("other words")),
        (
            at(PUT, "parameters/-"),
            json!({ "name": "why", "in": "query" }),
        ),
        (at(PUT, "parameters/0/name"), json!("thing")),
        (at(PUT, "requestBody/content/text~1csv"), json!({})),
        (at(EDIT, "properties/more"), json!({ "type": "string" })),
        (at(EDIT, "required"), json!([])),
        (at(EDIT, "additionalProperties"), json!(true)),
        (at(EDIT, "properties/name/maxLength"), json!(11)),
        (at(EDIT, "properties/name/type"), json!(["string", "null"])),
        (at(EDIT, "properties/size/type"), json!(["number", "null"])),
        (
            at(EDIT, "properties/mode/enum"),
            json!(["fast", "slow", "auto"]),
        ),
        (at(EDIT, "properties/mode/enum"), Value::Null),
        (
            at(EDIT, "properties/price/oneOf/-"),
            json!({ "type": "null" }),
        ),
        (at(PUT, "responses/429"), json!({})),
        (
            at(PUT, "responses/200/headers/x-new"),
            json!({ "schema": { "type": "string" } }),
        ),
        (at(PUT, "responses/200/content/text~1csv"), json!({})),
        (at(THING, "properties/more"), json!({ "type": "string" })),
        (at(THING, "required/-"), json!("since")),
        (at(THING, "properties/state/enum/-"), json!("asleep")),
        (at(THING, "properties/owner/anyOf/1"), Value::Null),
    ];
    for (at, value) in table {
        let found = broken(&base(), &with(&[(&at, value.clone())]));
        assert_eq!(found, Vec::<String>::new(), "{at} = {value}");
    }
    assert_eq!(broken(&base(), &base()), Vec::<String>::new());
}

#[test]
fn only_a_version_that_says_so_may_break() {
    for (before, now, expected) in [
        ("1.2.0", "1.3.0", true),
        ("1.2.0", "1.2.0", true),
        ("1.2.0", "2.0.0", false),
        ("0.1.0", "0.1.9", true),
        ("0.1.0", "0.2.0", false),
        ("0.9.0", "1.0.0", false),
    ] {
        assert_eq!(compatible(before, now), expected, "{before} to {now}");
    }
}

fn real() -> Value {
    serde_json::from_str(include_str!("../../../schemas/openapi/openapi.json")).unwrap()
}

/// Pointers to all members of this name.
fn pointers(value: &Value, name: &str, at: String, found: &mut Vec<String>) {
    let step = |key: &str| format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Object(members) => {
            for (key, inner) in members {
                if key == name && !at.ends_with("/properties") {
                    found.push(step(key));
                }
                if key != "example" {
                    pointers(inner, name, step(key), found);
                }
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                pointers(inner, name, format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_removal_from_the_real_document_is_noticed() {
    fn held<'a>(document: &'a mut Value, place: &str) -> &'a mut serde_json::Map<String, Value> {
        document
            .pointer_mut(place)
            .unwrap()
            .as_object_mut()
            .unwrap()
    }
    let document = real();
    let mut changed = document.clone();
    let mut seen = 0;
    for name in ["paths", "properties", "responses", "headers"] {
        let mut places = Vec::new();
        pointers(&document, name, String::new(), &mut places);
        // Components that are removed are missed where they are used.
        let used = |place: &&String| {
            place.as_str() != "/components/responses" && place.as_str() != "/components/headers"
        };
        for place in places.iter().filter(used) {
            let names: Vec<String> = document
                .pointer(place)
                .unwrap()
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect();
            for gone in names {
                let removed = held(&mut changed, place).remove(&gone).unwrap();
                assert!(!broken(&document, &changed).is_empty(), "{place}/{gone}");
                held(&mut changed, place).insert(gone, removed);
                seen += 1;
            }
        }
    }
    assert!(seen > 500, "only {seen}");
}
