//! What an account knows of one attempt to rent.
//!
//! Invariant: an attempt is over only when there is certainly no machine of it: nothing that could have been
//! done was sent, the vendor said no to all that was, or two answers that count did not show it. What is over
//! is kept for a week, and a machine of it that shows up late is known.
//!
//! In scope: what a reply, its absence, a sighting and an absence mean for the attempt. Out of scope: the life
//! of the rented GPU (`lifecycle`), which hears of all this and decides.

use crate::ids::{InstanceId, MachineId};
use crate::time::{Span, Timestamp};

/// How long a "create" is tried.
pub const CREATE_DEADLINE: Span = Span::from_secs(10 * 60);
/// How long an attempt that is over is remembered.
pub const REMEMBERED: Span = Span::from_secs(7 * 24 * 3600);
/// Answers that must not show a machine before it counts as gone.
const ABSENCES: u32 = 2;

/// Which attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// For which instance.
    pub instance: InstanceId,
    /// From 1.
    pub number: u32,
}

/// An attempt, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// How far it has come.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// When it was first asked for.
    pub rented_at: Timestamp,
    /// When its "create" first left.
    pub sent_at: Option<Timestamp>,
    /// By when its machine was made, if one was: when its last "create" left, or when it was first seen. A vendor's
    /// lists and look-ups lag behind that.
    pub made_by: Option<Timestamp>,
    /// A "create" has left whose outcome nobody knows.
    pub in_doubt: bool,
    /// It is not to be sent (again).
    pub recalled: bool,
    /// Nobody waits for it any more.
    pub abandoned: bool,
    /// Its instance waits for the word of a whole list.
    pub asked: bool,
    /// Its machine, once it is known.
    pub machine: Option<MachineId>,
    /// When that was last seen.
    pub sighted_at: Option<Timestamp>,
    /// When the vendor took the order to give it back.
    pub destroy_taken_at: Option<Timestamp>,
    /// Answers in a row that did not show it.
    pub absences: u32,
    /// When the last of them was asked for.
    pub absent_at: Option<Timestamp>,
}

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing has left that could have been done.
    Unsent,
    /// A "create" is under way, or is about to be repeated.
    Sent,
    /// Nobody knows whether there is a machine; lists will tell.
    Unclear,
    /// There is one.
    Alive,
    /// There is none, for this reason.
    Over(Ending),
}

/// Why there is no machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The vendor did not make one.
    Refused,
    /// It was not sent.
    Withdrawn,
    /// It is gone, or never came.
    Gone,
}

/// How a "create" did not end in a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Too many calls: it was certainly not done.
    NotDone,
    /// No answer, or one that says nothing.
    Unclear,
    /// A clear no.
    No {
        /// Whether it also means that none of those before was done: where the same marker is the same machine,
        /// "there are none left" does, "you may not" does not.
        rules_out_earlier: bool,
    },
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send it again.
    Again,
    /// It is over: refused.
    Refused,
    /// It is watched for in lists.
    Unclear,
    /// Nothing: something else has decided already.
    Settled,
}

/// What a sighting means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It is the attempt's machine.
    Its {
        /// Whether it was not known before.
        is_first: bool,
    },
    /// The attempt has another machine already.
    Twin,
    /// Nobody wants a machine of this attempt.
    Unwanted,
    /// It is gone, and nobody waited for it.
    Nothing,
}

