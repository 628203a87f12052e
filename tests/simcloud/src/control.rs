//! Orders, and what there is to know: JSON over `/control`. The README beside the crate lists the requests.
//!
//! Invariant: an order that is not understood changes nothing and is answered 400 with the reason.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::boxes;
use crate::cloud::Cloud;
use crate::faults::Rule;
use crate::http::{self, Answer, Asked, Body, Outcome};
use crate::inspect;
use crate::keys::{Key, Keys};
use crate::machine::{Step, Vendor};
use crate::runpod::catalog::is_level;
use crate::world::{World, because};

/// Longest wait for something to change.
const MOST_WAIT_MS: u64 = 60_000;

/// What became of an order.
type Done = Result<Value, String>;

/// Answers one request.
///
/// # Errors
/// When the client leaves.
pub async fn serve(cloud: Arc<Cloud>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let asked = http::read(request).await?;
    let answer = match answer(&cloud, &asked).await {
        None => Answer::json(404, &json!({"error": "there is no such control request"})),
        Some(Ok(Value::String(text))) => Answer::text(200, "text/plain; charset=utf-8", text),
        Some(Ok(value)) => Answer::json(200, &value),
        Some(Err(problem)) => Answer::json(400, &json!({ "error": problem })),
    };
    http::write(Outcome::Answered(answer)).await
}

async fn answer(cloud: &Arc<Cloud>, asked: &Asked) -> Option<Done> {
    let path = asked.path.strip_prefix("/control/")?;
    let parts: Vec<&str> = path.split('/').collect();
    let done = match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["info"]) => Ok(cloud.hello()),
        ("GET", ["clock"]) => Ok(clock(cloud)),
        ("POST", ["clock"]) => read(asked).map(|order| set_clock(cloud, &order)),
        ("GET", ["meter"]) => Ok(cloud.with(inspect::meter)),
        ("GET", ["machines"]) => machines(cloud, asked).await,
        ("GET", ["machines", id, "log"]) => log(cloud, id),
        ("POST", ["machines", id, action]) => happen(cloud, id, action, asked),
        ("GET", ["journal"]) => journal(cloud, asked).await,
        ("GET", ["faults"]) => Ok(cloud.with(|world, _| json!({"faults": world.faults.all()}))),
        ("POST", ["faults"]) => read(asked).map(|rule: Rule| {
            let id = cloud.with(|world, now| world.faults.arm(rule, now));
            json!({ "id": id })
        }),
        ("DELETE", ["faults"]) => Ok(disarm(cloud, None)),
        ("DELETE", ["faults", id]) => match id.parse() {
            Ok(id) => Ok(disarm(cloud, Some(id))),
            Err(_) => Err(format!("{id} is no fault's id")),
        },
        ("POST", ["keys"]) => read(asked).map(|key: Key| {
            cloud.with(|world, _| world.keys.put(key));
            json!({})
        }),
        ("DELETE", ["keys", vendor, id]) => vendor_named(vendor).map(|vendor| {
            cloud.with(|world, _| world.keys.remove(vendor, id));
            json!({})
        }),
        ("GET", ["settings"]) => Ok(cloud.with(|world, _| json!(world.settings))),
        ("POST", ["settings"]) => read(asked).and_then(|changes| set(cloud, &changes)),
        ("POST", ["stock"]) => {
            read(asked).and_then(|order| cloud.with(|world, _| stock(world, &order)))
        }
        ("POST", ["guests", id, "shutdown"]) => {
            read(asked).and_then(|order| shutdown(cloud, id, &order))
        }
        ("POST", ["reset"]) => Ok(reset(cloud)),
        _ => return None,
    };
    if asked.method != "GET" {
        cloud.changed.notify_waiters();
    }
    Some(done)
}

fn read<T: DeserializeOwned>(asked: &Asked) -> Result<T, String> {
    let body: &[u8] = if asked.body.is_empty() {
        b"{}"
    } else {
        &asked.body
    };
    serde_json::from_slice(body)
        .map_err(|problem| format!("the order was not understood and changes nothing: {problem}"))
}

fn vendor_named(name: &str) -> Result<Vendor, String> {
    serde_json::from_value(json!(name)).map_err(|_| format!("there is no vendor {name}"))
}

/// Body of `POST /control/clock`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SetClock {
    advance_ms: u32,
    skew_ms: Option<i64>,
}

fn clock(cloud: &Arc<Cloud>) -> Value {
    let clock = &cloud.clock;
    json!({"now_ms": clock.now(), "ahead_ms": clock.ahead_ms(), "skew_ms": clock.skew_ms()})
}

