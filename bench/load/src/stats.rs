//! Percentiles and the report. Invariant: failed requests are counted by kind and never enter a
//! percentile, so a server cannot look fast by refusing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::exchange::Timing;

/// Microseconds; zeros when nothing was measured.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Spread {
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// The largest.
    pub max: u64,
    /// Arithmetic mean.
    pub mean: u64,
}

/// One level's figures; all times in microseconds.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Connections kept busy.
    pub connections: usize,
    /// Whole answers.
    pub requests: usize,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
    /// From the start of the first measured request to the end of the last.
    pub seconds: f64,
    /// Whole answers a second.
    pub requests_per_second: f64,
    /// Request to last byte.
    pub latency_us: Spread,
    /// Request to first event with text; streams only.
    pub first_token_us: Spread,
    /// Between events with text; streams only.
    pub inter_token_us: Spread,
    /// Events with text in all.
    pub tokens: usize,
}

impl Report {
    /// Sums one level up.
    pub fn new(
        connections: usize,
        elapsed: Duration,
        timings: &[Timing],
        errors: BTreeMap<String, u64>,
    ) -> Self {
        let seconds = elapsed.as_secs_f64();
        let requests = timings.len();
        let gaps: Vec<Duration> = timings.iter().flat_map(|t| t.gaps.clone()).collect();
        let firsts: Vec<Duration> = timings.iter().filter_map(|t| t.first_token).collect();
        Self {
            connections,
            requests,
            errors,
            seconds,
            requests_per_second: if seconds > 0.0 {
                requests as f64 / seconds
            } else {
                0.0
            },
            latency_us: spread(timings.iter().map(|t| t.total).collect()),
            tokens: firsts.len() + gaps.len(),
            first_token_us: spread(firsts),
            inter_token_us: spread(gaps),
        }
    }
}

fn spread(mut values: Vec<Duration>) -> Spread {
    values.sort_unstable();
    let micros = |value: &Duration| u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
    // Nearest rank: the smallest value that at least `percent` of all values do not exceed.
    let at = |percent: usize| {
        let rank = (values.len() * percent).div_ceil(100).max(1);
        values.get(rank - 1).map_or(0, micros)
    };
    let total: Duration = values.iter().sum();
    let mean = u32::try_from(values.len())
        .ok()
        .filter(|count| *count > 0)
        .map_or(0, |count| micros(&(total / count)));
    Spread {
        p50: at(50),
        p90: at(90),
        p99: at(99),
        max: at(100),
        mean,
    }
}

/// The table for people.
pub fn table(reports: &[Report]) -> String {
    let mut text = String::from(
        "conns      req/s   p50 ms   p99 ms  first-token p50/p99 ms  inter-token p50/p99 ms  errors",
    );
    let ms = |micros: u64| micros as f64 / 1000.0;
    for report in reports {
        let errors: u64 = report.errors.values().sum();
        // Writing to a `String` cannot fail.
        let _written = write!(
            text,
            "\n{:>5} {:>10.0} {:>8.2} {:>8.2} {:>11.2} {:>10.2} {:>12.2} {:>10.2}  {:>6} {}",
            report.connections,
            report.requests_per_second,
            ms(report.latency_us.p50),
            ms(report.latency_us.p99),
            ms(report.first_token_us.p50),
            ms(report.first_token_us.p99),
            ms(report.inter_token_us.p50),
            ms(report.inter_token_us.p99),
            errors,
            if errors > 0 {
                format!("{:?}", report.errors)
            } else {
                String::new()
            },
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let values = (1..=100).map(Duration::from_micros).collect();
        assert_eq!(
            spread(values),
            Spread {
                p50: 50,
                p90: 90,
                p99: 99,
                max: 100,
                mean: 50
            }
        );
        assert_eq!(spread(Vec::new()), Spread::default());
        assert_eq!(spread(vec![Duration::from_micros(7)]).p99, 7);
    }
}
