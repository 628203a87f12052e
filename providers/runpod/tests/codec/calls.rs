//! What is sent.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_provider_api::{ErrorKind, Method, Request, Runtime};

use crate::rig::{
    ID, Rig, SECRETS, any_spec, bill, check, create, destroy, every_request, full_spec, get, list,
    shop, start, stop,
};

fn line(request: &Request) -> String {
    let call = Rig::new().call(request);
    let path = call.url.strip_prefix("https://api.runpod.io").unwrap();
    let body = call.body.map(|body| format!(" {body}")).unwrap_or_default();
    format!("{} {path}{body}", call.method.as_str())
}

#[test]
fn every_request_but_create_is_one_short_call() {
    for (request, expected) in [
        (Request::Verify, "GET /v2/account/ssh-keys"),
        (check("read_pods"), "GET /v2/pods?limit=1"),
        (
            check("write_pods"),
            "DELETE /v2/pods/tidegate-permission-check",
        ),
        (check("read_catalog"), "GET /v2/catalog/datacenters"),
        (
            check("read_billing"),
            "GET /v2/billing/pods?bucketSize=day&lastN=1",
        ),
        (Request::Regions, "GET /v2/catalog/datacenters"),
        (
            shop(4),
            "GET /v2/catalog/gpus?include=AVAILABILITY&product=POD&count=4&cloud=SECURE",
        ),
        (get(), "GET /v2/pods/k3x8w1qz7v"),
        (list(None), "GET /v2/pods?limit=100"),
        (
            list(Some("a+b/c==")),
            "GET /v2/pods?limit=100&cursor=a%2Bb%2Fc%3D%3D",
        ),
        (
            stop(),
            r#"POST /v2/pods/k3x8w1qz7v/action {"action":"stop"}"#,
        ),
        (
            start(),
            r#"POST /v2/pods/k3x8w1qz7v/action {"action":"start"}"#,
        ),
        (destroy(), "DELETE /v2/pods/k3x8w1qz7v"),
        (
            bill(),
            "GET /v2/billing/pods?bucketSize=day&endTime=2026-11-21T12%3A00%3A01Z&podId=k3x8w1qz7v\
             &startTime=2026-11-20T12%3A00%3A00Z",
        ),
    ] {
        assert_eq!(line(&request), expected);
    }
}

#[test]
fn a_pod_is_created_with_everything_that_was_asked_for() {
    let call = Rig::new().call(&create());
    assert_eq!(
        (call.method, call.url.as_str()),
        (Method::Post, "https://api.runpod.io/v2/pods")
    );
    let body: Value = serde_json::from_str(&call.body.unwrap()).unwrap();
    assert_eq!(
        body,
        json!({
            "name": "tidegate-0123456789-srv_0bPELAU4eqF0bPErPOCgqv-1",
            "image": "vllm/vllm-openai:v0.11.0",
            "args": "--model Qwen/Qwen3-8B --port 8000",
            "gpu": {"id": "NVIDIA L4", "count": 2},
            "cloud": "SECURE",
            "dataCenterIds": ["EU-RO-1"],
            "disk": 100,
            "mounts": {"persistent": {"size": 100, "path": "/workspace"}},
            "ports": ["8000/http", "22/tcp"],
            "env": {
                "HF_HOME": "/workspace/hf",
                "HF_TOKEN": "hf_5ecretOfTheMachine",
                "PUBLIC_KEY": "ssh-ed25519 AAAA somebody",
                "TIDEGATE_BOOT_TOKEN": "b00t_5ecretOfTheMachine",
                "TIDEGATE_BOOT_URL": "https://gateway.example/webhooks/boot/org~srv",
                "TIDEGATE_MARKER": "tidegate-0123456789-srv_0bPELAU4eqF0bPErPOCgqv-1",
            },
        })
    );
}

