//! After how long a silent server is worth racing: learned for each organisation, model and prompt size.
//!
//! Invariant: `min ≤ delay ≤ CAP`, whatever was observed. Until enough is known the initial delay holds.
//!
//! The estimate is a streaming 95th percentile (stochastic approximation: up by `step × 0.95` on a
//! slower sample, down by `step × 0.05` on a faster one), times a margin. It needs one number for each
//! class and no history.

use std::collections::BTreeMap;

use crate::time::Span;

/// Samples before the estimate is believed.
const ENOUGH: u32 = 10;
/// The race starts at this multiple of the 95th percentile: at 1 every twentieth request would run
/// twice, and the retry budget (20 %) would be spent on healthy servers.
const MARGIN: i64 = 3;
/// No use waiting longer than this before racing.
const CAP: Span = Span::from_secs(60);
/// Classes kept; beyond this one of the organisation that holds most goes. Bounds what a client that
/// invents names can cost, and its neighbours lose nothing by it.
const MOST_CLASSES: usize = 512;

/// What requests are comparable by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class {
    /// Whose servers: models of one name at two organisations have nothing else in common.
    pub org: String,
    /// The model.
    pub model: String,
    /// Whether the answer streams: a plain answer is silent until it is whole.
    pub stream: bool,
    /// Prompt size as a power of two of estimated tokens.
    pub size: u32,
}

impl Class {
    /// The class of a request.
    pub fn new(org: &str, model: &str, stream: bool, prompt_tokens: u64) -> Self {
        Self {
            org: org.to_owned(),
            model: model.to_owned(),
            stream,
            size: 64 - prompt_tokens.leading_zeros(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Estimate {
    p95_ms: f64,
    samples: u32,
}

/// First-token times as this isolate has seen them.
#[derive(Clone, Debug, Default)]
pub struct HedgeDelays {
    estimates: BTreeMap<Class, Estimate>,
}

impl HedgeDelays {
    /// Takes an observed time to the first token (of a plain answer: to the whole) into account.
    pub fn observe(&mut self, class: Class, first_token: Span) {
        if self.estimates.len() >= MOST_CLASSES && !self.estimates.contains_key(&class) {
            self.make_room();
        }
        let sample = first_token.as_ms() as f64;
        let estimate = self.estimates.entry(class).or_insert(Estimate {
            p95_ms: sample,
            samples: 0,
        });
        estimate.samples = estimate.samples.saturating_add(1);
        let step = (estimate.p95_ms * 0.1).max(1.0);
        let change = if sample > estimate.p95_ms {
            0.95
        } else {
            -0.05
        };
        estimate.p95_ms = (estimate.p95_ms + step * change).max(1.0);
    }

    fn make_room(&mut self) {
        let mut held: BTreeMap<&str, usize> = BTreeMap::new();
        for class in self.estimates.keys() {
            *held.entry(&class.org).or_default() += 1;
        }
        let most = held.into_iter().max_by_key(|(_, classes)| *classes);
        let first = most.and_then(|(org, _)| self.estimates.keys().find(|class| class.org == org));
        if let Some(class) = first.cloned() {
            self.estimates.remove(&class);
        }
    }

    /// After how long a silent server is raced.
    pub fn delay(&self, class: &Class, min: Span, initial: Span) -> Span {
        let known = self
            .estimates
            .get(class)
            .filter(|estimate| estimate.samples >= ENOUGH);
        let delay = known.map_or(initial, |estimate| {
            Span::from_ms(estimate.p95_ms as i64).times(MARGIN)
        });
        delay.max(min).min(CAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Span = Span::from_secs(2);
    const INITIAL: Span = Span::from_secs(4);

    fn class() -> Class {
        Class::new("o", "m", true, 100)
    }

    #[test]
    fn the_initial_delay_holds_until_enough_is_known() {
        let mut delays = HedgeDelays::default();
        for _ in 0..9 {
            delays.observe(class(), Span::from_secs(8));
        }
        assert_eq!(delays.delay(&class(), MIN, INITIAL), INITIAL);
        delays.observe(class(), Span::from_secs(8));
        assert!(delays.delay(&class(), MIN, INITIAL) > Span::from_secs(15));
    }

    #[test]
    fn fast_models_are_raced_after_the_minimum_and_slow_ones_after_the_cap() {
        let mut delays = HedgeDelays::default();
        for _ in 0..200 {
            delays.observe(class(), Span::from_ms(30));
            delays.observe(Class::new("o", "slow", true, 100), Span::from_secs(100));
        }
        assert_eq!(delays.delay(&class(), MIN, INITIAL), MIN);
        assert_eq!(
            delays.delay(&Class::new("o", "slow", true, 100), MIN, INITIAL),
            CAP
        );
    }

    #[test]
    fn the_estimate_settles_near_the_95th_percentile() {
        let mut delays = HedgeDelays::default();
        for n in 0..20_000_i64 {
            // Uniform from 1000 to 1999 ms, in a scrambled order: the 95th percentile is 1950.
            delays.observe(class(), Span::from_ms(1000 + (n * 7919) % 1000));
        }
        let p95 = delays.delay(&class(), Span::ZERO, INITIAL).as_ms() / 3;
        assert!((1700..2300).contains(&p95), "got {p95}");
    }

    #[test]
    fn organisations_learn_nothing_of_each_other() {
        let mut delays = HedgeDelays::default();
        let theirs = Class::new("theirs", "m", true, 100);
        for _ in 0..20 {
            delays.observe(class(), Span::from_secs(8));
        }
        assert_eq!(delays.delay(&theirs, MIN, INITIAL), INITIAL);
    }

    #[test]
    fn invented_model_names_do_not_grow_the_table_nor_cost_neighbours_theirs() {
        let mut delays = HedgeDelays::default();
        let neighbour = Class::new("a", "m", true, 1);
        delays.observe(neighbour.clone(), Span::from_ms(1));
        for n in 0..2000 {
            delays.observe(Class::new("o", &format!("m{n}"), true, 1), Span::from_ms(1));
        }
        assert_eq!(delays.estimates.len(), MOST_CLASSES);
        assert!(delays.estimates.contains_key(&neighbour));
    }
}
