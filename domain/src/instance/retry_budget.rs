//! Keeps retries and hedges a small share, so that a failing fleet is not asked ever more.
//!
//! Invariant: granted retries and hedges of a window ≤ max(floor, share × granted first attempts). Only
//! what was granted counts: summed over all servers, attempts are then at most 1.2 times the requests
//! (beyond the floors), however the attempts of one request spread over them.

use super::ask::AskKind;
use crate::breaker::window::Window;
use crate::time::{Span, Timestamp};

/// The share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Of first attempts, in thousandths.
    pub share_permille: u32,
    /// Always allowed in a window. Without it a quiet server could never be retried on. With 3 a minute,
    /// eight requests at once of which a silent server holds five left two hanging: the healthy one
    /// granted three hedges, and a share of so few first attempts is nothing. Ten is still little: Finagle
    /// allows 10 a second; Envoy's 3 are retries running at once, not a minute's. From 50 requests a
    /// window on the share decides, so that at 1,000 it stays 200.
    pub floor: u32,
    /// Length of the window, in six buckets.
    pub window: Span,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            share_permille: 200,
            floor: 10,
            window: Span::from_secs(60),
        }
    }
}

/// The budget of one server.
#[derive(Clone, Debug)]
pub(crate) struct RetryBudget {
    policy: RetryPolicy,
    window: Window<6>,
}

impl RetryBudget {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self {
            policy,
            window: Window::new(policy.window),
        }
    }

    pub(crate) fn set_policy(&mut self, policy: RetryPolicy) {
        if policy.window != self.policy.window {
            self.window = Window::new(policy.window);
        }
        self.policy = policy;
    }

    /// Whether an attempt of this kind may go.
    pub(crate) fn allows(&self, now: Timestamp, kind: AskKind) -> bool {
        match kind {
            AskKind::First => true,
            AskKind::Retry | AskKind::Hedge => {
                let sum = self.window.sum(now);
                let share = u64::from(sum.plain) * u64::from(self.policy.share_permille) / 1000;
                u64::from(sum.marked) < share.max(u64::from(self.policy.floor))
            }
        }
    }

    /// An attempt has a slot, or (a retry) a place in the queue.
    pub(crate) fn spend(&mut self, now: Timestamp, kind: AskKind) {
        self.window.add(now, is_repeat(kind));
    }

    /// The attempt spent at `at` was never sent.
    pub(crate) fn refund(&mut self, at: Timestamp, kind: AskKind) {
        self.window.take_back(at, is_repeat(kind));
    }
}

const fn is_repeat(kind: AskKind) -> bool {
    match kind {
        AskKind::First => false,
        AskKind::Retry | AskKind::Hedge => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_000_000_000_000);

    fn budget() -> RetryBudget {
        RetryBudget::new(RetryPolicy {
            share_permille: 200,
            floor: 1,
            window: Span::from_secs(60),
        })
    }

    #[test]
    fn a_share_of_first_attempts_may_be_repeated_and_never_less_than_the_floor() {
        let mut budget = budget();
        assert!(budget.allows(NOW, AskKind::Retry));
        budget.spend(NOW, AskKind::Retry);
        assert!(!budget.allows(NOW, AskKind::Hedge));
        for _ in 0..9 {
            budget.spend(NOW, AskKind::First);
        }
        assert!(!budget.allows(NOW, AskKind::Retry), "a fifth of 9 is 1");
        budget.spend(NOW, AskKind::First);
        assert!(budget.allows(NOW, AskKind::Retry), "a fifth of 10 is 2");
        assert!(budget.allows(NOW, AskKind::First));
    }

    #[test]
    fn another_window_starts_empty_and_the_same_one_goes_on() {
        for (window, is_spent) in [(60, true), (61, false)] {
            let mut budget = budget();
            budget.spend(NOW, AskKind::Retry);
            budget.set_policy(RetryPolicy {
                window: Span::from_secs(window),
                ..budget.policy
            });
            assert_eq!(!budget.allows(NOW, AskKind::Retry), is_spent, "{window} s");
        }
    }
}
