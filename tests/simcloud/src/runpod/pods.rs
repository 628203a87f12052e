//! Pods as RunPod tells of them, and the process that stands for their container.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::boxes::{self, Launch};
use crate::clock::{self, Millis};
use crate::cloud::Cloud;
use crate::fault::Fault;
use crate::faults::Applied;
use crate::machine::{Machine, Phase};
use crate::runpod::catalog::usd;
use crate::runpod::schema;

/// What only RunPod knows of a machine.
#[derive(Debug, Clone)]
pub struct Pod {
    /// The container's image.
    pub image: String,
    /// Arguments of its entrypoint.
    pub args: String,
    /// In exec form, when that was given.
    pub entrypoint: Option<Vec<String>>,
    /// In exec form, when that was given.
    pub cmd: Option<Vec<String>>,
    /// Container disk in GB.
    pub disk: u64,
    /// The container's variables; told in the clear.
    pub env: BTreeMap<String, String>,
    /// Such as `8000/http`.
    pub ports: Vec<String>,
    /// Registry credential.
    pub registry: Option<String>,
    /// `SECURE` or `COMMUNITY`.
    pub cloud: String,
    /// The host's CUDA version.
    pub cuda: Option<String>,
    /// As it was asked for.
    pub mounts: Value,
    /// It may not be stopped.
    pub locked: bool,
    /// It has a private address.
    pub global_networking: bool,
    /// The key that its container is given.
    pub key: String,
}

impl Pod {
    /// Ports of one protocol.
    fn ports(&self, protocol: &str) -> impl Iterator<Item = u16> {
        self.ports.iter().filter_map(move |port| {
            let (number, of) = port.split_once('/')?;
            (of == protocol).then(|| number.parse().ok())?
        })
    }

    /// The first port for HTTP: the one that the box listens on.
    pub fn http_port(&self) -> Option<u16> {
        self.ports("http").next()
    }

    /// Whether the proxy knows this port.
    pub fn serves_http_on(&self, port: u16) -> bool {
        self.ports("http").any(|known| known == port)
    }

    /// GB of the disk that outlives a stop.
    pub fn persistent_gb(&self) -> u64 {
        let size = schema::whole(&self.mounts["persistent"]["size"]);
        size.and_then(|gb| u64::try_from(gb).ok()).unwrap_or(0)
    }
}

/// RunPod's word for a phase.
pub fn status(phase: Phase) -> &'static str {
    match phase {
        Phase::Provisioning => "PROVISIONING",
        Phase::Starting => "STARTING",
        Phase::Running | Phase::Stopping | Phase::Terminating => "RUNNING",
        Phase::Stopped => "EXITED",
        Phase::Failed => "ERROR",
        Phase::Terminated => "TERMINATED",
    }
}

/// What may be done in a phase.
pub fn actions(phase: Phase) -> &'static [&'static str] {
    match phase {
        Phase::Provisioning | Phase::Starting => &["stop", "terminate"],
        Phase::Running | Phase::Stopping | Phase::Terminating => &["stop", "restart", "terminate"],
        Phase::Stopped | Phase::Failed => &["start", "terminate"],
        Phase::Terminated => &[],
    }
}

/// A pod as it is told of, in the phase that it had then.
pub fn view(machine: &Machine, pod: &Pod, phase: Phase, now: Millis, applied: &Applied) -> Value {
    let is_running = phase == Phase::Running;
    let is_paid = !matches!(phase, Phase::Stopped | Phase::Terminated);
    let cost = if is_paid {
        usd(machine.prices.full_microusd_per_hour)
    } else {
        0.0
    };
    let odd = applied.find(|fault| match fault {
        Fault::WrongState { word } => Some(word.clone()),
        _ => None,
    });
    let started = machine.started_ms.map(clock::rfc3339);
    let gpus = if matches!(phase, Phase::Provisioning) {
        machine.gpus
    } else {
        machine.gpus_present
    };
    let mut view = json!({
        "id": machine.id,
        "name": machine.name,
        "image": pod.image,
        "args": pod.args,
        "disk": pod.disk,
        "ports": pod.ports,
        "env": pod.env,
        "registry": pod.registry,
        "status": odd.unwrap_or_else(|| status(phase).to_owned()),
        "actions": actions(phase),
        "mounts": pod.mounts,
        "gpu": {"id": machine.kind, "count": gpus},
        "cloud": pod.cloud,
        "dataCenterId": if pod.cloud == "COMMUNITY" { None } else { Some(&machine.region) },
        "cudaVersion": pod.cuda,
        "ssh": {"proxy": ssh_proxy(machine, phase), "direct": null},
        "template": null,
        "cost": cost,
        "locked": pod.locked,
        "globalNetworking": {"enabled": pod.global_networking},
        "runtime": if is_running { runtime(machine, pod, now) } else { Value::Null },
        "createdAt": clock::rfc3339(machine.created_ms),
        "startedAt": started,
    });
    if pod.global_networking {
        view["globalNetworking"]["ip"] = json!("10.8.0.2");
        view["globalNetworking"]["internalDns"] = json!(format!("{}.runpod.internal", machine.id));
    }
    for (name, words) in [("entrypoint", &pod.entrypoint), ("cmd", &pod.cmd)] {
        if let Some(words) = words {
            view[name] = json!(words);
        }
    }
    spoil_cost(&mut view, applied);
    view
}

