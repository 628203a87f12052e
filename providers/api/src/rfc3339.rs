//! Dates and times as vendors write them (RFC 3339), to and from milliseconds since the epoch.
//!
//! Invariant: what is written is read back the same. What is read strictly follows the RFC's grammar and names
//! a moment that exists; a leap second is none, since no vendor's meter counts one.
//!
//! In scope: `2026-11-20T12:00:00.5Z` and its like. Out of scope: calendars for people, which are the domain's.

const DAY_MS: i64 = 86_400_000;

/// The moment, in milliseconds since the epoch; nothing for any other text. Digits behind the millisecond are
/// dropped.
pub fn parse(text: &str) -> Option<i64> {
    let mut rest = text.as_bytes();
    let year = number(&mut rest, 4)?;
    literal(&mut rest, b"-")?;
    let month = number(&mut rest, 2)?;
    literal(&mut rest, b"-")?;
    let day = number(&mut rest, 2)?;
    literal(&mut rest, b"Tt")?;
    let hour = number(&mut rest, 2)?;
    literal(&mut rest, b":")?;
    let minute = number(&mut rest, 2)?;
    literal(&mut rest, b":")?;
    let second = number(&mut rest, 2)?;
    let ms = fraction(&mut rest)?;
    let offset_minutes = offset(&mut rest)?;
    if !rest.is_empty() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_epoch(year, month, day)?;
    let seconds = (hour * 60 + minute - offset_minutes) * 60 + second;
    Some(days * DAY_MS + seconds * 1000 + ms)
}

/// `2026-11-20T12:00:00Z`, to the whole second before; nothing outside of the years 0 to 9999.
pub fn write(at_ms: i64) -> Option<String> {
    let (year, month, day) = civil(at_ms.div_euclid(DAY_MS));
    let seconds = at_ms.rem_euclid(DAY_MS) / 1000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    (0..=9999)
        .contains(&year)
        .then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

fn number(rest: &mut &[u8], digits: usize) -> Option<i64> {
    let (number, after) = rest.split_at_checked(digits)?;
    *rest = after;
    number.iter().try_fold(0, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        Some(sum * 10 + digit)
    })
}

fn literal(rest: &mut &[u8], one_of: &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    one_of.contains(first).then_some(*first)
}

fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let Some(after) = rest.strip_prefix(b".") else {
        return Some(0);
    };
    let length = after
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, after) = after.split_at_checked(length)?;
    *rest = after;
    let padded = digits.iter().chain(b"00").take(3);
    let ms = padded.fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    (length > 0).then_some(ms)
}

/// Minutes east of Greenwich.
fn offset(rest: &mut &[u8]) -> Option<i64> {
    let sign = match literal(rest, b"Zz+-")? {
        b'+' => 1,
        b'-' => -1,
        _ => return Some(0),
    };
    let hour = number(rest, 2)?;
    literal(rest, b":")?;
    let minute = number(rest, 2)?;
    (hour <= 23 && minute <= 59).then_some(sign * (hour * 60 + minute))
}

/// After Howard Hinnant's `days_from_civil` (public domain algorithm): years start in March so that the leap
/// day comes last, and 400 of them are 146,097 days.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted_year = year - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    // Taken apart again it is the same, unless the month has no such day.
    (civil(days) == (year, month, day)).then_some(days)
}

/// The other way round, `civil_from_days`.
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = (shifted_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_read_with_fractions_and_offsets() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-20T12:00:00Z", 1_795_176_000_000),
            ("2026-11-20t12:00:00z", 1_795_176_000_000),
            ("2026-11-20T12:00:00.5Z", 1_795_176_000_500),
            ("2026-11-20T12:00:00.123456789Z", 1_795_176_000_123),
            ("2026-11-20T13:30:00+01:30", 1_795_176_000_000),
            ("2026-11-20T04:00:00.000-08:00", 1_795_176_000_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("1969-12-31T23:59:59Z", -1000),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn other_texts_and_moments_that_do_not_exist_are_none() {
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T12:00:00",
            "2026-11-20 12:00:00Z",
            "2026-11-20T12:00:00.Z",
            "2026-11-20T12:00:00Z ",
            "2026-11-20T12:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+0100",
            "+026-01-01T00:00:00Z",
            "２026-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(write(i64::MAX / 2), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in -62_167_219_200_i64..253_402_300_800) {
            let text = write(seconds * 1000 + 999).unwrap();
            prop_assert_eq!(parse(&text), Some(seconds * 1000), "{}", text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-0-9TZ:.+]{0,40}", ms: i64) {
            let _ = parse(&text);
            let _ = write(ms);
        }
    }
}
