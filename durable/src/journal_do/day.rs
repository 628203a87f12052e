//! The days that name journals.

use tidegate_domain::time::{Span, Timestamp};

use crate::bindings::journal::start_of_day;

/// A UTC day.
pub const DAY: Span = Span::from_secs(24 * 3600);

/// The first moment of the day that a journal is called after; nothing for a name that no journal has.
pub fn start_of(day: &str) -> Option<Timestamp> {
    start_of_day(day).filter(|start| start.as_ms() >= 0)
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
