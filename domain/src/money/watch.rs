//! What has been told of a budget in its period: each threshold once, and once that its cap is reached.
//!
//! Invariant: `told` grows within a period and is empty at its beginning. Periods only follow each other: a
//! clock that is set back stays in the later one, so nothing is told again.

use super::{Bounds, Budget};
use crate::time::Timestamp;

/// A budget's period, and what was told in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// When the period began.
    pub from: Timestamp,
    /// Percentages that were told, ascending.
    pub told: Vec<u8>,
    /// Whether it was told that the cap is reached.
    pub cap_told: bool,
}

/// Something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// So many percent are spent.
    Threshold(u8),
    /// All of it is spent.
    Cap,
}

impl Watch {
    /// From this moment on.
    pub fn begin(budget: &Budget, now: Timestamp) -> Self {
        Self {
            from: budget.period.bounds(now).from,
            told: Vec::new(),
            cap_told: false,
        }
    }

    /// The period that counts.
    pub fn bounds(&self, budget: &Budget, now: Timestamp) -> Bounds {
        budget.period.bounds(now.max(self.from))
    }

    /// Goes on to the period of `now`, if that is a later one. Whether it did.
    pub fn roll(&mut self, budget: &Budget, now: Timestamp) -> bool {
        if self.bounds(budget, now).from <= self.from {
            return false;
        }
        *self = Self::begin(budget, now);
        true
    }

    /// What has to be told now that so much is spent.
    pub fn notice(&mut self, budget: &Budget, spent: u64) -> Vec<Crossing> {
        let mut found = Vec::new();
        for percent in &budget.thresholds {
            let is_passed = budget.amount(*percent).is_some_and(|goal| spent >= goal);
            if is_passed && !self.told.contains(percent) {
                self.told.push(*percent);
                found.push(Crossing::Threshold(*percent));
            }
        }
        self.told.sort_unstable();
        if !self.cap_told && budget.cap.is_some_and(|cap| spent >= cap) {
            self.cap_told = true;
            found.push(Crossing::Cap);
        }
        found
    }

    /// The next sum, in micro-dollars, at which there is something to tell.
    pub fn next_goal(&self, budget: &Budget) -> Option<u64> {
        let untold = budget
            .thresholds
            .iter()
            .filter(|percent| !self.told.contains(percent))
            .filter_map(|percent| budget.amount(*percent));
        let cap = budget.cap.filter(|_| !self.cap_told);
        untold.chain(cap).min()
    }
}
