//! Leases, queue, figures: the server is well.

use super::*;

#[test]
fn a_request_is_granted_served_and_settled() {
    let mut world = World::new(2, 4);
    let granted = world.granted("a", GrantKind::Normal, world.load(1, 0));
    assert_eq!(world.normal("a"), granted);
    world.after(1000);
    assert_eq!(world.settle("a", Outcome::Success), [removed("a")]);
    assert_eq!(world.settle("a", Outcome::Success), []);
    let figures = world.server.figures();
    assert_eq!((figures.totals.granted, figures.totals.successes), (1, 1));
    assert_eq!(
        (
            figures.totals.prompt_tokens,
            figures.totals.completion_tokens
        ),
        (10, 20)
    );
    assert_eq!(figures.duration.span(), Some(Span::from_secs(1)));
    assert_eq!(figures.ttft.span(), Some(Span::from_ms(100)));
    world.nothing_more_to_do();
}

#[test]
fn the_same_request_gets_the_same_lease() {
    let mut world = World::new(1, 4);
    let [_, first] = world.granted("a", GrantKind::Normal, world.load(1, 0));
    world.normal("a");
    world.after(5000);
    assert_eq!(world.normal("a"), [first]);
    assert_eq!(
        world.server.admit(world.now, &world.ask("a")),
        Ok(Admission::AlreadyGranted)
    );
}

#[test]
fn who_waits_is_served_in_order_as_slots_come_free() {
    let mut world = World::new(1, 4);
    world.normal("a");
    assert_eq!(world.normal("b"), [queued("b", 1, world.load(1, 1))]);
    let urgent = Ask {
        priority: 9,
        ..world.ask("c")
    };
    assert_eq!(
        world.handle(Event::Asked(urgent)),
        [queued("c", 1, world.load(1, 2))]
    );
    assert_eq!(world.normal("b"), [queued("b", 2, world.load(1, 2))]);
    let mut expected = vec![removed("a")];
    expected.extend(world.granted("c", GrantKind::Normal, world.load(1, 1)));
    assert_eq!(world.settle("a", Outcome::Success), expected);
    let mut expected = vec![removed("c")];
    expected.extend(world.granted("b", GrantKind::Normal, world.load(1, 0)));
    assert_eq!(world.settle("c", Outcome::ClientLeft), expected);
    world.nothing_more_to_do();
}

#[test]
fn a_full_queue_and_a_tentative_ask_are_denied_at_once() {
    let mut world = World::new(1, 1);
    let tentative = world.granted("a", GrantKind::Tentative, world.load(1, 0));
    assert_eq!(
        world.asks("a", AskKind::First, AskMode::Tentative),
        tentative
    );
    world.normal("b");
    let full = Denied::QueueFull {
        depth: 1,
        expected_start: Span::ZERO,
    };
    assert_eq!(world.normal("c"), [denied("c", full)]);
    assert_eq!(full.retry_after(world.now), Some(Span::from_secs(1)));
    let busy = Denied::Busy {
        load: world.load(1, 1),
    };
    assert_eq!(
        world.asks("d", AskKind::First, AskMode::Tentative),
        [denied("d", busy)]
    );
}

#[test]
fn waiting_ends_after_ten_seconds() {
    let mut world = World::new(1, 1);
    world.normal("a");
    world.normal("b");
    assert_eq!(
        world.server.poll_timeout(),
        Some(START + Span::from_secs(10))
    );
    world.after(9_999).nothing_more_to_do();
    assert_eq!(
        world.after(1).handle(Event::Tick),
        [denied("b", Denied::QueueTimeout)]
    );
    world.nothing_more_to_do();
}

#[test]
fn r10_a_deadline_too_short_for_any_answer_is_refused_even_when_idle() {
    let mut world = World::new(1, 1);
    let ask = Ask {
        deadline: world.now + Span::from_ms(999),
        least_service: Span::from_secs(1),
        ..world.ask("a")
    };
    let too_short = Denied::DeadlineTooShort {
        expected_start: Span::ZERO,
    };
    assert_eq!(world.handle(Event::Asked(ask)), [denied("a", too_short)]);
}

#[test]
fn r10_the_wait_is_estimated_from_how_long_answers_take() {
    let mut world = World::new(1, 9);
    world.normal("a");
    world.settle("a", Outcome::Success);
    world.normal("b");
    world.normal("c");
    let hurried = Ask {
        deadline: world.now + Span::from_ms(1_999),
        ..world.ask("d")
    };
    let too_short = Denied::DeadlineTooShort {
        expected_start: Span::from_secs(2),
    };
    assert_eq!(
        world.handle(Event::Asked(hurried)),
        [denied("d", too_short)]
    );
}

#[test]
fn a_cancelled_request_leaves_the_queue_or_frees_its_slot() {
    let mut world = World::new(1, 4);
    world.normal("a");
    world.normal("b");
    world.normal("c");
    assert_eq!(
        world.handle(Event::Cancelled(id("b"))),
        [denied("b", Denied::Cancelled)]
    );
    let mut expected = vec![removed("a")];
    expected.extend(world.granted("c", GrantKind::Normal, world.load(1, 0)));
    assert_eq!(world.handle(Event::Cancelled(id("a"))), expected);
    assert_eq!(world.handle(Event::Cancelled(id("a"))), []);
    assert_eq!(world.server.figures().totals.cancelled, 1);
}

