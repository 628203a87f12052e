//! Who has used a rented GPU: a request's share is `rate × lease time ÷ max_concurrency`.
//!
//! Invariant: `Σ shares ≤ cost of the window`, at every moment, and `shares + idle = cost` once it is split.
//! Shares are whole micro-dollars, rounded down; the fraction that is left is carried to the same payer's next
//! share. It lives in memory only, so an eviction gives less than one micro-dollar a payer to `idle`. More
//! than `max_concurrency` leases at once (a panic request, a capacity that was lowered) would use more than
//! there is: whoever comes when the window is used up pays nothing.
//!
//! The clipping rule of [`split`]: where shares are more than a window cost (a bill that was lower, a window
//! that turned out void) each is cut in proportion and rounded down, and what rounding leaves is idle.

use std::collections::BTreeMap;

use super::HOUR_MS;
use crate::time::Span;

/// Use of a GPU by one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTime {
    /// How long it held its place.
    pub lease: Span,
    /// What the GPU cost an hour meanwhile, in micro-dollars.
    pub microusd_per_hour: u64,
    /// How many places there are; none counts as one.
    pub max_concurrency: u32,
}

/// A part of a micro-dollar: so many of so many parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fraction {
    parts: u128,
    of: u128,
}

/// The shares of one cost window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareMeter {
    shares: BTreeMap<String, u64>,
    sum: u64,
    fractions: BTreeMap<String, Fraction>,
}

impl ShareMeter {
    /// As it was stored.
    pub fn restore(shares: BTreeMap<String, u64>) -> Self {
        let sum = shares
            .values()
            .fold(0, |sum, share| share.saturating_add(sum));
        Self {
            shares,
            sum,
            fractions: BTreeMap::new(),
        }
    }

    /// Micro-dollars since the window opened, by payer: what is stored and stated.
    pub const fn shares(&self) -> &BTreeMap<String, u64> {
        &self.shares
    }

    /// All of them together.
    pub const fn total(&self) -> u64 {
        self.sum
    }

    /// Adds what a request has used. `window_cost` is what the window costs at this moment
    /// ([`super::Window::cost`]), in micro-dollars.
    pub fn add(&mut self, payer: &str, used: LeaseTime, window_cost: u64) {
        let of = HOUR_MS * u128::from(used.max_concurrency.max(1));
        let ms = u128::from(used.lease.as_ms().unsigned_abs());
        let carried = self
            .fractions
            .get(payer)
            .map_or(0, |left| left.in_parts(of));
        // At most 2^64 × 2^63 and a fraction that is below 2^54.
        let parts = u128::from(used.microusd_per_hour) * ms + carried;
        let room = window_cost.saturating_sub(self.sum);
        let share = u64::try_from(parts / of).map_or(room, |share| share.min(room));
        let left = Fraction {
            parts: parts % of,
            of,
        };
        self.fractions.insert(payer.to_owned(), left);
        if share > 0 {
            let so_far = self.shares.entry(payer.to_owned()).or_default();
            *so_far = so_far.saturating_add(share);
            self.sum = self.sum.saturating_add(share);
        }
    }
}

impl Fraction {
    /// In parts of another size, rounded down.
    const fn in_parts(self, of: u128) -> u128 {
        self.parts * of / self.of
    }
}

/// What became of a window's cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// By payer, in micro-dollars; who has nothing is left out.
    pub shares: BTreeMap<String, u64>,
    /// What nobody used.
    pub idle: u64,
}

/// Shares of a window that cost so much: as they are if they fit, else cut in proportion.
pub fn split(shares: &BTreeMap<String, u64>, cost: u64) -> Split {
    let sum: u128 = shares.values().map(|share| u128::from(*share)).sum();
    let cut = |share: u64| {
        if sum <= u128::from(cost) {
            return share;
        }
        let part = u128::from(share) * u128::from(cost) / sum;
        u64::try_from(part).unwrap_or(cost)
    };
    let shares: BTreeMap<String, u64> = shares
        .iter()
        .map(|(payer, share)| (payer.clone(), cut(*share)))
        .filter(|(_, share)| *share > 0)
        .collect();
    let used = shares.values().sum::<u64>();
    Split {
        idle: cost.saturating_sub(used),
        shares,
    }
}
