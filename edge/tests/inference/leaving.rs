//! Clients that leave, in each phase: everything that runs for them ends at once.

use tidegate_durable::bindings::instance::DeniedWire;

use crate::rig::{ANSWER, Rig, SSE, WORD, chat, streamed};

#[test]
fn while_a_server_is_asked() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.chat(&chat());
    assert_eq!(rig.leave(id), ["log", "flush 0", "done"]);
    assert_eq!(rig.flush(), ["tell a: cancel"]);
    assert_eq!(rig.talk(id).status, None);
    assert_eq!(rig.grant(id, "a"), [""; 0], "the exchange is over");
}

#[test]
fn while_two_servers_are_asked_and_one_has_granted() {
    let mut rig = Rig::new(&["a", "b"]);
    let (id, _) = rig.chat(&chat());
    rig.grant(id, "a");
    assert_eq!(rig.leave(id), ["log", "flush 0", "done"]);
    assert_eq!(rig.flush(), ["tell a: cancel", "tell b: cancel"]);
}

#[test]
fn while_the_model_is_waited_for() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.chat(&chat());
    rig.deny(id, "a", DeniedWire::QueueFull { depth: 8 });
    assert_eq!(
        rig.leave(id),
        ["tell model m: give_up", "log", "flush 0", "done"]
    );
    assert_eq!(rig.flush(), [""; 0]);
}

#[test]
fn while_a_plain_answer_is_awaited() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    assert_eq!(rig.leave(id), ["abort 0", "log", "flush 0", "done"]);
    assert_eq!(rig.flush(), ["tell a: settle client_left 0+0"]);
    assert_eq!(rig.talk(id).logs[0]["status"], 499);
    assert_eq!(rig.talk(id).logs[0]["error"], "client_left");
    assert_eq!(rig.whole(id, 0, ANSWER), [""; 0]);
}

#[test]
fn before_the_first_token_of_a_stream() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 200, SSE);
    assert_eq!(rig.leave(id), ["abort 0", "log", "flush 0", "done"]);
    assert_eq!(rig.flush(), ["tell a: settle client_left 0+0"]);
}

#[test]
fn in_the_middle_of_a_stream() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 200, SSE);
    rig.chunk(id, 0, WORD);
    rig.chunk(id, 0, WORD);
    let lines = rig.leave(id);
    assert_eq!(lines, ["abort 0", "close", "log", "flush 0", "done"]);
    assert_eq!(rig.flush(), ["tell a: settle client_left 11+2"]);
    assert_eq!(rig.chunk(id, 0, WORD), [""; 0]);
}

#[test]
fn in_the_middle_of_a_race() {
    let mut rig = Rig::new(&["a", "b"]);
    rig.entry(0).priority = 1;
    let (id, _) = rig.chat(&chat());
    rig.grant(id, "a");
    rig.wake_in(id, 4_000);
    rig.grant(id, "b");
    assert_eq!(
        rig.leave(id),
        ["abort 0", "abort 1", "log", "flush 0", "done"]
    );
    assert_eq!(
        rig.flush(),
        [
            "tell a: settle client_left 0+0",
            "tell b: settle client_left 0+0"
        ]
    );
}

#[test]
fn twice_or_after_the_end_changes_nothing() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    rig.leave(id);
    assert_eq!(rig.leave(id), [""; 0]);
    let id = rig.granted_chat(&chat(), "a");
    rig.answer(id, 0, 200, ANSWER);
    assert_eq!(rig.leave(id), [""; 0]);
}

#[test]
fn an_exchange_that_the_host_gives_up_frees_what_it_held() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    let effects = rig.gateway.abandon(id, rig.now);
    assert_eq!(rig.take(id, effects), ["abort 0", "log", "flush 0", "done"]);
    assert_eq!(rig.flush(), ["tell a: settle client_left 0+0"]);
    assert_eq!(rig.gateway.open_exchanges(), 0);
}

#[test]
fn after_leaving_no_exchange_stays_behind() {
    let mut rig = Rig::new(&["a"]);
    for _ in 0..10 {
        let (id, _) = rig.chat(&chat());
        rig.leave(id);
    }
    assert_eq!(rig.gateway.open_exchanges(), 0);
}

#[test]
fn before_any_server_is_asked_nothing_is_begun() {
    // The registry is down, so that the request waits for its key's record or for the snapshot.
    for warm in [false, true] {
        let mut rig = Rig::new(&["a"]);
        if warm {
            rig.arrive(rig.head("/v1/chat/completions"));
        }
        rig.fleet_is_up = false;
        let (id, lines) = rig.arrive(rig.head("/v1/chat/completions"));
        if warm {
            assert_eq!(lines, ["read_body"]);
            let body = chat().to_string();
            assert_eq!(rig.body(id, body.as_bytes()), ["ask fleet: snapshot"]);
        } else {
            assert_eq!(lines, ["ask fleet: key"]);
        }
        assert_eq!(rig.leave(id), [""; 0]);
        let open = rig.talk(id).asks[0].clone();
        let reply = rig.fleet_reply(&open.message);
        let answered = tidegate_edge::effect::CallOutcome::Answered(reply);
        let effects = rig.gateway.answered(id, rig.now, open.call, answered);
        let lines = rig.take(id, effects);
        if warm {
            assert_eq!(lines, ["log", "done"]);
        } else {
            assert_eq!(
                lines,
                ["read_body"],
                "the body of a client that left ends the exchange"
            );
        }
        assert_eq!(rig.flush(), [""; 0]);
    }
}