impl Attempt {
    /// Somebody asks for it.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            stage: Stage::Unsent,
            since: now,
            rented_at: now,
            sent_at: None,
            made_by: None,
            in_doubt: false,
            recalled: false,
            abandoned: false,
            asked: false,
            machine: None,
            sighted_at: None,
            destroy_taken_at: None,
            absences: 0,
            absent_at: None,
        }
    }

    fn enter(&mut self, now: Timestamp, stage: Stage) {
        if self.stage != stage {
            self.stage = stage;
            self.since = now;
        }
    }

    /// A "create" leaves. Whether it is the first.
    pub fn create_leaves(&mut self, now: Timestamp) -> bool {
        self.enter(now, Stage::Sent);
        let is_first = self.sent_at.is_none();
        self.sent_at.get_or_insert(now);
        self.made_by = Some(now);
        is_first
    }

    /// A "create" ended without a machine.
    pub fn create_failed(&mut self, now: Timestamp, failure: Failure, is_idempotent: bool) -> Next {
        if self.stage != Stage::Sent {
            return Next::Settled;
        }
        let is_late = self.is_given_up(now);
        let next = match failure {
            Failure::NotDone if !is_late => Next::Again,
            Failure::NotDone if self.in_doubt => Next::Unclear,
            Failure::NotDone => Next::Refused,
            Failure::Unclear if is_idempotent && !is_late => Next::Again,
            Failure::Unclear => Next::Unclear,
            Failure::No { rules_out_earlier } if self.in_doubt && !rules_out_earlier => {
                Next::Unclear
            }
            Failure::No { .. } => Next::Refused,
        };
        self.in_doubt |= failure == Failure::Unclear;
        match next {
            Next::Again if !self.in_doubt => self.enter(now, Stage::Unsent),
            Next::Again | Next::Settled => {}
            Next::Refused => self.enter(now, Stage::Over(Ending::Refused)),
            Next::Unclear => self.enter(now, Stage::Unclear),
        }
        next
    }

    /// When a "create" that has not gone well by then is given up.
    pub fn create_deadline(&self) -> Timestamp {
        self.rented_at + CREATE_DEADLINE
    }

    /// Whether a "create" that has not gone well is given up: its time is up, or nobody wants it any more.
    pub fn is_given_up(&self, now: Timestamp) -> bool {
        self.recalled || self.create_deadline() <= now
    }

    /// The "create" waits to be sent (again), and its time is up.
    pub fn give_up_waiting(&mut self, now: Timestamp) -> Next {
        let next = match self.stage {
            Stage::Unsent => Next::Refused,
            Stage::Sent => Next::Unclear,
            Stage::Unclear | Stage::Alive | Stage::Over(_) => Next::Settled,
        };
        match next {
            Next::Refused => self.enter(now, Stage::Over(Ending::Refused)),
            Next::Unclear => self.enter(now, Stage::Unclear),
            Next::Again | Next::Settled => {}
        }
        next
    }

    /// It shall not be sent. Whether it will not be. One that may have been done is at least not repeated.
    pub fn withdraw(&mut self, now: Timestamp) -> bool {
        self.recalled = true;
        if self.stage == Stage::Unsent {
            self.enter(now, Stage::Over(Ending::Withdrawn));
        }
        self.stage == Stage::Over(Ending::Withdrawn)
    }

    /// The vendor shows a machine with its marker.
    pub fn sighted(&mut self, now: Timestamp, machine: &MachineId, is_gone: bool) -> Sight {
        if self.machine.as_ref().is_some_and(|own| own != machine) {
            return if is_gone { Sight::Nothing } else { Sight::Twin };
        }
        if self.is_unwanted() {
            if is_gone {
                self.end(now, machine);
                return Sight::Nothing;
            }
            return Sight::Unwanted;
        }
        let is_first = self.machine.is_none();
        if is_first {
            self.made_by = Some(now);
        }
        self.machine = Some(machine.clone());
        self.sighted_at = Some(now);
        self.absences = 0;
        self.absent_at = None;
        self.asked = false;
        let stage = if is_gone {
            Stage::Over(Ending::Gone)
        } else {
            Stage::Alive
        };
        self.enter(now, stage);
        Sight::Its { is_first }
    }

    /// The vendor has confirmed that this machine is gone.
    pub fn end(&mut self, now: Timestamp, machine: &MachineId) {
        let is_own = self.machine.as_ref().is_none_or(|own| own == machine);
        if is_own && self.may_be_alive() {
            self.enter(now, Stage::Over(Ending::Gone));
        }
    }

    /// The vendor, asked at `asked_at`, did not show it. Whether that says anything: within the vendor's lag it
    /// does not.
    pub fn missed(
        &mut self,
        now: Timestamp,
        asked_at: Timestamp,
        in_list: bool,
        lag: Span,
    ) -> bool {
        let is_past_order =
            !in_list && self.destroy_taken_at.is_some_and(|taken| taken <= asked_at);
        let is_late_enough = self.is_past_lag(asked_at, lag) || is_past_order;
        if matches!(self.stage, Stage::Unclear | Stage::Alive) && !is_late_enough {
            return false;
        }
        if in_list {
            self.asked = false;
        }
        let counts = match self.stage {
            // Without an id there is nothing else to ask for.
            Stage::Unclear => in_list,
            Stage::Alive => self.sighted_at.is_none_or(|sighted| sighted <= asked_at),
            Stage::Unsent | Stage::Sent | Stage::Over(_) => false,
        };
        if !counts || self.absent_at.is_some_and(|last| asked_at <= last) {
            return true;
        }
        self.absent_at = Some(asked_at);
        self.absences = self.absences.saturating_add(1);
        if self.absences >= ABSENCES {
            self.enter(now, Stage::Over(Ending::Gone));
        }
        true
    }

    /// Whether a whole list that was begun then should show it, or its instance waits for what the list says.
    pub fn is_expected(&self, begun_at: Timestamp, lag: Span) -> bool {
        let should_show = match self.stage {
            Stage::Unclear | Stage::Alive => self.is_past_lag(begun_at, lag),
            Stage::Unsent | Stage::Sent | Stage::Over(_) => false,
        };
        should_show || self.asked
    }

    /// Whether a list that was begun then is older than what the vendor has said since of the machine itself. A
    /// clock that was set back makes nothing old.
    pub fn outdates(&self, now: Timestamp, begun_at: Timestamp) -> bool {
        let ended_at = self.is_over().then_some(self.since);
        let said_at = self.sighted_at.max(ended_at).filter(|at| *at <= now);
        self.machine.is_some() && said_at.is_some_and(|at| begun_at < at)
    }

    /// From when on every list shows its machine, if there is one; nothing while none can have been made.
    pub fn shows_from(&self, lag: Span) -> Option<Timestamp> {
        let made_by = self.made_by.or(self.sent_at)?;
        Some(made_by + lag)
    }

    /// A whole list that was begun after that shows for certain whether anything is left of it. One that was missed
    /// is looked for once more: vendors have said of a living machine that it is not there, in a list and by its id.
    pub fn certain_from(&self, lag: Span) -> Option<Timestamp> {
        let shows_from = self.shows_from(lag)?;
        let was_missed = self.absences > 0;
        Some(if was_missed {
            shows_from.max(self.since)
        } else {
            shows_from
        })
    }

    fn is_past_lag(&self, asked_at: Timestamp, lag: Span) -> bool {
        self.shows_from(lag).is_none_or(|from| from <= asked_at)
    }

    /// Whether nobody wants a machine of it.
    pub const fn is_unwanted(&self) -> bool {
        self.abandoned || matches!(self.stage, Stage::Over(Ending::Refused | Ending::Withdrawn))
    }

    /// Whether something of it may be billed.
    pub const fn may_be_alive(&self) -> bool {
        matches!(self.stage, Stage::Sent | Stage::Unclear | Stage::Alive)
    }

    /// Whether it is over.
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    /// Whether only lists can tell what became of it, so that they are made every minute.
    pub const fn waits_for_lists(&self) -> bool {
        matches!(self.stage, Stage::Unclear) || self.asked
    }

    /// Whether it need not be remembered any longer.
    pub fn may_be_forgotten(&self, now: Timestamp) -> bool {
        self.is_over() && self.since + REMEMBERED <= now
    }
}

#[cfg(test)]
mod tests;
