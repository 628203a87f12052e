//! What an attempt costs: from the moment its "create" leaves until the vendor has confirmed its end, with a
//! rate for each stretch.
//!
//! Invariant: `segments` are in order of time, and two neighbours never have one rate. What the vendor says of
//! its own meter replaces what was assumed before it said so.

use super::state::{Billing, Seen, Sighting};
use super::terms::Terms;
use crate::money::{Segment, Window};
use crate::time::{Span, Timestamp};

/// The cost window of one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Its rates.
    pub segments: Vec<Segment>,
    /// When it closed.
    pub until: Option<Timestamp>,
    /// What the vendor itself says that it cost.
    pub billed: Option<u64>,
    /// There never was a machine.
    pub is_void: bool,
    /// When the run began whose start the vendor has named.
    pub run_from: Option<Timestamp>,
    /// Whether a vendor's own rate has been seen: the first one corrects the offer's, later ones are changes.
    pub is_rated: bool,
    /// From when on it is taken to run, although only the order to start it has left.
    pub assumed_from: Option<Timestamp>,
}

impl Costs {
    /// Whether it may be growing.
    pub const fn is_open(&self) -> bool {
        !self.segments.is_empty() && self.until.is_none() && !self.is_void
    }

    /// The "create" leaves: from now on it may cost. The news may come later than that there is no machine, or
    /// than the machine itself.
    pub(super) fn open(&mut self, at: Timestamp, terms: &Terms) {
        if self.is_void || self.run_from.is_some() {
            return;
        }
        let Some(first) = self.segments.first_mut() else {
            self.segments.push(segment(at, terms.microusd_per_hour));
            return;
        };
        first.from = first.from.min(at);
    }

    /// The order to start it again leaves: from now on it may cost what a run costs, until the vendor shows
    /// what it does.
    pub(super) fn assume_run(&mut self, at: Timestamp, terms: &Terms) {
        if !self.is_open() || self.assumed_from.is_some() {
            return;
        }
        let rate = self.rate_of_a_run(terms);
        self.set_rate(at, rate);
        self.assumed_from = Some(at);
    }

    /// It was not started.
    pub(super) fn assume_no_run(&mut self) {
        if let Some(from) = self.assumed_from.take() {
            self.segments.retain(|segment| segment.from < from);
        }
    }

    /// News that is older than what is known, and of which nothing newer tells: when a run ended and only the disk
    /// was left.
    pub(super) fn recalled(&mut self, sighting: &Sighting, terms: &Terms) {
        let (Billing::Disk, Some(from), Some(at)) = (
            sighting.billing,
            sighting.billed_from,
            sighting.billed_until,
        ) else {
            return;
        };
        let next = self.run_from.filter(|run| at <= *run);
        let is_known = self.rate_at(at) <= Some(terms.stopped_microusd_per_hour);
        let is_over = self.until.is_some_and(|until| until <= at);
        if (next.is_none() && self.run_from != Some(from)) || is_known || is_over {
            return;
        }
        let mut later = self.segments.clone();
        later.retain(|segment| next.is_some_and(|run| run < segment.from));
        if let (Some(run), Some(rate)) = (next, next.and_then(|run| self.rate_at(run))) {
            later.insert(0, segment(run, rate));
        }
        self.set_rate(at, terms.stopped_microusd_per_hour);
        for Segment {
            from,
            microusd_per_hour,
        } in later
        {
            self.set_rate(from, microusd_per_hour);
        }
    }

    /// The vendor shows the machine. A machine that is alive after all opens the window again.
    pub(super) fn sighted(&mut self, sighting: &Sighting, terms: &Terms) {
        self.is_void = false;
        let is_running = matches!(sighting.billing, Billing::Full | Billing::Unknown)
            && sighting.seen != Seen::Terminated;
        let names_no_start = sighting
            .billed_from
            .is_none_or(|from| self.run_from == Some(from));
        if is_running && names_no_start {
            // Since when, nobody knows better.
            self.assumed_from = None;
        }
        self.assume_no_run();
        if sighting.seen == Seen::Terminated {
            if self.segments.is_empty() {
                self.segments
                    .push(segment(sighting.billed_from.unwrap_or(sighting.at), 0));
            }
            if let Some(from) = sighting.billed_from {
                self.begin_run(from, terms);
            }
            if sighting.billed_until.is_some() {
                self.until = None;
            }
            self.close(sighting.billed_until.unwrap_or(sighting.at));
            return;
        }
        self.until = None;
        match sighting.billing {
            Billing::Full | Billing::Unknown => {
                let rate = sighting
                    .microusd_per_hour
                    .unwrap_or(terms.microusd_per_hour);
                self.running_at(sighting, rate);
            }
            Billing::Disk => {
                if let Some(from) = sighting.billed_from {
                    self.begin_run(from, terms);
                }
                let at = sighting.billed_until.unwrap_or(sighting.at);
                self.set_rate(at, terms.stopped_microusd_per_hour);
            }
            Billing::None => self.set_rate(sighting.at, 0),
        }
    }

