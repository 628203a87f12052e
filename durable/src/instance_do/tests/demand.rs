use serde_json::json;

use super::*;
use crate::rig::sent;

fn wish(rig: &mut Server, model: &str, for_secs: i64) -> Turn {
    let demand = InstanceCommand::Demand {
        model: model.to_owned(),
        until_ms: (rig.now + secs(for_secs)).as_ms(),
    };
    tell(rig, &demand)
}

fn pokes(turn: &Turn) -> Vec<(String, serde_json::Value)> {
    sent(&without_soon(turn))
}

fn poke(free: u32, grants: u64) -> Vec<(String, serde_json::Value)> {
    let message = json!({"command": "slot_free", "instance": "a", "free": free, "grants": grants});
    vec![("model/acme/meta/llama".to_owned(), message)]
}

#[test]
fn a_model_that_waits_hears_of_room_at_once_and_of_each_slot_that_comes_free() {
    let mut rig = server();
    let rows = rig.store.rows_written();
    assert_eq!(pokes(&wish(&mut rig, "meta/llama", 30)), poke(2, 0));
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    assert_eq!(pokes(&wish(&mut rig, "meta/llama", 30)), []);
    let turn = settle(&mut rig, "r1", OutcomeWire::Success);
    assert_eq!(pokes(&turn), poke(1, 2));
    // Taken up: the model sees by the count that its waiter has arrived.
    grant(&mut rig, "r3");
    let turn = settle(&mut rig, "r3", OutcomeWire::Success);
    assert_eq!(pokes(&turn), poke(1, 3));
    assert_eq!(rig.store.rows_written(), rows, "a poke is no fact");
    assert_eq!(rig.count("outbox"), 0);
}

#[test]
fn the_servers_own_queue_goes_first() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    let poll = ask(&mut rig, "r3");
    wish(&mut rig, "meta/llama", 30);
    let turn = settle(&mut rig, "r1", OutcomeWire::Success);
    assert_eq!(answered(&turn), [ticket(&poll)]);
    assert_eq!(turn.effects.len(), 1);
}

#[test]
fn a_wish_ends_by_itself() {
    let mut rig = server();
    grant(&mut rig, "r1");
    wish(&mut rig, "meta/llama", 30);
    rig.wait(secs(30));
    let turn = settle(&mut rig, "r1", OutcomeWire::Success);
    assert_eq!(pokes(&turn), []);
}

#[test]
fn a_server_that_is_out_has_no_room() {
    let mut rig = server();
    eject(&mut rig);
    assert_eq!(pokes(&wish(&mut rig, "meta/llama", 30)), []);
    assert_eq!(pokes(&wish(&mut unregistered(), "meta/llama", 30)), []);
}

#[test]
fn an_ejected_server_that_awaits_its_probe_has_room_for_one() {
    let mut rig = server();
    let until = announcement(&eject(&mut rig)).1.until_ms.unwrap();
    rig.now = moment(until - 1);
    wish(&mut rig, "meta/llama", 30);
    rig.wait(Span::from_ms(1));
    let turn = rig.alarm();
    let free: Vec<_> = turn
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { to, message, .. } if to.as_str().starts_with("model/") => {
                Some(message.contains(r#""free":1"#))
            }
            _ => None,
        })
        .collect();
    assert_eq!(free, [true]);
}
