//! A rented GPU: what is to be rented, what is asked of it, and what is seen of it. Part of `Instance`'s
//! messages, since a rented GPU and an attached server are one object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_provider_api::{Fingerprint, Machine, Offer, ProviderError, SealedEnv};

/// A rental to begin, whole: the object decides everything from here on by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Counts from 1; an older one never overwrites a newer.
    pub generation: u64,
    /// What people call it.
    pub name: String,
    /// The project that pays, if any.
    #[serde(default)]
    pub project: Option<String>,
    /// Who launched it: `admin` or `key/{id}`.
    pub actor: String,
    /// What is to run.
    pub runtime: RuntimeSpec,
    /// Offers to try, in this order; the next one only after a definite refusal.
    pub candidates: Vec<Candidate>,
    /// When it ends by itself.
    pub ends: Ends,
    /// `https://…`, where machines can call this gateway; without it none is told to.
    #[serde(default)]
    pub callback_base: Option<String>,
    /// Who may log in; the private half rests sealed with the fleet.
    #[serde(default)]
    pub ssh_public_key: Option<String>,
}

/// An offer and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The account that rents it.
    pub account: String,
    /// The account's vendor.
    pub vendor: String,
    /// Marks the account's machines.
    pub fingerprint: Fingerprint,
    /// The offer.
    pub offer: Offer,
}

/// What runs on a rented GPU, from a runtime profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeSpec {
    /// The profile's name.
    pub profile: String,
    /// The model, as clients name it.
    pub model_name: String,
    /// The model, as the server names it, where that differs.
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// A container image.
    pub image: String,
    /// Arguments of its entrypoint.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment, where that is no secret.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its environment, where that is one; the server's own key is among them.
    #[serde(default)]
    pub sealed_env: Vec<SealedEnv>,
    /// The server's own key, sealed for `server/{id}`, `api_key`.
    #[serde(default)]
    pub sealed_api_key: Option<String>,
    /// The port that it serves HTTP on.
    pub port: u16,
    /// The path that answers 2xx once it is up.
    pub health_path: String,
    /// A `POST` that loads what is loaded on demand, before the first token is asked for.
    #[serde(default)]
    pub preload: Option<Preload>,
    /// Disk for image and weights.
    pub disk_gb: u32,
    /// Requests at once.
    pub max_concurrency: u32,
    /// Requests waiting.
    pub queue_depth: u32,
}

/// A call that makes a server ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preload {
    /// Below the server's root.
    pub path: String,
    /// JSON.
    pub body: String,
}

/// When a rental ends by itself. Times are milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// After so long without a request; never, without.
    #[serde(default)]
    pub idle_ms: Option<i64>,
    /// What happens then.
    #[serde(default)]
    pub on_idle: OnIdle,
    /// After so long in all, whatever it does.
    pub max_lifetime_ms: i64,
    /// At this moment (a reservation's end).
    #[serde(default)]
    pub until_ms: Option<i64>,
    /// Daily, while the clock is in one of these: it is stopped (ended, where it cannot be stopped).
    #[serde(default)]
    pub stop_windows: Vec<StopWindowSpec>,
}

/// What happens to an idle GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnIdle {
    /// It is given back.
    #[default]
    Terminate,
    /// It is stopped, and its disk stays and costs.
    Stop,
}

/// Minutes of the UTC day; one that ends before it begins goes over midnight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopWindowSpec {
    /// From 0.
    pub from_minute: u16,
    /// Up to and without this one.
    pub to_minute: u16,
}

/// What someone asks of a rental.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RentalVerb {
    /// Come up again after a stop.
    Start,
    /// Go down, keep the disk.
    Stop,
    /// Take no new requests, finish those that run, then stay up until told otherwise.
    Drain,
    /// Take requests again after a drain.
    Resume,
    /// Be given back, now or as soon as anything is known to give back.
    Terminate,
}

/// The answer to a verb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum RentalAnswer {
    /// It is being done.
    Accepted {
        /// The rental as it now is.
        rental: Box<RentalView>,
    },
    /// It is so already, or on its way to be.
    AlreadySo {
        /// The rental as it is.
        rental: Box<RentalView>,
    },
    /// It cannot be done.
    Refused {
        /// Why not, and what can be done instead.
        reason: String,
        /// The rental as it is.
        rental: Box<RentalView>,
    },
    /// There is no such rental here.
    NotFound,
}

/// What an account has learned of an attempt to rent. Facts come at least once and in any order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fact")]
pub enum VendorFact {
    /// The "create" is about to leave: from here on the attempt may cost money.
    CreateSent,
    /// The machine is being made.
    Created {
        /// It.
        machine: Box<Machine>,
    },
    /// There will be no machine of this attempt.
    CreateRefused {
        /// Why not.
        error: ProviderError,
    },
    /// Nobody knows whether there will be one. Lists will tell.
    CreateUnclear {
        /// What is known.
        error: ProviderError,
    },
    /// The attempt was withdrawn before it was sent.
    Withdrawn,
    /// The vendor shows the machine.
    Seen {
        /// It.
        machine: Box<Machine>,
    },
    /// The vendor, asked for this very machine, or in a whole list of its region, does not show it.
    NotSeen {
        /// When the answer, or the list, was begun, in milliseconds since the epoch.
        asked_at_ms: i64,
        /// Whether it was a list; else the machine was asked for by its id.
        in_list: bool,
        /// When the vendor last showed it, in milliseconds since the epoch, if it ever did: an instance is not
        /// told each time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_seen_ms: Option<i64>,
    },
    /// The vendor does what it was told.
    ActionTaken {
        /// What.
        action: VendorAction,
    },
    /// The vendor does not.
    ActionRefused {
        /// What.
        action: VendorAction,
        /// Why not.
        error: ProviderError,
    },
    /// The vendor does not let this account in any more.
    CredentialRefused {
        /// In its words.
        error: ProviderError,
    },
    /// What the machine has cost in all, by the vendor's own reckoning.
    Billed {
        /// Micro-dollars.
        microusd: u64,
    },
}

