//! All machines, and how they move. Invariant: a step happens at the time it was planned for, however late it
//! is looked at, so that meters do not depend on when somebody asks.
//!
//! In scope: phases, meters and processes over both vendors. Out of scope: who may ask for what.

use std::collections::BTreeMap;

use crate::boxes;
use crate::clock::{self, Millis};
use crate::faults::Faults;
use crate::journal::Journal;
use crate::keys::Keys;
use crate::machine::{Detail, Machine, Phase, Reason, Step, Stuck, Vendor};
use crate::meter::Rate;
use crate::random::Random;
use crate::settings::Settings;

/// A box to start: machine and boot.
pub type Boot = (String, u64);

/// Everything that changes.
#[derive(Debug)]
pub struct World {
    /// Delays and limits.
    pub settings: Settings,
    /// By id. What is gone stays here for the meter.
    pub machines: BTreeMap<String, Machine>,
    /// What can be rented at RunPod.
    pub gpus: crate::runpod::catalog::Catalog,
    /// What can be rented at EC2.
    pub types: crate::aws::catalogue::Catalogue,
    /// Who may ask.
    pub keys: Keys,
    /// What goes wrong.
    pub faults: Faults,
    /// What was asked.
    pub journal: Journal,
    /// Where ids come from.
    pub random: Random,
    /// EC2's client tokens.
    pub tokens: BTreeMap<String, crate::aws::instances::Token>,
    /// RunPod's SSH keys, by account.
    pub ssh_keys: BTreeMap<String, Vec<String>>,
    boots: Vec<Boot>,
}

impl World {
    /// An empty one.
    pub fn new(settings: Settings, keys: Keys, seed: u64) -> Self {
        Self {
            settings,
            machines: BTreeMap::new(),
            gpus: crate::runpod::catalog::Catalog::default(),
            types: crate::aws::catalogue::Catalogue::default(),
            keys,
            faults: Faults::new(seed),
            journal: Journal::default(),
            random: Random::new(seed),
            tokens: BTreeMap::new(),
            ssh_keys: BTreeMap::new(),
            boots: Vec::new(),
        }
    }

    /// Boxes that are to be started now.
    pub fn take_boots(&mut self) -> Vec<Boot> {
        std::mem::take(&mut self.boots)
    }

    /// When something happens next.
    pub fn next_step(&self) -> Option<Millis> {
        let first = |machine: &Machine| machine.agenda.first().map(|(at, _)| *at);
        self.machines.values().filter_map(first).min()
    }

