//! What the tests share: an account, and short ways to ask and answer.

mod account;
mod catalogue;
mod errors;
mod machines;
mod noise;
mod renting;
mod requests;
mod script;
mod signing;

use std::collections::BTreeMap;

use tidegate_provider_api::{
    Callback, CreateSecrets, CreateSpec, Credential, EncodeCx, Fingerprint, HttpCall, HttpReply,
    Marker, Origins, Provider, ProviderError, Reply, Request, Runtime, SealedEnv, Settings,
};
use tidegate_vault::Secret;

use crate::Aws;

/// 2026-11-20T12:00:00Z, at which the reference signatures were made.
pub(super) const NOW_MS: i64 = 1_795_176_000_000;
pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub(super) const SESSION: &str = "TOKEN/EXAMPLE==";

/// An account, and what one of its machines is given.
pub(super) struct Account {
    pub(super) credential: Credential,
    pub(super) settings: Settings,
    pub(super) origins: Origins,
    pub(super) secrets: CreateSecrets,
}

impl Account {
    pub(super) fn new(settings: &[(&str, &str)]) -> Self {
        Self {
            credential: credential(None),
            settings: map(settings),
            origins: Origins::default(),
            secrets: CreateSecrets {
                env: BTreeMap::from([(
                    "API_KEY".to_owned(),
                    Secret::from("sk-only-for-this-server"),
                )]),
                boot_token: Some(Secret::from("boot-0123456789abcdef")),
            },
        }
    }

    pub(super) fn with_session(mut self) -> Self {
        self.credential = credential(Some(SESSION));
        self
    }

    pub(super) fn at(mut self, origin: &str) -> Self {
        self.origins.api = Some(origin.to_owned());
        self
    }

    pub(super) fn cx(&self) -> EncodeCx<'_> {
        EncodeCx {
            now_ms: NOW_MS,
            credential: &self.credential,
            settings: &self.settings,
            origins: &self.origins,
            secrets: &self.secrets,
        }
    }

    pub(super) fn encode(&self, request: &Request) -> Result<HttpCall, ProviderError> {
        Aws.encode(&self.cx(), request)
    }

    /// The body of a call that can be made.
    pub(super) fn body(&self, request: &Request) -> String {
        self.encode(request).unwrap().body.unwrap()
    }

    pub(super) fn decode(
        &self,
        request: &Request,
        status: u16,
        body: &str,
    ) -> Result<Reply, ProviderError> {
        Aws.decode(&self.cx(), request, &http(status, body))
    }
}

/// An account in one region.
pub(super) fn account() -> Account {
    Account::new(&[
        ("regions", "us-east-1"),
        ("ami_id", "ami-0123456789abcdef0"),
    ])
}

pub(super) fn map(pairs: &[(&str, &str)]) -> Settings {
    let owned = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings(owned.collect())
}

fn credential(session: Option<&str>) -> Credential {
    let fields = [
        ("access_key_id", Some("AKIDEXAMPLE")),
        ("secret_access_key", Some(SECRET)),
        ("session_token", session),
    ];
    let given = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    Credential::read(Aws.form(), given.collect()).unwrap()
}

pub(super) fn http(status: u16, body: &str) -> HttpReply {
    HttpReply {
        status,
        headers: vec![(
            "content-type".to_owned(),
            "text/xml;charset=UTF-8".to_owned(),
        )],
        body: body.to_owned(),
        now_ms: NOW_MS,
    }
}

pub(super) fn marker() -> Marker {
    Marker {
        fingerprint: Fingerprint::parse("0123456789").unwrap(),
        instance: "srv_0bPELAU4eqF0bPErPOCgqv".to_owned(),
        attempt: 3,
    }
}

/// A machine with a bit of everything.
pub(super) fn spec() -> CreateSpec {
    CreateSpec {
        marker: marker(),
        region: "us-east-1".to_owned(),
        zone: Some("us-east-1b".to_owned()),
        machine_type: "g6.xlarge".to_owned(),
        gpu_count: 1,
        spot: false,
        max_microusd_per_hour: None,
        disk_gb: 120,
        runtime: Runtime {
            image: "vllm/vllm-openai:v0.9.1".to_owned(),
            args: vec!["--model".to_owned(), "Qwen/Qwen3-8B".to_owned()],
            env: BTreeMap::from([("HF_HOME".to_owned(), "/data".to_owned())]),
            sealed_env: vec![SealedEnv {
                name: "API_KEY".to_owned(),
                record: "server/srv_a".to_owned(),
                field: "api_key".to_owned(),
                sealed: "sealed".to_owned(),
            }],
            port: 8000,
        },
        lifetime_secs: 43_200,
        ssh_public_key: Some("ssh-ed25519 AAAAC3Nz somebody".to_owned()),
        callback: Some(Callback {
            url: "https://gw.example/webhooks/boot/org~srv_a".to_owned(),
        }),
    }
}

pub(super) fn create(spec: CreateSpec) -> Request {
    Request::Create(Box::new(spec))
}

pub(super) fn get() -> Request {
    Request::Get {
        region: "us-east-1".to_owned(),
        id: "i-0abc".to_owned(),
    }
}

pub(super) fn list() -> Request {
    Request::List {
        region: "us-east-1".to_owned(),
        page: None,
    }
}

pub(super) fn destroy() -> Request {
    Request::Destroy {
        region: "us-east-1".to_owned(),
        id: "i-0abc".to_owned(),
    }
}

/// What a body says, as name and value, decoded.
pub(super) fn pairs(body: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect()
}

pub(super) fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(have, _)| have == name);
    found.map(|(_, value)| value.as_str())
}
