use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::money::{LeaseTime, Segment, ShareMeter, Split, Window, split};
use crate::time::{Span, Timestamp};

const DOLLAR: u64 = 1_000_000;

fn used(ms: i64, rate: u64, places: u32) -> LeaseTime {
    LeaseTime {
        lease: Span::from_ms(ms),
        microusd_per_hour: rate,
        max_concurrency: places,
    }
}

fn shares(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter()
        .map(|(payer, share)| ((*payer).to_owned(), *share))
        .collect()
}

#[test]
fn a_share_is_rate_times_time_over_places() {
    let mut meter = ShareMeter::default();
    meter.add("key/a", used(3_600_000, 8 * DOLLAR, 4), u64::MAX);
    meter.add("key/b", used(1_800_000, 8 * DOLLAR, 4), u64::MAX);
    meter.add("key/a", used(360, DOLLAR, 0), u64::MAX);
    let expected = shares(&[("key/a", 2_000_100), ("key/b", DOLLAR)]);
    assert_eq!(meter.shares(), &expected);
    assert_eq!(meter.total(), 3_000_100);
}

#[test]
fn fractions_are_carried_until_they_are_whole() {
    let mut meter = ShareMeter::default();
    for _ in 0..1_000 {
        // A third of a micro-dollar each.
        meter.add("key/a", used(1, 3_600_000, 3), u64::MAX);
    }
    assert_eq!(meter.total(), 333);
    meter.add("key/b", used(1, 3_600_000, 3), u64::MAX);
    meter.add("key/b", used(1, 3_600_000, 3), u64::MAX);
    assert_eq!(meter.total(), 333, "each payer has a fraction of its own");
    meter.add("key/a", used(2, 3_600_000, 3), u64::MAX);
    assert_eq!(meter.total(), 334);
    // Another number of places: two thirds in sixths are four.
    meter.add("key/b", used(2, 3_600_000, 6), u64::MAX);
    assert_eq!(meter.total(), 335);
}

#[test]
fn what_is_restored_goes_on_without_its_fraction() {
    let mut meter = ShareMeter::restore(shares(&[("key/a", 7)]));
    meter.add("key/a", used(1, 1_800_000, 1), u64::MAX);
    meter.add("key/a", used(1, 1_800_000, 1), u64::MAX);
    assert_eq!(meter.shares(), &shares(&[("key/a", 8)]));
}

#[test]
fn who_comes_when_the_window_is_used_up_pays_nothing() {
    let mut meter = ShareMeter::default();
    meter.add("key/a", used(3_600_000, 10, 1), 8);
    meter.add("key/b", used(3_600_000, 10, 1), 8);
    assert_eq!(meter.shares(), &shares(&[("key/a", 8)]));
    meter.add("key/b", used(3_600_000, 10, 1), 9);
    assert_eq!(meter.total(), 9);
    meter.add("key/b", used(i64::MAX, u64::MAX, 1), 0);
    assert_eq!(meter.total(), 9);
}

#[test]
fn what_does_not_fit_is_cut_in_proportion_and_the_rest_is_idle() {
    let used = shares(&[("key/a", 60), ("key/b", 30), ("key/c", 0)]);
    let split_at = |cost| split(&used, cost);
    let expected = |a, b, idle| Split {
        shares: shares(&[("key/a", a), ("key/b", b)]),
        idle,
    };
    assert_eq!(split_at(100), expected(60, 30, 10));
    assert_eq!(split_at(90), expected(60, 30, 0));
    assert_eq!(split_at(45), expected(30, 15, 0));
    assert_eq!(split_at(10), expected(6, 3, 1));
    assert_eq!(split_at(0), Split::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Requests of a GPU with a few places, each in one of them, under rates that change.
    #[test]
    fn shares_never_exceed_the_window_and_lack_less_than_a_micro_dollar_a_payer(
        places in 1..6_u32,
        rates in proptest::collection::vec((0..20_000_000_u64, 1..100_000_i64), 1..5),
        cuts in proptest::collection::vec(1..30_000_i64, 1..60),
    ) {
        let mut from = 0;
        let mut segments = Vec::new();
        let mut meter = ShareMeter::default();
        let mut window = Window::default();
        for (n, (rate, lasts)) in rates.into_iter().enumerate() {
            let from_ms = Timestamp::from_ms(from);
            segments.push(Segment { from: from_ms, microusd_per_hour: rate });
            window.segments.clone_from(&segments);
            for place in 0..places {
                // Every place is used without a pause, by one payer after the other.
                let (mut left, mut turn) = (lasts, n + place as usize);
                while left > 0 {
                    let lease = cuts[turn % cuts.len()].min(left);
                    left -= lease;
                    let cost = window.cost(Timestamp::from_ms(from + lasts));
                    meter.add(&format!("key/{}", turn % 7), used(lease, rate, places), cost);
                    prop_assert!(meter.total() <= cost);
                    turn += 1;
                }
            }
            from += lasts;
        }
        let cost = window.cost(Timestamp::from_ms(from));
        let split = split(meter.shares(), cost);
        prop_assert_eq!(&split.shares, meter.shares());
        prop_assert_eq!(meter.total() + split.idle, cost);
        // All places were used all the time: only fractions are idle.
        prop_assert!(split.idle <= 8, "{} idle of {cost}", split.idle);
    }

    #[test]
    fn shares_and_idle_are_the_window_to_the_micro_dollar(
        parts in proptest::collection::btree_map("[a-e]{1,2}", 0..u64::MAX / 64, 0..20),
        cost in prop_oneof![0..1_000_u64, 0..u64::MAX],
    ) {
        let split = split(&parts, cost);
        let used: u64 = split.shares.values().sum();
        prop_assert_eq!(used + split.idle, cost);
        for (payer, share) in &split.shares {
            prop_assert!(*share <= parts[payer]);
        }
        if parts.values().sum::<u64>() <= cost {
            prop_assert_eq!(used, parts.values().sum::<u64>());
        }
    }
}