    /// Lets all happen that is due, in the order of time.
    pub fn settle(&mut self, now: Millis) {
        loop {
            let due = |machine: &Machine| {
                let (at, step) = machine.agenda.first()?;
                (*at <= now).then(|| (*at, machine.id.clone(), *step))
            };
            let next = self.machines.values().filter_map(due);
            let Some((at, id, step)) = next.min_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1))) else {
                return;
            };
            if let Some(machine) = self.machines.get_mut(&id) {
                machine.drop_plan(step);
            }
            self.perform(&id, step, at);
        }
    }

    /// A machine begins to exist, and to cost.
    pub fn add(&mut self, mut machine: Machine) {
        let at = machine.created_ms;
        let delays = self.settings.delays;
        machine.history.push((at, machine.phase));
        open_full(&mut machine, at);
        let (step, delay) = match machine.vendor {
            Vendor::Runpod => (Step::Start, delays.provisioning_ms),
            Vendor::Aws => (Step::Run, delays.pending_ms),
        };
        let due = at + i64::from(delay) + machine.twists.slower_ms;
        if machine.twists.fails.is_some() {
            machine.plan(Step::Failed, due);
        } else if machine.twists.never_boots != Some(Stuck::Provisioning) {
            machine.plan(step, due);
        }
        self.machines.insert(machine.id.clone(), machine);
    }

    /// A stopped machine begins again, with so many GPUs.
    pub fn start(&mut self, id: &str, now: Millis, gpus: Option<u32>) {
        let delays = self.settings.delays;
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        machine.gpus_present = gpus.unwrap_or(machine.gpus);
        machine.reason = None;
        machine.meter.close(Rate::Disk, now);
        open_full(machine, now);
        machine.enter(Phase::Provisioning, now);
        match machine.vendor {
            Vendor::Runpod => machine.plan(Step::Start, now + i64::from(delays.provisioning_ms)),
            Vendor::Aws => {
                machine.started_ms = Some(now);
                machine.plan(Step::Run, now + i64::from(delays.pending_ms));
            }
        }
    }

    /// A pod's container begins again in place.
    pub fn restart(&mut self, id: &str, now: Millis) {
        if let Some(machine) = self.machines.get_mut(id) {
            kill(machine);
        }
        self.perform(id, Step::Start, now);
    }

    /// A machine goes down; its disk stays.
    pub fn stop(&mut self, id: &str, now: Millis, slower_ms: i64, reason: Reason) {
        let due = now + i64::from(self.settings.delays.stop_ms) + slower_ms;
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        give_reason(machine, reason, now);
        for step in [Step::Run, Step::Start, Step::Shutdown, Step::Preempted] {
            machine.drop_plan(step);
        }
        if machine.vendor == Vendor::Aws {
            machine.enter(Phase::Stopping, now);
            machine.meter.close(Rate::Full, now);
            open_stopped(machine, now);
            boxes::end(machine.process.group);
        }
        machine.plan(Step::Stopped, due);
    }

    /// A machine is given back.
    pub fn terminate(&mut self, id: &str, now: Millis, slower_ms: i64, reason: Reason) {
        let due = now + i64::from(self.settings.delays.terminate_ms) + slower_ms;
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        if machine.is_over() || machine.has_plan(Step::Terminated) {
            return;
        }
        give_reason(machine, reason, now);
        // At RunPod a pod goes on until it is gone; only EC2 has a state between.
        if machine.vendor == Vendor::Aws {
            machine.agenda.clear();
            machine.enter(Phase::Terminating, now);
            close_all(machine, now);
            boxes::end(machine.process.group);
        }
        machine.plan(Step::Terminated, due);
    }

    /// A machine is gone as far as the API tells, and goes on costing.
    pub fn haunt(&mut self, id: &str, now: Millis) {
        if let Some(machine) = self.machines.get_mut(id) {
            machine.agenda.clear();
            machine.enter(Phase::Terminated, now);
            machine.ended_ms = None;
            machine.ghost = true;
        }
    }

    /// What would not end ends.
    pub fn finish(&mut self, id: &str, now: Millis) {
        if let Some(machine) = self.machines.get_mut(id)
            && (machine.ghost || !machine.is_over())
        {
            machine.phase = Phase::Terminating;
            self.perform(id, Step::Terminated, now);
        }
    }

    /// The box's process group.
    pub fn box_started(&mut self, id: &str, boot: u64, group: i32) -> bool {
        let Some(machine) = self.booting(id, boot) else {
            return false;
        };
        machine.process.group = Some(group);
        machine.process.boots += 1;
        machine.process.ended = None;
        true
    }

    /// The box's port is open.
    pub fn box_listens(&mut self, id: &str, boot: u64, now: Millis) {
        let starting = i64::from(self.settings.delays.starting_ms);
        let Some(machine) = self.booting(id, boot) else {
            return;
        };
        machine.process.listens = true;
        if machine.phase == Phase::Starting {
            let earliest = machine.started_ms.unwrap_or(now) + starting;
            machine.plan(Step::Run, now.max(earliest));
        }
    }

    /// The box's process has ended by itself, or never began.
    pub fn box_ended(&mut self, id: &str, boot: u64, now: Millis, how: String) {
        let Some(machine) = self.booting(id, boot) else {
            return;
        };
        machine.process.ended = Some(how);
        // An instance lives on when the script that it began with has ended.
        if machine.vendor == Vendor::Aws {
            return;
        }
        machine.process.group = None;
        machine.process.listens = false;
        if matches!(machine.phase, Phase::Starting | Phase::Running) {
            machine.reason = Some(because("Exited", "the container has ended by itself"));
            self.perform(id, Step::Stopped, now);
        }
    }

    /// Ends every process.
    pub fn kill_all(&mut self) {
        self.machines.values_mut().for_each(kill);
    }

    fn booting(&mut self, id: &str, boot: u64) -> Option<&mut Machine> {
        let machine = self.machines.get_mut(id)?;
        (machine.boot == boot).then_some(machine)
    }

    fn perform(&mut self, id: &str, step: Step, at: Millis) {
        let keeps_ms = i64::from(self.settings.delays.terminated_lingers_ms);
        let Some(machine) = self.machines.get_mut(id) else {
            return;
        };
        match step {
            Step::Start => {
                machine.enter(Phase::Starting, at);
                machine.started_ms = Some(at);
                machine.boot += 1;
                if machine.twists.never_boots.is_none() {
                    self.boots.push((machine.id.clone(), machine.boot));
                }
            }
            Step::Run => {
                machine.enter(Phase::Running, at);
                if machine.vendor == Vendor::Aws && machine.twists.never_boots.is_none() {
                    machine.boot += 1;
                    self.boots.push((machine.id.clone(), machine.boot));
                }
            }
            Step::Stopped => {
                kill(machine);
                for step in [Step::Run, Step::Start] {
                    machine.drop_plan(step);
                }
                machine.enter(Phase::Stopped, at);
                machine.meter.close(Rate::Full, at);
                if machine.vendor == Vendor::Runpod {
                    open_stopped(machine, at);
                }
            }
            Step::Terminated => {
                kill(machine);
                machine.agenda.clear();
                machine.enter(Phase::Terminated, at);
                close_all(machine, at);
                if machine.vendor == Vendor::Aws {
                    machine.plan(Step::Forgotten, at + keeps_ms);
                }
            }
            Step::Failed => {
                kill(machine);
                machine.agenda.clear();
                let code = machine.twists.fails.clone().unwrap_or_default();
                machine.reason = Some(because(&code, &code));
                match machine.vendor {
                    Vendor::Runpod => machine.enter(Phase::Failed, at),
                    // A launch that fails is not charged.
                    Vendor::Aws => {
                        machine.meter.void();
                        machine.enter(Phase::Terminated, at);
                        machine.plan(Step::Forgotten, at + keeps_ms);
                    }
                }
            }
            Step::Shutdown => self.shut_down(id, at),
            Step::Preempted => {
                boxes::end(machine.process.group);
                let reason = because(
                    "Server.SpotInstanceTermination",
                    "Server.SpotInstanceTermination: Spot instance termination",
                );
                match machine.vendor {
                    Vendor::Runpod => self.stop(id, at, 0, reason),
                    Vendor::Aws => self.terminate(id, at, 0, reason),
                }
            }
            Step::Forgotten => {
                if let Detail::Instance(instance) = &mut machine.detail {
                    instance.is_forgotten = true;
                }
            }
        }
    }

    fn shut_down(&mut self, id: &str, at: Millis) {
        let Some(machine) = self.machines.get(id) else {
            return;
        };
        if matches!(machine.phase, Phase::Terminating | Phase::Terminated) {
            return;
        }
        let reason = because(
            "Client.InstanceInitiatedShutdown",
            "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
        );
        let ends = machine.instance().is_some_and(|i| i.ends_on_shutdown);
        if ends {
            self.terminate(id, at, 0, reason);
        } else {
            self.stop(id, at, 0, reason);
        }
    }
}

