//! Moments in admin JSON: RFC 3339 in UTC with milliseconds, `2026-11-21T02:30:00.000Z`.
//!
//! Invariant: what is written is read back as the same moment. Reading also takes offsets, fractions of
//! any length (cut to milliseconds) and small letters, as RFC 3339 section 5.6 allows; a leap second is
//! refused, because milliseconds since the epoch have no place for it.

use tidegate_domain::civil::Civil;
use tidegate_domain::time::Timestamp;
use tidegate_durable::bindings::journal::{day_of, start_of_day};

/// The text is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a moment such as 2026-11-21T02:30:00Z (RFC 3339, with its offset)")]
pub struct NotAMoment;

/// Writes milliseconds since the epoch.
pub fn moment(at_ms: i64) -> String {
    let Civil {
        hour,
        minute,
        second,
        millisecond,
        ..
    } = Civil::from(Timestamp::from_ms(at_ms));
    let day = day_of(at_ms);
    format!("{day}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// Reads a moment as milliseconds since the epoch.
pub fn read_moment(text: &str) -> Result<i64, NotAMoment> {
    read(text).ok_or(NotAMoment)
}

/// Reads a day, `2026-11-21`, as the first of its milliseconds.
pub fn read_day(text: &str) -> Option<i64> {
    start_of_day(text).map(Timestamp::as_ms)
}

fn read(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let (clock, offset_minutes) = split_offset(time)?;
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, milliseconds(fraction)?),
        None => (clock, 0),
    };
    let mut parts = clock.split(':');
    let hours = digits(parts.next()?, 2).filter(|hours| *hours < 24)?;
    let minutes = digits(parts.next()?, 2).filter(|minutes| *minutes < 60)?;
    let seconds = digits(parts.next()?, 2).filter(|seconds| *seconds < 60)?;
    if parts.next().is_some() {
        return None;
    }
    let minutes = hours * 60 + minutes - offset_minutes;
    Some(read_day(date)? + minutes * 60_000 + seconds * 1000 + fraction)
}

fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let (clock, sign, offset) = match time.rsplit_once('+') {
        Some((clock, offset)) => (clock, 1, offset),
        None => {
            let (clock, offset) = time.rsplit_once('-')?;
            (clock, -1, offset)
        }
    };
    let (hours, minutes) = offset.split_once(':')?;
    let hours = digits(hours, 2).filter(|hours| *hours < 24)?;
    let minutes = digits(minutes, 2).filter(|minutes| *minutes < 60)?;
    Some((clock, sign * (hours * 60 + minutes)))
}

fn milliseconds(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || fraction.bytes().any(|byte| !byte.is_ascii_digit()) {
        return None;
    }
    let digit = |byte: u8| i64::from(byte - b'0');
    Some(
        fraction
            .bytes()
            .map(digit)
            .chain([0, 0])
            .take(3)
            .fold(0, |ms, digit| ms * 10 + digit),
    )
}

fn digits(text: &str, length: usize) -> Option<i64> {
    let plain = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_are_written_in_utc_with_milliseconds() {
        assert_eq!(moment(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(moment(1_795_228_200_042), "2026-11-21T02:30:00.042Z");
        assert_eq!(moment(-1), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn moments_are_read_with_offsets_and_fractions() {
        for text in [
            "2026-11-21T02:30:00.042Z",
            "2026-11-21t02:30:00.0429z",
            "2026-11-21 04:30:00.042+02:00",
            "2026-11-20T21:00:00.042-05:30",
        ] {
            assert_eq!(read_moment(text), Ok(1_795_228_200_042), "{text}");
        }
        assert_eq!(read_moment("2026-11-21T02:30:00.1Z"), Ok(1_795_228_200_100));
        assert_eq!(
            read_moment("2024-02-29T00:00:00Z").map(moment).as_deref(),
            Ok("2024-02-29T00:00:00.000Z")
        );
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T02:30:00",
            "2026-11-21T02:30Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-11-00T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T23:59:60Z",
            "2026-11-21T02:30:00.Z",
            "2026-11-21T02:30:00+2:00",
            "26-11-21T02:30:00Z",
            "2026-11-21T02:30:00ZZ",
            "+026-11-21T02:30:00Z",
            "1795228200",
        ] {
            assert_eq!(read_moment(text), Err(NotAMoment), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_of_ten_thousand_years_comes_back(at_ms in 0_i64..253_402_300_800_000) {
            prop_assert_eq!(read_moment(&moment(at_ms)), Ok(at_ms));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-0-9TZ:.+é ]{0,40}") {
            let _ = read_moment(&text);
        }
    }
}
