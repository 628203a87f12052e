//! What is sent, and what we think comes back, held to RunPod's own API file.
//!
//! The file is RunPod's (`api-reference-v2/openapi.json` in github.com/runpod/docs), so it is not part of this
//! repository. Where `TIDEGATE_SPECS` names a folder with it as `runpod-v2.json`, it is used; elsewhere the
//! closed list in `calls` stands for it.

use std::path::Path;

use jsonschema::Validator;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tidegate_provider_api::{Provider, Request};
use tidegate_provider_runpod::RunPod;

use crate::calls::refusal;
use crate::rig::{
    BILL, CREATED, DATA_CENTERS, GPUS, POD, PODS, Rig, SSH_KEYS, any_spec, create, every_request,
};

/// Query parameters that came after the file of August 2026.
const NEWER: [&str; 2] = ["limit", "cursor"];

fn document() -> Option<Value> {
    let Some(folder) = std::env::var_os("TIDEGATE_SPECS") else {
        println!("RunPod's API file is not at hand (TIDEGATE_SPECS): not compared with it");
        return None;
    };
    let text = std::fs::read_to_string(Path::new(&folder).join("runpod-v2.json")).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn schema(document: &Value, name: &str) -> Validator {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .build(&json!({
            "$ref": format!("#/components/schemas/{name}"),
            "components": document["components"],
        }))
        .unwrap()
}

fn assert_valid(schema: &Validator, name: &str, value: &Value) {
    let wrong: Vec<_> = schema
        .iter_errors(value)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(wrong, [""; 0], "{name}");
}

#[test]
fn what_is_sent_is_what_the_api_file_describes() {
    let Some(document) = document() else { return };
    let rig = Rig::new();
    for (request, _, _) in every_request() {
        let call = rig.call(&request);
        let path = call.url.strip_prefix("https://api.runpod.io").unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let template: Vec<_> = path
            .split('/')
            .enumerate()
            .map(|(place, part)| {
                if place == 3 && path.contains("/pods/") && !path.contains("billing") {
                    "{id}"
                } else {
                    part
                }
            })
            .collect();
        let item = &document["paths"][template.join("/")];
        let operation = &item[call.method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{} {path}", call.method.as_str());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap();
            let parameter = parameter(&document, operation, name);
            assert!(
                parameter.is_some() || NEWER.contains(&name),
                "{path} {name}"
            );
            if let Some(values) = parameter.and_then(|it| enumeration(&document, &it)) {
                assert!(values.contains(&json!(value)), "{path} {name} {value}");
            }
        }
        let content = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        match (call.body, content.as_str()) {
            (None, None) => {}
            (Some(body), Some(reference)) => {
                let name = reference.rsplit('/').next().unwrap();
                let body = serde_json::from_str(&body).unwrap();
                assert_valid(&schema(&document, name), name, &body);
            }
            (body, reference) => panic!("{path} {body:?} {reference:?}"),
        }
    }
}

fn resolved(document: &Value, value: &Value) -> Value {
    match value["$ref"].as_str() {
        Some(at) => document
            .pointer(at.trim_start_matches('#'))
            .unwrap()
            .clone(),
        None => value.clone(),
    }
}

fn parameter(document: &Value, operation: &Value, name: &str) -> Option<Value> {
    let parameters = operation["parameters"].as_array()?.iter();
    parameters
        .map(|parameter| resolved(document, parameter))
        .find(|parameter| parameter["name"] == name && parameter["in"] == "query")
}

/// The values that a parameter may have, itself or in a list.
fn enumeration(document: &Value, parameter: &Value) -> Option<Vec<Value>> {
    let schema = resolved(document, &parameter["schema"]);
    let item = resolved(document, &schema["items"]);
    let values = schema["enum"].as_array().or(item["enum"].as_array());
    values.cloned()
}

#[test]
fn whatever_is_rented_is_what_the_api_file_describes() {
    let Some(document) = document() else { return };
    let schema = schema(&document, "CreatePodRequest");
    let mut runner = TestRunner::new(Config::with_cases(64));
    runner
        .run(&any_spec(), |spec| {
            let call = Rig::new().call(&Request::Create(Box::new(spec)));
            let body: Value = serde_json::from_str(&call.body.unwrap()).unwrap();
            prop_assert!(schema.is_valid(&body), "{}", body);
            Ok(())
        })
        .unwrap();
}

/// Where one of them refuses, so does the other: the closed list is no weaker than the file.
#[test]
fn what_the_api_file_refuses_the_closed_list_refuses_too() {
    let call = Rig::new().call(&create());
    let good: Value = serde_json::from_str(&call.body.unwrap()).unwrap();
    assert_eq!(refusal(&good), None);
    let schema = document().map(|document| schema(&document, "CreatePodRequest"));
    for (at, wrong) in [
        ("", json!({"gpuCount": 1})),
        ("/gpu", json!({"type": "x"})),
        ("/gpu", json!({"count": 0})),
        ("/mounts", json!({"volume": {}})),
        ("/mounts/persistent", json!({"size": 9})),
        ("/mounts/persistent", json!({"mode": "rw"})),
        ("", json!({"name": ""})),
        ("", json!({"cloud": "ALL"})),
        ("", json!({"disk": 0})),
        ("", json!({"ports": [8000]})),
        ("/env", json!({"A": 1})),
        ("", json!({"args": ["a"]})),
    ] {
        let mut body = good.clone();
        let object = body.pointer_mut(at).unwrap().as_object_mut().unwrap();
        object.extend(wrong.as_object().unwrap().clone());
        assert!(refusal(&body).is_some(), "{at} {wrong}");
        if let Some(schema) = &schema {
            assert!(!schema.is_valid(&body), "{at} {wrong}");
        }
    }
}

#[test]
fn the_recorded_answers_are_what_the_api_file_describes() {
    let Some(document) = document() else { return };
    for (name, body) in [
        ("Pod", POD),
        ("Pod", CREATED),
        ("ListPodsResponse", PODS),
        ("ListGpuTypesResponse", GPUS),
        ("ListDataCentersResponse", DATA_CENTERS),
        ("ListPodBillingResponse", BILL),
        ("SshKeys", SSH_KEYS),
    ] {
        let body = serde_json::from_str(body).unwrap();
        assert_valid(&schema(&document, name), name, &body);
    }
}

/// The words of the file and ours are the same ones.
#[test]
fn every_state_and_cloud_of_the_api_file_is_known() {
    let Some(document) = document() else { return };
    let words = |name: &str| document["components"]["schemas"][name]["enum"].clone();
    assert_eq!(
        words("PodStatus"),
        json!([
            "PROVISIONING",
            "STARTING",
            "RUNNING",
            "EXITED",
            "ERROR",
            "TERMINATED"
        ])
    );
    assert_eq!(
        words("AvailabilityLevel"),
        json!(["NONE", "LOW", "MEDIUM", "HIGH"])
    );
    let choices = RunPod.form().settings[0].choices;
    assert_eq!(words("Cloud"), json!(choices));
}
