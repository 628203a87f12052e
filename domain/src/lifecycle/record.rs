//! What a rental's object stores of its life.

use super::cause::Cause;
use super::costs::Costs;
use super::state::State;
use crate::ids::MachineId;
use crate::time::Timestamp;

/// The durable record. The terms and the ends stand beside it, in the launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleRecord {
    /// Its state.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub cause: Option<Cause>,
    /// It is to be given back as soon as there is anything to give back, because of this.
    pub wish: Option<Cause>,
    /// Attempts so far, the current one last.
    pub attempts: Vec<Attempt>,
    /// The offer that is tried next.
    pub next_candidate: u32,
    /// The machine of the current attempt.
    pub machine: Option<MachineId>,
    /// When the vendor last showed it.
    pub sighted_at: Option<Timestamp>,
    /// Answers in a row that did not show it.
    pub absences: Absences,
    /// It has served at least once.
    pub has_served: bool,
    /// When it began to come up, now or last.
    pub up_since: Timestamp,
    /// When it became ready, now or last.
    pub ready_since: Option<Timestamp>,
    /// The prepaid lease.
    pub advance: AdvanceRecord,
    /// Actions so far.
    pub acts: u64,
    /// When the vendor took the last one.
    pub act_taken_at: Option<Timestamp>,
    /// Looks since the state began.
    pub looks: u32,
    /// When the next one is due.
    pub next_look: Option<Timestamp>,
    /// When the next warm-up step is due.
    pub next_warm: Option<Timestamp>,
    /// Steps that failed in a row.
    pub warm_failures: u32,
    /// When the machine last called, since it last came up.
    pub called_at: Option<Timestamp>,
    /// Its heartbeat is missing.
    pub suspect: bool,
    /// Somebody was told that it is still there.
    pub is_alerted: bool,
    /// When the vendor is next asked what it cost.
    pub next_bill: Option<Timestamp>,
    /// How often it was asked.
    pub bills_asked: u32,
}

/// An attempt to rent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which offer.
    pub candidate: u32,
    /// When its "create" left.
    pub sent_at: Option<Timestamp>,
    /// What it costs.
    pub costs: Costs,
}

/// Answers that did not show a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Absences {
    /// Whole lists.
    pub lists: u32,
    /// Answers to a question for this very machine.
    pub looks: u32,
    /// When the last list that counts was begun: the same one, told twice, counts once.
    pub listed_at: Option<Timestamp>,
    /// When the last question that counts was asked.
    pub looked_at: Option<Timestamp>,
}

/// The right to be billed until a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdvanceRecord {
    /// The advance that is being asked for, or was last.
    pub number: u64,
    /// Since when an answer is waited for.
    pub asked_at: Option<Timestamp>,
    /// Until when it may be billed.
    pub until: Option<Timestamp>,
    /// When the last answer was no, unless it was yes.
    pub denied_at: Option<Timestamp>,
}
