//! How old the list of servers may be.

use tidegate_edge::effect::CallOutcome;

use crate::rig::{Rig, chat};

/// Requests that ask for no key record: it is made to be fresh.
fn body_of(rig: &mut Rig) -> (u32, Vec<String>) {
    let was_up = std::mem::replace(&mut rig.fleet_is_up, true);
    let (id, _) = rig.arrive(rig.head("/v1/chat/completions"));
    rig.refreshes
        .retain(|(_, _, message)| message.contains("snapshot"));
    rig.fleet_is_up = was_up;
    let lines = rig.body(id, chat().to_string().as_bytes());
    (id, lines)
}

const ASKS: [&str; 2] = ["ask a: first normal", "wake in 20000"];

#[test]
fn a_fresh_one_is_used_and_an_ageing_one_is_refreshed_behind_the_request() {
    let mut rig = Rig::new(&["a"]);
    assert_eq!(body_of(&mut rig).1, ASKS);
    rig.pass(1_999);
    assert_eq!(body_of(&mut rig).1, ASKS);
    rig.pass(1);
    let (_, lines) = body_of(&mut rig);
    assert_eq!(lines, ["refresh fleet: snapshot", ASKS[0], ASKS[1]]);
    assert_eq!(body_of(&mut rig).1, ASKS, "one refresh is enough");
    rig.refreshed();
    rig.pass(1_900);
    assert_eq!(body_of(&mut rig).1, ASKS);
}

#[test]
fn an_old_one_is_refreshed_first_for_a_moment() {
    let mut rig = Rig::new(&["a"]);
    body_of(&mut rig);
    rig.pass(5_000);
    rig.fleet_is_up = false;
    let (id, lines) = body_of(&mut rig);
    assert_eq!(lines, ["ask fleet: snapshot"]);
    let ask = rig.talk(id).asks[0].clone();
    assert_eq!(ask.timeout_ms, 300);
    assert_eq!(
        ask.message["known_version"], 1,
        "an unchanged one is not sent again"
    );
    let reply = rig.fleet_reply(&ask.message);
    let answered = CallOutcome::Answered(reply);
    let effects = rig.gateway.answered(id, rig.now, ask.call, answered);
    assert_eq!(rig.take(id, effects), ASKS);
}

#[test]
fn when_the_registry_is_down_the_last_one_is_used_for_a_quarter_of_an_hour() {
    let mut rig = Rig::new(&["a"]);
    body_of(&mut rig);
    rig.fleet_is_up = false;
    rig.pass(897_999);
    for failure in [
        CallOutcome::Failed("late".to_owned()),
        CallOutcome::Answered("what?".to_owned()),
    ] {
        let (id, _) = body_of(&mut rig);
        let call = rig.talk(id).asks[0].call;
        let effects = rig.gateway.answered(id, rig.now, call, failure);
        let lines = rig.take(id, effects);
        assert_eq!(lines, ["refresh fleet: snapshot", ASKS[0], ASKS[1]]);
        rig.pass(999);
        assert_eq!(body_of(&mut rig).1, ASKS, "not every request waits");
        rig.pass(1);
    }
    rig.pass(1);
    let (id, _) = body_of(&mut rig);
    let ask = rig.talk(id).asks[0].clone();
    assert_eq!(
        ask.timeout_ms, 10_000,
        "without one there is nothing to do but wait"
    );
    let failed = CallOutcome::Failed("late".to_owned());
    let effects = rig.gateway.answered(id, rig.now, ask.call, failed);
    assert_eq!(rig.take(id, effects), ["respond 503", "log", "done"]);
    assert_eq!(
        rig.talk(id).error(),
        (503, "gateway_unavailable".to_owned())
    );
    assert_eq!(rig.talk(id).header("retry-after"), Some("1"));
}

#[test]
fn a_slow_registry_is_heard_behind_the_request() {
    let mut rig = Rig::new(&["a"]);
    body_of(&mut rig);
    rig.fleet_is_up = false;
    rig.pass(5_000);
    let (id, _) = body_of(&mut rig);
    let call = rig.talk(id).asks[0].call;
    let late = CallOutcome::Failed("late".to_owned());
    let effects = rig.gateway.answered(id, rig.now, call, late);
    rig.take(id, effects);
    rig.refreshed();
    rig.pass(1_999);
    assert_eq!(body_of(&mut rig).1, ASKS, "fresh again");
}

#[test]
fn a_request_keeps_the_list_it_began_with() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.chat(&chat());
    rig.snapshot.servers.clear();
    rig.snapshot.version = 2;
    rig.pass(10_000);
    let (other, _) = rig.chat(&chat());
    assert_eq!(rig.talk(other).status, Some(404));
    assert_eq!(rig.grant(id, "a"), ["fetch 0 a"]);
}
