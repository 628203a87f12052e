//! Responses that one server holds: whoever goes on from them, or asks about them, is sent there and
//! nowhere else.

use serde_json::{Value, json};
use tidegate_durable::bindings::fleet::ServerState;
use tidegate_durable::bindings::instance::DeniedWire;
use tidegate_edge::effect::BodyEnd;
use tidegate_edge::request::Head;
use tidegate_vault::{INSTANCE_RANDOM, Organisation, mint_instance_id};

use crate::rig::{JSON, PROMPT, Rig, SSE, installation, route, server};

const PATH: &str = "/v1/responses";

fn id_of(org: &str, seed: u8) -> String {
    let org = Organisation::parse(org).unwrap();
    mint_instance_id(&installation(), &org, [seed; INSTANCE_RANDOM])
}

/// Two servers of one model, whose ids are real ones.
fn pair() -> (Rig, String, String) {
    let (a, b) = (id_of("default", 1), id_of("default", 2));
    let mut rig = Rig::new(&[]);
    for (id, host) in [(&a, "a"), (&b, "b")] {
        let mut known = server(id, "m");
        known.entry.endpoint_url = format!("https://{host}.example.com/v1");
        rig.snapshot.servers.push(known);
    }
    (rig, a, b)
}

fn ask(more: Value) -> Value {
    let mut body = json!({"model": "m", "input": PROMPT});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

fn answer(id: &str) -> Vec<u8> {
    let body = json!({
        "id": id, "object": "response", "status": "completed", "model": "m",
        "output": [{"type": "message", "id": "msg_1"}],
        "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
    });
    body.to_string().into_bytes()
}

fn head(rig: &Rig, method: &str, path: &str) -> Head {
    Head {
        method: method.to_owned(),
        ..rig.head(path)
    }
}

/// A request that `b` answers, which is asked beside `a`.
fn first_answer(rig: &mut Rig, b: &str, more: Value) -> Value {
    let (id, lines) = rig.request(PATH, &ask(more));
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with(&format!("ask {b}"))),
        "{lines:?}"
    );
    rig.grant_with(id, b, 0, 0, 0);
    let others: Vec<String> = rig
        .talk(id)
        .asks
        .iter()
        .map(|open| open.to.tail().unwrap().to_owned())
        .collect();
    for other in others {
        rig.deny(id, &other, DeniedWire::Busy { score: 900 });
    }
    assert!(rig.talk(id).fetches[0].url.starts_with("https://b."));
    rig.answer(id, 0, 200, &answer("resp_1"));
    rig.talk(id).json()
}

#[test]
fn the_id_that_a_client_sees_leads_back_to_the_server_and_the_server_sees_its_own() {
    let (mut rig, _, b) = pair();
    let told = first_answer(&mut rig, &b, json!({}));
    let tagged = format!("resp_1~{b}");
    assert_eq!(told["id"], tagged);
    assert_eq!(told["store"], true);

    let body = ask(json!({"previous_response_id": tagged}));
    let (id, lines) = rig.request(PATH, &body);
    assert_eq!(
        lines[0],
        format!("ask {b}: first normal, settle success 5+2")
    );
    assert_eq!(lines[1..], ["wake in 20000"], "the other one is not asked");
    assert_eq!(rig.grant(id, &b), ["fetch 0 b"]);
    let sent = rig.talk(id).fetches[0].own_body.clone().unwrap();
    let expected = body.to_string().replace(&tagged, "resp_1");
    assert_eq!(
        String::from_utf8(sent).unwrap(),
        expected,
        "every other byte stays"
    );
    rig.answer(id, 0, 200, &answer("resp_2"));
    let told = rig.talk(id).json();
    assert_eq!(told["id"], format!("resp_2~{b}"));
    assert_eq!(told["previous_response_id"], tagged);
    assert_eq!(rig.gateway.open_exchanges(), 0);
}

#[test]
fn an_answer_that_is_not_kept_is_ordinary_and_keeps_its_id() {
    let (mut rig, _, b) = pair();
    let told = first_answer(&mut rig, &b, json!({"store": false}));
    assert_eq!(told["id"], "resp_1");
    assert_eq!(
        (&told["store"], &told["instructions"]),
        (&json!(false), &Value::Null)
    );
}

#[test]
fn a_kept_answer_is_never_raced_and_one_that_is_not_kept_is() {
    for (store, races) in [(json!({}), false), (json!({"store": false}), true)] {
        let (mut rig, a, b) = pair();
        rig.snapshot.policy.hedge = true;
        let (id, _) = rig.request(PATH, &ask(store));
        rig.grant_with(id, &a, 0, 0, 0);
        rig.deny(id, &b, DeniedWire::Busy { score: 900 });
        assert_eq!(rig.talk(id).fetches.len(), 1);
        assert_eq!(rig.is_raced(id), races);
    }
}

