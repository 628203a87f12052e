use proptest::prelude::*;

use super::*;

const START_MS: i64 = 1_800_000_000_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(START_MS + ms)
}

fn id(n: i64) -> RequestId {
    RequestId::new(format!("r{n:04}"))
}

fn server(name: &str) -> InstanceId {
    InstanceId::new(name)
}

/// Request `n`, arrived `n` ms after the start.
fn ask(n: i64, candidates: &[&str]) -> Ask {
    Ask {
        request: id(n),
        priority: 0,
        arrived_at: at(n),
        deadline: at(600_000),
        candidates: candidates.iter().copied().map(server).collect(),
        max_waiting: 1_000,
    }
}

fn freed(name: &str, free: u32) -> Event {
    Event::SlotFreed {
        instance: server(name),
        free,
        grants: None,
    }
}

fn counted(name: &str, free: u32, grants: u64) -> Event {
    Event::SlotFreed {
        instance: server(name),
        free,
        grants: Some(grants),
    }
}

fn go(n: i64, name: &str) -> Effect {
    Effect::Tell {
        request: id(n),
        said: Said::Go {
            instance: server(name),
        },
    }
}

fn again(n: i64) -> Effect {
    Effect::Tell {
        request: id(n),
        said: Said::Again,
    }
}

fn full(n: i64, retry_after_ms: i64) -> Effect {
    Effect::Tell {
        request: id(n),
        said: Said::Full {
            retry_after: Span::from_ms(retry_after_ms),
        },
    }
}

fn asked_of(name: &str, ms: i64) -> Effect {
    demand(at(ms), &server(name))
}

/// A list with requests `1..=count` for server `a`.
fn list(count: i64) -> Waiters {
    let mut model = Waiters::default();
    for n in 1..=count {
        let effects = model.handle(at(n), Event::Asked(ask(n, &["a"])));
        assert_eq!(effects.len(), usize::from(n == 1), "one demand in all");
    }
    model
}

#[test]
fn a_waiter_makes_demand_and_goes_when_a_slot_frees() {
    let mut model = Waiters::default();
    assert_eq!(
        model.handle(at(1), Event::Asked(ask(1, &["a", "b"]))),
        [asked_of("a", 1), asked_of("b", 1)]
    );
    assert_eq!(model.waiting(), 1);
    assert_eq!(model.handle(at(2), freed("c", 1)), [], "not a candidate");
    assert_eq!(model.poll_timeout(), Some(at(1) + DEMAND_EVERY));
    assert_eq!(
        model.handle_timeout(at(10_001)),
        [asked_of("a", 10_001), asked_of("b", 10_001)]
    );
    assert_eq!(model.handle(at(12_000), freed("b", 1)), [go(1, "b")]);
    assert_eq!(model.waiting(), 0);
    assert_eq!(model.handle_timeout(at(13_000)), []);
    assert_eq!(model.handle_timeout(at(17_000)), []);
    assert_eq!(model.poll_timeout(), None);
    assert_eq!(model.handle_timeout(at(999_000)), []);
}

#[test]
fn a_thousand_waiters_and_one_slot_wake_exactly_one() {
    let mut model = list(1_000);
    assert_eq!(model.handle(at(2_000), freed("a", 1)), [go(1, "a")]);
    assert_eq!(model.waiting(), 999);
    for ms in 2_001..2_050 {
        let repeated = model.handle(at(ms), freed("a", 1));
        assert_eq!(repeated, [], "the same slot reported again");
    }
}

#[test]
fn priority_goes_before_arrival_and_arrival_before_the_order_of_asking() {
    let mut model = list(0);
    for (n, priority) in [(3, 0), (2, 0), (5, 9), (4, 9)] {
        let ask = Ask {
            priority,
            ..ask(n, &["a"])
        };
        model.handle(at(10), Event::Asked(ask));
    }
    let effects = model.handle(at(20), freed("a", 3));
    assert_eq!(effects, [go(4, "a"), go(5, "a"), go(2, "a")]);
}

#[test]
fn only_those_who_can_use_the_server_are_woken() {
    let mut model = Waiters::default();
    model.handle(at(1), Event::Asked(ask(1, &["a"])));
    model.handle(at(2), Event::Asked(ask(2, &["a", "b"])));
    assert_eq!(model.handle(at(3), freed("b", 5)), [go(2, "b")]);
    assert_eq!(model.waiting(), 1);
}

