//! RunPod's REST API v2.
//!
//! A call is met in this order: its size (413), the faults that answer in its place, its key (401), its account's
//! budget of calls (429), what its key may do (403), and then what it asks for.

use std::io;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::{Value, json};

use crate::clock::{self, Millis};
use crate::cloud::Cloud;
use crate::faults::{Applied, Call};
use crate::http::{self, Answer, Asked, Body, Outcome};
use crate::journal::Entry;
use crate::keys::Key;
use crate::machine::Vendor;
use crate::misbehave;
use crate::operation::Op;
use crate::world::World;

pub mod auth;
pub mod billing;
pub mod catalog;
pub mod create;
pub mod errors;
pub mod lifecycle;
pub mod listing;
pub mod pods;
pub mod schema;

use errors::Problem;

/// "Size limit": of a body, before its key is looked at.
const MOST_BYTES: usize = 102_400;

/// What a call is about.
#[derive(Debug, Clone)]
struct Target {
    operation: &'static str,
    op: Op,
    /// The id in the path, decoded.
    id: Option<String>,
    body: Value,
}

/// Answers one request.
///
/// # Errors
/// Closes the connection where that is what a fault wants, or the client has left.
pub async fn serve(cloud: Arc<Cloud>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let asked = http::read(request).await?;
    let (outcome, delay) = cloud.with(|world, now| meet(world, &asked, now));
    cloud.changed.notify_waiters();
    tokio::time::sleep(delay).await;
    let date = clock::in_date_header(cloud.clock.signing_now());
    http::write(misbehave::dated(outcome, &date)).await
}

fn meet(world: &mut World, asked: &Asked, now: Millis) -> (Outcome, std::time::Duration) {
    let target = route(asked);
    let key = auth::key(world, asked);
    let account = key.as_ref().ok().map(|key| key.account.clone());
    let mut call = Call {
        operation: String::from("unknown"),
        op: Some(Op::Other),
        account: account.clone(),
        ..Call::default()
    };
    let mut name = None;
    if let Ok(target) = &target {
        call.operation = target.operation.to_owned();
        call.op = Some(target.op);
        let known = target.id.as_ref().and_then(|id| world.machines.get(id));
        name = known.map(|machine| machine.name.clone());
        if target.op == Op::Create {
            name = target.body["name"].as_str().map(str::to_owned);
        }
        call.machines = target.id.iter().chain(&name).cloned().collect();
    }
    let applied = world.faults.take(Vendor::Runpod, &call, now);
    let mut machines: Vec<String> = target
        .iter()
        .filter_map(|target| target.id.clone())
        .collect();
    let answer = misbehave::instead(&applied, &usual).unwrap_or_else(|| {
        let done = match (asked.body.len() > MOST_BYTES, &target) {
            (true, _) => Err(Problem::usual(413)),
            (false, target) => perform(world, asked, target, key, now, &applied, &mut machines),
        };
        done.unwrap_or_else(|problem| problem.answer())
    });
    let error = (answer.status >= 400).then(|| detail(&answer));
    let meant = answer.status;
    let (outcome, delay) = misbehave::afterwards(answer, &applied, &usual);
    let (status, answered) = misbehave::told(&outcome, meant);
    world.journal.note(Entry {
        id: 0,
        at_ms: now,
        wall_ms: clock::wall(),
        vendor: Vendor::Runpod,
        operation: call.operation,
        kind: call.op.map_or("other", Op::name),
        request: format!("{} {}", asked.method, asked.path),
        account,
        region: None,
        machines,
        name,
        status,
        error,
        faults: applied.names(),
        answered,
    });
    (outcome, delay)
}

fn usual(status: u16) -> Answer {
    Problem::usual(status).answer()
}

fn detail(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let errors = body["errors"]
        .as_array()
        .map(|all| format!(" {}", json!(all)));
    format!(
        "{}{}",
        body["detail"].as_str().unwrap_or_default(),
        errors.unwrap_or_default()
    )
}

/// Method, path without `{id}`, operation and what it comes to.
const ROUTES: [(&str, &str, &str, Op); 14] = [
    ("GET", "/v2/account/ssh-keys", "getSshKeys", Op::Verify),
    ("PUT", "/v2/account/ssh-keys", "updateSshKeys", Op::Change),
    ("GET", "/v2/pods", "listPods", Op::List),
    ("POST", "/v2/pods", "createPod", Op::Create),
    ("GET", "/v2/pods/{id}", "getPod", Op::Get),
    ("PATCH", "/v2/pods/{id}", "updatePod", Op::Change),
    ("DELETE", "/v2/pods/{id}", "deletePod", Op::Destroy),
    ("POST", "/v2/pods/{id}/action", "podAction", Op::Change),
    ("GET", "/v2/catalog/gpus", "listGpuTypes", Op::Shop),
    ("GET", "/v2/catalog/gpus/{id}", "getGpuType", Op::Shop),
    (
        "GET",
        "/v2/catalog/datacenters",
        "listDataCenters",
        Op::Regions,
    ),
    ("GET", "/v2/billing/pods", "listPodBilling", Op::Bill),
    ("GET", "/v2/registries", "listRegistries", Op::Other),
    ("GET", "/v2/templates", "listTemplates", Op::Other),
];

