//! `RunInstances`.
//!
//! Invariant: a client token makes what it makes once. The same token with the same request is the same instance,
//! with another request a refusal, and a refusal too once the instance is gone; a launch that failed leaves no trace
//! of its token (undocumented).

use std::collections::BTreeMap;

use crate::aws::Caller;
use crate::aws::catalogue::{Region, Type};
use crate::aws::errors::{Refusal, refuse};
use crate::aws::instances::{Token, write};
use crate::aws::plan::{Plan, plan};
use crate::aws::query::Form;
use crate::aws::xml::Xml;
use crate::boxes;
use crate::clock::Millis;
use crate::fault::Fault;
use crate::faults::Applied;
use crate::machine::{Box, Detail, Machine, Phase, Vendor};
use crate::meter::Meter;
use crate::runpod::create::twists;
use crate::world::World;

/// Answers a launch; the ids of what came of it go into `made`.
///
/// # Errors
/// In EC2's codes.
pub fn run(
    world: &mut World,
    caller: &Caller,
    form: &Form,
    now: Millis,
    applied: &Applied,
    made: &mut Vec<String>,
) -> Result<String, Refusal> {
    let region = caller.region()?;
    let plan = plan(world, form, region, now)?;
    if form.flag("DryRun")? {
        return caller.dry_run();
    }
    let request: BTreeMap<String, String> = form
        .0
        .iter()
        .filter(|(name, _)| *name != "ClientToken")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let token = plan.instance.token.clone();
    let token = token.map(|token| format!("{}/{}/{token}", caller.account, region.name));
    if let Some(used) = token.as_ref().and_then(|token| world.tokens.get(token)) {
        if used.request != request {
            return refuse(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            );
        }
        let is_over = |id: &String| {
            world
                .machines
                .get(id)
                .is_none_or(|m| m.is_over() || m.phase == Phase::Terminating)
        };
        if used.instances.iter().all(is_over) {
            return refuse(
                "IdempotentInstanceTerminated",
                "The request uses the same client token as a previous request for which the instance has been terminated.",
            );
        }
        *made = used.instances.clone();
        return Ok(tell(world, caller, &used.instances.clone(), applied));
    }
    room(world, caller, &plan, region, applied)?;
    let copies = if applied.has(&Fault::Duplicate {}) {
        2
    } else {
        1
    };
    for _ in 0..copies {
        made.push(add(world, caller, &plan, region, now, applied));
    }
    let told = vec![made[0].clone()];
    if let Some(token) = token {
        let instances = told.clone();
        world.tokens.insert(token, Token { request, instances });
    }
    Ok(tell(world, caller, &told, applied))
}

/// Whether there is one to be had, and may be.
fn room(
    world: &World,
    caller: &Caller,
    plan: &Plan,
    region: &Region,
    applied: &Applied,
) -> Result<(), Refusal> {
    let (kind, zone) = (plan.kind.name, &plan.instance.zone);
    let spot = plan.instance.spot;
    if let Some(limit) = plan
        .spot_limit
        .filter(|limit| *limit < plan.prices.full_microusd_per_hour)
    {
        return refuse(
            "SpotMaxPriceTooLow",
            format!(
                "Your Spot request price of {} is lower than the minimum required Spot request fulfillment price of {}.",
                limit as f64 / 1e6,
                plan.prices.full_microusd_per_hour as f64 / 1e6
            ),
        );
    }
    let counts = |machine: &&Machine| {
        let instance = machine.instance();
        machine.account == caller.account
            && machine.region == region.name
            && !matches!(machine.phase, Phase::Stopped | Phase::Terminated)
            && instance.is_some_and(|instance| instance.spot == spot)
    };
    let running = world.machines.values().filter(counts);
    let used: u32 = running.filter_map(|m| m.instance()).map(|i| i.vcpus).sum();
    let quota = if spot {
        world.settings.vcpus.spot
    } else {
        world.settings.vcpus.on_demand
    };
    if used + plan.kind.vcpus > quota || applied.has(&Fault::NoQuota {}) {
        if spot {
            return refuse(
                "MaxSpotInstanceCountExceeded",
                "Max spot instance count exceeded",
            );
        }
        return refuse(
            "VcpuLimitExceeded",
            format!(
                "You have requested more vCPU capacity than your current vCPU limit of {quota} allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
            ),
        );
    }
    if has_some(&plan.kind, zone, applied) {
        return Ok(());
    }
    let message = format!(
        "We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). Our system will be working on provisioning additional capacity."
    );
    refuse("InsufficientInstanceCapacity", message)
}

/// Whether a zone has one of a type now.
pub fn has_some(kind: &Type, zone: &str, applied: &Applied) -> bool {
    !kind.empty_zones.contains(zone) && !applied.has(&Fault::NoCapacity {})
}

fn add(
    world: &mut World,
    caller: &Caller,
    plan: &Plan,
    region: &Region,
    now: Millis,
    applied: &Applied,
) -> String {
    let id = format!("i-0{}", world.random.hex(16));
    let twists = twists(applied);
    let mut instance = plan.instance.clone();
    instance.reservation = format!("r-0{}", world.random.hex(16));
    instance.volume = format!("vol-0{}", world.random.hex(16));
    world.add(Machine {
        id: id.clone(),
        vendor: Vendor::Aws,
        account: caller.account.clone(),
        name: instance.tags.get("Name").cloned().unwrap_or_default(),
        region: region.name.to_owned(),
        kind: plan.kind.name.to_owned(),
        gpus: plan.gpus,
        gpus_present: twists.gpus.unwrap_or(plan.gpus),
        created_ms: now,
        started_ms: Some(now),
        ended_ms: None,
        phase: Phase::Provisioning,
        history: Vec::new(),
        reason: None,
        meter: Meter::default(),
        prices: plan.prices,
        twists,
        agenda: Vec::new(),
        boot: 0,
        process: Box::default(),
        address: boxes::fresh_address(),
        unhealthy: false,
        ghost: false,
        notice_ms: None,
        detail: Detail::Instance(instance),
    });
    id
}

fn tell(world: &World, caller: &Caller, ids: &[String], applied: &Applied) -> String {
    caller.answer("RunInstances", |xml| {
        let all = ids.iter().filter_map(|id| world.machines.get(id));
        let all: Vec<_> = all.filter_map(|m| Some((m, m.instance()?))).collect();
        let reservation = all.first().map(|(_, i)| i.reservation.clone());
        xml.text("reservationId", reservation.unwrap_or_default());
        xml.text("ownerId", caller.number()).empty("groupSet");
        xml.list("instancesSet", all, |xml: &mut Xml, (machine, instance)| {
            write(xml, machine, instance, machine.phase, applied);
        });
    })
}
