//! What reached the server and how each request ended. Invariant: an entry is written when its
//! request is whole, ends once, and ids grow and are never used twice, also across a reset.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use serde::Serialize;

use crate::media::sha256;
use crate::request::Request;

/// Longer bodies are known by their hash: more than the longest JSON that the gateway lets through.
const KEPT_BODY_BYTES: usize = 16 * 1024 * 1024;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not yet.
    Open,
    /// All that was planned went out.
    Complete,
    /// The server broke it off, as ordered.
    Cut,
    /// The client left before the end.
    Aborted,
}

/// One request. Times are Unix milliseconds with fractions.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Grows by one.
    pub id: u64,
    /// Number of the TCP connection.
    pub connection: u64,
    /// When the last byte of the request had arrived.
    pub at_ms: f64,
    /// `GET`, `POST`…
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// In the order received, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// Its hash, in hexadecimal.
    pub body_sha256: String,
    /// The body when it is text, and not longer than is worth keeping.
    pub body: Option<String>,
    /// The body when it is not.
    pub body_base64: Option<String>,
    /// The `do` of the rule that applied, or `good`.
    pub behaviour: String,
    /// When the first byte of the answer had been written.
    pub first_byte_ms: Option<f64>,
    /// When the exchange ended.
    pub ended_ms: Option<f64>,
    /// When the client was seen to close or reset, if it did before the end.
    pub client_left_ms: Option<f64>,
    /// Bytes written, head and framing included.
    pub bytes_sent: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// The newest entries.
#[derive(Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
    /// Id of the next entry.
    next: u64,
    capacity: usize,
    dropped: u64,
}

/// Milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "a native server whose journal is compared with other processes' clocks"
)]
pub fn now_ms() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

impl Journal {
    /// Keeps this many entries; 0 = none, for benchmarks.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ..Self::default()
        }
    }

    /// Writes a request down and returns its id.
    pub fn open(&mut self, connection: u64, request: &Request, behaviour: &str) -> u64 {
        let id = self.next;
        self.next += 1;
        if self.capacity == 0 {
            return id;
        }
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
            self.dropped += 1;
        }
        let text = std::str::from_utf8(&request.body).ok().map(str::to_owned);
        let is_kept = request.body.len() <= KEPT_BODY_BYTES;
        let body_base64 = match text {
            Some(_) => None,
            None if !is_kept => None,
            None => Some(base64::engine::general_purpose::STANDARD.encode(&request.body)),
        };
        self.entries.push_back(Entry {
            id,
            connection,
            at_ms: now_ms(),
            method: request.method.clone(),
            path: request.path.clone(),
            headers: request.headers.clone(),
            body_bytes: request.body.len(),
            body_sha256: sha256(&request.body),
            body: text.filter(|_| is_kept),
            body_base64,
            behaviour: behaviour.to_owned(),
            first_byte_ms: None,
            ended_ms: None,
            client_left_ms: None,
            bytes_sent: 0,
            outcome: Outcome::Open,
        });
        id
    }

    /// Counts written bytes.
    pub fn sent(&mut self, id: u64, bytes: usize) {
        if let Some(entry) = self.entry(id) {
            entry.bytes_sent += bytes as u64;
            if entry.first_byte_ms.is_none() {
                entry.first_byte_ms = Some(now_ms());
            }
        }
    }

    /// Ends an entry; a second end changes nothing.
    pub fn end(&mut self, id: u64, outcome: Outcome) {
        if let Some(entry) = self.entry(id).filter(|e| e.outcome == Outcome::Open) {
            let now = now_ms();
            entry.outcome = outcome;
            entry.ended_ms = Some(now);
            if outcome == Outcome::Aborted {
                entry.client_left_ms = Some(now);
            }
        }
    }

    /// Forgets all entries; those still open are not seen again.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.dropped = 0;
    }

    /// Entries with `id >= since`.
    pub fn since(&self, since: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.id >= since)
    }

    /// Entries pushed out by newer ones.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        let first = self.entries.front()?.id;
        let at = usize::try_from(id.checked_sub(first)?).ok()?;
        self.entries.get_mut(at)
    }
}
