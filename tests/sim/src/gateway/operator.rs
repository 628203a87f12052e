//! Who administers: sets everything up, then changes it in the middle, one command after the other, each
//! until it is answered.

use std::collections::{BTreeMap, VecDeque};

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::{
    FleetCommand, KeyRecord, Route, ServerChange, ServerEntry,
};
use tidegate_durable::bindings::instance::CheckReport;
use tidegate_durable::bindings::key::KeyLimits;
use tidegate_vault::{ApiKey, Installation, Keyring, Organisation, WrappingKey};

use super::scenario::Scenario;
use super::{Caller, Event, World};
use crate::rng::Rng;

const SECRET: &[u8] = b"a secret of the simulation, 0123456789abcdef";
/// The organisation of every run.
pub const ORG: &str = "default";

/// A key that clients use.
pub struct KeyInUse {
    /// What clients send.
    pub text: String,
    /// Its id.
    pub id: String,
    /// Its limits.
    pub limits: KeyLimits,
    hash: String,
}

/// The operator.
pub struct Operator {
    /// Keys in use.
    pub keys: Vec<KeyInUse>,
    /// The id under which each server is registered now.
    pub registered: BTreeMap<usize, String>,
    commands: VecDeque<FleetCommand>,
    begun: bool,
    generation: u32,
    drained: Option<String>,
}

/// What every isolate is told by its environment.
#[expect(clippy::expect_used, reason = "the secret is a constant")]
pub fn installation() -> Installation {
    Installation::derive(SECRET).expect("the secret is long enough")
}

/// The wrapping keys.
#[expect(clippy::expect_used, reason = "the secret is a constant")]
pub fn keyring() -> Keyring {
    Keyring::new(
        WrappingKey::derive(SECRET).expect("the secret is long enough"),
        None,
    )
}

impl Operator {
    /// With the commands that set the scenario up.
    #[expect(clippy::expect_used, reason = "constants")]
    pub fn new(scenario: &Scenario, rng: &mut Rng) -> Self {
        let organisation = Organisation::parse(ORG).expect("an organisation");
        let keys = scenario.keys.iter().map(|limits| {
            let key = ApiKey::mint(&installation(), &organisation, random(rng));
            KeyInUse {
                text: key.text.expose_str().unwrap_or_default().to_owned(),
                id: key.key_id.to_string(),
                limits: *limits,
                hash: key.secret_hash.to_hex(),
            }
        });
        let mut operator = Self {
            keys: keys.collect(),
            registered: BTreeMap::new(),
            commands: VecDeque::new(),
            begun: false,
            generation: 0,
            drained: None,
        };
        operator.commands.push_back(FleetCommand::PutPolicy {
            policy: scenario.policy.clone(),
        });
        for server in 0..scenario.servers.len() {
            operator.register(scenario, server, scenario.start_ms);
        }
        for key in &operator.keys {
            let record = KeyRecord {
                id: key.id.clone(),
                name: "clients".to_owned(),
                secret_hash: key.hash.clone(),
                scopes: vec!["inference".to_owned()],
                limits: key.limits,
                created_at_ms: scenario.start_ms,
                ..KeyRecord::default()
            };
            operator
                .commands
                .push_back(FleetCommand::MintKey { record });
        }
        if let Some(strategy) = scenario.strategy {
            let route = Route {
                targets: vec!["m".to_owned()],
                strategy,
                ..Route::default()
            };
            operator.commands.push_back(FleetCommand::PutRoute {
                name: "m".to_owned(),
                route,
            });
        }
        operator
    }

