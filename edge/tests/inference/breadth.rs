//! The routes beside chat: where they go, how their errors are told, and servers that lack them.

use serde_json::{Value, json};
use tidegate_durable::bindings::instance::DeniedWire;
use tidegate_edge::effect::BodyEnd;
use tidegate_edge::request::Head;

use crate::rig::{PROMPT, Rig, SERVER_KEY, SSE};

fn messages(stream: bool) -> Value {
    json!({"model": "m", "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": PROMPT}]})
}

/// As Anthropic's SDKs send it.
fn anthropic(rig: &Rig, path: &str) -> Head {
    let mut head = rig.head(path);
    let key = head.headers.remove(0).1;
    let key = key.strip_prefix("Bearer ").unwrap().to_owned();
    head.headers.push(("x-api-key".to_owned(), key));
    let version = ("anthropic-version".to_owned(), "2023-06-01".to_owned());
    head.headers.push(version);
    head
}

#[test]
fn each_route_goes_to_its_own_path_at_the_server() {
    for (path, body, at_server, answer) in [
        (
            "/v1/responses",
            json!({"input": "x"}),
            "/v1/responses",
            r#"{"id":"r","output":[]}"#,
        ),
        (
            "/v1/messages",
            messages(false),
            "/v1/messages",
            r#"{"type":"message","content":[]}"#,
        ),
        (
            "/v1/messages/count_tokens",
            messages(false),
            "/v1/messages/count_tokens",
            r#"{"input_tokens":3}"#,
        ),
        (
            "/v1/rerank",
            json!({"query": "q", "documents": ["d"]}),
            "/v1/rerank",
            r#"{"results":[]}"#,
        ),
        (
            "/rerank",
            json!({"query": "q", "documents": ["d"]}),
            "/v1/rerank",
            r#"{"results":[]}"#,
        ),
        (
            "/v2/rerank",
            json!({"query": "q", "documents": ["d"]}),
            "/v1/rerank",
            r#"{"results":[]}"#,
        ),
        (
            "/v1/moderations",
            json!({"input": "x"}),
            "/v1/moderations",
            r#"{"results":[{}]}"#,
        ),
        (
            "/v1/images/generations",
            json!({"prompt": "x"}),
            "/v1/images/generations",
            r#"{"data":[{"url":"u"}]}"#,
        ),
        (
            "/tokenize",
            json!({"content": "x"}),
            "/tokenize",
            r#"{"tokens":[1]}"#,
        ),
        (
            "/detokenize",
            json!({"tokens": [1]}),
            "/detokenize",
            r#"{"content":"x"}"#,
        ),
    ] {
        let mut rig = Rig::new(&["a"]);
        let mut body = body;
        body["model"] = json!("m");
        let (id, lines) = rig.request(path, &body);
        assert_eq!(lines, ["ask a: first normal", "wake in 20000"], "{path}");
        assert_eq!(rig.grant(id, "a"), ["fetch 0 a"]);
        let fetched = &rig.talk(id).fetches[0];
        assert_eq!(fetched.url, format!("https://a.example.com{at_server}"));
        assert_eq!(
            (fetched.method, &fetched.own_body),
            ("POST", &None),
            "as it is"
        );
        rig.answer(id, 0, 200, answer.as_bytes());
        assert_eq!(rig.talk(id).status, Some(200), "{path}");
        assert_eq!(rig.gateway.open_exchanges(), 0);
    }
}

#[test]
fn a_stream_is_refused_where_there_is_none() {
    for path in [
        "/v1/rerank",
        "/v1/moderations",
        "/tokenize",
        "/v1/messages/count_tokens",
    ] {
        let mut rig = Rig::new(&["a"]);
        let body = json!({"model": "m", "stream": true, "input": "x", "documents": [], "content": "x", "messages": []});
        let (id, lines) = rig.request(path, &body);
        assert_eq!(lines, ["respond 400", "log", "done"], "{path}");
        assert!(rig.talk(id).text().contains("`stream`"));
    }
}