/// What is done to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VendorAction {
    /// Come up.
    Start,
    /// Go down, keep the disk.
    Stop,
    /// Be given back.
    Destroy,
}

/// A call from the machine itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallHome {
    /// Which attempt its token was made for.
    pub attempt: u32,
    /// Drawn by the machine at each boot. The first one that calls binds the token to it.
    pub nonce: String,
    /// What it says.
    pub says: MachineSays,
}

/// What a machine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineSays {
    /// It is up.
    Booted,
    /// It is still there.
    Alive,
    /// It is about to be taken away.
    Preempting,
}

/// The answer to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum CallHomeAnswer {
    /// Heard; call again after so long.
    Heard {
        /// Milliseconds.
        heartbeat_ms: u64,
    },
    /// The token belongs to another machine: somebody has copied it.
    OtherMachine,
    /// Nothing is waited for here (any more): the machine should end itself.
    NotExpected,
}

/// Where a rental is in its life.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RentalState {
    /// Nothing has been sent to a vendor yet.
    #[default]
    Requested,
    /// The vendor is being asked for a machine.
    Provisioning,
    /// The vendor has made one; it comes up.
    Booting,
    /// It is up; its server is loading.
    Warming,
    /// It serves.
    Ready,
    /// It is up, and cannot be reached from here.
    ReadyUnreachable,
    /// It takes no new requests.
    Draining,
    /// It goes down; its disk stays.
    Stopping,
    /// It is down; its disk stays.
    Stopped,
    /// It comes up again.
    Starting,
    /// It is being given back.
    Terminating,
    /// The vendor has confirmed that it is gone.
    Terminated,
    /// It never came to serve, and nothing is left of it.
    Failed,
    /// Somebody else has given it back.
    Lost,
}

impl RentalState {
    /// Every state.
    pub const ALL: [Self; 14] = [
        Self::Requested,
        Self::Provisioning,
        Self::Booting,
        Self::Warming,
        Self::Ready,
        Self::ReadyUnreachable,
        Self::Draining,
        Self::Stopping,
        Self::Stopped,
        Self::Starting,
        Self::Terminating,
        Self::Terminated,
        Self::Failed,
        Self::Lost,
    ];

    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Provisioning => "provisioning",
            Self::Booting => "booting",
            Self::Warming => "warming",
            Self::Ready => "ready",
            Self::ReadyUnreachable => "ready_unreachable",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Terminating => "terminating",
            Self::Terminated => "terminated",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// Whether its life is over: nothing of it can be billed, as far as anybody knows.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Terminated | Self::Failed | Self::Lost)
    }
}

/// What the fleet hears of a rental: the whole of it, so that a later one makes an earlier one superfluous.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RentalStatus {
    /// Its state.
    pub state: RentalState,
    /// Since when.
    pub since_ms: i64,
    /// Why, in words; empty when there is nothing to say.
    #[serde(default)]
    pub reason: String,
    /// Its heartbeat is missing and nobody has confirmed its end.
    #[serde(default)]
    pub suspect: bool,
    /// The root of what it serves (`https://…`), while it is to be in rotation.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Whether it is in rotation but takes nothing new.
    #[serde(default)]
    pub draining: bool,
    /// The candidate that it comes from, by its place in the launch.
    #[serde(default)]
    pub candidate: u32,
    /// Attempts so far.
    #[serde(default)]
    pub attempt: u32,
    /// The vendor's id of the machine.
    #[serde(default)]
    pub machine: Option<String>,
    /// What it is billed for.
    #[serde(default)]
    pub billing: String,
    /// What it costs an hour now.
    #[serde(default)]
    pub microusd_per_hour: u64,
}

/// Everything there is to know about a rental. Times are milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RentalView {
    /// Its status.
    pub status: RentalStatus,
    /// The launch.
    #[serde(default)]
    pub launch: Option<Box<Launch>>,
    /// The moments at which it came to its states, oldest first, each state's last.
    #[serde(default)]
    pub phases: Vec<PhaseTime>,
    /// What ends it, and when.
    #[serde(default)]
    pub timers: Vec<TimerView>,
    /// Every attempt to rent.
    #[serde(default)]
    pub attempts: Vec<AttemptView>,
    /// When it was last asked to do something.
    #[serde(default)]
    pub last_active_ms: Option<i64>,
    /// Its public address, for people.
    #[serde(default)]
    pub address: Option<String>,
}

impl Eq for RentalStatus {}
impl Eq for RentalView {}

/// When a state was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// Which.
    pub state: RentalState,
    /// When.
    pub at_ms: i64,
}

/// A timer of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerView {
    /// Its name.
    pub timer: String,
    /// When it is due.
    pub at_ms: i64,
}

/// An attempt to rent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// From 1.
    pub number: u32,
    /// Whose.
    pub account: String,
    /// What came of it, in words.
    pub outcome: String,
    /// The vendor's id of the machine.
    #[serde(default)]
    pub machine: Option<String>,
}

/// What happened to a rental, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RentalEvent {
    /// From 1, without gaps but for the oldest, which are dropped.
    pub number: u64,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What, in dotted past tense: `instance.ready`.
    pub what: String,
    /// Why, or with which values.
    #[serde(default)]
    pub detail: String,
}

/// A page of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RentalEvents {
    /// Newest first.
    pub events: Vec<RentalEvent>,
    /// Pass as `before` for the next page.
    #[serde(default)]
    pub next_before: Option<u64>,
}
