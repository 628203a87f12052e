//! What a turn hands to its host: an answer, effects to run after the commit, and the alarm to set.

use serde::{Deserialize, Serialize};
use tidegate_domain::time::Timestamp;
use tidegate_provider_api::{ProviderError, Reply as VendorReply, Request, Settings};

use crate::bindings::ObjectName;

/// Names an effect within its object, so that its result finds its way back.
pub type EffectId = u64;

/// Names an answer that comes later than its turn (a long poll).
pub type Ticket = u64;

/// The answer to the caller of a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Now, as JSON.
    Now(String),
    /// When an [`Effect::Resolve`] with this ticket comes. Tickets do not outlive the object's memory:
    /// after an eviction the caller sees a broken call and asks again with the same id.
    Later(Ticket),
}

/// What the host does once the turn is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "effect")]
pub enum Effect {
    /// Deliver an outbox row; report with [`Outcome::Delivered`] or [`Outcome::Failed`].
    Send {
        /// The outbox row.
        id: EffectId,
        /// The receiving object.
        to: ObjectName,
        /// The message, as JSON.
        message: String,
    },
    /// `GET` a URL without following redirects, if the egress gate lets it through now: what was allowed
    /// when the URL was stored may not be any more. Report with [`Outcome::Fetched`], [`Outcome::Refused`]
    /// or [`Outcome::Failed`].
    Get {
        /// The effect.
        id: EffectId,
        /// Where.
        url: String,
        /// A bearer token for the `authorization` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bearer: Option<Bearer>,
        /// When to give up.
        timeout_ms: u64,
    },
    /// `POST` JSON to a URL, under the same rules as [`Effect::Get`].
    Post {
        /// The effect.
        id: EffectId,
        /// Where.
        url: String,
        /// A bearer token for the `authorization` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bearer: Option<Bearer>,
        /// The body.
        body: String,
        /// When to give up.
        timeout_ms: u64,
    },
    /// Ask a vendor of GPUs; report with [`Outcome::Vendor`].
    Vendor(Box<VendorCall>),
    /// Answer a caller that was told [`Reply::Later`].
    Resolve {
        /// Whose answer.
        ticket: Ticket,
        /// The answer, as JSON.
        reply: String,
    },
    /// Run [`crate::driver::Driver::soon`] after a moment, in this life of the object only. Unlike an
    /// alarm it costs no row and is forgotten with the object's memory, so it suits what is lost with
    /// that memory anyway.
    Soon {
        /// The moment; a few seconds at most, since the object stays in memory for it.
        after_ms: u64,
    },
}

/// A bearer token on its way to a host. Objects hold it sealed; the host opens it just before the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bearer {
    /// The organisation it was sealed for.
    pub org: String,
    /// The record it belongs to, `server/{id}`.
    pub record: String,
    /// The sealed text.
    pub sealed: String,
}

/// A call to a vendor. The host opens the credential, has the vendor's codec build the call and read the
/// reply, and sends it; what comes back to the object holds neither credential nor raw body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorCall {
    /// The effect.
    pub id: EffectId,
    /// The vendor.
    pub vendor: String,
    /// The account's credential: `account/{id}`, field `credential`.
    pub credential: Bearer,
    /// The account's settings.
    pub settings: Settings,
    /// What is asked for.
    pub request: Request,
    /// When to give up.
    pub timeout_ms: u64,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
pub enum Outcome {
    /// The message was accepted; this is the receiver's answer.
    Delivered {
        /// The receiver's answer, as JSON.
        reply: String,
    },
    /// The server answered.
    Fetched {
        /// HTTP status.
        status: u16,
        /// The head of the body, at most 64 KiB.
        body: String,
        /// How long it took.
        latency_ms: u64,
    },
    /// The vendor answered, or did not; the error says which.
    Vendor {
        /// Its reply.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<VendorReply>,
        /// Why there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<ProviderError>,
        /// How long it took.
        latency_ms: u64,
    },
    /// The egress gate does not let this address be called, so nothing was sent.
    Refused {
        /// Why, for people.
        reason: String,
    },
    /// It did not work; the words are for people, with no secret in them.
    Failed {
        /// What went wrong.
        reason: String,
    },
}

/// A finished turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The answer, if the turn had a caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// What to do now, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub effects: Vec<Effect>,
    /// The alarm to set, in milliseconds since the epoch, if it must change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm_at_ms: Option<i64>,
}

impl Turn {
    /// When the alarm should ring, if this turn changes it.
    pub fn alarm_at(&self) -> Option<Timestamp> {
        self.alarm_at_ms.map(Timestamp::from_ms)
    }
}
