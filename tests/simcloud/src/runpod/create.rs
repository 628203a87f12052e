//! `POST /v2/pods` and `PATCH /v2/pods/{id}`. No idempotency: the same name twice is two pods.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::boxes;
use crate::clock::Millis;
use crate::fault::Fault;
use crate::faults::Applied;
use crate::keys::Key;
use crate::machine::{Box, Detail, Machine, Phase, Prices, Twists, Vendor};
use crate::meter::{Meter, disk_rate};
use crate::runpod::catalog::Gpu;
use crate::runpod::errors::{NO_CAPACITY, Problem};
use crate::runpod::pods::Pod;
use crate::runpod::schema;
use crate::world::World;

/// The disk that a pod gets when it asks for none. Not documented for v2; 50 in v1.
const USUAL_DISK_GB: u64 = 50;
/// "Up to 50 environment variables" (Pods, environment variables).
const MOST_VARIABLES: usize = 50;
/// HTTP ports of one pod.
const MOST_HTTP_PORTS: usize = 10;
/// A month of a GB of volume disk (Pods, pricing): running, and stopped.
const VOLUME_MICROUSD: (u64, u64) = (100_000, 200_000);
/// A month of a GB of container disk, which only runs.
const CONTAINER_MICROUSD: u64 = 100_000;
const ID: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Makes a pod, or two where that is what goes wrong; returns their ids, the one to tell of first.
///
/// # Errors
/// 400 for what breaks a rule and for no capacity alike, 402, 404, 422.
pub fn create(
    world: &mut World,
    key: &Key,
    body: &Value,
    now: Millis,
    applied: &Applied,
) -> Result<Vec<String>, Problem> {
    let errors = schema::create(body);
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    if body.get("templateId").is_some() {
        return Err(Problem::not_found("template"));
    }
    cross_check(body)?;
    let Some(count) = schema::whole(&body["gpu"]["count"]) else {
        // Its documented default is 1; in truth the scheduler then matches no machine.
        return Err(Problem::new(400, NO_CAPACITY));
    };
    if applied.has(&Fault::NoCapacity {}) {
        return Err(Problem::new(400, NO_CAPACITY));
    }
    if applied.has(&Fault::NoQuota {}) {
        return Err(Problem::usual(402));
    }
    let copies = if applied.has(&Fault::Duplicate {}) {
        2
    } else {
        1
    };
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let machine = place(world, key, body, count, now, applied)?;
    let mut ids = Vec::new();
    for _ in 0..copies {
        let mut machine = machine.clone();
        machine.id = world.random.text(ID, 14);
        machine.address = boxes::fresh_address();
        if let Detail::Pod(pod) = &mut machine.detail {
            pod.key = format!("rpa_{}", world.random.text(ID, 42).to_uppercase());
            world.keys.put(Key {
                vendor: Vendor::Runpod,
                id: pod.key.clone(),
                secret: None,
                session_token: None,
                account: key.account.clone(),
                denies: Vec::new(),
                expired: false,
                pod: Some(machine.id.clone()),
            });
        }
        ids.push(machine.id.clone());
        world.add(machine);
    }
    Ok(ids)
}

/// The rules that the document states in words.
fn cross_check(body: &Value) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::new(400, detail));
    match (body.get("gpu").is_some(), body.get("cpu").is_some()) {
        (true, true) | (false, false) => return refuse("exactly one of gpu or cpu must be set"),
        (false, true) => return refuse("CPU pods are not simulated"),
        (true, false) => {}
    }
    let gpu = &body["gpu"];
    let allowed = gpu["allowedCudaVersions"].as_array();
    if gpu.get("minCudaVersion").is_some() && allowed.is_some_and(|all| !all.is_empty()) {
        return refuse("minCudaVersion and allowedCudaVersions are mutually exclusive");
    }
    let mounts = &body["mounts"];
    if mounts.get("persistent").is_some() && mounts.get("network").is_some() {
        return refuse("mounts.persistent and mounts.network are mutually exclusive");
    }
    if mounts.get("network").is_some() {
        return refuse("network volume not found");
    }
    container_check(body)
}

