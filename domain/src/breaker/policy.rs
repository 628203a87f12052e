//! The breaker's numbers.

use crate::time::Span;

/// When to eject a server and for how long. Zeroes count as the smallest sensible value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that eject. Envoy's `consecutive_5xx` has the same default, 5.
    pub consecutive_failures: u32,
    /// Failure share of the window that ejects, in thousandths.
    pub failure_share_permille: u32,
    /// Requests the window needs before its share counts.
    pub least_requests: u32,
    /// Length of the sliding window.
    pub window: Span,
    /// Length of the first ejection; the n-th lasts n times this.
    pub ejection: Span,
    /// The longest ejection, before jitter.
    pub longest_ejection: Span,
    /// Jitter at most, in thousandths of the ejection.
    pub jitter_permille: u32,
    /// Each such span spent admitting takes one off the count of ejections.
    pub forgive_every: Span,
    /// Pause after a probe that ended without a word on the server.
    pub after_lost_probe: Span,
    /// Least time between two panic grants.
    pub panic_every: Span,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_share_permille: 500,
            least_requests: 20,
            window: Span::from_secs(30),
            ejection: Span::from_secs(30),
            longest_ejection: Span::from_secs(300),
            jitter_permille: 100,
            forgive_every: Span::from_secs(60),
            after_lost_probe: Span::from_secs(5),
            panic_every: Span::from_secs(1),
        }
    }
}

impl BreakerPolicy {
    /// The count of ejections stops where the cap is reached (300 ÷ 30 = 10): a server that was broken
    /// for a day is forgiven after ten good minutes, not after a day.
    pub(super) fn most_times(&self) -> u32 {
        let each = self.ejection.as_ms().max(1);
        let cap = self.longest_ejection.as_ms().max(each);
        u32::try_from(cap.saturating_add(each - 1) / each).unwrap_or(u32::MAX)
    }
}
