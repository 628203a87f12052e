//! Our requests as RunPod's HTTP.
//!
//! Invariant: the same request is the same call, byte for byte; the key is in the `authorization` header and
//! nowhere else; nothing of a request gets into a URL unescaped.
//!
//! In scope: URLs, headers, bodies. Out of scope: what comes back (`reply`), the marker's text.

use std::collections::BTreeMap;

use serde::Serialize;
use tidegate_provider_api::{
    CreateSpec, EncodeCx, ErrorKind, HttpCall, Method, ProviderError, Request, rfc3339,
};

use crate::form::{self, API_KEY, DATA_CENTERS};
use crate::{GLOBAL, offers};

const API: &str = "https://api.runpod.io";

/// RunPod's front refuses the default agents of some HTTP libraries, so it gets one of ours.
const USER_AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"));

/// Pods of one page of a list. Up to 1,000 are allowed; each comes with its whole environment, so a page of
/// these stays below a megabyte.
const PAGE: u32 = 100;

/// An id that no pod has: theirs have no hyphens. Deleting it asks for the right to delete and deletes nothing.
pub const NO_POD: &str = "tidegate-permission-check";

/// Bytes of a body beyond which RunPod answers 413.
const MOST_BYTES: usize = 102_400;

/// Environment variables that a pod may have (docs.runpod.io/pods/templates/environment-variables).
const MOST_VARIABLES: usize = 50;

/// "Upstream enforces a 10 GB floor" on a pod's volume.
pub(crate) const LEAST_VOLUME_GB: u32 = 10;

/// Where a pod's volume is: RunPod's own default. Only what lies below it outlives a stop.
const VOLUME_PATH: &str = "/workspace";

/// Builds the call.
///
/// # Errors
/// `validation` when RunPod cannot be asked for that, `auth` when the credential holds no key.
pub fn encode(cx: &EncodeCx<'_>, request: &Request) -> Result<HttpCall, ProviderError> {
    let refuse = |why: &str| refused(request, why);
    let (method, path, body) = match request {
        Request::Verify => (Method::Get, "/v2/account/ssh-keys".to_owned(), None),
        Request::Check { permission, .. } => {
            let (method, path) =
                probe(permission).ok_or_else(|| refuse("there is no such permission"))?;
            (method, path, None)
        }
        Request::Regions => (Method::Get, "/v2/catalog/datacenters".to_owned(), None),
        Request::Shop(query) => {
            let count = offers::gpu_count(query)
                .ok_or_else(|| refuse("RunPod's catalogue has no such piece"))?;
            let cloud = form::cloud(cx.settings);
            let path = format!(
                "/v2/catalog/gpus?include=AVAILABILITY&product=POD&count={count}&cloud={}",
                escaped(cloud)
            );
            (Method::Get, path, None)
        }
        Request::Create(spec) => {
            let body = create(cx, spec).map_err(|why| refuse(&why))?;
            (Method::Post, "/v2/pods".to_owned(), Some(body))
        }
        Request::Get { id, .. } => (Method::Get, pod(request, id)?, None),
        Request::List { page, .. } => {
            let cursor = page
                .as_ref()
                .map(|page| format!("&cursor={}", escaped(page)));
            let path = format!("/v2/pods?limit={PAGE}{}", cursor.unwrap_or_default());
            (Method::Get, path, None)
        }
        Request::Stop { id, .. } => (Method::Post, action(request, id)?, Some(STOP.to_owned())),
        Request::Start { id, .. } => (Method::Post, action(request, id)?, Some(START.to_owned())),
        Request::Destroy { id, .. } => (Method::Delete, pod(request, id)?, None),
        Request::Bill {
            id,
            since_ms,
            until_ms,
            ..
        } => {
            let path = bill(id, *since_ms, *until_ms)
                .ok_or_else(|| refuse("the period begins or ends outside of the calendar"))?;
            (Method::Get, path, None)
        }
    };
    let key = cx.credential.get(API_KEY).ok_or_else(|| {
        ProviderError::new(
            ErrorKind::Auth,
            request.operation(),
            "the account's credential holds no `api_key`: give it one",
        )
    })?;
    let origin = cx.origins.api.as_deref().unwrap_or(API);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Ok(HttpCall {
        method,
        url: format!("{origin}{path}"),
        headers: vec![
            header("accept", "application/json"),
            header("authorization", &format!("Bearer {key}")),
            header("content-type", "application/json"),
            header("user-agent", USER_AGENT),
        ],
        body,
    })
}

