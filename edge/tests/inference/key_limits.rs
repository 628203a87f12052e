//! Keys with limits: asked side by side with the servers, never in their stead.

use tidegate_durable::bindings::key::{KeyAnswer, KeyLimits, KeyWindows, Window};

use crate::rig::{ANSWER, Rig, SSE, WORD, chat, streamed};

fn limited() -> Rig {
    let mut rig = Rig::new(&["a"]);
    rig.record().limits = KeyLimits {
        requests_per_minute: Some(60),
        tokens_per_minute: Some(10_000),
        concurrency: None,
    };
    rig
}

fn windows() -> KeyWindows {
    KeyWindows {
        requests: Some(Window {
            limit: 60,
            remaining: 59,
            reset_ms: 1_000,
        }),
        tokens: Some(Window {
            limit: 10_000,
            remaining: 9_000,
            reset_ms: 6_000,
        }),
    }
}

fn allowed() -> KeyAnswer {
    KeyAnswer::Allowed { windows: windows() }
}

fn denied(never_fits: bool) -> KeyAnswer {
    KeyAnswer::Denied {
        limit: "tokens".to_owned(),
        retry_after_ms: if never_fits { 0 } else { 2_500 },
        never_fits,
        windows: windows(),
    }
}

#[test]
fn key_and_server_are_asked_at_once_and_nothing_is_sent_before_both_agree() {
    for key_first in [true, false] {
        let mut rig = limited();
        let (id, lines) = rig.chat(&chat());
        assert_eq!(
            lines,
            ["ask key: admit 11", "ask a: first normal", "wake in 20000"]
        );
        if key_first {
            assert_eq!(rig.key_says(id, &allowed()), [""; 0]);
            assert_eq!(rig.grant(id, "a"), ["fetch 0 a"]);
        } else {
            assert_eq!(rig.grant(id, "a"), [""; 0]);
            assert_eq!(rig.key_says(id, &allowed()), ["fetch 0 a"]);
        }
        let lines = rig.answer(id, 0, 200, ANSWER);
        assert_eq!(
            lines,
            [
                "respond 200 with the server's bytes",
                "log",
                "flush 20",
                "done"
            ]
        );
        let told = ["tell a: settle success 5+2", "tell key: settle 7"];
        assert_eq!(
            rig.flush(),
            told,
            "unless the next request takes both along"
        );
        let talk = rig.talk(id);
        for (name, value) in [
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1000ms"),
            ("x-ratelimit-limit-tokens", "10000"),
            ("x-ratelimit-remaining-tokens", "9000"),
            ("x-ratelimit-reset-tokens", "6000ms"),
        ] {
            assert_eq!(talk.header(name), Some(value));
        }
    }
}

#[test]
fn what_is_reserved_is_the_prompt_and_the_most_that_may_be_written() {
    let mut rig = limited();
    let mut body = chat();
    body["max_tokens"] = 100.into();
    body["max_completion_tokens"] = 200.into();
    body["n"] = 3.into();
    let (_, lines) = rig.chat(&body);
    assert_eq!(lines[0], "ask key: admit 611");
}

#[test]
fn a_denial_gives_the_admission_back_whether_granted_or_only_asked_for() {
    for granted in [true, false] {
        let mut rig = limited();
        let (id, _) = rig.chat(&chat());
        if granted {
            rig.grant(id, "a");
        }
        let lines = rig.key_says(id, &denied(false));
        assert_eq!(
            lines,
            ["respond 429", "tell key: refund", "log", "flush 20", "done"]
        );
        let talk = rig.talk(id);
        assert_eq!(talk.error(), (429, "rate_limit_exceeded".to_owned()));
        assert_eq!(talk.header("retry-after"), Some("3"));
        assert_eq!(talk.header("retry-after-ms"), Some("2500"));
        assert_eq!(talk.header("x-ratelimit-remaining-tokens"), Some("9000"));
        assert_eq!(talk.header("x-should-retry"), None);
        assert!(talk.text().contains("tokens"));
        assert!(talk.fetches.is_empty());
        assert_eq!(rig.flush(), ["tell a: cancel"]);
    }
}

