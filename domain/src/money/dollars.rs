//! Micro-dollars in words for people.

use core::fmt;

/// Micro-dollars, shown as dollars: `$12.50`, `$0.000123`. Exact, with at least two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dollars(pub u64);

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, mut rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let mut decimals = 6;
        while decimals > 2 && rest.is_multiple_of(10) {
            rest /= 10;
            decimals -= 1;
        }
        write!(f, "${whole}.{rest:0decimals$}")
    }
}
