use proptest::prelude::*;
use serde_json::json;
use tidegate_provider_api::{ErrorKind, Machine, MachineState, Request};

use super::vendor::{IDEMPOTENT, PLAIN};
use super::world::{
    World, created, error, list, machine, marker, no_answer, page, secs, seen, spec, terminated,
};
use crate::bindings::account::{AccountCommand, SweepView};
use crate::bindings::rental::VendorFact;

/// Everything in `r1` and `r2`, swept once.
fn two_regions() -> World {
    let mut world = World::new();
    world.configure(PLAIN, "r1,r2", 1);
    for region in ["r1", "r2"] {
        world.answer(&list(region, None), Ok(page(vec![], None)));
    }
    world.said.clear();
    world.assert_idle();
    world
}

fn ticks(world: &World) -> Vec<String> {
    let ticks = world.said.iter();
    let ticks = ticks.filter(|(_, message)| message["command"] == "tick");
    ticks.map(|(to, _)| to.clone()).collect()
}

fn told_swept(world: &World) -> Vec<i64> {
    let said = world.said.iter().filter(|(to, _)| to == "directory");
    let swept = said.filter(|(_, message)| message["command"] == "swept");
    swept
        .map(|(_, message)| message["at_ms"].as_i64().unwrap())
        .collect()
}

#[test]
fn everything_is_listed_when_it_is_connected_and_then_every_five_minutes() {
    let mut world = two_regions();
    for _ in 0..3 {
        world.wait(secs(299));
        assert_eq!(world.calls(), []);
        world.wait(secs(1));
        // One region at a time.
        assert_eq!(world.calls(), [list("r1", None)]);
        world.answer(&list("r1", None), Ok(page(vec![], None)));
        assert_eq!(world.calls(), [list("r2", None)]);
        world.answer(&list("r2", None), Ok(page(vec![], None)));
        world.assert_idle();
    }
}

#[test]
fn the_directory_hears_of_the_oldest_list_once_all_are_whole() {
    let mut world = World::new();
    world.configure(PLAIN, "r1,r2", 1);
    let enroll = json!({"command": "enroll_account", "org": "acme", "account": "acc_1"});
    assert_eq!(world.said, [("directory".to_owned(), enroll)]);
    world.answer(&list("r1", None), Ok(page(vec![], None)));
    assert!(told_swept(&world).is_empty());
    world.rig.wait(secs(9));
    world.answer(&list("r2", None), Ok(page(vec![], None)));
    assert_eq!(told_swept(&world), [world.at(0)]);
    let view = world.view();
    let begun = |region: &str, secs| SweepView {
        region: region.to_owned(),
        begun_at_ms: world.at(secs),
    };
    assert_eq!(view.sweeps, [begun("r1", 0), begun("r2", 0)]);
}

#[test]
fn pages_are_followed_to_the_end_and_survive_an_eviction() {
    let mut world = World::renting(PLAIN);
    world.wait_for(&list("r1", None));
    let begun = world.rig.now;
    world.answer(&list("r1", None), Ok(page(vec![], Some("two"))));
    world.rig.wait(secs(5));
    world.answer(
        &list("r1", Some("two")),
        Ok(page(vec![machine("m1", "a")], Some("three"))),
    );
    assert_eq!(world.calls(), [list("r1", Some("three"))]);
    world.rig.evict();
    world.open.clear();
    world.tell(&AccountCommand::Tick);
    assert_eq!(world.calls(), [list("r1", Some("three"))]);
    // The same machine once more: pages shift while they are read.
    world.answer(
        &list("r1", Some("three")),
        Ok(page(vec![machine("m1", "a")], None)),
    );
    world.assert_idle();
    assert_eq!(world.view().sweeps[0].begun_at_ms, begun.as_ms());
}

