//! Streams that go well.

use serde_json::json;
use tidegate_edge::effect::BodyEnd;

use crate::rig::{ANSWER, DONE, FINISH, JSON, ROLE, Rig, SSE, USAGE, WORD, chat, streamed};

#[test]
fn nothing_is_sent_before_the_first_token_and_then_every_chunk_as_it_comes() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    assert_eq!(rig.headers(id, 0, 200, SSE), [""; 0]);
    assert_eq!(rig.chunk(id, 0, ROLE), [""; 0], "a role is no answer yet");
    assert_eq!(rig.chunk(id, 0, WORD), ["open", "write"]);
    assert_eq!(rig.chunk(id, 0, WORD), ["write_chunk"]);
    assert_eq!(rig.chunk(id, 0, FINISH), ["write_chunk"]);
    assert_eq!(rig.chunk(id, 0, USAGE), [""; 0], "nobody asked for it");
    let lines = rig.chunk(id, 0, DONE);
    assert_eq!(lines, ["write_chunk", "close", "log", "flush 20", "done"]);
    assert_eq!(rig.talk(id).body, [ROLE, WORD, WORD, FINISH, DONE].concat());
    assert_eq!(
        rig.flush(),
        ["tell a: settle success 5+2"],
        "the usage that was hidden counts"
    );
}

#[test]
fn a_client_that_asked_for_usage_gets_it_and_its_body_goes_as_it_is() {
    let mut rig = Rig::new(&["a"]);
    let mut body = streamed();
    body["stream_options"] = json!({"include_usage": true});
    let id = rig.granted_chat(&body, "a");
    assert_eq!(rig.talk(id).fetches[0].own_body, None);
    assert!(rig.talk(id).fetches[0].stream);
    rig.headers(id, 0, 200, SSE);
    rig.chunk(id, 0, WORD);
    assert_eq!(rig.chunk(id, 0, USAGE), ["write_chunk"]);
}

#[test]
fn usage_is_asked_for_on_behalf_of_clients_that_do_not() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    let own = rig.talk(id).fetches[0].own_body.clone().unwrap();
    let own: serde_json::Value = serde_json::from_slice(&own).unwrap();
    let mut expected = streamed();
    expected["stream_options"] = json!({"include_usage": true});
    assert_eq!(own, expected);
}

#[test]
fn a_whole_stream_in_one_chunk_is_opened_written_and_closed_at_once() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 200, SSE);
    let lines = rig.chunk(id, 0, &[WORD, FINISH, DONE].concat());
    assert_eq!(lines, ["open", "write", "close", "log", "flush 20", "done"]);
    assert_eq!(rig.talk(id).body, [WORD, FINISH, DONE].concat());
}

#[test]
fn a_missing_end_mark_after_a_finish_is_added() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 200, SSE);
    rig.chunk(id, 0, &[WORD, FINISH].concat());
    let lines = rig.end(id, 0, BodyEnd::Eof);
    assert_eq!(lines, ["write", "close", "log", "flush 20", "done"]);
    assert_eq!(rig.talk(id).body, [WORD, FINISH, DONE].concat());
}

#[test]
fn an_empty_answer_is_an_answer() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 200, SSE);
    assert_eq!(rig.chunk(id, 0, FINISH), [""; 0]);
    let lines = rig.chunk(id, 0, DONE);
    assert_eq!(lines, ["open", "write", "close", "log", "flush 20", "done"]);
}

#[test]
fn a_frame_in_pieces_is_passed_on_when_it_is_whole() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 200, SSE);
    rig.chunk(id, 0, WORD);
    let (head, tail) = WORD.split_at(20);
    assert_eq!(rig.chunk(id, 0, head), [""; 0]);
    assert_eq!(rig.chunk(id, 0, tail), ["write"]);
    assert_eq!(rig.talk(id).body, [WORD, WORD].concat());
}

#[test]
fn a_plain_answer_to_a_streaming_request_becomes_chunks() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 200, JSON);
    let (head, tail) = ANSWER.split_at(30);
    assert_eq!(rig.chunk(id, 0, head), [""; 0]);
    assert_eq!(rig.chunk(id, 0, tail), [""; 0]);
    let lines = rig.end(id, 0, BodyEnd::Eof);
    assert_eq!(lines, ["open", "write", "close", "log", "flush 20", "done"]);
    let text = rig.talk(id).text();
    assert!(text.contains(r#""content":"Hi""#), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(
        rig.talk(id).header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(rig.flush(), ["tell a: settle success 5+2"]);
}

#[test]
fn a_plain_answer_to_a_streaming_request_is_not_collected_without_end() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 200, JSON);
    let megabyte = vec![b' '; 1 << 20];
    for _ in 0..4 {
        assert_eq!(rig.chunk(id, 0, &megabyte), [""; 0]);
    }
    assert_eq!(
        rig.chunk(id, 0, b" "),
        ["abort 0", "respond 502", "log", "flush 20", "done"]
    );
}

#[test]
fn what_comes_before_the_first_token_is_not_held_without_end() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 200, SSE);
    let comments = b": wait\n\n".repeat(1 << 17);
    for _ in 0..4 {
        assert_eq!(rig.chunk(id, 0, &comments), [""; 0]);
    }
    assert_eq!(
        rig.chunk(id, 0, &comments),
        ["abort 0", "respond 502", "log", "flush 20", "done"]
    );
    assert_eq!(rig.flush(), ["tell a: settle failure invalid_answer 0+0"]);
}

#[test]
fn a_stream_keeps_its_lease_alive_and_its_client_may_be_slow() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 200, SSE);
    rig.chunk(id, 0, WORD);
    for _ in 0..10 {
        let at = rig.talk(id).wake_at.unwrap();
        rig.now = at;
        assert_eq!(rig.wake_slow_client(id), ["flush 0", "wake in 20000"]);
        assert_eq!(rig.flush(), ["tell a: renew"]);
    }
    assert_eq!(rig.chunk(id, 0, WORD), ["write_chunk"], "200 s later");
}

#[test]
fn streams_and_plain_answers_may_interleave_in_one_isolate() {
    let mut rig = Rig::new(&["a"]);
    let first = rig.granted_chat(&streamed(), "a");
    let second = rig.granted_chat(&chat(), "a");
    rig.headers(first, 0, 200, SSE);
    rig.chunk(first, 0, WORD);
    rig.answer(second, 0, 200, ANSWER);
    rig.chunk(first, 0, &[FINISH, DONE].concat());
    assert_eq!(rig.talk(first).body, [WORD, FINISH, DONE].concat());
    assert_eq!(rig.talk(second).body, ANSWER);
    assert_ne!(
        rig.talk(first).header("x-request-id"),
        rig.talk(second).header("x-request-id")
    );
    assert_eq!(
        rig.flush(),
        ["tell a: settle success 5+2, settle success 11+1"],
        "without a usage the prompt's estimate and the chunks count"
    );
}
