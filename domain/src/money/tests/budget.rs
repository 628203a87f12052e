use crate::civil::Civil;
use crate::money::{
    Bounds, Budget, Crossing, Denied, Dollars, Period, Scope, Usage, Watch, decide,
};
use crate::time::{Span, Timestamp};

const DOLLAR: u64 = 1_000_000;

fn day(year: i64, month: i64, day: i64) -> Timestamp {
    let date = Civil {
        year,
        month,
        day,
        ..Civil::default()
    };
    date.moment().unwrap()
}

fn budget(period: Period, cap: u64, thresholds: &[u8]) -> Budget {
    Budget {
        period,
        cap: Some(cap),
        target: None,
        thresholds: thresholds.to_vec(),
    }
}

#[test]
fn dollars_are_exact_and_have_two_decimals_at_least() {
    for (microusd, words) in [
        (0, "$0.00"),
        (12_500_000, "$12.50"),
        (123, "$0.000123"),
        (1_000_010, "$1.00001"),
        (999_999, "$0.999999"),
        (u64::MAX, "$18446744073709.551615"),
    ] {
        assert_eq!(Dollars(microusd).to_string(), words);
    }
}

#[test]
fn a_scope_is_read_as_it_is_written() {
    for text in ["organisation", "project/a/b", "project/ü", "key/k1"] {
        assert_eq!(Scope::parse(text).unwrap().to_string(), text);
    }
    for text in [
        "",
        "organisation/",
        "project",
        "project/",
        "key/",
        "org",
        "vendor/x",
        "/x",
    ] {
        assert_eq!(Scope::parse(text), None, "{text}");
    }
}

#[test]
fn days_and_months_are_those_of_utc() {
    let noon = day(2026, 12, 31) + Span::from_secs(12 * 3600);
    let bounds = |from, to| Bounds { from, to };
    assert_eq!(
        Period::Day.bounds(noon),
        bounds(day(2026, 12, 31), day(2027, 1, 1))
    );
    assert_eq!(
        Period::Month.bounds(noon),
        bounds(day(2026, 12, 1), day(2027, 1, 1))
    );
    assert_eq!(
        Period::Month.bounds(day(2028, 2, 29)),
        bounds(day(2028, 2, 1), day(2028, 3, 1))
    );
    let first = day(2026, 11, 1);
    assert_eq!(Period::Month.bounds(first).from, first);
    assert_eq!(Period::Day.bounds(first).from, first);
    let last = first - Span::from_ms(1);
    assert_eq!(Period::Month.bounds(last).to, first);
    assert_eq!(
        Period::Total.bounds(first),
        bounds(Timestamp::from_ms(i64::MIN), Timestamp::from_ms(i64::MAX))
    );
}

#[test]
fn what_fits_to_the_micro_dollar_is_let_through_and_one_more_is_not() {
    let (organisation, project) = (Scope::Organisation, Scope::Project("p".to_owned()));
    let (wide, narrow) = (
        budget(Period::Month, 10 * DOLLAR, &[]),
        budget(Period::Day, 2 * DOLLAR, &[]),
    );
    let usage = Usage {
        spent: DOLLAR,
        held: DOLLAR / 2,
    };
    let both = [(&organisation, &wide, usage), (&project, &narrow, usage)];
    assert_eq!(decide(both, DOLLAR / 2), Ok(()));
    let denied = Denied {
        which: project.clone(),
        period: Period::Day,
        cap: 2 * DOLLAR,
        spent: DOLLAR,
        held: DOLLAR / 2,
        needed: DOLLAR / 2 + 1,
    };
    assert_eq!(decide(both, DOLLAR / 2 + 1), Err(denied.clone()));
    assert_eq!(
        denied.to_string(),
        "the budget of `project/p` is $2.00 a day: $1.00 is spent and $0.50 held for what runs, so $0.50 is \
         left and this takes $0.500001; raise the budget or end what runs under it"
    );
}

#[test]
fn a_budget_without_a_cap_binds_nobody_and_one_that_is_overdrawn_lets_nothing_through() {
    let only_warns = Budget {
        cap: None,
        target: Some(DOLLAR),
        ..budget(Period::Total, 0, &[50])
    };
    let usage = Usage {
        spent: u64::MAX,
        held: u64::MAX,
    };
    assert_eq!(
        decide([(&Scope::Organisation, &only_warns, usage)], u64::MAX),
        Ok(())
    );
    assert_eq!(usage.committed(), u64::MAX);
    let capped = budget(Period::Total, DOLLAR, &[]);
    let denied = decide([(&Scope::Organisation, &capped, usage)], 0).unwrap_err();
    assert_eq!(denied.left(), 0);
}

