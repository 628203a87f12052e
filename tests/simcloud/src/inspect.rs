//! What tests are told of machines and money. Invariant: no variable of a container, no key and no user data is
//! in it.

use serde_json::{Value, json};

use crate::aws;
use crate::clock::{self, Millis};
use crate::cloud::Cloud;
use crate::machine::{Machine, Vendor};
use crate::meter::Rate;
use crate::runpod;
use crate::world::World;

/// The vendor's word for where a machine is.
fn state(machine: &Machine) -> &'static str {
    match machine.vendor {
        Vendor::Runpod => runpod::pods::status(machine.phase),
        Vendor::Aws => aws::instances::state(machine.phase).1,
    }
}

/// What is being paid for now.
fn billing(machine: &Machine) -> &'static str {
    let meter = &machine.meter;
    if meter.microusd_per_hour(Rate::Full) > 0 {
        "full"
    } else if meter.is_running() {
        "disk"
    } else {
        "none"
    }
}

/// All machines, in the order in which they were made.
pub fn machines(cloud: &Cloud, world: &World) -> Vec<Value> {
    let mut all: Vec<&Machine> = world.machines.values().collect();
    all.sort_by_key(|machine| (machine.created_ms, &machine.id));
    all.into_iter()
        .map(|machine| view(cloud, machine))
        .collect()
}

fn view(cloud: &Cloud, machine: &Machine) -> Value {
    let instance = machine.instance();
    let proxy = cloud.addresses.proxy;
    let url = machine
        .http_port()
        .map(|port| format!("http://{proxy}/{}-{port}", machine.id));
    json!({
        "vendor": machine.vendor,
        "id": machine.id,
        "name": machine.name,
        "account": machine.account,
        "region": machine.region,
        "zone": instance.map(|instance| &instance.zone),
        "kind": machine.kind,
        "spot": instance.is_some_and(|instance| instance.spot),
        "tags": instance.map(|instance| &instance.tags),
        "state": state(machine),
        "phase": machine.phase,
        "history": machine.history,
        "reason": machine.reason,
        "created_ms": machine.created_ms,
        "started_ms": machine.started_ms,
        "ended_ms": machine.ended_ms,
        "ghost": machine.ghost,
        "billing": billing(machine),
        "gpus": machine.gpus,
        "gpus_present": machine.gpus_present,
        "unhealthy": machine.unhealthy,
        "address": machine.address,
        "url": url,
        "box": {
            "group": machine.process.group,
            "listens": machine.process.listens,
            "boots": machine.process.boots,
            "ended": machine.process.ended,
        },
        "agenda": machine.agenda,
    })
}

/// What everything has cost until now.
pub fn meter(world: &mut World, now: Millis) -> Value {
    let mut all: Vec<&Machine> = world.machines.values().collect();
    all.sort_by_key(|machine| (machine.created_ms, &machine.id));
    let bill = |machine: &Machine| {
        let meter = &machine.meter;
        let stretches: Vec<Value> = meter
            .stretches()
            .iter()
            .map(|stretch| {
                json!({
                    "rate": stretch.rate, "microusd_per_hour": stretch.microusd_per_hour,
                    "from_ms": stretch.from_ms, "to_ms": stretch.to_ms,
                    "minimum_s": stretch.minimum_s, "seconds": stretch.seconds(now),
                })
            })
            .collect();
        json!({
            "vendor": machine.vendor, "id": machine.id, "name": machine.name, "account": machine.account,
            "created_ms": machine.created_ms, "created": clock::rfc3339(machine.created_ms),
            "ended_ms": machine.ended_ms, "state": state(machine), "ghost": machine.ghost,
            "billing": billing(machine),
            "seconds": {"full": meter.seconds(Rate::Full, now), "disk": meter.seconds(Rate::Disk, now)},
            "microusd": meter.microusd(now),
            "stretches": stretches,
        })
    };
    let sum = |vendor: Option<Vendor>| -> u64 {
        let of_it = all.iter().filter(|m| vendor.is_none_or(|v| v == m.vendor));
        of_it.map(|machine| machine.meter.microusd(now)).sum()
    };
    let rate: u64 = all
        .iter()
        .map(|m| m.meter.microusd_per_hour(Rate::Full) + m.meter.microusd_per_hour(Rate::Disk))
        .sum();
    let open = all.iter().filter(|machine| machine.meter.is_running());
    json!({
        "now_ms": now,
        "machines": all.iter().map(|machine| bill(machine)).collect::<Vec<_>>(),
        "totals": {
            "microusd": sum(None), "runpod_microusd": sum(Some(Vendor::Runpod)),
            "aws_microusd": sum(Some(Vendor::Aws)), "machines": all.len(),
            "billing_machines": open.count(), "microusd_per_hour": rate,
        },
    })
}
