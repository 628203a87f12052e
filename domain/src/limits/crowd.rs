//! The same limits for each of many visitors who share one object: callers without a key, told apart by where
//! they come from.
//!
//! Invariant: every visitor keeps to the limits by itself, and at most [`MOST`] are remembered. Nobody who
//! still counts makes room for a newcomer: his limit would begin anew. A newcomer for whom there is no room
//! is refused until somebody's last minute is over.

use std::collections::BTreeMap;

use super::{Admission, Ask, Charge, Denied, Effect, Event, KeyLimiter, Limit, Limits, Windows};
use crate::time::{Span, Timestamp};

/// Visitors remembered. At sixty requests a minute each their charges are about ten megabytes.
pub const MOST: usize = 1_000;
/// A `Retry-After` cannot say less.
const SOONEST: Span = Span::from_secs(1);

/// Every visitor of the last minute.
#[derive(Clone, Debug, Default)]
pub struct Crowd {
    visitors: BTreeMap<String, KeyLimiter>,
}

impl Crowd {
    /// The crowd as its stored charges leave it, each with its visitor.
    pub fn restore(charges: impl IntoIterator<Item = (String, Charge)>) -> Self {
        let mut of: BTreeMap<String, Vec<Charge>> = BTreeMap::new();
        for (visitor, charge) in charges {
            of.entry(visitor).or_default().push(charge);
        }
        let visitors = of
            .into_iter()
            .map(|(visitor, charges)| (visitor, KeyLimiter::restore(charges)));
        Self {
            visitors: visitors.collect(),
        }
    }

    /// As [`KeyLimiter::admit`]. The effects are the visitor's own but for those of [`Crowd::sweep`], which
    /// only forget.
    pub fn admit(
        &mut self,
        now: Timestamp,
        visitor: &str,
        ask: &Ask,
        limits: &Limits,
    ) -> (Result<Admission, Denied>, Vec<Effect>) {
        let mut swept = Vec::new();
        if !self.visitors.contains_key(visitor) && self.visitors.len() >= MOST {
            swept = self.sweep(now);
            if self.visitors.len() >= MOST {
                return (Err(self.full(now)), swept);
            }
        }
        let limiter = self.visitors.entry(visitor.to_owned()).or_default();
        let (answer, effects) = limiter.admit(now, ask, limits);
        if limiter.is_idle() {
            self.visitors.remove(visitor);
        }
        swept.extend(effects);
        (answer, swept)
    }

    /// As [`KeyLimiter::handle`].
    pub fn handle(&mut self, now: Timestamp, visitor: &str, event: Event) -> Vec<Effect> {
        let Some(limiter) = self.visitors.get_mut(visitor) else {
            return Vec::new();
        };
        limiter.handle(now, event)
    }

    /// Lets go of everybody whose last minute is over.
    pub fn sweep(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.visitors.retain(|_, limiter| {
            // A clock that went back is the visitor's next call's business, which says whose charges move.
            if now >= limiter.latest() {
                effects.extend(limiter.handle_timeout(now));
            }
            !limiter.is_idle()
        });
        effects
    }

    /// The windows of these limits at the time of the visitor's last call.
    pub fn windows(&self, visitor: &str, limits: &Limits) -> Windows {
        match self.visitors.get(visitor) {
            Some(limiter) => limiter.windows(limits),
            None => KeyLimiter::default().windows(limits),
        }
    }

    /// The latest time that any call or stored charge has shown.
    pub fn latest(&self) -> Timestamp {
        let times = self.visitors.values().map(KeyLimiter::latest);
        times.max().unwrap_or_default()
    }

