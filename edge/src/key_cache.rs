//! Key records as this isolate has seen them, misses included, for at most 5 s: so long does a revoked
//! key live on, and so seldom is the fleet asked about a key that is used all the time.
//!
//! Invariant: an older record is used only while the fleet does not answer, for at most 15 minutes, as
//! long as an older snapshot is. Once the fleet has said that there is no such key, none is left to use.

use std::collections::BTreeMap;

use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::fleet::KeyRecord;

const USABLE: Span = Span::from_secs(5);
/// From here on the record is fetched again behind the request that uses it.
const FRESH: Span = Span::from_secs(3);
/// As long as an older snapshot is used.
const LAST_GOOD: Span = Span::from_secs(15 * 60);
/// So long is it believed that the fleet does not answer, and an older record used without asking.
const REMEMBER_SILENCE: Span = Span::from_secs(1);
/// Records kept. The MAC is checked before, so only keys that were really issued take a place.
const MOST: usize = 10_000;

/// Key records by organisation and id.
#[derive(Default)]
pub struct KeyCache {
    entries: BTreeMap<(String, String), Cached>,
}

struct Cached {
    record: Option<KeyRecord>,
    fetched_at: Timestamp,
    refreshing: bool,
    unanswered_at: Option<Timestamp>,
}

impl Cached {
    fn is_younger_than(&self, age: Span, now: Timestamp) -> bool {
        now.since(self.fetched_at) < age
    }

    fn last_good(&self, now: Timestamp) -> Option<KeyRecord> {
        let record = self.record.as_ref()?;
        self.is_younger_than(LAST_GOOD, now).then(|| record.clone())
    }
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// The record, or that there is none.
    Yes(Option<KeyRecord>),
    /// The same, and it should be fetched again behind the request.
    Ageing(Option<KeyRecord>),
    /// A record that may be used only if the fleet, asked first, does not answer.
    Old,
    /// Nothing.
    No,
}

impl KeyCache {
    /// What is known now.
    pub fn look(&mut self, org: &str, id: &str, now: Timestamp) -> Known {
        let Some(cached) = self.entries.get_mut(&(org.to_owned(), id.to_owned())) else {
            return Known::No;
        };
        if !cached.is_younger_than(USABLE, now) {
            let is_silent = cached
                .unanswered_at
                .is_some_and(|at| now.since(at) < REMEMBER_SILENCE);
            return match cached.last_good(now) {
                Some(record) if is_silent => Known::Yes(Some(record)),
                Some(_) => Known::Old,
                None => Known::No,
            };
        }
        if !cached.is_younger_than(FRESH, now) && !cached.refreshing {
            cached.refreshing = true;
            return Known::Ageing(cached.record.clone());
        }
        Known::Yes(cached.record.clone())
    }

    /// The fleet's answer: a record or none.
    pub fn store(&mut self, org: &str, id: &str, record: Option<KeyRecord>, now: Timestamp) {
        let place = (org.to_owned(), id.to_owned());
        // An answer about a key that has a place always counts: it may say that the key is revoked.
        if !self.entries.contains_key(&place) {
            for age in [LAST_GOOD, USABLE] {
                if self.entries.len() >= MOST {
                    self.entries
                        .retain(|_, cached| cached.is_younger_than(age, now));
                }
            }
            if self.entries.len() >= MOST {
                return;
            }
        }
        let cached = Cached {
            record,
            fetched_at: now,
            refreshing: false,
            unanswered_at: None,
        };
        self.entries.insert(place, cached);
    }

    /// The fleet did not answer: what there is to go on with.
    pub fn unanswered(&mut self, org: &str, id: &str, now: Timestamp) -> Option<KeyRecord> {
        let cached = self.entries.get_mut(&(org.to_owned(), id.to_owned()))?;
        cached.unanswered_at = Some(now);
        cached.last_good(now)
    }

    /// This isolate changed the key itself: what it knows is no longer true.
    pub fn forget(&mut self, org: &str, id: &str) {
        self.entries.remove(&(org.to_owned(), id.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_ms(1_000_000);

    fn at(ms: i64) -> Timestamp {
        T0 + Span::from_ms(ms)
    }

    #[test]
    fn records_and_misses_live_five_seconds_and_one_request_refreshes_them() {
        let mut cache = KeyCache::default();
        assert_eq!(cache.look("o", "k", T0), Known::No);
        cache.store("o", "k", None, T0);
        assert_eq!(cache.look("o", "k", at(2999)), Known::Yes(None));
        assert_eq!(cache.look("o", "k", at(3000)), Known::Ageing(None));
        assert_eq!(cache.look("o", "k", at(3001)), Known::Yes(None));
        assert_eq!(cache.look("o", "k", at(5000)), Known::No);
    }

    #[test]
    fn a_record_outlives_a_silent_fleet_by_a_quarter_of_an_hour_and_a_miss_does_not() {
        let mut cache = KeyCache::default();
        let record = Some(KeyRecord::default());
        cache.store("o", "k", record.clone(), T0);
        cache.store("o", "gone", None, T0);
        assert_eq!(cache.look("o", "k", at(899_999)), Known::Old, "asked first");
        assert_eq!(cache.unanswered("o", "k", at(899_999)), record);
        assert_eq!(cache.look("o", "k", at(900_000)), Known::No);
        assert_eq!(cache.unanswered("o", "k", at(900_000)), None);
        assert_eq!(cache.look("o", "gone", at(5000)), Known::No);
        assert_eq!(cache.unanswered("o", "gone", at(5000)), None);
        assert_eq!(cache.unanswered("o", "unheard of", at(5000)), None);
    }

    #[test]
    fn nothing_is_left_of_a_record_that_the_fleet_no_longer_has() {
        let mut cache = KeyCache::default();
        cache.store("o", "k", Some(KeyRecord::default()), T0);
        cache.store("o", "k", None, at(6000));
        assert_eq!(cache.unanswered("o", "k", at(11_000)), None);
        assert_eq!(cache.look("o", "k", at(11_000)), Known::No);
    }

    #[test]
    fn a_silent_fleet_is_not_asked_for_a_second() {
        let mut cache = KeyCache::default();
        let record = Some(KeyRecord::default());
        cache.store("o", "k", record.clone(), T0);
        cache.unanswered("o", "k", at(6000));
        assert_eq!(cache.look("o", "k", at(6999)), Known::Yes(record.clone()));
        assert_eq!(cache.look("o", "k", at(7000)), Known::Old);
        cache.store("o", "k", record, at(7000));
        assert_eq!(cache.look("o", "k", at(12_000)), Known::Old);
    }

    #[test]
    fn organisations_do_not_share_records() {
        let mut cache = KeyCache::default();
        cache.store("a", "k", Some(KeyRecord::default()), T0);
        assert_eq!(cache.look("b", "k", T0), Known::No);
        cache.forget("a", "k");
        assert_eq!(cache.look("a", "k", T0), Known::No);
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut cache = KeyCache::default();
        for n in 0..MOST + 50 {
            cache.store("o", &n.to_string(), None, T0);
        }
        assert_eq!(cache.entries.len(), MOST);
        cache.store("o", "0", Some(KeyRecord::default()), T0);
        assert_eq!(
            cache.look("o", "0", T0),
            Known::Yes(Some(KeyRecord::default())),
            "what has a place is still brought up to date"
        );
        cache.store("o", "new", None, at(6000));
        assert_eq!(cache.entries.len(), 1);
    }
}
