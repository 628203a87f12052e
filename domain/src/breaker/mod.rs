//! Decides whether a server may be asked, from how its answers ended.
//!
//! `Admitting → Ejected → Probing → Admitting | Ejected`.
//!
//! Invariant: outside `Admitting`, at most one probe is out, and panic grants are at least
//! `panic_every` apart. Time left out is at most the ejection's own length, whatever the clock does;
//! and only a good answer to a probe or a panic request re-admits, never the clock.
//!
//! Out of scope: health checks (they never touch a breaker: a server may list its models and fail every
//! completion), capacity, and cool-downs.

mod admission;
mod policy;
mod state;
#[cfg(test)]
mod tests;
mod trip;
pub(crate) mod window;

pub use self::policy::BreakerPolicy;
pub use self::state::{
    BreakerDenied, BreakerRecord, BreakerState, EjectReason, FailureRun, Pass, Passed, Shift,
};
use self::window::Window;
use crate::ids::RequestId;
use crate::outcome::Verdict;
use crate::time::{Span, Timestamp};

/// The breaker of one server.
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    salt: u64,
    state: BreakerState,
    times: u32,
    /// Counts of the time spent admitting; restarted on every change of state.
    consecutive: u32,
    window: Window<10>,
    /// Whether the end of the ejection has been noticed, so that it is a timer only once.
    ripe: bool,
    panicked_at: Option<Timestamp>,
}

impl Breaker {
    /// A breaker that admits.
    pub fn new(policy: BreakerPolicy, salt: u64, now: Timestamp) -> Self {
        Self {
            policy,
            salt,
            state: BreakerState::Admitting {
                since: now,
                forgiven_at: now,
            },
            times: 0,
            consecutive: 0,
            window: Window::new(policy.window),
            ripe: false,
            panicked_at: None,
        }
    }

    /// The breaker after a restart, on the careful side: the window is empty, the run goes on if
    /// [`Self::resume`] knows of one, a probe whose fate is unknown counts as lost, and no panic request
    /// goes in the first second, since one may just have gone.
    pub fn restore(
        policy: BreakerPolicy,
        salt: u64,
        record: BreakerRecord,
        now: Timestamp,
    ) -> Self {
        let mut breaker = Self::new(policy, salt, now);
        breaker.times = record.times.min(policy.most_times());
        breaker.panicked_at = Some(now);
        breaker.state = match record.state {
            BreakerState::Probing { since, reason, .. } => breaker.paused(now, since, reason),
            state @ (BreakerState::Admitting { .. } | BreakerState::Ejected { .. }) => state,
        };
        breaker.advance(now);
        breaker
    }

    /// What to store.
    pub fn snapshot(&self) -> BreakerRecord {
        BreakerRecord {
            state: self.state.clone(),
            times: self.times,
        }
    }

    /// The run of failures, if there is one.
    pub fn run(&self) -> Option<FailureRun> {
        match self.state {
            BreakerState::Admitting { since, .. } if self.consecutive > 0 => Some(FailureRun {
                failures: self.consecutive,
                admitted_at: since,
            }),
            _ => None,
        }
    }

    /// Takes a run up again after [`Self::restore`]. Without it a server so quiet that its object sleeps
    /// between two requests could fail every one of them and never be ejected.
    pub fn resume(&mut self, run: FailureRun) {
        if matches!(self.state, BreakerState::Admitting { since, .. } if since == run.admitted_at) {
            self.consecutive = run.failures;
        }
    }

    /// The state.
    pub const fn state(&self) -> &BreakerState {
        &self.state
    }

    /// Failures in a row since the last success or change of state.
    pub const fn consecutive_failures(&self) -> u32 {
        self.consecutive
    }

    /// Ejections not yet forgiven.
    pub const fn times(&self) -> u32 {
        self.times
    }

    /// Whether the ejection has run out and the next request would be the probe.
    pub fn awaits_probe(&self) -> bool {
        matches!(self.state, BreakerState::Ejected { .. }) && self.ripe
    }

    /// Whether ordinary requests pass.
    pub const fn admits(&self) -> bool {
        matches!(self.state, BreakerState::Admitting { .. })
    }

    /// Takes new numbers; what is running keeps its times.
    pub fn set_policy(&mut self, policy: BreakerPolicy) {
        if policy.window != self.policy.window {
            self.window = Window::new(policy.window);
        }
        self.policy = policy;
    }

    /// Notes that a request was let through.
    pub fn passed(&mut self, now: Timestamp, request: &RequestId, pass: Pass) {
        match (pass, &self.state) {
            (Pass::Probe, BreakerState::Ejected { since, reason, .. }) => {
                let (since, reason, request) = (*since, *reason, request.clone());
                self.enter(BreakerState::Probing {
                    request,
                    granted_at: now,
                    since,
                    reason,
                });
            }
            (Pass::Panic, _) => self.panicked_at = Some(now),
            (Pass::Ordinary | Pass::Probe, _) => {}
        }
    }

