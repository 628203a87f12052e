//! The registry: answers from what the test has put into the rig.

use serde_json::Value;
use tidegate_durable::bindings::ObjectKind;
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand, SnapshotAnswer};
use tidegate_edge::effect::CallOutcome;

use crate::rig::Rig;

impl Rig {
    pub fn with_fleet(&mut self, id: u32, mut lines: Vec<String>) -> Vec<String> {
        while self.fleet_is_up {
            let asks = &mut self.talks.get_mut(&id).unwrap().asks;
            let Some(place) = asks
                .iter()
                .position(|open| open.to.kind() == ObjectKind::Fleet)
            else {
                break;
            };
            let open = asks.remove(place).unwrap();
            let reply = self.fleet_reply(&open.message);
            let outcome = CallOutcome::Answered(reply);
            let effects = self.gateway.answered(id, self.now, open.call, outcome);
            lines = self.take(id, effects);
        }
        lines
    }

    pub fn fleet_reply(&mut self, message: &Value) -> String {
        self.fleet_asked
            .push(message["command"].as_str().unwrap().to_owned());
        match serde_json::from_value(message.clone()).unwrap() {
            FleetCommand::Key { id } => {
                let answer = match self.records.get(&id) {
                    Some(record) => FleetAnswer::Key {
                        record: Box::new(record.clone()),
                    },
                    None => FleetAnswer::NotFound,
                };
                serde_json::to_string(&answer).unwrap()
            }
            FleetCommand::Snapshot { known_version } => {
                let answer = if known_version == self.snapshot.version {
                    SnapshotAnswer::Unchanged
                } else {
                    SnapshotAnswer::Fresh {
                        snapshot: self.snapshot.clone(),
                    }
                };
                serde_json::to_string(&answer).unwrap()
            }
            other => panic!("nobody asks a fleet this here: {other:?}"),
        }
    }

    /// Ends the oldest refresh that runs behind a request.
    pub fn refreshed(&mut self) {
        let (token, _, message) = self.refreshes.pop_front().unwrap();
        let reply = self.fleet_reply(&serde_json::from_str(&message).unwrap());
        self.gateway
            .refreshed(self.now, token, CallOutcome::Answered(reply));
    }
}
