//! Takes in facts. Total: every event is met in every state, stale and repeated ones yield nothing.

use super::Instance;
use super::ask::{Admission, Ask, AskKind};
use super::denied::Denied;
use super::effect::{Cause, Change, Effect};
use super::event::{Event, Settled};
use super::leases::Returned;
use super::level::{changed, pass_of};
use super::policy::{Limits, Policy};
use super::record::Phase;
use crate::breaker::{Pass, Passed};
use crate::health::{CheckId, Checked, HealthShift};
use crate::ids::RequestId;
use crate::outcome::{Outcome, Verdict};
use crate::time::{Span, Timestamp};

impl Instance {
    /// Takes in a fact and returns what to do, in order.
    pub fn handle(&mut self, now: Timestamp, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut wished = None;
        self.run_timers(now, &mut effects);
        match event {
            Event::Asked(ask) => self.asked(now, &ask, &mut effects),
            Event::Renewed(request) => {
                if self.leases.renew(now, &request, self.slots_free() > 0) {
                    effects.push(Effect::LeaseWritten(request));
                }
            }
            Event::Settled(settled) => self.settled(now, &settled, &mut effects),
            Event::Cancelled(request) => self.cancelled(now, request, &mut effects),
            Event::CheckFinished { check, result } => {
                self.check_finished(now, check, result, &mut effects);
            }
            Event::CheckRequested => {
                self.health.request(now);
                effects.extend(self.health.advance(now).map(Effect::Check));
            }
            Event::DrainRequested => self.drain_requested(now, &mut effects),
            Event::Undrained => self.undrained(&mut effects),
            Event::PolicyChanged(policy) => self.set_policy(policy),
            Event::LimitsChanged(limits) => self.set_limits(limits),
            Event::ModelWaiting { model, until } => {
                self.demand.wish(now, model.clone(), until);
                self.demand.advance(now);
                wished = Some(model);
            }
            Event::Tick => {}
        }
        self.level(now, wished.as_ref(), &mut effects);
        effects
    }

    fn asked(&mut self, now: Timestamp, ask: &Ask, effects: &mut Vec<Effect>) {
        let request = ask.request.clone();
        match self.admit(now, ask) {
            Ok(Admission::Grant(kind)) => {
                self.retry_budget.spend(now, ask.kind);
                self.grant(now, request, (kind, ask.kind, ask.priority), effects);
            }
            Ok(Admission::AlreadyGranted) => {
                if let Some(lease) = self.leases.get(&request).copied() {
                    self.answer_granted(now, request, &lease, effects);
                }
            }
            Ok(Admission::Enqueue) => {
                // A first attempt spends when it is granted: what was never sent earns no retries.
                if ask.kind != AskKind::First {
                    self.retry_budget.spend(now, ask.kind);
                }
                self.queue.enqueue(now, ask);
                self.figures.totals.queued = self.figures.totals.queued.saturating_add(1);
                self.answer_queued(now, request, effects);
            }
            Ok(Admission::AlreadyQueued) => self.answer_queued(now, request, effects),
            Err(denied) => self.deny(request, denied, effects),
        }
    }

    fn settled(&mut self, now: Timestamp, settled: &Settled, effects: &mut Vec<Effect>) {
        let lease = match self.leases.hand_in(&settled.request) {
            None => return,
            Some(Returned::Expired(lease)) => lease,
            Some(Returned::Live(lease)) => {
                effects.push(Effect::LeaseRemoved(settled.request.clone()));
                lease
            }
        };
        self.figures.settled(settled);
        if settled.outcome == Outcome::Cancelled {
            self.retry_budget.refund(lease.granted_at, lease.asked_as);
        }
        let verdict = settled.outcome.verdict();
        let pass = pass_of(lease.kind);
        let granted_at = lease.granted_at;
        let passed = Passed {
            request: &settled.request,
            granted_at,
            pass,
        };
        let shift = self.breaker.settled(now, passed, verdict);
        let cause = match (pass, verdict) {
            (Pass::Ordinary, _) => Cause::Failures,
            (Pass::Panic, _) => Cause::Panic,
            (Pass::Probe, Verdict::Neutral) => Cause::ProbeLost,
            (Pass::Probe, Verdict::Good | Verdict::Bad(_)) => Cause::Probe,
        };
        self.report(shift, cause, effects);
        if verdict == Verdict::Good {
            self.cooldown.succeeded();
        }
        if let Outcome::Backpressure {
            status,
            retry_after,
        } = settled.outcome
            && let Some(until) = self.cooldown.start(now, retry_after)
        {
            changed(
                Change::CoolingDown { until },
                Cause::Backpressure { status },
                effects,
            );
        }
    }

    fn cancelled(&mut self, now: Timestamp, request: RequestId, effects: &mut Vec<Effect>) {
        if let Some(waiter) = self.queue.take(&request) {
            self.turn_away(waiter, Denied::Cancelled, effects);
            return;
        }
        if self.leases.get(&request).is_none() {
            self.withdrawn.note(now, request.clone());
        }
        let never_sent = Settled {
            request,
            outcome: Outcome::Cancelled,
            ttft: None,
            duration: Span::ZERO,
            prompt_tokens: 0,
            completion_tokens: 0,
        };
        self.settled(now, &never_sent, effects);
    }

    fn check_finished(
        &mut self,
        now: Timestamp,
        check: CheckId,
        result: Checked,
        effects: &mut Vec<Effect>,
    ) {
        match self.health.finished(now, check, result) {
            Some(HealthShift::Out { reason }) => {
                changed(Change::Unhealthy { reason }, Cause::Checks, effects);
            }
            Some(HealthShift::Back) => changed(Change::Healthy, Cause::Checks, effects),
            None => {}
        }
    }

    fn drain_requested(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Active => {
                self.phase = Phase::Draining { since: now };
                changed(Change::Draining, Cause::Asked, effects);
            }
            Phase::Draining { .. } | Phase::Drained { .. } => {}
        }
    }

    fn undrained(&mut self, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Active => {}
            Phase::Draining { .. } | Phase::Drained { .. } => {
                self.phase = Phase::Active;
                changed(Change::Undrained, Cause::Asked, effects);
            }
        }
    }

    fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.breaker.set_policy(policy.breaker);
        self.cooldown.set_policy(policy.cooldown);
        self.queue.set_policy(policy.queue);
        self.leases.set_policy(policy.leases);
        self.health.set_policy(policy.health);
        self.retry_budget.set_policy(policy.retry_budget);
    }

    fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.queue.set_depth(limits.queue_depth);
    }
}
