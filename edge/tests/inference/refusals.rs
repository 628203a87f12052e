//! Bodies that no server is asked with.

use serde_json::{Value, json};

use crate::rig::{Rig, chat};

fn refusal(path: &str, body: &[u8]) -> (u16, String, Value) {
    let mut rig = Rig::new(&["a"]);
    let (id, lines) = rig.arrive(rig.head(path));
    assert_eq!(lines, ["read_body"]);
    let lines = rig.body(id, body);
    assert_eq!(lines.last().map(String::as_str), Some("done"), "{lines:?}");
    let (status, code) = rig.talk(id).error();
    let asked_instances = lines.iter().any(|line| line.starts_with("ask a"));
    assert!(!asked_instances, "{lines:?}");
    (status, code, rig.talk(id).json()["error"]["param"].clone())
}

#[test]
fn each_fault_of_a_body_is_named() {
    let deep = format!(
        r#"{{"model":"m","messages":{}{}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    let long = format!(r#"{{"model":"{}","messages":[]}}"#, "m".repeat(1_000));
    let cases: [(&[u8], &str, Value); 18] = [
        (b"", "invalid_json", Value::Null),
        (b"\xff\xfe{}", "invalid_json", Value::Null),
        (b"{\"model\":", "invalid_json", Value::Null),
        (b"{} {}", "invalid_json", Value::Null),
        (b"[1]", "invalid_json", Value::Null),
        (deep.as_bytes(), "json_too_deep", Value::Null),
        (
            b"{\"messages\":[]}",
            "missing_required_parameter",
            json!("model"),
        ),
        (
            b"{\"model\":null,\"messages\":[]}",
            "missing_required_parameter",
            json!("model"),
        ),
        (
            b"{\"model\":\" \",\"messages\":[]}",
            "invalid_value",
            json!("model"),
        ),
        (long.as_bytes(), "invalid_value", json!("model")),
        (
            b"{\"model\":7,\"messages\":[]}",
            "invalid_type",
            json!("model"),
        ),
        (
            b"{\"model\":\"m\",\"model\":\"n\",\"messages\":[]}",
            "duplicate_parameter",
            json!("model"),
        ),
        (
            b"{\"model\":\"m\"}",
            "missing_required_parameter",
            json!("messages"),
        ),
        (
            b"{\"model\":\"m\",\"messages\":\"hi\"}",
            "invalid_type",
            json!("messages"),
        ),
        (
            b"{\"model\":\"m\",\"messages\":[],\"stream\":1}",
            "invalid_type",
            json!("stream"),
        ),
        (
            b"{\"model\":\"m\",\"messages\":[],\"max_tokens\":-1}",
            "invalid_type",
            json!("max_tokens"),
        ),
        (
            b"{\"model\":\"m\",\"messages\":[],\"n\":0}",
            "invalid_type",
            json!("n"),
        ),
        (
            b"{\"model\":\"m\",\"messages\":[],\"stream_options\":3}",
            "invalid_type",
            json!("stream_options"),
        ),
    ];
    for (body, code, param) in cases {
        let text = String::from_utf8_lossy(body.get(..60).unwrap_or(body)).into_owned();
        let expected = (400, code.to_owned(), param);
        assert_eq!(refusal("/v1/chat/completions", body), expected, "{text}");
    }
}

#[test]
fn each_endpoint_asks_for_its_own_input() {
    for (path, param) in [("/v1/completions", "prompt"), ("/v1/embeddings", "input")] {
        let expected = (400, "missing_required_parameter".to_owned(), json!(param));
        assert_eq!(refusal(path, chat().to_string().as_bytes()), expected);
    }
}

#[test]
fn embeddings_do_not_stream() {
    let body = br#"{"model":"m","input":"x","stream":true}"#;
    let expected = (400, "invalid_value".to_owned(), json!("stream"));
    assert_eq!(refusal("/v1/embeddings", body), expected);
}

#[test]
fn a_body_over_the_limit_is_refused_whoever_counts() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.arrive(rig.head("/v1/chat/completions"));
    let limit = rig.talk(id).reads_body.unwrap();
    assert_eq!(limit, 10 << 20);
    rig.body(id, &vec![b' '; limit + 1]);
    assert_eq!(rig.talk(id).error(), (413, "request_too_large".to_owned()));

    let (id, _) = rig.arrive(rig.head("/v1/chat/completions"));
    let effects = rig.gateway.body(id, rig.now, None);
    assert_eq!(rig.take(id, effects), ["respond 413", "log", "done"]);
}

#[test]
fn an_unknown_model_is_404_and_names_the_parameter() {
    let mut body = chat();
    body["model"] = json!("nobody/knows");
    let refused = refusal("/v1/chat/completions", body.to_string().as_bytes());
    assert_eq!(refused, (404, "model_not_found".to_owned(), json!("model")));
}

#[test]
fn events_out_of_order_change_nothing() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.arrive(rig.head("/v1/chat/completions"));
    assert_eq!(rig.whole(id, 0, b"x"), [""; 0]);
    assert_eq!(rig.chunk(id, 7, b"x"), [""; 0]);
    assert_eq!(rig.wake(id), [""; 0]);
    let lines = rig.body(id, chat().to_string().as_bytes());
    assert_eq!(lines, ["ask a: first normal", "wake in 20000"]);
    assert_eq!(rig.body(id, b"again"), [""; 0]);
    assert_eq!(
        rig.headers(id, 0, 200, &[]),
        [""; 0],
        "nothing was sent yet"
    );
}
