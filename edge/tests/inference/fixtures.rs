//! Servers, routes, keys, and what clients and servers say.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_domain::time::Timestamp;
use tidegate_durable::bindings::fleet::{
    Route, ServerEntry, ServerState, ServerStatus, SnapshotServer,
};
use tidegate_vault::{ApiKey, Installation, Organisation};

pub const START: Timestamp = Timestamp::from_ms(1_795_255_200_000);
pub const SERVER_KEY: &str = "sk-upstream-very-secret";
/// Stands in every prompt; must stand in no log and in no message to an object.
pub const PROMPT: &str = "attack-at-dawn";
const INSTALLATION: &str = "installation-0123456789abcdef-xyz";

pub fn server(id: &str, model: &str) -> SnapshotServer {
    SnapshotServer {
        id: id.to_owned(),
        entry: ServerEntry {
            model_name: model.to_owned(),
            endpoint_url: format!("https://{id}.example.com/v1"),
            sealed_api_key: None,
            owner: None,
            max_concurrency: 4,
            queue_depth: 8,
            weight: 1,
            priority: 0,
            price_microusd_per_hour: 0,
            metadata: BTreeMap::new(),
            upstream_model: None,
            first_token_cap_ms: None,
        },
        status: ServerStatus {
            state: ServerState::Healthy,
            ..ServerStatus::default()
        },
        created_at_ms: START.as_ms(),
    }
}

pub fn route(targets: &[&str], fallbacks: &[&str]) -> Route {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Route {
        targets: owned(targets),
        fallbacks: owned(fallbacks),
        ..Route::default()
    }
}

pub fn chat() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": PROMPT}]})
}

pub fn streamed() -> Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": PROMPT}]})
}

pub const SSE: &[(&str, &str)] = &[("content-type", "text/event-stream")];
pub const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
pub const ANSWER: &[u8] =
    br#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
pub const ROLE: &[u8] =
    b"data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n";
pub const WORD: &[u8] = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
pub const FINISH: &[u8] =
    b"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
pub const USAGE: &[u8] =
    b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n";
pub const DONE: &[u8] = b"data: [DONE]\n\n";

pub fn installation() -> Installation {
    Installation::derive(INSTALLATION.as_bytes()).unwrap()
}

pub fn mint(installation: &Installation, seed: u8) -> ApiKey {
    let org = Organisation::parse("default").unwrap();
    ApiKey::mint(installation, &org, [seed; tidegate_vault::KEY_RANDOM])
}

/// A key that nobody of this installation made: the right shape, a wrong MAC.
pub fn forged(key: &str) -> String {
    let (head, last) = key.split_at(key.len() - 1);
    format!("{head}{}", if last == "0" { "1" } else { "0" })
}