const STOP: &str = r#"{"action":"stop"}"#;
const START: &str = r#"{"action":"start"}"#;

/// The call whose answer tells whether the key may do it.
fn probe(permission: &str) -> Option<(Method, String)> {
    let (method, path) = match permission {
        form::READ_PODS => (Method::Get, "/v2/pods?limit=1".to_owned()),
        form::READ_CATALOG => (Method::Get, "/v2/catalog/datacenters".to_owned()),
        form::READ_BILLING => (
            Method::Get,
            "/v2/billing/pods?bucketSize=day&lastN=1".to_owned(),
        ),
        form::WRITE_PODS => (Method::Delete, format!("/v2/pods/{NO_POD}")),
        _ => return None,
    };
    Some((method, path))
}

fn pod(request: &Request, id: &str) -> Result<String, ProviderError> {
    if is_pod_id(id) {
        Ok(format!("/v2/pods/{id}"))
    } else {
        Err(refused(request, "RunPod's pods have no such ids"))
    }
}

fn action(request: &Request, id: &str) -> Result<String, ProviderError> {
    Ok(format!("{}/action", pod(request, id)?))
}

/// Whether this can be a pod's id: it becomes part of URLs and of a host name.
pub fn is_pod_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&id.len()) && id.bytes().all(is_plain)
}

/// RunPod widens the period to whole buckets. All of a pod's life is wanted, so that does no harm, and days
/// make the fewest records.
fn bill(id: &str, since_ms: i64, until_ms: i64) -> Option<String> {
    const SECOND_MS: i64 = 1000;
    let since = rfc3339::write(since_ms)?;
    // The end is exclusive, and must be behind the beginning.
    let until = rfc3339::write(until_ms.max(since_ms).saturating_add(SECOND_MS))?;
    Some(format!(
        "/v2/billing/pods?bucketSize=day&endTime={}&podId={}&startTime={}",
        escaped(&until),
        escaped(id),
        escaped(&since)
    ))
}

/// `CreatePodRequest` of the API file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatePod<'a> {
    name: &'a str,
    image: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<String>,
    gpu: Gpu<'a>,
    cloud: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    data_center_ids: Vec<String>,
    disk: u32,
    mounts: Mounts,
    ports: Vec<String>,
    env: BTreeMap<&'a str, &'a str>,
}

/// `count` is optional, but without it no machine is ever found.
#[derive(Serialize)]
struct Gpu<'a> {
    id: &'a str,
    count: u32,
}

#[derive(Serialize)]
struct Mounts {
    persistent: Persistent,
}

#[derive(Serialize)]
struct Persistent {
    size: u32,
    path: &'static str,
}

fn create(cx: &EncodeCx<'_>, spec: &CreateSpec) -> Result<String, String> {
    let CreateSpec {
        marker,
        region,
        machine_type,
        gpu_count,
        spot,
        disk_gb,
        runtime,
        ssh_public_key,
        ..
    } = spec;
    let must = [
        (
            !*spot,
            "RunPod's REST v2 rents nothing that may be taken away",
        ),
        (*gpu_count > 0, "a pod needs at least one GPU"),
        (!machine_type.is_empty(), "a pod needs a type of GPU"),
        (!runtime.image.is_empty(), "a pod needs an image"),
        (runtime.port > 0, "a pod needs a port that it serves on"),
        (*disk_gb > 0, "a pod needs a disk"),
    ];
    if let Some((_, why)) = must.iter().find(|(holds, _)| !holds) {
        return Err((*why).to_owned());
    }
    let marker = marker.to_string();
    let ssh = ssh_public_key.as_ref().map(|_| "22/tcp".to_owned());
    let http = format!("{}/http", runtime.port);
    let body = CreatePod {
        name: &marker,
        image: &runtime.image,
        args: args(&runtime.args),
        gpu: Gpu {
            id: machine_type,
            count: *gpu_count,
        },
        cloud: form::cloud(cx.settings),
        data_center_ids: data_centers(cx, region),
        disk: *disk_gb,
        mounts: Mounts {
            persistent: Persistent {
                size: (*disk_gb).max(LEAST_VOLUME_GB),
                path: VOLUME_PATH,
            },
        },
        ports: core::iter::once(http).chain(ssh).collect(),
        env: environment(cx, spec, &marker)?,
    };
    let body =
        serde_json::to_string(&body).map_err(|_| "it cannot be written as JSON".to_owned())?;
    if body.len() > MOST_BYTES {
        return Err(format!(
            "RunPod takes {MOST_BYTES} bytes to create a pod, and this is {}: shorten arguments or environment",
            body.len()
        ));
    }
    Ok(body)
}