fn spoil_cost(view: &mut Value, applied: &Applied) {
    use crate::fault::BadPrice;
    let Some(how) = crate::runpod::catalog::bad_price(applied) else {
        return;
    };
    let cost = view["cost"].as_f64().unwrap_or(0.0);
    match how {
        BadPrice::Missing => {
            if let Some(all) = view.as_object_mut() {
                all.remove("cost");
            }
        }
        BadPrice::Null => view["cost"] = Value::Null,
        BadPrice::Negative => view["cost"] = json!(-1.0 - cost),
        BadPrice::Zero => view["cost"] = json!(0.0),
        BadPrice::Text => view["cost"] = json!(cost.to_string()),
    }
}

fn ssh_proxy(machine: &Machine, phase: Phase) -> Value {
    if phase == Phase::Provisioning {
        return Value::Null;
    }
    let user = format!("{}-64411eb2", machine.id);
    json!({"host": "ssh.runpod.io", "port": 22, "username": user, "command": format!("ssh {user}@ssh.runpod.io")})
}

fn runtime(machine: &Machine, pod: &Pod, now: Millis) -> Value {
    let gpus: Vec<Value> = (0..machine.gpus_present)
        .map(|_| json!({"util": 0, "memoryUtil": 0}))
        .collect();
    let port = |port: u16, protocol: &str| json!({"private": port, "public": port, "type": protocol, "ip": machine.address.to_string()});
    let http = pod.ports("http").map(|number| port(number, "http"));
    let ports: Vec<Value> = http
        .chain(pod.ports("tcp").map(|number| port(number, "tcp")))
        .collect();
    let uptime = (now - machine.started_ms.unwrap_or(now)).max(0) / 1000;
    json!({"uptime": uptime, "gpus": gpus, "cpu": {"util": 0}, "memory": {"util": 0}, "ports": ports})
}

/// The process that stands for the container: the box's command with the pod's variables and RunPod's own.
pub fn launch(cloud: &Cloud, machine: &Machine) -> Launch {
    let folder = cloud.folder.clone();
    let path = boxes::safe_path(&folder).unwrap_or_default();
    let mut env = BTreeMap::from([
        (String::from("PATH"), path),
        (String::from("HOME"), folder.to_string_lossy().into_owned()),
        (String::from("LANG"), String::from("C.UTF-8")),
        (String::from("PYTHONDONTWRITEBYTECODE"), String::from("1")),
    ]);
    let mut words = Vec::new();
    let mut opens = None;
    if let Some(pod) = machine.pod() {
        let own = [
            ("RUNPOD_POD_ID", machine.id.clone()),
            ("RUNPOD_DC_ID", machine.region.clone()),
            ("RUNPOD_PUBLIC_IP", machine.address.to_string()),
            ("RUNPOD_GPU_COUNT", machine.gpus_present.to_string()),
            ("RUNPOD_API_KEY", pod.key.clone()),
        ];
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        env.extend(pod.env.clone());
        if let Some(port) = pod.http_port() {
            words = boxes::command(&cloud.options.box_command, machine.address, port);
            opens = Some(machine.socket(port));
        }
    }
    Launch {
        words,
        env,
        folder,
        opens,
    }
}
