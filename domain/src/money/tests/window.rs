use proptest::prelude::*;

use crate::money::{Segment, Window};
use crate::time::{Span, Timestamp};

/// A dollar an hour.
const DOLLAR: u64 = 1_000_000;
const HOUR: i64 = 3_600_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn window(segments: &[(i64, u64)], until: Option<i64>) -> Window {
    Window {
        segments: segments
            .iter()
            .map(|(from, rate)| Segment {
                from: at(*from),
                microusd_per_hour: *rate,
            })
            .collect(),
        until: until.map(at),
        ..Window::default()
    }
}

#[test]
fn an_hour_costs_its_rate_and_each_millisecond_its_part() {
    let open = window(&[(1_000, DOLLAR)], None);
    assert_eq!(open.cost(at(1_000 + HOUR)), DOLLAR);
    assert_eq!(open.cost(at(1_000 + HOUR / 4)), 250_000);
    // 3.6 ms are a micro-dollar.
    assert_eq!(open.cost(at(1_036)), 10);
    assert_eq!(open.cost(at(1_000)), 0);
    assert_eq!(open.cost(at(0)), 0);
}

#[test]
fn it_is_rounded_half_up_once_and_not_for_each_rate() {
    // Half a micro-dollar is 1,800,000 parts of rate times milliseconds.
    assert_eq!(window(&[(0, 1_800_000)], Some(1)).total(), 1);
    assert_eq!(window(&[(0, 1_799_999)], Some(1)).total(), 0);
    // Two of 0.5: rounded one by one they were 2.
    let two = window(&[(0, 1_800_000), (1, 1_800_000)], Some(2));
    assert_eq!(two.total(), 1);
    // Two of 0.4: rounded one by one they were 0.
    let two = window(&[(0, 1_440_000), (1, 1_440_000)], Some(2));
    assert_eq!(two.total(), 1);
}

#[test]
fn each_rate_holds_until_the_next() {
    let window = window(
        &[(0, 2 * DOLLAR), (HOUR, DOLLAR / 10), (3 * HOUR, DOLLAR)],
        Some(4 * HOUR),
    );
    assert_eq!(window.cost(at(HOUR)), 2_000_000);
    assert_eq!(window.cost(at(3 * HOUR)), 2_200_000);
    assert_eq!(window.total(), 3_200_000);
    assert_eq!(window.cost(at(9 * HOUR)), 3_200_000, "it has ended");
}

#[test]
fn the_length_is_rounded_up_to_the_step_and_raised_to_the_minimum() {
    let of = |ms: i64, minimum: i64, step: i64| {
        let window = Window {
            minimum: Span::from_secs(minimum),
            step: Span::from_secs(step),
            ..window(&[(0, 3_600 * 100)], Some(ms))
        };
        // At 100 micro-dollars a second.
        window.total() / 100
    };
    assert_eq!(of(1, 0, 1), 1);
    assert_eq!(of(1_000, 0, 1), 1);
    assert_eq!(of(1_001, 0, 1), 2);
    assert_eq!(of(1_001, 60, 1), 60);
    assert_eq!(of(60_001, 60, 1), 61);
    assert_eq!(of(60_001, 60, 3_600), 3_600);
    assert_eq!(of(0, 60, 1), 60, "what was rented was rented");
}

#[test]
fn the_minimum_counts_from_the_opening_and_the_last_rate_that_held_fills_it_up() {
    let minimum = Span::from_secs(60);
    let rates = &[(0, 3_600 * 100), (30_000, 3_600 * 10)];
    let full = Window {
        minimum,
        ..window(rates, Some(30_000))
    };
    assert_eq!(full.total(), 6_000, "the lower rate never held");
    let stopped = Window {
        minimum,
        ..window(rates, Some(40_000))
    };
    assert_eq!(stopped.total(), 30 * 100 + 30 * 10);
    let later = Window {
        minimum,
        ..window(&[(0, 3_600), (600_000, 3_600 * 100)], Some(601_000))
    };
    assert_eq!(later.total(), 600 + 100, "no second minimum after a start");
}