    /// It ended then.
    pub(super) fn close(&mut self, at: Timestamp) {
        if self.segments.is_empty() || self.until.is_some() {
            return;
        }
        self.segments.retain(|segment| segment.from <= at);
        if self.segments.is_empty() {
            self.segments.push(segment(at, 0));
        }
        self.until = Some(at);
    }

    /// There never was a machine.
    pub(super) fn void(&mut self) {
        self.is_void = true;
    }

    /// The same as a window whose cost can be told; `step` is what the vendor bills time in.
    pub fn window(&self, minimum: Span, step: Span) -> Window {
        Window {
            segments: self.segments.clone(),
            until: self.until,
            minimum,
            step,
            billed: self.billed,
            void: self.is_void,
        }
    }

    /// The rate in force.
    pub fn rate(&self) -> Option<u64> {
        self.segments.last().map(|last| last.microusd_per_hour)
    }

    fn rate_at(&self, at: Timestamp) -> Option<u64> {
        let mut before = self.segments.iter().rev();
        let found = before.find(|segment| segment.from <= at);
        found.map(|segment| segment.microusd_per_hour)
    }

    fn running_at(&mut self, sighting: &Sighting, rate: u64) {
        let is_first_rate = !std::mem::replace(&mut self.is_rated, true);
        match sighting.billed_from {
            Some(from) if self.run_from != Some(from) => {
                self.start_run(from);
                self.set_rate(from, rate);
            }
            _ if is_first_rate => {
                let from = self.segments.last().map_or(sighting.at, |last| last.from);
                self.set_rate(from, rate);
            }
            _ => {
                if self.rate() != Some(rate) {
                    self.set_rate(sighting.at, rate);
                }
            }
        }
    }

    /// A run that was never seen at work still began when the vendor says so, at the rate of the one before: the
    /// rate of its disk is none.
    fn begin_run(&mut self, from: Timestamp, terms: &Terms) {
        if self.run_from == Some(from) {
            return;
        }
        let rate = self.rate_of_a_run(terms);
        self.start_run(from);
        self.set_rate(from, rate);
    }

    fn rate_of_a_run(&self, terms: &Terms) -> u64 {
        let rates = self.segments.iter().rev();
        rates
            .map(|segment| segment.microusd_per_hour)
            .find(|rate| *rate > terms.stopped_microusd_per_hour)
            .unwrap_or(terms.microusd_per_hour)
    }

    /// The vendor names the start of a run. What was assumed from the moment the "create" left until then was
    /// never billed, unless there was an earlier run in between.
    fn start_run(&mut self, from: Timestamp) {
        if self.run_from.is_none() && self.segments.len() <= 1 {
            self.segments.clear();
        }
        self.run_from = Some(from);
    }

    /// What the ledger sees of it.
    pub(super) fn is_stated_like(&self, other: &Self) -> bool {
        self.segments == other.segments
            && self.until == other.until
            && self.billed == other.billed
            && self.is_void == other.is_void
    }

    /// From then on, this rate; what was assumed of the time after that is forgotten.
    fn set_rate(&mut self, from: Timestamp, microusd_per_hour: u64) {
        self.segments.retain(|segment| segment.from < from);
        if self.rate() != Some(microusd_per_hour) {
            self.segments.push(segment(from, microusd_per_hour));
        }
    }
}

const fn segment(from: Timestamp, microusd_per_hour: u64) -> Segment {
    Segment {
        from,
        microusd_per_hour,
    }
}
