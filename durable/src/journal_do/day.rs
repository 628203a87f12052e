//! The days that name journals.

use tidegate_domain::time::{Span, Timestamp};

/// A UTC day.
pub const DAY: Span = Span::from_secs(24 * 3600);

/// The first moment of a UTC day such as `2026-11-21`; nothing for anything else.
pub fn start_of(day: &str) -> Option<Timestamp> {
    let mut parts = day.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day_of_month) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    if !(1970..=9999).contains(&year) {
        return None;
    }
    if !(1..=12).contains(&month) || !(1..=31).contains(&day_of_month) {
        return None;
    }
    // Days from civil date, after Howard Hinnant's `days_from_civil` (public domain algorithm): years
    // start in March so that the leap day comes last, and 400 of them are 146,097 days.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day_of_month - 1;
    let leaps = shifted_year / 4 - shifted_year / 100 + shifted_year / 400;
    let days = 365 * shifted_year + leaps + day_of_year - 719_468;
    let start = Timestamp::from_ms(days * DAY.as_ms());
    // Reading it back refuses the 31st of February and `2026-1-1`: one day has one name.
    (crate::bindings::journal::day_of(start.as_ms()) == day).then_some(start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bindings::journal::day_of;
    use crate::rig::START;

    #[test]
    fn only_real_days_name_a_journal() {
        let start = |day| start_of(day).map(Timestamp::as_ms);
        assert_eq!(start("1970-01-01"), Some(0));
        assert_eq!(start("2028-02-29"), Some(1_835_395_200_000));
        assert_eq!(start("2026-11-21"), Some(START.as_ms() - 10 * 3_600_000));
        for day in [
            "",
            "today",
            "2026-11",
            "2026-1-1",
            "2027-02-29",
            "2026-13-01",
            "2026-11-21-x",
            "-1-1-1",
        ] {
            assert_eq!(start(day), None, "{day}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_lies_within_the_day_that_it_names(at_ms in 0_i64..253_402_300_800_000) {
            let start = start_of(&day_of(at_ms)).unwrap().as_ms();
            prop_assert!((0..86_400_000).contains(&(at_ms - start)));
        }
    }
}
