//! Down and up again. Each needs to stop and start.

use serde_json::json;
use tidegate_provider_api::{Billing, ErrorKind, Machine, MachineState, StoppedBilling};

use crate::rig::{DISK_GB, Rig, number, start, stop};

/// What is told to be billed is what simcloud bills.
fn billed_as_metered(rig: &mut Rig, machine: &Machine) -> Machine {
    let seen = rig.see(machine);
    let told = match seen.billing {
        Billing::Full => "full",
        Billing::Disk => "disk",
        Billing::None => "none",
        Billing::Unknown => "unknown",
    };
    assert_eq!(rig.sim.meter(&machine.id)["billing"], told, "{seen:?}");
    seen
}

fn stopped(rig: &mut Rig) -> Machine {
    let machine = rig.running(1);
    rig.accepted(stop(&machine));
    rig.sim.until(&machine.id, "stopped");
    machine
}

pub fn a_stopped_machine_keeps_its_disk_and_starts_again_as_the_same(rig: &mut Rig) {
    let machine = rig.running(1);
    assert_eq!(billed_as_metered(rig, &machine), machine);
    rig.accepted(stop(&machine));
    rig.sim.until(&machine.id, "stopped");
    let down = billed_as_metered(rig, &machine);
    assert_eq!(
        (down.state, down.billing),
        (MachineState::Stopped, stopped_billing(rig))
    );
    assert_eq!((&down.id, &down.marker), (&machine.id, &machine.marker));
    assert_eq!(rig.listed(), std::slice::from_ref(&machine.id));

    rig.accepted(start(&machine));
    rig.sim.until(&machine.id, "running");
    let up = billed_as_metered(rig, &machine);
    assert_eq!(
        (up.state, up.billing),
        (MachineState::Running, Billing::Full)
    );
    assert_eq!(
        (&up.id, &up.marker, &up.region),
        (&machine.id, &machine.marker, &machine.region)
    );
    assert_eq!((up.gpu_count, up.reason), (machine.gpu_count, None));
    assert_eq!(rig.sim.living(), 1);
}

fn stopped_billing(rig: &Rig) -> Billing {
    match rig.capability.stopped_billing {
        StoppedBilling::Full => Billing::Full,
        StoppedBilling::Disk => Billing::Disk,
        StoppedBilling::None => Billing::None,
    }
}

pub fn a_disk_costs_while_its_machine_is_stopped_what_the_offer_said(rig: &mut Rig) {
    let offers = rig.offers();
    let offer = rig.rented(&offers);
    let machine = stopped(rig);
    let meter = rig.sim.meter(&machine.id);
    let disk = meter["stretches"].as_array().unwrap().last().unwrap();
    assert_eq!(disk["rate"], "disk");
    let rate = number(&disk["microusd_per_hour"]);
    assert!(rate > 0);
    let told = offer.disk.map(|disk| disk.microusd_per_hour(DISK_GB));
    assert_eq!(told, Some(rate));
}

pub fn a_machine_that_was_stopped_by_hand_is_told_to_be_stopped(rig: &mut Rig) {
    let machine = rig.running(1);
    rig.sim.happen(&machine.id, "stop", &json!({}));
    rig.sim.until(&machine.id, "stopped");
    let seen = billed_as_metered(rig, &machine);
    assert_eq!(
        (seen.state, seen.billing),
        (MachineState::Stopped, stopped_billing(rig))
    );
    assert_eq!(rig.list_all().unwrap(), [seen]);
}

pub fn a_start_may_find_no_capacity_and_leaves_the_machine_stopped(rig: &mut Rig) {
    let machine = stopped(rig);
    rig.sim.once("start", &json!({"do": "no_capacity"}));
    let error = rig.ask(start(&machine)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Capacity, "{error}");
    assert!(!error.permanent && !error.unclear, "{error}");
    assert_eq!(
        billed_as_metered(rig, &machine).state,
        MachineState::Stopped
    );
    rig.accepted(start(&machine));
    rig.sim.until(&machine.id, "running");
}

/// The vendor may not tell how many there are, but never more than there are.
pub fn a_machine_that_came_back_without_gpus_is_not_told_to_have_some(rig: &mut Rig) {
    let machine = stopped(rig);
    rig.sim.once("start", &json!({"do": "gpus", "count": 0}));
    rig.accepted(start(&machine));
    rig.sim.until(&machine.id, "running");
    let seen = billed_as_metered(rig, &machine);
    let expected = machine.gpu_count.map(|_| 0);
    assert_eq!(
        (seen.state, seen.gpu_count),
        (MachineState::Running, expected)
    );
    // It is billed all the same.
    assert_eq!(seen.billing, Billing::Full);
}

pub fn what_is_so_already_is_no_disaster(rig: &mut Rig) {
    let machine = stopped(rig);
    for request in [stop(&machine), start(&machine), start(&machine)] {
        if let Err(error) = rig.ask(request) {
            assert!(!error.unclear, "{error}");
            assert_eq!(error.kind, ErrorKind::Validation, "{error}");
        }
    }
    rig.sim.until(&machine.id, "running");
    assert_eq!(rig.sim.living(), 1);
}

pub fn a_stop_that_takes_long_is_not_told_to_be_done(rig: &mut Rig) {
    let machine = rig.running(1);
    rig.sim.once("stop", &json!({"do": "slow", "ms": 600_000}));
    rig.accepted(stop(&machine));
    let seen = billed_as_metered(rig, &machine);
    assert_ne!(seen.state, MachineState::Stopped);
    rig.sim.advance(600_000);
    rig.sim.until(&machine.id, "stopped");
    assert_eq!(
        billed_as_metered(rig, &machine).state,
        MachineState::Stopped
    );
}
