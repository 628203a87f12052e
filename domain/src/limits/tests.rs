use proptest::prelude::*;

use super::*;

const START_MS: i64 = 1_800_000_000_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(START_MS + ms)
}

fn id(n: u32) -> RequestId {
    RequestId::new(format!("r{n}"))
}

fn ask(n: u32, reserve_tokens: u64) -> Ask {
    Ask {
        request: id(n),
        reserve_tokens,
    }
}

fn limits(requests: Option<u64>, tokens: Option<u64>, concurrency: Option<u32>) -> Limits {
    Limits {
        requests_per_minute: requests,
        tokens_per_minute: tokens,
        concurrency,
    }
}

fn settled(n: u32, used_tokens: u64) -> Event {
    Event::Settled {
        request: id(n),
        used_tokens,
    }
}

fn refunded(n: u32) -> Event {
    Event::Refunded { request: id(n) }
}

fn renewed(n: u32) -> Event {
    Event::Renewed { request: id(n) }
}

fn charge(n: u32, admitted_ms: i64, tokens: u64, lease_ms: Option<i64>) -> Charge {
    Charge {
        request: id(n),
        admitted_at: at(admitted_ms),
        tokens,
        lease_until: lease_ms.map(at),
        overuse: None,
    }
}

fn exhausted(limit: Limit, retry_after_ms: i64) -> Denied {
    Denied::Exhausted {
        limit,
        retry_after: Span::from_ms(retry_after_ms),
    }
}

#[test]
fn a_minute_holds_as_many_requests_as_the_limit_and_slides() {
    let mut key = KeyLimiter::default();
    let two = limits(Some(2), None, None);
    assert_eq!(
        key.admit(at(0), &ask(1, 0), &two),
        (
            Ok(Admission::Granted),
            vec![Effect::Keep(charge(1, 0, 0, Some(60_000)))]
        )
    );
    assert_eq!(
        key.admit(at(20_000), &ask(2, 0), &two).0,
        Ok(Admission::Granted)
    );
    let (denied, effects) = key.admit(at(30_000), &ask(3, 0), &two);
    assert_eq!(denied, Err(exhausted(Limit::Requests, 30_000)));
    assert_eq!(effects, []);
    let windows = key.windows(&two);
    let view = WindowView {
        limit: 2,
        remaining: 0,
        reset: Span::from_secs(50),
    };
    assert_eq!(windows.requests, Some(view));
    assert_eq!(windows.tokens, None);

    assert_eq!(key.handle(at(31_000), settled(1, 0)).len(), 1);
    assert!(key.admit(at(59_999), &ask(3, 0), &two).0.is_err());
    let (granted, effects) = key.admit(at(60_000), &ask(3, 0), &two);
    assert_eq!(granted, Ok(Admission::Granted));
    let kept = Effect::Keep(charge(3, 60_000, 0, Some(120_000)));
    assert_eq!(effects, [Effect::Forget(id(1)), kept]);

    assert_eq!(key.handle(at(61_000), settled(2, 0)).len(), 1);
    assert_eq!(key.handle(at(61_000), settled(3, 0)).len(), 1);
    assert_eq!(
        key.handle_timeout(at(120_000)),
        [Effect::Forget(id(2)), Effect::Forget(id(3))]
    );
    assert_eq!(key.poll_timeout(), None);
    assert_eq!(key.handle_timeout(at(999_000)), []);
}

#[test]
fn the_same_request_is_answered_alike_and_charged_once() {
    let mut key = KeyLimiter::default();
    let one = limits(Some(1), Some(100), Some(1));
    assert_eq!(
        key.admit(at(0), &ask(1, 100), &one).0,
        Ok(Admission::Granted)
    );
    for _ in 0..3 {
        let again = key.admit(at(10), &ask(1, 100), &one);
        assert_eq!(again, (Ok(Admission::AlreadySo), vec![]));
    }
    let windows = key.windows(&one);
    assert_eq!(windows.requests.map(|w| w.remaining), Some(0));
    assert_eq!(windows.tokens.map(|w| w.remaining), Some(0));
    assert_eq!(key.running(), 1);
}

