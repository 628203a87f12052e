//! The life of a rented GPU: ask for the money, ask for the machine, wait until it serves, end it in time, and
//! do not let go before its vendor has confirmed that it is gone.
//!
//! Invariants: a "create" leaves only after an advance covers it; from then on a cost window is open until the
//! vendor's own word closes it; another offer is tried only after a *definite* refusal or two whole lists,
//! each begun later than the vendor's list may lag, that do not show the machine; `Terminating` has no exit
//! but the vendor's word; `Terminated`, `Failed` and `Lost` are left again when the machine shows up.
//!
//! ```text
//! Requested → Provisioning{Unsent → Sent → (Ambiguous)} → Booting → Warming → Ready ⇄ Draining
//!     ↑ next offer ┘                                         │           │       ├→ Stopping → Stopped → Starting → Booting
//!                                                            └→ ReadyUnreachable ┴→ Terminating → Terminated | Failed | Lost
//! ```
//!
//! `admit` only looks; `handle` takes facts, in any order and any number of times, and returns what to do; the
//! alarm is `poll_timeout`. Every event then runs the timers that are due.
//!
//! In scope: when to rent, stop, give back, pay, look, alert. Out of scope: who calls the vendor (`Account`),
//! who may spend what (`Ledger`), which requests run (the [`crate::instance`] machine beside it).

mod admit;
mod cause;
mod costs;
mod create;
mod down;
mod effect;
mod event;
mod money;
mod record;
mod state;
mod terms;
#[cfg(test)]
mod tests;
mod timer;
mod up;

pub use self::cause::Cause;
pub use self::costs::Costs;
pub use self::effect::{Effect, What};
pub use self::event::{Action, Admission, Command, Denied, Event, Fact, Refusal, Says, Usage};
pub use self::money::RENEWAL;
pub use self::record::{Absences, AdvanceRecord, Attempt, LifecycleRecord};
pub use self::state::{Billing, Creating, EndedBy, Seen, Sighting, State, Then, Told, WarmStep};
pub use self::terms::{Ends, StopWindow, Terms};
pub use self::timer::Timer;
use crate::ids::MachineId;
use crate::time::Timestamp;

/// One rental.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    terms: Vec<Terms>,
    ends: Ends,
    /// Whether the server has a preload hook.
    preloads: bool,
    record: LifecycleRecord,
    usage: Usage,
    /// The time of the last event.
    now: Timestamp,
    /// The record as the host has it.
    stored: LifecycleRecord,
}

impl Lifecycle {
    /// A rental that begins now. Its offers are tried in this order. Store its [`Self::record`] and do what
    /// comes back.
    pub fn launch(
        terms: Vec<Terms>,
        ends: Ends,
        preloads: bool,
        now: Timestamp,
    ) -> (Self, Vec<Effect>) {
        let record = LifecycleRecord {
            state: State::Requested,
            since: now,
            cause: None,
            wish: None,
            attempts: Vec::new(),
            next_candidate: 0,
            machine: None,
            sighted_at: None,
            absences: Absences::default(),
            has_served: false,
            up_since: now,
            ready_since: None,
            advance: AdvanceRecord::default(),
            acts: 0,
            act_taken_at: None,
            looks: 0,
            next_look: None,
            next_warm: None,
            warm_failures: 0,
            called_at: None,
            suspect: false,
            is_alerted: false,
            next_bill: None,
            bills_asked: 0,
        };
        let mut rental = Self::restore(terms, ends, preloads, record, now);
        let mut effects = Vec::new();
        rental.note_state(&mut effects);
        effects.extend(rental.handle(now, Event::Tick));
        (rental, effects)
    }

    /// A rental after a restart. What is in rotation is told by the next [`Event::Used`].
    pub fn restore(
        terms: Vec<Terms>,
        ends: Ends,
        preloads: bool,
        mut record: LifecycleRecord,
        now: Timestamp,
    ) -> Self {
        if record.state == State::Terminating && record.next_look.is_none() {
            // Whatever wrote that: it is looked after until its vendor has spoken.
            record.next_look = Some(now);
        }
        Self {
            terms,
            ends,
            preloads,
            stored: record.clone(),
            record,
            usage: Usage::default(),
            now,
        }
    }

