//! Full servers: queues, and the model's waiting room.

use tidegate_durable::bindings::instance::DeniedWire;
use tidegate_durable::bindings::model::WaitAnswer;

use crate::rig::{ANSWER, Rig, chat};

const WAITS: [&str; 1] = ["ask model m: wait"];

/// A request that the only server's full queue has sent to the waiting room.
fn waiting() -> (Rig, u32) {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.chat(&chat());
    let lines = rig.deny(id, "a", DeniedWire::QueueFull { depth: 8 });
    assert_eq!(lines, WAITS);
    (rig, id)
}

#[test]
fn a_lone_server_may_let_the_request_wait_and_the_call_waits_with_it() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.chat(&chat());
    let queue_timeout = rig.snapshot.policy.queue_timeout_ms;
    assert_eq!(rig.talk(id).asks[0].timeout_ms, queue_timeout + 5_000);
    rig.pass(9_000);
    assert_eq!(rig.grant(id, "a"), ["fetch 0 a"]);
    rig.answer(id, 0, 200, ANSWER);
    assert_eq!(rig.talk(id).logs[0]["duration_ms"], 9_000);
}

#[test]
fn of_busy_servers_the_queue_of_the_least_busy_is_asked() {
    let mut rig = Rig::new(&["a", "b"]);
    let (id, _) = rig.chat(&chat());
    rig.deny(id, "a", DeniedWire::Busy { score: 1_200 });
    let lines = rig.deny(id, "b", DeniedWire::Busy { score: 1_100 });
    assert_eq!(lines, ["ask b: first normal"]);
    assert_eq!(
        rig.deny(id, "b", DeniedWire::QueueTimeout),
        ["ask a: first normal"]
    );
    assert_eq!(rig.deny(id, "a", DeniedWire::QueueTimeout), WAITS);
}

#[test]
fn a_server_that_has_no_room_even_in_its_queue_is_not_asked_for_ever() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.chat(&chat());
    assert_eq!(rig.deny(id, "a", DeniedWire::Busy { score: 1_000 }), WAITS);
}

#[test]
fn the_waiting_room_learns_who_waits_for_whom_and_until_when() {
    let (rig, id) = waiting();
    let open = &rig.talk(id).asks[0];
    assert_eq!(open.timeout_ms, 30_000);
    let message = &open.message;
    assert_eq!(message["candidates"], serde_json::json!(["a"]));
    assert_eq!(message["max_waiting"], 1_000);
    assert_eq!(message["arrived_at_ms"], rig.now.as_ms());
    assert_eq!(message["deadline_ms"], rig.now.as_ms() + 60_000);
}

#[test]
fn a_free_slot_is_asked_for_and_used() {
    let (mut rig, id) = waiting();
    rig.pass(3_000);
    let go = WaitAnswer::Go {
        instance: "a".to_owned(),
    };
    assert_eq!(rig.model_says(id, &go), ["ask a: first normal"]);
    assert_eq!(rig.grant(id, "a"), ["fetch 0 a"]);
    let lines = rig.answer(id, 0, 200, ANSWER);
    assert_eq!(lines[1..], ["log", "flush 20", "done"]);
}

#[test]
fn a_slot_that_was_taken_in_between_is_waited_for_again() {
    let (mut rig, id) = waiting();
    let go = WaitAnswer::Go {
        instance: "a".to_owned(),
    };
    rig.model_says(id, &go);
    assert_eq!(rig.deny(id, "a", DeniedWire::QueueFull { depth: 8 }), WAITS);
}

#[test]
fn a_poll_that_ends_with_nothing_asks_anew_until_the_wait_is_over() {
    let (mut rig, id) = waiting();
    for _ in 0..2 {
        rig.pass(25_000);
        assert_eq!(
            rig.model_says(id, &WaitAnswer::Again)[0],
            "ask a: first normal"
        );
        assert_eq!(
            rig.deny(id, "a", DeniedWire::QueueFull { depth: 8 })[0],
            WAITS[0]
        );
    }
    rig.pass(10_000);
    let lines = rig.wake(id);
    assert_eq!(
        lines,
        [
            "tell model m: give_up",
            "respond 429",
            "log",
            "flush 20",
            "done"
        ]
    );
    assert_eq!(rig.talk(id).error(), (429, "servers_busy".to_owned()));
    assert_eq!(rig.talk(id).header("retry-after"), Some("2"));
}

#[test]
fn a_full_waiting_room_is_a_429_that_says_when_to_come_back() {
    let (mut rig, id) = waiting();
    let full = WaitAnswer::Full {
        retry_after_ms: 12_000,
    };
    let lines = rig.model_says(id, &full);
    assert_eq!(lines[1..], ["respond 429", "log", "flush 20", "done"]);
    assert_eq!(rig.talk(id).header("retry-after"), Some("12"));
}

#[test]
fn a_waiting_room_that_was_evicted_is_asked_again_but_not_for_ever() {
    let (mut rig, id) = waiting();
    assert_eq!(rig.model_is_lost(id), ["ask a: first normal"]);
    rig.deny(id, "a", DeniedWire::QueueFull { depth: 8 });
    let lines = rig.model_is_lost(id);
    assert_eq!(lines[1..], ["respond 429", "log", "flush 20", "done"]);
}

#[test]
fn a_server_that_nobody_knows_is_no_place_to_go() {
    let (mut rig, id) = waiting();
    let go = WaitAnswer::Go {
        instance: "z".to_owned(),
    };
    assert_eq!(rig.model_says(id, &go), ["ask a: first normal"]);
}
