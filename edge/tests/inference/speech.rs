//! Answers that are audio: passed on as they come, never something else under that name.

use serde_json::{Value, json};
use tidegate_edge::effect::BodyEnd;

use crate::rig::{JSON, PROMPT, Rig, SSE};

const MPEG: &[(&str, &str)] = &[("content-type", "audio/mpeg")];
const SOUND: &[u8] = &[
    0xff, 0xfb, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
];

fn speech() -> Value {
    json!({"model": "m", "voice": "alloy", "input": PROMPT})
}

fn granted(rig: &mut Rig) -> u32 {
    let (id, _) = rig.request("/v1/audio/speech", &speech());
    assert_eq!(rig.grant(id, "a"), ["fetch 0 a"]);
    assert!(rig.talk(id).fetches[0].stream);
    id
}

#[test]
fn audio_passes_as_it_comes() {
    let mut rig = Rig::new(&["a"]);
    let id = granted(&mut rig);
    rig.pass(30);
    assert_eq!(rig.headers(id, 0, 200, MPEG), [""; 0]);
    assert_eq!(rig.chunk(id, 0, SOUND), ["open", "write"]);
    assert_eq!(rig.talk(id).header("content-type"), Some("audio/mpeg"));
    assert_eq!(rig.chunk(id, 0, b"more"), ["write_chunk"]);
    let lines = rig.end(id, 0, BodyEnd::Eof);
    assert_eq!(lines, ["close", "log", "flush 20", "done"]);
    assert_eq!(rig.talk(id).body, [SOUND, b"more"].concat());
    assert_eq!(rig.talk(id).logs[0]["first_token_ms"], 30);
    assert_eq!(rig.flush(), ["tell a: settle success 0+0"]);
}

#[test]
fn the_shortest_sound_is_sent_at_its_end() {
    let mut rig = Rig::new(&["a"]);
    let id = granted(&mut rig);
    rig.headers(id, 0, 200, MPEG);
    assert_eq!(rig.chunk(id, 0, b"\xff\xfb"), [""; 0]);
    let lines = rig.end(id, 0, BodyEnd::Eof);
    assert_eq!(lines, ["open", "write", "close", "log", "flush 20", "done"]);
    assert_eq!(rig.talk(id).body, b"\xff\xfb");
}

#[test]
fn sound_that_breaks_off_breaks_the_clients_off() {
    let mut rig = Rig::new(&["a"]);
    let id = granted(&mut rig);
    rig.headers(id, 0, 200, MPEG);
    rig.chunk(id, 0, SOUND);
    let lines = rig.end(id, 0, BodyEnd::Broken);
    assert_eq!(lines, ["break", "log", "flush 20", "done"]);
    assert!(rig.talk(id).broken);
    assert_eq!(
        rig.talk(id).body,
        SOUND,
        "and no error event is mixed into it"
    );
    assert_eq!(rig.flush(), ["tell a: settle failure cut_stream 0+0"]);
}

#[test]
fn sound_shorter_than_its_length_is_cut() {
    let mut rig = Rig::new(&["a"]);
    let id = granted(&mut rig);
    let headers = &[("content-type", "audio/wav"), ("content-length", "1000")];
    rig.headers(id, 0, 200, headers);
    rig.chunk(id, 0, SOUND);
    assert_eq!(rig.end(id, 0, BodyEnd::Eof)[0], "break");
    assert_eq!(rig.flush(), ["tell a: settle failure cut_stream 0+0"]);
}

#[test]
fn a_server_that_falls_silent_in_the_middle_breaks_it_off() {
    let mut rig = Rig::new(&["a"]);
    let id = granted(&mut rig);
    rig.headers(id, 0, 200, MPEG);
    rig.chunk(id, 0, SOUND);
    rig.pass(61_000);
    let lines = rig.wake(id);
    assert_eq!(lines, ["abort 0", "break", "log", "flush 20", "done"]);
    assert_eq!(rig.flush(), ["tell a: settle failure stalled 0+0"]);
}

#[test]
fn what_is_no_audio_never_passes_for_it_and_moves_on() {
    let page: &[u8] = b"<!doctype html><html><body>Welcome</body></html>";
    let error: &[u8] = br#"{"error":{"message":"the engine has died"}}"#;
    for (headers, body) in [
        (MPEG, page),
        (MPEG, error),
        (MPEG, b""),
        (JSON, error),
        (JSON, br#"{"text":"hi"}"#),
        (&[("content-type", "text/html")], page),
    ] {
        let mut rig = Rig::new(&["a"]);
        let id = granted(&mut rig);
        rig.headers(id, 0, 200, headers);
        let mut lines = rig.chunk(id, 0, body);
        if !rig.talk(id).done {
            lines = rig.end(id, 0, BodyEnd::Eof);
        }
        assert!(lines.contains(&"respond 502".to_owned()), "{lines:?}");
        let settled = rig.flush();
        assert_eq!(settled, ["tell a: settle failure invalid_answer 0+0"]);
    }
}

#[test]
fn an_error_of_the_server_is_told_in_its_words() {
    let mut rig = Rig::new(&["a"]);
    let id = granted(&mut rig);
    rig.headers(id, 0, 400, JSON);
    rig.chunk(
        id,
        0,
        br#"{"error":{"message":"no such voice","param":"voice"}}"#,
    );
    rig.end(id, 0, BodyEnd::Eof);
    assert_eq!(rig.talk(id).status, Some(400));
    assert_eq!(rig.talk(id).json()["error"]["param"], "voice");
    assert_eq!(rig.flush(), ["tell a: settle client_error 400 0+0"]);
}

#[test]
fn speech_can_come_as_events() {
    let mut rig = Rig::new(&["a"]);
    let id = granted(&mut rig);
    rig.headers(id, 0, 200, SSE);
    let delta = b"data: {\"type\":\"speech.audio.delta\",\"audio\":\"aGk=\"}\n\n";
    let done = b"data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":3,\"output_tokens\":5,\"total_tokens\":8}}\n\n";
    assert_eq!(rig.chunk(id, 0, delta), ["open", "write"]);
    assert_eq!(
        rig.talk(id).header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    let lines = rig.chunk(id, 0, done);
    assert_eq!(lines, ["write_chunk", "close", "log", "flush 20", "done"]);
    assert_eq!(rig.flush(), ["tell a: settle success 3+5"]);
}

#[test]
fn images_and_audio_are_never_raced() {
    let mut rig = Rig::new(&["a", "b"]);
    let (id, _) = rig.request("/v1/audio/speech", &speech());
    rig.grant(id, "a");
    rig.grant(id, "b");
    for _ in 0..3 {
        rig.pass(20_000);
        let lines = rig.wake(id);
        assert!(
            !lines.iter().any(|line| line.contains("hedge")),
            "{lines:?}"
        );
    }
}