#[test]
fn a_poll_ends_after_its_time_and_asking_again_keeps_the_place() {
    let mut model = list(2);
    let poll_ms = POLL.as_ms();
    model.handle(at(5_000), Event::Asked(ask(2, &["a"])));
    assert_eq!(model.handle_timeout(at(1 + poll_ms - 1)).len(), 1, "demand");
    assert_eq!(model.handle_timeout(at(1 + poll_ms)), [again(1)]);
    assert_eq!(model.handle_timeout(at(1 + poll_ms)), [], "once");
    let back_ms = 1 + poll_ms + 4_000;
    assert_eq!(model.handle(at(back_ms), Event::Asked(ask(1, &["a"]))), []);
    assert_eq!(
        model.handle(at(back_ms + 1), freed("a", 1)),
        [go(1, "a")],
        "the first is still the first"
    );
}

#[test]
fn a_waiter_that_does_not_come_back_is_dropped_after_a_grace() {
    let mut model = list(1);
    let ended_ms = 1 + POLL.as_ms();
    assert_eq!(model.handle_timeout(at(ended_ms)).len(), 2, "again, demand");
    assert_eq!(model.waiting(), 1);
    assert_eq!(
        model.handle(at(ended_ms + 10), freed("a", 1)),
        [],
        "nobody listens"
    );
    assert_eq!(
        model.poll_timeout(),
        Some(at(ended_ms) + GRACE),
        "its drop comes before the next demand"
    );
    assert_eq!(model.handle_timeout(at(ended_ms) + GRACE), []);
    assert_eq!(model.waiting(), 0);
    assert_eq!(model.poll_timeout(), None);
}

#[test]
fn a_slot_that_freed_a_moment_ago_goes_to_who_comes_next() {
    let mut model = Waiters::default();
    assert_eq!(model.handle(at(0), freed("a", 1)), []);
    let effects = model.handle(at(999), Event::Asked(ask(1, &["a", "b"])));
    assert_eq!(effects, [go(1, "a")]);
    let effects = model.handle(at(999), Event::Asked(ask(2, &["a"])));
    assert_eq!(
        effects,
        [asked_of("a", 999)],
        "taken, and who waits says so"
    );
}

#[test]
fn a_full_list_keeps_nobody_from_a_slot_that_is_free() {
    let full_list = |n, candidates: &[&str]| {
        Event::Asked(Ask {
            max_waiting: 1,
            ..ask(n, candidates)
        })
    };
    let mut model = Waiters::default();
    assert_eq!(
        model.handle(at(1), full_list(1, &["a"])),
        [asked_of("a", 1)]
    );
    assert_eq!(
        model.handle(at(2), freed("b", 1)),
        [],
        "of no use to who waits"
    );
    let effects = model.handle(at(3), full_list(2, &["a", "c"]));
    assert!(
        matches!(
            &effects[..],
            [Effect::Tell {
                said: Said::Full { .. },
                ..
            }]
        ),
        "{effects:?}"
    );
    assert_eq!(model.handle(at(4), full_list(3, &["a", "b"])), [go(3, "b")]);
}

#[test]
fn an_old_report_of_room_is_not_believed() {
    let mut model = Waiters::default();
    assert_eq!(model.handle(at(0), freed("a", 1)), []);
    let effects = model.handle(at(1_000), Event::Asked(ask(1, &["a"])));
    assert_eq!(effects, [asked_of("a", 1_000)]);
}

#[test]
fn a_second_slot_wakes_the_second_waiter_at_once() {
    let mut model = list(3);
    assert_eq!(model.handle(at(10), freed("a", 1)), [go(1, "a")]);
    assert_eq!(model.handle(at(11), freed("a", 2)), [go(2, "a")]);
    assert_eq!(model.handle(at(12), freed("a", 2)), []);
}

#[test]
fn a_withheld_slot_is_given_away_when_the_promise_ends_even_if_the_alarm_is_late() {
    let mut model = list(3);
    assert_eq!(model.handle(at(10), freed("a", 1)), [go(1, "a")]);
    assert_eq!(model.handle(at(500), freed("a", 1)), [], "perhaps the same");
    assert_eq!(model.poll_timeout(), Some(at(1_010)));
    assert_eq!(model.handle_timeout(at(1_009)), [], "early");
    assert_eq!(model.handle_timeout(at(3_000)), [go(2, "a")]);
    assert_eq!(model.handle_timeout(at(3_000)), [], "twice");
}

#[test]
fn a_promise_that_ends_without_a_word_makes_demand_again() {
    let mut model = list(2);
    assert_eq!(model.handle(at(10), freed("a", 1)), [go(1, "a")]);
    assert_eq!(model.handle_timeout(at(1_010)), [asked_of("a", 1_010)]);
    assert_eq!(model.handle(at(1_020), freed("a", 1)), [go(2, "a")]);
    assert_eq!(model.handle_timeout(at(2_020)), [], "nobody waits any more");
}

