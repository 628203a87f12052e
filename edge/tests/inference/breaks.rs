//! Streams that break, before and after their first token.

use tidegate_edge::effect::BodyEnd;

use crate::rig::{DONE, FINISH, JSON, ROLE, Rig, SSE, WORD, streamed};

/// A stream that has begun to speak.
fn speaking(rig: &mut Rig) -> u32 {
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 200, SSE);
    rig.chunk(id, 0, WORD);
    id
}

/// The error event that ends a stream: its code. No end mark may follow it.
fn last_words(rig: &Rig, id: u32) -> String {
    let text = rig.talk(id).text();
    assert!(!text.contains("[DONE]"), "{text}");
    assert!(text.ends_with("\n\n"), "{text}");
    let event = text.trim_end().rsplit("\n\n").next().unwrap();
    let event: serde_json::Value =
        serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(text.matches(r#"{"error":"#).count(), 1, "{text}");
    event["error"]["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_connection_that_breaks_in_the_middle_ends_with_an_error_event() {
    let mut rig = Rig::new(&["a", "b"]);
    rig.snapshot.policy.max_retries = 2;
    let (id, _) = rig.chat(&streamed());
    rig.grant(id, "a");
    rig.grant(id, "b");
    let winner = rig.talk(id).fetches[0].url.contains("//a.");
    rig.headers(id, 0, 200, SSE);
    rig.chunk(id, 0, WORD);
    rig.flush();
    let lines = rig.end(id, 0, BodyEnd::Broken);
    assert_eq!(
        lines,
        ["write", "close", "log", "flush 20", "done"],
        "what was sent cannot be taken back: nobody else is asked"
    );
    assert_eq!(last_words(&rig, id), "upstream_unreachable");
    let server = if winner { "a" } else { "b" };
    assert_eq!(
        rig.flush(),
        [format!("tell {server}: settle failure cut_stream 11+1")]
    );
}

#[test]
fn an_orderly_end_before_the_answer_is_whole_is_told_too() {
    let mut rig = Rig::new(&["a"]);
    let id = speaking(&mut rig);
    rig.end(id, 0, BodyEnd::Eof);
    assert_eq!(last_words(&rig, id), "upstream_truncated");
}

#[test]
fn rubbish_in_the_middle_ends_the_answer_and_the_connection() {
    let mut rig = Rig::new(&["a"]);
    let id = speaking(&mut rig);
    let lines = rig.chunk(id, 0, b"data: <html>\n\n");
    assert_eq!(
        lines,
        ["write", "abort 0", "close", "log", "flush 20", "done"]
    );
    assert_eq!(last_words(&rig, id), "upstream_invalid_answer");
    assert_eq!(rig.flush(), ["tell a: settle failure invalid_answer 11+1"]);
}

#[test]
fn silence_in_the_middle_ends_the_answer() {
    let mut rig = Rig::new(&["a"]);
    let id = speaking(&mut rig);
    for _ in 0..2 {
        assert_eq!(rig.wake_in(id, 20_000), ["flush 0", "wake in 20000"]);
        rig.flush();
    }
    let lines = rig.wake_in(id, 20_000);
    assert_eq!(
        lines,
        ["abort 0", "write", "close", "log", "flush 20", "done"]
    );
    assert_eq!(last_words(&rig, id), "upstream_stalled");
    assert_eq!(rig.flush(), ["tell a: settle failure stalled 11+1"]);
}

#[test]
fn any_chunk_is_a_sign_of_life() {
    let mut rig = Rig::new(&["a"]);
    let id = speaking(&mut rig);
    rig.pass(59_000);
    rig.chunk(id, 0, b": still here\n\n");
    rig.pass(59_000);
    assert!(!rig.wake(id).contains(&"close".to_owned()));
    assert!(!rig.talk(id).done);
}

#[test]
fn no_answer_outlives_the_total_limit() {
    let mut rig = Rig::new(&["a"]);
    rig.snapshot.policy.total_timeout_ms = 15_000;
    let id = speaking(&mut rig);
    let lines = rig.wake_in(id, 15_000);
    assert_eq!(
        lines,
        ["abort 0", "write", "close", "log", "flush 20", "done"]
    );
    assert_eq!(last_words(&rig, id), "upstream_timeout");
    assert_eq!(
        rig.flush(),
        ["tell a: settle client_left 11+1"],
        "the server was only slower than the limit"
    );
}

#[test]
fn an_error_event_after_the_first_token_is_passed_on_and_is_the_end() {
    let mut rig = Rig::new(&["a"]);
    let id = speaking(&mut rig);
    let lines = rig.chunk(
        id,
        0,
        b"data: {\"error\":{\"message\":\"out of memory\",\"code\":500}}\n\n",
    );
    assert_eq!(
        lines,
        ["write", "abort 0", "close", "log", "flush 20", "done"]
    );
    assert!(rig.talk(id).text().contains("out of memory"));
    assert_eq!(rig.flush(), ["tell a: settle failure http5xx 11+1"]);
}

#[test]
fn an_error_event_before_the_first_token_is_an_answer_with_a_status() {
    for (event, status, code, settled) in [
        (
            r#"{"error":{"message":"Input is too large, data: {1}","type":"server_error","code":500}}"#,
            400,
            "context_length_exceeded",
            "client_error 400",
        ),
        (
            r#"{"error":{"message":"data: no such lora","type":"invalid_request_error","code":422}}"#,
            400,
            "",
            "client_error 400",
        ),
        (
            r#"{"error":{"message":"out of memory","type":"server_error","code":500}}"#,
            502,
            "upstream_error",
            "failure http5xx",
        ),
    ] {
        let mut rig = Rig::new(&["a"]);
        let id = rig.granted_chat(&streamed(), "a");
        rig.headers(id, 0, 200, SSE);
        rig.chunk(id, 0, ROLE);
        let lines = rig.chunk(id, 0, format!("data: {event}\n\n").as_bytes());
        assert_eq!(lines[0], "abort 0", "{lines:?}");
        assert_eq!(lines[1], format!("respond {status}"), "{event}");
        assert_eq!(rig.talk(id).error(), (status, code.to_owned()));
        assert_eq!(rig.flush(), [format!("tell a: settle {settled} 0+0")]);
    }
}

#[test]
fn a_stream_that_ends_before_it_speaks_is_a_failure_with_a_status() {
    for (end, code) in [
        (BodyEnd::Eof, "upstream_truncated"),
        (BodyEnd::Broken, "upstream_unreachable"),
    ] {
        let mut rig = Rig::new(&["a"]);
        let id = rig.granted_chat(&streamed(), "a");
        rig.headers(id, 0, 200, SSE);
        rig.chunk(id, 0, ROLE);
        let lines = rig.end(id, 0, end);
        assert_eq!(lines, ["respond 502", "log", "flush 20", "done"]);
        assert_eq!(rig.talk(id).error(), (502, code.to_owned()));
        assert_eq!(
            rig.talk(id).header("x-should-retry"),
            Some("false"),
            "the gateway has spent its own tries"
        );
    }
}

#[test]
fn what_follows_the_end_mark_is_dropped_and_so_is_a_broken_connection_behind_it() {
    let mut rig = Rig::new(&["a"]);
    let id = speaking(&mut rig);
    rig.chunk(id, 0, &[FINISH, DONE, WORD].concat());
    assert!(rig.talk(id).done);
    assert_eq!(rig.talk(id).body, [WORD, FINISH, DONE].concat());
    assert_eq!(rig.end(id, 0, BodyEnd::Broken), [""; 0]);
}

#[test]
fn an_error_status_to_a_streaming_request_is_an_answer_in_one_piece() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 400, JSON);
    rig.chunk(
        id,
        0,
        br#"{"error":{"message":"bad top_p","type":"invalid_request_error"}}"#,
    );
    let lines = rig.end(id, 0, BodyEnd::Eof);
    assert_eq!(lines, ["respond 400", "log", "flush 20", "done"]);
    assert_eq!(
        rig.talk(id).header("content-type"),
        Some("application/json")
    );
    assert_eq!(rig.talk(id).header("x-gateway-server-id"), Some("a"));
}
