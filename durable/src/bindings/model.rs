//! `Model`: requests that wait because every server of a model is full. Called by the edge (wait) and by
//! `Instance` (a slot is free).

use serde::{Deserialize, Serialize};

/// A message to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum ModelCommand {
    /// Wait for a slot. Long poll of at most 25 s; asked again with the same id and arrival time the
    /// request keeps its place.
    Wait {
        /// The request.
        request: String,
        /// Higher goes first.
        priority: u8,
        /// When it reached the gateway.
        arrived_at_ms: i64,
        /// When its answer is worth nothing any more.
        deadline_ms: i64,
        /// Servers that could serve it.
        candidates: Vec<String>,
        /// Requests that may wait for this model, from the policy.
        max_waiting: u32,
    },
    /// The request gave up. Answer: `Done`.
    GiveUp {
        /// The request.
        request: String,
    },
    /// A server has room. Answer: `Done`.
    SlotFree {
        /// The server.
        instance: String,
        /// Free slots.
        free: u32,
        /// Leases that the server has ever granted, if it counts them (a restart may count anew). Shows
        /// that a waiter who was sent has arrived, so that the next slot need not be held back for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grants: Option<u64>,
    },
    /// How many wait. Answer: [`ModelView`].
    Describe,
}

/// The answer to [`ModelCommand::Describe`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelView {
    /// Requests that wait for a slot of any server.
    pub waiting: u32,
}

/// The answer to [`ModelCommand::Wait`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "said")]
pub enum WaitAnswer {
    /// Ask this server now.
    Go {
        /// The server.
        instance: String,
    },
    /// Nothing yet: ask again with the same id.
    Again,
    /// Too many wait already, or the deadline has passed.
    Full {
        /// When asking again makes sense.
        retry_after_ms: u64,
    },
}
