//! `Key`: the limits of one API key. Asked by the edge beside the admission, never in its stead.

use serde::{Deserialize, Serialize};

/// Limits of a key; `None` means unlimited. A key without any is never asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLimits {
    /// Requests a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, prompt and completion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

impl KeyLimits {
    /// Whether there is anything to enforce.
    pub const fn is_unlimited(&self) -> bool {
        self.requests_per_minute.is_none()
            && self.tokens_per_minute.is_none()
            && self.concurrency.is_none()
    }
}

/// A message to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum KeyCommand {
    /// May this request go on? The same id gets the same answer. Answer: [`KeyAnswer`].
    Admit {
        /// The request.
        request: String,
        /// The limits in force, as the caller's copy of the key record says.
        limits: KeyLimits,
        /// Prompt estimate plus `max_tokens`: reserved now, settled by what was really used.
        reserve_tokens: u64,
        /// Whose limits, where an object keeps those of many: callers without a key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        visitor: Option<String>,
        /// Requests of the same key that ended before: what they held is free for this one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        settled: Vec<KeySettled>,
    },
    /// The request goes on: its place is held for another minute. Answer: `Done`.
    Renew {
        /// The request.
        request: String,
        /// Whose, as it was admitted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        visitor: Option<String>,
    },
    /// The request ended. Answer: `Done`.
    Settle {
        /// The request.
        request: String,
        /// Tokens really used.
        used_tokens: u64,
        /// Whether the request never reached a server: then it does not count at all.
        refund: bool,
        /// Whose, as it was admitted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        visitor: Option<String>,
    },
}

/// An ended request that rides on an admission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySettled {
    /// The request.
    pub request: String,
    /// Tokens really used.
    pub used_tokens: u64,
    /// Whose, as it was admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitor: Option<String>,
}

/// The answer to [`KeyCommand::Admit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum KeyAnswer {
    /// Within its limits.
    Allowed {
        /// For the `x-ratelimit-*` headers.
        windows: KeyWindows,
    },
    /// Over one of them.
    Denied {
        /// Which: `requests`, `tokens`, `concurrency` or `visitors`.
        limit: String,
        /// When asking again makes sense.
        retry_after_ms: u64,
        /// Whether asking again never does: this request alone is more than the limit.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        never_fits: bool,
        /// For the `x-ratelimit-*` headers.
        windows: KeyWindows,
    },
}

/// What is left of a key's windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyWindows {
    /// Limit, remaining and milliseconds to the reset of the request window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Window>,
    /// The same for tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Window>,
}

/// One window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The limit.
    pub limit: u64,
    /// What is left.
    pub remaining: u64,
    /// Milliseconds until all of it is back.
    pub reset_ms: u64,
}

/// A stored API key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the secret, hex; blank in lists.
    #[serde(default)]
    pub secret_hash: String,
    /// The secret before the last rotation.
    #[serde(default)]
    pub previous_secret_hash: Option<String>,
    /// When that one ends.
    #[serde(default)]
    pub previous_until_ms: Option<i64>,
    /// `inference`, `read`, `admin`.
    pub scopes: Vec<String>,
    /// Limits.
    #[serde(default)]
    pub limits: KeyLimits,
    /// Models it may use; empty means all.
    #[serde(default)]
    pub models: Vec<String>,
    /// When it ends.
    #[serde(default)]
    pub expires_at_ms: Option<i64>,
    /// Made when.
    pub created_at_ms: i64,
    /// Scheduling priority of its requests.
    #[serde(default)]
    pub priority: u8,
    /// The project it belongs to: a route of this name narrows where its requests go.
    #[serde(default)]
    pub project: Option<String>,
    /// Until when its budget is used up, as the ledger says; it may administer meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_until_ms: Option<i64>,
    /// Why, in words for whoever holds it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suspended_reason: String,
    /// Number of what the ledger said last about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<u64>,
}
