//! Coming up: the machine boots, its server warms, and from then on it serves.

use super::costs::Costs;
use super::event::{Fact, Says};
use super::state::{Creating, EndedBy, Seen, Sighting, State, Then, Told, WarmStep};
use super::{Action, Cause, Effect, Lifecycle, What};
use crate::backoff::exponential;
use crate::time::{Span, Timestamp};

/// How soon after a change a machine that comes up is looked at.
pub(super) const BOOT_LOOK: Span = Span::from_secs(5);
/// And how often at most afterwards: a list of its account comes every five minutes anyway.
const BOOT_LOOK_CAP: Span = Span::from_secs(30);
/// How often the account is asked about an attempt of which it has told nothing for so long: what it told may have
/// come before the word that nobody knows whether there is a machine, when it meant nothing.
pub(super) const AMBIGUOUS_LOOK: Span = Span::from_secs(300);
/// Pauses between the tries of a warm-up step.
const WARM_BASE: Span = Span::from_secs(1);
const WARM_CAP: Span = Span::from_secs(10);
/// A step that has not ended by then is begun again: its result got lost with the object's memory.
const WARM_LOST: Span = Span::from_secs(90);

impl Lifecycle {
    pub(super) fn heard(
        &mut self,
        attempt: u32,
        at: Timestamp,
        fact: Fact,
        effects: &mut Vec<Effect>,
    ) {
        match fact {
            Fact::CreateSent => self.create_sent(attempt, at, effects),
            Fact::CreateUnclear => self.create_unclear(attempt, effects),
            Fact::CreateRefused(refusal) => self.create_refused(attempt, Some(refusal), effects),
            Fact::Withdrawn => self.create_refused(attempt, None, effects),
            Fact::Seen(sighting) if attempt == self.attempt() && !self.is_given_up() => {
                self.seen(&sighting, effects);
            }
            Fact::NotSeen {
                asked_at,
                in_list,
                last_seen,
            } if attempt == self.attempt() => {
                // While nothing is new an account sees it and tells nobody.
                if self.record.machine.is_some() {
                    self.record.sighted_at = self.record.sighted_at.max(last_seen);
                }
                self.not_seen(asked_at, in_list, effects);
            }
            Fact::Taken(action) if attempt == self.attempt() => self.taken(action, at),
            Fact::Refused(action, refusal) if attempt == self.attempt() => {
                self.refused(action, refusal, effects);
            }
            Fact::Billed(microusd) => self.billed(attempt, microusd, effects),
            // Of an attempt that was given up: what is left of it is the account's to end.
            Fact::Seen(_) | Fact::NotSeen { .. } | Fact::Taken(_) | Fact::Refused(..) => {}
        }
    }

    /// Whether nothing is to come of the last attempt any more, and its account knows that or will.
    fn is_given_up(&self) -> bool {
        self.current().is_some_and(|attempt| attempt.costs.is_void)
    }

    fn seen(&mut self, sighting: &Sighting, effects: &mut Vec<Effect>) {
        let is_other = self
            .record
            .machine
            .as_ref()
            .is_some_and(|machine| *machine != sighting.machine);
        let is_old = self
            .record
            .sighted_at
            .is_some_and(|last| sighting.at < last);
        if self.attempt() == 0 || is_other {
            // A twin is the account's to end.
            return;
        }
        if is_old {
            let terms = self.term();
            return self.reckon_anew(effects, |costs| costs.recalled(sighting, &terms));
        }
        self.record.sighted_at = Some(sighting.at);
        self.record.absences = super::Absences::default();
        if self.record.machine.is_none() {
            self.take_machine(sighting.machine.clone());
            effects.push(Effect::Announce);
        }
        self.reckon(sighting, effects);
        self.judge(sighting, effects);
    }

