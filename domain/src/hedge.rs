//! After how long a silent server is worth racing: learned for each model and prompt size.
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
/// Classes kept; beyond this the oldest name goes. Bounds what a client that invents names can cost.
const MOST_CLASSES: usize = 512;

/// What requests are comparable by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class {
    /// The model.
    pub model: String,
    /// Whether the answer streams: a plain answer is silent until it is whole.
    pub stream: bool,
    /// Prompt size as a power of two of estimated tokens.
    pub size: u32,
}

impl Class {
    /// The class of a request.
    pub fn new(model: &str, stream: bool, prompt_tokens: u64) -> Self {
        Self {
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
            self.estimates.pop_first();
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
        Class::new("m", true, 100)
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
            delays.observe(Class::new("slow", true, 100), Span::from_secs(100));
        }
        assert_eq!(delays.delay(&class(), MIN, INITIAL), MIN);
        assert_eq!(
            delays.delay(&Class::new("slow", true, 100), MIN, INITIAL),
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
    fn invented_model_names_do_not_grow_the_table() {
        let mut delays = HedgeDelays::default();
        for n in 0..2000 {
            delays.observe(Class::new(&format!("m{n}"), true, 1), Span::from_ms(1));
        }
        assert_eq!(delays.estimates.len(), MOST_CLASSES);
    }
}
