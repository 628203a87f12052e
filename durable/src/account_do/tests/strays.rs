use tidegate_provider_api::{
    Billing, ErrorKind, Machine, MachineState, Reply as VendorReply, Request,
};

use super::vendor::{IDEMPOTENT, PLAIN};
use super::world::{
    PRICE, World, accepted, created, destroy, error, get, list, machine, no_answer, page, secs,
    shown, spec, terminated,
};
use crate::bindings::account::{AccountCommand, StrayView};
use crate::bindings::ledger::SegmentRow;
use crate::bindings::rental::VendorFact;
use crate::turn::VendorCall;

fn segment(from_ms: i64, microusd_per_hour: u64) -> SegmentRow {
    SegmentRow {
        from_ms,
        microusd_per_hour,
    }
}

/// `m9`, which nobody knows, is being given back: the call is open.
fn orphan_being_destroyed(vendor: &str) -> World {
    let mut world = World::connected(vendor);
    while world.calls() != [destroy("m9")] {
        world.sweep(&[machine("m9", "z")]);
    }
    world.audits.clear();
    world.statements.clear();
    world
}

#[test]
fn an_orphan_is_destroyed_after_two_whole_lists_and_ten_minutes_and_paid_from_its_first_sight() {
    let mut world = World::plain();
    world.wait(secs(299));
    world.sweep(&[machine("m9", "z")]);
    let first_seen = world.rig.now;
    assert_eq!(world.take_audits(), ["account.stray_found m9"]);
    let statement = world.statements.remove(0);
    assert_eq!(statement.window, "stray/acc_1/m9");
    assert_eq!(
        (statement.instance.as_str(), statement.account.as_str()),
        ("z", "acc_1")
    );
    assert_eq!(statement.segments, [segment(first_seen.as_ms(), PRICE)]);
    assert_eq!((statement.until_ms, statement.void), (None, false));
    assert_eq!((statement.minimum_ms, statement.step_ms), (1_000, 1_000));
    world.assert_idle();
    world.sweep(&[machine("m9", "z")]);
    world.assert_idle();
    assert_eq!(
        world.view().strays,
        [StrayView {
            machine: "m9".to_owned(),
            marker: "tidegate-0123456789-z-1".to_owned(),
            region: "r1".to_owned(),
            first_seen_ms: first_seen.as_ms(),
            sightings: 2,
            destroying: false,
        }]
    );
    world.sweep(&[machine("m9", "z")]);
    assert_eq!(world.rig.now.since(first_seen), secs(600));
    assert_eq!(world.calls(), [destroy("m9")]);
    world.answer(&destroy("m9"), Ok(accepted()));
    assert_eq!(world.take_audits(), ["account.stray_destroyed m9"]);
    // Verified: asked from five seconds on.
    world.wait(secs(4));
    world.assert_idle();
    world.wait(secs(1));
    let terminating = Machine {
        state: MachineState::Terminating,
        ..machine("m9", "z")
    };
    world.answer(&get("m9"), Ok(shown(terminating)));
    world.assert_idle();
    world.wait(secs(10));
    let gone = Machine {
        billed_until_ms: Some(world.rig.now.as_ms() - 3_000),
        ..terminated("m9", "z")
    };
    world.answer(&get("m9"), Ok(shown(gone)));
    assert_eq!(world.take_audits(), ["account.stray_gone m9"]);
    let closed = world.statements.remove(0);
    assert!(closed.revision > statement.revision);
    assert_eq!(closed.segments, statement.segments);
    assert_eq!(closed.until_ms, Some(world.rig.now.as_ms() - 3_000));
    assert_eq!(world.view().strays, []);
    world.assert_idle();
    // What it cost by the vendor's own reckoning.
    world.wait(secs(60));
    let bill = Request::Bill {
        region: "r1".to_owned(),
        id: "m9".to_owned(),
        since_ms: first_seen.as_ms(),
        until_ms: world.rig.now.as_ms(),
    };
    let microusd = Some(77_000);
    world.answer(&bill, Ok(VendorReply::Bill { microusd }));
    let billed = world.statements.remove(0);
    assert_eq!(billed.billed_microusd, microusd);
    // It has come when the same comes twice.
    for microusd in [Some(99_999), Some(99_999)] {
        assert_eq!(world.rig.count("calls"), 1);
        let bill = |call: &VendorCall| matches!(call.request, Request::Bill { .. });
        while !world.open.iter().any(bill) {
            while let Some(call) = world.open.pop() {
                world.end(&call, Ok(page(vec![], None)));
            }
            let at = world.alarm_at.unwrap();
            world.rig.now = at.max(world.rig.now);
            world.alarm();
        }
        let request = world
            .open
            .iter()
            .find(|call| bill(call))
            .unwrap()
            .request
            .clone();
        world.answer(&request, Ok(VendorReply::Bill { microusd }));
    }
    let grown = world.statements.remove(0);
    assert_eq!(grown.billed_microusd, Some(99_999));
    assert_eq!(world.rig.count("calls"), 0);
    world.assert_idle();
}