#[test]
fn a_failed_list_is_not_an_empty_list() {
    let mut world = World::renting(PLAIN);
    for failure in [
        no_answer("list"),
        error(ErrorKind::Network, "list").status(502),
        error(ErrorKind::RateLimited, "list"),
        error(ErrorKind::Validation, "list"),
        error(ErrorKind::Auth, "list"),
    ] {
        world.wait_for(&list("r1", None));
        let swept = world.view().sweeps;
        // A page that does not show the machine, and then whatever is tried in this sweep fails.
        world.answer(&list("r1", None), Ok(page(vec![], Some("two"))));
        while world.rig.count("sweep") == 1 {
            match world.open.pop() {
                Some(call) => world.end(&call, Err(failure.clone())),
                None => {
                    let at = world.alarm_at.unwrap();
                    world.rig.now = at.max(world.rig.now);
                    world.alarm();
                }
            }
        }
        let facts = world.take_facts();
        let is_absence = |fact: &VendorFact| matches!(fact, VendorFact::NotSeen { .. });
        assert!(!facts.iter().any(is_absence), "{facts:?}");
        assert_eq!(world.view().sweeps, swept);
        assert_eq!(world.view().live, 1);
        world.audits.clear();
    }
}

#[test]
fn a_list_that_goes_round_in_a_circle_counts_for_nothing() {
    let mut world = World::renting(PLAIN);
    world.wait(secs(299));
    world.wait_for(&list("r1", None));
    world.answer(&list("r1", None), Ok(page(vec![], Some("two"))));
    world.answer(&list("r1", Some("two")), Ok(page(vec![], Some("two"))));
    world.assert_idle();
    world.wait_for(&list("r1", None));
}

#[test]
fn one_regions_trouble_does_not_keep_the_others_from_being_listed() {
    let mut world = two_regions();
    let mut failures = 0;
    world.wait_for(&list("r1", None));
    while !world.calls().contains(&list("r2", None)) {
        if world.calls().contains(&list("r1", None)) {
            failures += 1;
            world.answer(&list("r1", None), Err(no_answer("list")));
        } else {
            let at = world.alarm_at.unwrap();
            world.rig.now = at.max(world.rig.now);
            world.alarm();
        }
    }
    assert_eq!(failures, 4);
    world.answer(&list("r2", None), Ok(page(vec![], None)));
    // The oldest list is still that of the sweep before.
    assert!(told_swept(&world).is_empty());
}

#[test]
fn a_place_in_a_list_that_the_vendor_has_forgotten_begins_it_anew() {
    let mut world = World::renting(PLAIN);
    world.wait_for(&list("r1", None));
    world.answer(&list("r1", None), Ok(page(vec![], Some("two"))));
    let expired = error(ErrorKind::Validation, "list");
    world.answer(&list("r1", Some("two")), Err(expired));
    world.wait(secs(3));
    assert_eq!(world.calls(), [list("r1", None)]);
    let begun_at_ms = world.rig.now.as_ms();
    world.answer(&list("r1", None), Ok(page(vec![machine("m1", "a")], None)));
    assert!(begun_at_ms - world.view().sweeps[0].begun_at_ms <= 3_000);
    world.assert_idle();
}

#[test]
fn a_machine_that_is_not_in_a_whole_list_is_told_with_the_time_of_the_list() {
    let mut world = World::renting(PLAIN);
    let last_seen_ms = Some(world.rig.now.as_ms());
    world.wait_for(&list("r1", None));
    let asked_at_ms = world.rig.now.as_ms();
    world.rig.wait(secs(4));
    world.answer(&list("r1", None), Ok(page(vec![], None)));
    let in_list = true;
    let absent = VendorFact::NotSeen {
        asked_at_ms,
        in_list,
        last_seen_ms,
    };
    assert_eq!(world.take_facts(), [absent]);
    assert_eq!(world.view().live, 1);
    // Twice, and it is gone; then nobody is told any more.
    world.sweep(&[]);
    assert_eq!(world.take_facts().len(), 1);
    assert_eq!(world.view().live, 0);
    world.sweep(&[]);
    world.assert_idle();
    // A late sighting is told, and it is the instance that decides.
    world.sweep(&[machine("m1", "a")]);
    assert_eq!(world.take_facts(), [seen(machine("m1", "a"))]);
    assert_eq!(world.view().live, 1);
}

