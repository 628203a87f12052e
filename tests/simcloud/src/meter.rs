//! What a machine costs. Invariant: whole seconds at whole micro-dollars an hour; nothing is rounded but the
//! sum of a machine, once, half up.
//!
//! A second belongs to the rate at its beginning: a stretch from `a` to `b` milliseconds has
//! `floor(b / 1000) - floor(a / 1000)` seconds. So stretches that follow each other neither share a second nor
//! lose one, and a client that reads times in whole seconds, as both vendors write them, gets the same number.

use serde::Serialize;

use crate::clock::Millis;

/// What is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// The machine itself.
    Full,
    /// Its disk; while it runs also its public address.
    Disk,
}

/// A stretch of time at one rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// What is paid for.
    pub rate: Rate,
    /// Its price.
    pub microusd_per_hour: u64,
    /// From when.
    pub from_ms: Millis,
    /// Until when; `None` while it goes on.
    pub to_ms: Option<Millis>,
    /// Seconds that are billed at least.
    pub minimum_s: u64,
}

impl Stretch {
    /// Seconds billed until then.
    pub fn seconds(&self, until: Millis) -> u64 {
        let end = self.to_ms.map_or(until, |to| to.min(until));
        let whole = end.div_euclid(1000) - self.from_ms.div_euclid(1000);
        if until < self.from_ms {
            return 0;
        }
        u64::try_from(whole).unwrap_or(0).max(self.minimum_s)
    }
}

/// All stretches of one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meter {
    stretches: Vec<Stretch>,
}

impl Meter {
    /// From now on this is paid; what was paid for the same until now ends. A price of 0 opens nothing.
    pub fn open(&mut self, rate: Rate, microusd_per_hour: u64, minimum_s: u64, now: Millis) {
        self.close(rate, now);
        if microusd_per_hour > 0 {
            self.stretches.push(Stretch {
                rate,
                microusd_per_hour,
                from_ms: now,
                to_ms: None,
                minimum_s,
            });
        }
    }

    /// From now on this is not paid.
    pub fn close(&mut self, rate: Rate, now: Millis) {
        for stretch in &mut self.stretches {
            if stretch.rate == rate && stretch.to_ms.is_none() {
                stretch.to_ms = Some(now.max(stretch.from_ms));
            }
        }
    }

    /// The machine never came to be, and nothing is charged for it.
    pub fn void(&mut self) {
        self.stretches.clear();
    }

    /// What is being paid now, an hour.
    pub fn microusd_per_hour(&self, rate: Rate) -> u64 {
        let open = |stretch: &&Stretch| stretch.rate == rate && stretch.to_ms.is_none();
        self.stretches
            .iter()
            .filter(open)
            .map(|stretch| stretch.microusd_per_hour)
            .sum()
    }

    /// Whether anything is being paid.
    pub fn is_running(&self) -> bool {
        self.stretches.iter().any(|stretch| stretch.to_ms.is_none())
    }

    /// All of it.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Seconds billed at this rate until then.
    pub fn seconds(&self, rate: Rate, until: Millis) -> u64 {
        let of_it = self.stretches.iter().filter(|s| s.rate == rate);
        of_it.map(|stretch| stretch.seconds(until)).sum()
    }

    /// Micro-dollars until then.
    pub fn microusd(&self, until: Millis) -> u64 {
        self.rounded(self.stretches.iter(), until)
    }

    /// Micro-dollars until then for one of the rates. The two need not add up to [`Self::microusd`].
    pub fn microusd_of(&self, rate: Rate, until: Millis) -> u64 {
        self.rounded(self.stretches.iter().filter(|s| s.rate == rate), until)
    }

    fn rounded<'a>(&self, stretches: impl Iterator<Item = &'a Stretch>, until: Millis) -> u64 {
        let price = |stretch: &Stretch| {
            u128::from(stretch.microusd_per_hour) * u128::from(stretch.seconds(until))
        };
        let sum: u128 = stretches.map(price).sum();
        u64::try_from((sum + 1800) / 3600).unwrap_or(u64::MAX)
    }
}

/// Hours in the month by which disks are priced: "86,400 seconds/day * 30 day-month" (Amazon EBS pricing).
pub const HOURS_A_MONTH: u64 = 720;

/// What a disk costs an hour, rounded half up.
pub fn disk_rate(gb: u64, microusd_per_gb_month: u64) -> u64 {
    (gb * microusd_per_gb_month + HOURS_A_MONTH / 2) / HOURS_A_MONTH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_of_stretches_that_follow_each_other_are_those_of_the_whole() {
        let mut meter = Meter::default();
        meter.open(Rate::Full, 440_000, 0, 1_999);
        meter.open(Rate::Full, 440_000, 0, 2_001);
        meter.open(Rate::Full, 440_000, 0, 2_998);
        meter.close(Rate::Full, 4_000);
        assert_eq!(meter.seconds(Rate::Full, 10_000), 3);
        assert_eq!(meter.stretches().len(), 3);
    }

    #[test]
    fn only_the_sum_is_rounded_and_half_goes_up() {
        let mut meter = Meter::default();
        // Each second costs half a micro-dollar.
        meter.open(Rate::Full, 1_800, 0, 0);
        assert_eq!(meter.microusd(1_000), 1);
        assert_eq!(meter.microusd(2_000), 1);
        meter.close(Rate::Full, 1_000);
        meter.open(Rate::Disk, 1_800, 0, 1_000);
        meter.close(Rate::Disk, 2_000);
        assert_eq!(meter.microusd(9_000), 1);
        assert_eq!(meter.microusd_of(Rate::Full, 9_000), 1);
        assert_eq!(meter.microusd_of(Rate::Disk, 9_000), 1);
    }

    #[test]
    fn each_start_is_billed_its_minimum() {
        let mut meter = Meter::default();
        for start in [0, 100_000] {
            meter.open(Rate::Full, 3_600, 60, start);
            meter.close(Rate::Full, start + 5_000);
        }
        assert_eq!(meter.microusd(200_000), 120);
        assert_eq!(meter.microusd(50_000), 60);
    }

    #[test]
    fn nothing_is_billed_for_what_costs_nothing_or_never_was() {
        let mut meter = Meter::default();
        meter.open(Rate::Disk, 0, 0, 0);
        assert!(!meter.is_running());
        meter.open(Rate::Full, 1_000_000, 60, 0);
        assert!(meter.is_running());
        meter.void();
        assert_eq!(meter.microusd(3_600_000), 0);
    }

    #[test]
    fn a_disk_costs_by_the_month_of_thirty_days() {
        // 100 GB at $0.08.
        assert_eq!(disk_rate(100, 80_000), 11_111);
        assert_eq!(disk_rate(20, 200_000), 5_556);
    }
}