fn set_clock(cloud: &Arc<Cloud>, order: &SetClock) -> Value {
    if let Some(skew_ms) = order.skew_ms {
        cloud.clock.set_skew(skew_ms);
    }
    cloud.advance(order.advance_ms);
    clock(cloud)
}

fn disarm(cloud: &Arc<Cloud>, id: Option<u64>) -> Value {
    cloud.with(|world, _| world.faults.disarm(id));
    json!({})
}

fn set(cloud: &Arc<Cloud>, changes: &Value) -> Done {
    cloud.with(|world, _| {
        world.settings = world.settings.with(changes)?;
        Ok(json!(world.settings))
    })
}

/// Everything as at the beginning, but for the clock: time does not go back.
fn reset(cloud: &Arc<Cloud>) -> Value {
    cloud.with(|world, _| {
        world.kill_all();
        world.machines.clear();
        world.faults.disarm(None);
        world.journal.clear();
        world.settings = cloud.options.settings.clone();
        world.keys = Keys::new(cloud.options.keys.clone());
        world.gpus = Default::default();
        world.types = Default::default();
        world.tokens.clear();
        world.ssh_keys.clear();
    });
    cloud.clock.set_skew(0);
    json!({})
}

/// Body of `POST /control/stock`: what there is of a kind in a place, and what it costs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stock {
    vendor: Vendor,
    kind: String,
    #[serde(default)]
    place: Option<String>,
    #[serde(default)]
    level: Option<String>,
    #[serde(default)]
    microusd_per_hour: Option<u64>,
    #[serde(default)]
    other_microusd_per_hour: Option<u64>,
}

fn stock(world: &mut World, order: &Stock) -> Done {
    if let Some(level) = order.level.as_deref().filter(|level| !is_level(level)) {
        return Err(format!("{level} is none of NONE, LOW, MEDIUM, HIGH"));
    }
    if order.level.is_some() != order.place.is_some() {
        return Err(String::from("a level is of a place"));
    }
    let unknown = || format!("{} is not on offer", order.kind);
    match order.vendor {
        Vendor::Runpod => {
            let gpu = world.gpus.gpus.iter_mut().find(|gpu| gpu.id == order.kind);
            let gpu = gpu.ok_or_else(unknown)?;
            if let (Some(place), Some(level)) = (&order.place, &order.level) {
                gpu.stock.retain(|(known, _)| known != place);
                gpu.stock.push((place.clone(), level.clone()));
                gpu.stock.sort();
            }
            gpu.secure_microusd = order.microusd_per_hour.unwrap_or(gpu.secure_microusd);
            gpu.community_microusd = order
                .other_microusd_per_hour
                .unwrap_or(gpu.community_microusd);
        }
        Vendor::Aws => {
            let kind = world.types.find_mut(&order.kind).ok_or_else(unknown)?;
            if let (Some(place), Some(level)) = (&order.place, &order.level) {
                kind.empty_zones.remove(place);
                if level == "NONE" {
                    kind.empty_zones.insert(place.clone());
                }
            }
            kind.microusd = order.microusd_per_hour.unwrap_or(kind.microusd);
            kind.spot_microusd = order.other_microusd_per_hour.unwrap_or(kind.spot_microusd);
        }
    }
    Ok(json!({}))
}

/// Waits until `found` says that there is enough, or until the time that the request gives is over.
async fn wait<T>(cloud: &Arc<Cloud>, asked: &Asked, found: impl Fn() -> (T, bool)) -> (T, bool) {
    let wait_ms = asked.query("wait_ms").and_then(|text| text.parse().ok());
    let wait = Duration::from_millis(wait_ms.unwrap_or(0).min(MOST_WAIT_MS));
    let until = Instant::now() + wait;
    loop {
        // Listening begins before looking, so that a change between the two is not lost.
        let mut changed = std::pin::pin!(cloud.changed.notified());
        changed.as_mut().enable();
        let (value, enough) = found();
        if enough || tokio::time::timeout_at(until, changed).await.is_err() {
            return (value, enough);
        }
    }
}

fn count(asked: &Asked, usual: usize) -> Result<usize, String> {
    match asked.query("count") {
        None => Ok(usual),
        Some(text) => text
            .parse()
            .map_err(|_| format!("{text} is no number of entries")),
    }
}