fn container_check(body: &Value) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::new(400, detail));
    if body["env"]
        .as_object()
        .is_some_and(|env| env.len() > MOST_VARIABLES)
    {
        return refuse("env must not have more than 50 variables");
    }
    let ports = texts(&body["ports"]);
    if let Some(port) = ports.iter().find(|port| !is_port(port)) {
        return refuse(&format!("invalid port: {port}"));
    }
    if ports.iter().filter(|port| port.ends_with("/http")).count() > MOST_HTTP_PORTS {
        return refuse("at most 10 http ports may be exposed");
    }
    let cmd = texts(&body["cmd"]).join(" ");
    if body["args"]
        .as_str()
        .is_some_and(|args| body.get("cmd").is_some() && args != cmd)
    {
        return refuse("args and cmd contradict each other");
    }
    Ok(())
}

/// `8000/http`, `22/tcp`; above 70000 a TCP port asks for the same number outside.
fn is_port(text: &str) -> bool {
    let Some((number, protocol)) = text.split_once('/') else {
        return false;
    };
    match (number.parse::<u32>(), protocol) {
        (Ok(number), "http") => (1..=65_535).contains(&number),
        (Ok(number), "tcp") => (1..=65_535).contains(&number) || number > 70_000,
        _ => false,
    }
}