#[test]
fn a_request_that_never_fits_should_not_be_tried_again() {
    let mut rig = limited();
    let (id, _) = rig.chat(&chat());
    rig.key_says(id, &denied(true));
    let talk = rig.talk(id);
    assert_eq!(talk.error().0, 429);
    assert_eq!(talk.header("x-should-retry"), Some("false"));
    assert_eq!(talk.header("retry-after"), None);
}

#[test]
fn limits_that_cannot_be_asked_let_nobody_through() {
    let mut rig = limited();
    let (id, _) = rig.chat(&chat());
    rig.grant(id, "a");
    let lines = rig.key_is_lost(id);
    assert_eq!(
        lines,
        ["respond 503", "tell key: refund", "log", "flush 20", "done"],
        "it may have been counted all the same"
    );
    let talk = rig.talk(id);
    assert_eq!(talk.error(), (503, "gateway_unavailable".to_owned()));
    assert_eq!(talk.header("retry-after"), Some("1"));
}

#[test]
fn a_request_that_no_server_took_is_not_counted() {
    let mut rig = limited();
    let (id, _) = rig.chat(&chat());
    rig.key_says(id, &allowed());
    let lines = rig.deny(
        id,
        "a",
        tidegate_durable::bindings::instance::DeniedWire::Draining,
    );
    assert_eq!(
        lines,
        ["respond 503", "tell key: refund", "log", "flush 20", "done"]
    );
}

#[test]
fn an_aborted_stream_is_counted_by_what_was_sent() {
    let mut rig = limited();
    let (id, _) = rig.chat(&streamed());
    rig.key_says(id, &allowed());
    rig.grant(id, "a");
    rig.headers(id, 0, 200, SSE);
    for _ in 0..3 {
        rig.chunk(id, 0, WORD);
    }
    let lines = rig.leave(id);
    assert_eq!(lines, ["abort 0", "close", "log", "flush 0", "done"]);
    let told = ["tell a: settle client_left 11+3", "tell key: settle 14"];
    assert_eq!(rig.flush(), told);
}

#[test]
fn a_long_request_keeps_its_place_under_the_key_too() {
    let mut rig = limited();
    let (id, _) = rig.chat(&chat());
    rig.key_says(id, &allowed());
    rig.grant(id, "a");
    assert_eq!(
        rig.wake_in(id, 20_000),
        ["tell key: renew", "flush 0", "wake in 20000"]
    );
}

#[test]
fn a_key_without_limits_is_never_asked_and_shows_none() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    rig.answer(id, 0, 200, ANSWER);
    let headers = &rig.talk(id).headers;
    assert!(
        headers
            .iter()
            .all(|(name, _)| !name.starts_with("x-ratelimit"))
    );
}

#[test]
fn where_there_is_no_server_nothing_is_counted() {
    let mut rig = limited();
    rig.snapshot.servers[0].status.state = tidegate_durable::bindings::fleet::ServerState::Draining;
    let (_, lines) = rig.chat(&chat());
    assert_eq!(lines, ["respond 503", "log", "flush 20", "done"]);
}

#[test]
fn the_end_of_a_request_rides_on_the_next_one_of_its_key_and_again_when_that_is_lost() {
    let mut rig = limited();
    let (first, _) = rig.chat(&chat());
    rig.key_says(first, &allowed());
    rig.grant(first, "a");
    rig.answer(first, 0, 200, ANSWER);
    let (second, _) = rig.chat(&chat());
    let riding = |rig: &Rig, id| {
        let asks = rig.talk(id).asks.iter();
        let mut to_key = asks.filter(|ask| ask.to.as_str().starts_with("key/"));
        to_key.next().unwrap().message["settled"].clone()
    };
    assert_eq!(riding(&rig, second)[0]["used_tokens"], 7);
    rig.key_is_lost(second);
    assert!(rig.flush().contains(&"tell key: settle 7".to_owned()));
}

#[test]
fn a_place_among_few_is_given_back_at_once() {
    let mut rig = limited();
    rig.record().limits.concurrency = Some(15);
    let (id, _) = rig.chat(&chat());
    rig.key_says(id, &allowed());
    rig.grant(id, "a");
    let lines = rig.answer(id, 0, 200, ANSWER);
    assert!(
        lines.contains(&"tell key: settle 7".to_owned()),
        "{lines:?}"
    );
}