    /// Takes in a fact and returns what to do, in order.
    pub fn handle(&mut self, now: Timestamp, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.now = now;
        match event {
            Event::Advanced { number, until } => self.advanced(number, until, &mut effects),
            Event::AdvanceDenied { number } => self.advance_denied(number, &mut effects),
            Event::Heard { attempt, at, fact } => self.heard(attempt, at, fact, &mut effects),
            Event::Called { attempt, says } => self.called(attempt, says, &mut effects),
            Event::Warmed { step, ok } => self.warmed(step, ok, &mut effects),
            Event::Used(usage) => self.usage = usage,
            Event::Commanded(command) => self.commanded(command, &mut effects),
            Event::Tick => {}
        }
        self.settle_drain(&mut effects);
        self.run_timers(&mut effects);
        self.settle_drain(&mut effects);
        if self.record != self.stored {
            self.stored = self.record.clone();
            effects.push(Effect::RecordChanged);
        }
        effects
    }

    /// What to store on [`Effect::RecordChanged`].
    pub const fn record(&self) -> &LifecycleRecord {
        &self.record
    }

    /// Its state.
    pub const fn state(&self) -> State {
        self.record.state
    }

    /// The number of the current attempt; 0 before the first.
    pub fn attempt(&self) -> u32 {
        u32::try_from(self.record.attempts.len()).unwrap_or(u32::MAX)
    }

    /// The offer of the current attempt, or that the first one will take.
    pub fn candidate(&self) -> u32 {
        self.current()
            .map_or(self.record.next_candidate, |attempt| attempt.candidate)
    }

    /// The current attempt.
    pub fn current(&self) -> Option<&Attempt> {
        self.record.attempts.last()
    }

    /// The attempt with this number.
    pub fn attempt_of(&self, number: u32) -> Option<&Attempt> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.record.attempts.get(at)
    }

    /// When requests last came here.
    pub const fn usage(&self) -> Usage {
        self.usage
    }

    /// The terms of the current attempt, else of the first offer.
    fn term(&self) -> Terms {
        let at = usize::try_from(self.candidate()).unwrap_or(usize::MAX);
        let fallback = self.terms.first().copied();
        self.terms.get(at).copied().or(fallback).unwrap_or(NO_TERMS)
    }

    fn current_mut(&mut self) -> Option<&mut Attempt> {
        self.record.attempts.last_mut()
    }

    /// The one place where the state changes.
    fn enter(&mut self, state: State, cause: Option<Cause>, effects: &mut Vec<Effect>) {
        let was = self.record.state;
        self.record.state = state;
        self.record.cause = cause;
        self.record.absences = Absences::default();
        self.record.looks = 0;
        self.record.next_look = None;
        self.record.next_warm = None;
        self.record.warm_failures = 0;
        if was.name() == state.name() {
            // A step within a state: not another one for those who look on.
            return;
        }
        self.record.since = self.now;
        self.record.act_taken_at = None;
        self.record.is_alerted = false;
        if was.is_in_rotation() && !state.is_in_rotation() {
            effects.push(Effect::Drain);
        }
        if !matches!(
            state,
            State::Ready | State::ReadyUnreachable | State::Draining(_)
        ) {
            self.record.suspect = false;
            self.record.called_at = self
                .record
                .called_at
                .filter(|_| matches!(state, State::Booting | State::Warming(_)));
        }
        self.note_state(effects);
    }

    fn note_state(&self, effects: &mut Vec<Effect>) {
        effects.push(Effect::Note {
            what: What::State(self.record.state.name()),
            cause: self.record.cause,
        });
        effects.push(Effect::Announce);
    }

    /// A new machine, for the current attempt.
    fn take_machine(&mut self, machine: MachineId) {
        self.record.machine = Some(machine);
        self.record.absences = Absences::default();
    }

    /// An action, numbered.
    fn act(&mut self, action: Action, effects: &mut Vec<Effect>) {
        self.record.acts += 1;
        self.record.act_taken_at = None;
        effects.push(Effect::Act {
            attempt: self.attempt(),
            action,
            number: self.record.acts,
        });
    }
}

/// A launch without offers has nothing to rent and never comes to need these.
const NO_TERMS: Terms = Terms {
    account: 0,
    microusd_per_hour: 0,
    stopped_microusd_per_hour: 0,
    gpus: 0,
    is_public: false,
    calls_home: false,
    can_stop: false,
    bills: false,
    is_idempotent: false,
    list_lag: crate::time::Span::ZERO,
    startup: crate::time::Span::ZERO,
    stop_lead: crate::time::Span::ZERO,
    billing_minimum: crate::time::Span::ZERO,
};
