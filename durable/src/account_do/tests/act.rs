use tidegate_provider_api::{ErrorKind, Machine, MachineState, Reply as VendorReply, Request};

use super::vendor::{IDEMPOTENT, PLAIN};
use super::world::{
    World, accepted, created, destroy, error, machine, no_answer, secs, seen, spec, terminated,
};
use crate::bindings::rental::VendorAction::{Destroy, Start, Stop};
use crate::bindings::rental::VendorFact;

fn stop() -> Request {
    Request::Stop {
        region: "r1".to_owned(),
        id: "m1".to_owned(),
    }
}

fn start() -> Request {
    Request::Start {
        region: "r1".to_owned(),
        id: "m1".to_owned(),
    }
}

fn taken(action: crate::bindings::rental::VendorAction) -> VendorFact {
    VendorFact::ActionTaken { action }
}

#[test]
fn an_action_is_taken_and_the_machine_that_the_answer_shows_is_seen() {
    let mut world = World::renting(PLAIN);
    world.act("a", Stop, 1);
    let stopping = Machine {
        state: MachineState::Stopping,
        ..machine("m1", "a")
    };
    let reply = VendorReply::Accepted {
        machine: Some(Box::new(stopping.clone())),
    };
    world.answer(&stop(), Ok(reply));
    assert_eq!(world.take_facts(), [taken(Stop), seen(stopping)]);
    assert_eq!(world.rig.count("calls"), 0);
    world.act("a", Start, 2);
    world.answer(&start(), Ok(accepted()));
    assert_eq!(world.take_facts(), [taken(Start)]);
    world.assert_idle();
}

#[test]
fn a_repeated_or_older_order_does_nothing() {
    let mut world = World::renting(PLAIN);
    world.act("a", Stop, 2);
    world.act("a", Stop, 2);
    world.act("a", Start, 1);
    world.answer(&stop(), Ok(accepted()));
    assert_eq!(world.take_facts(), [taken(Stop)]);
    world.act("a", Start, 1);
    world.rig.evict();
    world.act("a", Stop, 2);
    world.assert_idle();
}

#[test]
fn what_is_ordered_while_an_action_is_under_way_comes_after_it() {
    let mut world = World::renting(PLAIN);
    world.act("a", Start, 1);
    world.act("a", Stop, 2);
    assert_eq!(world.calls(), [start()]);
    world.answer(&start(), Ok(accepted()));
    assert_eq!(world.take_facts(), [taken(Start)]);
    world.answer(&stop(), Ok(accepted()));
    assert_eq!(world.take_facts(), [taken(Stop)]);
    world.assert_idle();
    // Also when nobody knows what became of the first.
    world.act("a", Start, 3);
    world.act("a", Stop, 4);
    world.answer(&start(), Err(no_answer("start")));
    world.wait(secs(5));
    world.answer(&stop(), Ok(accepted()));
    assert_eq!(world.take_facts(), [taken(Stop)]);
    world.wait(secs(60));
    world.assert_idle();
}

#[test]
fn a_destroy_waits_for_nothing() {
    let mut world = World::renting(PLAIN);
    world.act("a", Start, 1);
    world.act("a", Destroy, 2);
    assert_eq!(world.calls(), [start(), destroy("m1")]);
    world.answer(&destroy("m1"), Ok(accepted()));
    assert_eq!(world.take_facts(), [taken(Destroy)]);
    // The one that it replaced says nothing any more.
    world.answer(&start(), Err(error(ErrorKind::Validation, "start")));
    world.assert_idle();
    assert_eq!(world.rig.count("calls"), 0);
}

#[test]
fn a_destroy_of_a_machine_that_is_not_known_yet_goes_when_it_is() {
    let mut world = World::plain();
    world.rent("a");
    world.act("a", Destroy, 1);
    let create = Request::Create(spec("a"));
    assert_eq!(world.calls(), std::slice::from_ref(&create));
    world.rig.evict();
    world.facts.clear();
    // An eviction: nobody knows what became of the "create".
    world.open.clear();
    world.alarm();
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::CreateUnclear { .. }]
    ));
    world.sweep(&[machine("m1", "a")]);
    assert_eq!(world.take_facts(), [seen(machine("m1", "a"))]);
    world.answer(&destroy("m1"), Ok(accepted()));
    assert_eq!(world.take_facts(), [taken(Destroy)]);
    world.assert_idle();

    let mut world = World::plain();
    world.rent("a");
    world.act("a", Destroy, 1);
    world.answer(&create, Ok(created(machine("m1", "a"))));
    assert_eq!(world.calls(), [destroy("m1")]);
}

#[test]
fn a_destroy_that_was_never_needed_ends_with_its_attempt() {
    let mut world = World::plain();
    world.rent("a");
    world.act("a", Destroy, 1);
    let no = error(ErrorKind::Capacity, "create");
    world.answer(&Request::Create(spec("a")), Err(no));
    assert_eq!(world.rig.count("calls"), 0);
    let mut world = World::plain();
    world.rent("a");
    world.act("a", Destroy, 1);
    world.answer(&Request::Create(spec("a")), Err(no_answer("create")));
    while world.view().live == 1 {
        world.sweep(&[]);
    }
    assert_eq!(world.rig.count("calls"), 0);
}

