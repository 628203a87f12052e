//! Races, and servers that stay silent.

use crate::rig::{ANSWER, DONE, FINISH, ROLE, Rig, SSE, WORD, chat, streamed};

/// `a` is preferred and runs; `b` is there for a race.
fn running(body: &serde_json::Value) -> (Rig, u32) {
    let mut rig = Rig::new(&["a", "b"]);
    rig.entry(0).priority = 1;
    let (id, _) = rig.chat(body);
    assert_eq!(rig.grant(id, "a"), ["fetch 0 a", "wake in 4000"]);
    (rig, id)
}

#[test]
fn a_silent_server_is_raced_and_the_first_to_speak_wins() {
    let (mut rig, id) = running(&streamed());
    assert_eq!(
        rig.wake_in(id, 4_000),
        ["ask b: hedge tentative", "wake in 16000"]
    );
    rig.pass(1);
    assert_eq!(rig.grant(id, "b"), ["fetch 1 b"]);
    rig.headers(id, 1, 200, SSE);
    rig.chunk(id, 1, ROLE);
    assert_eq!(
        rig.chunk(id, 1, WORD),
        ["open", "write", "abort 0", "flush 20"]
    );
    assert_eq!(
        rig.flush(),
        ["tell a: settle failure timeout 0+0"],
        "its slot is free now, not when the stream ends"
    );
    assert_eq!(rig.chunk(id, 0, WORD), [""; 0], "the loser's late words");
    rig.chunk(id, 1, &[FINISH, DONE].concat());
    assert_eq!(rig.talk(id).body, [ROLE, WORD, FINISH, DONE].concat());
    assert_eq!(rig.talk(id).header("x-gateway-server-id"), Some("b"));
}

#[test]
fn the_slow_one_may_win_its_race_and_the_other_is_not_blamed() {
    let (mut rig, id) = running(&streamed());
    rig.wake_in(id, 4_000);
    rig.grant(id, "b");
    rig.headers(id, 0, 200, SSE);
    assert_eq!(
        rig.chunk(id, 0, WORD),
        ["open", "write", "abort 1", "flush 20"]
    );
    assert_eq!(rig.flush(), ["tell b: settle client_left 0+0"]);
}

#[test]
fn an_ask_for_a_race_that_is_over_is_given_back() {
    let (mut rig, id) = running(&chat());
    rig.wake_in(id, 4_000);
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
    let mut told = rig.flush();
    told.sort();
    assert_eq!(told, ["tell a: settle success 5+2", "tell b: cancel"]);
}

#[test]
fn when_the_first_fails_while_the_race_is_asked_for_the_race_takes_its_place() {
    let (mut rig, id) = running(&chat());
    rig.wake_in(id, 4_000);
    assert_eq!(rig.answer(id, 0, 500, b"boom"), ["flush 20"]);
    assert_eq!(rig.grant(id, "b")[0], "fetch 1 b");
    rig.answer(id, 1, 200, ANSWER);
    assert_eq!(rig.talk(id).status, Some(200));
}

#[test]
fn a_race_that_is_refused_after_the_first_failed_does_not_leave_the_client_hanging() {
    use tidegate_durable::bindings::instance::DeniedWire;
    let (mut rig, id) = running(&chat());
    rig.wake_in(id, 4_000);
    rig.answer(id, 0, 500, b"boom");
    let lines = rig.deny(id, "b", DeniedWire::RetryBudgetSpent);
    assert_eq!(lines, ["respond 500", "log", "flush 20", "done"]);
}

#[test]
fn nobody_is_raced_where_the_policy_says_so() {
    let mut rig = Rig::new(&["a", "b"]);
    rig.entry(0).priority = 1;
    rig.snapshot.policy.hedge = false;
    let (id, _) = rig.chat(&streamed());
    assert_eq!(rig.grant(id, "a"), ["fetch 0 a"]);
    assert_eq!(
        rig.talk(id).wake_at.unwrap().as_ms() - rig.now.as_ms(),
        20_000
    );
}

#[test]
fn the_delay_is_learned_and_never_below_the_minimum() {
    let mut rig = Rig::new(&["a", "b"]);
    rig.entry(0).priority = 1;
    for _ in 0..30 {
        let (id, _) = rig.chat(&chat());
        rig.grant(id, "a");
        rig.pass(50);
        rig.answer(id, 0, 200, ANSWER);
    }
    let (id, _) = rig.chat(&chat());
    assert_eq!(rig.grant(id, "a"), ["fetch 0 a", "wake in 2000"]);
}

#[test]
fn no_first_token_in_time_is_a_failure_and_moves_on() {
    let mut rig = Rig::new(&["a", "b"]);
    rig.entry(0).priority = 1;
    rig.snapshot.policy.hedge = false;
    rig.snapshot.policy.first_token_timeout_ms = 10_000;
    let (id, _) = rig.chat(&streamed());
    rig.grant(id, "a");
    rig.headers(id, 0, 200, SSE);
    rig.chunk(id, 0, ROLE);
    assert_eq!(
        rig.wake_in(id, 10_000),
        [
            "abort 0",
            "ask b: retry tentative",
            "flush 20",
            "wake in 10000"
        ]
    );
    assert_eq!(rig.flush(), ["tell a: settle failure timeout 0+0"]);
    rig.grant(id, "b");
    let lines = rig.wake_in(id, 10_000);
    // The lease is due for renewal at the same moment; it ends instead.
    assert_eq!(lines, ["abort 1", "respond 504", "log", "flush 20", "done"]);
    assert_eq!(rig.talk(id).error(), (504, "upstream_timeout".to_owned()));
    assert_eq!(rig.talk(id).header("x-should-retry"), Some("false"));
}

#[test]
fn a_vendors_own_limit_shortens_the_wait() {
    let mut rig = Rig::new(&["a"]);
    rig.entry(0).first_token_cap_ms = Some(9_000);
    let (id, _) = rig.chat(&chat());
    assert_eq!(rig.grant(id, "a"), ["fetch 0 a", "wake in 9000"]);
}

#[test]
fn the_total_limit_runs_from_the_arrival_and_not_from_the_first_ask() {
    let mut rig = Rig::new(&["a"]);
    rig.snapshot.policy.total_timeout_ms = 5_000;
    let head = rig.head("/v1/chat/completions");
    let (id, _) = rig.arrive(head);
    rig.pass(3_000);
    let lines = rig.body(id, chat().to_string().as_bytes());
    assert!(lines.contains(&"wake in 2000".to_owned()), "{lines:?}");
}

#[test]
fn no_request_outlives_the_total_limit_in_any_phase() {
    for phase in 0..3 {
        let mut rig = Rig::new(&["a"]);
        rig.snapshot.policy.total_timeout_ms = 5_000;
        let (id, lines) = rig.chat(&chat());
        assert_eq!(lines[1], "wake in 5000");
        if phase > 0 {
            rig.grant(id, "a");
        }
        if phase > 1 {
            rig.headers(id, 0, 200, &[]);
        }
        let lines = rig.wake_in(id, 5_000);
        assert!(lines.contains(&"respond 504".to_owned()), "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("done"));
        let told = if phase == 0 {
            "tell a: cancel"
        } else {
            "tell a: settle client_left 0+0"
        };
        assert_eq!(rig.flush(), [told]);
    }
}