    /// What the sighting says about the cost.
    fn reckon(&mut self, sighting: &Sighting, effects: &mut Vec<Effect>) {
        if let Some(current) = self.current_mut() {
            current.sent_at.get_or_insert(sighting.at);
        }
        let terms = self.term();
        let is_on_its_way = self.record.state == State::Starting(Told::Yes);
        self.reckon_anew(effects, |costs| {
            // An end that is known stays what it is, unless the vendor itself names it; only a machine that is
            // alive opens the window again.
            let is_known = sighting.seen == Seen::Terminated && costs.until.is_some();
            if !is_known || sighting.billed_until.is_some() {
                costs.sighted(sighting, &terms);
            }
            if is_on_its_way && sighting.seen == Seen::Stopped {
                costs.assume_run(sighting.at, &terms);
            }
        });
    }

    /// Changes what the attempt costs; its ledger is told of what it sees of that.
    pub(super) fn reckon_anew(
        &mut self,
        effects: &mut Vec<Effect>,
        change: impl FnOnce(&mut Costs),
    ) {
        let attempt = self.attempt();
        if let Some(current) = self.current_mut() {
            let before = current.costs.clone();
            change(&mut current.costs);
            if !current.costs.is_stated_like(&before) {
                effects.push(Effect::StateWindow { attempt });
            }
        }
    }

    /// What the sighting says about the life.
    fn judge(&mut self, sighting: &Sighting, effects: &mut Vec<Effect>) {
        if matches!(self.record.state, State::Requested | State::Provisioning(_)) {
            self.appeared(sighting, effects);
        }
        match sighting.seen {
            Seen::Pending | Seen::Unknown => {
                if self.record.state.is_over() {
                    self.resurrected(effects);
                }
            }
            Seen::Running => self.seen_running(sighting, effects),
            Seen::Stopping => self.seen_stopping(sighting, effects),
            Seen::Stopped => self.seen_stopped(sighting, effects),
            Seen::Terminating => {
                let cause = cause_of(sighting.ended_by);
                match self.record.state {
                    State::Terminating | State::Terminated | State::Failed | State::Lost => {}
                    _ => self.enter(State::Terminating, Some(cause), effects),
                }
                if self.record.state == State::Terminating && self.record.next_look.is_none() {
                    self.look_in(BOOT_LOOK);
                }
            }
            Seen::Terminated => self.gone(cause_of(sighting.ended_by), effects),
            Seen::Failed => match self.record.state {
                State::Terminating => {}
                state if state.is_over() => self.resurrected(effects),
                _ => self.give_back(Cause::Crashed, effects),
            },
        }
    }

    fn seen_running(&mut self, sighting: &Sighting, effects: &mut Vec<Effect>) {
        let terms = self.term();
        let is_short = sighting.gpus.is_some_and(|gpus| gpus < terms.gpus);
        match self.record.state {
            State::Booting if is_short => self.end(Cause::GpuMissing, effects),
            // Its host has let its GPUs to others meanwhile: its disk is still worth something.
            State::Starting(Told::Yes) if is_short => self.stop(Cause::GpuMissing, effects),
            State::Booting => self.came_up(effects),
            State::Starting(Told::Yes) => {
                self.enter(State::Booting, None, effects);
                self.came_up(effects);
            }
            State::Stopped | State::Starting(Told::NotYet) => {
                // Started by somebody else: it is paid for and warmed like any other.
                self.record.up_since = self.now;
                // What was paid ahead was for its disk.
                self.record.advance.until = None;
                self.record.advance.asked_at = None;
                self.enter(State::Booting, Some(Cause::StartedOutside), effects);
                self.came_up(effects);
            }
            State::Terminated | State::Failed | State::Lost => self.resurrected(effects),
            // On their way down it is still up, and while it serves that is what it should be.
            State::Requested
            | State::Provisioning(Creating::Unsent | Creating::Sent | Creating::Ambiguous)
            | State::Warming(_)
            | State::Ready
            | State::ReadyUnreachable
            | State::Draining(_)
            | State::Stopping
            | State::Terminating => {}
        }
    }

