//! Key records as this isolate has seen them, misses included, for at most 5 s: so long does a revoked
//! key live on, and so seldom is the fleet asked about a key that is used all the time.

use std::collections::BTreeMap;

use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::fleet::KeyRecord;

const USABLE: Span = Span::from_secs(5);
/// From here on the record is fetched again behind the request that uses it.
const FRESH: Span = Span::from_secs(3);
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
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// The record, or that there is none.
    Yes(Option<KeyRecord>),
    /// The same, and it should be fetched again behind the request.
    Ageing(Option<KeyRecord>),
    /// Nothing.
    No,
}

impl KeyCache {
    /// What is known now.
    pub fn look(&mut self, org: &str, id: &str, now: Timestamp) -> Known {
        let Some(cached) = self.entries.get_mut(&(org.to_owned(), id.to_owned())) else {
            return Known::No;
        };
        let age = now.since(cached.fetched_at);
        if age >= USABLE {
            return Known::No;
        }
        if age >= FRESH && !cached.refreshing {
            cached.refreshing = true;
            return Known::Ageing(cached.record.clone());
        }
        Known::Yes(cached.record.clone())
    }

    /// The fleet's answer: a record or none.
    pub fn store(&mut self, org: &str, id: &str, record: Option<KeyRecord>, now: Timestamp) {
        if self.entries.len() >= MOST {
            self.entries
                .retain(|_, cached| now.since(cached.fetched_at) < USABLE);
        }
        if self.entries.len() < MOST {
            let cached = Cached {
                record,
                fetched_at: now,
                refreshing: false,
            };
            self.entries.insert((org.to_owned(), id.to_owned()), cached);
        }
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
        cache.store("o", "new", None, at(6000));
        assert_eq!(cache.entries.len(), 1);
    }
}
