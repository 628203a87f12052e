use super::vendor::PLAIN;
use super::world::{World, get, list, machine, page, secs, seen, shown};
use crate::bindings::account::{AccountCommand, HintAnswer};

fn hint(event_id: &str, digest: &str, machine: Option<&str>) -> AccountCommand {
    AccountCommand::Hint {
        event_id: event_id.to_owned(),
        digest: digest.to_owned(),
        machine: machine.map(str::to_owned),
    }
}

#[test]
fn w1_an_event_that_comes_a_hundred_times_is_looked_at_once() {
    let mut world = World::renting(PLAIN);
    let heard: HintAnswer = world.ask(&hint("e1", "d1", Some("m1")));
    assert_eq!(heard, HintAnswer::Heard);
    for _ in 0..99 {
        let again: HintAnswer = world.ask(&hint("e1", "d1", Some("m1")));
        assert_eq!(again, HintAnswer::Again);
    }
    assert_eq!(world.calls(), [get("m1")]);
    world.answer(&get("m1"), Ok(shown(machine("m1", "a"))));
    assert_eq!(world.take_facts(), [seen(machine("m1", "a"))]);
    world.rig.evict();
    let again: HintAnswer = world.ask(&hint("e1", "d1", Some("m1")));
    assert_eq!(again, HintAnswer::Again);
    world.assert_idle();
}

#[test]
fn w8_the_same_id_with_other_content_is_written_down_and_does_nothing() {
    let mut world = World::renting(PLAIN);
    world.ask::<HintAnswer>(&hint("e1", "d1", Some("m1")));
    world.answer(&get("m1"), Ok(shown(machine("m1", "a"))));
    world.facts.clear();
    let differs: HintAnswer = world.ask(&hint("e1", "d2", Some("m1")));
    assert_eq!(differs, HintAnswer::Differs);
    assert_eq!(world.take_audits(), ["webhook.conflict e1"]);
    world.assert_idle();
}

#[test]
fn w2_what_an_event_says_is_not_believed_so_its_order_does_not_matter() {
    let mut world = World::renting(PLAIN);
    for event in ["stopped", "started"] {
        world.ask::<HintAnswer>(&hint(event, "d", Some("m1")));
    }
    world.answer(&get("m1"), Ok(shown(machine("m1", "a"))));
    assert_eq!(world.take_facts(), [seen(machine("m1", "a"))]);
    world.assert_idle();
}

#[test]
fn an_event_about_nothing_that_is_known_has_everything_listed() {
    for unknown in [None, Some("m7")] {
        let mut world = World::renting(PLAIN);
        world.ask::<HintAnswer>(&hint("e1", "d1", unknown));
        world.answer(&list("r1", None), Ok(page(vec![machine("m1", "a")], None)));
        world.assert_idle();
        // A flood of them is not a flood of lists.
        for event in 0..50 {
            world.ask::<HintAnswer>(&hint(&format!("f{event}"), "d", unknown));
        }
        assert_eq!(world.calls(), []);
        world.wait(secs(10));
        world.answer(&list("r1", None), Ok(page(vec![machine("m1", "a")], None)));
        world.assert_idle();
    }
}

#[test]
fn an_event_about_a_stray_has_it_asked_for_now() {
    let mut world = World::plain();
    world.rent("a");
    world.abandon("a");
    let create = world.calls().remove(0);
    world.answer(&create, Ok(super::world::created(machine("m1", "a"))));
    world.answer(&super::world::destroy("m1"), Ok(super::world::accepted()));
    assert_eq!(world.calls(), []);
    world.ask::<HintAnswer>(&hint("e1", "d1", Some("m1")));
    assert_eq!(world.calls(), [get("m1")]);
}

#[test]
fn events_are_remembered_for_a_week() {
    let mut world = World::plain();
    world.ask::<HintAnswer>(&hint("e1", "d1", None));
    world.answer(&list("r1", None), Ok(page(vec![], None)));
    world.rig.wait(secs(7 * 24 * 3_600 + 1));
    world.alarm();
    assert_eq!(world.rig.count("hints"), 0);
}

#[test]
fn an_account_that_is_not_connected_is_not_found() {
    let mut world = World::new();
    let answer: HintAnswer = world.ask(&hint("e1", "d1", None));
    assert_eq!(answer, HintAnswer::NotFound);
    assert_eq!(world.rig.count("hints"), 0);
}

#[test]
fn a_region_that_is_wanted_while_everything_is_due_is_listed_once() {
    let mut world = World::renting(PLAIN);
    world.wait(secs(295));
    for event in ["e1", "e2"] {
        world.ask::<HintAnswer>(&hint(event, "d", None));
        world.rig.wait(secs(1));
        // The second comes too soon after the list that the first one caused.
        if event == "e1" {
            world.answer(&list("r1", None), Ok(page(vec![machine("m1", "a")], None)));
        }
    }
    world.wait(secs(3));
    world.answer(&list("r1", None), Ok(page(vec![machine("m1", "a")], None)));
    world.wait(secs(60));
    world.assert_idle();
}
