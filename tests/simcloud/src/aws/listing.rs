//! `DescribeInstances` and `DescribeInstanceStatus`: eventually consistent, in pages, and as old as told to be.

use crate::aws::Caller;
use crate::aws::errors::{Refusal, refuse};
use crate::aws::instances::{Instance, state, write, write_state};
use crate::aws::query::{Filter, Form, page};
use crate::aws::xml::Xml;
use crate::clock::Millis;
use crate::fault::Fault;
use crate::faults::Applied;
use crate::machine::{Machine, Phase};
use crate::world::World;

/// Whether a client can see an instance yet, and still.
fn is_seen(world: &World, caller: &Caller, machine: &Machine, now: Millis) -> bool {
    let after = i64::from(world.settings.delays.visible_after_ms);
    machine.account == caller.account
        && machine.region == caller.region
        && now >= machine.created_ms + after
        && !machine.ghost
        && machine
            .instance()
            .is_some_and(|instance| !instance.is_forgotten)
}

/// An instance that this caller may see.
///
/// # Errors
/// `InvalidInstanceID.NotFound`, `InvalidInstanceID.Malformed`.
pub fn find<'a>(
    world: &'a World,
    caller: &Caller,
    id: &str,
    now: Millis,
) -> Result<(&'a Machine, &'a Instance), Refusal> {
    let is_id = id.strip_prefix("i-").is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    if !is_id {
        return refuse(
            "InvalidInstanceID.Malformed",
            format!("Invalid id: \"{id}\""),
        );
    }
    let machine = world.machines.get(id);
    let machine = machine.filter(|machine| is_seen(world, caller, machine, now));
    match machine.and_then(|machine| Some((machine, machine.instance()?))) {
        Some(found) => Ok(found),
        None => refuse(
            "InvalidInstanceID.NotFound",
            format!("The instance ID '{id}' does not exist"),
        ),
    }
}

/// An instance and the phase that is told of it.
type Seen<'a> = (&'a Machine, &'a Instance, Phase);

/// What a request is about: its ids, or all.
fn seen<'a>(
    world: &'a World,
    caller: &Caller,
    form: &Form,
    now: Millis,
    applied: &Applied,
) -> Result<Vec<Seen<'a>>, Refusal> {
    let ids = form.list("InstanceId");
    if !ids.is_empty() {
        if form.get("MaxResults").is_some() {
            return refuse(
                "InvalidParameterCombination",
                "The parameter instancesSet cannot be used with the parameter maxResults",
            );
        }
        let one = |id: &String| {
            let (machine, instance) = find(world, caller, id, now)?;
            Ok((machine, instance, machine.phase))
        };
        return ids.iter().map(one).collect();
    }
    if applied.has(&Fault::EmptyList {}) {
        return Ok(Vec::new());
    }
    let lag = applied.find(|fault| match fault {
        Fault::Stale { ms } => Some(i64::from(*ms)),
        _ => None,
    });
    let then = now - lag.unwrap_or(0);
    let old = |machine: &'a Machine| {
        let phase = machine.phase_at(then)?;
        is_seen(world, caller, machine, then).then_some((machine, machine.instance()?, phase))
    };
    let mut all: Vec<_> = world.machines.values().filter_map(old).collect();
    all.sort_by_key(key);
    Ok(all)
}

fn key((machine, _, _): &Seen<'_>) -> String {
    format!("{:020} {}", machine.created_ms, machine.id)
}

fn fits((machine, instance, phase): &Seen<'_>, filter: &Filter) -> Result<bool, Refusal> {
    if let Some(key) = filter.name.strip_prefix("tag:") {
        return Ok(instance
            .tags
            .get(key)
            .is_some_and(|value| filter.takes(value)));
    }
    let (code, word) = state(*phase);
    Ok(match filter.name.as_str() {
        "tag-key" => instance.tags.keys().any(|key| filter.takes(key)),
        "instance-state-name" => filter.takes(word),
        "instance-state-code" => filter.takes(&code.to_string()),
        "instance-id" => filter.takes(&machine.id),
        "instance-type" => filter.takes(&machine.kind),
        "instance-lifecycle" => instance.spot && filter.takes("spot"),
        "client-token" => instance
            .token
            .as_ref()
            .is_some_and(|token| filter.takes(token)),
        "availability-zone" => filter.takes(&instance.zone),
        "image-id" => filter.takes(&instance.image),
        "subnet-id" => filter.takes(&instance.subnet),
        "reservation-id" => filter.takes(&instance.reservation),
        _ => return filter.unknown(),
    })
}

fn filtered<'a>(all: Vec<Seen<'a>>, form: &Form) -> Result<Vec<Seen<'a>>, Refusal> {
    let filters = form.filters();
    let mut kept = Vec::new();
    for one in all {
        let mut is_kept = true;
        for filter in &filters {
            is_kept &= fits(&one, filter)?;
        }
        kept.extend(is_kept.then_some(one));
    }
    Ok(kept)
}

/// `DescribeInstances`.
///
/// # Errors
/// For ids, filters and pages that nobody knows.
pub fn describe(
    xml: &mut Xml,
    world: &World,
    caller: &Caller,
    form: &Form,
    now: Millis,
    applied: &Applied,
) -> Result<(), Refusal> {
    let all = filtered(seen(world, caller, form, now, applied)?, form)?;
    let page = page(all, form, 5, key, applied)?;
    xml.list(
        "reservationSet",
        page.items,
        |xml, (machine, instance, phase)| {
            xml.text("reservationId", &instance.reservation);
            xml.text("ownerId", caller.number()).empty("groupSet");
            xml.list("instancesSet", [()], |xml, ()| {
                write(xml, machine, instance, phase, applied)
            });
        },
    );
    if let Some(next) = page.next {
        xml.text("nextToken", next);
    }
    Ok(())
}

/// `DescribeInstanceStatus`: of running instances alone, unless all are asked for.
///
/// # Errors
/// For ids, filters and pages that nobody knows.
pub fn status(
    xml: &mut Xml,
    world: &World,
    caller: &Caller,
    form: &Form,
    now: Millis,
    applied: &Applied,
) -> Result<(), Refusal> {
    let everything = form.flag("IncludeAllInstances")?;
    let mut all = filtered(seen(world, caller, form, now, applied)?, form)?;
    all.retain(|(_, _, phase)| everything || *phase == Phase::Running);
    let page = page(all, form, 5, key, applied)?;
    let checks_ms = i64::from(world.settings.delays.status_check_ms);
    xml.list(
        "instanceStatusSet",
        page.items,
        |xml, (machine, instance, phase)| {
            let since = machine.history.last().map_or(now, |(since, _)| *since);
            let status = match phase {
                Phase::Running if now - since < checks_ms => "initializing",
                Phase::Running if machine.unhealthy => "impaired",
                Phase::Running => "ok",
                _ => "not-applicable",
            };
            xml.text("instanceId", &machine.id);
            xml.text("availabilityZone", &instance.zone);
            write_state(xml, "instanceState", phase, applied);
            for name in ["systemStatus", "instanceStatus"] {
                xml.with(name, |xml| {
                    xml.text("status", status);
                });
            }
        },
    );
    if let Some(next) = page.next {
        xml.text("nextToken", next);
    }
    Ok(())
}