#[test]
fn what_fails_at_the_server_is_tried_nowhere_else() {
    let (mut rig, _, b) = pair();
    let body = ask(json!({"previous_response_id": format!("resp_1~{b}")}));
    let (id, _) = rig.request(PATH, &body);
    rig.grant(id, &b);
    let lines = rig.answer(id, 0, 500, b"boom");
    assert_eq!(lines[0], "respond 500");
    assert_eq!(rig.talk(id).header("x-should-retry"), Some("false"));
    assert_eq!(rig.talk(id).fetches.len(), 1);
    assert!(
        rig.sent
            .iter()
            .all(|(to, ..)| !to.as_str().ends_with(&id_of("default", 1)))
    );
}

#[test]
fn a_server_that_is_full_or_out_is_said_to_be_and_no_other_is_asked() {
    for (denied, status, code) in [
        (DeniedWire::CoolingDown { until_ms: 0 }, 429, "servers_busy"),
        (
            DeniedWire::Unhealthy {
                reason: "status 500".to_owned(),
                since_ms: 0,
            },
            503,
            "no_healthy_server",
        ),
    ] {
        let (mut rig, _, b) = pair();
        let body = ask(json!({"previous_response_id": format!("resp_1~{b}")}));
        let (id, _) = rig.request(PATH, &body);
        let lines = rig.deny(id, &b, denied);
        assert!(
            !lines.iter().any(|line| line.starts_with("ask")),
            "{lines:?}"
        );
        assert_eq!(rig.talk(id).error(), (status, code.to_owned()));
    }
}

#[test]
fn tags_that_lead_nowhere_are_refused_before_any_server_is_asked() {
    let (rig, a, b) = pair();
    let foreign = id_of("other", 1);
    let mut forged = a.clone();
    let last = if forged.pop() == Some('0') { '1' } else { '0' };
    forged.push(last);
    drop(rig);
    for id in [
        format!("resp_1~{forged}"),
        format!("resp_1~{foreign}"),
        format!("resp_1~{}", id_of("default", 9)),
        format!("~{b}"),
        format!("resp/../1~{b}"),
        format!("resp_1?x~{b}"),
        format!("..~{b}"),
        "resp_1~".to_owned(),
        "resp_1".to_owned(),
        "x".repeat(300),
    ] {
        let (mut rig, ..) = pair();
        let body = ask(json!({"previous_response_id": id}));
        let (talk, lines) = rig.request(PATH, &body);
        assert_eq!(lines, ["respond 400", "log", "done"], "{id}");
        let refused = rig.talk(talk).json();
        assert_eq!(refused["error"]["code"], "previous_response_not_found");
        assert_eq!(refused["error"]["param"], "previous_response_id");

        let encoded = id.replace('/', "%2F").replace('?', "%3F");
        let about = head(&rig, "GET", &format!("{PATH}/{encoded}"));
        let (talk, lines) = rig.arrive(about);
        assert_eq!(lines, ["respond 404", "log", "done"], "{id}");
        assert_eq!(rig.talk(talk).error().1, "not_found");
    }
}

#[test]
fn a_server_that_is_gone_drained_or_of_another_model_holds_nothing_any_more() {
    let drop_it = |rig: &mut Rig| drop(rig.snapshot.servers.remove(1));
    let drain_it = |rig: &mut Rig| rig.snapshot.servers[1].status.state = ServerState::Draining;
    let rename_it = |rig: &mut Rig| "other".clone_into(&mut rig.entry(1).model_name);
    let changes: [&dyn Fn(&mut Rig); 3] = [&drop_it, &drain_it, &rename_it];
    for change in changes {
        let (mut rig, _, b) = pair();
        change(&mut rig);
        let body = ask(json!({"previous_response_id": format!("resp_1~{b}")}));
        let (id, lines) = rig.request(PATH, &body);
        assert_eq!(lines, ["respond 400", "log", "done"]);
        assert_eq!(rig.talk(id).error().1, "previous_response_not_found");
    }
}

#[test]
fn an_id_without_a_tag_is_asked_of_the_only_server_that_can_have_made_it() {
    let (mut rig, a, _) = pair();
    rig.snapshot.servers.truncate(1);
    let body = ask(json!({"previous_response_id": "resp_old"}));
    let (id, lines) = rig.request(PATH, &body);
    assert_eq!(lines[0], format!("ask {a}: first normal"));
    rig.grant(id, &a);
    assert_eq!(
        rig.talk(id).fetches[0].own_body,
        None,
        "the client's own bytes"
    );
}