#[test]
fn a_server_that_counts_its_grants_serves_short_requests_without_pause() {
    let mut model = list(100);
    assert_eq!(model.handle(at(1_000), counted("a", 1, 7)), [go(1, "a")]);
    assert_eq!(model.handle(at(1_010), counted("a", 1, 7)), []);
    for n in 2..=100 {
        let grants = u64::try_from(n).unwrap() + 6;
        let effects = model.handle(at(1_000 + 20 * n), counted("a", 1, grants));
        assert_eq!(effects, [go(n, "a")]);
    }
}

#[test]
fn a_restarted_server_counts_from_zero_and_keeps_its_promises_open() {
    let mut model = list(2);
    assert_eq!(model.handle(at(1_000), counted("a", 1, 7)), [go(1, "a")]);
    assert_eq!(model.handle(at(1_001), counted("a", 1, 0)), []);
    assert_eq!(model.handle(at(1_002), counted("a", 1, 1)), [go(2, "a")]);
}

#[test]
fn a_waiter_refused_by_its_server_returns_to_its_place_in_a_full_list() {
    let mut model = list(2);
    assert_eq!(model.handle(at(10), freed("a", 1)), [go(1, "a")]);
    let three = |n| Ask {
        max_waiting: 2,
        ..ask(n, &["a"])
    };
    assert_eq!(model.handle(at(11), Event::Asked(three(3))), []);
    assert_eq!(model.handle(at(12), Event::Asked(three(1))), []);
    assert_eq!(model.waiting(), 3);
    assert_eq!(model.handle(at(13), freed("a", 1)), [go(1, "a")]);
}

#[test]
fn who_gives_up_leaves_and_hands_a_promised_slot_on() {
    let mut model = list(3);
    let gave_up = |n| Event::GaveUp { request: id(n) };
    assert_eq!(model.handle(at(10), gave_up(2)), [again(2)]);
    assert_eq!(model.handle(at(10), gave_up(2)), []);
    assert_eq!(model.handle(at(11), freed("a", 1)), [go(1, "a")]);
    assert_eq!(model.handle(at(12), gave_up(1)), [go(3, "a")]);
    assert_eq!(model.handle(at(13), gave_up(1)), []);
    assert_eq!(model.waiting(), 0);
}

#[test]
fn a_full_list_refuses_newcomers_by_the_rate_at_which_it_drains() {
    let mut model = list(40);
    let newcomer = |n| Ask {
        max_waiting: 20,
        ..ask(n, &["a"])
    };
    let effects = model.handle(at(1_000), Event::Asked(newcomer(99)));
    assert_eq!(effects, [full(99, 41_000)], "41 in a second each, at best");
    for n in 1..=20 {
        let effects = model.handle(at(1_001 + 500 * n), counted("a", 1, n as u64));
        assert!(effects.contains(&go(n, "a")));
    }
    // Twenty left in 10 s, so those who wait, and one more, take 10.5 s.
    let effects = model.handle(at(11_001), Event::Asked(newcomer(99)));
    let waiting_was_renewed = effects.iter().any(|e| *e == full(99, 11_550));
    assert!(waiting_was_renewed, "{effects:?}");
    let told = model.handle(at(11_002), Event::Asked(newcomer(30)));
    assert_eq!(told, [], "who is listed is not refused");
}

#[test]
fn retry_after_stays_between_one_second_and_two_minutes() {
    let mut model = list(1_000);
    let newcomer = |n| Ask {
        max_waiting: 1,
        ..ask(n, &["b"])
    };
    let effects = model.handle(at(5_000), Event::Asked(newcomer(2_000)));
    assert_eq!(effects, [full(2_000, 120_000)]);
    assert_eq!(
        model.handle(at(5_000), freed("a", 999)).len(),
        999,
        "a thousand at once"
    );
    let effects = model.handle(at(5_001), Event::Asked(newcomer(2_001)));
    assert_eq!(effects, [full(2_001, 1_000)]);
}

#[test]
fn nobody_waits_past_a_deadline() {
    let mut model = Waiters::default();
    let short = |n, deadline_ms| Ask {
        deadline: at(deadline_ms),
        ..ask(n, &["a"])
    };
    assert_eq!(
        model.handle(at(100), Event::Asked(short(1, 100))),
        [full(1, 1_000)]
    );
    model.handle(at(100), Event::Asked(short(2, 3_000)));
    assert_eq!(model.poll_timeout(), Some(at(3_000)));
    let effects = model.handle(at(3_000), freed("a", 1));
    assert_eq!(effects, [full(2, 2_900)], "not sent when it is too late");
    assert_eq!(model.handle_timeout(at(4_000)), []);
    assert_eq!(model.waiting(), 0);
}