#[test]
fn a_destroy_is_tried_without_end() {
    let mut world = World::renting(PLAIN);
    world.act("a", Destroy, 1);
    let began = world.rig.now;
    for _ in 0..40 {
        world.wait_for(&destroy("m1"));
        world.answer(&destroy("m1"), Err(no_answer("destroy")));
        world.open.clear();
        world.facts.clear();
    }
    let took = world.rig.now.since(began);
    assert!(took > secs(1_000) && took < secs(2_500), "{took:?}");
    world.wait_for(&destroy("m1"));
    world.answer(&destroy("m1"), Ok(accepted()));
    assert_eq!(world.take_facts(), [taken(Destroy)]);
}

#[test]
fn a_start_or_stop_is_tried_for_ten_minutes() {
    let mut world = World::renting(PLAIN);
    world.act("a", Stop, 1);
    let began = world.rig.now;
    while world.facts.is_empty() {
        world.wait_for(&stop());
        world.answer(&stop(), Err(no_answer("stop")));
        world.open.clear();
    }
    let took = world.rig.now.since(began);
    assert!(took >= secs(600) && took < secs(700), "{took:?}");
    let (action, error) = (Stop, no_answer("stop"));
    assert_eq!(
        world.take_facts(),
        [VendorFact::ActionRefused { action, error }]
    );
    assert_eq!(world.rig.count("calls"), 0);
}

#[test]
fn a_clear_no_is_told_and_not_repeated() {
    let mut world = World::renting(PLAIN);
    let error = error(ErrorKind::Capacity, "start");
    world.act("a", Start, 1);
    world.answer(&start(), Err(error.clone()));
    let action = Start;
    assert_eq!(
        world.take_facts(),
        [VendorFact::ActionRefused { action, error }]
    );
    world.wait(secs(60));
    world.assert_idle();
}

#[test]
fn a_destroy_that_the_credential_may_not_do_is_told_once_and_tried_all_the_same() {
    let mut world = World::renting(PLAIN);
    let error = error(ErrorKind::Auth, "destroy");
    world.act("a", Destroy, 1);
    world.answer(&destroy("m1"), Err(error.clone()));
    let action = Destroy;
    let refused = VendorFact::ActionRefused {
        action,
        error: error.clone(),
    };
    assert_eq!(world.take_facts(), [refused]);
    world.wait_for(&destroy("m1"));
    world.answer(&destroy("m1"), Err(error));
    assert_eq!(world.take_facts(), []);
    world.wait_for(&destroy("m1"));
    world.answer(&destroy("m1"), Ok(accepted()));
    assert_eq!(world.take_facts(), [taken(Destroy)]);
    world.assert_idle();
}

#[test]
fn not_found_is_an_absence_and_for_a_stop_a_refusal_too() {
    let mut world = World::renting(IDEMPOTENT);
    let last_seen_ms = Some(world.rig.now.as_ms());
    // Beyond the lag of what the vendor shows.
    world.rig.wait(secs(120));
    world.act("a", Destroy, 1);
    let asked_at_ms = world.rig.now.as_ms();
    let absent = VendorFact::NotSeen {
        asked_at_ms,
        in_list: false,
        last_seen_ms,
    };
    let gone = error(ErrorKind::NotFound, "destroy");
    world.answer(&destroy("m1"), Err(gone));
    assert_eq!(world.take_facts(), std::slice::from_ref(&absent));
    world.act("a", Stop, 2);
    let error = error(ErrorKind::NotFound, "stop");
    world.answer(&stop(), Err(error.clone()));
    let action = Stop;
    let refused = VendorFact::ActionRefused { action, error };
    assert_eq!(world.take_facts(), [refused, absent]);
    world.assert_idle();
}

#[test]
fn an_order_for_a_machine_that_nobody_knows_is_refused() {
    let mut world = World::plain();
    world.act("a", Stop, 1);
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::ActionRefused { action: Stop, .. }]
    ));
    world.assert_idle();
}

#[test]
fn a_destroy_of_a_machine_that_is_gone_is_asked_of_the_vendor_all_the_same() {
    let mut world = World::renting(PLAIN);
    world.look("a");
    let gone = terminated("m1", "a");
    world.answer(&super::world::get("m1"), Ok(super::world::shown(gone)));
    world.facts.clear();
    world.act("a", Destroy, 1);
    world.answer(&destroy("m1"), Err(error(ErrorKind::NotFound, "destroy")));
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::NotSeen { in_list: false, .. }]
    ));
    world.assert_idle();
}

#[test]
fn once_the_vendor_has_taken_it_back_two_answers_that_it_is_gone_are_enough() {
    for (is_taken, live) in [(false, 1), (true, 0)] {
        let mut world = World::renting(PLAIN);
        world.act("a", Destroy, 1);
        if is_taken {
            world.answer(&destroy("m1"), Ok(accepted()));
        }
        // The vendor's lag is two minutes: without its word such an answer says nothing yet.
        for _ in 0..2 {
            world.rig.wait(secs(5));
            world.look("a");
            let gone = error(ErrorKind::NotFound, "get");
            world.answer(&super::world::get("m1"), Err(gone));
        }
        assert_eq!(world.view().live, live);
    }
}