#[test]
fn a_stray_that_the_vendor_bills_late_is_asked_about_hourly_and_not_for_ever() {
    let mut world = orphan_being_destroyed(PLAIN);
    world.answer(&destroy("m9"), Ok(accepted()));
    world.wait(secs(5));
    world.answer(&get("m9"), Ok(shown(terminated("m9", "z"))));
    let began = world.rig.now;
    let mut asked = 0;
    while world.rig.count("calls") == 1 {
        let at = world.alarm_at.unwrap();
        world.rig.now = at.max(world.rig.now);
        world.alarm();
        while let Some(call) = world.open.pop() {
            let reply = match call.request {
                Request::Bill { .. } => {
                    asked += 1;
                    VendorReply::Bill { microusd: None }
                }
                _ => super::world::page(vec![], None),
            };
            world.end(&call, Ok(reply));
        }
    }
    let took = world.rig.now.since(began);
    assert!((70..80).contains(&asked), "{asked}");
    assert!(took > secs(2 * 86_400) && took < secs(4 * 86_400));
}

#[test]
fn a_twin_is_a_stray_and_the_machine_of_the_attempt_is_not() {
    let mut world = World::renting(PLAIN);
    let both = [machine("m1", "a"), machine("m2", "a")];
    let mut lists = 0;
    while world.calls() != [destroy("m2")] {
        world.sweep(&both);
        lists += 1;
    }
    assert_eq!(lists, 3);
    assert_eq!(world.take_audits(), ["account.stray_found m2"]);
    assert_eq!(world.statements.remove(0).instance, "a");
    world.answer(&destroy("m2"), Ok(accepted()));
    world.audits.clear();
    world.wait(secs(5));
    world.answer(&get("m2"), Ok(shown(terminated("m2", "a"))));
    world.statements.clear();
    world.audits.clear();
    world.sweep(&[machine("m1", "a")]);
    assert_eq!(world.take_facts(), []);
    assert_eq!(world.view().live, 1);
}

#[test]
fn a_late_machine_of_an_attempt_that_was_given_up_is_destroyed_at_once() {
    let mut refused = World::plain();
    refused.rent("a");
    let no = error(ErrorKind::Capacity, "create");
    refused.answer(&Request::Create(spec("a")), Err(no));
    let mut abandoned = World::plain();
    abandoned.rent("a");
    abandoned.answer(&Request::Create(spec("a")), Err(no_answer("create")));
    abandoned.abandon("a");
    for mut world in [refused, abandoned] {
        world.facts.clear();
        world.sweep(&[machine("m1", "a")]);
        assert_eq!(world.calls(), [destroy("m1")]);
        assert_eq!(world.take_audits(), ["account.stray_found m1"]);
        assert_eq!(world.statements.len(), 1);
        assert_eq!(world.facts, []);
    }
}

#[test]
fn a_machine_that_its_instance_abandons_is_destroyed_at_once() {
    let mut world = World::renting(PLAIN);
    world.abandon("a");
    world.abandon("a");
    assert_eq!(world.calls(), [destroy("m1")]);
    world.answer(&destroy("m1"), Ok(accepted()));
    world.wait(secs(5));
    assert_eq!(world.view().live, 1);
    world.answer(&get("m1"), Ok(shown(terminated("m1", "a"))));
    // Its attempt is over with it.
    assert_eq!(world.view().live, 0);
    assert_eq!(world.facts, []);
}

#[test]
fn the_answer_to_a_create_that_was_abandoned_meanwhile_is_a_stray() {
    let mut world = World::plain();
    world.rent("a");
    world.abandon("a");
    world.facts.clear();
    world.answer(&Request::Create(spec("a")), Ok(created(machine("m1", "a"))));
    assert_eq!(world.calls(), [destroy("m1")]);
    assert_eq!(world.facts, []);
}

#[test]
fn a_machine_of_our_own_ledger_of_attempts_is_never_a_stray_after_an_eviction() {
    let mut world = World::renting(PLAIN);
    for _ in 0..4 {
        world.rig.evict();
        world.sweep(&[machine("m1", "a")]);
        assert_eq!(world.view().strays, []);
    }
}