    /// The vendor says that it runs.
    fn came_up(&mut self, effects: &mut Vec<Effect>) {
        let terms = self.term();
        if terms.is_public {
            self.warm(WarmStep::Health, effects);
        } else if !terms.calls_home || self.record.called_at.is_some() {
            self.ready(State::ReadyUnreachable, Some(Cause::NoPublicTls), effects);
        } else if self.record.next_look.is_none() {
            self.look_in(BOOT_LOOK_CAP);
        }
    }

    fn seen_stopping(&mut self, sighting: &Sighting, effects: &mut Vec<Effect>) {
        match self.record.state {
            State::Booting
            | State::Warming(_)
            | State::Ready
            | State::ReadyUnreachable
            | State::Draining(Then::Stay | Then::Stop) => {
                let cause = stopped_cause(sighting.ended_by);
                self.enter(State::Stopping, Some(cause), effects);
                self.look_in(BOOT_LOOK);
            }
            State::Terminated | State::Failed | State::Lost => self.resurrected(effects),
            State::Requested
            | State::Provisioning(_)
            | State::Draining(Then::Terminate)
            | State::Stopping
            | State::Stopped
            | State::Starting(_)
            | State::Terminating => {}
        }
    }

    fn seen_stopped(&mut self, sighting: &Sighting, effects: &mut Vec<Effect>) {
        match self.record.state {
            // It never came to serve: what ran on it has ended by itself.
            State::Booting | State::Warming(_) => self.give_back(Cause::Crashed, effects),
            State::Ready | State::ReadyUnreachable | State::Draining(Then::Stay | Then::Stop) => {
                let cause = stopped_cause(sighting.ended_by);
                self.enter(State::Stopped, Some(cause), effects);
            }
            State::Draining(Then::Terminate) => self.give_back(Cause::StoppedOutside, effects),
            State::Stopping => {
                let cause = self.record.cause;
                self.enter(State::Stopped, cause, effects);
            }
            State::Terminated | State::Failed | State::Lost => self.resurrected(effects),
            State::Requested
            | State::Provisioning(_)
            | State::Stopped
            | State::Starting(_)
            | State::Terminating => {}
        }
    }

    /// It shows up although its life was over: it is given back.
    fn resurrected(&mut self, effects: &mut Vec<Effect>) {
        self.give_back(Cause::LateSighting, effects);
    }

    pub(super) fn called(&mut self, attempt: u32, says: Says, effects: &mut Vec<Effect>) {
        if attempt != self.attempt() || !self.hears_calls() {
            return;
        }
        self.record.called_at = Some(self.now);
        if std::mem::take(&mut self.record.suspect) {
            self.record.next_look = None;
            effects.push(Effect::Note {
                what: What::NotSuspect,
                cause: None,
            });
            effects.push(Effect::Announce);
        }
        match says {
            Says::Booted | Says::Alive => {
                // Up, says the machine, also one that somebody else has started; whether the vendor agrees is asked
                // at once.
                if matches!(self.record.state, State::Booting | State::Stopped) {
                    effects.push(Effect::Look { attempt });
                }
            }
            Says::Preempting => self.end(Cause::Preempted, effects),
        }
    }

    /// Whether a machine may call: one that may not is told to end itself, and one that was stopped and started by
    /// somebody else would take its disk along.
    pub fn hears_calls(&self) -> bool {
        match self.record.state {
            State::Provisioning(_)
            | State::Booting
            | State::Warming(_)
            | State::Ready
            | State::ReadyUnreachable
            | State::Draining(_)
            | State::Stopping
            | State::Stopped
            | State::Starting(_) => true,
            State::Requested
            | State::Terminating
            | State::Terminated
            | State::Failed
            | State::Lost => false,
        }
    }

    pub(super) fn warm(&mut self, step: WarmStep, effects: &mut Vec<Effect>) {
        self.enter(State::Warming(step), None, effects);
        self.record.next_warm = Some(self.now + WARM_LOST);
        effects.push(Effect::Warm(step));
    }

