//! Which models have requests waiting that a slot here would serve.
//!
//! Invariant: every wish ends by itself within [`LONGEST`]; at most [`MODELS`] are kept.

use std::collections::BTreeMap;

use crate::ids::ModelName;
use crate::time::{Span, Timestamp};

/// A model renews its wish while requests wait; one that stopped is forgotten after a minute.
const LONGEST: Span = Span::from_secs(60);
/// A server serves a handful of models; beyond this someone is making names up.
const MODELS: usize = 64;

/// The wishes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demand {
    models: BTreeMap<ModelName, Timestamp>,
}

impl Demand {
    /// Notes a wish.
    pub(crate) fn wish(&mut self, now: Timestamp, model: ModelName, until: Timestamp) {
        if self.models.len() < MODELS || self.models.contains_key(&model) {
            self.models.insert(model, until.min(now + LONGEST));
        }
    }

    /// Forgets what is over.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.models.retain(|_, until| {
            *until = (*until).min(now + LONGEST);
            *until > now
        });
    }

    /// Models with requests waiting.
    pub(crate) fn models(&self) -> impl Iterator<Item = &ModelName> {
        self.models.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_000_000_000_000);

    fn model(n: usize) -> ModelName {
        ModelName::new(format!("m{n}"))
    }

    #[test]
    fn only_so_many_models_are_kept_and_those_may_renew() {
        let mut demand = Demand::default();
        let until = NOW + Span::from_secs(10);
        for n in 0..=MODELS {
            demand.wish(NOW, model(n), until);
        }
        assert_eq!(demand.models().count(), MODELS);
        demand.wish(NOW, model(0), until + Span::from_secs(1));
        demand.advance(until);
        assert_eq!(demand.models().collect::<Vec<_>>(), [&model(0)]);
    }

    #[test]
    fn a_wish_ends_at_its_time_and_within_a_minute_whatever_the_clock_does() {
        let mut demand = Demand::default();
        demand.wish(NOW, model(1), NOW + Span::from_secs(3600));
        demand.advance(NOW - Span::from_secs(3600));
        let end = NOW - Span::from_secs(3540);
        demand.advance(end - Span::from_ms(1));
        assert_eq!(demand.models().count(), 1);
        demand.advance(end);
        assert_eq!(demand.models().count(), 0);
    }
}