#[test]
fn a_machine_that_comes_back_from_the_dead_is_told() {
    let mut world = World::renting(PLAIN);
    world.sweep(&[terminated("m1", "a")]);
    assert_eq!(world.take_facts(), [seen(terminated("m1", "a"))]);
    assert_eq!(world.view().live, 0);
    world.sweep(&[machine("m1", "a")]);
    assert_eq!(world.take_facts(), [seen(machine("m1", "a"))]);
    assert_eq!(world.view().live, 1);
    world.assert_idle();
}

#[test]
fn every_sweep_wakes_the_instances_that_are_not_over() {
    let mut world = World::renting(IDEMPOTENT);
    for name in ["b", "c"] {
        world.rent(name);
    }
    world.answer(&Request::Create(spec("b")), Ok(created(machine("m2", "b"))));
    let no = error(ErrorKind::Capacity, "create");
    world.answer(&Request::Create(spec("c")), Err(no));
    world.facts.clear();
    world.wait_for(&list("r1", None));
    assert_eq!(ticks(&world), ["instance/acme/a", "instance/acme/b"]);
    world.said.clear();
    world.tell(&AccountCommand::Tick);
    assert_eq!(ticks(&world), ["instance/acme/a", "instance/acme/b"]);
}

#[test]
fn a_tick_begins_a_sweep_whose_alarm_got_lost() {
    let mut world = World::plain();
    world.rig.evict();
    world.rig.wait(secs(1_000));
    world.tell(&AccountCommand::Tick);
    assert_eq!(world.calls(), [list("r1", None)]);
    // One at a time, however often somebody asks.
    world.tell(&AccountCommand::Tick);
    world.tell(&AccountCommand::Sweep);
    assert_eq!(world.calls(), [list("r1", None)]);
    world.answer(&list("r1", None), Ok(page(vec![], None)));
    // Somebody asked while it ran.
    world.wait(secs(0));
    assert_eq!(world.calls(), [list("r1", None)]);
    world.answer(&list("r1", None), Ok(page(vec![], None)));
    world.assert_idle();
}

#[test]
fn other_marks_are_none_of_ours() {
    let mut world = World::plain();
    let mut foreign = marker("a", 1);
    foreign.fingerprint = tidegate_provider_api::Fingerprint::parse("abcdef0123").unwrap();
    let foreign = Machine {
        marker: Some(foreign),
        ..machine("m7", "a")
    };
    let unmarked = Machine {
        marker: None,
        ..machine("m8", "a")
    };
    for _ in 0..4 {
        world.sweep(&[foreign.clone(), unmarked.clone()]);
        world.assert_idle();
    }
    assert_eq!(world.view().strays, []);
}

#[test]
fn a_region_where_something_was_rented_is_listed_for_as_long_as_it_is_remembered() {
    let mut world = World::new();
    world.configure(PLAIN, "r1,r2", 1);
    for region in ["r1", "r2"] {
        world.answer(&list(region, None), Ok(page(vec![], None)));
    }
    world.rent("a");
    world.answer(&Request::Create(spec("a")), Ok(created(machine("m1", "a"))));
    world.facts.clear();
    // Its owner takes the region out of the settings.
    world.configure(PLAIN, "r2", 2);
    world.answer(
        &list("r1", None),
        Ok(page(vec![terminated("m1", "a")], None)),
    );
    world.facts.clear();
    world.answer(&list("r2", None), Ok(page(vec![], None)));
    for _ in 0..2 {
        world.wait_for(&list("r1", None));
        world.answer(&list("r1", None), Ok(page(vec![], None)));
        world.answer(&list("r2", None), Ok(page(vec![], None)));
    }
    assert_eq!(world.view().sweeps.len(), 2);
    world.rig.wait(secs(7 * 24 * 3_600));
    world.alarm();
    assert_eq!(world.calls(), [list("r2", None)]);
    assert_eq!(world.rig.count("attempts"), 0);
    assert_eq!(world.view().sweeps.len(), 1);
}