#[test]
fn a_reservation_beyond_the_whole_limit_is_told_that_it_never_fits() {
    let mut key = KeyLimiter::default();
    let (denied, effects) = key.admit(at(0), &ask(1, 101), &limits(None, Some(100), None));
    let never = Denied::NeverFits {
        limit: Limit::Tokens,
        asked: 101,
        allowed: 100,
    };
    assert_eq!((denied, effects), (Err(never), vec![]));
    let (denied, _) = key.admit(at(0), &ask(1, 0), &limits(None, None, Some(0)));
    let never = Denied::NeverFits {
        limit: Limit::Concurrency,
        asked: 1,
        allowed: 0,
    };
    assert_eq!(denied, Err(never));
    assert_eq!(key.poll_timeout(), None);
}

#[test]
fn unused_tokens_go_back_to_the_bucket_they_came_from() {
    let mut key = KeyLimiter::default();
    let hundred = limits(None, Some(100), None);
    assert!(key.admit(at(0), &ask(1, 60), &hundred).0.is_ok());
    assert!(key.admit(at(10_000), &ask(2, 40), &hundred).0.is_ok());
    let (denied, _) = key.admit(at(10_000), &ask(3, 30), &hundred);
    assert_eq!(denied, Err(exhausted(Limit::Tokens, 50_000)));

    let effects = key.handle(at(20_000), settled(1, 20));
    assert_eq!(effects, [Effect::Keep(charge(1, 0, 20, None))]);
    assert_eq!(
        key.windows(&hundred).tokens.map(|w| w.remaining),
        Some(40),
        "20 and 40 are spent"
    );
    assert!(key.admit(at(20_000), &ask(3, 40), &hundred).0.is_ok());
    // At 60 s only what the first one used comes back: the rest did at 20 s.
    let (denied, _) = key.admit(at(59_000), &ask(4, 20), &hundred);
    assert_eq!(denied, Err(exhausted(Limit::Tokens, 1_000)));
    let (denied, _) = key.admit(at(59_000), &ask(4, 21), &hundred);
    assert_eq!(denied, Err(exhausted(Limit::Tokens, 11_000)));
    assert_eq!(
        key.handle(at(59_000), settled(1, 0)),
        [],
        "a repeated end changes nothing"
    );
}

#[test]
fn overuse_is_charged_when_it_becomes_known() {
    let mut key = KeyLimiter::default();
    let hundred = limits(None, Some(100), None);
    assert!(key.admit(at(0), &ask(1, 10), &hundred).0.is_ok());
    let effects = key.handle(at(30_000), settled(1, 110));
    let overuse = Overuse {
        at: at(30_000),
        tokens: 100,
    };
    let over = Charge {
        overuse: Some(overuse),
        ..charge(1, 0, 10, None)
    };
    assert_eq!(effects, [Effect::Keep(over)]);
    let (denied, _) = key.admit(at(30_000), &ask(2, 1), &hundred);
    assert_eq!(denied, Err(exhausted(Limit::Tokens, 60_000)));
    assert_eq!(key.windows(&hundred).tokens.map(|w| w.remaining), Some(0));
    assert!(key.admit(at(90_000), &ask(2, 1), &hundred).0.is_ok());
}

#[test]
fn a_refund_leaves_no_trace_and_the_request_may_come_again() {
    let mut key = KeyLimiter::default();
    let one = limits(Some(1), Some(10), Some(1));
    assert!(key.admit(at(0), &ask(1, 10), &one).0.is_ok());
    assert_eq!(key.handle(at(5), refunded(1)), [Effect::Erase(id(1))]);
    assert_eq!(key.handle(at(5), refunded(1)), []);
    assert_eq!(key.poll_timeout(), None);
    assert_eq!(
        key.admit(at(6), &ask(1, 10), &one).0,
        Ok(Admission::Granted)
    );
    assert_eq!(key.running(), 1);
}

