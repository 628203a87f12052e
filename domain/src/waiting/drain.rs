//! How fast the waiting list drains: waiters sent to a free slot in the last minute.
//!
//! Invariant: an estimate lies between 1 s and 120 s. Beyond 120 s clients are told not to retry at all,
//! which is for the edge to decide by other means.

use std::collections::VecDeque;

use crate::time::{Span, Timestamp};

const LOOK_BACK: Span = Span::from_secs(60);
/// More would not make the estimate better: 1,000 departures tell the rate to about 3 %.
const MOST: usize = 1_000;
const SHORTEST: Span = Span::from_secs(1);
const LONGEST: Span = Span::from_secs(120);

/// Recent departures.
#[derive(Clone, Debug, Default)]
pub(super) struct Drain {
    since: Timestamp,
    departures: VecDeque<Timestamp>,
}

impl Drain {
    /// Someone waits again after nobody did: idle time before says nothing about the rate.
    pub fn begin(&mut self, now: Timestamp) {
        self.since = now;
        self.departures.retain(|at| *at + LOOK_BACK > now);
    }

    /// A waiter was sent.
    pub fn record(&mut self, now: Timestamp) {
        self.departures.push_back(now);
        while self.departures.len() > MOST
            || self
                .departures
                .front()
                .is_some_and(|at| *at + LOOK_BACK <= now)
        {
            self.departures.pop_front();
        }
    }

    /// How long until `waiters` have left.
    pub fn time_for(&self, now: Timestamp, waiters: u32) -> Span {
        let recent = || self.departures.iter().filter(|at| **at + LOOK_BACK > now);
        let from = match recent().next() {
            Some(oldest) if self.departures.len() == MOST => *oldest,
            Some(oldest) => self.since.min(*oldest),
            None => self.since,
        };
        let observed = now.since(from).max(SHORTEST).min(LOOK_BACK);
        // With none seen, one may be about to leave: the rate is at most that.
        let seen = i64::try_from(recent().count()).unwrap_or(i64::MAX).max(1);
        let whole = observed.times(i64::from(waiters)).as_ms();
        Span::from_ms(whole / seen).clamp(SHORTEST, LONGEST)
    }

    /// The clock went back.
    pub fn shift(&mut self, back: Span) {
        self.since = self.since - back;
        for at in &mut self.departures {
            *at = *at - back;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_ms(1_000_000_000_000 + secs * 1000)
    }

    /// Ten departures a second apart, the last at second 9.
    fn busy() -> Drain {
        let mut drain = Drain::default();
        drain.begin(at(0));
        for second in 0..10 {
            drain.record(at(second));
        }
        drain
    }

    #[test]
    fn departures_of_the_last_minute_still_tell_the_rate_when_waiting_begins_again() {
        let mut drain = busy();
        drain.begin(at(20));
        // Ten in the 20 s since the first of them.
        assert_eq!(drain.time_for(at(20), 5), Span::from_secs(10));
        // Only the one of second 9 is less than a minute old.
        drain.begin(at(68));
        assert_eq!(drain.time_for(at(68), 1), Span::from_secs(59));
        drain.begin(at(69));
        assert_eq!(drain.departures.len(), 0);
    }

    #[test]
    fn an_estimate_does_not_depend_on_the_clock_being_set_back() {
        let (mut moved, still) = (busy(), busy());
        moved.shift(Span::from_secs(3600));
        for waiters in [1, 7, 40] {
            assert_eq!(
                moved.time_for(at(12 - 3600), waiters),
                still.time_for(at(12), waiters)
            );
        }
    }
}