#[test]
fn a_pod_is_created_with_nothing_that_was_not_asked_for() {
    let mut rig = Rig::with(&[("cloud", "COMMUNITY")]);
    rig.secrets = Default::default();
    let mut spec = full_spec();
    spec.region = "global".to_owned();
    spec.disk_gb = 5;
    spec.ssh_public_key = None;
    spec.runtime = Runtime {
        image: "llama".to_owned(),
        port: 80,
        ..Runtime::default()
    };
    // There is an address to call, but no token to show.
    let call = rig.call(&Request::Create(Box::new(spec)));
    let body: Value = serde_json::from_str(&call.body.unwrap()).unwrap();
    assert_eq!(
        body,
        json!({
            "name": "tidegate-0123456789-srv_0bPELAU4eqF0bPErPOCgqv-1",
            "image": "llama",
            "gpu": {"id": "NVIDIA L4", "count": 2},
            "cloud": "COMMUNITY",
            "disk": 5,
            "mounts": {"persistent": {"size": 10, "path": "/workspace"}},
            "ports": ["80/http"],
            "env": {"TIDEGATE_MARKER": "tidegate-0123456789-srv_0bPELAU4eqF0bPErPOCgqv-1"},
        })
    );
}

#[test]
fn a_pod_that_may_be_anywhere_stays_within_the_chosen_data_centres() {
    let rig = Rig::with(&[("data_centers", "EU-RO-1, US-KS-2")]);
    let mut spec = full_spec();
    spec.region = "global".to_owned();
    let call = rig.call(&Request::Create(Box::new(spec)));
    let body: Value = serde_json::from_str(&call.body.unwrap()).unwrap();
    assert_eq!(body["dataCenterIds"], json!(["EU-RO-1", "US-KS-2"]));
}

#[test]
fn what_runpod_cannot_be_asked_for_is_refused_before_it_is_sent() {
    let change = |change: fn(&mut tidegate_provider_api::CreateSpec)| {
        let mut spec = full_spec();
        change(&mut spec);
        Request::Create(Box::new(spec))
    };
    let id = |id: &str| Request::Get {
        region: "global".to_owned(),
        id: id.to_owned(),
    };
    for (request, why) in [
        (change(|spec| spec.spot = true), "taken away"),
        (change(|spec| spec.gpu_count = 0), "one GPU"),
        (change(|spec| spec.machine_type.clear()), "type of GPU"),
        (change(|spec| spec.runtime.image.clear()), "image"),
        (change(|spec| spec.runtime.port = 0), "port"),
        (change(|spec| spec.disk_gb = 0), "disk"),
        (
            change(|spec| spec.runtime.sealed_env[0].name = "OTHER".to_owned()),
            "`OTHER` was not opened",
        ),
        (
            change(|spec| {
                let many = (0..50).map(|number| (format!("V{number}"), String::new()));
                spec.runtime.env = many.collect();
            }),
            "50 environment variables",
        ),
        (
            change(|spec| spec.runtime.args = vec!["x".repeat(102_400)]),
            "102400 bytes",
        ),
        (check("fly"), "no such permission"),
        (shop(3), "no such piece"),
        (id(""), "no such ids"),
        (id("../account"), "no such ids"),
        (id("a?b"), "no such ids"),
    ] {
        let refused = Rig::new().encode(&request).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Validation);
        assert!(refused.permanent && !refused.unclear);
        assert!(refused.words.contains(why), "{refused}");
    }
}

#[test]
fn an_account_without_a_key_is_told_so() {
    let mut rig = Rig::new();
    rig.credential = Default::default();
    assert_eq!(rig.encode(&get()).unwrap_err().kind, ErrorKind::Auth);
}

#[test]
fn every_call_has_the_headers_and_none_has_the_key_elsewhere() {
    let rig = Rig::new();
    for (request, _, _) in every_request() {
        let call = rig.call(&request);
        let names: Vec<_> = call.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["accept", "authorization", "content-type", "user-agent"]
        );
        assert_eq!(call.headers[1].1, format!("Bearer {}", SECRETS[0]));
        assert!(call.headers[3].1.starts_with("tidegate/"));
        let shown = format!("{call:?}");
        for secret in SECRETS {
            assert!(!shown.contains(secret) && !call.url.contains(secret));
        }
        assert!(!call.body.unwrap_or_default().contains(SECRETS[0]));
    }
}