#[test]
fn a_lease_is_renewed_expires_and_comes_back_with_its_holder() {
    let mut key = KeyLimiter::default();
    let one = limits(None, None, Some(1));
    assert!(key.admit(at(0), &ask(1, 0), &one).0.is_ok());
    assert_eq!(
        key.handle(at(20_000), renewed(1)),
        [Effect::Keep(charge(1, 0, 0, Some(80_000)))]
    );
    let (denied, _) = key.admit(at(79_500), &ask(2, 0), &one);
    assert_eq!(denied, Err(exhausted(Limit::Concurrency, 500)));
    assert_eq!(key.poll_timeout(), Some(at(80_000)));
    assert_eq!(key.handle_timeout(at(80_000)), [Effect::Forget(id(1))]);
    assert!(key.admit(at(80_000), &ask(2, 0), &one).0.is_ok());
    assert_eq!(
        key.handle(at(81_000), renewed(1)),
        [],
        "a forgotten request cannot be renewed"
    );
    // The second one's lease ends while its minute still counts: its place may be taken meanwhile.
    let mut key = KeyLimiter::restore([charge(5, 0, 0, Some(10_000))]);
    assert!(key.admit(at(10_000), &ask(6, 0), &one).0.is_ok());
    let (denied, _) = key.admit(at(10_001), &ask(5, 0), &one);
    assert_eq!(denied, Err(exhausted(Limit::Concurrency, 1_000)));
    assert_eq!(key.handle(at(11_000), renewed(5)).len(), 1);
    assert_eq!(key.running(), 2, "it does run, so it is counted");
}

#[test]
fn of_several_limits_the_one_that_takes_longest_is_named() {
    let mut key = KeyLimiter::default();
    let all = limits(Some(2), Some(100), Some(1));
    assert!(key.admit(at(0), &ask(1, 10), &all).0.is_ok());
    let (denied, _) = key.admit(at(1), &ask(2, 10), &all);
    assert_eq!(denied, Err(exhausted(Limit::Concurrency, 1_000)));
    assert_eq!(key.handle(at(2), settled(1, 10)).len(), 1);
    assert!(key.admit(at(40_000), &ask(2, 90), &all).0.is_ok());
    let (denied, _) = key.admit(at(40_000), &ask(3, 50), &all);
    assert_eq!(denied, Err(exhausted(Limit::Tokens, 60_000)));
}

#[test]
fn limits_may_change_between_calls() {
    let mut key = KeyLimiter::default();
    for n in 0..5 {
        let free = limits(None, None, Some(10));
        assert!(key.admit(at(i64::from(n)), &ask(n, 7), &free).0.is_ok());
    }
    let (denied, _) = key.admit(at(10), &ask(9, 7), &limits(Some(5), Some(42), None));
    assert_eq!(
        denied,
        Err(exhausted(Limit::Requests, 59_994)),
        "five count although none was limited"
    );
    assert!(
        key.admit(at(10), &ask(9, 7), &limits(Some(6), Some(42), None))
            .0
            .is_ok()
    );
}

#[test]
fn a_clock_that_goes_back_an_hour_neither_helps_nor_blocks() {
    const HOUR: i64 = 3_600_000;
    let mut key = KeyLimiter::default();
    let one = limits(Some(1), None, Some(1));
    assert!(key.admit(at(HOUR), &ask(1, 0), &one).0.is_ok());
    let (denied, effects) = key.admit(at(0), &ask(2, 0), &one);
    assert_eq!(denied, Err(exhausted(Limit::Requests, 60_000)));
    assert_eq!(effects, [Effect::Shift(Span::from_ms(HOUR))]);
    assert_eq!(key.poll_timeout(), Some(at(60_000)));
    assert!(key.admit(at(59_999), &ask(2, 0), &one).0.is_err());
    assert!(key.admit(at(60_000), &ask(2, 0), &one).0.is_ok());
}

