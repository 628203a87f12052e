//! Servers that fail their first check: 503 with the reason, and nothing is registered.

use serde_json::json;
use tidegate_edge::effect::ProbeOutcome;

use crate::world::{SERVER_KEY, URL, World, models, probed};

fn outcomes() -> Vec<(ProbeOutcome, &'static str, &'static str, &'static str)> {
    let silent = |reason: &str| ProbeOutcome::Failed {
        reason: reason.to_owned(),
    };
    vec![
        (
            silent("connection refused"),
            "upstream_unreachable",
            "endpoint_url",
            "connection refused",
        ),
        (
            silent("no answer within 10 s"),
            "upstream_unreachable",
            "endpoint_url",
            "within 10 s",
        ),
        (
            probed(301, ""),
            "upstream_redirected",
            "endpoint_url",
            "redirects are never followed",
        ),
        (
            probed(307, "{}"),
            "upstream_redirected",
            "endpoint_url",
            "307",
        ),
        (probed(401, "{}"), "upstream_refused_key", "api_key", "401"),
        (probed(403, "{}"), "upstream_refused_key", "api_key", "403"),
        (
            probed(404, "{}"),
            "upstream_error",
            "endpoint_url",
            "/v1/models",
        ),
        (probed(500, "{}"), "upstream_error", "endpoint_url", "500"),
        (
            probed(200, ""),
            "upstream_invalid_answer",
            "endpoint_url",
            "empty",
        ),
        (
            probed(200, "<!doctype html>"),
            "upstream_invalid_answer",
            "endpoint_url",
            "HTML",
        ),
        (
            probed(200, "ok"),
            "upstream_invalid_answer",
            "endpoint_url",
            "not JSON",
        ),
        (
            probed(200, "[]"),
            "upstream_invalid_answer",
            "endpoint_url",
            "not a JSON object",
        ),
        (
            probed(200, r#"{"data":[{"id""#),
            "upstream_invalid_answer",
            "endpoint_url",
            "not JSON",
        ),
        (
            probed(200, r#"{"error":"loading"}"#),
            "upstream_error",
            "endpoint_url",
            "error in the body",
        ),
    ]
}

#[test]
fn registering_it_is_503_and_asks_nobody() {
    let mut world = World::new();
    for (outcome, code, param, words) in outcomes() {
        world.probe = outcome.clone();
        let body = json!({ "model_name": "tiny", "endpoint_url": URL, "api_key": SERVER_KEY });
        let answer = world.admin("POST", "/admin/register", body);
        assert_eq!(answer.error(), (503, code, Some(param)), "{outcome:?}");
        assert!(answer.message().contains(words), "{}", answer.message());
        assert_eq!(world.probed.len(), 1);
        assert_eq!(world.asked, []);
    }
    assert_eq!(world.get("/admin/servers").body["total"], 0);
}

#[test]
fn moving_a_server_there_is_503_and_leaves_it_as_it_was() {
    let mut world = World::new();
    let id = world.register(json!({ "api_key": SERVER_KEY }));
    let before = world.snapshot();
    for (outcome, code, param, _) in outcomes() {
        world.probe = outcome.clone();
        let body = json!({ "endpoint_url": "https://other.example.com", "api_key": SERVER_KEY });
        let answer = world.admin("PUT", &format!("/admin/register/{id}"), body);
        assert_eq!(answer.error(), (503, code, Some(param)), "{outcome:?}");
        assert_eq!(world.commands(), ["server"], "only looked up");
    }
    assert_eq!(world.snapshot(), before);
}

#[test]
fn what_the_server_said_is_not_repeated() {
    let mut world = World::new();
    world.probe = probed(401, &format!(r#"{{"error":"bad key {SERVER_KEY}"}}"#));
    let body = json!({ "model_name": "tiny", "endpoint_url": URL, "api_key": SERVER_KEY });
    assert_eq!(world.admin("POST", "/admin/register", body).status, 503);
    world.probe = models(&["tiny"]);
    world.register(json!({ "api_key": SERVER_KEY }));
}