#[test]
fn an_open_window_costs_what_it_would_cost_if_it_ended_now() {
    let open = Window {
        minimum: Span::from_secs(60),
        ..window(&[(0, 3_600 * 100)], None)
    };
    assert_eq!(open.cost(at(-1)), 0);
    assert_eq!(
        open.cost(at(0)),
        6_000,
        "the minimum is owed from the start"
    );
    assert_eq!(open.cost(at(59_999)), 6_000);
    assert_eq!(open.cost(at(61_000)), 6_100);
    assert_eq!(open.as_of(at(-5)).total(), 6_000, "a clock that is behind");
}

#[test]
fn a_segment_that_begins_before_its_predecessor_takes_its_place() {
    let jumped = window(&[(HOUR, 5 * DOLLAR), (0, DOLLAR)], Some(2 * HOUR));
    assert_eq!(jumped.total(), DOLLAR);
    let later = window(
        &[(0, DOLLAR), (2 * HOUR, 5 * DOLLAR), (HOUR, 2 * DOLLAR)],
        Some(3 * HOUR),
    );
    assert_eq!(later.total(), 2 * DOLLAR + 2 * DOLLAR);
    let before = window(&[(HOUR, DOLLAR)], Some(0));
    assert_eq!(before.total(), 0, "an end before the opening");
}

#[test]
fn a_window_may_end_before_its_last_rate_began() {
    let ghost = window(&[(0, DOLLAR), (2 * HOUR, 9 * DOLLAR)], Some(HOUR));
    assert_eq!(ghost.total(), DOLLAR);
    assert_eq!(ghost.cost(at(5 * HOUR)), DOLLAR);
}

#[test]
fn what_the_vendor_says_counts_once_the_window_has_ended() {
    let mut said = window(&[(0, DOLLAR)], Some(HOUR));
    said.billed = Some(700_000);
    assert_eq!(said.total(), 700_000);
    assert_eq!(said.cost(at(HOUR)), 700_000);
    said.until = None;
    assert_eq!(said.cost(at(HOUR / 2)), 700_000, "it is surely owed");
    assert_eq!(said.cost(at(HOUR)), DOLLAR, "and the clock goes on");
    said.void = true;
    assert_eq!(said.cost(at(HOUR)), 0);
    assert_eq!(said.total(), 0);
}

#[test]
fn a_window_without_a_rate_costs_nothing() {
    let none = window(&[], None);
    assert_eq!((none.cost(at(HOUR)), none.total()), (0, 0));
    assert_eq!(none.rate(), 0);
    assert!(window(&[(0, 1)], None).is_open());
    assert!(!window(&[(0, 1)], Some(1)).is_open());
}

#[test]
fn only_a_higher_rate_takes_over_from_a_lower_one() {
    let open = window(&[(0, DOLLAR)], None);
    assert_eq!(open.at_least(DOLLAR, at(HOUR)), open);
    let dearer = open.at_least(3 * DOLLAR, at(HOUR));
    assert_eq!(dearer.cost(at(2 * HOUR)), 4 * DOLLAR);
}

#[test]
fn rates_that_no_vendor_has_end_at_the_top() {
    let dear = window(&[(0, u64::MAX), (1, u64::MAX)], Some(i64::MAX));
    assert_eq!(dear.total(), u64::MAX);
}

#[test]
fn a_period_gets_its_time_and_the_last_one_what_only_the_end_tells() {
    let mut ended = window(&[(0, DOLLAR)], Some(HOUR + HOUR / 2));
    ended.step = Span::from_secs(3_600);
    let first = |window: &Window| window.cost_between(at(i64::MIN), at(HOUR));
    let last = |window: &Window| window.cost_between(at(HOUR), at(2 * HOUR));
    assert_eq!((first(&ended), last(&ended)), (DOLLAR, DOLLAR));
    ended.billed = Some(3 * DOLLAR);
    assert_eq!((first(&ended), last(&ended)), (DOLLAR, 2 * DOLLAR));
    // A lower bill takes from the end, and where that is not enough from before.
    ended.billed = Some(DOLLAR + 1);
    assert_eq!((first(&ended), last(&ended)), (DOLLAR, 1));
    ended.billed = Some(DOLLAR / 4);
    assert_eq!((first(&ended), last(&ended)), (DOLLAR / 4, 0));
    ended.void = true;
    assert_eq!((first(&ended), last(&ended)), (0, 0));
}

