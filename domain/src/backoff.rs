//! Growing pauses and the spread that keeps many servers from acting in the same instant.
//!
//! Invariant: `exponential(base, cap, n) <= cap` and `0 < jitter(salt, n, most) <= most` for `most > 0`.
//! Jitter comes from a salt fixed per server and a count, not from a random number: a replay of the
//! same events gives the same times.

use crate::mix::mix;
use crate::time::Span;

/// `base` doubled `n` times, at most `cap`.
pub fn exponential(base: Span, cap: Span, n: u32) -> Span {
    // 2^40 ms is 35 years, beyond any cap; stopping there keeps the shift in range.
    let factor = 1_i64 << n.min(40);
    base.times(factor).min(cap)
}

/// A span between one millisecond and `most`, the same for the same salt and count.
pub fn jitter(salt: u64, n: u64, most: Span) -> Span {
    let most_ms = u64::try_from(most.as_ms()).unwrap_or(0);
    if most_ms == 0 {
        return Span::ZERO;
    }
    let drawn = mix(salt ^ mix(n)) % most_ms;
    Span::from_ms(i64::try_from(drawn).unwrap_or(0)) + Span::from_ms(1)
}

/// A salt for whatever has a name: the same for the same name, on every host.
pub fn salt(name: &str) -> u64 {
    name.bytes()
        .fold(0, |salt, byte| mix(salt ^ u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap() {
        let (base, cap) = (Span::from_secs(1), Span::from_secs(60));
        let pauses: Vec<i64> = (0..8)
            .map(|n| exponential(base, cap, n).as_secs_ceil())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(exponential(base, cap, u32::MAX), cap);
    }

    #[test]
    fn jitter_is_never_zero_never_more_than_asked_and_repeatable() {
        let most = Span::from_secs(3);
        for salt in 0..1_000 {
            let drawn = jitter(salt, 1, most);
            assert!(drawn > Span::ZERO && drawn <= most);
            assert_eq!(drawn, jitter(salt, 1, most));
        }
        assert_eq!(jitter(7, 1, Span::ZERO), Span::ZERO);
    }

    #[test]
    fn neighbouring_salts_and_counts_spread_over_the_range() {
        let most = Span::from_secs(3);
        let slots = |draws: Vec<Span>| {
            draws
                .iter()
                .map(|d| d.as_ms() / 100)
                .collect::<std::collections::BTreeSet<_>>()
                .len()
        };
        assert!(slots((0..100).map(|salt| jitter(salt, 1, most)).collect()) >= 25);
        assert!(slots((0..100).map(|n| jitter(1, n, most)).collect()) >= 25);
    }

    #[test]
    fn names_that_differ_in_one_letter_have_unlike_salts() {
        assert_eq!(salt("account/acme/a"), salt("account/acme/a"));
        let minutes = |name: String| salt(&name) % 5;
        let drawn: std::collections::BTreeSet<_> =
            (0..30).map(|n| minutes(format!("acc_{n}"))).collect();
        assert_eq!(drawn.len(), 5);
    }
}
