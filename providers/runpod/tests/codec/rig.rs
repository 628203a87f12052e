//! An account, its requests, and answers to them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegate_provider_api::{
    Callback, CreateSecrets, CreateSpec, Credential, EncodeCx, HttpCall, HttpReply, Marker,
    Origins, Provider, ProviderError, Query, Reply, Request, Runtime, SealedEnv, Settings,
};
use tidegate_provider_runpod::RunPod;
use tidegate_vault::Secret;

pub const POD: &str = include_str!("../replies/pod.json");
pub const PODS: &str = include_str!("../replies/pods.json");
pub const CREATED: &str = include_str!("../replies/created.json");
pub const GPUS: &str = include_str!("../replies/gpus.json");
pub const DATA_CENTERS: &str = include_str!("../replies/datacenters.json");
pub const BILL: &str = include_str!("../replies/bill.json");
pub const SSH_KEYS: &str = include_str!("../replies/ssh_keys.json");

pub const ID: &str = "k3x8w1qz7v";
pub const MARKER: &str = "tidegate-0123456789-srv_0bPELAU4eqF0bPErPOCgqv-1";

/// Everything that may never be seen: the account's key, what the machine gets, and what others' pods have.
pub const SECRETS: [&str; 4] = [
    "rpa_5ecretOfTheAccount",
    "hf_5ecretOfTheMachine",
    "b00t_5ecretOfTheMachine",
    "n0ne_of_ours",
];

pub struct Rig {
    pub credential: Credential,
    pub settings: Settings,
    pub origins: Origins,
    pub secrets: CreateSecrets,
}

impl Rig {
    pub fn new() -> Self {
        let fields = BTreeMap::from([("api_key".to_owned(), SECRETS[0].to_owned())]);
        Self {
            credential: Credential::read(RunPod.form(), fields).unwrap(),
            settings: Settings::default(),
            origins: Origins::default(),
            secrets: CreateSecrets {
                env: BTreeMap::from([("HF_TOKEN".to_owned(), Secret::from(SECRETS[1]))]),
                boot_token: Some(Secret::from(SECRETS[2])),
            },
        }
    }

    pub fn with(settings: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings = Settings(settings.iter().map(owned).collect());
        RunPod.check_settings(&settings).unwrap();
        Self {
            settings,
            ..Self::new()
        }
    }

    pub fn cx(&self) -> EncodeCx<'_> {
        EncodeCx {
            now_ms: 1_795_176_000_000,
            credential: &self.credential,
            settings: &self.settings,
            origins: &self.origins,
            secrets: &self.secrets,
        }
    }

    pub fn encode(&self, request: &Request) -> Result<HttpCall, ProviderError> {
        RunPod.encode(&self.cx(), request)
    }

    pub fn call(&self, request: &Request) -> HttpCall {
        self.encode(request).unwrap()
    }

    pub fn answer(
        &self,
        request: &Request,
        status: u16,
        body: &str,
    ) -> Result<Reply, ProviderError> {
        self.reply(request, &reply(status, body))
    }

    pub fn reply(&self, request: &Request, reply: &HttpReply) -> Result<Reply, ProviderError> {
        RunPod.decode(&self.cx(), request, reply)
    }
}

pub fn reply(status: u16, body: &str) -> HttpReply {
    HttpReply {
        status,
        headers: Vec::new(),
        body: body.to_owned(),
        now_ms: 1_795_176_000_000,
    }
}