/// A pod on the first host that fits.
fn place(
    world: &World,
    key: &Key,
    body: &Value,
    count: u32,
    now: Millis,
    applied: &Applied,
) -> Result<Machine, Problem> {
    let none = || Problem::new(400, NO_CAPACITY);
    let wanted = body["gpu"]["id"].as_str().unwrap_or_default();
    let gpu = world.gpus.find(wanted);
    let gpu = gpu.ok_or_else(|| Problem::new(400, &format!("unknown GPU type: {wanted}")))?;
    let cloud = body["cloud"].as_str().unwrap_or("SECURE");
    let price = gpu.price(cloud == "COMMUNITY").ok_or_else(none)?;
    if count > gpu.most {
        return Err(none());
    }
    let wished = texts(&body["dataCenterIds"]);
    let region = gpu.place(&wished).ok_or_else(none)?.to_owned();
    let cuda = host_cuda(gpu, &body["gpu"]).ok_or_else(none)?;
    let pod = pod(body, cloud, cuda);
    let volume = pod.persistent_gb();
    let prices = Prices {
        full_microusd_per_hour: price * u64::from(count),
        beside_microusd_per_hour: if world.settings.machines_alone {
            0
        } else {
            disk_rate(volume, VOLUME_MICROUSD.0) + disk_rate(pod.disk, CONTAINER_MICROUSD)
        },
        disk_stopped_microusd_per_hour: disk_rate(volume, VOLUME_MICROUSD.1),
        minimum_s: 0,
    };
    let twists = twists(applied);
    Ok(Machine {
        id: String::new(),
        vendor: Vendor::Runpod,
        account: key.account.clone(),
        name: body["name"].as_str().unwrap_or_default().to_owned(),
        region,
        kind: gpu.id.clone(),
        gpus: count,
        gpus_present: twists.gpus.unwrap_or(count),
        created_ms: now,
        started_ms: None,
        ended_ms: None,
        phase: Phase::Provisioning,
        history: Vec::new(),
        reason: None,
        meter: Meter::default(),
        prices,
        twists,
        agenda: Vec::new(),
        boot: 0,
        process: Box::default(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        unhealthy: false,
        ghost: false,
        notice_ms: None,
        detail: Detail::Pod(pod),
    })
}

/// What goes wrong with a machine from its beginning.
pub fn twists(applied: &Applied) -> Twists {
    let mut twists = Twists::default();
    for fault in applied.all() {
        match fault {
            Fault::NeverBoots { at } => twists.never_boots = Some(*at),
            Fault::SlowBoot { ms } => twists.slower_ms = i64::from(*ms),
            Fault::BootFails { reason } => twists.fails = Some(reason.clone()),
            Fault::Gpus { count } => twists.gpus = Some(*count),
            _ => {}
        }
    }
    twists
}

/// The CUDA version of a host that fits; hosts that are not NVIDIA's have none.
fn host_cuda(gpu: &Gpu, wish: &Value) -> Option<Option<String>> {
    let allowed = texts(&wish["allowedCudaVersions"]);
    let least = wish["minCudaVersion"].as_str().and_then(schema::version);
    if allowed.is_empty() && least.is_none() {
        return Some(gpu.cuda.first().map(|version| (*version).to_owned()));
    }
    let fits = |version: &&&str| {
        (allowed.is_empty() || allowed.iter().any(|wanted| wanted == **version))
            && least.is_none_or(|least| schema::version(version).is_some_and(|v| v >= least))
    };
    let host = gpu.cuda.iter().find(fits)?;
    Some(Some((*host).to_owned()))
}

fn pod(body: &Value, cloud: &str, cuda: Option<String>) -> Pod {
    let listed = |name: &str| body.get(name).map(texts);
    let cmd = listed("cmd");
    let args = body["args"].as_str().map(str::to_owned);
    Pod {
        image: body["image"].as_str().unwrap_or_default().to_owned(),
        args: args
            .or_else(|| cmd.as_ref().map(|cmd| cmd.join(" ")))
            .unwrap_or_default(),
        entrypoint: listed("entrypoint"),
        cmd,
        disk: schema::whole(&body["disk"])
            .and_then(|gb| u64::try_from(gb).ok())
            .unwrap_or(USUAL_DISK_GB),
        env: variables(&body["env"]),
        ports: texts(&body["ports"]),
        registry: body["registry"].as_str().map(str::to_owned),
        cloud: cloud.to_owned(),
        cuda,
        mounts: body.get("mounts").cloned().unwrap_or_else(|| json!({})),
        locked: false,
        global_networking: body["globalNetworking"] == json!(true),
        key: String::new(),
    }
}

/// Changes a pod. A container that runs begins again when what it was made from has changed.
///
/// # Errors
/// 400, 404 and 422 as for a create.
pub fn update(world: &mut World, id: &str, body: &Value, now: Millis) -> Result<(), Problem> {
    let errors = schema::update(body);
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    if body.get("templateId").is_some() {
        return Err(Problem::not_found("template"));
    }
    container_check(body)?;
    if body
        .get("mounts")
        .is_some_and(|mounts| *mounts != json!({}))
    {
        return Err(Problem::new(400, "changing mounts is not simulated"));
    }
    let machine = world.machines.get_mut(id);
    let machine = machine.ok_or_else(|| Problem::not_found("pod"))?;
    if let Some(name) = body["name"].as_str() {
        machine.name = name.to_owned();
    }
    let is_running = matches!(machine.phase, Phase::Starting | Phase::Running);
    let Detail::Pod(pod) = &mut machine.detail else {
        return Err(Problem::not_found("pod"));
    };
    if let Some(locked) = body["locked"].as_bool() {
        pod.locked = locked;
    }
    if let Some(enabled) = body["globalNetworking"].as_bool() {
        pod.global_networking = enabled;
    }
    if body.get("registry").is_some() {
        pod.registry = body["registry"].as_str().map(str::to_owned);
    }
    let container = ["image", "args", "entrypoint", "cmd", "disk", "env", "ports"];
    if container.iter().all(|name| body.get(*name).is_none()) {
        return Ok(());
    }
    let mut merged = json!({
        "image": pod.image, "args": pod.args, "disk": pod.disk, "env": pod.env, "ports": pod.ports,
    });
    for name in container {
        if let Some(value) = body.get(name) {
            merged[name] = value.clone();
        }
    }
    let changed = self::pod(&merged, &pod.cloud, pod.cuda.clone());
    *pod = Pod {
        registry: pod.registry.clone(),
        mounts: pod.mounts.clone(),
        locked: pod.locked,
        global_networking: pod.global_networking,
        key: pod.key.clone(),
        ..changed
    };
    if is_running {
        world.restart(id, now);
    }
    Ok(())
}

fn texts(value: &Value) -> Vec<String> {
    let values = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    values.iter().filter_map(text).collect()
}

fn variables(value: &Value) -> BTreeMap<String, String> {
    let Some(all) = value.as_object() else {
        return BTreeMap::new();
    };
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    all.iter().filter_map(text).collect()
}
