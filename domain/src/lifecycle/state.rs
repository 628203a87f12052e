//! Where a rented GPU is in its life.

use crate::time::Timestamp;

/// A state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was sent to a vendor; the money is being asked for.
    Requested,
    /// A machine is being asked for.
    Provisioning(Creating),
    /// There is one; it comes up.
    Booting,
    /// It is up; its server is getting ready.
    Warming(WarmStep),
    /// It serves.
    Ready,
    /// It is up, and nothing here can reach it.
    ReadyUnreachable,
    /// It takes no new requests.
    Draining(Then),
    /// It was told to go down and keep its disk.
    Stopping,
    /// It is down.
    Stopped,
    /// It comes up again. The vendor is told once the money is there.
    Starting(Told),
    /// It was told to go for good.
    Terminating,
    /// Gone, as the vendor has confirmed.
    Terminated,
    /// It never served, and nothing of it is left.
    Failed,
    /// Somebody else has given it back.
    Lost,
}

/// How far a "create" has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creating {
    /// The account was told; nothing has left it, as far as is known.
    Unsent,
    /// It has left; no answer yet.
    Sent,
    /// Nobody knows whether there is a machine.
    Ambiguous,
}

/// What a server must show before it serves, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarmStep {
    /// Its health path answers.
    Health,
    /// Its preload hook has answered.
    Preload,
    /// It has made one real token.
    Token,
}

/// What comes after a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing: it stays up until somebody says more.
    Stay,
    /// It is stopped.
    Stop,
    /// It is given back.
    Terminate,
}

/// Whether the vendor was told to start it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The money is being asked for.
    NotYet,
    /// It was.
    Yes,
}

impl State {
    /// Every state with each of its steps.
    pub const ALL: &[Self] = &[
        Self::Requested,
        Self::Provisioning(Creating::Unsent),
        Self::Provisioning(Creating::Sent),
        Self::Provisioning(Creating::Ambiguous),
        Self::Booting,
        Self::Warming(WarmStep::Health),
        Self::Warming(WarmStep::Preload),
        Self::Warming(WarmStep::Token),
        Self::Ready,
        Self::ReadyUnreachable,
        Self::Draining(Then::Stay),
        Self::Draining(Then::Stop),
        Self::Draining(Then::Terminate),
        Self::Stopping,
        Self::Stopped,
        Self::Starting(Told::NotYet),
        Self::Starting(Told::Yes),
        Self::Terminating,
        Self::Terminated,
        Self::Failed,
        Self::Lost,
    ];

    /// Its name and its step, as records keep it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Provisioning(Creating::Unsent) => "provisioning/unsent",
            Self::Provisioning(Creating::Sent) => "provisioning/sent",
            Self::Provisioning(Creating::Ambiguous) => "provisioning/ambiguous",
            Self::Warming(WarmStep::Health) => "warming/health",
            Self::Warming(WarmStep::Preload) => "warming/preload",
            Self::Warming(WarmStep::Token) => "warming/token",
            Self::Draining(Then::Stay) => "draining/stay",
            Self::Draining(Then::Stop) => "draining/stop",
            Self::Draining(Then::Terminate) => "draining/terminate",
            Self::Starting(Told::NotYet) => "starting/unpaid",
            Self::Starting(Told::Yes) => "starting/told",
            _ => self.name(),
        }
    }

    /// The state with this code.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.code() == code)
    }

    /// Its name, its steps apart.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Provisioning(_) => "provisioning",
            Self::Booting => "booting",
            Self::Warming(_) => "warming",
            Self::Ready => "ready",
            Self::ReadyUnreachable => "ready_unreachable",
            Self::Draining(_) => "draining",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Starting(_) => "starting",
            Self::Terminating => "terminating",
            Self::Terminated => "terminated",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// Whether its life is over.
    pub const fn is_over(self) -> bool {
        match self {
            Self::Terminated | Self::Failed | Self::Lost => true,
            Self::Requested
            | Self::Provisioning(_)
            | Self::Booting
            | Self::Warming(_)
            | Self::Ready
            | Self::ReadyUnreachable
            | Self::Draining(_)
            | Self::Stopping
            | Self::Stopped
            | Self::Starting(_)
            | Self::Terminating => false,
        }
    }

    /// Whether requests may be sent there, or still run there.
    pub const fn is_in_rotation(self) -> bool {
        matches!(self, Self::Ready | Self::Draining(_))
    }

    /// Whether it is on its way to serve, so that the start-up timeout runs.
    pub const fn is_coming_up(self) -> bool {
        matches!(
            self,
            Self::Requested
                | Self::Provisioning(_)
                | Self::Booting
                | Self::Warming(_)
                | Self::Starting(_)
        )
    }
}

/// What somebody sees of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// On its way.
    Pending,
    /// Up.
    Running,
    /// On its way down, disk kept.
    Stopping,
    /// Down, disk kept.
    Stopped,
    /// On its way out.
    Terminating,
    /// Gone.
    Terminated,
    /// Broken for good.
    Failed,
    /// A word that nobody knows.
    Unknown,
}

/// What it is billed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billing {
    /// All of it.
    Full,
    /// Its disk.
    Disk,
    /// Nothing.
    None,
    /// Nobody can tell; counted as all of it.
    Unknown,
}

/// What the vendor gives as the reason of a machine's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// Somebody with the account's rights.
    Asked,
    /// The machine itself.
    Itself,
    /// The vendor wants its capacity back.
    Preempted,
    /// The vendor never had it.
    Capacity,
    /// A quota or the balance.
    Quota,
    /// What ran on it broke.
    Crashed,
    /// Something else, or nothing that is said.
    Other,
}

/// A machine as the vendor showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The vendor's id.
    pub machine: crate::ids::MachineId,
    /// When the account learned it.
    pub at: Timestamp,
    /// In which state.
    pub seen: Seen,
    /// Why, where the vendor says so.
    pub ended_by: Option<EndedBy>,
    /// GPUs that it has, where the vendor says so.
    pub gpus: Option<u32>,
    /// What it is billed for.
    pub billing: Billing,
    /// What it costs an hour now, where the vendor says so.
    pub microusd_per_hour: Option<u64>,
    /// When the vendor's meter began, where it says so.
    pub billed_from: Option<Timestamp>,
    /// When it ended, where it says so.
    pub billed_until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn every_state_is_read_back_by_its_code() {
        for state in State::ALL {
            assert_eq!(State::parse(state.code()), Some(*state));
            assert!(state.code().starts_with(state.name()));
        }
        assert_eq!(State::parse("warming"), None);
    }
}
