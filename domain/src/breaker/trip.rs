//! Counts answers while admitting, and ejects.

use super::{Breaker, BreakerState, EjectReason, Shift};
use crate::backoff::jitter;
use crate::outcome::{FailureKind, Verdict};
use crate::time::{Span, Timestamp};

impl Breaker {
    pub(super) fn count(&mut self, now: Timestamp, verdict: Verdict) -> Option<Shift> {
        match verdict {
            Verdict::Neutral => None,
            Verdict::Good => {
                self.consecutive = 0;
                self.window.add(now, false);
                None
            }
            Verdict::Bad(last) => {
                self.consecutive = self.consecutive.saturating_add(1);
                self.window.add(now, true);
                self.tripped(now, last)
                    .map(|reason| self.eject(now, now, reason))
            }
        }
    }

    fn tripped(&self, now: Timestamp, last: FailureKind) -> Option<EjectReason> {
        if self.consecutive >= self.policy.consecutive_failures.max(1) {
            return Some(EjectReason::Consecutive {
                failures: self.consecutive,
                last,
            });
        }
        let sum = self.window.sum(now);
        let share = u64::from(sum.marked) * 1000;
        let limit = u64::from(sum.all()) * u64::from(self.policy.failure_share_permille);
        (sum.all() >= self.policy.least_requests.max(1) && share >= limit).then(|| {
            EjectReason::Share {
                failures: sum.marked,
                requests: sum.all(),
            }
        })
    }

    pub(super) fn eject(&mut self, now: Timestamp, since: Timestamp, reason: EjectReason) -> Shift {
        let policy = self.policy;
        self.times = self.times.saturating_add(1).min(policy.most_times());
        let plain = policy
            .ejection
            .times(i64::from(self.times))
            .min(policy.longest_ejection);
        let most = plain
            .as_ms()
            .saturating_mul(i64::from(policy.jitter_permille))
            / 1000;
        let length = plain + jitter(self.salt, u64::from(self.times), Span::from_ms(most));
        let until = now + length;
        self.enter(BreakerState::Ejected {
            since,
            until,
            length,
            reason,
        });
        Shift::Ejected {
            until,
            times: self.times,
            reason,
        }
    }
}
