//! The retry and breaker checklist, R1 to R9, as far as one server can be held to it. R2 is about
//! layers above; R10 stands with the queue's tests.

use super::*;
use proptest::prelude::*;

#[test]
fn r1_attempts_under_total_failure_stay_within_a_fifth_over_the_requests() {
    let mut policy = Policy::default();
    // Without ejection, so that the budget alone is what holds.
    policy.breaker.consecutive_failures = u32::MAX;
    policy.breaker.least_requests = u32::MAX;
    let mut world = World::with(4, 0, policy);
    let (mut first, mut again) = (0, 0);
    for n in 0..1000 {
        world.after(10);
        for (attempt, kind) in [AskKind::First, AskKind::Retry, AskKind::Hedge]
            .iter()
            .enumerate()
        {
            let name = format!("{n}.{attempt}");
            if grant_kind(&world.asks(&name, *kind, AskMode::Normal)).is_some() {
                *(if attempt == 0 { &mut first } else { &mut again }) += 1;
                world.settle(&name, FAILED);
            }
        }
    }
    assert_eq!(first, 1000);
    assert_eq!(again, 200);
    let refused = world.asks("late", AskKind::Retry, AskMode::Normal);
    assert_eq!(refused, [denied("late", Denied::RetryBudgetSpent)]);
    assert_eq!(Denied::RetryBudgetSpent.retry_after(world.now), None);
}

#[test]
fn r1_a_quiet_server_may_be_retried_on_ten_times_a_minute_and_what_was_not_sent_is_given_back() {
    let mut world = World::new(99, 9);
    for n in 0..10 {
        let name = format!("r{n}");
        assert!(grant_kind(&world.asks(&name, AskKind::Retry, AskMode::Tentative)).is_some());
    }
    let refused = world.asks("late", AskKind::Hedge, AskMode::Normal);
    assert_eq!(refused, [denied("late", Denied::RetryBudgetSpent)]);
    world.handle(Event::Cancelled(id("r0")));
    assert!(grant_kind(&world.asks("late", AskKind::Hedge, AskMode::Normal)).is_some());
    world.after(60_000);
    assert!(grant_kind(&world.asks("later", AskKind::Retry, AskMode::Normal)).is_some());
}

#[test]
fn r1_a_retry_that_waits_is_spent_and_given_back_if_its_turn_never_comes() {
    let mut world = World::new(1, 99);
    world.normal("a");
    for n in 0..10 {
        let effects = world.asks(&format!("r{n}"), AskKind::Retry, AskMode::Normal);
        assert!(is_denied(&effects).is_none(), "{effects:?}");
    }
    let refused = world.asks("late", AskKind::Retry, AskMode::Normal);
    assert_eq!(refused, [denied("late", Denied::RetryBudgetSpent)]);
    world.handle(Event::Cancelled(id("r0")));
    let effects = world.asks("late", AskKind::Retry, AskMode::Normal);
    assert!(is_denied(&effects).is_none(), "{effects:?}");
}

#[test]
fn r3_the_fifth_failure_in_a_row_ejects_and_client_errors_and_refusals_never_do() {
    let mut world = World::new(9, 9);
    // 500 stands for servers that answer so to an input that is too large.
    for (n, status) in [400, 401, 404, 422, 500]
        .iter()
        .cycle()
        .take(50)
        .enumerate()
    {
        let name = format!("client{n}");
        world.normal(&name);
        assert_eq!(
            world.settle(&name, Outcome::ClientError(*status)),
            [removed(&name)]
        );
    }
    for n in 0..20 {
        let name = format!("refused{n}");
        world.normal(&name);
        let status = if n % 2 == 0 { 429 } else { 503 };
        world.settle(
            &name,
            Outcome::Backpressure {
                status,
                retry_after: None,
            },
        );
        world.now = world.out_until();
    }
    for kind in [
        FailureKind::Http5xx(500),
        FailureKind::Stalled,
        FailureKind::CutStream,
        FailureKind::Timeout,
    ] {
        world.normal("bad");
        world.settle("bad", Outcome::Failure { kind });
        world.normal("left");
        world.settle("left", Outcome::ClientLeft);
    }
    assert!(world.server.breaker().admits());
    world.normal("bad");
    world.settle(
        "bad",
        Outcome::Failure {
            kind: FailureKind::InvalidAnswer,
        },
    );
    assert!(!world.server.breaker().admits());
}

#[test]
fn r4_a_thousand_waiting_requests_are_exactly_one_probe() {
    let mut world = World::new(64, 1000);
    world.now = world.eject();
    let mut probes = 0;
    for n in 0..1000 {
        let effects = world.normal(&format!("w{n}"));
        match grant_kind(&effects) {
            Some(kind) => {
                assert_eq!(kind, GrantKind::Probe);
                probes += 1;
            }
            None => assert!(matches!(is_denied(&effects), Some(Denied::Probing { .. }))),
        }
    }
    assert_eq!(probes, 1);
    world.nothing_more_to_do();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r4_no_stampede_gets_more_than_one_probe(
        asks in prop::collection::vec((0..3_u8, 0..3_u8, 0..4_u8, 0..20_i64), 1000),
        restart_at in 0..1000_usize,
    ) {
        let mut world = World::new(64, 1000);
        world.now = world.eject() - Span::from_ms(500);
        let mut probes = 0;
        for (n, (kind, mode, priority, step_ms)) in asks.into_iter().enumerate() {
            if n == restart_at {
                world.restart();
            }
            world.after(step_ms);
            let kind = [AskKind::First, AskKind::Retry, AskKind::Hedge][usize::from(kind)];
            // A panic request may pass beside the probe; here it is about the probe alone.
            let mode = [AskMode::Normal, AskMode::Tentative, AskMode::Normal][usize::from(mode)];
            let ask = Ask { kind, mode, priority, ..world.ask(&format!("w{n}")) };
            let effects = world.handle(Event::Asked(ask));
            match grant_kind(&effects) {
                None => {}
                Some(GrantKind::Probe) => probes += 1,
                Some(other) => prop_assert!(false, "granted as {other:?}"),
            }
        }
        prop_assert!(probes <= 1, "{probes} probes");
    }
}

