//! What runs on rented machines: a server that answers health checks and questions, and a script that calls home.

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::instance::InstanceCommand;
use tidegate_durable::bindings::rental::{CallHome, CallHomeAnswer, MachineSays};
use tidegate_durable::turn::{EffectId, Outcome};
use tidegate_provider_api::Ending;

use super::cloud::{Stage, Step};
use super::situations::Situation;
use super::{Caller, World};
use crate::world;

/// Between two calls, as machines are told.
const CALL_EVERY_MS: i64 = 15_000;

impl World {
    /// An instance asks the server on its machine.
    pub fn box_asked(
        &mut self,
        object: &ObjectName,
        life: u64,
        id: EffectId,
        url: &str,
        timeout_ms: u64,
    ) {
        let place = url
            .strip_prefix("https://pod")
            .and_then(|rest| rest.split('-').next())
            .and_then(|number| number.parse::<usize>().ok());
        let Some(place) = place else {
            return self.violate(
                "requests go to rented machines",
                format!("{object} asks {url}"),
            );
        };
        let machine = &self.around.cloud.machines[place];
        let is_up = machine.stage == Stage::Running && machine.serves;
        let fails = !self.is_calm() && self.rng.chance(30);
        let hangs = !self.is_calm() && self.rng.chance(10);
        let ms = self.rng.range(5, 400);
        let (ms, outcome) = if hangs {
            let reason = format!("no answer within {timeout_ms} ms");
            (
                i64::try_from(timeout_ms).unwrap_or(10_000),
                Outcome::Failed { reason },
            )
        } else if is_up && !fails {
            let body = r#"{"object":"list","data":[],"choices":[{"index":0}]}"#;
            (ms, fetched(200, body, ms))
        } else {
            // The vendor's proxy answers for what is not there.
            (ms, fetched(502, "", ms))
        };
        self.after(
            ms,
            world::Event::EffectDone {
                object: object.clone(),
                life,
                id,
                outcome,
            },
        );
    }

    /// A machine calls home, and again later.
    pub fn machine_calls(&mut self, place: usize) {
        let machine = &mut self.around.cloud.machines[place];
        let was_called = std::mem::replace(&mut machine.called, true);
        self.machine_says(
            place,
            if was_called {
                MachineSays::Alive
            } else {
                MachineSays::Booted
            },
        );
        self.plan(place, CALL_EVERY_MS, Step::Call);
    }

    /// A machine says something.
    pub fn machine_says(&mut self, place: usize, says: MachineSays) {
        let machine = &self.around.cloud.machines[place];
        let (Some(marker), run) = (machine.marker.clone(), machine.run) else {
            return;
        };
        let Some(org) = self.around.operator.org_of(&marker.fingerprint) else {
            return;
        };
        let call = InstanceCommand::CallHome(CallHome {
            attempt: marker.attempt,
            nonce: machine.nonce.clone(),
            says,
        });
        let to = ObjectName::instance(&org, &marker.instance);
        let message = serde_json::to_string(&call).unwrap_or_default();
        self.send(
            &to,
            message,
            10_000,
            Caller::Machine {
                machine: place,
                run,
            },
        );
    }

    /// A machine is answered.
    pub fn machine_hears(&mut self, place: usize, run: u64, said: Result<String, String>) {
        let Some(answer) = said
            .ok()
            .and_then(|text| serde_json::from_str::<CallHomeAnswer>(&text).ok())
        else {
            return;
        };
        let machine = &self.around.cloud.machines[place];
        let (is_up, is_now) = (machine.stage == Stage::Running, machine.run == run);
        if !is_now {
            return;
        }
        match answer {
            CallHomeAnswer::Heard { .. } => {}
            CallHomeAnswer::OtherMachine => {
                // Its twin was first. It goes on, and is found as what it is.
                self.met(Situation::TokenOfAnother);
            }
            CallHomeAnswer::NotExpected => {
                self.met(Situation::NotExpected);
                // Some images end themselves then. That nothing leaks must not depend on it.
                if place.is_multiple_of(2) && is_up {
                    self.begins_to_end(place, Ending::Itself);
                }
            }
        }
    }
}

fn fetched(status: u16, body: &str, ms: i64) -> Outcome {
    Outcome::Fetched {
        status,
        body: body.to_owned(),
        latency_ms: u64::try_from(ms).unwrap_or(0),
    }
}
