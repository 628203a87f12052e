//! Totals, averages, the breaker's run of failures and the check ring as one row.

use serde::{Deserialize, Serialize};
use tidegate_domain::breaker::FailureRun;
use tidegate_domain::health::{CheckFault, CheckResult, Ring};
use tidegate_domain::instance::{Average, FailureTotals, Figures, Totals};
use tidegate_domain::time::Timestamp;

use super::FaultRow;

/// Totals, averages and the last checks, in one blob that is written rarely.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FiguresRow {
    /// In the order of [`Totals`]' fields, failures last.
    pub totals: Vec<u64>,
    /// In 1/256 ms.
    pub duration_ms_256: Option<i64>,
    /// In 1/256 ms.
    pub first_token_ms_256: Option<i64>,
    /// The run of failures that the last request left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunRow>,
    /// Oldest first.
    pub checks: Vec<CheckRow>,
    /// When a request last came, ran or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_at_ms: Option<i64>,
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// How many.
    pub failures: u32,
    /// Since when the server had been admitted.
    pub admitted_at_ms: i64,
}

impl From<FailureRun> for RunRow {
    fn from(run: FailureRun) -> Self {
        Self {
            failures: run.failures,
            admitted_at_ms: run.admitted_at.as_ms(),
        }
    }
}

impl From<RunRow> for FailureRun {
    fn from(row: RunRow) -> Self {
        Self {
            failures: row.failures,
            admitted_at: Timestamp::from_ms(row.admitted_at_ms),
        }
    }
}

/// A health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRow {
    /// When.
    pub at_ms: i64,
    /// How long it took.
    pub latency_ms: u32,
    /// What was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultRow>,
}

impl FiguresRow {
    /// Figures, run and checks as a row.
    pub fn from_domain(figures: &Figures, run: Option<FailureRun>, ring: &Ring) -> Self {
        let t = &figures.totals;
        let f = &t.failures;
        let check = |result: &CheckResult| CheckRow {
            at_ms: result.at.as_ms(),
            latency_ms: result.latency_ms,
            fault: result.reason.map(FaultRow::from),
        };
        Self {
            totals: vec![
                t.granted,
                t.queued,
                t.denied,
                t.successes,
                t.client_errors,
                t.backpressure,
                t.clients_left,
                t.cancelled,
                t.leases_expired,
                t.ejections,
                t.probes,
                t.panics,
                t.prompt_tokens,
                t.completion_tokens,
                f.http_5xx,
                f.transport,
                f.timeout,
                f.stalled,
                f.cut_stream,
                f.invalid_answer,
            ],
            duration_ms_256: figures.duration.ms_256,
            first_token_ms_256: figures.ttft.ms_256,
            run: run.map(RunRow::from),
            checks: ring.iter().map(check).collect(),
            active_at_ms: None,
        }
    }

    /// The figures and the ring again.
    pub fn into_domain(self) -> (Figures, Ring) {
        let n = |index: usize| self.totals.get(index).copied().unwrap_or_default();
        let totals = Totals {
            granted: n(0),
            queued: n(1),
            denied: n(2),
            successes: n(3),
            client_errors: n(4),
            backpressure: n(5),
            clients_left: n(6),
            cancelled: n(7),
            leases_expired: n(8),
            ejections: n(9),
            probes: n(10),
            panics: n(11),
            prompt_tokens: n(12),
            completion_tokens: n(13),
            failures: FailureTotals {
                http_5xx: n(14),
                transport: n(15),
                timeout: n(16),
                stalled: n(17),
                cut_stream: n(18),
                invalid_answer: n(19),
            },
        };
        let check = |row: &CheckRow| CheckResult {
            at: Timestamp::from_ms(row.at_ms),
            ok: row.fault.is_none(),
            latency_ms: row.latency_ms,
            reason: row.fault.map(CheckFault::from),
        };
        let figures = Figures {
            totals,
            duration: Average {
                ms_256: self.duration_ms_256,
            },
            ttft: Average {
                ms_256: self.first_token_ms_256,
            },
        };
        (figures, Ring::restore(self.checks.iter().map(check)))
    }
}
