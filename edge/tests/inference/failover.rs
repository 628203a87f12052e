//! Servers that fail, refuse or push back before the client has seen anything.

use tidegate_durable::bindings::fleet::Strategy;
use tidegate_durable::bindings::instance::DeniedWire;
use tidegate_edge::effect::BodyEnd;

use crate::rig::{ANSWER, JSON, Rig, SSE, chat, streamed};

/// Two servers, `a` preferred: no pair is asked, so the order is known.
fn ranked() -> Rig {
    let mut rig = Rig::new(&["a", "b"]);
    rig.entry(0).priority = 1;
    rig
}

#[test]
fn of_two_asked_side_by_side_the_less_busy_is_used_and_the_other_given_back() {
    let mut rig = Rig::new(&["a", "b"]);
    let (id, mut lines) = rig.chat(&chat());
    lines.sort();
    assert_eq!(
        lines,
        [
            "ask a: first tentative",
            "ask b: first tentative",
            "wake in 20000"
        ]
    );
    assert_eq!(rig.grant_with(id, "a", 2, 0, 500), ["wake in 100"]);
    assert_eq!(
        rig.grant_with(id, "b", 1, 0, 250),
        ["fetch 0 b", "flush 20"]
    );
    assert_eq!(rig.flush(), ["tell a: cancel"]);
    rig.answer(id, 0, 200, ANSWER);
    assert_eq!(rig.talk(id).header("x-gateway-server-id"), Some("b"));
}

#[test]
fn an_object_that_is_slow_to_answer_is_not_waited_for_when_another_granted() {
    let mut rig = Rig::new(&["a", "b"]);
    let (id, _) = rig.chat(&chat());
    rig.pass(1);
    assert_eq!(rig.grant(id, "a"), ["wake in 100"]);
    assert_eq!(rig.wake_in(id, 100), ["fetch 0 a", "wake in 19899"]);
    assert_eq!(
        rig.grant(id, "b"),
        ["flush 20", "wake in 4000"],
        "its late grant is given back, and from now on it may be raced"
    );
    assert_eq!(rig.flush(), ["tell b: cancel"]);
    rig.answer(id, 0, 200, ANSWER);
    assert_eq!(rig.flush(), ["tell a: settle success 5+2"]);
}

