//! The cloud's own time, and how vendors write it. Invariant: `now` never goes back; all that the cloud
//! tells or meters is in this time.
//!
//! In scope: a clock that tests push forward, and the few date formats of two vendors. Out of scope: the
//! delays themselves ([`crate::settings`]).

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, UTC.
pub type Millis = i64;

const DAY_S: i64 = 86_400;

/// The wall clock, and how far the cloud's own is ahead of it.
#[derive(Debug, Default)]
pub struct Clock {
    ahead_ms: AtomicI64,
    skew_ms: AtomicI64,
}

impl Clock {
    /// The cloud's time.
    pub fn now(&self) -> Millis {
        wall() + self.ahead_ms.load(Ordering::Relaxed)
    }

    /// Lets this much time pass at once.
    pub fn advance(&self, by_ms: u32) {
        self.ahead_ms.fetch_add(i64::from(by_ms), Ordering::Relaxed);
    }

    /// How far ahead of the wall clock the cloud is.
    pub fn ahead_ms(&self) -> i64 {
        self.ahead_ms.load(Ordering::Relaxed)
    }

    /// Sets how wrong the clock is that signatures are held against and that `Date` is written from. It
    /// stays with the wall clock when time is pushed forward: a client cannot follow there.
    pub fn set_skew(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
    }

    /// As [`Self::set_skew`] left it.
    pub fn skew_ms(&self) -> i64 {
        self.skew_ms.load(Ordering::Relaxed)
    }

    /// The time that signatures are held against.
    pub fn signing_now(&self) -> Millis {
        wall() + self.skew_ms()
    }
}

/// The time on the wall.
#[expect(
    clippy::disallowed_methods,
    reason = "a native server whose times are compared with other processes' clocks"
)]
pub fn wall() -> Millis {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The other way round.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month, day, hour, minute, second.
fn parts(at: Millis) -> (i64, i64, i64, i64, i64, i64) {
    let seconds = at.div_euclid(1000);
    let (year, month, day) = civil(seconds.div_euclid(DAY_S));
    let of_day = seconds.rem_euclid(DAY_S);
    (
        year,
        month,
        day,
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
    )
}

/// `2026-06-01T12:00:00Z`, as RunPod writes it.
pub fn rfc3339(at: Millis) -> String {
    let (year, month, day, hour, minute, second) = parts(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `2026-06-01T12:00:00.000Z`, as EC2 writes it: in whole seconds all the same.
pub fn rfc3339_millis(at: Millis) -> String {
    rfc3339(at).replace('Z', ".000Z")
}

/// `2026-06-01 12:00:00 GMT`, as EC2 writes it in the reason of a transition.
pub fn in_reason(at: Millis) -> String {
    let (year, month, day, hour, minute, second) = parts(at);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} GMT")
}

/// `Mon, 01 Jun 2026 12:00:00 GMT`, as in the `Date` of an answer.
pub fn in_date_header(at: Millis) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (year, month, day, hour, minute, second) = parts(at);
    let weekday = at.div_euclid(1000 * DAY_S).rem_euclid(7);
    let name = |names: &[&'static str], index: i64| names[usize::try_from(index).unwrap_or(0)];
    format!(
        "{}, {day:02} {} {year:04} {hour:02}:{minute:02}:{second:02} GMT",
        name(&DAYS, weekday),
        name(&MONTHS, month - 1)
    )
}

/// Reads `20261120T120000Z`, as signatures have it.
pub fn parse_basic(text: &str) -> Option<Millis> {
    let digits = text.strip_suffix('Z')?.replacen('T', "", 1);
    if digits.len() != 14 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    moment(
        &digits[..4],
        &digits[4..6],
        &digits[6..8],
        &digits[8..10],
        &digits[10..12],
        &digits[12..14],
    )
}

/// Reads RFC 3339 in UTC; fractions of a second are cut off.
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    let text = text.strip_suffix('Z').or(text.strip_suffix("+00:00"))?;
    let text = text.split_once('.').map_or(text, |(whole, _)| whole);
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let is_mark = |index: usize| marks.iter().any(|(at, _)| *at == index);
    let fits = bytes.len() == 19
        && bytes.iter().enumerate().all(|(index, byte)| {
            byte.is_ascii_digit() != is_mark(index)
                && (!is_mark(index) || marks.contains(&(index, *byte)))
        });
    if !fits {
        return None;
    }
    moment(
        &text[..4],
        &text[5..7],
        &text[8..10],
        &text[11..13],
        &text[14..16],
        &text[17..19],
    )
}

fn moment(
    year: &str,
    month: &str,
    day: &str,
    hour: &str,
    minute: &str,
    second: &str,
) -> Option<Millis> {
    let [year, month, day, hour, minute, second] =
        [year, month, day, hour, minute, second].map(|text| text.parse::<i64>().unwrap_or(-1));
    let fits = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    let seconds = day_number(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    fits.then_some(seconds * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds from `date --utc --date=… +%s`.
    const KNOWN: [(i64, &str); 5] = [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_825_600, "2000-02-29T12:00:00Z"),
        (1_780_315_200, "2026-06-01T12:00:00Z"),
        (4_107_542_399, "2100-02-28T23:59:59Z"),
    ];

    #[test]
    fn dates_are_written_and_read_as_the_calendar_has_them() {
        for (seconds, text) in KNOWN {
            assert_eq!(rfc3339(seconds * 1000 + 999), text);
            assert_eq!(parse_rfc3339(text), Some(seconds * 1000));
            let basic = text.replace(['-', ':'], "");
            assert_eq!(parse_basic(&basic), Some(seconds * 1000));
        }
        assert_eq!(
            in_date_header(951_825_600_000),
            "Tue, 29 Feb 2000 12:00:00 GMT"
        );
        assert_eq!(in_reason(0), "1970-01-01 00:00:00 GMT");
        assert_eq!(rfc3339_millis(1), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn what_is_no_date_is_not_read() {
        for text in [
            "",
            "2026-06-01",
            "2026-13-01T00:00:00Z",
            "2026-06-01 00:00:00Z",
            "2026-06-01T0a:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        for text in ["", "20261120T1200Z", "20261120T120000", "2026112XT120000Z"] {
            assert_eq!(parse_basic(text), None, "{text}");
        }
    }

    #[test]
    fn pushing_time_forward_leaves_signatures_with_the_wall_clock() {
        let clock = Clock::default();
        clock.advance(3_600_000);
        assert!(clock.now() - wall() >= 3_599_000);
        assert!(clock.signing_now() <= wall());
    }
}