#[test]
fn a_server_without_the_route_is_neither_blamed_nor_left_unnamed() {
    for (status, body) in [
        (
            404,
            r#"{"error":{"message":"File Not Found","type":"not_found_error","code":404}}"#,
        ),
        (404, r#"{"detail":"Not Found"}"#),
        (405, r#"{"detail":"Method Not Allowed"}"#),
        (
            501,
            r#"{"error":{"code":501,"message":"This server does not support reranking.","type":"not_supported_error"}}"#,
        ),
    ] {
        let mut rig = Rig::new(&["a"]);
        let (id, _) = rig.request(
            "/v1/rerank",
            &json!({"model": "m", "query": "q", "documents": ["d"]}),
        );
        rig.grant(id, "a");
        let lines = rig.answer(id, 0, status, body.as_bytes());
        assert_eq!(lines[0], "respond 404", "{status}");
        assert_eq!(rig.talk(id).error().1, "endpoint_not_supported");
        assert_eq!(rig.talk(id).header("x-gateway-server-id"), Some("a"));
        assert_eq!(rig.flush(), ["tell a: settle client_error 404 0+0"]);
    }
}

#[test]
fn anthropics_key_header_opens_its_own_routes_and_no_others() {
    let mut rig = Rig::new(&["a"]);
    rig.seal_key(0);
    let head = anthropic(&rig, "/v1/messages");
    let (id, _) = rig.send(head, &messages(false));
    rig.grant(id, "a");
    let fetched = &rig.talk(id).fetches[0];
    let header = |name: &str| {
        let found = fetched.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(header("x-api-key"), Some(SERVER_KEY));
    assert_eq!(
        header("authorization"),
        Some(format!("Bearer {SERVER_KEY}").as_str())
    );
    assert_eq!(header("anthropic-version"), Some("2023-06-01"));

    let head = anthropic(&rig, "/v1/chat/completions");
    let (id, _) = rig.arrive(head);
    assert_eq!(rig.talk(id).error(), (401, "invalid_api_key".to_owned()));
}

#[test]
fn errors_of_anthropics_routes_have_its_envelope() {
    let told = |rig: &Rig, id: u32| {
        let body = rig.talk(id).json();
        assert_eq!(body["type"], "error", "{body}");
        assert!(body["error"]["message"].is_string());
        assert_eq!(
            body["request_id"].as_str(),
            rig.talk(id).header("x-request-id")
        );
        assert_eq!(
            body["request_id"].as_str(),
            rig.talk(id).header("request-id")
        );
        let kind = body["error"]["type"].as_str().unwrap().to_owned();
        (rig.talk(id).status.unwrap(), kind)
    };
    let mut rig = Rig::new(&["a"]);
    let mut stranger = anthropic(&rig, "/v1/messages");
    stranger.headers.retain(|(name, _)| name != "x-api-key");
    let (id, _) = rig.arrive(stranger);
    assert_eq!(told(&rig, id), (401, "authentication_error".to_owned()));

    let unknown = json!({"model": "nope", "messages": []});
    let (id, _) = rig.request("/v1/messages", &unknown);
    assert_eq!(told(&rig, id), (404, "not_found_error".to_owned()));

    let (id, _) = rig.request("/v1/messages", &json!({"model": "m"}));
    assert_eq!(told(&rig, id), (400, "invalid_request_error".to_owned()));

    let (id, _) = rig.arrive(anthropic(&rig, "/v1/messages"));
    let effects = rig.gateway.body(id, rig.now, None);
    rig.take(id, effects);
    assert_eq!(told(&rig, id), (413, "request_too_large".to_owned()));

    let (id, _) = rig.request("/v1/messages/count_tokens", &messages(false));
    rig.grant(id, "a");
    rig.answer(id, 0, 404, br#"{"detail":"Not Found"}"#);
    assert_eq!(told(&rig, id), (404, "not_found_error".to_owned()));

    let (id, _) = rig.request("/v1/messages", &messages(false));
    rig.grant(id, "a");
    let refused = br#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens is too large"}}"#;
    rig.answer(id, 0, 400, refused);
    assert_eq!(told(&rig, id), (400, "invalid_request_error".to_owned()));
}

#[test]
fn a_message_streams_as_it_is_and_is_counted() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.request("/v1/messages", &messages(true));
    rig.grant(id, "a");
    rig.headers(id, 0, 200, SSE);
    let start = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"x\",\"usage\":{\"input_tokens\":8,\"cache_read_input_tokens\":4,\"output_tokens\":0}}}\n\n";
    let ping = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";
    let word = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n";
    let stop = b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    assert_eq!(rig.chunk(id, 0, start), [""; 0]);
    assert_eq!(rig.chunk(id, 0, ping), [""; 0]);
    assert!(rig.chunk(id, 0, word).contains(&"open".to_owned()));
    rig.chunk(id, 0, stop);
    rig.end(id, 0, BodyEnd::Eof);
    let sent = [&start[..], ping, word, stop].concat();
    assert_eq!(rig.talk(id).body, sent);
    assert_eq!(rig.flush(), ["tell a: settle success 12+2"]);
}

#[test]
fn a_message_that_is_cut_ends_with_anthropics_error_event() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.request("/v1/messages", &messages(true));
    rig.grant(id, "a");
    rig.headers(id, 0, 200, SSE);
    rig.chunk(id, 0, b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n");
    rig.end(id, 0, BodyEnd::Eof);
    let text = rig.talk(id).text().to_owned();
    assert!(
        text.contains("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\""),
        "{text}"
    );
    assert!(!text.contains("message_stop"));
}

#[test]
fn images_are_never_raced() {
    let mut rig = Rig::new(&["a", "b"]);
    rig.snapshot.policy.hedge = true;
    let (id, _) = rig.request(
        "/v1/images/generations",
        &json!({"model": "m", "prompt": PROMPT}),
    );
    let first = rig.talk(id).asks[0].to.tail().unwrap().to_owned();
    let other = if first == "a" { "b" } else { "a" };
    rig.grant_with(id, &first, 0, 0, 0);
    rig.deny(id, other, DeniedWire::Busy { score: 900 });
    assert!(!rig.is_raced(id));
}

#[test]
fn another_server_of_the_model_may_have_the_route() {
    let mut rig = Rig::new(&["a", "b"]);
    let asked = json!({"model": "m", "query": "q", "documents": ["d"]});
    let (id, _) = rig.request("/v1/rerank", &asked);
    let first = rig.talk(id).asks[0].to.tail().unwrap().to_owned();
    let other = if first == "a" { "b" } else { "a" };
    rig.grant_with(id, &first, 0, 0, 0);
    rig.deny(id, other, DeniedWire::Busy { score: 900 });
    let lines = rig.answer(id, 0, 404, br#"{"detail":"Not Found"}"#);
    let queued = format!("ask {other}: retry normal");
    assert!(
        lines.iter().any(|line| line.starts_with(&queued)),
        "{lines:?}"
    );
    rig.grant(id, other);
    rig.answer(id, 1, 200, br#"{"results":[]}"#);
    assert_eq!(rig.talk(id).text(), r#"{"results":[]}"#);

    let (id, _) = rig.request("/v1/rerank", &asked);
    let first = rig.talk(id).asks[0].to.tail().unwrap().to_owned();
    let other = if first == "a" { "b" } else { "a" };
    rig.grant_with(id, &first, 0, 0, 0);
    rig.deny(id, other, DeniedWire::Busy { score: 900 });
    rig.answer(id, 0, 404, br#"{"detail":"Not Found"}"#);
    let draining = rig.deny(id, other, DeniedWire::Draining);
    assert_eq!(
        draining[0], "respond 404",
        "nobody is left who could have it"
    );
    assert_eq!(rig.talk(id).error().1, "endpoint_not_supported");
}

#[test]
fn a_response_that_its_server_streams_unasked_is_one_answer() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.request("/v1/responses", &json!({"model": "m", "input": PROMPT}));
    rig.grant(id, "a");
    rig.headers(id, 0, 200, SSE);
    let events = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"output\":[]}}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"id\":\"msg_1\"}],\"usage\":{\"input_tokens\":5,\"output_tokens\":2,\"total_tokens\":7}}}\n\n";
    rig.whole(id, 0, events.as_bytes());
    assert_eq!(
        rig.talk(id).header("content-type"),
        Some("application/json")
    );
    let told = rig.talk(id).json();
    assert_eq!(told["output"][0]["id"], "msg_1");
    assert_eq!(told["store"], true, "filled in like any other");
    assert_eq!(rig.flush(), ["tell a: settle success 5+2"]);
}
