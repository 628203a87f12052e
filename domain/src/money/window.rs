//! A cost window: from "create was sent" to "the vendor has confirmed the end", with a segment for each rate.
//!
//! `cost = round(Σ rate × time ÷ 1 h)`, rounded half up once a window. The whole length is rounded up to the
//! vendor's step and raised to its minimum, counted from the opening; the last rate holds for the time that
//! this adds. What the vendor says that it was (`billed`) takes the place of all that, and a void window
//! costs nothing.
//!
//! Invariant: over periods that follow each other without a gap, `Σ cost_between = total`, and no part is
//! negative. What only the end can tell (rounding up, the minimum, a bill that is higher) belongs to the
//! period in which the window ends; a bill that is lower is taken from the end backwards, so that no period
//! is ever given a credit to spend.
//!
//! Clocks jump. A segment that claims to begin before its predecessor begins with it: the order of the list
//! is believed, the predecessor counts nothing, and no time counts twice or less than nothing.

use super::HOUR_MS;
use crate::time::{Span, Timestamp};

/// A rate and since when it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Since when.
    pub from: Timestamp,
    /// Micro-dollars an hour.
    pub microusd_per_hour: u64,
}

/// What is known of a cost window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Its rates in their order; each holds until the next. The first one opens the window.
    pub segments: Vec<Segment>,
    /// When it closed.
    pub until: Option<Timestamp>,
    /// The shortest time that is billed.
    pub minimum: Span,
    /// Time is billed in steps of this; zero for every millisecond.
    pub step: Span,
    /// What the vendor says that it cost, in micro-dollars.
    pub billed: Option<u64>,
    /// There never was a machine.
    pub void: bool,
}

/// Micro-dollars times milliseconds, up to some moment, and the rate that held last.
struct Run {
    parts: u128,
    rate: u64,
}

impl Window {
    /// When it opened; nothing while no rate is known.
    pub fn opened_at(&self) -> Option<Timestamp> {
        self.segments.first().map(|segment| segment.from)
    }

    /// Whether it goes on.
    pub const fn is_open(&self) -> bool {
        !self.void && self.until.is_none()
    }

    /// What it costs an hour now, in micro-dollars.
    pub fn rate(&self) -> u64 {
        let last = self.segments.last();
        last.filter(|_| self.is_open())
            .map_or(0, |segment| segment.microusd_per_hour)
    }

    /// The same, as if it ended at this moment, or with its opening if that lies ahead. A window that has
    /// ended stays as it is. A bill that came while it goes on is a part of what it will cost: the larger of
    /// bill and clock counts.
    #[must_use]
    pub fn as_of(&self, at: Timestamp) -> Self {
        let mut ended = self.clone();
        if self.void || self.until.is_some() {
            return ended;
        }
        ended.until = Some(at);
        ended.billed = self.billed.map(|billed| billed.max(ended.by_the_clock()));
        ended
    }

    /// The same with a rate of at least so much from this moment on.
    #[must_use]
    pub fn at_least(&self, microusd_per_hour: u64, from: Timestamp) -> Self {
        let mut dearer = self.clone();
        if self.rate() < microusd_per_hour {
            dearer.segments.push(Segment {
                from,
                microusd_per_hour,
            });
        }
        dearer
    }

    /// What it costs in all, in micro-dollars, once it has ended; while it is open, the minimum and what has
    /// been billed.
    pub fn total(&self) -> u64 {
        if self.void {
            return 0;
        }
        match (self.billed, self.until) {
            (Some(billed), Some(_)) => billed,
            (Some(billed), None) => billed.max(self.by_the_clock()),
            (None, _) => self.by_the_clock(),
        }
    }

    /// What is owed at a moment, in micro-dollars: of an open window what it would cost if it ended then.
    /// Nothing before it opens.
    pub fn cost(&self, at: Timestamp) -> u64 {
        if self.opened_at().is_some_and(|opened| at < opened) {
            return 0;
        }
        let ended = self.as_of(at);
        if ended.end().is_some_and(|end| at >= end) {
            return ended.total();
        }
        ended.accrued(at)
    }

    /// The part of the whole, in micro-dollars, that belongs to the time from `from` up to and without `to`.
    /// Ask it of a window that has ended, or of [`Window::as_of`] an open one; of an open one itself, the
    /// end lies beyond every period.
    pub fn cost_between(&self, from: Timestamp, to: Timestamp) -> u64 {
        self.before(to).saturating_sub(self.before(from))
    }

    /// What was spent of the whole before a moment. Grows with it and reaches the whole behind the end.
    fn before(&self, at: Timestamp) -> u64 {
        if self.end().is_some_and(|end| at > end) {
            return self.total();
        }
        self.accrued(at)
    }

    /// Rate times time and nothing else, at most the whole.
    fn accrued(&self, at: Timestamp) -> u64 {
        let spent = rounded(self.run(at).parts);
        if self.until.is_some() || self.void {
            spent.min(self.total())
        } else {
            spent
        }
    }

    /// The end, never before the opening.
    fn end(&self) -> Option<Timestamp> {
        let until = self.until?;
        Some(self.opened_at().map_or(until, |opened| until.max(opened)))
    }

    /// What step, minimum and rates make of it, whatever the vendor says. An open one: nothing but the
    /// minimum.
    fn by_the_clock(&self) -> u64 {
        let Some(opened) = self.opened_at() else {
            return 0;
        };
        let end = self.end().unwrap_or(opened);
        let length = end.since(opened);
        let billed = whole_steps(length, self.step).max(self.minimum);
        let added = product(billed.as_ms().saturating_sub(length.as_ms()));
        let run = self.run(end);
        rounded(run.parts.saturating_add(added(run.rate)))
    }

    fn run(&self, end: Timestamp) -> Run {
        let mut parts = 0_u128;
        let mut running: Option<Segment> = None;
        for segment in &self.segments {
            let Some(current) = running else {
                running = Some(*segment);
                continue;
            };
            let from = segment.from.max(current.from);
            // A rate that only begins at the end never held: the one before is the last.
            if from >= end {
                break;
            }
            let lasted = product(from.since(current.from).as_ms());
            parts = parts.saturating_add(lasted(current.microusd_per_hour));
            running = Some(Segment { from, ..*segment });
        }
        let Some(last) = running else {
            return Run { parts, rate: 0 };
        };
        let lasted = product(end.since(last.from).as_ms());
        Run {
            parts: parts.saturating_add(lasted(last.microusd_per_hour)),
            rate: last.microusd_per_hour,
        }
    }
}

/// Rate times so many milliseconds; below 2^127.
fn product(ms: i64) -> impl Fn(u64) -> u128 {
    let ms = u128::from(ms.unsigned_abs());
    move |rate| u128::from(rate).saturating_mul(ms)
}

fn rounded(parts: u128) -> u64 {
    let cost = parts.saturating_add(HOUR_MS / 2) / HOUR_MS;
    u64::try_from(cost).unwrap_or(u64::MAX)
}

fn whole_steps(length: Span, step: Span) -> Span {
    let step = step.as_ms();
    if step <= 1 {
        return length;
    }
    let steps = length.as_ms().saturating_add(step - 1) / step;
    Span::from_ms(steps.saturating_mul(step)).max(length)
}

/// What a rate comes to in a stretch of time, in micro-dollars, rounded half up.
pub fn price(microusd_per_hour: u64, lasts: Span) -> u64 {
    rounded(product(lasts.as_ms())(microusd_per_hour))
}