/// With everything that a request to rent can have.
pub fn full_spec() -> CreateSpec {
    CreateSpec {
        marker: Marker::parse(MARKER).unwrap(),
        region: "EU-RO-1".to_owned(),
        zone: None,
        machine_type: "NVIDIA L4".to_owned(),
        gpu_count: 2,
        spot: false,
        max_microusd_per_hour: None,
        disk_gb: 100,
        runtime: Runtime {
            image: "vllm/vllm-openai:v0.11.0".to_owned(),
            args: ["--model", "Qwen/Qwen3-8B", "--port", "8000"]
                .map(str::to_owned)
                .to_vec(),
            env: BTreeMap::from([
                ("HF_HOME".to_owned(), "/workspace/hf".to_owned()),
                // What Tidegate says is not the profile's to say.
                ("TIDEGATE_MARKER".to_owned(), "mine".to_owned()),
            ]),
            sealed_env: vec![SealedEnv {
                name: "HF_TOKEN".to_owned(),
                record: "profile/qwen".to_owned(),
                field: "env/HF_TOKEN".to_owned(),
                sealed: "…".to_owned(),
            }],
            port: 8000,
        },
        lifetime_secs: 43_200,
        ssh_public_key: Some("ssh-ed25519 AAAA somebody".to_owned()),
        callback: Some(Callback {
            url: "https://gateway.example/webhooks/boot/org~srv".to_owned(),
        }),
    }
}

pub fn create() -> Request {
    Request::Create(Box::new(full_spec()))
}

pub fn get() -> Request {
    Request::Get {
        region: "global".to_owned(),
        id: ID.to_owned(),
    }
}

pub fn list(page: Option<&str>) -> Request {
    Request::List {
        region: "global".to_owned(),
        page: page.map(str::to_owned),
    }
}

pub fn stop() -> Request {
    Request::Stop {
        region: "global".to_owned(),
        id: ID.to_owned(),
    }
}

pub fn start() -> Request {
    Request::Start {
        region: "global".to_owned(),
        id: ID.to_owned(),
    }
}

pub fn destroy() -> Request {
    Request::Destroy {
        region: "global".to_owned(),
        id: ID.to_owned(),
    }
}

pub fn bill() -> Request {
    Request::Bill {
        region: "global".to_owned(),
        id: ID.to_owned(),
        since_ms: 1_795_176_000_250,
        until_ms: 1_795_262_400_000,
    }
}

pub fn check(permission: &str) -> Request {
    Request::Check {
        permission: permission.to_owned(),
        region: "global".to_owned(),
    }
}

pub fn shop(count: u32) -> Request {
    Request::Shop(Query {
        kind: format!("gpus/{count}"),
        region: None,
        page: None,
    })
}

/// One of each, with a good answer to it.
pub fn every_request() -> Vec<(Request, u16, &'static str)> {
    vec![
        (Request::Verify, 200, SSH_KEYS),
        (check("read_pods"), 200, PODS),
        (check("read_catalog"), 200, DATA_CENTERS),
        (check("read_billing"), 200, BILL),
        (check("write_pods"), 204, ""),
        (Request::Regions, 200, DATA_CENTERS),
        (shop(1), 200, GPUS),
        (create(), 201, CREATED),
        (get(), 200, POD),
        (list(None), 200, PODS),
        (list(Some("a+b/c==")), 200, PODS),
        (stop(), 200, POD),
        (start(), 200, POD),
        (destroy(), 204, ""),
        (bill(), 200, BILL),
    ]
}

/// Requests to rent that RunPod can be asked for.
pub fn any_spec() -> impl Strategy<Value = CreateSpec> {
    let env = proptest::collection::btree_map("[A-Z_]{1,12}", any::<String>(), 0..8);
    let args = proptest::collection::vec(any::<String>(), 0..6);
    (
        (any::<bool>(), 1_u32..9, 1_u32..2000, 1_u16..),
        (env, args, "[a-z/:.0-9]{1,30}"),
        (
            proptest::option::of("ssh-ed25519 [A-Za-z0-9]{8}"),
            any::<bool>(),
        ),
    )
        .prop_map(
            |((anywhere, gpu_count, disk_gb, port), (env, args, image), (ssh, calls))| {
                let full = full_spec();
                CreateSpec {
                    region: if anywhere { "global" } else { "US-KS-2" }.to_owned(),
                    gpu_count,
                    disk_gb,
                    runtime: Runtime {
                        image,
                        args,
                        env,
                        port,
                        ..full.runtime.clone()
                    },
                    ssh_public_key: ssh,
                    callback: full.callback.clone().filter(|_| calls),
                    ..full
                }
            },
        )
}
