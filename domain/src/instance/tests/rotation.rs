//! In and out of rotation: ejection, probe, panic, health, drain.

use super::*;

#[test]
fn an_ejection_is_told_stored_and_sends_on_who_waits() {
    let mut world = World::new(5, 9);
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.normal(name);
    }
    for name in ["a", "b", "c"] {
        world.settle(name, FAILED);
    }
    world.normal("g");
    world.normal("h");
    world.normal("i");
    // Running: d, e, f, g, h; waiting: i.
    world.settle("d", FAILED);
    world.normal("j");
    let effects = world.settle("e", FAILED);
    let out = world.server.why_out(world.now);
    let Some(WhyOut {
        reason: OutReason::Ejected(reason),
        since,
        until: Some(until),
    }) = out
    else {
        panic!("not ejected: {out:?}");
    };
    assert_eq!((reason, since), (five_failures(), world.now));
    let mut expected = vec![removed("e")];
    expected.extend(changed(
        Change::Ejected {
            until,
            times: 1,
            reason,
        },
        Cause::Failures,
    ));
    expected.push(denied(
        "j",
        Denied::Ejected {
            since,
            until,
            reason,
        },
    ));
    expected.push(Effect::RecordChanged);
    assert_eq!(effects, expected);
    assert_eq!(world.server.poll_timeout(), Some(until));
    for name in ["f", "g", "h", "i"] {
        assert_eq!(world.settle(name, FAILED), [removed(name)]);
    }
    world.nothing_more_to_do();
}

#[test]
fn a_probe_that_succeeds_readmits() {
    let mut world = World::new(4, 9);
    world.now = world.eject();
    assert_eq!(world.handle(Event::Tick), []);
    let [written, answer] = world.granted("p", GrantKind::Probe, world.load(1, 0));
    let probing = Effect::Audit {
        what: Change::Probing,
        reason: Cause::Probe,
    };
    assert_eq!(
        world.normal("p"),
        [written, probing, answer, Effect::RecordChanged]
    );
    let refused = is_denied(&world.normal("q"));
    assert!(
        matches!(refused, Some(Denied::Probing { .. })),
        "{refused:?}"
    );
    let mut expected = vec![removed("p")];
    expected.extend(changed(Change::Readmitted, Cause::Probe));
    expected.push(Effect::RecordChanged);
    assert_eq!(world.settle("p", Outcome::Success), expected);
    assert_eq!(world.server.why_out(world.now), None);
    assert_eq!(grant_kind(&world.normal("q")), Some(GrantKind::Normal));
    world.nothing_more_to_do();
}

#[test]
fn a_probe_that_fails_ejects_for_longer() {
    let mut world = World::new(4, 9);
    let first = START.until(world.eject());
    world.now = world.out_until();
    world.normal("p");
    world.settle("p", FAILED);
    let second = world.now.until(world.out_until());
    assert!(second.as_ms() >= 60_000 && second > first, "{second:?}");
    let since = world.server.why_out(world.now).map(|why| why.since);
    assert_eq!(
        since,
        Some(START),
        "out since the first failure that ejected"
    );
}

#[test]
fn a_probe_whose_lease_runs_out_is_lost_not_failed() {
    let mut world = World::new(4, 9);
    world.now = world.eject();
    world.normal("p");
    let effects = world.after(60_000).handle(Event::Tick);
    let until = world.now + Span::from_secs(5);
    let reason = five_failures();
    let mut expected = vec![removed("p")];
    expected.extend(changed(
        Change::Ejected {
            until,
            times: 1,
            reason,
        },
        Cause::ProbeLost,
    ));
    assert_eq!(effects.get(..3), Some(expected.as_slice()));
    // Its late answer still is the best news there is.
    let effects = world.after(100).settle("p", Outcome::Success);
    assert!(
        effects.contains(&Effect::Announce(Change::Readmitted)),
        "{effects:?}"
    );
}

#[test]
fn a_cancelled_probe_leaves_the_next_one_to_another() {
    let mut world = World::new(4, 9);
    world.now = world.eject();
    assert_eq!(
        grant_kind(&world.asks("p", AskKind::First, AskMode::Tentative)),
        Some(GrantKind::Probe)
    );
    world.handle(Event::Cancelled(id("p")));
    world.after(5_000);
    assert_eq!(grant_kind(&world.normal("q")), Some(GrantKind::Probe));
}