/// `args` is one string: words to split, or a JSON object with `cmd`, which is exact. How words are split is
/// not documented to the last quote, so words that any shell would leave alone go as they are and everything
/// else as JSON.
fn args(args: &[String]) -> Option<String> {
    let is_plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte);
    let is_plain = |arg: &String| !arg.is_empty() && arg.bytes().all(is_plain_byte);
    if args.is_empty() {
        None
    } else if args.iter().all(is_plain) {
        Some(args.join(" "))
    } else {
        Some(serde_json::json!({ "cmd": args }).to_string())
    }
}

/// "Preferred" in the API file, but enforced. None where any will do.
fn data_centers(cx: &EncodeCx<'_>, region: &str) -> Vec<String> {
    if region == GLOBAL {
        let chosen = cx.settings.list(DATA_CENTERS);
        chosen.into_iter().map(str::to_owned).collect()
    } else {
        vec![region.to_owned()]
    }
}

/// What the machine gets to see. What Tidegate says overrides what the profile says.
fn environment<'a>(
    cx: &'a EncodeCx<'_>,
    spec: &'a CreateSpec,
    marker: &'a str,
) -> Result<BTreeMap<&'a str, &'a str>, String> {
    let plain = spec.runtime.env.iter();
    let mut env: BTreeMap<&str, &str> = plain
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    for (name, secret) in &cx.secrets.env {
        let value = secret
            .expose_str()
            .ok_or_else(|| format!("the secret variable `{name}` is no text"))?;
        env.insert(name, value);
    }
    let sealed = &spec.runtime.sealed_env;
    if let Some(missing) = sealed
        .iter()
        .find(|each| !cx.secrets.env.contains_key(&each.name))
    {
        return Err(format!(
            "the secret variable `{}` was not opened, and a machine without it would not work",
            missing.name
        ));
    }
    env.insert("TIDEGATE_MARKER", marker);
    if let Some(key) = &spec.ssh_public_key {
        env.insert("PUBLIC_KEY", key);
    }
    if let (Some(callback), Some(token)) = (&spec.callback, &cx.secrets.boot_token) {
        let token = token
            .expose_str()
            .ok_or_else(|| "the boot token is no text".to_owned())?;
        env.insert("TIDEGATE_BOOT_URL", &callback.url);
        env.insert("TIDEGATE_BOOT_TOKEN", token);
    }
    if env.len() > MOST_VARIABLES {
        return Err(format!(
            "RunPod takes {MOST_VARIABLES} environment variables, and these are {}",
            env.len()
        ));
    }
    Ok(env)
}

fn refused(request: &Request, why: &str) -> ProviderError {
    ProviderError::new(ErrorKind::Validation, request.operation(), why)
}

/// Percent-encoded for a query: all but RFC 3986's unreserved characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        assert_eq!(escaped("aZ0-._~"), "aZ0-._~");
        assert_eq!(escaped("a+b/c=&d e?ü"), "a%2Bb%2Fc%3D%26d%20e%3F%C3%BC");
    }

    #[test]
    fn only_words_that_nobody_would_split_otherwise_go_as_words() {
        let args = |words: &[&str]| {
            args(
                &words
                    .iter()
                    .map(|word| (*word).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(args(&[]), None);
        assert_eq!(
            args(&["--model", "meta-llama/Llama-3-8B", "--port=8000"]).unwrap(),
            "--model meta-llama/Llama-3-8B --port=8000"
        );
        for (words, json) in [
            (vec!["a b"], r#"{"cmd":["a b"]}"#),
            (vec!["-x", ""], r#"{"cmd":["-x",""]}"#),
            (vec!["{\"cmd\":[]}"], r#"{"cmd":["{\"cmd\":[]}"]}"#),
            (vec!["$HOME", "it's"], r#"{"cmd":["$HOME","it's"]}"#),
            (vec!["a\nb"], r#"{"cmd":["a\nb"]}"#),
        ] {
            assert_eq!(args(&words).unwrap(), json);
        }
    }

    #[test]
    fn ids_that_lead_elsewhere_are_none() {
        for id in ["7h9k2m4n6p", "pod_abc123", NO_POD] {
            assert!(is_pod_id(id), "{id}");
        }
        for id in ["", "..", "a/b", "a?b", "evil.com#", "a b", "é"] {
            assert!(!is_pod_id(id), "{id}");
        }
    }
}