#[test]
fn a_clock_that_jitters_stands_still_and_writes_nothing() {
    let mut key = KeyLimiter::default();
    let one = limits(Some(1), None, None);
    assert!(key.admit(at(900), &ask(1, 0), &one).0.is_ok());
    let (denied, effects) = key.admit(at(0), &ask(2, 0), &one);
    assert_eq!(denied, Err(exhausted(Limit::Requests, 60_000)));
    assert_eq!(effects, []);
    assert!(key.admit(at(60_899), &ask(2, 0), &one).0.is_err());
    assert!(key.admit(at(60_900), &ask(2, 0), &one).0.is_ok());
}

#[test]
fn timeouts_that_come_early_or_twice_change_nothing() {
    let mut key = KeyLimiter::default();
    assert_eq!(key.handle_timeout(at(0)), []);
    let one = limits(Some(1), None, None);
    assert!(key.admit(at(0), &ask(1, 0), &one).0.is_ok());
    assert_eq!(key.handle_timeout(at(59_999)), []);
    assert_eq!(key.handle_timeout(at(60_000)), [Effect::Forget(id(1))]);
    assert_eq!(key.handle_timeout(at(60_000)), []);
    assert_eq!(key.handle_timeout(at(3_600_000)), []);
    assert_eq!(key.poll_timeout(), None);
}

