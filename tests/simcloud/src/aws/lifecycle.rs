//! `StartInstances`, `StopInstances`, `TerminateInstances` and `CreateTags`.
//!
//! Invariant: all instances of a call are looked at before any is changed, so that one bad id fails the call as a
//! whole and nothing is done.

use crate::aws::errors::{Refusal, refuse};
use crate::aws::instances::write_state;
use crate::aws::launch::has_some;
use crate::aws::plan::check_tags;
use crate::aws::query::Form;
use crate::aws::{Caller, listing};
use crate::boxes;
use crate::clock::Millis;
use crate::fault::Fault;
use crate::faults::Applied;
use crate::machine::{Detail, Machine, Phase};
use crate::runpod::lifecycle::slower;
use crate::world::{World, because};

/// What is done to instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// `StartInstances`.
    Start,
    /// `StopInstances`.
    Stop,
    /// `TerminateInstances`.
    Terminate,
}

/// Answers a change.
///
/// # Errors
/// For ids that nobody knows and states that do not allow it.
pub fn change(
    world: &mut World,
    caller: &Caller,
    form: &Form,
    change: Change,
    now: Millis,
    applied: &Applied,
) -> Result<String, Refusal> {
    let ids = form.list("InstanceId");
    if ids.is_empty() {
        form.must("InstanceId")?;
    }
    for id in &ids {
        let (machine, _) = listing::find(world, caller, id, now)?;
        check(world, machine, change, applied)?;
    }
    if form.flag("DryRun")? {
        return caller.dry_run();
    }
    let mut told = Vec::new();
    for id in ids {
        let before = world.machines.get(&id).map(|machine| machine.phase);
        let meant = perform(world, &id, change, now, applied);
        let after = world.machines.get(&id).map(|machine| machine.phase);
        told.push((id, before, meant.or(after)));
    }
    let action = match change {
        Change::Start => "StartInstances",
        Change::Stop => "StopInstances",
        Change::Terminate => "TerminateInstances",
    };
    Ok(caller.answer(action, |xml| {
        xml.list("instancesSet", told, |xml, (id, before, after)| {
            xml.text("instanceId", id);
            for (name, phase) in [("currentState", after), ("previousState", before)] {
                if let Some(phase) = phase {
                    write_state(xml, name, phase, applied);
                }
            }
        });
    }))
}

/// Whether its state allows it.
fn check(
    world: &World,
    machine: &Machine,
    change: Change,
    applied: &Applied,
) -> Result<(), Refusal> {
    let id = &machine.id;
    let Some(instance) = machine.instance() else {
        return Ok(());
    };
    let wrong = |what: &str| {
        let message = format!("The instance '{id}' is not in a state from which it can be {what}.");
        refuse("IncorrectInstanceState", message)
    };
    match (change, machine.phase) {
        (Change::Terminate, _) if instance.is_protected => {
            let message = format!(
                "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
            );
            refuse("OperationNotPermitted", message)
        }
        (Change::Terminate, _) | (Change::Start, Phase::Running | Phase::Provisioning) => Ok(()),
        (Change::Stop, _) if instance.spot => {
            let message = format!(
                "You can't stop the Spot Instance '{id}' because it is associated with a one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests."
            );
            refuse("UnsupportedOperation", message)
        }
        (Change::Stop, Phase::Running | Phase::Stopping | Phase::Stopped) => Ok(()),
        (Change::Stop, _) => wrong("stopped"),
        (Change::Start, Phase::Stopped) => {
            let kind = world.types.find(&machine.kind);
            if kind.is_none_or(|kind| has_some(kind, &instance.zone, applied)) {
                return Ok(());
            }
            let message = format!(
                "We currently do not have sufficient {} capacity in the Availability Zone you requested ({}).",
                machine.kind, instance.zone
            );
            refuse("InsufficientInstanceCapacity", message)
        }
        (Change::Start, _) => wrong("started"),
    }
}

/// Does it; the state that is told, where that is not the one that it has then.
fn perform(
    world: &mut World,
    id: &str,
    change: Change,
    now: Millis,
    applied: &Applied,
) -> Option<Phase> {
    let by_user = because(
        "Client.UserInitiatedShutdown",
        "Client.UserInitiatedShutdown: User initiated shutdown",
    );
    let phase = world.machines.get(id)?.phase;
    let is_lie = applied.has(&Fault::NeverEnds {});
    match change {
        Change::Start if phase == Phase::Stopped => {
            let gpus = applied.find(|fault| match fault {
                Fault::Gpus { count } => Some(*count),
                _ => None,
            });
            if let Some(machine) = world.machines.get_mut(id) {
                // Without an Elastic IP a start brings another address.
                machine.address = boxes::fresh_address();
                if let Detail::Instance(instance) = &mut machine.detail {
                    instance.launch_ms = now;
                    instance.transition.clear();
                }
            }
            world.start(id, now, gpus);
            None
        }
        Change::Start => None,
        Change::Stop if is_lie => Some(Phase::Stopping),
        Change::Terminate if is_lie => Some(Phase::Terminating),
        Change::Stop => {
            if phase == Phase::Running {
                world.stop(id, now, slower(applied), by_user);
            }
            None
        }
        Change::Terminate if applied.has(&Fault::BillsOn {}) => {
            world.haunt(id, now);
            Some(Phase::Terminating)
        }
        Change::Terminate => {
            world.terminate(id, now, slower(applied), by_user);
            None
        }
    }
}

/// `CreateTags`.
///
/// # Errors
/// For ids and tags that nobody knows.
pub fn tag(
    world: &mut World,
    caller: &Caller,
    form: &Form,
    now: Millis,
) -> Result<String, Refusal> {
    let tags = form.tags("Tag");
    check_tags(&tags)?;
    let ids = form.list("ResourceId");
    if ids.is_empty() {
        form.must("ResourceId")?;
    }
    for id in ids.iter().filter(|id| !id.starts_with("vol-")) {
        listing::find(world, caller, id, now)?;
    }
    if form.flag("DryRun")? {
        return caller.dry_run();
    }
    for machine in world.machines.values_mut() {
        let id = machine.id.clone();
        let Detail::Instance(instance) = &mut machine.detail else {
            continue;
        };
        if ids.contains(&id) {
            instance.tags.extend(tags.clone());
            machine.name = instance.tags.get("Name").cloned().unwrap_or_default();
        }
        if ids.contains(&instance.volume) {
            instance.volume_tags.extend(tags.clone());
        }
    }
    Ok(caller.answer("CreateTags", |xml| {
        xml.text("return", "true");
    }))
}
