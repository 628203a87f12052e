//! When a message was signed: seconds since the epoch, in decimal digits and nothing else.

/// How far a sender's clock may be from ours, either way.
pub const TOLERANCE_SECS: i64 = 300;

/// Twelve digits last for 30,000 years.
const MOST_DIGITS: usize = 12;

/// Reads the header. Signs, blanks, leading zeros and digits of other scripts are not taken: the text is
/// signed as it stands, and a number has one text.
pub(crate) fn read(text: &str) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = (1..=MOST_DIGITS).contains(&text.len()) && is_plain;
    let is_shortest = text == "0" || !text.starts_with('0');
    if !fits || !is_shortest {
        return None;
    }
    text.parse().ok()
}

/// Whether a moment is now, as far as clocks agree.
pub(crate) fn is_now(now: i64, then: i64) -> bool {
    now.abs_diff(then) <= TOLERANCE_SECS.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_decimal_numbers_are_read() {
        assert_eq!(read("1614265330"), Some(1_614_265_330));
        assert_eq!(read("0"), Some(0));
        for text in [
            "",
            "+1614265330",
            "-1614265330",
            " 1614265330",
            "1614265330 ",
            "01614265330",
            "1614265330.0",
            "1.6e9",
            "0x60",
            "١٦١٤٢٦٥٣٣٠",
            "１６１４２６５３３０",
            "9999999999999",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_tolerance_counts_either_way() {
        assert!(is_now(1_000, 1_300) && is_now(1_300, 1_000) && is_now(5, 5));
        assert!(!is_now(1_000, 1_301) && !is_now(1_301, 1_000));
        assert!(!is_now(i64::MIN, i64::MAX));
    }
}
