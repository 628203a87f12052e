//! Dollars as vendors write them, added up exactly.
//!
//! Vendors send binary fractions: `0.1` and `0.2` come as they are, their sum as `0.30000000000000004`. So the
//! decimal text is read digit by digit, sums are kept in units of 10^-12 dollars, and only what comes out at
//! the end is rounded to micro-dollars.
//!
//! Invariant: the result differs from the exact sum by at most half a micro-dollar, plus 10^-12 dollars for
//! each summand that was longer than twelve decimals.

use core::ops::AddAssign;

const DECIMALS: i64 = 12;
const PER_MICRO: u128 = 1_000_000;

/// More digits than this are no sum of money: 10^15 dollars, to twelve decimals.
const MOST_DIGITS: i64 = 15 + DECIMALS;

/// A sum of dollars that is not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars {
    /// In units of 10^-12 dollars.
    pico: u128,
}

impl Dollars {
    /// Reads a decimal text as JSON writes numbers: `0.44`, `1e-05`. Nothing for what is negative, no number, or
    /// 10^15 and more.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let exponent: i32 = exponent.parse().ok()?;
        let digits = [whole, fraction].concat();
        let significant = digits.trim_start_matches('0');
        if significant.is_empty() {
            return Some(Self::default());
        }
        // The value is `significant` × 10^shift units.
        let shift = i64::from(exponent) - length(fraction) + DECIMALS;
        let kept = length(significant) + shift;
        if kept > MOST_DIGITS {
            return None;
        }
        // At most 27 digits, so it fits into 128 bits.
        let kept = usize::try_from(kept).unwrap_or(0);
        let digits = significant
            .bytes()
            .chain(core::iter::repeat(b'0'))
            .take(kept);
        let pico = digits.fold(0, |sum, byte| sum * 10 + u128::from(byte - b'0'));
        Some(Self { pico })
    }

    /// So many times as much.
    #[must_use]
    pub const fn times(self, count: u32) -> Self {
        Self {
            pico: self.pico.saturating_mul(count as u128),
        }
    }

    /// In micro-dollars, half of one rounded up; `u64::MAX` for more than fits.
    pub fn microusd(self) -> u64 {
        let rounded = self.pico.saturating_add(PER_MICRO / 2) / PER_MICRO;
        u64::try_from(rounded).unwrap_or(u64::MAX)
    }
}

impl AddAssign for Dollars {
    fn add_assign(&mut self, other: Self) {
        self.pico = self.pico.saturating_add(other.pico);
    }
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micro(text: &str) -> Option<u64> {
        Dollars::parse(text).map(Dollars::microusd)
    }

    #[test]
    fn prices_are_read_to_the_micro_dollar() {
        for (text, microusd) in [
            ("0", 0),
            ("0.0", 0),
            ("0.44", 440_000),
            ("0.1", 100_000),
            ("0.30000000000000004", 300_000),
            ("0.4399999976158142", 440_000),
            ("12.34", 12_340_000),
            ("1.5E+1", 15_000_000),
            ("1e-06", 1),
            ("4.9e-07", 0),
            ("5e-07", 1),
            ("1e-400", 0),
            ("0e999", 0),
            ("0.5260000000", 526_000),
            ("999999999999999.9", u64::MAX),
        ] {
            assert_eq!(micro(text), Some(microusd), "{text}");
        }
    }

    #[test]
    fn what_is_no_price_is_none() {
        for text in [
            "",
            "-0.1",
            "-0",
            "+1",
            ".5",
            "5.",
            "NaN",
            "null",
            "\"1\"",
            "1,5",
            "1e",
            "1e1.5",
            "1e15",
            "1e2147483647",
            "1e99999999999",
            "0x10",
            " 1",
        ] {
            assert_eq!(micro(text), None, "{text}");
        }
    }

    #[test]
    fn sums_are_rounded_once() {
        let mut sum = Dollars::default();
        for _ in 0..10 {
            sum += Dollars::parse("0.00000025").unwrap();
        }
        // Each alone would have been nothing.
        assert_eq!(sum.microusd(), 3);
        assert_eq!(Dollars::parse("0.0000004").unwrap().times(8).microusd(), 3);
    }

    proptest! {
        #[test]
        fn every_micro_dollar_is_read_as_it_is_written(microusd in 0_u64..1_000_000_000_000_000) {
            let text = format!("{}.{:06}", microusd / 1_000_000, microusd % 1_000_000);
            prop_assert_eq!(micro(&text), Some(microusd));
            prop_assert_eq!(micro(&format!("{microusd}e-6")), Some(microusd));
            prop_assert_eq!(micro(&format!("{text}00000000049")), Some(microusd));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+.eE0-9]{0,60}") {
            let _ = micro(&text);
        }
    }
}