#[test]
fn the_vendor_is_asked_until_it_says_that_the_stray_is_gone_and_told_again_in_between() {
    let mut world = orphan_being_destroyed(IDEMPOTENT);
    world.answer(&destroy("m9"), Ok(accepted()));
    let began = world.rig.now;
    world.audits.clear();
    let (mut gets, mut destroys) = (0, 0);
    let mut alerts = Vec::new();
    while world.rig.now.since(began) < secs(3_600) {
        let at = world.alarm_at.unwrap();
        world.rig.now = at.max(world.rig.now);
        world.alarm();
        while let Some(call) = world.open.pop() {
            let reply = match call.request {
                Request::Get { .. } => {
                    gets += 1;
                    shown(machine("m9", "z"))
                }
                Request::Destroy { .. } => {
                    destroys += 1;
                    accepted()
                }
                _ => super::world::page(vec![machine("m9", "z")], None),
            };
            world.end(&call, Ok(reply));
        }
        for audit in world.take_audits() {
            alerts.push((audit, world.rig.now.since(began)));
        }
    }
    assert!((58..66).contains(&gets), "{gets}");
    assert!((14..17).contains(&destroys), "{destroys}");
    let [(alert, when)] = &alerts[..] else {
        panic!("one alert: {alerts:?}");
    };
    assert_eq!(alert, "account.stray_survives m9");
    assert!(*when >= secs(895) && *when <= secs(905), "{when:?}");
    // Nobody forgets it over an eviction.
    world.rig.evict();
    world.wait_for(&get("m9"));
    world.answer(&get("m9"), Ok(shown(terminated("m9", "z"))));
    assert_eq!(world.take_audits(), ["account.stray_gone m9"]);
}

#[test]
fn a_destroy_that_fails_is_repeated_and_the_vendor_asked_all_the_same() {
    let mut world = orphan_being_destroyed(IDEMPOTENT);
    // It was done, and the vendor refuses to do it again: only asking shows that.
    world.answer(&destroy("m9"), Err(no_answer("destroy")));
    world.wait_for(&destroy("m9"));
    let state = error(ErrorKind::Validation, "destroy");
    world.answer(&destroy("m9"), Err(state));
    world.wait_for(&get("m9"));
    world.answer(&get("m9"), Ok(shown(terminated("m9", "z"))));
    assert_eq!(world.take_audits(), ["account.stray_gone m9"]);
    assert_eq!(world.rig.count("calls"), 0);
}

#[test]
fn not_found_has_to_be_said_twice() {
    let mut world = orphan_being_destroyed(IDEMPOTENT);
    world.answer(&destroy("m9"), Err(error(ErrorKind::NotFound, "destroy")));
    let absent_since = world.rig.now.as_ms();
    world.assert_idle();
    world.wait_for(&get("m9"));
    world.answer(&get("m9"), Err(error(ErrorKind::NotFound, "get")));
    assert_eq!(world.take_audits(), ["account.stray_gone m9"]);
    assert_eq!(world.statements.remove(0).until_ms, Some(absent_since));
}

#[test]
fn a_stray_that_somebody_else_ends_is_verified_and_closed_when_it_was_last_seen() {
    let mut world = World::plain();
    world.sweep(&[machine("m9", "z")]);
    let last_seen = world.rig.now.as_ms();
    world.statements.clear();
    world.audits.clear();
    world.sweep(&[]);
    // It is not destroyed, it is asked for.
    assert_eq!(world.calls(), [get("m9")]);
    world.answer(&get("m9"), Err(error(ErrorKind::NotFound, "get")));
    world.assert_idle();
    world.wait(secs(5));
    world.answer(&get("m9"), Err(error(ErrorKind::NotFound, "get")));
    assert_eq!(world.take_audits(), ["account.stray_gone m9"]);
    assert_eq!(world.statements.remove(0).until_ms, Some(last_seen));
    world.assert_idle();
}

#[test]
fn a_stray_that_comes_back_opens_its_window_again_without_paying_for_the_time_between() {
    let mut world = orphan_being_destroyed(IDEMPOTENT);
    world.answer(&destroy("m9"), Ok(accepted()));
    world.wait(secs(5));
    world.answer(&get("m9"), Ok(shown(terminated("m9", "z"))));
    let closed = world.statements.remove(0);
    let closed_at = closed.until_ms.unwrap();
    world.audits.clear();
    world.sweep(&[machine("m9", "z")]);
    let again = world.rig.now.as_ms();
    let reopened = world.statements.remove(0);
    assert_eq!(reopened.until_ms, None);
    assert_eq!(
        reopened.segments[1..],
        [segment(closed_at, 0), segment(again, PRICE)]
    );
    assert_eq!(world.take_audits(), ["account.stray_found m9"]);
    // And the grace begins anew.
    world.assert_idle();
}