#[test]
fn r5_servers_that_fail_together_are_not_probed_together() {
    let slots: std::collections::BTreeSet<i64> = (0..50)
        .map(|salt| {
            let server = Instance::new(salt, Limits::default(), Policy::default(), START);
            let mut world = World { server, now: START };
            let length = START.until(world.eject()).as_ms();
            assert!(length > 30_000 && length <= 33_000, "{length}");
            length / 100
        })
        .collect();
    assert!(slots.len() > 20, "{} slots of 100 ms", slots.len());
}

#[test]
fn r6_an_ejected_server_serves_one_panic_request_a_second_and_a_good_one_heals_it() {
    let mut world = World::new(4, 9);
    world.eject();
    let panics = |world: &mut World, name: &str| world.asks(name, AskKind::First, AskMode::Panic);
    let granted = world.granted(
        "a",
        GrantKind::Panic,
        Load {
            strain_permille: 100,
            ..world.load(1, 0)
        },
    );
    assert_eq!(panics(&mut world, "a"), granted);
    let until = world.now + Span::from_secs(1);
    assert_eq!(
        panics(&mut world, "b"),
        [denied("b", Denied::PanicSpent { until })]
    );
    assert_eq!(world.settle("a", FAILED), [removed("a")]);
    world.after(999);
    assert_eq!(
        panics(&mut world, "b"),
        [denied("b", Denied::PanicSpent { until })]
    );
    world.after(1);
    assert_eq!(grant_kind(&panics(&mut world, "b")), Some(GrantKind::Panic));
    let mut expected = vec![removed("b")];
    expected.extend(changed(Change::Readmitted, Cause::Panic));
    expected.push(Effect::RecordChanged);
    assert_eq!(world.settle("b", Outcome::Success), expected);
    assert_eq!(
        grant_kind(&panics(&mut world, "c")),
        Some(GrantKind::Normal)
    );
    world.nothing_more_to_do();
}

#[test]
fn r7_a_clock_an_hour_back_or_ahead_neither_readmits_nor_ejects_for_ever() {
    let hour = Span::from_secs(3600);
    let mut world = World::new(4, 9);
    let length = world.now.until(world.eject());
    world.now = world.now - hour;
    world.handle(Event::Tick);
    assert_eq!(world.out_until(), world.now + length);
    assert!(matches!(
        is_denied(&world.normal("a")),
        Some(Denied::Ejected { .. })
    ));
    world.now = world.now + length;
    assert_eq!(grant_kind(&world.normal("a")), Some(GrantKind::Probe));

    let mut world = World::new(4, 9);
    world.eject();
    world.now = world.now + hour;
    world.handle(Event::Tick);
    assert_eq!(grant_kind(&world.normal("a")), Some(GrantKind::Probe));
    assert!(matches!(
        is_denied(&world.normal("b")),
        Some(Denied::Probing { .. })
    ));
}

#[test]
fn r7_a_clock_an_hour_back_leaves_no_timer_beyond_its_own_length() {
    let mut world = World::new(1, 9);
    world.normal("a");
    world.normal("b");
    world.now = world.now - Span::from_secs(3600);
    assert_eq!(world.handle(Event::Tick), [Effect::RecordChanged]);
    let lease_until = world.server.lease(&id("a")).map(|lease| lease.expires_at);
    assert_eq!(lease_until, Some(world.now + Span::from_secs(60)));
    assert_eq!(
        world.server.poll_timeout(),
        Some(world.now + Span::from_secs(10))
    );
}

#[test]
fn r8_a_restart_while_out_keeps_the_server_out() {
    let mut world = World::new(4, 9);
    let until = world.eject();
    world.restart();
    assert_eq!(world.out_until(), until);
    assert!(matches!(
        is_denied(&world.normal("a")),
        Some(Denied::Ejected { .. })
    ));
    let panic = world.asks("a", AskKind::First, AskMode::Panic);
    assert!(matches!(is_denied(&panic), Some(Denied::PanicSpent { .. })));
}

#[test]
fn r8_a_restart_while_probing_waits_for_the_probe_that_still_runs() {
    let mut world = World::new(4, 9);
    world.now = world.eject();
    world.normal("p");
    world.restart();
    assert_eq!(world.out_until(), world.now + Span::from_secs(5));
    world.after(5_000);
    assert!(matches!(
        is_denied(&world.normal("a")),
        Some(Denied::Probing { .. })
    ));
    let effects = world.settle("p", Outcome::Success);
    assert!(
        effects.contains(&Effect::Announce(Change::Readmitted)),
        "{effects:?}"
    );
}

#[test]
fn r9_stands_with_the_pauses_and_a_fast_failing_server_does_not_look_idle() {
    let mut world = World::new(4, 9);
    world.normal("a");
    let busy = world.server.load(world.now).score();
    world.settle("a", FAILED);
    assert_eq!(world.server.load(world.now).running, 0);
    for _ in 0..2 {
        world.normal("a");
        world.settle("a", FAILED);
    }
    assert!(world.server.load(world.now).score() > busy);
}
