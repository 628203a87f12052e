//! Changes that may be repeated: what the edge and a fleet say to each other about an idempotency key.

use serde::{Deserialize, Serialize};

/// Stands beside a change: carry it out unless it was carried out under this id before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    /// Which request, as [`super::fleet::FleetCommand::Reserve`] named it.
    pub id: String,
    /// What that answered: whoever holds another one is late.
    pub token: String,
    /// For whoever has to render the answer instead. No secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The answer to [`super::fleet::FleetCommand::Reserve`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum OnceAnswer {
    /// Go on and report with [`super::fleet::FleetCommand::Conclude`].
    Go {
        /// Names this asker.
        token: String,
        /// What ids and secrets are to be made from, the same for whoever takes over.
        seed: String,
        /// Whether the change is made and only its answer was lost.
        #[serde(default)]
        made: bool,
        /// What was left with the change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Another request with this key still runs.
    Running {
        /// When to ask again.
        retry_after_ms: u64,
    },
    /// It was answered before.
    Replay {
        /// With this.
        reply: OnceReply,
    },
    /// It was answered before, and the answer is not kept any more.
    Erased,
    /// The key came before with another body.
    Reused,
    /// No more keys are remembered for now.
    Full {
        /// When the oldest is forgotten.
        retry_after_ms: u64,
    },
}

/// An answer, to be given again byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnceReply {
    /// HTTP status.
    pub status: u16,
    /// Header lines, without those of one request.
    pub headers: Vec<(String, String)>,
    /// The body, sealed if it holds a secret.
    pub body: String,
    /// Whether it does.
    #[serde(default)]
    pub secret: bool,
}
