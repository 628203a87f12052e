//! The fields that the routes of renting take, compared with the OpenAPI document.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::access::ROOTS;
use crate::document::document;
use crate::rig::Rig;

#[test]
fn routes_of_renting_take_the_fields_that_the_document_lists_and_no_others() {
    let document = document();
    let mut compared = 0;
    for (path, item) in document.root["paths"].as_object().unwrap() {
        if !ROOTS.iter().any(|root| path.starts_with(root)) {
            continue;
        }
        for (method, operation) in item.as_object().unwrap() {
            let content = &operation["requestBody"]["content"]["application/json"];
            if content.is_null() {
                continue;
            }
            let id = &operation["operationId"];
            let schema = document.resolve(&content["schema"]);
            let listed = schema["properties"].as_object().unwrap().keys();
            let listed: BTreeSet<&str> = listed.map(String::as_str).collect();
            assert_eq!(schema["additionalProperties"], false, "{id}");
            let mut rig = Rig::new();
            let account = rig.connect("runpod", "main");
            let at = path
                .replace("{vendor}", "runpod")
                .replace("{id}", &account)
                .replace("{name}", "small")
                .replace("{scope}", "organisation");
            // The refusal of a field that no route has names those that this one has.
            let mut body = json!({ "no_route_has_this": 1 });
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap();
                body[name] = content["example"][name].clone();
            }
            let refused = rig.ask(&method.to_uppercase(), &at, body);
            assert_eq!(refused.error().0, 400, "{id}: {}", refused.body);
            let (_, names) = refused
                .message()
                .split_once("Its fields are ")
                .unwrap_or_else(|| panic!("{id} names no fields: {}", refused.body));
            let taken: BTreeSet<&str> = names.trim_end_matches('.').split(", ").collect();
            assert_eq!(taken, listed, "{id}");
            compared += 1;
        }
    }
    assert_eq!(compared, 7, "routes of renting with a body");
}

/// What a field is in the document is what its reader takes: an example of each body is one.
#[test]
fn every_documented_example_of_a_body_is_taken() {
    let document = document();
    let example = |path: &str, method: &str| -> Value {
        let operation = &document.root["paths"][path][method];
        operation["requestBody"]["content"]["application/json"]["example"].clone()
    };
    let mut rig = Rig::new();
    let account = rig.connect("runpod", "main");
    rig.offers(&account, &[crate::rig::offer(&[])]);
    let profile = example("/admin/profiles/{name}", "put");
    assert_eq!(rig.put("/admin/profiles/llama-8b", profile).status, 200);
    let order = example("/admin/instances", "post");
    assert_eq!(
        rig.post("/admin/instances:estimate", order.clone()).status,
        200
    );
    assert_eq!(rig.post("/admin/instances", order).status, 201);
    let budget = example("/admin/budgets/{scope}", "put");
    let put = crate::money::budget("organisation");
    rig.says(
        "ledger/put_budget",
        json!({ "answer": "budget", "budget": put }),
    );
    assert_eq!(rig.put("/admin/budgets/organisation", budget).status, 200);
}