#[derive(Clone, Debug)]
enum Step {
    /// A new request.
    Ask {
        tokens: u64,
    },
    /// The same as the `ago`-th last one, once more.
    Repeat {
        ago: u32,
        tokens: u64,
    },
    Settle {
        ago: u32,
        tokens: u64,
    },
    Refund {
        ago: u32,
    },
    Renew {
        ago: u32,
    },
    Timeout,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<(i64, i64, Step)>> {
    let ago = 0..8_u32;
    let step = prop_oneof![
        12 => (0..40_u64).prop_map(|tokens| Step::Ask { tokens }),
        1 => (ago.clone(), 0..40_u64).prop_map(|(ago, tokens)| Step::Repeat { ago, tokens }),
        3 => (ago.clone(), 0..60_u64).prop_map(|(ago, tokens)| Step::Settle { ago, tokens }),
        1 => ago.clone().prop_map(|ago| Step::Refund { ago }),
        1 => ago.prop_map(|ago| Step::Renew { ago }),
        1 => Just(Step::Timeout),
        1 => Just(Step::Restart),
    ];
    // Nearly a minute is where a window that slides too soon shows.
    let passed = prop_oneof![
        6 => 0..900_i64,
        1 => 5_000..30_000_i64,
        2 => 57_000..60_500_i64,
    ];
    let back = prop_oneof![12 => Just(0_i64), 1 => 1..1_000_i64, 1 => 2_000..9_000_000_i64];
    proptest::collection::vec((passed, back, step), 1..150)
}

/// What the store would hold: the effects applied as they say.
fn store(rows: &mut BTreeMap<RequestId, Charge>, effects: Vec<Effect>) {
    for effect in effects {
        match effect {
            Effect::Keep(charge) => {
                rows.insert(charge.request.clone(), charge);
            }
            Effect::Erase(request) => {
                rows.remove(&request);
            }
            Effect::Forget(_) => {}
            Effect::Shift(back) => {
                for charge in rows.values_mut() {
                    *charge = charge.clone().shifted(back);
                }
            }
        }
    }
}

#[derive(Debug)]
struct Counted {
    real_ms: i64,
    tokens: u64,
    live: bool,
}

#[test]
fn of_two_charges_of_one_request_the_later_counts_in_either_order() {
    let (earlier, later) = (charge(1, 0, 10, None), charge(1, 5_000, 30, None));
    for charges in [[earlier.clone(), later.clone()], [later, earlier]] {
        let mut key = KeyLimiter::restore(charges);
        let limits = limits(None, Some(40), None);
        let more =
            |key: &mut KeyLimiter, n, tokens| key.admit(at(6_000), &ask(n, tokens), &limits).0;
        assert!(more(&mut key, 2, 11).is_err(), "30 of 40 are spent");
        assert!(more(&mut key, 2, 10).is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Measured on a clock of its own, whatever the machine's clock does, and with restarts from
    /// nothing but the effects.
    #[test]
    fn no_span_of_a_minute_is_ever_over_a_limit(
        steps in steps(),
        requests in 1..6_u64,
        tokens in 40..150_u64,
        concurrency in 3..12_u32,
    ) {
        let all = limits(Some(requests), Some(tokens), Some(concurrency));
        let mut key = KeyLimiter::default();
        let mut rows = BTreeMap::new();
        let mut counted: BTreeMap<RequestId, Counted> = BTreeMap::new();
        let mut past: Vec<Counted> = Vec::new();
        let (mut real_ms, mut skew_ms, mut newest) = (0, 100_000_000, 1_000);
        for (passed, back, step) in steps {
            real_ms += passed;
            skew_ms -= back;
            let now = at(real_ms + skew_ms);
            if matches!(step, Step::Ask { .. }) {
                newest += 1;
            }
            match step {
                Step::Ask { tokens } | Step::Repeat { tokens, .. } => {
                    let n = if let Step::Repeat { ago, .. } = step { newest - ago } else { newest };
                    let (answer, effects) = key.admit(now, &ask(n, tokens), &all);
                    store(&mut rows, effects);
                    if answer == Ok(Admission::Granted) {
                        prop_assert!(key.running() <= concurrency);
                        let new = Counted { real_ms, tokens, live: true };
                        past.extend(counted.insert(id(n), new));
                    }
                }
                Step::Settle { ago, tokens } => {
                    let n = newest - ago;
                    let effects = key.handle(now, settled(n, tokens));
                    let ended = effects.iter().any(|e| matches!(e, Effect::Keep(_)));
                    store(&mut rows, effects);
                    if let Some(known) = counted.get_mut(&id(n)).filter(|c| c.live && ended) {
                        known.tokens = known.tokens.min(tokens);
                        known.live = false;
                    }
                }
                Step::Refund { ago } => {
                    let n = newest - ago;
                    let effects = key.handle(now, refunded(n));
                    if effects.contains(&Effect::Erase(id(n))) {
                        counted.remove(&id(n));
                    }
                    store(&mut rows, effects);
                }
                Step::Renew { ago } => {
                    store(&mut rows, key.handle(now, renewed(newest - ago)));
                }
                Step::Timeout => store(&mut rows, key.handle_timeout(now)),
                Step::Restart => key = KeyLimiter::restore(rows.values().cloned()),
            }
        }
        past.extend(counted.into_values());
        for end in &past {
            let span = past.iter()
                .filter(|c| c.real_ms <= end.real_ms && c.real_ms > end.real_ms - 60_000);
            let (mut count, mut sum) = (0, 0);
            for charge in span {
                count += 1;
                sum += charge.tokens;
            }
            prop_assert!(count <= requests, "{count} requests in a minute, limit {requests}");
            prop_assert!(sum <= tokens, "{sum} tokens in a minute, limit {tokens}");
        }
    }

    /// A request that asks again exactly when it was told to gets in; a millisecond sooner it does not.
    #[test]
    fn retry_after_is_exact(
        gaps in proptest::collection::vec(0..3_000_i64, 1..80),
        reserve in 1..30_u64,
        requests in 1..15_u64,
        tokens in 30..200_u64,
    ) {
        let all = limits(Some(requests), Some(tokens), None);
        let mut key = KeyLimiter::default();
        let mut now_ms = 0;
        for (n, gap) in (0..).zip(gaps) {
            now_ms += gap;
            let (answer, _) = key.admit(at(now_ms), &ask(n, reserve), &all);
            if let Err(Denied::Exhausted { retry_after, .. }) = answer {
                let due_ms = now_ms + retry_after.as_ms();
                prop_assert!(key.clone().admit(at(due_ms - 1), &ask(n, reserve), &all).0.is_err());
                prop_assert!(key.clone().admit(at(due_ms), &ask(n, reserve), &all).0.is_ok());
            }
        }
    }
}
