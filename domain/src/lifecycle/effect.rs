//! What the host must do, in the order given. Messages to account, ledger and fleet are facts: they are sent
//! with the record that speaks of them.

use super::cause::Cause;
use super::event::Action;
use super::state::WarmStep;
use crate::time::Span;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Have the account rent.
    Rent {
        /// The attempt.
        attempt: u32,
        /// Which offer.
        candidate: u32,
    },
    /// Have the account not rent, if nothing was sent.
    Withdraw {
        /// The attempt.
        attempt: u32,
    },
    /// Have the account do something to the machine.
    Act {
        /// Of which attempt.
        attempt: u32,
        /// What.
        action: Action,
        /// Counts the actions of the rental.
        number: u64,
    },
    /// Have the account look for the machine.
    Look {
        /// Of which attempt.
        attempt: u32,
    },
    /// Nobody waits for this attempt any more.
    Abandon {
        /// Which.
        attempt: u32,
    },
    /// Have the account ask what the machine cost.
    AskBill {
        /// Of which attempt.
        attempt: u32,
    },
    /// Ask the ledger whether it may be billed for so long from now on.
    AskAdvance {
        /// Counts advances.
        number: u64,
        /// Micro-dollars an hour.
        microusd_per_hour: u64,
        /// How long.
        hold: Span,
    },
    /// Make the server show that it is ready.
    Warm(WarmStep),
    /// The server here takes nothing new.
    Drain,
    /// The server here takes requests again.
    Undrain,
    /// Tell the ledger what the cost window of this attempt looks like.
    StateWindow {
        /// Which attempt.
        attempt: u32,
    },
    /// Tell the fleet.
    Announce,
    /// Write down what happened: into the rental's events and the audit.
    Note {
        /// What.
        what: What,
        /// Why.
        cause: Option<Cause>,
    },
    /// Store the record.
    RecordChanged,
}

/// What happened, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It came to a state of this name.
    State(&'static str),
    /// An attempt begins.
    AttemptBegun(u32),
    /// An attempt came to nothing.
    AttemptOver(u32),
    /// Nobody knows whether an attempt has a machine.
    AttemptAmbiguous(u32),
    /// A machine was found for an attempt that was ambiguous.
    Adopted(u32),
    /// Its heartbeat is missing.
    Suspect,
    /// Its heartbeat is back.
    NotSuspect,
    /// It was given back fifteen minutes ago and is still there.
    StillThere,
    /// The vendor refuses to do something to it.
    ActionRefused(Action),
    /// The vendor has said what it cost.
    Billed(u64),
}

impl What {
    /// In dotted past tense, below `instance.`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::State(name) => name,
            Self::AttemptBegun(_) => "attempt_begun",
            Self::AttemptOver(_) => "attempt_over",
            Self::AttemptAmbiguous(_) => "attempt_ambiguous",
            Self::Adopted(_) => "adopted",
            Self::Suspect => "suspect",
            Self::NotSuspect => "heartbeat_back",
            Self::StillThere => "still_there",
            Self::ActionRefused(_) => "action_refused",
            Self::Billed(_) => "billed",
        }
    }

    /// Whether somebody should look at it now.
    pub const fn is_alert(self) -> bool {
        matches!(
            self,
            Self::StillThere | Self::ActionRefused(_) | Self::AttemptAmbiguous(_)
        )
    }
}
