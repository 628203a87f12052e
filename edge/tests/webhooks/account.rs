//! An account that keeps the ids of what it heard, as the object does: a message counts once.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate_durable::bindings::account::{AccountCommand, HintAnswer};
use tidegate_edge::effect::CallOutcome;

use crate::rig::said;

#[derive(Default)]
pub struct Account {
    heard: BTreeMap<String, String>,
    /// Looks at machines that followed, in order.
    pub looks: Vec<Option<String>>,
    /// Messages under a known id with something else in them.
    pub alerts: u32,
}

impl Account {
    pub fn take(&mut self, message: &Value) -> CallOutcome {
        let command = serde_json::from_value(message.clone()).expect("a command");
        let AccountCommand::Hint {
            event_id,
            digest,
            machine,
        } = command
        else {
            panic!("an account is not asked that here: {command:?}");
        };
        let answer = match self.heard.get(&event_id) {
            Some(known) if *known == digest => HintAnswer::Again,
            Some(_) => {
                self.alerts += 1;
                HintAnswer::Differs
            }
            None => {
                self.heard.insert(event_id, digest);
                self.looks.push(machine);
                HintAnswer::Heard
            }
        };
        said(&answer)
    }

    /// The turn is written, and its answer lost.
    pub fn take_and_die(&mut self, message: &Value) -> CallOutcome {
        self.take(message);
        CallOutcome::Failed("the object was moved".to_owned())
    }
}
