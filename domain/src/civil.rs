//! Dates and times of day, in UTC: the calendar that vendors, audits and people use.
//!
//! Invariant: what is taken apart and put together again is the same moment, for every year from 0 to 9999.

use crate::time::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// A moment in UTC, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// Anno Domini.
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
    /// From 0.
    pub hour: i64,
    /// From 0.
    pub minute: i64,
    /// From 0, never 60.
    pub second: i64,
    /// From 0.
    pub millisecond: i64,
}

impl From<Timestamp> for Civil {
    fn from(at: Timestamp) -> Self {
        // Days to civil date, after Howard Hinnant's `civil_from_days` (public domain algorithm): years
        // start in March so that the leap day comes last, and 400 of them are 146,097 days.
        let days = at.as_ms().div_euclid(DAY_MS) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = (shifted_month + 2) % 12 + 1;
        let ms = at.as_ms().rem_euclid(DAY_MS);
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: ms / 3_600_000,
            minute: ms / 60_000 % 60,
            second: ms / 1000 % 60,
            millisecond: ms % 1000,
        }
    }
}

impl Civil {
    /// The moment; nothing when there is no such date or time.
    pub fn moment(self) -> Option<Timestamp> {
        let has_sense = (0..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=31).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..60).contains(&self.second)
            && (0..1000).contains(&self.millisecond);
        if !has_sense {
            return None;
        }
        // The other way round, `days_from_civil`.
        let shifted_year = self.year - i64::from(self.month <= 2);
        let era = shifted_year.div_euclid(400);
        let year_of_era = shifted_year.rem_euclid(400);
        let shifted_month = (self.month + 9) % 12;
        let day_of_year = (153 * shifted_month + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let seconds = (self.hour * 60 + self.minute) * 60 + self.second;
        let at = Timestamp::from_ms(days * DAY_MS + seconds * 1000 + self.millisecond);
        // Taken apart again it is the same, unless the month has no such day.
        (Self::from(at) == self).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn civil(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> Civil {
        Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            millisecond: 0,
        }
    }

    #[test]
    fn known_moments() {
        for (ms, expected) in [
            (0, civil(1970, 1, 1, 0, 0, 0)),
            (951_782_400_000, civil(2000, 2, 29, 0, 0, 0)),
            (1_795_176_000_000, civil(2026, 11, 20, 12, 0, 0)),
            (-1000, civil(1969, 12, 31, 23, 59, 59)),
        ] {
            assert_eq!(Civil::from(Timestamp::from_ms(ms)), expected);
            assert_eq!(expected.moment(), Some(Timestamp::from_ms(ms)));
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_no_moment() {
        for wrong in [
            civil(2026, 2, 29, 0, 0, 0),
            civil(2026, 13, 1, 0, 0, 0),
            civil(2026, 0, 1, 0, 0, 0),
            civil(2026, 1, 32, 0, 0, 0),
            civil(2026, 1, 1, 24, 0, 0),
            civil(2026, 1, 1, 0, 0, 60),
            civil(10_000, 1, 1, 0, 0, 0),
            civil(i64::MAX, 1, 1, 0, 0, 0),
            civil(2026, 1, i64::MAX, 0, 0, 0),
            civil(2026, 1, 1, i64::MIN, 0, 0),
        ] {
            assert_eq!(wrong.moment(), None, "{wrong:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_moment_taken_apart_is_put_together_again(ms in -62_167_219_200_000_i64..253_402_300_800_000) {
            let at = Timestamp::from_ms(ms);
            proptest::prop_assert_eq!(Civil::from(at).moment(), Some(at));
        }
    }
}
