//! On which terms it is rented: the vendor's numbers, and when it is to end.

use crate::civil::Civil;
use crate::time::{Span, Timestamp};

/// An offer, as far as its life depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Offers of one account have one number: what an account may not do for one it may not for another.
    pub account: u32,
    /// Micro-dollars an hour.
    pub microusd_per_hour: u64,
    /// Micro-dollars an hour while it is stopped.
    pub stopped_microusd_per_hour: u64,
    /// GPUs that it must have.
    pub gpus: u32,
    /// What it serves can be reached over public TLS.
    pub is_public: bool,
    /// The machine calls when it is up.
    pub calls_home: bool,
    /// It can be stopped.
    pub can_stop: bool,
    /// The vendor says afterwards what it cost.
    pub bills: bool,
    /// The same "create" again is the same machine.
    pub is_idempotent: bool,
    /// It is in every list after this long.
    pub list_lag: Span,
    /// It serves after this long, or never.
    pub startup: Span,
    /// From the decision to end it until the vendor's meter has stopped.
    pub stop_lead: Span,
    /// The shortest time that is billed.
    pub billing_minimum: Span,
}

/// When it ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// After so long without a request.
    pub idle: Option<Span>,
    /// Whether it is then stopped, where it can be; else it is given back.
    pub idle_stops: bool,
    /// After so long in all.
    pub max_lifetime: Span,
    /// At this moment.
    pub until: Option<Timestamp>,
    /// Daily.
    pub stop_windows: Vec<StopWindow>,
}

/// Minutes of the UTC day in which it is to be down. One that ends before it begins goes over midnight; one
/// that ends where it begins is the whole day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopWindow {
    /// From 0 to 1439.
    pub from: u16,
    /// From 0 to 1439.
    pub to: u16,
}

const DAY: Span = Span::from_secs(86_400);
const MINUTE_MS: i64 = 60_000;

impl StopWindow {
    /// Whether the clock is in it.
    pub fn holds(self, now: Timestamp) -> bool {
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        let minute = minute_of_day(now);
        if from < to {
            (from..to).contains(&minute)
        } else {
            minute >= from || minute < to
        }
    }

    /// When it begins next; now, if the clock is in it.
    pub fn next(self, now: Timestamp) -> Timestamp {
        if self.holds(now) {
            return now;
        }
        let day = now.as_ms().div_euclid(DAY.as_ms()) * DAY.as_ms();
        let begins = Timestamp::from_ms(day + i64::from(self.from) * MINUTE_MS);
        if begins > now { begins } else { begins + DAY }
    }
}

fn minute_of_day(now: Timestamp) -> i64 {
    let Civil { hour, minute, .. } = Civil::from(now);
    hour * 60 + minute
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64, minute: i64) -> Timestamp {
        Timestamp::from_ms(20_000 * DAY.as_ms() + (hour * 60 + minute) * MINUTE_MS)
    }

    #[test]
    fn a_window_over_midnight_holds_on_both_sides_of_it() {
        let night = StopWindow {
            from: 1320,
            to: 360,
        };
        assert!(night.holds(at(23, 0)) && night.holds(at(0, 0)) && night.holds(at(5, 59)));
        assert!(!night.holds(at(6, 0)) && !night.holds(at(21, 59)));
        assert_eq!(night.next(at(6, 0)), at(22, 0));
        assert_eq!(night.next(at(23, 30)), at(23, 30));
    }

    #[test]
    fn a_window_of_the_day_comes_again_tomorrow() {
        let lunch = StopWindow { from: 720, to: 780 };
        assert_eq!(lunch.next(at(11, 59)), at(12, 0));
        assert_eq!(lunch.next(at(12, 59)), at(12, 59));
        assert_eq!(lunch.next(at(13, 0)), at(36, 0));
        let always = StopWindow { from: 0, to: 0 };
        assert!(always.holds(at(0, 0)) && always.holds(at(23, 59)));
    }
}
