//! What a vendor bills for a machine: stretches of time with a rate each.
//!
//! Invariant: moments are whole seconds, begun seconds count, and rates are whole micro-dollars a second, so a
//! bill is exact.

/// A machine's meter.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    stretches: Vec<Stretch>,
    /// The shortest time that a run is billed for.
    minimum_ms: i64,
}

/// A stretch with one rate.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: i64,
    until: Option<i64>,
    microusd_per_hour: u64,
    /// Whether it begins a run, which has a minimum.
    begins: bool,
    /// Whether it is the machine that is billed; else its disk.
    is_full: bool,
}

const HOUR_MS: u64 = 3_600_000;

impl Meter {
    /// One that stands still.
    pub const fn new(minimum_ms: i64) -> Self {
        Self {
            stretches: Vec::new(),
            minimum_ms,
        }
    }

    /// The machine runs from now on.
    pub fn run(&mut self, now: i64, microusd_per_hour: u64) {
        // The begun second is the run's, no longer the disk's.
        self.end(floor(now));
        self.begin(floor(now), microusd_per_hour, true, true);
    }

    /// Another rate holds from now on.
    pub fn change(&mut self, now: i64, microusd_per_hour: u64) {
        self.end(now);
        self.begin(ceil(now), microusd_per_hour, false, true);
    }

    /// Only its disk is billed from now on.
    pub fn idle(&mut self, now: i64, microusd_per_hour: u64) {
        self.end(now);
        self.begin(ceil(now), microusd_per_hour, false, false);
    }

    fn begin(&mut self, from: i64, microusd_per_hour: u64, begins: bool, is_full: bool) {
        let last = self.stretches.last().and_then(|last| last.until);
        self.stretches.push(Stretch {
            from: from.max(last.unwrap_or(from)),
            until: None,
            microusd_per_hour,
            begins,
            is_full,
        });
    }

    /// Nothing is billed from now on.
    pub fn end(&mut self, now: i64) {
        if let Some(last) = self.stretches.last_mut()
            && last.until.is_none()
        {
            last.until = Some(ceil(now).max(last.from));
        }
    }

    /// Whether it grows.
    pub fn is_running(&self) -> bool {
        self.rate() > 0
    }

    /// Whether the machine itself is billed, not its disk alone.
    pub fn is_full(&self) -> bool {
        let last = self.stretches.last();
        last.is_some_and(|last| last.until.is_none() && last.is_full)
    }

    /// What it grows by in an hour, in micro-dollars.
    pub fn rate(&self) -> u64 {
        let last = self.stretches.last();
        let running = last.filter(|last| last.until.is_none());
        running.map_or(0, |running| running.microusd_per_hour)
    }

    /// When the machine last ceased to be billed, or its disk did; nothing while the machine is.
    pub fn down_at(&self) -> Option<i64> {
        let last = self.stretches.last()?;
        match last.until {
            Some(until) => Some(until),
            None => Some(last.from).filter(|_| !last.is_full),
        }
    }

    /// What it shows at a moment, in micro-dollars.
    pub fn cost(&self, at: i64) -> u64 {
        self.cost_between(i64::MIN / 2, at)
    }

    /// What falls into a stretch of time, in micro-dollars; a minimum where it is due.
    pub fn cost_between(&self, from: i64, to: i64) -> u64 {
        let mut sum = 0;
        for (place, stretch) in self.stretches.iter().enumerate() {
            let begin = stretch.from.max(from);
            let end = stretch.until.unwrap_or(to).min(to);
            sum += price(stretch.microusd_per_hour, end - begin);
            if let Some(missing) = self.missing(place)
                && stretch
                    .until
                    .is_some_and(|until| (from..=to).contains(&until))
            {
                sum += price(stretch.microusd_per_hour, missing);
            }
        }
        sum
    }

    /// How much a run that ended with this stretch was shorter than the minimum.
    fn missing(&self, place: usize) -> Option<i64> {
        let stretch = self.stretches.get(place)?;
        let until = stretch.until?;
        let next = self.stretches.get(place + 1);
        let goes_on = next.is_some_and(|next| next.is_full && !next.begins);
        if !stretch.is_full || goes_on {
            return None;
        }
        let run = self.stretches[..=place].iter().rev();
        let begun = run.clone().find(|stretch| stretch.begins)?.from;
        Some(self.minimum_ms - (until - begun)).filter(|missing| *missing > 0)
    }

    /// Whether the minimum has made a difference before the last run: then what the whole cost is more than its
    /// time and one minimum tell.
    pub fn had_short_runs(&self) -> bool {
        let short = (0..self.stretches.len()).filter(|place| self.missing(*place).is_some());
        let runs = self.stretches.iter().filter(|stretch| stretch.begins);
        short.count() > 0 && (runs.count() > 1 || self.stretches.iter().any(|it| !it.is_full))
    }
}

fn price(microusd_per_hour: u64, lasts_ms: i64) -> u64 {
    let ms = u64::try_from(lasts_ms).unwrap_or(0);
    microusd_per_hour * ms / HOUR_MS
}

const fn floor(at: i64) -> i64 {
    at.div_euclid(1_000) * 1_000
}

const fn ceil(at: i64) -> i64 {
    -((-at).div_euclid(1_000)) * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 3_600_000;

    #[test]
    fn begun_seconds_count_and_a_run_costs_its_minimum() {
        let mut meter = Meter::new(60_000);
        meter.run(10_400, RATE);
        assert!(meter.is_running() && meter.is_full());
        meter.idle(20_100, RATE / 10);
        // Eleven seconds, a minimum of sixty, and the disk from then on.
        assert_eq!(meter.cost(21_000), 60_000);
        assert_eq!(meter.cost(31_000), 61_000);
        meter.end(31_000);
        assert_eq!(meter.cost(99_000), 61_000);
        assert!(!meter.is_running() && meter.had_short_runs());
    }

    #[test]
    fn a_price_that_changes_begins_no_other_run() {
        let mut meter = Meter::new(60_000);
        meter.run(0, RATE);
        meter.change(30_000, RATE * 2);
        meter.end(90_000);
        assert_eq!(meter.cost(90_000), 30_000 + 120_000);
        assert_eq!(meter.cost_between(20_000, 40_000), 10_000 + 20_000);
        assert!(!meter.had_short_runs());
    }
}
