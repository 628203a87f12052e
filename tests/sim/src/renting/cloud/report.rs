//! A machine as its vendor describes it.

use tidegate_provider_api::{Billing, Ending, Machine as Report, MachineState, Reason};

use super::super::World;
use super::super::scenario::Vendor;
use super::{Machine, Stage};

/// How long a machine that is gone is still shown, where that is done at all.
const AWS_LINGERS_MS: i64 = 3_600_000;
const POD_LINGERS_MS: i64 = 180_000;

impl World {
    /// Whether the vendor still shows it, gone or not.
    pub fn lingers(&self, place: usize) -> bool {
        let machine = &self.around.cloud.machines[place];
        let lasts = match self.vendor_of(place) {
            // Some are shown for a while, most are not.
            Vendor::RunPod if place.is_multiple_of(3) => POD_LINGERS_MS,
            Vendor::RunPod => 0,
            Vendor::Aws => AWS_LINGERS_MS,
        };
        machine.gone_at.is_none_or(|gone| self.now < gone + lasts)
    }

    /// As its vendor describes it.
    pub fn report(&self, place: usize) -> Report {
        let machine = &self.around.cloud.machines[place];
        match self.vendor_of(place) {
            Vendor::RunPod => pod(machine),
            Vendor::Aws => ec2(machine),
        }
    }
}

fn pod(machine: &Machine) -> Report {
    let (state, raw, billing) = match machine.stage {
        Stage::Pending => (MachineState::Pending, "PROVISIONING", Billing::Full),
        // There is no word for being on the way out: it is as it was.
        Stage::Ending if !machine.meter.is_full() => {
            (MachineState::Stopped, "EXITED", Billing::Disk)
        }
        Stage::Running | Stage::Stopping | Stage::Ending => {
            (MachineState::Running, "RUNNING", Billing::Full)
        }
        Stage::Stopped => (MachineState::Stopped, "EXITED", Billing::Disk),
        Stage::Broken => (MachineState::Failed, "ERROR", Billing::Unknown),
        Stage::Gone => (MachineState::Terminated, "TERMINATED", Billing::None),
    };
    let is_full = matches!(billing, Billing::Full | Billing::Unknown);
    Report {
        id: machine.id.clone(),
        marker: machine.marker.clone(),
        state,
        raw_state: raw.to_owned(),
        reason: (state == MachineState::Failed).then(|| Reason {
            ending: Ending::Crashed,
            words: "ERROR".to_owned(),
        }),
        region: machine.spec.region.clone(),
        zone: None,
        machine_type: Some(machine.spec.machine_type.clone()),
        gpu_count: Some(machine.gpus),
        microusd_per_hour: is_full.then_some(machine.rate - machine.beside),
        billing,
        billed_from_ms: Some(machine.born.div_euclid(1_000) * 1_000),
        billed_until_ms: None,
        endpoint: Some(format!("https://{}-8000.pods.tidegate.dev", machine.id)),
        address: None,
    }
}

fn ec2(machine: &Machine) -> Report {
    let (state, raw, billing) = match machine.stage {
        Stage::Pending => (MachineState::Pending, "pending", Billing::Full),
        Stage::Running | Stage::Broken => (MachineState::Running, "running", Billing::Full),
        Stage::Stopping => (MachineState::Stopping, "stopping", Billing::Disk),
        Stage::Stopped => (MachineState::Stopped, "stopped", Billing::Disk),
        Stage::Ending => (MachineState::Terminating, "shutting-down", Billing::Disk),
        Stage::Gone => (MachineState::Terminated, "terminated", Billing::None),
    };
    let is_up = matches!(state, MachineState::Pending | MachineState::Running);
    Report {
        id: machine.id.clone(),
        marker: machine.marker.clone(),
        state,
        raw_state: raw.to_owned(),
        reason: machine.ended_by.filter(|_| !is_up).map(|ending| Reason {
            ending,
            words: raw.to_owned(),
        }),
        region: machine.spec.region.clone(),
        zone: machine.spec.zone.clone(),
        machine_type: Some(machine.spec.machine_type.clone()),
        gpu_count: None,
        microusd_per_hour: None,
        billing,
        billed_from_ms: Some(machine.up_since.div_euclid(1_000) * 1_000),
        billed_until_ms: if is_up { None } else { machine.meter.down_at() },
        endpoint: None,
        address: Some("198.51.100.7".to_owned()),
    }
}