fn route(asked: &Asked) -> Result<Target, Answer> {
    let (shape, id) = shape(&asked.path);
    let known: Vec<_> = ROUTES.iter().filter(|route| route.1 == shape).collect();
    let found = known.iter().find(|route| route.0 == asked.method);
    let Some((_, _, operation, op)) = found else {
        if known.is_empty() {
            return Err(Problem::usual(404).answer());
        }
        let allow: Vec<_> = known.iter().map(|route| route.0).collect();
        let refused = Problem::new(405, "The requested method is not allowed for this path.");
        return Err(refused.answer().with("Allow", &allow.join(", ")));
    };
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let op = match body["action"].as_str() {
        Some("start") if *operation == "podAction" => Op::Start,
        Some("stop") if *operation == "podAction" => Op::Stop,
        Some("terminate") if *operation == "podAction" => Op::Destroy,
        _ => *op,
    };
    Ok(Target {
        operation,
        op,
        id,
        body,
    })
}

/// A path with its id taken out.
fn shape(path: &str) -> (String, Option<String>) {
    for (before, after) in [
        ("/v2/pods/", "/action"),
        ("/v2/pods/", ""),
        ("/v2/catalog/gpus/", ""),
    ] {
        let inner = path
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after));
        if let Some(id) = inner.filter(|id| !id.is_empty() && !id.contains('/')) {
            return (format!("{before}{{id}}{after}"), Some(decoded(id)));
        }
    }
    (path.to_owned(), None)
}

fn decoded(text: &str) -> String {
    let as_query = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(as_query.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

fn perform(
    world: &mut World,
    asked: &Asked,
    target: &Result<Target, Answer>,
    key: Result<Key, Problem>,
    now: Millis,
    applied: &Applied,
    machines: &mut Vec<String>,
) -> Result<Answer, Problem> {
    let key = key?;
    let (left, refused) = auth::count(world, &key, now);
    if let Some((problem, seconds)) = refused {
        let answer = problem.answer().with("Retry-After", &seconds.to_string());
        return Ok(auth::with_left(answer, &left));
    }
    let done = match target {
        Err(answer) => Ok(answer.clone()),
        Ok(target) => auth::allow(&key, target.operation, target.op, target.id.as_deref())
            .and_then(|()| act(world, asked, target, &key, now, applied, machines)),
    };
    let answer = done.unwrap_or_else(|problem| problem.answer());
    Ok(auth::with_left(answer, &left))
}

fn act(
    world: &mut World,
    asked: &Asked,
    target: &Target,
    key: &Key,
    now: Millis,
    applied: &Applied,
    machines: &mut Vec<String>,
) -> Result<Answer, Problem> {
    let id = target.id.as_deref().unwrap_or_default();
    let has_body = matches!(asked.method.as_str(), "POST" | "PUT" | "PATCH");
    if has_body && serde_json::from_slice::<Value>(&asked.body).is_err() {
        return Err(Problem::new(400, "request body is not valid JSON"));
    }
    let ok = |body: Value| Answer::json(200, &body);
    match target.operation {
        "getSshKeys" => Ok(ok(
            json!({"keys": world.ssh_keys.get(&key.account).cloned().unwrap_or_default()}),
        )),
        "updateSshKeys" => {
            let errors = schema::ssh_keys(&target.body);
            if !errors.is_empty() {
                return Err(Problem::invalid(errors));
            }
            let keys: Vec<String> =
                serde_json::from_value(target.body["keys"].clone()).unwrap_or_default();
            world.ssh_keys.insert(key.account.clone(), keys.clone());
            Ok(ok(json!({ "keys": keys })))
        }
        "listPods" => listing::list(world, key, asked, now, applied).map(ok),
        "createPod" => {
            *machines = create::create(world, key, &target.body, now, applied)?;
            let first = machines.first().cloned().unwrap_or_default();
            Ok(Answer::json(
                201,
                &listing::one(world, key, &first, now, applied)?,
            ))
        }
        "getPod" => listing::one(world, key, id, now, applied).map(ok),
        "updatePod" => {
            listing::find(world, key, id)?;
            create::update(world, id, &target.body, now)?;
            listing::one(world, key, id, now, applied).map(ok)
        }
        "deletePod" => lifecycle::terminate(world, key, id, now, applied),
        "podAction" => lifecycle::act(world, key, id, &target.body, now, applied),
        "listGpuTypes" => world.gpus.list(asked, applied).map(ok),
        "getGpuType" => world.gpus.one(id, asked, applied).map(ok),
        "listDataCenters" => world.gpus.data_centers(asked).map(ok),
        "listPodBilling" => billing::list(world, key, asked, now, applied).map(ok),
        "listRegistries" => Ok(ok(json!({"registries": []}))),
        _ => Ok(ok(json!({"templates": []}))),
    }
}
