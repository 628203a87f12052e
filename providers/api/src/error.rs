//! Why a vendor did not do what it was asked.
//!
//! Invariant: the kind follows from the vendor's own code or words, never from the HTTP status alone (EC2 says
//! "no capacity" with 500, RunPod with 400, and a 404 can be a bad key). The vendor's words are kept, cut, and
//! hold nothing of what we sent.

use core::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure it is: who has to do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The credential is refused, or may not do this. The account's owner must act.
    Auth,
    /// A limit or balance of the account is used up. Its owner must act.
    Quota,
    /// The vendor has none of these now. Another offer may do.
    Capacity,
    /// No answer, or none that can be read: nobody knows what happened.
    Network,
    /// The machine itself is broken.
    Runtime,
    /// The request makes no sense to the vendor, now or ever.
    Validation,
    /// Too many calls. The same call later may do.
    RateLimited,
    /// There is no such thing.
    NotFound,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Auth,
        Self::Quota,
        Self::Capacity,
        Self::Network,
        Self::Runtime,
        Self::Validation,
        Self::RateLimited,
        Self::NotFound,
    ];

    /// The name in answers and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Quota => "quota",
            Self::Capacity => "capacity",
            Self::Network => "network",
            Self::Runtime => "runtime",
            Self::Validation => "validation",
            Self::RateLimited => "rate_limited",
            Self::NotFound => "not_found",
        }
    }
}

/// A call that did not do what it was to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderError {
    /// Which kind.
    pub kind: ErrorKind,
    /// Whether the same call again would fail again.
    pub permanent: bool,
    /// Whether the vendor may have done it all the same: no answer, or one that does not tell. Only such a
    /// "create" is looked for before another is tried.
    pub unclear: bool,
    /// What was being done: `create`, `list`, …
    pub operation: String,
    /// The vendor's code, if it has codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The vendor's words, at most [`ProviderError::LONGEST`] characters.
    #[serde(default)]
    pub words: String,
    /// HTTP status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// When the vendor wants to be asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ProviderError {
    /// Characters that are kept of the vendor's words.
    pub const LONGEST: usize = 300;

    /// A failure of this kind, permanent for the kinds that the same call cannot get past.
    pub fn new(kind: ErrorKind, operation: &str, words: &str) -> Self {
        let permanent = match kind {
            ErrorKind::Auth | ErrorKind::Validation | ErrorKind::NotFound | ErrorKind::Quota => {
                true
            }
            ErrorKind::Capacity
            | ErrorKind::Network
            | ErrorKind::Runtime
            | ErrorKind::RateLimited => false,
        };
        Self {
            kind,
            permanent,
            unclear: false,
            operation: operation.to_owned(),
            code: None,
            words: shortened(words),
            http_status: None,
            retry_after_ms: None,
        }
    }

    /// No answer came, or one that says nothing of what was done. `words` are the host's.
    pub fn no_answer(operation: &str, words: &str) -> Self {
        Self {
            unclear: true,
            ..Self::new(ErrorKind::Network, operation, words)
        }
    }

    /// The same with the vendor's code.
    #[must_use]
    pub fn code(mut self, code: &str) -> Self {
        self.code = Some(shortened(code)).filter(|code| !code.is_empty());
        self
    }

    /// The same with the status of the answer.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }

    /// The same, to be asked again after this long.
    #[must_use]
    pub const fn retry_after(mut self, ms: Option<u64>) -> Self {
        self.retry_after_ms = ms;
        self
    }

    /// The same, with nobody knowing whether it was done.
    #[must_use]
    pub const fn unclear(mut self) -> Self {
        self.unclear = true;
        self
    }

    /// The same, as one that does or does not go away by itself.
    #[must_use]
    pub const fn permanent(mut self, permanent: bool) -> Self {
        self.permanent = permanent;
        self
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed ({}", self.operation, self.kind.as_str())?;
        if let Some(code) = &self.code {
            write!(f, ", {code}")?;
        }
        if let Some(status) = self.http_status {
            write!(f, ", HTTP {status}")?;
        }
        write!(f, "): {}", self.words)
    }
}

impl core::error::Error for ProviderError {}

/// One line without control characters, cut at a character.
fn shortened(words: &str) -> String {
    let clean = |each: char| if each.is_control() { ' ' } else { each };
    let mut chars = words.trim().chars().map(clean);
    let mut kept: String = chars.by_ref().take(ProviderError::LONGEST).collect();
    if chars.next().is_some() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_on_one_line_and_cut() {
        let error = ProviderError::new(ErrorKind::Capacity, "create", " none\nleft ");
        assert_eq!(error.words, "none left");
        assert_eq!(
            error.code("Insufficient").status(500).to_string(),
            "create failed (capacity, Insufficient, HTTP 500): none left"
        );
        let long = ProviderError::new(ErrorKind::Auth, "list", &"é".repeat(400));
        assert_eq!(long.words.chars().count(), ProviderError::LONGEST + 1);
        assert!(long.permanent && !long.unclear);
    }

    #[test]
    fn no_answer_leaves_it_open_what_was_done() {
        let error = ProviderError::no_answer("create", "timed out");
        assert!(error.unclear && !error.permanent);
        assert_eq!(error.kind, ErrorKind::Network);
    }
}
