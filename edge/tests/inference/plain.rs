//! Requests whose answer is one piece.

use serde_json::json;
use tidegate_edge::effect::BodyEnd;

use crate::rig::{ANSWER, JSON, Rig, SSE, chat};

#[test]
fn a_warm_request_costs_one_ask_and_its_release_rides_on_the_next() {
    let mut rig = Rig::new(&["a"]);
    let (id, lines) = rig.chat(&chat());
    assert_eq!(lines, ["ask a: first normal", "wake in 20000"]);
    assert_eq!(rig.fleet_asked, ["key", "snapshot"]);
    assert_eq!(rig.grant(id, "a"), ["fetch 0 a"]);
    rig.pass(40);
    assert_eq!(rig.headers(id, 0, 200, JSON), [""; 0]);
    let lines = rig.whole(id, 0, ANSWER);
    assert_eq!(
        lines,
        [
            "respond 200 with the server's bytes",
            "log",
            "flush 20",
            "done"
        ]
    );
    assert_eq!(rig.talk(id).body, ANSWER);
    assert_eq!(rig.gateway.open_exchanges(), 0);

    let (_, lines) = rig.chat(&chat());
    assert_eq!(
        lines,
        ["ask a: first normal, settle success 5+2", "wake in 20000"],
        "nothing else is asked: the key and the snapshot are remembered"
    );
    assert_eq!(rig.flush(), [""; 0], "what found a ride is not sent again");
}

#[test]
fn a_release_that_finds_no_ride_is_told() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    rig.answer(id, 0, 200, ANSWER);
    assert_eq!(rig.flush(), ["tell a: settle success 5+2"]);
    assert_eq!(rig.flush(), [""; 0]);
}

#[test]
fn a_release_does_not_wait_where_others_may_wait_for_the_slot() {
    for (running, queued) in [(3, 0), (1, 1)] {
        let mut rig = Rig::new(&["a"]);
        let (id, _) = rig.chat(&chat());
        rig.grant_with(id, "a", running, queued, 750);
        let lines = rig.answer(id, 0, 200, ANSWER);
        assert_eq!(lines[1..], ["log", "flush 0", "done"]);
    }
}

#[test]
fn the_log_says_who_what_where_and_how() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    rig.pass(40);
    rig.answer(id, 0, 200, ANSWER);
    let [log] = rig.talk(id).logs.as_slice() else {
        panic!("one line")
    };
    let expected = json!({
        "event": "request",
        "request.id": rig.talk(id).header("x-request-id"),
        "method": "POST",
        "route": "/v1/chat/completions",
        "org": "default",
        "key.id": rig.key_id,
        "model": "m",
        "server.id": "a",
        "status": 200,
        "stream": false,
        "attempts": 1,
        "first_token_ms": null,
        "duration_ms": 40,
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "cost_microusd": 0,
    });
    assert_eq!(log, &expected);
}

#[test]
fn embeddings_and_completions_go_to_their_own_paths() {
    for (path, body, answer) in [
        (
            "/v1/embeddings",
            json!({"model": "m", "input": "x"}),
            r#"{"data":[{"embedding":[0.5],"index":0}],"usage":{"prompt_tokens":1,"total_tokens":1}}"#,
        ),
        (
            "/v1/completions",
            json!({"model": "m", "prompt": "x"}),
            r#"{"choices":[{"text":"y","index":0}]}"#,
        ),
    ] {
        let mut rig = Rig::new(&["a"]);
        let (id, _) = rig.request(path, &body);
        rig.grant(id, "a");
        assert_eq!(
            rig.talk(id).fetches[0].url,
            format!("https://a.example.com{path}")
        );
        rig.answer(id, 0, 200, answer.as_bytes());
        assert_eq!(rig.talk(id).status, Some(200));
        assert_eq!(rig.talk(id).text(), answer);
    }
}

#[test]
fn a_byte_order_mark_is_taken_off() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    rig.answer(id, 0, 200, &[b"\xef\xbb\xbf", ANSWER].concat());
    assert_eq!(rig.talk(id).body, ANSWER);
}

#[test]
fn an_event_stream_nobody_asked_for_is_an_invalid_answer() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    rig.headers(id, 0, 200, SSE);
    rig.whole(id, 0, b"data: {\"choices\":[]}\n\ndata: [DONE]\n\n");
    assert_eq!(
        rig.talk(id).error(),
        (502, "upstream_invalid_answer".to_owned())
    );
    assert_eq!(rig.flush(), ["tell a: settle failure invalid_answer 0+0"]);
}

#[test]
fn an_answer_over_the_limit_is_an_invalid_answer() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    rig.headers(id, 0, 200, JSON);
    let lines = rig.end(id, 0, BodyEnd::TooLarge);
    assert_eq!(lines, ["respond 502", "log", "flush 20", "done"]);
    assert_eq!(
        rig.talk(id).error(),
        (502, "upstream_invalid_answer".to_owned())
    );
}

#[test]
fn a_long_request_renews_its_lease_every_twenty_seconds() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    for _ in 0..3 {
        assert_eq!(rig.wake_in(id, 20_000), ["flush 0", "wake in 20000"]);
        assert_eq!(rig.flush(), ["tell a: renew"]);
    }
    rig.answer(id, 0, 200, ANSWER);
    assert_eq!(rig.flush(), ["tell a: settle success 5+2"]);
}

#[test]
fn the_timer_may_ring_early_and_twice() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    assert_eq!(rig.wake(id), ["wake in 20000"]);
    rig.pass(19_999);
    assert_eq!(rig.wake(id), ["wake in 1"]);
    assert_eq!(rig.flush(), [""; 0]);
}
