//! The OpenAPI document and the code say the same: operations, who may call them, files. The
//! other tests hold every answer to it, those of the admin routes their fields as well.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod document;
mod files;

use std::collections::{BTreeMap, BTreeSet};

use document::{Seen, document};
use serde_json::{Value, json};
use tidegate_edge::routes::{Access, ROUTES};

/// Operations by id: method, path, the operation.
fn operations() -> BTreeMap<&'static str, (String, &'static str, &'static Value)> {
    let mut found = BTreeMap::new();
    let paths = document().root["paths"].as_object().unwrap();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let twice = found.insert(id, (method.to_uppercase(), path.as_str(), operation));
            assert!(twice.is_none(), "{id} stands twice");
        }
    }
    found
}

#[test]
fn table_and_document_name_the_same_operations() {
    let documented: BTreeSet<_> = operations()
        .into_iter()
        .map(|(id, (method, path, _))| (id.to_owned(), method, path.to_owned()))
        .collect();
    let routed: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| {
            let path = route.path.replace("*}", "}");
            (route.operation.to_owned(), route.method.to_owned(), path)
        })
        .collect();
    let missing: Vec<_> = routed.difference(&documented).collect();
    let dead: Vec<_> = documented.difference(&routed).collect();
    assert!(missing.is_empty(), "not in the document: {missing:?}");
    assert!(dead.is_empty(), "not in the code: {dead:?}");
}

#[test]
fn the_document_says_who_may_call_as_the_table_does() {
    let operations = operations();
    for route in ROUTES {
        let (_, _, operation) = operations[route.operation];
        let schemes: Vec<&String> = operation["security"]
            .as_array()
            .unwrap_or_else(|| panic!("{} says nothing about who may call", route.operation))
            .iter()
            .flat_map(|scheme| scheme.as_object().unwrap().keys())
            .collect();
        let expected: &[&str] = match route.access() {
            Access::Public => &[],
            Access::Client(_) => &["apiKey"],
            Access::Admin => &["adminKey", "adminBearer"],
            Access::Machine => &["bootToken"],
            Access::Signed => &["webhookSignature"],
        };
        assert_eq!(schemes, expected, "{}", route.operation);
    }
}

#[test]
fn every_parameter_of_a_path_is_described() {
    for (id, (_, path, operation)) in operations() {
        let described: Vec<&Value> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| document().resolve(parameter))
            .filter(|parameter| parameter["in"] == "path")
            .collect();
        let names: Vec<&str> = path
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
            .collect();
        let described_names: Vec<_> = described
            .iter()
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(described_names, names, "{id}");
    }
}

#[test]
fn every_operation_can_fail_as_the_gateway_itself_may() {
    for (id, (_, path, operation)) in operations() {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key("500"), "{id}");
        if path.starts_with("/admin/") {
            assert!(responses.contains_key("403"), "{id}");
        }
        if operation.get("requestBody").is_some() {
            assert!(responses.contains_key("413"), "{id}");
        }
    }
}

#[test]
fn every_example_is_what_its_schema_asks_for() {
    let document = document();
    let mut seen = 0;
    let mut look = |at: &str, content: &Value| {
        for (kind, media) in content.as_object().into_iter().flatten() {
            if let Some(example) = media.get("example") {
                seen += 1;
                if let Err(why) = document.validate(&media["schema"], example) {
                    panic!("the example of {at} as {kind}: {why}");
                }
            }
        }
    };
    for (id, (_, _, operation)) in operations() {
        look(id, &operation["requestBody"]["content"]);
        for (status, response) in operation["responses"].as_object().unwrap() {
            let response = document.resolve(response);
            look(&format!("{id} {status}"), &response["content"]);
        }
    }
    assert!(seen > operations().len() * 3, "only {seen} examples");
}

#[test]
fn an_answer_that_the_document_does_not_describe_is_found() {
    let id = ("x-request-id".to_owned(), format!("req_{:024x}", 1));
    let json_type = ("content-type".to_owned(), "application/json".to_owned());
    let good = [id.clone(), json_type.clone()];
    let list = json!({ "object": "list", "data": [] });
    let more = json!({ "object": "list", "data": [], "more": 1 });
    let less = json!({ "object": "list" });
    let refusal = |method, path, status, headers: &[_], body| {
        document().refusal(&Seen {
            method,
            path,
            status,
            headers,
            body: Some(body),
        })
    };
    let keys = "/admin/keys";
    assert_eq!(refusal("GET", keys, 200, &good, &list), None);
    assert_eq!(refusal("HEAD", "/admin/keys/", 200, &good, &list), None);
    for (method, path, status, headers, body) in [
        ("GET", keys, 200, &good[..], &more),
        ("GET", keys, 200, &good, &less),
        ("GET", keys, 200, &good[..1], &list),
        ("GET", keys, 200, &good[1..], &list),
        ("GET", keys, 204, &good, &list),
        ("PATCH", keys, 200, &good, &list),
        ("GET", "/admin/nothing", 200, &good, &list),
        ("GET", "/admin/keys/a/b", 200, &good, &list),
    ] {
        assert!(
            refusal(method, path, status, headers, body).is_some(),
            "{method} {path} {body}"
        );
    }
    let stray = [
        id,
        json_type,
        ("x-ratelimit-new".to_owned(), "1".to_owned()),
    ];
    assert!(refusal("GET", keys, 200, &stray, &list).is_some());
}
