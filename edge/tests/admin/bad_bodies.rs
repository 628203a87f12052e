//! Bodies that are refused: nobody is asked, nothing is probed, nothing changes.

use serde_json::{Value, json};

use crate::world::{ADMIN_KEY, SERVER_KEY, URL, World};

fn refused(body: &str) -> (u16, String, Option<String>) {
    let mut world = World::new();
    let answer = world.raw(
        "POST",
        "/admin/register",
        &[("x-api-key", ADMIN_KEY)],
        body.as_bytes(),
    );
    assert_eq!(
        (&world.asked[..], &world.probed[..]),
        (&[][..], &[][..]),
        "{body}"
    );
    let (status, code, param) = answer.error();
    (status, code.to_owned(), param.map(str::to_owned))
}

fn is(status: u16, code: &str, param: Option<&str>) -> (u16, String, Option<String>) {
    (status, code.to_owned(), param.map(str::to_owned))
}

#[test]
fn what_is_not_one_json_object_is_400() {
    for body in [
        "{",
        "[]",
        "7",
        "{} {}",
        "model_name=tiny",
        "{\"model_name\":\"tiny\"",
        "\u{0}",
    ] {
        assert_eq!(refused(body), is(400, "invalid_json", None), "{body}");
    }
}

#[test]
fn a_body_over_one_mebibyte_is_413() {
    let body = format!(r#"{{"model_name":"{}"}}"#, "a".repeat(1024 * 1024));
    assert_eq!(refused(&body), is(413, "request_too_large", None));
}

#[test]
fn a_field_that_is_missing_unknown_repeated_or_wrong_is_named() {
    let missing = "missing_required_parameter";
    assert_eq!(refused(""), is(400, missing, Some("model_name")));
    assert_eq!(
        refused(r#"{"model_name":"tiny"}"#),
        is(400, missing, Some("endpoint_url"))
    );
    let twice = r#"{"model_name":"a","model_name":"b","endpoint_url":"https://a.io"}"#;
    assert_eq!(
        refused(twice),
        is(400, "duplicate_parameter", Some("model_name"))
    );

    let with = |name: &str, value: Value| {
        let mut body = json!({ "model_name": "tiny", "endpoint_url": URL });
        body.as_object_mut().unwrap().insert(name.to_owned(), value);
        refused(&body.to_string())
    };
    for (name, value, code) in [
        ("modelname", json!("tiny"), "invalid_value"),
        ("model_name", json!(7), "invalid_type"),
        ("endpoint_url", json!(["a"]), "invalid_type"),
        ("api_key", json!(7), "invalid_type"),
        ("api_key", json!(""), "invalid_value"),
        ("api_key", json!("a\r\nx-evil: 1"), "invalid_value"),
        ("api_key", json!("schlüssel"), "invalid_value"),
        ("api_key", json!("a".repeat(9_000)), "invalid_value"),
        ("owner", json!({}), "invalid_type"),
        ("max_concurrency", json!("32"), "invalid_type"),
        ("max_concurrency", json!(1.5), "invalid_type"),
        ("queue_depth", json!(-1), "invalid_value"),
        ("weight", json!(1e3), "invalid_type"),
        ("weight", json!(99999999999_u64), "invalid_value"),
        ("priority", json!(true), "invalid_type"),
        ("price_per_hour", json!(-1), "invalid_value"),
        ("price_per_hour", json!(0.0000001), "invalid_value"),
        ("price_per_hour", json!("1,5"), "invalid_value"),
        ("metadata", json!("a"), "invalid_type"),
        ("upstream_model", json!(1), "invalid_type"),
        ("first_token_timeout_seconds", json!(0), "invalid_value"),
        ("first_token_timeout_seconds", json!(3601), "invalid_value"),
    ] {
        assert_eq!(
            with(name, value.clone()),
            is(400, code, Some(name)),
            "{name}: {value}"
        );
    }
}

#[test]
fn what_only_the_registry_can_judge_is_400_too() {
    let mut world = World::new();
    for (name, value) in [
        ("model_name", json!("")),
        ("model_name", json!("a".repeat(300))),
        ("owner", json!("a\u{7}")),
        ("max_concurrency", json!(0)),
        ("weight", json!(0)),
        ("priority", json!(5000)),
        ("price_per_hour", json!(2_000_000)),
        ("metadata", json!({ "a": "b".repeat(5_000) })),
    ] {
        let mut body = json!({ "model_name": "tiny", "endpoint_url": URL, "api_key": SERVER_KEY });
        body.as_object_mut()
            .unwrap()
            .insert(name.to_owned(), value.clone());
        let answer = world.admin("POST", "/admin/register", body);
        assert_eq!(
            answer.error(),
            (400, "invalid_value", Some(name)),
            "{value}"
        );
        assert_eq!(world.commands(), ["register"], "no server is told of it");
    }
    assert_eq!(world.get("/admin/servers").body["total"], 0);
}
