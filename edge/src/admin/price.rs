//! Dollars as people write them, micro-dollars as we keep them.
//!
//! Invariant: exact. The decimal text is read digit by digit, so no binary fraction ever stands between
//! `0.1` and 100,000 micro-dollars; what cannot be kept exactly is refused.

use serde_json::value::RawValue;

/// A micro-dollar is the sixth decimal.
const DECIMALS: i64 = 6;

/// Why a text is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceRefused {
    /// Neither a number nor a decimal text.
    #[error("must be dollars as a number or a decimal text such as \"1.25\"")]
    NotDecimal,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// Digits behind the sixth decimal.
    #[error("must not have more than six decimals: micro-dollars are the smallest unit kept")]
    TooFine,
    /// More than 18 trillion dollars.
    #[error("is more than can be kept")]
    TooLarge,
}

/// Reads a JSON number or text.
pub fn microusd(value: &RawValue) -> Result<u64, PriceRefused> {
    let spelled = value.get();
    if spelled.starts_with('"') {
        let text: String = serde_json::from_str(spelled).map_err(|_| PriceRefused::NotDecimal)?;
        return decimal(&text);
    }
    decimal(spelled)
}

/// Writes micro-dollars as dollars, in the form that [`microusd`] reads.
pub fn dollars(microusd: u64) -> String {
    let (whole, rest) = (microusd / 1_000_000, microusd % 1_000_000);
    if rest == 0 {
        return whole.to_string();
    }
    let text = format!("{whole}.{rest:06}");
    text.trim_end_matches('0').to_owned()
}

/// Writes a balance, which may be negative.
pub fn signed_dollars(microusd: i64) -> String {
    let text = dollars(microusd.unsigned_abs());
    if microusd < 0 {
        format!("-{text}")
    } else {
        text
    }
}

/// Reads a decimal text.
pub fn decimal(text: &str) -> Result<u64, PriceRefused> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    // Exponents are no affectation: Python writes 0.000001 as 1e-06.
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(PriceRefused::NotDecimal),
        None => (mantissa, ""),
    };
    let digits: String = [whole, fraction].concat();
    if whole.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Err(PriceRefused::NotDecimal);
    }
    let exponent: i32 = exponent.parse().map_err(|_| PriceRefused::NotDecimal)?;
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    if negative {
        return Err(PriceRefused::Negative);
    }
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let dropped = length(&digits) - length(digits.trim_end_matches('0'));
    // significant × 10^shift micro-dollars.
    let shift = i64::from(exponent) - length(fraction) + dropped + DECIMALS;
    let shift = u32::try_from(shift).map_err(|_| {
        if shift < 0 {
            PriceRefused::TooFine
        } else {
            PriceRefused::TooLarge
        }
    })?;
    let number: u64 = significant.parse().map_err(|_| PriceRefused::TooLarge)?;
    10_u64
        .checked_pow(shift)
        .and_then(|factor| number.checked_mul(factor))
        .ok_or(PriceRefused::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<u64, PriceRefused> {
        microusd(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn numbers_and_texts_are_read_to_the_micro_dollar() {
        for (json, microusd) in [
            ("0", 0),
            ("-0.0", 0),
            ("0.1", 100_000),
            ("0.29", 290_000),
            ("1.005", 1_005_000),
            ("\"2.345678\"", 2_345_678),
            ("1e-06", 1),
            ("1.50E+1", 15_000_000),
            ("12.340000000000000000000000", 12_340_000),
            ("18446744073709.551615", u64::MAX),
            ("0e999", 0),
        ] {
            assert_eq!(read(json), Ok(microusd), "{json}");
        }
    }

    #[test]
    fn a_balance_may_be_negative() {
        assert_eq!(signed_dollars(-1_250_000), "-1.25");
        assert_eq!(signed_dollars(0), "0");
        assert_eq!(signed_dollars(i64::MIN), "-9223372036854.775808");
    }

    #[test]
    fn what_cannot_be_kept_exactly_is_refused() {
        for (json, refused) in [
            ("0.0000001", PriceRefused::TooFine),
            ("1e-2147483648", PriceRefused::TooFine),
            ("1e2147483647", PriceRefused::TooLarge),
            ("18446744073709.551616", PriceRefused::TooLarge),
            ("-0.01", PriceRefused::Negative),
            ("true", PriceRefused::NotDecimal),
            ("[1]", PriceRefused::NotDecimal),
            ("\"\"", PriceRefused::NotDecimal),
            ("\"$1\"", PriceRefused::NotDecimal),
            ("\"1,5\"", PriceRefused::NotDecimal),
            ("\".5\"", PriceRefused::NotDecimal),
            ("\"5.\"", PriceRefused::NotDecimal),
            ("\"--1\"", PriceRefused::NotDecimal),
            ("\"NaN\"", PriceRefused::NotDecimal),
            ("\"1e99999999999\"", PriceRefused::NotDecimal),
        ] {
            assert_eq!(read(json), Err(refused), "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_price_is_read_back_as_it_was_written(microusd: u64) {
            let text = dollars(microusd);
            prop_assert_eq!(read(&text), Ok(microusd));
            prop_assert_eq!(read(&format!("\"{text}\"")), Ok(microusd));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+.eE0-9]{0,40}") {
            let _ = decimal(&text);
        }
    }
}
