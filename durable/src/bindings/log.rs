//! The request log: one entry for each finished request, kept by `Journal` in a few parts a day.

use serde::{Deserialize, Serialize};

/// Parts of a day's log. An isolate writes to one of them, so that no object takes the batches of more
/// than a quarter of all isolates, and a search asks no more than these.
pub const LOG_SHARDS: u32 = 4;

/// One finished request. Never holds a secret or a prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When it ended, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The request.
    pub request: String,
    /// Whose key.
    pub key: String,
    /// The key's project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The model, as the client named it; empty when the request was refused before it was read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Whether there is a model or route of this name: only those are named in metrics.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub known: bool,
    /// The server whose answer was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The route: `/v1/chat/completions`.
    pub endpoint: String,
    /// HTTP status; 499 when the client left before there was one.
    pub status: u16,
    /// The error's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether a stream was asked for.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub stream: bool,
    /// Servers it was sent to.
    #[serde(default)]
    pub attempts: u32,
    /// Milliseconds from its arrival to the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// Milliseconds from its arrival to its end.
    #[serde(default)]
    pub duration_ms: u64,
    /// Tokens read.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens written.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Its share of what the servers cost meanwhile, in micro-dollars.
    #[serde(default)]
    pub cost_microusd: u64,
    /// The W3C trace that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// Which entries are wanted; absent means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFilter {
    /// Only of this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only for this model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Only answered by this server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Only with a status from here …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_from: Option<u16>,
    /// … to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_to: Option<u16>,
    /// Only with this error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Only those that took as long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_duration_ms: Option<u64>,
    /// Ended then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<i64>,
    /// Ended before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<i64>,
}

impl LogFilter {
    /// Whether an entry is wanted.
    pub fn admits(&self, entry: &LogEntry) -> bool {
        fn is<T: PartialEq<U>, U>(wanted: Option<&T>, it: &U) -> bool {
            wanted.is_none_or(|wanted| *wanted == *it)
        }
        is(self.key.as_ref(), &entry.key)
            && is(self.model.as_ref(), &entry.model)
            && (self.server.is_none() || self.server == entry.server)
            && (self.error.is_none() || self.error == entry.error)
            && self.status_from.is_none_or(|from| entry.status >= from)
            && self.status_to.is_none_or(|to| entry.status <= to)
            && self
                .min_duration_ms
                .is_none_or(|min| entry.duration_ms >= min)
            && self.from_ms.is_none_or(|from| entry.at_ms >= from)
            && self.to_ms.is_none_or(|to| entry.at_ms < to)
    }
}

/// A place in one part of the log: what is older lies in earlier batches, and in this one before `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlace {
    /// The batch.
    pub seq: i64,
    /// The position in it.
    pub index: u32,
}

/// An entry and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFound {
    /// A search goes on behind it from here.
    pub place: LogPlace,
    /// The entry.
    pub entry: LogEntry,
}

/// What one part of the log found, newest batch first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// What fits the filter.
    pub found: Vec<LogFound>,
    /// Where to go on: absent when everything has been looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<LogPlace>,
}
