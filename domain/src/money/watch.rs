//! What has been told of a budget in its period: each threshold once, and once that its cap is reached.
//!
//! Invariant: `told` grows within a period and is empty at its beginning. A clock that is set back a little
//! goes through the end of a period twice, and nothing is told of that time; one that is set back by more than
//! a day was ahead before, and what it began there was no period.

use super::Budget;
use crate::time::{Span, Timestamp};

/// Hosts agree on the time within seconds. Whoever is a day ahead was wrong.
const CLOCK_SLACK: Span = Span::from_secs(24 * 3600);

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

    /// Goes on to the period of `now`, if that is another one. Whether it did.
    pub fn roll(&mut self, budget: &Budget, now: Timestamp) -> bool {
        let from = budget.period.bounds(now).from;
        let is_behind = from < self.from && now + CLOCK_SLACK >= self.from;
        if from == self.from || is_behind {
            return false;
        }
        *self = Self::begin(budget, now);
        true
    }

    /// What has to be told now that so much is spent in the period of `now`.
    pub fn notice(&mut self, budget: &Budget, spent: u64, now: Timestamp) -> Vec<Crossing> {
        let mut found = Vec::new();
        if now < self.from {
            return found;
        }
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
