//! RunPod's answers in our words.
//!
//! Invariant: of a pod only the fields below are read, so its environment stays where it is; a list that is not
//! understood as a whole is no list, while an odd field of one pod is only that.
//!
//! In scope: answers that are as they should be. Out of scope: errors (`error`), offers (`offers`).

use serde::Deserialize;
use serde_json::value::RawValue;
use tidegate_provider_api::{
    Dollars, EncodeCx, ErrorKind, HttpReply, Machine, Marker, Page, ProviderError, Region, Reply,
    Request, rfc3339,
};

use crate::error::{is_problem, parse_error, unreadable};
use crate::form::{self, DATA_CENTERS, SECURE};
use crate::request::is_pod_id;
use crate::{GLOBAL, object, offers, state};

/// Characters that are kept of a word for a state.
const LONGEST_STATE: usize = 40;

/// Reads the answer.
///
/// # Errors
/// In RunPod's words; what cannot be read after a change leaves open what was done.
pub fn decode(
    cx: &EncodeCx<'_>,
    request: &Request,
    reply: &HttpReply,
) -> Result<Reply, ProviderError> {
    if !(200..300).contains(&reply.status) || is_problem(reply) {
        let error = parse_error(cx, request, reply);
        return match request {
            // The probe is a pod that there is not; to be told so is to be let in.
            Request::Check { permission, .. }
                if permission == form::WRITE_PODS && error.kind == ErrorKind::NotFound =>
            {
                Ok(Reply::Allowed)
            }
            _ => Err(error),
        };
    }
    read(cx, request, &reply.body).ok_or_else(|| unreadable(request, reply))
}

fn read(cx: &EncodeCx<'_>, request: &Request, body: &str) -> Option<Reply> {
    match request {
        Request::Verify => has::<SshKeys>(body).then_some(Reply::Verified { principal: None }),
        Request::Check { permission, .. } => {
            let is_answer = match permission.as_str() {
                form::READ_PODS => has::<Pods<'_>>(body),
                form::READ_CATALOG => has::<DataCenters>(body),
                form::READ_BILLING => has::<Bills<'_>>(body),
                form::WRITE_PODS => body.trim().is_empty(),
                _ => false,
            };
            is_answer.then_some(Reply::Allowed)
        }
        Request::Regions => regions(cx, body),
        Request::Shop(query) => offers::read(cx, query, body).map(Reply::Part),
        Request::Create(_) => Some(Reply::Created {
            machine: Box::new(one(cx, body)?),
        }),
        Request::Get { .. } => Some(Reply::Machine {
            machine: Box::new(one(cx, body)?),
        }),
        Request::List { page, .. } => list(cx, page.as_deref(), body).map(Reply::Machines),
        Request::Stop { .. } | Request::Start { .. } | Request::Destroy { .. } => {
            let machine = match body.trim() {
                "" => None,
                _ => Some(Box::new(one(cx, body)?)),
            };
            Some(Reply::Accepted { machine })
        }
        Request::Bill { id, .. } => bill(id, body),
    }
}

/// Whether the body is of this form, all its required members included.
fn has<'a, T: Deserialize<'a>>(body: &'a str) -> bool {
    object::read::<T>(body).is_some()
}

#[derive(Deserialize)]
struct SshKeys {
    #[serde(rename = "keys")]
    _keys: Vec<serde::de::IgnoredAny>,
}

/// `ListPodsResponse`, with what was added to it since.
#[derive(Deserialize)]
struct Pods<'a> {
    #[serde(borrow)]
    pods: Vec<&'a RawValue>,
    /// Releases before September 2026 have none: everything is on one page.
    #[serde(default)]
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    #[serde(default)]
    next_cursor: Option<String>,
    #[serde(default)]
    has_next_page: Option<bool>,
}

/// What is read of a `Pod`. A field of another form than the API file says is as good as none.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pod<'a> {
    #[serde(default, deserialize_with = "object::lenient")]
    id: Option<String>,
    #[serde(default, deserialize_with = "object::lenient")]
    name: Option<String>,
    #[serde(default, deserialize_with = "object::lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "object::lenient")]
    ports: Option<Vec<String>>,
    #[serde(default, borrow)]
    cost: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "object::lenient")]
    data_center_id: Option<String>,
    #[serde(default, deserialize_with = "object::lenient")]
    gpu: Option<Gpu>,
    #[serde(default, borrow)]
    cpu: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "object::lenient")]
    created_at: Option<String>,
    #[serde(default, deserialize_with = "object::lenient")]
    ssh: Option<Ssh>,
}

#[derive(Deserialize)]
struct Gpu {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    count: Option<u32>,
}

#[derive(Deserialize)]
struct Ssh {
    #[serde(default)]
    direct: Option<Direct>,
}

#[derive(Deserialize)]
struct Direct {
    host: String,
    port: u16,
}

fn one(cx: &EncodeCx<'_>, body: &str) -> Option<Machine> {
    machine(cx, object::read(body)?)
}