#[test]
fn an_ask_that_its_cancel_overtook_takes_no_slot() {
    let mut world = World::new(1, 4);
    assert_eq!(world.handle(Event::Cancelled(id("a"))), []);
    assert_eq!(world.normal("a"), [denied("a", Denied::Cancelled)]);
    assert_eq!(world.load(0, 0).running, 0);
    let granted = world.normal("b");
    assert_eq!(
        granted,
        world.granted("b", GrantKind::Normal, world.load(1, 0))
    );
}

#[test]
fn a_lease_that_is_not_renewed_frees_its_slot_to_who_waits_not_to_a_newcomer() {
    let mut world = World::new(1, 4);
    world.normal("a");
    world.after(50_000).handle(Event::Renewed(id("a")));
    world.after(55_000);
    world.normal("b");
    world.after(5_000);
    let mut expected = vec![removed("a")];
    expected.extend(world.granted("b", GrantKind::Normal, world.load(1, 0)));
    // The check that came due meanwhile, then the newcomer behind those who waited.
    let effects: Vec<Effect> = world
        .normal("c")
        .into_iter()
        .filter(|effect| !matches!(effect, Effect::Check(_)))
        .collect();
    expected.push(queued("c", 1, world.load(1, 1)));
    assert_eq!(effects, expected);
    assert_eq!(world.server.figures().totals.leases_expired, 1);
}

#[test]
fn a_renewed_lease_lives_on_and_is_stored() {
    let mut world = World::new(1, 0);
    world.normal("a");
    for _ in 0..2 {
        world.after(20_000);
        assert_eq!(
            world.handle(Event::Renewed(id("a"))),
            [Effect::LeaseWritten(id("a"))]
        );
    }
    let lease_until = world.server.lease(&id("a")).map(|lease| lease.expires_at);
    assert_eq!(lease_until, Some(world.now + Span::from_secs(60)));
    assert_eq!(world.handle(Event::Renewed(id("unknown"))), []);
}

#[test]
fn the_late_answer_of_an_expired_lease_counts_once() {
    let mut world = World::new(1, 0);
    world.normal("a");
    world.after(60_000).handle(Event::Tick);
    assert_eq!(world.settle("a", FAILED), []);
    assert_eq!(world.settle("a", FAILED), []);
    assert_eq!(world.server.figures().totals.failures.transport, 1);
    assert!(world.server.load(world.now).strain_permille > 0);
}

#[test]
fn an_expired_lease_is_renewed_only_into_a_free_slot() {
    let mut world = World::new(1, 0);
    world.normal("a");
    world.after(60_000).handle(Event::Tick);
    world.normal("b");
    assert_eq!(world.handle(Event::Renewed(id("a"))), []);
    world.settle("b", Outcome::Success);
    assert_eq!(
        world.handle(Event::Renewed(id("a"))),
        [Effect::LeaseWritten(id("a"))]
    );
    assert_eq!(world.settle("a", Outcome::Success), [removed("a")]);
}

#[test]
fn live_leases_hold_their_slots_after_a_restart() {
    let mut world = World::new(2, 4);
    world.normal("a");
    world.normal("b");
    world.normal("c");
    world.after(30_000).restart();
    assert_eq!(world.server.leases().count(), 2);
    assert_eq!(world.normal("d"), [queued("d", 1, world.load(2, 1))]);
    world.handle(Event::Cancelled(id("d")));
    let over: Vec<Effect> = world.after(30_000).handle(Event::Tick);
    assert_eq!(over, [removed("a"), removed("b")]);
}

#[test]
fn more_or_fewer_slots_take_effect_at_once() {
    let mut world = World::new(1, 4);
    world.normal("a");
    world.normal("b");
    let limits = Limits {
        max_concurrency: 2,
        queue_depth: 4,
    };
    let mut expected: Vec<Effect> = Vec::new();
    let load = Load {
        capacity: 2,
        ..world.load(2, 0)
    };
    expected.extend(world.granted("b", GrantKind::Normal, load));
    expected.push(Effect::RecordChanged);
    assert_eq!(world.handle(Event::LimitsChanged(limits)), expected);
    assert_eq!(world.handle(Event::LimitsChanged(limits)), []);
    let limits = Limits {
        max_concurrency: 1,
        queue_depth: 0,
    };
    assert_eq!(
        world.handle(Event::LimitsChanged(limits)),
        [Effect::RecordChanged]
    );
    world.settle("a", Outcome::Success);
    let full = is_denied(&world.normal("c"));
    assert!(
        matches!(full, Some(Denied::QueueFull { depth: 0, .. })),
        "{full:?}"
    );
}

#[test]
fn a_model_with_waiting_requests_hears_of_free_slots_until_its_wish_ends() {
    let mut world = World::new(1, 4);
    let free = |model: &str| Effect::SlotFree {
        model: ModelName::new(model),
        free: 1,
    };
    let until = world.now + Span::from_secs(20);
    assert_eq!(world.handle(waiting("m", until)), [free("m")]);
    world.normal("a");
    assert_eq!(world.handle(waiting("n", until)), []);
    world.normal("b");
    assert!(!world.settle("a", Outcome::Success).contains(&free("m")));
    assert_eq!(
        world.settle("b", Outcome::Success),
        [removed("b"), free("m"), free("n")]
    );
    world.normal("c");
    world.after(20_000);
    assert_eq!(world.settle("c", Outcome::Success), [removed("c")]);
}