    /// Takes in how a request ended.
    pub fn settled(
        &mut self,
        now: Timestamp,
        passed: Passed<'_>,
        verdict: Verdict,
    ) -> Option<Shift> {
        self.advance(now);
        match &self.state {
            BreakerState::Admitting { since, .. } => {
                if passed.granted_at < *since {
                    return None;
                }
                self.count(now, verdict)
            }
            BreakerState::Ejected { since, .. } => {
                let since = *since;
                if passed.granted_at < since {
                    return None;
                }
                match (passed.pass, verdict) {
                    (Pass::Probe | Pass::Panic, Verdict::Good) => {
                        Some(self.readmit(now, passed.pass))
                    }
                    // A probe that outlived its lease or a restart still failed.
                    (Pass::Probe, Verdict::Bad(kind)) => {
                        Some(self.eject(now, since, EjectReason::ProbeFailed(kind)))
                    }
                    (Pass::Ordinary, _)
                    | (Pass::Panic, Verdict::Bad(_))
                    | (_, Verdict::Neutral) => None,
                }
            }
            BreakerState::Probing { request, since, .. } => {
                let (since, is_probe) = (*since, passed.request == request);
                match (passed.pass, verdict) {
                    (Pass::Probe | Pass::Panic, Verdict::Good) if passed.granted_at >= since => {
                        Some(self.readmit(now, passed.pass))
                    }
                    (Pass::Probe, Verdict::Bad(kind)) if is_probe => {
                        Some(self.eject(now, since, EjectReason::ProbeFailed(kind)))
                    }
                    (Pass::Probe, Verdict::Neutral) => self.lost(now, passed.request),
                    (Pass::Ordinary | Pass::Probe | Pass::Panic, _) => None,
                }
            }
        }
    }

    /// A request ended without a word on the server (lease expired, cancelled, client gone). If it was
    /// the probe, the server stays out for a moment; it is not blamed, so `times` stays.
    pub fn lost(&mut self, now: Timestamp, lost: &RequestId) -> Option<Shift> {
        match &self.state {
            BreakerState::Probing {
                request,
                since,
                reason,
                ..
            } if request == lost => {
                let (since, reason) = (*since, *reason);
                let state = self.paused(now, since, reason);
                self.enter(state);
                let until = now + self.policy.after_lost_probe;
                Some(Shift::Ejected {
                    until,
                    times: self.times,
                    reason,
                })
            }
            BreakerState::Probing { .. }
            | BreakerState::Admitting { .. }
            | BreakerState::Ejected { .. } => None,
        }
    }

    /// Lets time pass: bounds what lies ahead of a clock that jumped back, forgives, ripens.
    pub fn advance(&mut self, now: Timestamp) {
        self.panicked_at = self.panicked_at.map(|at| at.min(now));
        match &mut self.state {
            BreakerState::Admitting { since, forgiven_at } => {
                *since = (*since).min(now);
                *forgiven_at = (*forgiven_at).min(now);
                let each = self.policy.forgive_every.as_ms().max(1);
                let due = now.since(*forgiven_at).as_ms() / each;
                if self.times > 0 {
                    self.times = self
                        .times
                        .saturating_sub(u32::try_from(due).unwrap_or(u32::MAX));
                    *forgiven_at = *forgiven_at + Span::from_ms(each.saturating_mul(due));
                }
            }
            BreakerState::Ejected {
                since,
                until,
                length,
                ..
            } => {
                *since = (*since).min(now);
                *until = (*until).min(now + *length);
                self.ripe = self.ripe || now >= *until;
            }
            BreakerState::Probing {
                granted_at, since, ..
            } => {
                *since = (*since).min(now);
                *granted_at = (*granted_at).min(now);
            }
        }
    }

    /// When to call [`Self::advance`]. A probe has no timer here: its lease has one.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            BreakerState::Ejected { until, .. } if !self.ripe => Some(*until),
            BreakerState::Ejected { .. }
            | BreakerState::Admitting { .. }
            | BreakerState::Probing { .. } => None,
        }
    }

    fn readmit(&mut self, now: Timestamp, by: Pass) -> Shift {
        self.enter(BreakerState::Admitting {
            since: now,
            forgiven_at: now,
        });
        Shift::Readmitted { by }
    }

    fn paused(&self, now: Timestamp, since: Timestamp, reason: EjectReason) -> BreakerState {
        let length = self.policy.after_lost_probe;
        BreakerState::Ejected {
            since,
            until: now + length,
            length,
            reason,
        }
    }

    fn enter(&mut self, state: BreakerState) {
        self.state = state;
        self.consecutive = 0;
        self.window = Window::new(self.policy.window);
        self.ripe = false;
    }
}