#[test]
fn an_end_at_midnight_belongs_to_the_day_that_begins() {
    let ended = Window {
        step: Span::from_secs(3_600),
        ..window(&[(0, DOLLAR)], Some(HOUR / 2))
    };
    let midnight = at(HOUR / 2);
    assert_eq!(ended.cost_between(at(0), midnight), DOLLAR / 2);
    assert_eq!(ended.cost_between(midnight, at(HOUR)), DOLLAR / 2);
    let at_once = Window {
        minimum: Span::from_secs(3_600),
        ..window(&[(0, DOLLAR)], Some(0))
    };
    assert_eq!(at_once.cost_between(at(-HOUR), at(0)), 0);
    assert_eq!(at_once.cost_between(at(0), at(HOUR)), DOLLAR);
}

fn any_window() -> impl Strategy<Value = Window> {
    let segment = (-1_000..2_000_000_i64, 0..20_000_000_u64);
    (
        proptest::collection::vec(segment, 0..5),
        proptest::option::of(-1_000..3_000_000_i64),
        prop_oneof![Just(0), Just(60_000), 0..900_000_i64],
        prop_oneof![
            Just(0),
            Just(1),
            Just(1_000),
            Just(3_600_000),
            0..900_000_i64
        ],
        proptest::option::of(0..10_000_000_u64),
        proptest::bool::weighted(0.1),
    )
        .prop_map(|(segments, until, minimum, step, billed, void)| Window {
            minimum: Span::from_ms(minimum),
            step: Span::from_ms(step),
            billed,
            void,
            ..window(&segments, until)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn consecutive_periods_add_up_to_the_whole(
        window in any_window(),
        now in -2_000..4_000_000_i64,
        mut cuts in proptest::collection::vec(-5_000..4_000_000_i64, 0..8),
    ) {
        let window = window.as_of(at(now));
        cuts.sort_unstable();
        let ends = [&[i64::MIN], cuts.as_slice(), &[i64::MAX]].concat();
        let parts = ends.windows(2).map(|pair| window.cost_between(at(pair[0]), at(pair[1])));
        prop_assert_eq!(parts.sum::<u64>(), window.total());
    }

    #[test]
    fn more_time_never_costs_less(
        segments in proptest::collection::vec((0..2_000_000_i64, 0..20_000_000_u64), 1..5),
        step in 0..900_000_i64,
        cuts in (0..3_000_000_i64, 0..3_000_000_i64),
    ) {
        let open = Window { step: Span::from_ms(step), ..window(&segments, None) };
        let (first, second) = (cuts.0.min(cuts.1), cuts.0.max(cuts.1));
        // What is spent by the clock is never taken back; what an end would add may shrink with the rate.
        let spent = |to: i64| open.cost_between(at(i64::MIN), at(to));
        prop_assert!(spent(first) <= spent(second));
        prop_assert!(spent(first) <= open.cost(at(second)));
    }

    #[test]
    fn the_sum_is_the_one_of_every_single_millisecond(
        segments in proptest::collection::vec((0..300_i64, 0..20_000_000_u64), 1..5),
        until in 0..300_i64,
    ) {
        let total = window(&segments, Some(until)).total();
        let (mut parts, mut moment) = (0_u128, segments[0].0);
        while moment < until {
            // The last segment in the list that has begun, counting a late one as begun with those behind it.
            let mut begun = segments[0].0;
            let mut rate = segments[0].1;
            for (from, next) in &segments[1..] {
                begun = begun.max(*from);
                if begun <= moment {
                    rate = *next;
                }
            }
            parts += u128::from(rate);
            moment += 1;
        }
        prop_assert_eq!(u128::from(total), (parts + 1_800_000) / 3_600_000);
    }
}