#[test]
fn the_first_waiter_after_none_asks_every_server_again() {
    let mut model = list(1);
    assert_eq!(model.handle(at(10), freed("a", 1)), [go(1, "a")]);
    let effects = model.handle(at(20), Event::Asked(ask(2, &["a"])));
    assert_eq!(effects, [asked_of("a", 20)]);
    let effects = model.handle(at(21), Event::Asked(ask(3, &["a", "b"])));
    assert_eq!(effects, [asked_of("b", 21)], "only what nobody asked yet");
}

#[test]
fn a_clock_that_goes_back_keeps_every_wait_as_long_as_it_was() {
    let mut model = list(1);
    assert_eq!(model.handle_timeout(at(-3_600_000)), []);
    let due = at(-3_600_000) + DEMAND_EVERY;
    assert_eq!(model.poll_timeout(), Some(due));
    assert_eq!(model.handle_timeout(due).len(), 1);
    let effects = model.handle_timeout(at(-3_600_000) + POLL);
    assert_eq!(effects.first(), Some(&again(1)));
}

#[test]
fn the_order_survives_a_lost_list() {
    let mut model = Waiters::default();
    for n in [3, 1, 2] {
        model.handle(at(100 + n), Event::Asked(ask(n, &["a"])));
    }
    let effects = model.handle(at(200), freed("a", 3));
    assert_eq!(effects, [go(1, "a"), go(2, "a"), go(3, "a")]);
}

#[derive(Clone, Debug)]
enum Step {
    Ask(i64, u8, bool),
    GiveUp(i64),
    Free(bool, u32, bool),
    Timeout,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop_oneof![
        5 => (0..20_i64, 0..3_u8, any::<bool>()).prop_map(|(n, p, both)| Step::Ask(n, p, both)),
        1 => (0..20_i64).prop_map(Step::GiveUp),
        3 => (any::<bool>(), 0..4_u32, any::<bool>()).prop_map(|(a, f, g)| Step::Free(a, f, g)),
        2 => Just(Step::Timeout),
    ];
    let passed = prop_oneof![4 => 0..400_i64, 1 => 1_000..30_000_i64, 1 => -5_000..0_i64];
    proptest::collection::vec((passed, step), 1..120)
}

proptest! {
    /// Every poll gets one answer, a report never wakes more than it has room for, and what is due is
    /// over once it was handled.
    #[test]
    fn each_poll_is_answered_once_and_no_report_wakes_too_many(steps in steps()) {
        let mut model = Waiters::default();
        let mut open = BTreeSet::new();
        let (mut ms, mut grants) = (0, 0);
        for (passed, step) in steps {
            ms += passed;
            let now = at(ms);
            let effects = match &step {
                Step::Ask(n, priority, both) => {
                    open.insert(id(*n));
                    let names: &[&str] = if *both { &["a", "b"] } else { &["b"] };
                    let asks = Ask { priority: *priority, max_waiting: 12, ..ask(*n, names) };
                    model.handle(now, Event::Asked(asks))
                }
                Step::GiveUp(n) => model.handle(now, Event::GaveUp { request: id(*n) }),
                Step::Free(a, free, granted) => {
                    grants += u64::from(*granted);
                    let name = if *a { "a" } else { "b" };
                    let effects = model.handle(now, counted(name, *free, grants));
                    let sent = effects.iter().filter(|e| matches!(
                        e,
                        Effect::Tell { said: Said::Go { instance }, .. }
                            if *instance == server(name)
                    ));
                    prop_assert!(sent.count() <= usize::try_from(*free).unwrap());
                    effects
                }
                Step::Timeout => model.handle_timeout(now),
            };
            for effect in effects {
                match effect {
                    Effect::Tell { request, .. } => prop_assert!(open.remove(&request)),
                    Effect::Demand { until, .. } => prop_assert_eq!(until, now + DEMAND),
                }
            }
            let polling = model.list.values().filter(|w| w.polls()).count();
            prop_assert_eq!(polling, open.len());
            prop_assert_eq!(model.list.len(), model.ranks.len());
            prop_assert!(model.poll_timeout().is_none_or(|due| due > now));
        }
        for _ in 0..200 {
            let Some(due) = model.poll_timeout() else { break };
            model.handle_timeout(due);
        }
        prop_assert_eq!(model.poll_timeout(), None);
        prop_assert!(model.list.is_empty());
    }
}