    fn full(&self, now: Timestamp) -> Denied {
        let ends = self.visitors.values().filter_map(KeyLimiter::poll_timeout);
        let soonest = ends.min().map_or(SOONEST, |at| now.until(at));
        Denied::Exhausted {
            limit: Limit::Visitors,
            retry_after: soonest.max(SOONEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RequestId;
    use crate::limits::{LEASE, WINDOW};

    const T0: Timestamp = Timestamp::from_ms(1_000_000_000);
    const LIMITS: Limits = Limits {
        requests_per_minute: Some(3),
        tokens_per_minute: None,
        concurrency: None,
    };

    fn at(secs: i64) -> Timestamp {
        T0 + Span::from_secs(secs)
    }

    fn ask(request: &str) -> Ask {
        Ask {
            request: RequestId::new(request),
            reserve_tokens: 1,
        }
    }

    fn admit(
        crowd: &mut Crowd,
        now: Timestamp,
        visitor: &str,
        request: &str,
    ) -> Result<Admission, Denied> {
        crowd.admit(now, visitor, &ask(request), &LIMITS).0
    }

    fn end(crowd: &mut Crowd, now: Timestamp, visitor: &str, request: &str) -> Vec<Effect> {
        let request = RequestId::new(request);
        let used_tokens = 1;
        crowd.handle(
            now,
            visitor,
            Event::Settled {
                request,
                used_tokens,
            },
        )
    }

    #[test]
    fn each_visitor_has_the_whole_limit_and_no_more() {
        let mut crowd = Crowd::default();
        for visitor in ["a", "b"] {
            for n in 0..3 {
                assert!(admit(&mut crowd, T0, visitor, &format!("{visitor}{n}")).is_ok());
            }
            let over = admit(&mut crowd, at(1), visitor, &format!("{visitor}3"));
            let limit = Limit::Requests;
            let retry_after = Span::from_secs(59);
            assert_eq!(over, Err(Denied::Exhausted { limit, retry_after }));
            assert_eq!(
                crowd.windows(visitor, &LIMITS).requests.unwrap().remaining,
                0
            );
        }
        assert_eq!(crowd.windows("c", &LIMITS).requests.unwrap().remaining, 3);
    }

    #[test]
    fn a_full_house_takes_nobody_in_until_somebodys_minute_is_over() {
        let mut crowd = Crowd::default();
        for n in 0..MOST {
            let id = n.to_string();
            assert!(admit(&mut crowd, at(i64::from(n > 0)), &id, &id).is_ok());
            end(&mut crowd, at(1), &id, &id);
        }
        let limit = Limit::Visitors;
        let retry_after = Span::from_secs(58);
        let full = Err(Denied::Exhausted { limit, retry_after });
        assert_eq!(admit(&mut crowd, at(2), "new", "r"), full);
        assert!(
            admit(&mut crowd, at(2), "7", "another").is_ok(),
            "who is in stays in"
        );
        let (answer, effects) = crowd.admit(at(60), "new", &ask("r"), &LIMITS);
        assert_eq!(answer, Ok(Admission::Granted));
        assert_eq!(
            effects[0],
            Effect::Forget(RequestId::new("0")),
            "he made room"
        );
        assert!(matches!(effects[1..], [Effect::Keep(_)]), "{effects:?}");
    }

    #[test]
    fn who_is_denied_at_once_takes_no_place() {
        let mut crowd = Crowd::default();
        let none = Limits {
            requests_per_minute: Some(0),
            ..LIMITS
        };
        let (answer, effects) = crowd.admit(T0, "a", &ask("r"), &none);
        assert!(matches!(answer, Err(Denied::NeverFits { .. })));
        assert_eq!((effects, crowd.visitors.len()), (vec![], 0));
    }

    #[test]
    fn a_restored_crowd_counts_on() {
        let mut crowd = Crowd::default();
        let mut stored = Vec::new();
        for n in 0..3 {
            let (_, effects) = crowd.admit(T0, "a", &ask(&n.to_string()), &LIMITS);
            for effect in effects {
                let Effect::Keep(charge) = effect else {
                    panic!("{effect:?}")
                };
                stored.push(("a".to_owned(), charge));
            }
        }
        let mut again = Crowd::restore(stored);
        assert_eq!(again.latest(), T0);
        assert!(admit(&mut again, at(1), "a", "3").is_err());
        assert!(admit(&mut again, at(1), "b", "4").is_ok());
    }

    #[test]
    fn the_sweep_leaves_who_still_counts_and_nothing_of_the_others() {
        let mut crowd = Crowd::default();
        assert!(admit(&mut crowd, T0, "a", "r").is_ok());
        assert!(admit(&mut crowd, at(30), "b", "s").is_ok());
        end(&mut crowd, at(30), "b", "s");
        assert_eq!(crowd.sweep(at(59)), []);
        // Nobody heard how the first one ended: its lease did.
        assert_eq!(
            crowd.sweep(T0 + WINDOW.max(LEASE)),
            [Effect::Forget(RequestId::new("r"))]
        );
        assert_eq!(crowd.visitors.len(), 1);
        assert_eq!(
            end(&mut crowd, at(61), "a", "r"),
            [],
            "late words mean nothing"
        );
        assert_eq!(crowd.sweep(at(90)), [Effect::Forget(RequestId::new("s"))]);
        assert!(crowd.visitors.is_empty());
    }
}
