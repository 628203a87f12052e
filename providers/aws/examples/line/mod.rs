//! What the examples read and write: one JSON object a line.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_provider_api::{
    CreateSecrets, Credential, EncodeCx, HttpCall, Origins, Part, Provider, Request, Settings,
};
use tidegate_provider_aws::Aws;
use tidegate_vault::Secret;

/// A line that is read: a request of an account, or pieces of the catalogue to be put together.
#[derive(Deserialize)]
pub struct Line {
    /// For signatures.
    #[serde(default)]
    now_ms: i64,
    /// The credential in the clear.
    #[serde(default)]
    credential: BTreeMap<String, String>,
    /// The account's settings.
    #[serde(default)]
    settings: Settings,
    /// What stands for all hosts of AWS.
    #[serde(default)]
    api: Option<String>,
    /// The machine's sealed variables.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// The machine's token.
    #[serde(default)]
    boot_token: Option<String>,
    /// What is asked.
    #[serde(default)]
    request: Option<Request>,
    /// What is put together.
    #[serde(default)]
    parts: Vec<Part>,
}

/// A line that has been read.
pub struct Asked {
    now_ms: i64,
    credential: Credential,
    settings: Settings,
    origins: Origins,
    secrets: CreateSecrets,
    /// What is asked.
    pub request: Option<Request>,
    parts: Vec<Part>,
}

impl Asked {
    /// Reads a line.
    pub fn read(text: &str) -> Self {
        let line: Line = serde_json::from_str(text).expect("a line of JSON");
        let credential = if line.credential.is_empty() {
            Credential::default()
        } else {
            Credential::read(Aws.form(), line.credential).expect("a credential")
        };
        let secret = |(name, value): (String, String)| (name, Secret::from(value));
        Self {
            now_ms: line.now_ms,
            credential,
            settings: line.settings,
            origins: Origins {
                api: line.api,
                endpoint: None,
            },
            secrets: CreateSecrets {
                env: line.env.into_iter().map(secret).collect(),
                boot_token: line.boot_token.map(Secret::from),
            },
            request: line.request,
            parts: line.parts,
        }
    }

    /// What the codec is told.
    pub fn cx(&self) -> EncodeCx<'_> {
        EncodeCx {
            now_ms: self.now_ms,
            credential: &self.credential,
            settings: &self.settings,
            origins: &self.origins,
            secrets: &self.secrets,
        }
    }

    /// The pieces put together.
    pub fn offers(&self) -> Value {
        json!({ "offers": Aws.offers(&self.settings, &self.parts) })
    }
}

/// A call as JSON.
pub fn shown(call: &HttpCall) -> Value {
    json!({
        "method": call.method.as_str(),
        "url": call.url,
        "headers": call.headers,
        "body": call.body,
    })
}