/// A reason.
pub fn because(code: &str, message: &str) -> Reason {
    Reason {
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

/// EC2 tells the second of what was asked for over its API, and of nothing else.
fn give_reason(machine: &mut Machine, reason: Reason, at: Millis) {
    let by_user = reason.code == "Client.UserInitiatedShutdown";
    machine.reason = Some(reason);
    if let Detail::Instance(instance) = &mut machine.detail {
        instance.transition.clear();
        if by_user {
            instance.transition = format!("User initiated ({})", clock::in_reason(at));
        }
    }
}

fn open_full(machine: &mut Machine, at: Millis) {
    let prices = machine.prices;
    let meter = &mut machine.meter;
    meter.open(
        Rate::Full,
        prices.full_microusd_per_hour,
        prices.minimum_s,
        at,
    );
    meter.open(
        Rate::Disk,
        prices.beside_microusd_per_hour,
        prices.minimum_s,
        at,
    );
}

fn open_stopped(machine: &mut Machine, at: Millis) {
    let price = machine.prices.disk_stopped_microusd_per_hour;
    machine.meter.open(Rate::Disk, price, 0, at);
}

/// What a machine leaves behind goes on costing.
fn close_all(machine: &mut Machine, at: Millis) {
    machine.meter.close(Rate::Full, at);
    let leaves_disk = machine.instance().is_some_and(|i| i.leaves_disk);
    if leaves_disk {
        open_stopped(machine, at);
    } else {
        machine.meter.close(Rate::Disk, at);
    }
    machine.ghost = false;
}

fn kill(machine: &mut Machine) {
    // What an older boot reports does not count from here on.
    machine.boot += 1;
    machine.process.listens = false;
    boxes::kill(machine.process.group.take());
}