    fn register(&mut self, scenario: &Scenario, server: usize, now_ms: i64) {
        let Some(plan) = scenario.servers.get(server) else {
            return;
        };
        self.generation += 1;
        let id = format!("srv{server}-{:03}", self.generation);
        self.registered.insert(server, id.clone());
        let entry = ServerEntry {
            model_name: "m".to_owned(),
            endpoint_url: format!("https://s{server}.models.tidegate.dev/v1"),
            sealed_api_key: None,
            owner: None,
            max_concurrency: plan.capacity,
            queue_depth: plan.queue,
            weight: 1,
            priority: 0,
            price_microusd_per_hour: 1_000,
            metadata: BTreeMap::new(),
            upstream_model: None,
            first_token_cap_ms: None,
        };
        let first_check = CheckReport {
            at_ms: now_ms,
            ok: true,
            latency_ms: 9,
            reason: None,
        };
        self.commands.push_back(FleetCommand::Register {
            id,
            entry,
            first_check,
        });
    }

    /// Whether nothing is left to do.
    pub fn is_idle(&self) -> bool {
        self.commands.is_empty()
    }
}

fn random<const N: usize>(rng: &mut Rng) -> [u8; N] {
    core::array::from_fn(|_| rng.next().to_le_bytes()[0])
}

impl World {
    /// The operator's next command goes out.
    pub fn operate(&mut self) {
        let Some(command) = self.around.operator.commands.front() else {
            if !self.around.operator.begun {
                self.around.operator.begun = true;
                // Long enough for what the set-up sent to arrive.
                self.after(500, Event::Begin);
            }
            return;
        };
        let message = serde_json::to_string(command).unwrap_or_default();
        self.note(|| format!("the operator says {message}"));
        self.send(&ObjectName::fleet(ORG), message, 5_000, Caller::Operator);
    }

    /// The operator has an answer, or tries again.
    pub fn operator_hears(&mut self, said: Result<String, String>) {
        let pause = match said {
            Ok(text) => {
                if text.contains(r#""answer":"invalid""#) {
                    self.violate("the operator's commands are sound", text);
                }
                self.around.operator.commands.pop_front();
                0
            }
            Err(_) => 300,
        };
        self.after(pause, Event::Operate);
    }

    fn command(&mut self, command: FleetCommand) {
        let was_idle = self.around.operator.is_idle();
        self.around.operator.commands.push_back(command);
        if was_idle {
            self.after(0, Event::Operate);
        }
    }

    /// The operator changes something.
    pub fn think_of_a_change(&mut self) {
        if self.is_calm() || self.around.scenario.change_every_ms == 0 {
            return;
        }
        let gap = self.rng.gap(self.around.scenario.change_every_ms);
        self.after(gap, Event::Change);
        let server = self.rng.index(self.around.scenario.servers.len());
        let Some(id) = self.around.operator.registered.get(&server).cloned() else {
            return;
        };
        match self.rng.index(5) {
            0 => {
                self.command(FleetCommand::Deregister { id });
                let was_idle = self.around.operator.is_idle();
                let (scenario, now) = (self.around.scenario.clone(), self.now);
                self.around.operator.register(&scenario, server, now);
                if was_idle {
                    self.after(0, Event::Operate);
                }
            }
            1 => match self.around.operator.drained.take() {
                Some(id) => self.command(FleetCommand::SetDraining {
                    id,
                    draining: false,
                }),
                None => {
                    self.around.operator.drained = Some(id.clone());
                    self.command(FleetCommand::SetDraining { id, draining: true });
                }
            },
            2 => {
                let capacity = u32::try_from(self.rng.range(1, 4)).unwrap_or(1);
                let change = ServerChange {
                    max_concurrency: Some(capacity),
                    ..ServerChange::default()
                };
                self.command(FleetCommand::Update { id, change });
            }
            3 => {
                let change = ServerChange {
                    weight: Some(2),
                    queue_depth: Some(3),
                    ..ServerChange::default()
                };
                self.command(FleetCommand::Update { id, change });
            }
            _ => {
                let policy = Scenario::draw(&mut self.rng).policy;
                self.around.oracle.policy_may_be(&policy);
                self.command(FleetCommand::PutPolicy { policy });
            }
        }
    }

    /// Faults are over: what was drained serves again.
    pub fn operator_calms(&mut self) {
        if let Some(id) = self.around.operator.drained.take() {
            self.command(FleetCommand::SetDraining {
                id,
                draining: false,
            });
        }
    }
}
