//! The provider's part of the reliability checklist, by name. P5 is one of the conformance suite's, P7 one of the
//! instance's, P8 is in the call budget's own tests, P9 in those of the rental's machine.

use tidegate_provider_api::{ErrorKind, Machine, MachineState, Request};

use super::vendor::{IDEMPOTENT, PLAIN};
use super::world::{
    World, accepted, created, destroy, error, fact_created, get, list, machine, marker, no_answer,
    page, secs, seen, shown, spec, terminated,
};
use crate::bindings::rental::{VendorAction, VendorFact};

fn create() -> Request {
    Request::Create(spec("a"))
}

#[test]
fn p1_a_create_that_times_out_after_it_was_done_is_adopted_by_its_mark() {
    let mut world = World::plain();
    world.rent("a");
    world.open.clear();
    world.facts.clear();
    world.wait(secs(60));
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::CreateUnclear { .. }]
    ));
    world.sweep(&[machine("m1", "a")]);
    assert_eq!(world.take_facts(), [seen(machine("m1", "a"))]);
    // And its end is its instance's to order.
    world.act("a", VendorAction::Destroy, 1);
    assert_eq!(world.calls(), [destroy("m1")]);
}

#[test]
fn p2_a_create_that_says_500_and_was_done_is_not_made_again() {
    for (vendor, creates) in [(PLAIN, 1), (IDEMPOTENT, 2)] {
        let mut world = World::connected(vendor);
        world.rent("a");
        world.facts.clear();
        let broken = no_answer("create").status(500);
        world.answer(&create(), Err(broken));
        let mut asked = 1;
        // The vendor's lists lag by a minute, and it shows pages twice.
        for second in 0..130 {
            world.wait(secs(1));
            for call in std::mem::take(&mut world.open) {
                let reply = match call.request {
                    Request::Create(_) => {
                        asked += 1;
                        created(machine("m1", "a"))
                    }
                    Request::List { .. } if second < 60 => page(vec![], None),
                    _ => page(vec![machine("m1", "a"), machine("m1", "a")], None),
                };
                world.end(&call, Ok(reply));
            }
        }
        assert_eq!(asked, creates);
        assert_eq!(world.view().live, 1);
        assert_eq!(world.view().strays, []);
        let facts = world.take_facts();
        let absent = |fact: &VendorFact| matches!(fact, VendorFact::NotSeen { .. });
        assert!(!facts.iter().any(absent), "{facts:?}");
    }
}

#[test]
fn p2_a_list_that_is_empty_in_a_brown_out_neither_ends_nor_repeats_anything() {
    let mut world = World::renting(PLAIN);
    // Whole, and wrong: the instance hears when it was asked, and asks for the machine itself.
    world.sweep(&[]);
    let facts = world.take_facts();
    assert!(matches!(
        facts[..],
        [VendorFact::NotSeen { in_list: true, .. }]
    ));
    assert_eq!(world.view().live, 1);
    world.look("a");
    world.answer(&get("m1"), Ok(shown(machine("m1", "a"))));
    assert_eq!(world.take_facts(), [seen(machine("m1", "a"))]);
    world.sweep(&[machine("m1", "a")]);
    assert_eq!(world.view().live, 1);
    world.assert_idle();
}

#[test]
fn p2_an_id_that_comes_back_is_told_by_its_mark() {
    let mut world = World::renting(PLAIN);
    world.rig.wait(secs(120));
    let reused = Machine {
        marker: Some(marker("somebody", 1)),
        ..machine("m1", "a")
    };
    world.look("a");
    world.answer(&get("m1"), Ok(shown(reused)));
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::NotSeen { in_list: false, .. }]
    ));
}

#[test]
fn p2_a_storm_of_429_is_waited_out_with_every_order_kept() {
    let mut world = World::renting(PLAIN);
    world.act("a", VendorAction::Destroy, 1);
    let mut gaps = Vec::new();
    let mut last = world.rig.now;
    for _ in 0..12 {
        world.wait_for(&destroy("m1"));
        gaps.push(world.rig.now.since(last));
        last = world.rig.now;
        for call in std::mem::take(&mut world.open) {
            let operation = call.request.operation();
            world.end(&call, Err(error(ErrorKind::RateLimited, operation)));
        }
    }
    assert!(gaps[11] >= secs(25) && gaps[11] <= secs(120), "{gaps:?}");
    world.wait_for(&destroy("m1"));
    world.answer(&destroy("m1"), Ok(accepted()));
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::ActionTaken { .. }]
    ));
}

