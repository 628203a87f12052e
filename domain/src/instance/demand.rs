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
