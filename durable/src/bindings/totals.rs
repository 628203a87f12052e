//! What was ever logged, summed up by model and server: the source of `GET /metrics`.
//!
//! Invariant: sums only grow, and adding two is the same in any order, so that parts may arrive late.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::log::LogEntry;

/// Upper bounds of the histograms' buckets, in milliseconds: from a cached embedding to the longest wait
/// for a first token. Stored counts are by position, so a release may append bounds and never insert one.
pub const BOUNDS_MS: [u64; 14] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000,
];

/// Stands for every name that no model or route has, and for whatever is too much.
pub const OTHER: &str = "other";

/// Sums by model and server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// One for each pair.
    #[serde(default)]
    pub series: Vec<Series>,
    /// Log entries that were lost on their way.
    #[serde(default)]
    pub lost: u64,
}

/// The sums of a model at a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// The model or route; [`OTHER`] for a name that is none.
    pub model: String,
    /// The server; empty when none answered.
    #[serde(default)]
    pub server: String,
    /// The sums.
    pub sums: Sums,
}

/// What is summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Requests by HTTP status.
    #[serde(default)]
    pub requests: BTreeMap<String, u64>,
    /// Refused and failed requests by error code.
    #[serde(default)]
    pub errors: BTreeMap<String, u64>,
    /// From arrival to end.
    #[serde(default)]
    pub duration: Histogram,
    /// From arrival to first token.
    #[serde(default)]
    pub first_token: Histogram,
    /// Tokens read.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens written.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Micro-dollars.
    #[serde(default)]
    pub cost_microusd: u64,
    /// Requests sent to servers.
    #[serde(default)]
    pub attempts: u64,
    /// When the last of them ended, in milliseconds since the epoch.
    #[serde(default)]
    pub last_ms: i64,
}

impl Sums {
    /// Counts one request.
    pub fn count(&mut self, entry: &LogEntry) {
        *self.requests.entry(entry.status.to_string()).or_default() += 1;
        if let Some(code) = &entry.error {
            *self.errors.entry(code.clone()).or_default() += 1;
        }
        self.duration.observe(entry.duration_ms);
        if let Some(ms) = entry.first_token_ms {
            self.first_token.observe(ms);
        }
        self.prompt_tokens = self.prompt_tokens.saturating_add(entry.prompt_tokens);
        self.completion_tokens = self
            .completion_tokens
            .saturating_add(entry.completion_tokens);
        self.cost_microusd = self.cost_microusd.saturating_add(entry.cost_microusd);
        self.attempts = self.attempts.saturating_add(entry.attempts.into());
        self.last_ms = self.last_ms.max(entry.at_ms);
    }

    /// Adds another's sums.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.requests, &other.requests),
            (&mut self.errors, &other.errors),
        ] {
            for (label, count) in theirs {
                let sum = mine.entry(label.clone()).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
        self.duration.add(&other.duration);
        self.first_token.add(&other.first_token);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self
            .completion_tokens
            .saturating_add(other.completion_tokens);
        self.cost_microusd = self.cost_microusd.saturating_add(other.cost_microusd);
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.last_ms = self.last_ms.max(other.last_ms);
    }
}

/// How often which time was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Observations in each bucket of [`BOUNDS_MS`], not accumulated; what is missing at the end is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<u64>,
    /// All observations.
    #[serde(default)]
    pub count: u64,
    /// Their sum in milliseconds.
    #[serde(default)]
    pub sum_ms: u64,
}

impl Histogram {
    /// Counts one observation; one beyond the last bound is in the count only.
    pub fn observe(&mut self, ms: u64) {
        self.count = self.count.saturating_add(1);
        self.sum_ms = self.sum_ms.saturating_add(ms);
        let Some(bucket) = BOUNDS_MS.iter().position(|bound| ms <= *bound) else {
            return;
        };
        self.reach(bucket + 1);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
    }

    fn add(&mut self, other: &Self) {
        self.reach(other.buckets.len());
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.saturating_add(*theirs);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
    }

    fn reach(&mut self, buckets: usize) {
        if self.buckets.len() < buckets {
            self.buckets.resize(buckets, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_belongs_to_the_first_bucket_that_is_not_below_it() {
        let mut histogram = Histogram::default();
        for ms in [0, 10, 11, 300_000, 300_001] {
            histogram.observe(ms);
        }
        let mut buckets = vec![0; BOUNDS_MS.len()];
        (buckets[0], buckets[1], buckets[13]) = (2, 1, 1);
        assert_eq!(histogram.buckets, buckets);
        assert_eq!((histogram.count, histogram.sum_ms), (5, 600_022));
    }

    fn entry() -> impl Strategy<Value = LogEntry> {
        let error = proptest::option::of("[ab]");
        let times = (proptest::option::of(0_u64..400_000), 0_u64..400_000);
        (0_i64..9, 200_u16..203, error, times, 0_u64..9).prop_map(
            |(at_ms, status, error, (first_token_ms, duration_ms), n)| LogEntry {
                at_ms,
                status,
                error,
                first_token_ms,
                duration_ms,
                prompt_tokens: n,
                completion_tokens: n * 2,
                cost_microusd: n * 3,
                attempts: 1,
                ..LogEntry::default()
            },
        )
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole_in_any_order(
            entries in proptest::collection::vec(entry(), 0..20),
            cut in 0_usize..20,
        ) {
            let sums = |entries: &[LogEntry]| {
                let mut sums = Sums::default();
                entries.iter().for_each(|entry| sums.count(entry));
                sums
            };
            let (first, second) = entries.split_at(cut.min(entries.len()));
            let mut added = sums(second);
            added.add(&sums(first));
            prop_assert_eq!(added, sums(&entries));
        }
    }
}