#[test]
fn p2_a_token_that_expires_in_the_middle_ends_in_one_fact_and_no_absence() {
    let mut world = World::renting(PLAIN);
    world.wait_for(&list("r1", None));
    world.answer(&list("r1", None), Ok(page(vec![], Some("two"))));
    let expired = error(ErrorKind::Auth, "list");
    world.answer(&list("r1", Some("two")), Err(expired.clone()));
    let told = VendorFact::CredentialRefused { error: expired };
    assert_eq!(world.take_facts(), [told]);
    assert_eq!(world.view().live, 1);
}

#[test]
fn p3_a_destroy_that_is_taken_is_not_believed_until_the_vendor_shows_it() {
    let mut world = World::renting(PLAIN);
    world.act("a", VendorAction::Destroy, 1);
    world.answer(&destroy("m1"), Ok(accepted()));
    world.facts.clear();
    // Taken, and still billing.
    assert_eq!(world.view().live, 1);
    world.sweep(&[machine("m1", "a")]);
    assert_eq!(world.view().live, 1);
    world.look("a");
    world.answer(&get("m1"), Ok(shown(terminated("m1", "a"))));
    assert_eq!(world.view().live, 0);
}

#[test]
fn p3_a_404_on_destroy_is_done() {
    let mut world = World::renting(PLAIN);
    world.rig.wait(secs(120));
    world.act("a", VendorAction::Destroy, 1);
    world.answer(&destroy("m1"), Err(error(ErrorKind::NotFound, "destroy")));
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::NotSeen { in_list: false, .. }]
    ));
    assert_eq!(world.rig.count("calls"), 0);
}

#[test]
fn p3_a_machine_of_another_control_plane_is_never_destroyed() {
    let mut world = World::plain();
    let mut theirs = marker("a", 1);
    theirs.fingerprint = tidegate_provider_api::Fingerprint::parse("abcdef0123").unwrap();
    let theirs = Machine {
        marker: Some(theirs),
        ..machine("m1", "a")
    };
    for _ in 0..20 {
        world.sweep(std::slice::from_ref(&theirs));
        world.assert_idle();
    }
}

#[test]
fn p4_a_stop_whose_answer_is_lost_is_ordered_again() {
    let mut world = World::renting(PLAIN);
    world.act("a", VendorAction::Stop, 1);
    let stop = world.calls().remove(0);
    // With the object: the row says that it may have left.
    world.rig.evict();
    world.open.clear();
    world.wait_for(&stop);
    world.answer(&stop, Ok(accepted()));
    let action = VendorAction::Stop;
    assert_eq!(world.take_facts(), [VendorFact::ActionTaken { action }]);
}

#[test]
fn p4_a_machine_that_the_vendor_takes_away_is_told_by_the_next_list() {
    let mut world = World::renting(PLAIN);
    let reclaimed = Machine {
        state: MachineState::Terminating,
        ..machine("m1", "a")
    };
    world.sweep(std::slice::from_ref(&reclaimed));
    assert_eq!(world.take_facts(), [seen(reclaimed)]);
}

#[test]
fn p6_an_orphan_is_seen_twice_before_it_is_destroyed_and_never_for_an_error_of_our_own() {
    let mut world = World::plain();
    world.sweep(&[machine("m9", "z")]);
    let first = world.rig.now;
    world.audits.clear();
    world.statements.clear();
    // Lists that fail, evictions and rows that cannot be written are no sightings.
    for _ in 0..3 {
        world.rig.evict();
        world.wait_for(&list("r1", None));
        world.rig.store.fail_after(1);
        let call = world.open.remove(0);
        let lost = world.rig.turn(|driver, host| {
            let reply = Some(page(vec![machine("m9", "z")], None));
            let outcome = crate::turn::Outcome::Vendor {
                reply,
                error: None,
                latency_ms: 1,
            };
            driver.done(host, call.id, outcome)
        });
        world.rig.store.fail_after(u32::MAX);
        assert!(lost.is_err());
        world.rig.wait(secs(300));
        world.alarm();
        for call in std::mem::take(&mut world.open) {
            world.end(&call, Err(no_answer("list")));
        }
        assert_eq!(world.view().strays[0].sightings, 1);
    }
    assert!(world.rig.now.since(first) > secs(600));
    assert!(!world.view().strays[0].destroying);
    while world.calls() != [destroy("m9")] {
        world.sweep(&[machine("m9", "z")]);
    }
    assert_eq!(world.view().strays[0].sightings, 2);
}

#[test]
fn what_is_created_while_a_list_is_read_is_not_missing_from_it() {
    let mut world = World::plain();
    world.wait_for(&list("r1", None));
    world.rent("a");
    world.answer(&create(), Ok(created(machine("m1", "a"))));
    world.rig.wait(secs(400));
    world.answer(&list("r1", None), Ok(page(vec![], None)));
    assert_eq!(
        world.take_facts(),
        [VendorFact::CreateSent, fact_created(machine("m1", "a"))]
    );
    assert_eq!(world.view().live, 1);
}
