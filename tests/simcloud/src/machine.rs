//! One rented machine, whichever vendor's. Invariant: its phase changes only through [`Machine::enter`], which
//! keeps the history that stale lists are made of.
//!
//! In scope: what a machine is. Out of scope: how it moves ([`crate::world`]), what vendors call it
//! ([`crate::runpod`], [`crate::aws`]).

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::aws::instances::Instance;
use crate::clock::Millis;
use crate::meter::Meter;
use crate::runpod::pods::Pod;

/// Whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vendor {
    /// RunPod.
    Runpod,
    /// AWS: EC2, STS and the Price List.
    Aws,
}

/// Where a machine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// RunPod `PROVISIONING`, EC2 `pending`.
    Provisioning,
    /// RunPod `STARTING`.
    Starting,
    /// `RUNNING`, `running`.
    Running,
    /// EC2 `stopping`.
    Stopping,
    /// `EXITED`, `stopped`.
    Stopped,
    /// RunPod `ERROR`.
    Failed,
    /// EC2 `shutting-down`.
    Terminating,
    /// EC2 `terminated`; gone at RunPod.
    Terminated,
}

/// Something that happens to a machine by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A pod's container begins.
    Start,
    /// It is up.
    Run,
    /// It is down.
    Stopped,
    /// It is gone.
    Terminated,
    /// It did not come up.
    Failed,
    /// It ends itself from inside.
    Shutdown,
    /// It is taken away.
    Preempted,
    /// The vendor forgets that it ever was.
    Forgotten,
}

/// Why it is in its phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// EC2's `stateReason/code`, such as `Client.UserInitiatedShutdown`.
    pub code: String,
    /// In words.
    pub message: String,
}

/// What its creation was told to go wrong with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Twists {
    /// Comes so far and no further; is billed.
    pub never_boots: Option<Stuck>,
    /// Takes so much longer to come up.
    pub slower_ms: i64,
    /// Fails instead of coming up, for this reason.
    pub fails: Option<String>,
    /// Comes up with so many GPUs.
    pub gpus: Option<u32>,
}

/// How far a machine comes that never boots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stuck {
    /// It stays `PROVISIONING`, `pending`.
    Provisioning,
    /// RunPod: it stays `STARTING`. EC2: it is `running`, and its script never begins.
    #[default]
    Booting,
}

/// What it costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Prices {
    /// While it is up.
    pub full_microusd_per_hour: u64,
    /// Its disk and its public address beside that.
    pub beside_microusd_per_hour: u64,
    /// Its disk while it is stopped.
    pub disk_stopped_microusd_per_hour: u64,
    /// Seconds that each start costs at least.
    pub minimum_s: u64,
}

/// What runs on it.
#[derive(Debug, Clone, Default)]
pub struct Box {
    /// The process group of the boot under way.
    pub group: Option<i32>,
    /// Whether its port was seen open in this boot.
    pub listens: bool,
    /// Boots so far.
    pub boots: u32,
    /// How the last process ended, when it has.
    pub ended: Option<String>,
}

/// What only one vendor knows of it.
#[derive(Debug, Clone)]
pub enum Detail {
    /// RunPod.
    Pod(Pod),
    /// EC2.
    Instance(Instance),
}

/// A machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The vendor's id.
    pub id: String,
    /// Whose.
    pub vendor: Vendor,
    /// Which customer's.
    pub account: String,
    /// RunPod's `name`, EC2's tag `Name`.
    pub name: String,
    /// Data centre or region.
    pub region: String,
    /// Which GPU or instance type.
    pub kind: String,
    /// GPUs that are paid for.
    pub gpus: u32,
    /// GPUs that it has.
    pub gpus_present: u32,
    /// When it was made.
    pub created_ms: Millis,
    /// When its current or last boot began.
    pub started_ms: Option<Millis>,
    /// When it ended.
    pub ended_ms: Option<Millis>,
    /// Where it is now.
    pub phase: Phase,
    /// Where it was.
    pub history: Vec<(Millis, Phase)>,
    /// Why.
    pub reason: Option<Reason>,
    /// What it has cost.
    pub meter: Meter,
    /// What it costs.
    pub prices: Prices,
    /// What goes wrong with it.
    pub twists: Twists,
    /// What is going to happen to it.
    pub agenda: Vec<(Millis, Step)>,
    /// Grows with each boot: what an older boot reports does not count.
    pub boot: u64,
    /// Its process.
    pub process: Box,
    /// Where its ports are.
    pub address: IpAddr,
    /// The proxy answers 500 for it.
    pub unhealthy: bool,
    /// It is gone as far as the API tells, and goes on costing.
    pub ghost: bool,
    /// When it will be taken away, as its metadata service tells.
    pub notice_ms: Option<Millis>,
    /// What only its vendor knows.
    pub detail: Detail,
}

impl Machine {
    /// Changes its phase; the same one again changes nothing.
    pub fn enter(&mut self, phase: Phase, at: Millis) {
        if self.phase != phase {
            self.phase = phase;
            self.history.push((at, phase));
        }
        if phase == Phase::Terminated && self.ended_ms.is_none() {
            self.ended_ms = Some(at);
        }
    }

    /// Its phase as it was then; `None` before it was made.
    pub fn phase_at(&self, at: Millis) -> Option<Phase> {
        let past = self.history.iter().rev();
        past.into_iter()
            .find(|(since, _)| *since <= at)
            .map(|(_, phase)| *phase)
    }

    /// Whether its vendor is done with it.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Terminated
    }

    /// Plans a step; one of the same kind that was planned before is dropped.
    pub fn plan(&mut self, step: Step, at: Millis) {
        self.drop_plan(step);
        self.agenda.push((at, step));
        self.agenda.sort_by_key(|(at, _)| *at);
    }

    /// Drops a step.
    pub fn drop_plan(&mut self, step: Step) {
        self.agenda.retain(|(_, planned)| *planned != step);
    }

    /// Whether a step is planned.
    pub fn has_plan(&self, step: Step) -> bool {
        self.agenda.iter().any(|(_, planned)| *planned == step)
    }

    /// Where something inside listens.
    pub fn socket(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    /// The pod, at RunPod.
    pub fn pod(&self) -> Option<&Pod> {
        match &self.detail {
            Detail::Pod(pod) => Some(pod),
            Detail::Instance(_) => None,
        }
    }

    /// The instance, at EC2.
    pub fn instance(&self) -> Option<&Instance> {
        match &self.detail {
            Detail::Instance(instance) => Some(instance),
            Detail::Pod(_) => None,
        }
    }

    /// The first port that it promises to serve HTTP on.
    pub fn http_port(&self) -> Option<u16> {
        self.pod().and_then(Pod::http_port)
    }

    /// Whether this is its id or name.
    pub fn is_called(&self, text: &str) -> bool {
        self.id == text || self.name == text
    }
}