#[test]
fn a_model_with_waiting_requests_hears_when_a_probe_may_go() {
    let mut world = World::new(4, 9);
    let until = world.eject();
    let wish = waiting("m", until + Span::from_secs(30));
    assert_eq!(world.handle(wish), []);
    world.now = until;
    let one = Effect::SlotFree {
        model: ModelName::new("m"),
        free: 1,
    };
    assert_eq!(world.handle(Event::Tick), [one]);
    world.nothing_more_to_do();
    world.normal("p");
    assert!(
        world
            .settle("p", Outcome::Success)
            .contains(&Effect::SlotFree {
                model: ModelName::new("m"),
                free: 4
            })
    );
}

#[test]
fn three_failed_checks_take_a_server_out_and_one_good_one_puts_it_back() {
    let mut world = World::new(1, 4);
    world.normal("a");
    world.normal("b");
    let fault = Some(CheckFault::Status(500));
    assert_eq!(world.check(fault), []);
    assert_eq!(world.check(fault), []);
    let reason = CheckFault::Status(500);
    let mut expected = changed(Change::Unhealthy { reason }, Cause::Checks).to_vec();
    let effects = world.check(fault);
    let recheck_at = world.server.health().next_at();
    let unhealthy = Denied::Unhealthy {
        since: world.now,
        reason,
        recheck_at,
    };
    expected.extend([denied("b", unhealthy), Effect::RecordChanged]);
    assert_eq!(effects, expected);
    assert_eq!(
        world.asks("c", AskKind::First, AskMode::Panic),
        [denied("c", unhealthy)]
    );
}

#[test]
fn a_server_that_was_out_is_out_after_a_restart_until_a_check_succeeds() {
    let mut world = World::new(1, 4);
    for _ in 0..3 {
        world.check(Some(CheckFault::Timeout));
    }
    world.server = Instance::restore(world.server.record(), Vec::new(), world.now);
    let refused = is_denied(&world.normal("a"));
    assert!(
        matches!(refused, Some(Denied::Unhealthy { .. })),
        "{refused:?}"
    );
    world.restart();
    assert_eq!(world.server.why_out(world.now), None);
}

#[test]
fn recovery_is_told_and_stored() {
    let mut world = World::new(1, 4);
    for _ in 0..3 {
        world.check(Some(CheckFault::Timeout));
    }
    let mut expected = changed(Change::Healthy, Cause::Checks).to_vec();
    expected.push(Effect::RecordChanged);
    assert_eq!(world.check(None), expected);
    world.nothing_more_to_do();
}

#[test]
fn health_checks_never_touch_the_breaker() {
    let mut world = World::new(4, 4);
    world.eject();
    let before = world.server.breaker().snapshot();
    assert_eq!(world.check(None), []);
    assert_eq!(world.server.breaker().snapshot(), before);
    let mut world = World::new(4, 4);
    for _ in 0..2 {
        world.normal("a");
        world.settle("a", FAILED);
    }
    world.check(None);
    for _ in 0..3 {
        world.normal("a");
        world.settle("a", FAILED);
    }
    assert!(!world.server.breaker().admits());
}

#[test]
fn draining_lets_running_requests_end_and_takes_no_new_ones() {
    let mut world = World::new(1, 4);
    world.normal("a");
    world.normal("b");
    let mut expected = changed(Change::Draining, Cause::Asked).to_vec();
    expected.extend([denied("b", Denied::Draining), Effect::RecordChanged]);
    assert_eq!(world.handle(Event::DrainRequested), expected);
    assert_eq!(world.handle(Event::DrainRequested), []);
    assert_eq!(world.normal("c"), [denied("c", Denied::Draining)]);
    world.restart();
    let mut expected = vec![removed("a")];
    expected.extend(changed(Change::Drained, Cause::Idle));
    expected.push(Effect::RecordChanged);
    assert_eq!(world.settle("a", Outcome::Success), expected);
    let reason = world.server.why_out(world.now).map(|why| why.reason);
    assert_eq!(reason, Some(OutReason::Drained));
    let mut expected = changed(Change::Undrained, Cause::Asked).to_vec();
    expected.push(Effect::RecordChanged);
    assert_eq!(world.handle(Event::Undrained), expected);
    assert_eq!(world.handle(Event::Undrained), []);
    assert_eq!(grant_kind(&world.normal("d")), Some(GrantKind::Normal));
}

#[test]
fn a_new_policy_holds_at_once_and_is_stored() {
    let mut world = World::new(9, 4);
    let mut policy = Policy::default();
    policy.breaker.consecutive_failures = 2;
    assert_eq!(
        world.handle(Event::PolicyChanged(policy)),
        [Effect::RecordChanged]
    );
    assert_eq!(world.handle(Event::PolicyChanged(policy)), []);
    world.normal("a");
    world.settle("a", FAILED);
    world.normal("b");
    world.settle("b", FAILED);
    assert!(!world.server.breaker().admits());
    assert_eq!(world.server.record().policy, policy);
}