#[test]
fn another_origin_stands_for_all_of_runpod() {
    let mut rig = Rig::new();
    rig.origins.api = Some("http://127.0.0.1:9000/runpod".to_owned());
    for (request, _, _) in every_request() {
        let call = rig.call(&request);
        assert!(
            call.url.starts_with("http://127.0.0.1:9000/runpod/v2/"),
            "{}",
            call.url
        );
    }
    assert_eq!(
        rig.call(&get()).url,
        format!("http://127.0.0.1:9000/runpod/v2/pods/{ID}")
    );
}

/// The members of `CreatePodRequest` that we use, closed: RunPod answers 422 to any other.
pub fn refusal(body: &Value) -> Option<String> {
    let only = |object: &Value, members: &[&str]| {
        let strange = object
            .as_object()?
            .keys()
            .find(|name| !members.contains(&name.as_str()));
        strange.cloned()
    };
    let top = [
        "name",
        "image",
        "args",
        "gpu",
        "cloud",
        "dataCenterIds",
        "disk",
        "mounts",
        "ports",
        "env",
    ];
    if let Some(name) = only(body, &top)
        .or_else(|| only(&body["gpu"], &["id", "count"]))
        .or_else(|| only(&body["mounts"], &["persistent"]))
        .or_else(|| only(&body["mounts"]["persistent"], &["size", "path"]))
    {
        return Some(format!("{name} is not taken"));
    }
    let at_least = |value: &Value, least: u64| value.as_u64().is_some_and(|number| number >= least);
    let texts = |value: &Value| {
        let texts = value.as_array().cloned().unwrap_or_default();
        texts.iter().all(Value::is_string)
    };
    let env = body["env"].as_object()?;
    let holds = [
        (
            "name",
            body["name"].as_str().is_some_and(|name| !name.is_empty()),
        ),
        ("image", body["image"].is_string()),
        ("args", body["args"].is_null() || body["args"].is_string()),
        ("gpu.id", body["gpu"]["id"].is_string()),
        ("gpu.count", at_least(&body["gpu"]["count"], 1)),
        (
            "cloud",
            matches!(body["cloud"].as_str(), Some("SECURE" | "COMMUNITY")),
        ),
        ("dataCenterIds", texts(&body["dataCenterIds"])),
        ("disk", at_least(&body["disk"], 1)),
        ("size", at_least(&body["mounts"]["persistent"]["size"], 10)),
        ("path", body["mounts"]["persistent"]["path"].is_string()),
        ("ports", body["ports"].is_array() && texts(&body["ports"])),
        ("env", env.len() <= 50 && env.values().all(Value::is_string)),
    ];
    let broken = holds.iter().find(|(_, holds)| !holds);
    broken.map(|(name, _)| format!("{name} is not as it must be"))
}

proptest! {
    #[test]
    fn whatever_is_rented_is_a_body_that_runpod_takes_and_the_same_each_time(spec in any_spec()) {
        let request = Request::Create(Box::new(spec.clone()));
        let call = Rig::new().call(&request);
        prop_assert!(call == Rig::new().call(&request));
        let body: Value = serde_json::from_str(&call.body.unwrap()).unwrap();
        prop_assert_eq!(refusal(&body), None);
        prop_assert_eq!(&body["env"]["TIDEGATE_MARKER"], &body["name"]);
        // Words or JSON, the arguments are the same ones.
        let args = match body["args"].as_str() {
            None => Vec::new(),
            Some(args) if args.starts_with('{') => {
                let json: Value = serde_json::from_str(args).unwrap();
                serde_json::from_value(json["cmd"].clone()).unwrap()
            }
            Some(args) => args.split(' ').map(str::to_owned).collect(),
        };
        prop_assert_eq!(args, spec.runtime.args);
    }

    #[test]
    fn no_page_and_no_id_leads_to_another_path(text: String) {
        let rig = Rig::new();
        let call = rig.call(&list(Some(&text)));
        let cursor = call.url.strip_prefix("https://api.runpod.io/v2/pods?limit=100&cursor=");
        prop_assert!(!cursor.unwrap().contains(['&', '#', '?', '/', ' ', '=']));
        let request = Request::Destroy { region: "global".to_owned(), id: text.clone() };
        if let Ok(call) = rig.encode(&request) {
            prop_assert_eq!(call.url, format!("https://api.runpod.io/v2/pods/{text}"));
            prop_assert!(!text.contains(['/', '?', '#', '.', '%']));
        }
    }
}