    /// A step's pause is over, or its result got lost.
    pub(super) fn warm_again(&mut self, effects: &mut Vec<Effect>) {
        if let State::Warming(step) = self.record.state {
            self.record.next_warm = Some(self.now + WARM_LOST);
            effects.push(Effect::Warm(step));
        }
    }

    pub(super) fn warmed(&mut self, step: WarmStep, ok: bool, effects: &mut Vec<Effect>) {
        if self.record.state != State::Warming(step) {
            return;
        }
        if !ok {
            let pause = exponential(WARM_BASE, WARM_CAP, self.record.warm_failures);
            self.record.warm_failures = self.record.warm_failures.saturating_add(1);
            self.record.next_warm = Some(self.now + pause);
            return;
        }
        match step {
            WarmStep::Health if self.preloads => self.warm(WarmStep::Preload, effects),
            WarmStep::Health | WarmStep::Preload => self.warm(WarmStep::Token, effects),
            WarmStep::Token => self.ready(State::Ready, None, effects),
        }
    }

    fn ready(&mut self, state: State, cause: Option<Cause>, effects: &mut Vec<Effect>) {
        self.record.has_served = true;
        self.record.ready_since = Some(self.now);
        self.enter(state, cause, effects);
    }

    pub(super) fn look_in(&mut self, pause: Span) {
        self.record.next_look = Some(self.now + pause);
    }

    /// A machine that comes up or goes down is looked at.
    pub(super) fn look(&mut self, effects: &mut Vec<Effect>) {
        self.record.looks = self.record.looks.saturating_add(1);
        let attempt = self.attempt();
        let (base, cap) = match self.record.state {
            State::Terminating | State::Stopping => (BOOT_LOOK, super::down::LOOK_CAP),
            State::Provisioning(_) => (AMBIGUOUS_LOOK, AMBIGUOUS_LOOK),
            _ => (BOOT_LOOK, BOOT_LOOK_CAP),
        };
        // Every fourth time the order is given again: what a vendor has accepted it may still have lost.
        if self.record.looks.is_multiple_of(4) {
            match self.record.state {
                State::Terminating => self.act(Action::Destroy, effects),
                State::Stopping => self.act(Action::Stop, effects),
                _ => {}
            }
        }
        effects.push(Effect::Look { attempt });
        let pause = exponential(base, cap, self.record.looks);
        self.look_in(pause);
    }

    /// Forty-five seconds without a call.
    pub(super) fn silent(&mut self, effects: &mut Vec<Effect>) {
        if !std::mem::replace(&mut self.record.suspect, true) {
            effects.push(Effect::Note {
                what: What::Suspect,
                cause: None,
            });
            effects.push(Effect::Announce);
        }
        effects.push(Effect::Look {
            attempt: self.attempt(),
        });
        self.look_in(super::timer::HEARTBEAT_LOST);
    }
}

const fn cause_of(ended_by: Option<EndedBy>) -> Cause {
    match ended_by {
        Some(EndedBy::Preempted) => Cause::Preempted,
        Some(EndedBy::Capacity | EndedBy::Quota) => Cause::NothingToRent,
        Some(EndedBy::Itself) => Cause::ShutItselfDown,
        Some(EndedBy::Crashed) => Cause::Crashed,
        Some(EndedBy::Asked | EndedBy::Other) | None => Cause::DeletedOutside,
    }
}

const fn stopped_cause(ended_by: Option<EndedBy>) -> Cause {
    match ended_by {
        Some(EndedBy::Preempted) => Cause::Preempted,
        Some(EndedBy::Itself) => Cause::ShutItselfDown,
        Some(EndedBy::Crashed) => Cause::Crashed,
        Some(EndedBy::Capacity | EndedBy::Quota | EndedBy::Asked | EndedBy::Other) | None => {
            Cause::StoppedOutside
        }
    }
}