#[test]
fn a_percentage_is_reached_with_the_whole_micro_dollar() {
    assert_eq!(budget(Period::Day, 1_000, &[]).amount(50), Some(500));
    assert_eq!(budget(Period::Day, 999, &[]).amount(50), Some(500));
    let target = Budget {
        cap: None,
        target: Some(200),
        ..budget(Period::Day, 1, &[])
    };
    assert_eq!(target.amount(100), Some(200));
    assert_eq!(
        Budget {
            target: None,
            ..target
        }
        .amount(1),
        None
    );
}

#[test]
fn each_threshold_is_told_once_in_a_period() {
    let budget = budget(Period::Day, 1_000, &[50, 80, 100]);
    let mut now = day(2026, 11, 21);
    let mut watch = Watch::begin(&budget, now);
    assert_eq!(watch.notice(&budget, 499, now), []);
    assert_eq!(watch.next_goal(&budget), Some(500));
    assert_eq!(watch.notice(&budget, 500, now), [Crossing::Threshold(50)]);
    assert_eq!(watch.notice(&budget, 799, now), []);
    assert_eq!(watch.next_goal(&budget), Some(800));
    let rest = [
        Crossing::Threshold(80),
        Crossing::Threshold(100),
        Crossing::Cap,
    ];
    assert_eq!(watch.notice(&budget, 1_000, now), rest);
    assert_eq!(watch.notice(&budget, 9_000, now), []);
    assert_eq!(watch.next_goal(&budget), None);
    now = now + Span::from_ms(86_399_999);
    assert!(!watch.roll(&budget, now));
    now = now + Span::from_ms(1);
    assert!(watch.roll(&budget, now));
    assert_eq!(watch, Watch::begin(&budget, now));
    assert_eq!(watch.notice(&budget, 500, now), [Crossing::Threshold(50)]);
    // A clock that is set back a little tells nothing of the day that is over, and nothing again.
    let back = now - Span::from_secs(3_600);
    assert!(!watch.roll(&budget, back));
    assert_eq!(watch.notice(&budget, 1_000, back), []);
    assert!(!watch.roll(&budget, now));
    assert_eq!(watch.notice(&budget, 500, now), []);
}

#[test]
fn a_clock_that_was_days_ahead_began_no_period() {
    let budget = budget(Period::Day, 1_000, &[50]);
    let today = day(2026, 11, 21);
    let mut watch = Watch::begin(&budget, today);
    assert_eq!(watch.notice(&budget, 600, today), [Crossing::Threshold(50)]);
    assert!(watch.roll(&budget, day(2027, 1, 1)));
    assert!(!watch.roll(&budget, day(2026, 12, 31)));
    assert!(watch.roll(&budget, day(2026, 12, 31) - Span::from_ms(1)));
    assert!(watch.roll(&budget, today));
    assert_eq!(watch, Watch::begin(&budget, today));
}

#[test]
fn a_budget_for_ever_never_begins_anew() {
    let budget = budget(Period::Total, 1_000, &[50]);
    let now = day(2026, 1, 1);
    let mut watch = Watch::begin(&budget, now);
    assert_eq!(watch.notice(&budget, 600, now), [Crossing::Threshold(50)]);
    assert!(!watch.roll(&budget, day(2036, 1, 1)));
    assert_eq!(watch.next_goal(&budget), Some(1_000));
}

#[test]
fn the_time_to_a_goal_is_rounded_up() {
    let usage = Usage {
        spent: 10,
        held: 99,
    };
    assert_eq!(usage.time_to(10, 0), Some(Span::ZERO));
    assert_eq!(usage.time_to(9, 5), Some(Span::ZERO));
    assert_eq!(usage.time_to(11, 0), None);
    assert_eq!(usage.time_to(11, DOLLAR), Some(Span::from_ms(4)));
    assert_eq!(
        usage.time_to(10 + DOLLAR, DOLLAR),
        Some(Span::from_secs(3_600))
    );
    assert_eq!(usage.time_to(u64::MAX, 1), Some(Span::from_ms(i64::MAX)));
}