#[test]
fn a_stray_without_any_price_opens_its_window_again_all_the_same() {
    let mut world = World::connected(IDEMPOTENT);
    let unpriced = Machine {
        microusd_per_hour: None,
        ..machine("m9", "z")
    };
    while world.calls() != [destroy("m9")] {
        world.sweep(std::slice::from_ref(&unpriced));
    }
    assert_eq!(world.statements.len(), 1);
    world.answer(&destroy("m9"), Ok(accepted()));
    world.wait(secs(5));
    world.answer(&get("m9"), Ok(shown(terminated("m9", "z"))));
    world.statements.clear();
    world.sweep(&[unpriced]);
    let reopened = world.statements.remove(0);
    assert_eq!((reopened.until_ms, reopened.segments.len()), (None, 1));
}

#[test]
fn a_price_that_changes_is_a_new_segment_and_a_stray_without_a_price_has_its_attempts() {
    let mut world = World::renting(PLAIN);
    world.wait(secs(299));
    let began = world.rig.now.as_ms() - 10_000;
    let twin = Machine {
        microusd_per_hour: None,
        billed_from_ms: Some(began),
        ..machine("m2", "a")
    };
    world.sweep(&[machine("m1", "a"), twin.clone()]);
    assert_eq!(world.statements.remove(0).segments, [segment(began, PRICE)]);
    let stopped = Machine {
        state: MachineState::Stopped,
        billing: Billing::Disk,
        microusd_per_hour: Some(5_000),
        ..twin.clone()
    };
    world.sweep(&[machine("m1", "a"), stopped]);
    let now = world.rig.now.as_ms();
    let segments = [segment(began, PRICE), segment(now, 5_000)];
    assert_eq!(world.statements.remove(0).segments, segments);
    let free = Machine {
        billing: Billing::None,
        ..twin
    };
    world.sweep(&[machine("m1", "a"), free]);
    assert_eq!(
        world.statements.remove(0).segments.last(),
        Some(&segment(world.rig.now.as_ms(), 0))
    );
}

#[test]
fn an_id_that_came_back_for_another_machine_is_not_the_stray() {
    let mut world = orphan_being_destroyed(IDEMPOTENT);
    world.answer(&destroy("m9"), Ok(accepted()));
    for _ in 0..2 {
        world.wait_for(&get("m9"));
        world.answer(&get("m9"), Ok(shown(machine("m9", "somebody"))));
    }
    assert_eq!(world.take_audits().last().unwrap(), "account.stray_gone m9");
    world.wait(secs(120));
    assert_eq!(world.calls(), []);
}

#[test]
fn what_is_gone_is_remembered_for_a_week() {
    let mut world = orphan_being_destroyed(IDEMPOTENT);
    world.answer(&destroy("m9"), Ok(accepted()));
    world.wait(secs(5));
    world.answer(&get("m9"), Ok(shown(terminated("m9", "z"))));
    // It lingers in the vendor's list.
    world.sweep(&[terminated("m9", "z")]);
    assert_eq!(world.rig.count("strays"), 1);
    world.rig.wait(secs(7 * 24 * 3_600));
    world.alarm();
    assert_eq!(world.rig.count("strays"), 0);
}

#[test]
fn an_instance_that_is_over_and_whose_machine_is_back_hears_of_it() {
    let mut world = World::renting(PLAIN);
    world.sweep(&[terminated("m1", "a")]);
    world.facts.clear();
    world.sweep(&[machine("m1", "a")]);
    assert!(matches!(world.take_facts()[..], [VendorFact::Seen { .. }]));
    assert_eq!(world.view().strays, []);
}

#[test]
fn a_list_that_was_begun_before_a_stray_was_gone_does_not_bring_it_back() {
    let mut world = orphan_being_destroyed(IDEMPOTENT);
    world.answer(&destroy("m9"), Ok(accepted()));
    world.open.clear();
    world.tell(&AccountCommand::Sweep);
    let shows = page(vec![machine("m9", "z")], Some("two"));
    world.answer(&list("r1", None), Ok(shows));
    world.wait(secs(5));
    world.answer(&get("m9"), Ok(shown(terminated("m9", "z"))));
    world.statements.clear();
    world.audits.clear();
    world.answer(&list("r1", Some("two")), Ok(page(vec![], None)));
    world.assert_idle();
}
