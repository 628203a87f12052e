//! What crosses the gateway besides bodies, and what does not.

use serde_json::json;

use crate::rig::{ANSWER, Rig, SERVER_KEY, SSE, WORD, chat, streamed};

fn owned(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = lines
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

#[test]
fn a_server_sees_what_is_meant_for_it_and_nothing_of_the_clients() {
    let mut rig = Rig::new(&["a"]);
    rig.seal_key(0);
    let mut head = rig.head("/v1/chat/completions");
    head.headers.extend(owned(&[
        ("accept", "application/json"),
        ("accept-encoding", "gzip, br"),
        ("cf-connecting-ip", "203.0.113.9"),
        ("connection", "close, x-hop"),
        ("content-length", "77"),
        ("cookie", "session=1"),
        ("host", "gateway.example.com"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("user-agent", "OpenAI/Python"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-hop", "1"),
        ("x-request-id", "the-clients-own"),
        ("x-stainless-lang", "python"),
    ]));
    let (id, _) = rig.send(head, &chat());
    rig.grant(id, "a");
    let mut sent = rig.talk(id).fetches[0].headers.clone();
    rig.answer(id, 0, 200, ANSWER);
    let request_id = rig.talk(id).header("x-request-id").unwrap().to_owned();
    sent.sort();
    let bearer = format!("Bearer {SERVER_KEY}");
    assert_eq!(
        sent,
        owned(&[
            ("accept", "application/json"),
            ("authorization", &bearer),
            ("content-type", "application/json"),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            ),
            ("user-agent", "OpenAI/Python"),
            ("x-request-id", &request_id),
            ("x-stainless-lang", "python"),
        ])
    );
}

#[test]
fn a_trace_goes_on_with_its_state_and_what_is_none_is_dropped() {
    let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (parent, goes_on) in [(valid, true), ("00-0-0-01", false)] {
        let mut rig = Rig::new(&["a"]);
        let mut head = rig.head("/v1/chat/completions");
        head.headers
            .extend(owned(&[("traceparent", parent), ("tracestate", "a=1,b=2")]));
        let (id, _) = rig.send(head, &chat());
        rig.grant(id, "a");
        let sent = &rig.talk(id).fetches[0].headers;
        let found = |name: &str| {
            sent.iter()
                .find(|(it, _)| it == name)
                .map(|(_, it)| it.as_str())
        };
        let expected = [goes_on.then_some(parent), goes_on.then_some("a=1,b=2")];
        assert_eq!([found("traceparent"), found("tracestate")], expected);
    }
}

#[test]
fn a_server_without_a_key_of_its_own_gets_none() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    let sent = &rig.talk(id).fetches[0].headers;
    assert!(sent.iter().all(|(name, _)| name != "authorization"));
}

#[test]
fn a_server_whose_key_cannot_be_opened_is_not_called_without_it() {
    let mut rig = Rig::new(&["a"]);
    rig.seal_key(0);
    rig.snapshot.servers[0].id = "z".to_owned();
    let (id, lines) = rig.chat(&chat());
    assert_eq!(lines[0], "respond 503");
    assert!(rig.talk(id).text().contains("its key cannot be opened"));
}

#[test]
fn json_goes_on_as_json_whatever_the_client_called_it() {
    for kind in [
        None,
        Some("application/x-www-form-urlencoded"),
        Some("text/plain"),
    ] {
        let mut rig = Rig::new(&["a"]);
        let mut head = rig.head("/v1/chat/completions");
        head.headers.remove(1);
        head.headers
            .extend(kind.map(|kind| ("content-type".to_owned(), kind.to_owned())));
        let (id, _) = rig.send(head, &chat());
        rig.grant(id, "a");
        let sent = &rig.talk(id).fetches[0].headers;
        let kinds: Vec<_> = sent
            .iter()
            .filter(|(name, _)| name == "content-type")
            .collect();
        assert_eq!(kinds.len(), 1);
        assert_eq!(kinds[0].1, "application/json");
    }
}

const FROM_SERVER: &[(&str, &str)] = &[
    ("access-control-allow-origin", "*"),
    ("connection", "x-hop"),
    ("content-length", "99"),
    ("openai-processing-ms", "12"),
    ("server", "uvicorn"),
    ("set-cookie", "a=1"),
    ("transfer-encoding", "chunked"),
    ("x-gateway-server-id", "someone-else"),
    ("x-hop", "1"),
    ("x-ratelimit-limit-requests", "7"),
    ("x-request-id", "the-servers-own"),
    ("x-should-retry", "true"),
];

#[test]
fn a_client_sees_what_is_meant_for_it_and_nothing_of_the_servers_host() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    let mut headers = FROM_SERVER.to_vec();
    headers.push(("content-type", "text/plain"));
    rig.headers(id, 0, 201, &headers);
    rig.whole(id, 0, ANSWER);
    let talk = rig.talk(id);
    let mut names: Vec<&str> = talk.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "content-type",
            "openai-processing-ms",
            "x-gateway-server-id",
            "x-request-id"
        ]
    );
    assert_eq!(talk.status, Some(200));
    assert_eq!(talk.header("content-type"), Some("application/json"));
    assert_eq!(talk.header("x-gateway-server-id"), Some("a"));
    assert!(talk.header("x-request-id").unwrap().starts_with("req_"));
}

#[test]
fn a_stream_says_that_it_is_one_and_is_not_cached() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    let mut headers = FROM_SERVER.to_vec();
    headers.extend(SSE);
    headers.push(("cache-control", "public"));
    rig.headers(id, 0, 200, &headers);
    rig.chunk(id, 0, WORD);
    let talk = rig.talk(id);
    assert_eq!(
        talk.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(talk.header("cache-control"), Some("no-cache"));
    assert_eq!(talk.header("x-gateway-server-id"), Some("a"));
    assert!(talk.header("x-request-id").is_some());
}

#[test]
fn a_body_with_nothing_to_change_goes_as_the_client_wrote_it() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.arrive(rig.head("/v1/chat/completions"));
    rig.body(id, br#"{ "messages":[ ] ,"unknown":1e3, "model":"m"}"#);
    rig.grant(id, "a");
    assert_eq!(rig.talk(id).fetches[0].own_body, None);
    assert!(!rig.talk(id).fetches[0].stream);
}

#[test]
fn the_model_is_called_by_the_servers_own_name_and_nulls_are_left_out() {
    let mut rig = Rig::new(&["a"]);
    rig.entry(0).upstream_model = Some("org/model-7b \"q4\"".to_owned());
    let (id, _) = rig.arrive(rig.head("/v1/chat/completions"));
    rig.body(
        id,
        br#"{"model":"m","stop":null,"messages":[],"x":[null],"seed":null}"#,
    );
    rig.grant(id, "a");
    assert_eq!(
        rig.talk(id).fetches[0].own_body.as_deref(),
        Some(br#"{"model":"org/model-7b \"q4\"","messages":[],"x":[null]}"#.as_slice())
    );
}

#[test]
fn an_alias_is_translated_for_each_server() {
    let mut rig = Rig::new(&["a"]);
    rig.snapshot
        .routes
        .insert("alias".to_owned(), crate::rig::route(&["m"], &[]));
    let mut body = chat();
    body["model"] = json!("alias");
    let (id, _) = rig.chat(&body);
    rig.grant(id, "a");
    let own = rig.talk(id).fetches[0].own_body.clone().unwrap();
    let own: serde_json::Value = serde_json::from_slice(&own).unwrap();
    assert_eq!(own, chat());
}