#[test]
fn a_stored_response_is_shown_deleted_cancelled_and_asked_at_its_server() {
    for (method, below, query, sent) in [
        ("GET", "", "include[]=x&starting_after=3", "GET"),
        ("DELETE", "", "", "DELETE"),
        ("POST", "/cancel", "", "POST"),
        ("GET", "/input_items", "limit=2&order=asc", "GET"),
    ] {
        let (mut rig, _, b) = pair();
        let about = Head {
            query: query.to_owned(),
            ..head(&rig, method, &format!("{PATH}/resp_1~{b}{below}"))
        };
        let (id, lines) = rig.arrive(about);
        assert_eq!(
            lines,
            [format!("ask {b}: first normal"), "wake in 20000".to_owned()]
        );
        assert_eq!(rig.grant(id, &b), ["fetch 0 b"]);
        let mark = if query.is_empty() { "" } else { "?" };
        let fetched = &rig.talk(id).fetches[0];
        assert_eq!(
            fetched.url,
            format!("https://b.example.com/v1/responses/resp_1{below}{mark}{query}")
        );
        assert_eq!((fetched.method, fetched.stream), (sent, false));
        let body: &[u8] = match (method, below) {
            ("DELETE", _) => br#"{"id":"resp_1","object":"response","deleted":true}"#,
            (_, "/input_items") => br#"{"object":"list","data":[],"has_more":false}"#,
            _ => br#"{"id":"resp_1","object":"response","status":"completed","output":[]}"#,
        };
        rig.answer(id, 0, 200, body);
        let told = rig.talk(id).json();
        if below == "/input_items" {
            assert_eq!(rig.talk(id).body, body);
        } else {
            assert_eq!(told["id"], format!("resp_1~{b}"));
            assert_eq!(told.get("tools").is_some(), method != "DELETE");
        }
        assert_eq!(rig.talk(id).logs[0]["model"], "m");
    }
}

#[test]
fn a_stored_response_can_be_streamed_again() {
    let (mut rig, _, b) = pair();
    let about = Head {
        query: "stream=true".to_owned(),
        ..head(&rig, "GET", &format!("{PATH}/resp_1~{b}"))
    };
    let (id, _) = rig.arrive(about);
    rig.grant(id, &b);
    assert!(rig.talk(id).fetches[0].stream);
    rig.headers(id, 0, 200, SSE);
    rig.chunk(id, 0, b"event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":9,\"response\":{\"id\":\"resp_1\",\"output\":[]}}\n\n");
    assert!(
        rig.talk(id)
            .text()
            .contains(&format!("\"id\":\"resp_1~{b}\""))
    );
    assert!(rig.talk(id).closed);
}

#[test]
fn a_key_reaches_only_responses_of_models_that_it_may_use() {
    let (mut rig, _, b) = pair();
    rig.record().models = vec!["alias".to_owned()];
    let path = format!("{PATH}/resp_1~{b}");
    let (id, lines) = rig.arrive(head(&rig, "GET", &path));
    assert_eq!(lines, ["respond 404", "log", "done"]);
    assert_eq!(rig.talk(id).error().1, "not_found");

    let (mut rig, _, b) = pair();
    rig.record().models = vec!["alias".to_owned()];
    rig.snapshot
        .routes
        .insert("alias".to_owned(), route(&["m"], &[]));
    let (_, lines) = rig.arrive(head(&rig, "GET", &path));
    assert_eq!(lines[0], format!("ask {b}: first normal"));
}

#[test]
fn a_stream_is_filled_in_tagged_and_cut_off_with_an_error_of_its_own_dialect() {
    let (mut rig, a, _) = pair();
    rig.snapshot.servers.truncate(1);
    let (id, _) = rig.request(PATH, &ask(json!({"stream": true})));
    rig.grant(id, &a);
    rig.headers(id, 0, 200, SSE);
    let created = b"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"in_progress\"}}\n\n";
    assert_eq!(rig.chunk(id, 0, created), [""; 0], "not a token yet");
    let delta = b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"delta\":\"Hi\"}\n\n";
    let lines = rig.chunk(id, 0, delta);
    assert!(lines.contains(&"open".to_owned()), "{lines:?}");
    rig.end(id, 0, BodyEnd::Broken);
    let events: Vec<Value> = rig
        .talk(id)
        .text()
        .split("\n\n")
        .filter_map(|frame| frame.split_once("\ndata: "))
        .map(|(_, data)| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(events.len(), 3);
    assert_eq!(events[0]["response"]["id"], format!("resp_1~{a}"));
    assert_eq!(events[0]["response"]["model"], "m");
    assert_eq!(events[1]["sequence_number"], 1);
    assert_eq!(events[2]["type"], "error");
    assert_eq!(events[2]["code"], "upstream_unreachable");
    assert!(!rig.talk(id).text().contains("response.completed"));
}

#[test]
fn a_response_that_fails_before_its_first_token_is_tried_elsewhere() {
    let (mut rig, a, b) = pair();
    let (id, _) = rig.request(PATH, &ask(json!({"stream": true})));
    rig.grant_with(id, &a, 0, 0, 0);
    rig.deny(id, &b, DeniedWire::Busy { score: 900 });
    rig.headers(id, 0, 200, SSE);
    let lines = rig.chunk(id, 0, b"event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"id\":\"resp_1\",\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"Out of memory.\"}}}\n\n");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with(&format!("ask {b}: retry"))),
        "{lines:?}"
    );
    rig.grant(id, &b);
    rig.answer(id, 1, 500, b"{\"error\":{\"message\":\"boom\"}}");
    assert_eq!(rig.talk(id).json()["error"]["message"], "boom");
    assert_eq!(JSON.len(), 1);
}
