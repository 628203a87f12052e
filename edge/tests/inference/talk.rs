//! One exchange as its host has seen it.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;
use tidegate_domain::time::Timestamp;
use tidegate_durable::bindings::ObjectName;

use crate::document::{Seen, document};

/// An exchange and what became of it.
#[derive(Default)]
pub struct Talk {
    /// Method and path of its request.
    pub asked: (String, String),
    pub status: Option<u16>,
    pub headers: Vec<(String, String)>,
    /// The body, or the stream so far.
    pub body: Vec<u8>,
    pub closed: bool,
    pub done: bool,
    /// Attempts in order: URL, headers, body if it is not the client's own.
    pub fetches: Vec<Fetched>,
    pub asks: VecDeque<Open>,
    pub logs: Vec<Value>,
    pub wake_at: Option<Timestamp>,
    pub reads_body: Option<usize>,
    /// The host reads an upload.
    pub reads_upload: bool,
    /// What it keeps of it.
    pub kept: Vec<u8>,
    /// Attempts whose answers are wanted whole after all.
    pub collects: BTreeSet<u32>,
    /// The streamed answer was broken off.
    pub broken: bool,
    /// Attempts that may still say something.
    pub live: BTreeSet<u32>,
    pub whole: Vec<u8>,
}

pub struct Fetched {
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub own_body: Option<Vec<u8>>,
    /// What went out of an upload before anything else.
    pub prefix: Option<Vec<u8>>,
    /// The length that was announced for it.
    pub length: Option<u64>,
    pub stream: bool,
}

/// A call that is out.
#[derive(Clone)]
pub struct Open {
    pub call: u32,
    pub to: ObjectName,
    pub message: Value,
    pub timeout_ms: u64,
}

impl Talk {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "`{name}` twice");
        value
    }

    /// Whatever the client got is described by the OpenAPI document. Of a stream that is its head.
    pub fn hold_to_contract(&self) {
        let Some(status) = self.status else { return };
        let (method, path) = &self.asked;
        let is_json = self.header("content-type") == Some("application/json");
        let body = is_json.then(|| self.json());
        let refusal = document().refusal(&Seen {
            method,
            path,
            status,
            headers: &self.headers,
            body: body.as_ref(),
        });
        assert_eq!(refusal, None, "{method} {path}: {status} {body:?}");
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status and the error's code.
    pub fn error(&self) -> (u16, String) {
        let body = self.json();
        assert!(body["error"]["message"].is_string(), "{body}");
        (
            self.status.unwrap(),
            body["error"]["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }
}