fn list(cx: &EncodeCx<'_>, page: Option<&str>, body: &str) -> Option<Page> {
    let Pods { pods, pagination } = object::read(body)?;
    let pods: Vec<Pod<'_>> = pods
        .into_iter()
        .map(|pod| object::read(pod.get()))
        .collect::<Option<_>>()?;
    let is_ours = |pod: &Pod<'_>| pod.name.as_deref().and_then(Marker::parse).is_some();
    let ours = pods.into_iter().filter(is_ours);
    // One of ours without an id would be missing from the list, and what is missing is taken for gone.
    let machines = ours.map(|pod| machine(cx, pod)).collect::<Option<_>>()?;
    let next = match pagination {
        None => None,
        Some(pagination) => match (pagination.has_next_page, pagination.next_cursor) {
            (Some(false), _) | (None, None) => None,
            // Without the next page the list would never be complete.
            (Some(true), None) => return None,
            (_, Some(next)) => Some(next),
        },
    };
    // A page that is followed by itself would never end.
    let ends = next.is_none() || next.as_deref() != page;
    ends.then_some(Page { machines, next })
}

fn machine(cx: &EncodeCx<'_>, pod: Pod<'_>) -> Option<Machine> {
    // The id becomes part of URLs.
    let id = pod.id.filter(|id| is_pod_id(id))?;
    let status = pod.status.unwrap_or_default();
    let state = state::read(&status);
    let gpu_count = match (&pod.gpu, pod.cpu) {
        (Some(gpu), _) => gpu.count,
        // "Present for CPU pods": started again on a host whose GPUs were let to others.
        (None, Some(_)) => Some(0),
        (None, None) => None,
    };
    let direct = pod.ssh.and_then(|ssh| ssh.direct);
    Some(Machine {
        endpoint: endpoint(cx, &id, pod.ports.as_deref().unwrap_or_default()),
        id,
        marker: pod.name.as_deref().and_then(Marker::parse),
        state: state.state,
        raw_state: status.chars().take(LONGEST_STATE).collect(),
        reason: state.reason,
        region: pod
            .data_center_id
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| GLOBAL.to_owned()),
        zone: None,
        machine_type: pod.gpu.and_then(|gpu| gpu.id),
        gpu_count,
        microusd_per_hour: pod.cost.and_then(rate),
        billing: state.billing,
        billed_from_ms: pod.created_at.as_deref().and_then(rfc3339::parse),
        billed_until_ms: None,
        address: direct.map(|Direct { host, port }| format!("{host}:{port}")),
    })
}

/// `cost`, in USD an hour. Zero is what RunPod says of a stopped pod, whose volume costs all the same, so zero
/// says nothing.
fn rate(cost: &RawValue) -> Option<u64> {
    let rate = Dollars::parse(cost.get())?.microusd();
    (rate > 0).then_some(rate)
}

/// Where the first HTTP port of a pod is reached; known from the moment that the pod is.
fn endpoint(cx: &EncodeCx<'_>, id: &str, ports: &[String]) -> Option<String> {
    let mut http = ports.iter().filter_map(|port| port.strip_suffix("/http"));
    let port: u16 = http.next()?.parse().ok()?;
    Some(match &cx.origins.endpoint {
        Some(template) => template
            .replace("{id}", id)
            .replace("{port}", &port.to_string()),
        None => format!("https://{id}-{port}.proxy.runpod.net"),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataCenters {
    data_centers: Vec<DataCenter>,
}

#[derive(Deserialize)]
struct DataCenter {
    id: String,
    #[serde(default)]
    name: String,
}

/// Every data centre, and before them the region of offers that name none.
fn regions(cx: &EncodeCx<'_>, body: &str) -> Option<Reply> {
    let DataCenters { data_centers } = object::read(body)?;
    let is_secure = form::cloud(cx.settings) == SECURE;
    let chosen = cx.settings.list(DATA_CENTERS);
    let anywhere = Region {
        id: GLOBAL.to_owned(),
        name: "Anywhere".to_owned(),
        enabled: true,
    };
    let data_centers = data_centers
        .into_iter()
        .map(|DataCenter { id, name }| Region {
            enabled: is_secure && (chosen.is_empty() || chosen.contains(&id.as_str())),
            name: if name.is_empty() { id.clone() } else { name },
            id,
        });
    Some(Reply::Regions {
        regions: core::iter::once(anywhere).chain(data_centers).collect(),
    })
}

#[derive(Deserialize)]
struct Bills<'a> {
    #[serde(borrow)]
    records: Vec<Bill<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bill<'a> {
    pod_id: String,
    #[serde(borrow)]
    total_amount: &'a RawValue,
}

/// The sum over the pod's own records: RunPod ignores filters that it does not know, and then sends everybody's.
fn bill(id: &str, body: &str) -> Option<Reply> {
    let Bills { records } = object::read(body)?;
    let of_pod = records.iter().filter(|record| record.pod_id == id);
    let amounts: Vec<Dollars> = of_pod
        .map(|record| Dollars::parse(record.total_amount.get()))
        .collect::<Option<_>>()?;
    let mut sum = Dollars::default();
    for amount in &amounts {
        sum += *amount;
    }
    Some(Reply::Bill {
        microusd: (!amounts.is_empty()).then(|| sum.microusd()),
    })
}
