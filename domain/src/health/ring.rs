//! The last hundred health checks and what they add up to.
//!
//! Invariant: never more than [`RING`] results, oldest first.

use core::fmt;
use std::collections::VecDeque;

use crate::time::Timestamp;

/// Results kept. At one check a minute this is the last hour and forty minutes.
pub const RING: usize = 100;

/// One finished check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// When it finished.
    pub at: Timestamp,
    /// Whether the server answered as it should.
    pub ok: bool,
    /// How long it took, in milliseconds.
    pub latency_ms: u32,
    /// What was wrong, if it was not `ok`.
    pub reason: Option<CheckFault>,
}

/// What is wrong with a server that fails its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckFault {
    /// A status other than 2xx.
    Status(u16),
    /// No connection, or it broke.
    Transport,
    /// No answer within the check's time limit.
    Timeout,
    /// Not a list of models.
    InvalidAnswer,
    /// A redirect, which is never followed.
    Redirected,
    /// The address is one that may not be asked.
    AddressRefused,
}

/// The results, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    results: VecDeque<CheckResult>,
}

impl Ring {
    /// A ring of stored results; only the newest [`RING`] are kept.
    pub fn restore(results: impl IntoIterator<Item = CheckResult>) -> Self {
        let mut ring = Self::default();
        for result in results {
            ring.push(result);
        }
        ring
    }

    /// Adds a result, dropping the oldest beyond [`RING`].
    pub fn push(&mut self, result: CheckResult) {
        if self.results.len() >= RING {
            self.results.pop_front();
        }
        self.results.push_back(result);
    }

    /// The results, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &CheckResult> {
        self.results.iter()
    }

    /// How many results there are.
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// The newest result.
    pub fn last(&self) -> Option<&CheckResult> {
        self.results.back()
    }

    /// How many of the newest results in a row went this way.
    pub fn run(&self, ok: bool) -> u32 {
        let run = self.results.iter().rev().take_while(|r| r.ok == ok);
        u32::try_from(run.count()).unwrap_or(u32::MAX)
    }

    /// The share that succeeded, in thousandths; `None` before the first check.
    pub fn success_permille(&self) -> Option<u32> {
        let good = self.results.iter().filter(|r| r.ok).count();
        let permille = (good * 1000).checked_div(self.results.len())?;
        u32::try_from(permille).ok()
    }

    /// Mean latency of the checks that succeeded, in milliseconds. Failed ones would say more about the
    /// time limit than about the server.
    pub fn mean_latency_ms(&self) -> Option<u32> {
        let good: Vec<u64> = self
            .results
            .iter()
            .filter(|r| r.ok)
            .map(|r| u64::from(r.latency_ms))
            .collect();
        let mean = good
            .iter()
            .sum::<u64>()
            .checked_div(u64::try_from(good.len()).ok()?)?;
        u32::try_from(mean).ok()
    }
}

impl fmt::Display for CheckFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Transport => f.write_str("a transport error"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::InvalidAnswer => f.write_str("an answer that is no list of models"),
            Self::Redirected => f.write_str("a redirect"),
            Self::AddressRefused => f.write_str("an address that may not be asked"),
        }
    }
}
