//! An exchange while it is open: what it is about and what it waits for.

use tidegate_domain::time::Timestamp;

use super::gathering::Gathering;
use super::shared::{Cx, Shared};
use crate::account::Notes;
use crate::effect::{CallId, CallOutcome, Effect, ProbeOutcome};
use crate::flow::{BodyTooLarge, Then};
use crate::inference::Inference;
use crate::request::Head;
use crate::upload::Upload;

/// One request, from its arrival to its answer.
pub struct Exchange {
    pub head: Head,
    pub request_id: String,
    pub notes: Notes,
    pub stage: Stage,
    pub next_call: CallId,
    pub arrived_at: Timestamp,
    /// Header lines of any answer to it.
    pub always: Vec<(String, String)>,
    /// Its client went away while something else than inference ran.
    pub left: bool,
}

/// What it waits for.
pub enum Stage {
    Body {
        limit: usize,
        then: Then<Result<Vec<u8>, BodyTooLarge>>,
    },
    Upload {
        upload: Box<Upload>,
        then: Then<Box<Upload>>,
    },
    Ask {
        call: CallId,
        then: Then<CallOutcome>,
    },
    Gather(Gathering),
    Probe {
        call: CallId,
        then: Then<ProbeOutcome>,
    },
    Inference(Box<Inference>),
    Over,
}

impl Exchange {
    /// What a handler sees of it.
    pub fn cx<'a>(
        &'a mut self,
        shared: &'a mut Shared,
        now: Timestamp,
        effects: &'a mut Vec<Effect>,
    ) -> Cx<'a> {
        Cx {
            shared,
            now,
            head: &self.head,
            request_id: &self.request_id,
            notes: &mut self.notes,
            arrived_at: self.arrived_at,
            effects,
        }
    }
}
