//! Cool-downs after 429 and 503.

use super::*;

fn refused(retry_after: Option<Span>) -> Outcome {
    Outcome::Backpressure {
        status: 429,
        retry_after,
    }
}

/// How long the pause is that a refusal begins.
fn pause(world: &mut World, retry_after: Option<Span>) -> i64 {
    world.normal("a");
    world.settle("a", refused(retry_after));
    world.now.until(world.out_until()).as_ms()
}

#[test]
fn a_refusal_pauses_the_server_and_sends_on_who_waits() {
    let mut world = World::new(1, 4);
    world.normal("a");
    world.normal("b");
    let until = world.now + Span::from_secs(7);
    let cause = Cause::Backpressure { status: 429 };
    let mut expected = vec![removed("a")];
    expected.extend(changed(Change::CoolingDown { until }, cause));
    expected.push(denied("b", Denied::CoolingDown { until }));
    expected.push(Effect::RecordChanged);
    assert_eq!(
        world.settle("a", refused(Some(Span::from_secs(7)))),
        expected
    );
    let out = world.server.why_out(world.now);
    let since = world.now;
    assert_eq!(
        out,
        Some(WhyOut {
            reason: OutReason::CoolingDown,
            since,
            until: Some(until)
        })
    );
    assert_eq!(
        world.normal("c"),
        [denied("c", Denied::CoolingDown { until })]
    );
    assert_eq!(
        Denied::CoolingDown { until }.retry_after(world.now),
        Some(Span::from_secs(7))
    );
    world.after(7_000);
    assert_eq!(world.handle(Event::Tick), [Effect::RecordChanged]);
    assert_eq!(grant_kind(&world.normal("c")), Some(GrantKind::Normal));
    assert!(world.server.breaker().admits());
}

#[test]
fn r9_retry_after_is_honoured_between_a_second_and_five_minutes() {
    for (named_ms, expected_ms) in [
        (Some(1), 1_000),
        (Some(42_000), 42_000),
        (Some(300_001), 300_000),
        // A date in 2099, as the number of milliseconds until then.
        (Some(2_300_000_000_000), 300_000),
        // Zero, negative and unreadable ones arrive as nothing; a span is never negative.
        (Some(0), 1_000),
        (Some(-5), 1_000),
        (None, 1_000),
    ] {
        let mut world = World::new(1, 0);
        let got = pause(&mut world, named_ms.map(Span::from_ms));
        assert_eq!(got, expected_ms, "{named_ms:?}");
    }
}

#[test]
fn unnamed_pauses_double_to_a_minute_and_a_success_resets_them() {
    let mut world = World::new(1, 0);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let length = pause(&mut world, None);
        pauses.push(length / 1000);
        world.after(length).handle(Event::Tick);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    world.normal("good");
    world.settle("good", Outcome::Success);
    assert_eq!(pause(&mut world, None), 1_000);
}

#[test]
fn refusals_that_come_together_are_one_pause_unless_one_names_a_longer_time() {
    let mut world = World::new(3, 0);
    for name in ["a", "b", "c"] {
        world.normal(name);
    }
    world.settle("a", refused(None));
    let until = world.out_until();
    assert_eq!(world.settle("b", refused(None)), [removed("b")]);
    assert_eq!(world.out_until(), until);
    world.settle("c", refused(Some(Span::from_secs(9))));
    assert_eq!(world.out_until(), world.now + Span::from_secs(9));
}

#[test]
fn a_pause_outlives_a_restart_and_no_clock_makes_it_longer_than_five_minutes() {
    let mut world = World::new(1, 0);
    pause(&mut world, Some(Span::from_secs(200)));
    let until = world.out_until();
    world.restart();
    assert_eq!(world.out_until(), until);
    world.now = world.now - Span::from_secs(3600);
    world.handle(Event::Tick);
    assert_eq!(world.out_until(), world.now + Span::from_secs(300));
}