#[test]
fn a_failure_moves_on_and_the_client_sees_only_the_answer() {
    type Fails = fn(&mut Rig, u32) -> Vec<String>;
    let cases: [(&str, Fails); 8] = [
        ("http5xx", |rig, id| rig.answer(id, 0, 500, b"boom")),
        ("http5xx", |rig, id| {
            rig.answer(id, 0, 401, br#"{"error":"Unauthorized"}"#)
        }),
        ("http5xx", |rig, id| rig.answer(id, 0, 407, b"")),
        ("transport", |rig, id| rig.end(id, 0, BodyEnd::Broken)),
        ("transport", |rig, id| {
            rig.headers(id, 0, 200, JSON);
            rig.end(id, 0, BodyEnd::Broken)
        }),
        ("invalid_answer", |rig, id| {
            rig.headers(id, 0, 307, &[("location", "http://elsewhere.example.com")]);
            rig.whole(id, 0, b"")
        }),
        ("invalid_answer", |rig, id| {
            rig.headers(id, 0, 200, &[("content-type", "text/html")]);
            rig.whole(id, 0, b"<html>welcome</html>")
        }),
        ("invalid_answer", |rig, id| {
            rig.answer(id, 0, 200, br#"{"error":{"message":"oops"}}"#)
        }),
    ];
    for (number, (kind, fails)) in cases.into_iter().enumerate() {
        let mut rig = ranked();
        let (id, _) = rig.chat(&chat());
        assert_eq!(rig.grant(id, "a"), ["fetch 0 a", "wake in 4000"]);
        assert_eq!(
            fails(&mut rig, id),
            ["ask b: retry tentative", "flush 20"],
            "case {number}"
        );
        assert_eq!(rig.flush(), [format!("tell a: settle failure {kind} 0+0")]);
        assert_eq!(rig.grant(id, "b"), ["fetch 1 b"]);
        rig.answer(id, 1, 200, ANSWER);
        let talk = rig.talk(id);
        assert_eq!((talk.status, talk.body.as_slice()), (Some(200), ANSWER));
        assert_eq!(talk.header("location"), None);
        assert_eq!(talk.logs[0]["attempts"], 2);
        assert_eq!(rig.flush(), ["tell b: settle success 5+2"]);
    }
}

#[test]
fn each_ask_at_a_server_has_a_lease_of_its_own() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    rig.end(id, 0, BodyEnd::Broken);
    rig.grant(id, "a");
    rig.answer(id, 1, 200, ANSWER);
    rig.flush();
    let named = |message: &serde_json::Value| {
        let ask = &message["ask"]["request"];
        let settled = &message["settled"][0]["request"];
        (
            ask.as_str().map(str::to_owned),
            settled.as_str().map(str::to_owned),
        )
    };
    let to_server = rig.sent.iter().filter(|(to, ..)| to.tail() == Some("a"));
    let names: Vec<_> = to_server.map(|(_, message, _)| named(message)).collect();
    let first = rig.talk(id).header("x-request-id").unwrap().to_owned();
    let second = format!("{first}.2");
    assert_eq!(
        names,
        [
            (Some(first.clone()), None),
            (Some(second.clone()), Some(first)),
            (None, Some(second)),
        ],
        "late words about the first cannot take the second's slot"
    );
}

#[test]
fn each_attempt_gets_the_same_request_id_and_body() {
    let mut rig = ranked();
    let (id, _) = rig.chat(&streamed());
    rig.grant(id, "a");
    rig.end(id, 0, BodyEnd::Broken);
    rig.grant(id, "b");
    let [first, second] = rig.talk(id).fetches.as_slice() else {
        panic!("two attempts")
    };
    assert!(first.own_body.is_some());
    assert_eq!(first.own_body, second.own_body);
    let id_of = |headers: &[(String, String)]| {
        let found = headers.iter().find(|(name, _)| name == "x-request-id");
        found.unwrap().1.clone()
    };
    assert_eq!(id_of(&first.headers), id_of(&second.headers));
}

#[test]
fn when_all_fail_the_client_gets_the_last_words_and_should_not_try_again() {
    let mut rig = ranked();
    let (id, _) = rig.chat(&chat());
    rig.grant(id, "a");
    rig.answer(id, 0, 500, b"first words");
    rig.grant(id, "b");
    let lines = rig.answer(id, 1, 500, br#"{"error":{"message":"last words"}}"#);
    assert_eq!(lines, ["respond 500", "log", "flush 20", "done"]);
    assert!(rig.talk(id).text().contains("last words"));
    assert_eq!(rig.talk(id).header("x-should-retry"), Some("false"));
}

#[test]
fn a_broken_connection_of_the_only_server_is_tried_twice_more_there() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    for attempt in 0..2 {
        assert_eq!(
            rig.end(id, attempt, BodyEnd::Broken),
            [
                "ask a: retry normal, settle failure transport 0+0",
                "flush 20"
            ],
            "the release rides on the retry"
        );
        rig.grant(id, "a");
    }
    assert_eq!(
        rig.end(id, 2, BodyEnd::Broken),
        ["respond 502", "log", "flush 20", "done"]
    );
    assert_eq!(
        rig.talk(id).error(),
        (502, "upstream_unreachable".to_owned())
    );
}

#[test]
fn a_fault_of_the_clients_is_the_answer_and_is_asked_of_nobody_else() {
    for (status, body, told, code) in [
        (
            400,
            r#"{"error":{"message":"no","code":"bad"}}"#,
            400,
            "bad",
        ),
        (
            422,
            r#"{"detail":[{"loc":["body","n"],"msg":"too big"}]}"#,
            422,
            "",
        ),
        (
            404,
            r#"{"object":"error","message":"The model does not exist","code":404}"#,
            404,
            "model_not_found",
        ),
        (413, "", 413, "request_too_large"),
        (
            500,
            r#"{"error":{"code":500,"message":"input is too large to process","type":"server_error"}}"#,
            400,
            "context_length_exceeded",
        ),
        (
            200,
            r#"{"error":{"code":400,"message":"maximum context length is 8"}}"#,
            200,
            "context_length_exceeded",
        ),
    ] {
        let mut rig = ranked();
        let (id, _) = rig.chat(&chat());
        rig.grant(id, "a");
        let lines = rig.answer(id, 0, status, body.as_bytes());
        let told = if told == 200 { 400 } else { told };
        assert_eq!(lines[0], format!("respond {told}"), "{body}");
        assert_eq!(rig.talk(id).error(), (told, code.to_owned()), "{body}");
        assert_eq!(rig.talk(id).header("x-gateway-server-id"), Some("a"));
        let settled = rig.flush();
        assert_eq!(settled, [format!("tell a: settle client_error {told} 0+0")]);
    }
}

#[test]
fn back_pressure_moves_on_and_the_release_says_how_long() {
    for status in [429, 503] {
        let mut rig = ranked();
        let (id, _) = rig.chat(&chat());
        rig.grant(id, "a");
        rig.headers(id, 0, status, &[("retry-after", "30")]);
        assert_eq!(
            rig.whole(id, 0, b"slow down"),
            ["ask b: retry tentative", "flush 20"]
        );
        let told = rig
            .gateway
            .flush(rig.now + tidegate_domain::time::Span::from_ms(20));
        let message = serde_json::to_string(&told).unwrap();
        assert!(message.contains(r#"\"retry_after_ms\":30000"#), "{message}");
        rig.grant(id, "b");
        rig.answer(id, 1, 200, ANSWER);
        assert_eq!(rig.talk(id).status, Some(200));
    }
}

#[test]
fn when_all_push_back_the_client_is_told_when_to_come_back() {
    let mut rig = ranked();
    let (id, _) = rig.chat(&chat());
    rig.grant(id, "a");
    rig.headers(id, 0, 429, &[("retry-after", "30")]);
    rig.whole(
        id,
        0,
        br#"{"error":{"message":"org-secret is over its quota"}}"#,
    );
    rig.grant(id, "b");
    rig.headers(id, 1, 429, &[("retry-after", "7")]);
    let lines = rig.whole(id, 1, b"");
    assert_eq!(lines, ["respond 429", "log", "flush 20", "done"]);
    let talk = rig.talk(id);
    assert_eq!(talk.error(), (429, "servers_busy".to_owned()));
    assert_eq!(talk.header("retry-after"), Some("7"));
    assert_eq!(talk.header("retry-after-ms"), Some("7000"));
    assert!(!talk.text().contains("org-secret"));
}

#[test]
fn a_failure_counts_more_than_the_back_pressure_that_followed() {
    let mut rig = ranked();
    let (id, _) = rig.chat(&chat());
    rig.grant(id, "a");
    rig.answer(id, 0, 500, br#"{"error":{"message":"broken"}}"#);
    rig.grant(id, "b");
    rig.answer(id, 1, 429, b"slow down");
    assert_eq!(rig.talk(id).status, Some(500));
    assert!(rig.talk(id).text().contains("broken"));
}

#[test]
fn at_most_two_retries() {
    let mut rig = Rig::new(&["a", "b", "c", "d"]);
    for (index, priority) in [(0, 4), (1, 3), (2, 2), (3, 1)] {
        rig.entry(index).priority = priority;
    }
    let (id, _) = rig.chat(&chat());
    for (attempt, server) in [(0, "a"), (1, "b"), (2, "c")] {
        rig.grant(id, server);
        rig.end(id, attempt, BodyEnd::Broken);
    }
    assert!(rig.talk(id).done);
    assert_eq!(rig.talk(id).fetches.len(), 3);
}

#[test]
fn retries_that_the_servers_budget_does_not_cover_are_not_made() {
    let mut rig = ranked();
    let (id, _) = rig.chat(&chat());
    rig.grant(id, "a");
    rig.answer(id, 0, 500, b"boom");
    let lines = rig.deny(id, "b", DeniedWire::RetryBudgetSpent);
    assert_eq!(lines, ["respond 500", "log", "flush 20", "done"]);
}

#[test]
fn a_server_that_fails_fast_does_not_look_quick() {
    let mut rig = Rig::new(&["a", "b"]);
    let mut alias = crate::rig::route(&["m"], &[]);
    alias.strategy = Strategy::Latency;
    rig.snapshot.routes.insert("m".to_owned(), alias);
    let first_asked = |rig: &mut Rig| {
        let (id, _) = rig.chat(&chat());
        let server = rig.talk(id).asks[0].to.tail().unwrap().to_owned();
        (id, server)
    };
    // What is not measured is asked first, so both are measured: 200 ms and 300 ms.
    let mut measured = Vec::new();
    for ms in [200, 300] {
        let (id, server) = first_asked(&mut rig);
        rig.grant(id, &server);
        rig.pass(ms);
        rig.answer(id, 0, 200, ANSWER);
        measured.push(server);
    }
    let [quick, slow] = measured.try_into().unwrap();
    for (status, body) in [(500, "boom"), (429, "slow down"), (400, "{}")].repeat(20) {
        let (id, server) = first_asked(&mut rig);
        assert_eq!(server, quick);
        rig.deny(id, &quick, DeniedWire::Draining);
        rig.grant(id, &slow);
        rig.answer(id, 0, status, body.as_bytes());
    }
    assert_eq!(first_asked(&mut rig).1, quick);
}

#[test]
fn a_lost_call_gives_the_admission_back_and_sends_what_rode_on_it_again() {
    let mut rig = ranked();
    let done = rig.chat(&chat()).0;
    rig.grant(done, "a");
    rig.answer(done, 0, 200, ANSWER);
    let (id, lines) = rig.chat(&chat());
    assert_eq!(lines[0], "ask a: first tentative, settle success 5+2");
    assert_eq!(rig.lose(id, "a"), ["ask b: first tentative", "flush 20"]);
    assert_eq!(
        rig.flush(),
        ["tell a: settle success 5+2, cancel"],
        "it may have been granted all the same"
    );
    rig.grant(id, "b");
    rig.answer(id, 0, 200, ANSWER);
    assert_eq!(rig.flush(), ["tell b: settle success 5+2"]);
}

#[test]
fn other_requests_cancellations_are_not_lost_with_a_call_either() {
    let mut rig = Rig::new(&["a", "b"]);
    let (first, _) = rig.chat(&chat());
    rig.grant_with(first, "a", 1, 0, 100);
    rig.grant_with(first, "b", 2, 0, 200);
    let (second, lines) = rig.chat(&chat());
    assert!(
        lines.contains(&"ask b: first tentative, cancel".to_owned()),
        "{lines:?}"
    );
    rig.lose(second, "b");
    assert_eq!(rig.flush(), ["tell b: cancel, cancel"]);
}

#[test]
fn what_rides_on_a_call_that_nobody_will_hear_of_is_sent_again() {
    let mut rig = ranked();
    let done = rig.chat(&chat()).0;
    rig.grant(done, "a");
    rig.answer(done, 0, 200, ANSWER);
    let (id, lines) = rig.chat(&chat());
    assert_eq!(lines[0], "ask a: first tentative, settle success 5+2");
    assert_eq!(rig.leave(id), ["log", "flush 0", "done"]);
    assert_eq!(rig.flush(), ["tell a: settle success 5+2, cancel"]);
}

#[test]
fn an_answer_in_unknown_words_is_a_lost_call() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.chat(&chat());
    let call = rig.talk(id).asks[0].call;
    let said = tidegate_edge::effect::CallOutcome::Answered(r#"{"answer":"maybe"}"#.to_owned());
    let effects = rig.gateway.answered(id, rig.now, call, said);
    assert_eq!(
        rig.take(id, effects),
        ["respond 503", "log", "flush 20", "done"]
    );
    assert_eq!(
        rig.talk(id).error(),
        (503, "gateway_unavailable".to_owned())
    );
    assert_eq!(rig.flush(), ["tell a: cancel"]);
}

#[test]
fn an_uncommitted_stream_that_fails_leaves_no_trace_in_the_next_ones() {
    let mut rig = ranked();
    let (id, _) = rig.chat(&streamed());
    rig.grant(id, "a");
    rig.headers(id, 0, 200, SSE);
    rig.chunk(id, 0, crate::rig::ROLE);
    assert_eq!(
        rig.chunk(id, 0, b"data: <html>\n\n"),
        ["abort 0", "ask b: retry tentative", "flush 20"]
    );
    rig.grant(id, "b");
    rig.headers(id, 1, 200, SSE);
    rig.chunk(id, 1, crate::rig::WORD);
    rig.chunk(id, 1, &[crate::rig::FINISH, crate::rig::DONE].concat());
    let whole = [crate::rig::WORD, crate::rig::FINISH, crate::rig::DONE].concat();
    assert_eq!(rig.talk(id).body, whole);
}

#[test]
fn when_the_breaker_took_out_everything_two_are_asked_in_panic() {
    let ejected = || DeniedWire::Ejected {
        since_ms: 0,
        until_ms: i64::MAX,
        reason: "5 failures in a row".to_owned(),
    };
    let mut rig = ranked();
    let (id, _) = rig.chat(&chat());
    rig.deny(id, "a", ejected());
    assert_eq!(rig.deny(id, "b", ejected()), ["ask a: first panic"]);
    let spent = DeniedWire::PanicSpent { until_ms: 0 };
    assert_eq!(rig.deny(id, "a", spent), ["ask b: first panic"]);
    assert_eq!(rig.grant(id, "b")[0], "fetch 0 b");
}

#[test]
fn a_refusal_is_told_in_words() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.chat(&chat());
    let lines = rig.deny(
        id,
        "a",
        DeniedWire::Unhealthy {
            since_ms: 0,
            reason: "status 502".to_owned(),
        },
    );
    assert_eq!(lines, ["respond 503", "log", "flush 20", "done"]);
    assert!(
        rig.talk(id)
            .text()
            .contains("in service: its health checks fail with status 502. ")
    );
}
