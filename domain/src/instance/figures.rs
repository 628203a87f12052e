//! What a server has done: totals and averages, for ranking, estimates and the admin's eyes.
//!
//! Out of scope: decisions. Hosts store these rarely; losing the last minutes of them changes nothing.

use super::event::Settled;
use crate::outcome::{FailureKind, Outcome};
use crate::time::Span;

/// Counts since registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Leases granted.
    pub granted: u64,
    /// Requests that had to wait.
    pub queued: u64,
    /// Asks denied.
    pub denied: u64,
    /// Complete answers.
    pub successes: u64,
    /// Requests the server refused as wrong.
    pub client_errors: u64,
    /// 429 and 503.
    pub backpressure: u64,
    /// Failures by kind.
    pub failures: FailureTotals,
    /// Clients that left.
    pub clients_left: u64,
    /// Leases given back unused.
    pub cancelled: u64,
    /// Leases that ran out.
    pub leases_expired: u64,
    /// Ejections.
    pub ejections: u64,
    /// Probes granted.
    pub probes: u64,
    /// Panic grants.
    pub panics: u64,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
}

/// Failures by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureTotals {
    /// 5xx other than 503.
    pub http_5xx: u64,
    /// No connection, or it broke.
    pub transport: u64,
    /// No first token in time.
    pub timeout: u64,
    /// Silence between chunks.
    pub stalled: u64,
    /// Streams without an end.
    pub cut_stream: u64,
    /// Rubbish.
    pub invalid_answer: u64,
}

/// Totals and averages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Counts.
    pub totals: Totals,
    /// Average duration of complete answers.
    pub duration: Average,
    /// Average time to the first token.
    pub ttft: Average,
}

/// An average in which each new value weighs a fifth: ten requests later the old level is a tenth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Average {
    /// In 1/256 ms, so that small steps are not lost to rounding. `None` before the first value.
    pub ms_256: Option<i64>,
}

impl Average {
    /// Takes in a value.
    pub fn add(&mut self, span: Span) {
        let value = span.as_ms().saturating_mul(256);
        self.ms_256 = Some(match self.ms_256 {
            None => value,
            Some(old) => old.saturating_add(value.saturating_sub(old) / 5),
        });
    }

    /// The average.
    pub fn span(&self) -> Option<Span> {
        self.ms_256.map(|ms_256| Span::from_ms(ms_256 / 256))
    }
}

impl Figures {
    pub(crate) fn settled(&mut self, settled: &Settled) {
        let totals = &mut self.totals;
        let count = match settled.outcome {
            Outcome::Success => &mut totals.successes,
            Outcome::ClientError(_) => &mut totals.client_errors,
            Outcome::Backpressure { .. } => &mut totals.backpressure,
            Outcome::Failure { kind } => totals.failures.of(kind),
            Outcome::ClientLeft => &mut totals.clients_left,
            Outcome::Cancelled => &mut totals.cancelled,
        };
        *count = count.saturating_add(1);
        totals.prompt_tokens = totals.prompt_tokens.saturating_add(settled.prompt_tokens);
        totals.completion_tokens = totals
            .completion_tokens
            .saturating_add(settled.completion_tokens);
        // Only complete answers: a failure's time says nothing about how long an answer takes.
        if settled.outcome == Outcome::Success {
            self.duration.add(settled.duration);
            if let Some(ttft) = settled.ttft {
                self.ttft.add(ttft);
            }
        }
    }
}

impl FailureTotals {
    fn of(&mut self, kind: FailureKind) -> &mut u64 {
        match kind {
            FailureKind::Http5xx(_) => &mut self.http_5xx,
            FailureKind::Transport => &mut self.transport,
            FailureKind::Timeout => &mut self.timeout,
            FailureKind::Stalled => &mut self.stalled,
            FailureKind::CutStream => &mut self.cut_stream,
            FailureKind::InvalidAnswer => &mut self.invalid_answer,
        }
    }

    /// All failures.
    pub const fn sum(&self) -> u64 {
        self.http_5xx
            .saturating_add(self.transport)
            .saturating_add(self.timeout)
            .saturating_add(self.stalled)
            .saturating_add(self.cut_stream)
            .saturating_add(self.invalid_answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_counted_where_it_belongs_and_in_the_sum() {
        let kinds = [
            FailureKind::Http5xx(502),
            FailureKind::Transport,
            FailureKind::Timeout,
            FailureKind::Stalled,
            FailureKind::CutStream,
            FailureKind::InvalidAnswer,
        ];
        let mut totals = FailureTotals::default();
        for (n, kind) in (1..).zip(kinds) {
            *totals.of(kind) += n;
        }
        let FailureTotals {
            http_5xx,
            transport,
            timeout,
            stalled,
            cut_stream,
            invalid_answer,
        } = totals;
        assert_eq!(
            [
                http_5xx,
                transport,
                timeout,
                stalled,
                cut_stream,
                invalid_answer
            ],
            [1, 2, 3, 4, 5, 6]
        );
        assert_eq!(totals.sum(), 21);
    }
}
