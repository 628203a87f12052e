//! A rented machine as its vendor reports it.

use serde::{Deserialize, Serialize};

use crate::Marker;

/// What a vendor says of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The vendor's id.
    pub id: String,
    /// Whose it is, when its name or tag is a marker of ours.
    #[serde(default)]
    pub marker: Option<Marker>,
    /// Its state in our words.
    pub state: MachineState,
    /// Its state in the vendor's.
    pub raw_state: String,
    /// Why it is in that state, where the vendor says so.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// Where it is.
    pub region: String,
    /// Where in there.
    #[serde(default)]
    pub zone: Option<String>,
    /// The vendor's id of its type.
    #[serde(default)]
    pub machine_type: Option<String>,
    /// GPUs that it really has, where the vendor says so.
    #[serde(default)]
    pub gpu_count: Option<u32>,
    /// What it really costs an hour now, where the vendor says so.
    #[serde(default)]
    pub microusd_per_hour: Option<u64>,
    /// What it is billed for in this state.
    pub billing: Billing,
    /// When the vendor's meter began, in milliseconds since the epoch, where it says so.
    #[serde(default)]
    pub billed_from_ms: Option<i64>,
    /// When the vendor's meter ended, where it says so.
    #[serde(default)]
    pub billed_until_ms: Option<i64>,
    /// The root of what it serves, if that can be reached over public TLS: `https://…`, without `/v1`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Its public address, for people.
    #[serde(default)]
    pub address: Option<String>,
}

/// The states that we tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineState {
    /// On its way.
    Pending,
    /// Up, as far as the vendor can tell.
    Running,
    /// On its way down; its disk stays.
    Stopping,
    /// Down; its disk stays.
    Stopped,
    /// On its way out.
    Terminating,
    /// Gone.
    Terminated,
    /// It will not come up by itself.
    Failed,
    /// The vendor says a word that we do not know, or does not know itself.
    Unknown,
}

/// What a state is billed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    /// GPU and disk.
    Full,
    /// Disk alone.
    Disk,
    /// Nothing.
    None,
    /// Nobody can tell; counted as full.
    Unknown,
}

/// Why a machine is in its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// In our words.
    pub ending: Ending,
    /// The vendor's code and words.
    pub words: String,
}

/// What ended, or is about to end, a machine's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Someone with the account's rights, us included.
    Asked,
    /// The machine shut itself down.
    Itself,
    /// The vendor needs the capacity back (spot).
    Preempted,
    /// The vendor never had the capacity.
    Capacity,
    /// A quota or the balance.
    Quota,
    /// What runs on it ended or broke.
    Crashed,
    /// Anything else.
    Other,
}
