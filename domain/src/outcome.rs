//! How an attempt on a server ended, and what that says about the server.
//!
//! In scope: the taxonomy and its one reading for the breaker ([`Outcome::verdict`]). Out of scope:
//! recognising an outcome in a response, which is the stream reader's and the route's work.

use core::fmt;

use crate::time::Span;

/// How one granted attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A complete answer.
    Success,
    /// The server refused what the client sent. The server is fine. Also for servers that answer 500
    /// to an input that is too large: the caller maps those here.
    ClientError(u16),
    /// 429 or 503: the server asks for a pause, which is neither health nor failure.
    Backpressure {
        /// The status the server sent.
        status: u16,
        /// Its `Retry-After`. Zero, negative and unreadable values arrive as `None`.
        retry_after: Option<Span>,
    },
    /// The server failed.
    Failure {
        /// In which way.
        kind: FailureKind,
    },
    /// The client went away, so nobody knows how it would have ended.
    ClientLeft,
    /// Granted, but never sent: the loser of two tentative asks.
    Cancelled,
}

/// The ways a server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// A 5xx status other than 503.
    Http5xx(u16),
    /// No connection, or it broke before the response began.
    Transport,
    /// No first token in time.
    Timeout,
    /// Silence between two chunks for too long.
    Stalled,
    /// The stream ended before its end mark.
    CutStream,
    /// An answer that is not what the protocol allows.
    InvalidAnswer,
}

/// What an outcome says about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Good,
    /// It failed.
    Bad(FailureKind),
    /// Nothing either way.
    Neutral,
}

impl Outcome {
    /// The outcome as the breaker reads it: 2xx and 4xx are good, 429, 503, a client that left and an
    /// attempt never sent are neutral, everything else is bad.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Success | Self::ClientError(_) => Verdict::Good,
            Self::Failure { kind } => Verdict::Bad(kind),
            Self::Backpressure { .. } | Self::ClientLeft | Self::Cancelled => Verdict::Neutral,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http5xx(status) => write!(f, "status {status}"),
            Self::Transport => f.write_str("a transport error"),
            Self::Timeout => f.write_str("no first token in time"),
            Self::Stalled => f.write_str("a stalled stream"),
            Self::CutStream => f.write_str("a cut stream"),
            Self::InvalidAnswer => f.write_str("an invalid answer"),
        }
    }
}