#[test]
fn a_vendor_with_one_list_for_all_places_is_not_asked_for_each_of_them() {
    let mut world = World::plain();
    let elsewhere = Machine {
        region: "place-7".to_owned(),
        ..machine("m1", "a")
    };
    let mut order = spec("a");
    order.region = "place-7".to_owned();
    world.tell(&AccountCommand::Rent {
        spec: order.clone(),
    });
    world.answer(&Request::Create(order), Ok(created(elsewhere.clone())));
    world.facts.clear();
    // Until it was seen in the one list there is, its own place is listed as well.
    world.wait_for(&list("place-7", None));
    world.answer(
        &list("place-7", None),
        Ok(page(vec![elsewhere.clone()], None)),
    );
    world.answer(&list("r1", None), Ok(page(vec![elsewhere.clone()], None)));
    world.assert_idle();
    for _ in 0..2 {
        world.wait_for(&list("r1", None));
        world.answer(&list("r1", None), Ok(page(vec![elsewhere.clone()], None)));
        world.assert_idle();
    }
    // And its absence there is what counts.
    world.sweep(&[]);
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::NotSeen { in_list: true, .. }]
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever becomes of the pages: an absence is told once for a list that was read to its end, with the time
    /// at which that list was begun, and never for another.
    #[test]
    fn a_list_that_is_not_whole_never_yields_an_absence(
        answers in proptest::collection::vec(0..6_u8, 1..40),
    ) {
        let mut world = World::renting(PLAIN);
        let last_seen_ms = Some(world.rig.now.as_ms());
        world.rig.wait(secs(299));
        let mut begun = None;
        for answer in answers {
            while world.open.is_empty() {
                let at = world.alarm_at.unwrap();
                world.rig.now = at.max(world.rig.now);
                world.alarm();
            }
            world.facts.clear();
            let call = world.open.remove(0);
            let Request::List { page: place, .. } = &call.request else {
                panic!("{call:?}");
            };
            if place.is_none() {
                begun = Some(world.rig.now.as_ms());
            }
            world.rig.wait(secs(1));
            let next = format!("after-{}", place.clone().unwrap_or_default());
            let whole = answer < 2;
            world.end(&call, match answer {
                0 | 1 => Ok(page(vec![], None)),
                2 => Ok(page(vec![], Some(next.as_str()))),
                3 => Err(no_answer("list")),
                4 => Err(error(ErrorKind::RateLimited, "list")),
                _ => Err(error(ErrorKind::Validation, "list")),
            });
            let expected = whole.then_some(VendorFact::NotSeen {
                asked_at_ms: begun.unwrap(),
                in_list: true,
                last_seen_ms,
            });
            let told = world.take_facts();
            let is_over = world.view().live == 0;
            prop_assert!(told.iter().eq(expected.iter()) || (is_over && told.is_empty()), "{told:?}");
        }
    }
}

/// A list shows what was so when its pages were read. What the vendor has said of a machine since, asked for
/// that very one, is newer, whichever of the two ends first.
#[test]
fn a_list_does_not_undo_what_was_heard_after_it_was_begun() {
    for newer in [
        Some(MachineState::Terminated),
        Some(MachineState::Running),
        None,
    ] {
        let mut world = World::renting(PLAIN);
        world.rig.wait(secs(600));
        let stopped = Machine {
            state: MachineState::Stopped,
            ..machine("m1", "a")
        };
        world.sweep(std::slice::from_ref(&stopped));
        world.take_facts();
        world.wait_for(&list("r1", None));
        world.answer(&list("r1", None), Ok(page(vec![stopped], Some("two"))));
        // It was started, or given back, while the next page was waited for.
        world.rig.wait(secs(5));
        let machine = newer.map(|state| Machine {
            state,
            ..machine("m1", "a")
        });
        for _ in 0..2 {
            world.look("a");
            let answer = machine.clone().map_or_else(
                || Err(error(ErrorKind::NotFound, "get")),
                |machine| Ok(super::world::shown(machine)),
            );
            world.answer(&super::world::get("m1"), answer);
            world.rig.wait(secs(5));
        }
        world.take_facts();
        let live = world.view().live;
        world.answer(&list("r1", Some("two")), Ok(page(vec![], None)));
        assert_eq!(world.take_facts(), [], "{newer:?}");
        assert_eq!(world.view().live, live, "{newer:?}");
        // The next list is newer again.
        world.sweep(&[super::world::machine("m1", "a")]);
        assert_eq!(world.view().live, 1);
    }
}