async fn machines(cloud: &Arc<Cloud>, asked: &Asked) -> Done {
    let least = count(asked, 1)?;
    let wanted = |name: &str| asked.query(name);
    let (vendor, id, name, state) = (
        wanted("vendor"),
        wanted("id"),
        wanted("name"),
        wanted("state"),
    );
    let fits = |view: &Value| {
        let is = |member: &str, wanted: &Option<String>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| view[member] == json!(wanted))
        };
        is("vendor", &vendor)
            && is("id", &id)
            && is("name", &name)
            && (is("phase", &state) || is("state", &state))
    };
    let look = || {
        let (mut all, now) = cloud.with(|world, now| (inspect::machines(cloud, world), now));
        all.retain(&fits);
        let enough = all.len() >= least;
        ((all, now), enough)
    };
    let ((all, now), complete) = wait(cloud, asked, look).await;
    Ok(json!({"now_ms": now, "complete": complete, "machines": all}))
}

async fn journal(cloud: &Arc<Cloud>, asked: &Asked) -> Done {
    let least = count(asked, 0)?;
    let since = asked.query("since").and_then(|text| text.parse().ok());
    let (vendor, operation) = (asked.query("vendor"), asked.query("operation"));
    let look = || {
        cloud.with(|world, now| {
            let fits = |entry: &&crate::journal::Entry| {
                vendor
                    .as_ref()
                    .is_none_or(|v| json!(entry.vendor) == json!(v))
                    && operation
                        .as_ref()
                        .is_none_or(|o| *o == entry.operation || o == entry.kind)
            };
            let entries = world.journal.since(since.unwrap_or(0)).filter(fits);
            let entries: Vec<_> = entries.cloned().collect();
            let enough = entries.len() >= least;
            ((entries, now, world.journal.next()), enough)
        })
    };
    let ((entries, now, next), complete) = wait(cloud, asked, look).await;
    Ok(json!({"now_ms": now, "complete": complete, "next": next, "calls": entries}))
}

fn log(cloud: &Arc<Cloud>, id: &str) -> Done {
    let known = cloud.with(|world, _| world.machines.contains_key(id));
    if !known {
        return Err(format!("there is no machine {id}"));
    }
    let log = std::fs::read(boxes::log_path(&cloud.folder, id)).unwrap_or_default();
    Ok(Value::String(String::from_utf8_lossy(&log).into_owned()))
}

/// Body of `POST /control/machines/{id}/{action}`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Happening {
    notice_ms: u32,
    on: Option<bool>,
    count: Option<u32>,
}

/// Something happens to a machine that nobody asked the API for.
fn happen(cloud: &Arc<Cloud>, id: &str, action: &str, asked: &Asked) -> Done {
    let order: Happening = read(asked)?;
    cloud.with(|world, now| {
        let found = world.machines.values().rev().find(|m| m.is_called(id));
        let id = found.map(|machine| machine.id.clone());
        let id = id.ok_or_else(|| String::from("there is no such machine"))?;
        let by_hand = because(
            "Client.UserInitiatedShutdown",
            "Client.UserInitiatedShutdown: User initiated shutdown",
        );
        match action {
            "stop" => world.stop(&id, now, 0, by_hand),
            "terminate" => world.terminate(&id, now, 0, by_hand),
            "finish" => world.finish(&id, now),
            "preempt" | "crash" | "unhealthy" | "gpus" => {
                if let Some(machine) = world.machines.get_mut(&id) {
                    match action {
                        "preempt" => {
                            let at = now + i64::from(order.notice_ms);
                            machine.notice_ms = Some(at);
                            machine.plan(Step::Preempted, at);
                        }
                        "crash" => boxes::kill(machine.process.group),
                        "unhealthy" => machine.unhealthy = order.on.unwrap_or(true),
                        _ => machine.gpus_present = order.count.unwrap_or(0),
                    }
                }
            }
            _ => return Err(format!("{action} is nothing that happens to a machine")),
        }
        Ok(json!({ "id": id }))
    })
}

/// Body of `POST /control/guests/{id}/shutdown`, which the stand-in for `shutdown` sends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shutdown {
    /// From now, on the cloud's clock; `null` = not at all.
    minutes: Option<u32>,
}

fn shutdown(cloud: &Arc<Cloud>, id: &str, order: &Shutdown) -> Done {
    cloud.with(|world, now| {
        let machine = world.machines.get_mut(id);
        let machine = machine.ok_or_else(|| format!("there is no machine {id}"))?;
        match order.minutes {
            Some(minutes) => machine.plan(Step::Shutdown, now + i64::from(minutes) * 60_000),
            None => machine.drop_plan(Step::Shutdown),
        }
        Ok(json!({}))
    })
}
