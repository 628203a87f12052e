//! What every event ends in, whichever it was: timers, who waits, answers, reports.

use super::ask::{AskKind, GrantKind, Load};
use super::denied::Denied;
use super::effect::{Answer, Cause, Change, Effect};
use super::record::Phase;
use super::{Instance, Lease};
use crate::breaker::{Pass, Shift};
use crate::ids::{ModelName, RequestId};
use crate::queue::Waiter;
use crate::time::Timestamp;

impl Instance {
    /// Runs what is due at `now`.
    pub(super) fn run_timers(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.breaker.advance(now);
        self.cooldown.advance(now);
        self.demand.advance(now);
        for (request, lease) in self.leases.expire(now) {
            self.figures.totals.leases_expired =
                self.figures.totals.leases_expired.saturating_add(1);
            effects.push(Effect::LeaseRemoved(request.clone()));
            if lease.kind == GrantKind::Probe {
                let shift = self.breaker.lost(now, &request);
                self.report(shift, Cause::ProbeLost, effects);
            }
        }
        for waiter in self.queue.expire(now) {
            self.turn_away(waiter, Denied::QueueTimeout, effects);
        }
        effects.extend(self.health.advance(now).map(Effect::Check));
        // Slots that just ran out go to those who wait, before a newcomer is looked at.
        if self.gate(now, false) == Ok(Pass::Ordinary) {
            self.promote(now, effects);
        }
    }

    /// Brings everything in line with the state the event left: who waits is served or turned away, a
    /// drain ends, models hear of openings, the host of a changed record.
    pub(super) fn level(
        &mut self,
        now: Timestamp,
        wished: Option<&ModelName>,
        effects: &mut Vec<Effect>,
    ) {
        match self.gate(now, false) {
            Ok(Pass::Ordinary) => self.promote(now, effects),
            // Whoever waits moves on: another server may take it now, this one not for a while.
            Ok(Pass::Probe | Pass::Panic) => {}
            Err(denied) => {
                for waiter in self.queue.take_all() {
                    self.turn_away(waiter, denied, effects);
                }
            }
        }
        if let Phase::Draining { since } = self.phase
            && self.leases.running() == 0
        {
            self.phase = Phase::Drained { since };
            changed(Change::Drained, Cause::Idle, effects);
        }
        let openings = if self.queue.is_empty() {
            self.openings(now)
        } else {
            0
        };
        let came_free = openings > self.openings;
        effects.extend(
            self.demand
                .models()
                .filter(|model| openings > 0 && (came_free || Some(*model) == wished))
                .map(|model| Effect::SlotFree {
                    model: model.clone(),
                    free: openings,
                }),
        );
        self.openings = openings;
        let record = self.record();
        if record != self.stored {
            self.stored = record;
            effects.push(Effect::RecordChanged);
        }
    }

    fn promote(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while self.slots_free() > 0 {
            let Some(waiter) = self.queue.take_first() else {
                return;
            };
            if waiter.kind == AskKind::First {
                self.retry_budget.spend(now, waiter.kind);
            }
            let terms = (GrantKind::Normal, waiter.kind, waiter.priority);
            self.grant(now, waiter.request, terms, effects);
        }
    }

    pub(super) fn grant(
        &mut self,
        now: Timestamp,
        request: RequestId,
        terms: (GrantKind, AskKind, u8),
        effects: &mut Vec<Effect>,
    ) {
        let lease = self.leases.grant(now, &request, terms);
        self.breaker.passed(now, &request, pass_of(lease.kind));
        let totals = &mut self.figures.totals;
        totals.granted = totals.granted.saturating_add(1);
        effects.push(Effect::LeaseWritten(request.clone()));
        match lease.kind {
            GrantKind::Probe => {
                totals.probes = totals.probes.saturating_add(1);
                effects.push(Effect::Audit {
                    what: Change::Probing,
                    reason: Cause::Probe,
                });
            }
            GrantKind::Panic => totals.panics = totals.panics.saturating_add(1),
            GrantKind::Normal | GrantKind::Tentative => {}
        }
        self.answer_granted(now, request, &lease, effects);
    }

    pub(super) fn answer_granted(
        &self,
        now: Timestamp,
        request: RequestId,
        lease: &Lease,
        effects: &mut Vec<Effect>,
    ) {
        let mut load = self.load(now);
        if lease.kind == GrantKind::Probe {
            load = Load {
                strain_permille: 0,
                ..load
            };
        }
        let answer = Answer::Granted {
            lease_until: lease.expires_at,
            kind: lease.kind,
            load,
        };
        effects.push(Effect::Answer { request, answer });
    }

    pub(super) fn answer_queued(
        &self,
        now: Timestamp,
        request: RequestId,
        effects: &mut Vec<Effect>,
    ) {
        let position = self.queue.position(&request).unwrap_or(1);
        let answer = Answer::Queued {
            position,
            load: self.load(now),
        };
        effects.push(Effect::Answer { request, answer });
    }

    pub(super) fn turn_away(&mut self, waiter: Waiter, denied: Denied, effects: &mut Vec<Effect>) {
        if waiter.kind != AskKind::First {
            self.retry_budget.refund(waiter.queued_at, waiter.kind);
        }
        self.deny(waiter.request, denied, effects);
    }

    pub(super) fn deny(&mut self, request: RequestId, denied: Denied, effects: &mut Vec<Effect>) {
        self.figures.totals.denied = self.figures.totals.denied.saturating_add(1);
        effects.push(Effect::Answer {
            request,
            answer: Answer::Denied(denied),
        });
    }

    pub(super) fn report(&mut self, shift: Option<Shift>, cause: Cause, effects: &mut Vec<Effect>) {
        match shift {
            None => {}
            Some(Shift::Readmitted { .. }) => changed(Change::Readmitted, cause, effects),
            Some(Shift::Ejected {
                until,
                times,
                reason,
            }) => {
                if cause != Cause::ProbeLost {
                    let totals = &mut self.figures.totals;
                    totals.ejections = totals.ejections.saturating_add(1);
                }
                changed(
                    Change::Ejected {
                        until,
                        times,
                        reason,
                    },
                    cause,
                    effects,
                );
            }
        }
    }
}

/// A change that the fleet and the audit log hear of.
pub(super) fn changed(what: Change, reason: Cause, effects: &mut Vec<Effect>) {
    effects.push(Effect::Announce(what));
    effects.push(Effect::Audit { what, reason });
}

pub(super) const fn pass_of(kind: GrantKind) -> Pass {
    match kind {
        GrantKind::Normal | GrantKind::Tentative => Pass::Ordinary,
        GrantKind::Probe => Pass::Probe,
        GrantKind::Panic => Pass::Panic,
    }
}
