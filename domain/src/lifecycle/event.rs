//! What happens to a rental, as facts, and what somebody may ask of it.

use super::cause::Cause;
use super::state::{Sighting, WarmStep};
use crate::time::Timestamp;

/// A fact. Stale and repeated ones yield nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It may be billed until then.
    Advanced {
        /// Which advance.
        number: u64,
        /// Until when.
        until: Timestamp,
    },
    /// It may not be billed any longer than was said before.
    AdvanceDenied {
        /// Which advance.
        number: u64,
    },
    /// Its account has learned something of an attempt.
    Heard {
        /// Which attempt.
        attempt: u32,
        /// When.
        at: Timestamp,
        /// What.
        fact: Fact,
    },
    /// The machine called.
    Called {
        /// Which attempt its token was made for.
        attempt: u32,
        /// What it says.
        says: Says,
    },
    /// A warm-up step ended.
    Warmed {
        /// Which.
        step: WarmStep,
        /// Whether it went well.
        ok: bool,
    },
    /// Requests ran, or run, on its server.
    Used(Usage),
    /// Somebody asks for something that was admitted.
    Commanded(Command),
    /// Time passed.
    Tick,
}

/// What an account learns of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The "create" leaves.
    CreateSent,
    /// There will be no machine of it.
    CreateRefused(Refusal),
    /// Nobody knows whether there will be one.
    CreateUnclear,
    /// It was withdrawn before it was sent.
    Withdrawn,
    /// The vendor shows the machine (also as the answer to "create").
    Seen(Sighting),
    /// The vendor does not show it.
    NotSeen {
        /// When the vendor was asked.
        asked_at: Timestamp,
        /// In a whole list; else by its id.
        in_list: bool,
        /// When it last did.
        last_seen: Option<Timestamp>,
    },
    /// The vendor does what it was told.
    Taken(Action),
    /// The vendor does not.
    Refused(Action, Refusal),
    /// What it cost in all.
    Billed(u64),
}

/// Why a vendor refuses, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not let the account in, or not do this.
    Auth,
    /// It has none, or may not give more: another offer may do.
    Unavailable,
    /// It will never do this.
    Never,
    /// It does not do this now.
    NotNow,
}

/// What is done to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Come up.
    Start,
    /// Go down, keep the disk.
    Stop,
    /// Be given back.
    Destroy,
}

/// What a machine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// It is up.
    Booted,
    /// It is still there.
    Alive,
    /// It is about to be taken away.
    Preempting,
}

/// What runs on its server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests that run or wait there.
    pub busy: u32,
    /// When a request last came, ran or ended; nothing when none ever did.
    pub last: Option<Timestamp>,
}

/// What somebody may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Come up again after a stop.
    Start,
    /// Go down, keep the disk.
    Stop,
    /// Take nothing new and stay up.
    Drain,
    /// Take requests again.
    Resume,
    /// Be given back.
    Terminate,
}

/// What a command that is not refused means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It will be done.
    Accepted,
    /// It is so, or on its way to be.
    AlreadySo,
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no machine yet.
    #[error("there is no machine yet that could be; terminate the instance instead")]
    NoMachineYet,
    /// It cannot be stopped at this vendor.
    #[error("its vendor cannot stop a machine and keep its disk; terminate the instance instead")]
    CannotStop,
    /// It is on its way down or out.
    #[error("it is on its way down; wait until it has stopped or is gone")]
    GoingDown,
    /// It is being given back, or is gone.
    #[error("it is being given back or is gone; launch another one")]
    Over,
    /// It is not down.
    #[error("it is not stopped")]
    NotStopped,
    /// It serves nobody that could be drained or resumed.
    #[error("it does not serve")]
    NotServing,
}

impl Refusal {
    /// The cause that stands for it at the end of a launch.
    pub(super) const fn cause(self) -> Cause {
        match self {
            Self::Auth => Cause::CredentialRefused,
            Self::Unavailable | Self::Never | Self::NotNow => Cause::NothingToRent,
        }
    }
}
