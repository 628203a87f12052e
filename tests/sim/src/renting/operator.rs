//! Who rents: connects accounts, sets budgets, launches, changes their mind; one command after the other, each
//! until it is answered.

use std::collections::VecDeque;

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::account::{AccountCommand, RemoveAnswer, RotateAnswer};
use tidegate_durable::bindings::fleet::{AccountEntry, FleetCommand, Profile};
use tidegate_durable::bindings::instance::InstanceCommand;
use tidegate_durable::bindings::ledger::{Budget, BudgetAnswer, LedgerCommand};
use tidegate_durable::bindings::rental::RentalVerb;
use tidegate_provider_api::{Fingerprint, Settings};

use super::cloud::key;
use super::scenario::{Scenario, Vendor};
use super::situations::Situation;
use super::{Caller, Event, World};

/// The organisations of a run.
pub const ORGS: [&str; 2] = ["default", "other"];
/// The one profile of each.
pub const PROFILE: &str = "p";

/// An account that is, or was, connected.
#[derive(Clone, Debug)]
pub struct Connected {
    /// Of which organisation.
    pub org: usize,
    /// Its id.
    pub id: String,
    /// At which customer account.
    pub tenant: usize,
    /// Marks its machines.
    pub fingerprint: Fingerprint,
    /// Its credential.
    pub key: String,
    /// It was removed.
    pub is_removed: bool,
}

/// A rental that was launched.
#[derive(Clone, Debug)]
pub struct Rented {
    /// Of which organisation.
    pub org: usize,
    /// Its id.
    pub id: String,
    /// Its plan's place.
    pub plan: usize,
}

/// What follows an answer.
#[derive(Clone, Debug)]
pub(super) enum Then {
    /// Nothing.
    Nothing,
    /// Another credential is in use.
    Rotated { account: usize, key: String },
    /// An account is forgotten.
    Removed { account: usize },
    /// A cap holds.
    Budget {
        org: usize,
        scope: String,
        cap: Option<u64>,
    },
}

#[derive(Clone, Debug)]
struct Command {
    to: ObjectName,
    message: String,
    then: Then,
    /// After so many tries in vain it is given up.
    tries: u32,
}

/// The operator.
pub struct Operator {
    /// Accounts, in the order in which they were connected.
    pub accounts: Vec<Connected>,
    /// Rentals, in the order of their launch.
    pub rentals: Vec<Rented>,
    commands: VecDeque<Command>,
    /// Credentials that were made.
    pub keys: u32,
    /// A command is out.
    waits: bool,
    begun: bool,
}

/// Prices are part of a type's name.
const TYPE: &str = "gpu-at-";

impl Operator {
    /// With the commands that set the scenario up.
    pub fn new(scenario: &Scenario) -> Self {
        let mut operator = Self {
            accounts: Vec::new(),
            rentals: Vec::new(),
            commands: VecDeque::new(),
            waits: false,
            begun: false,
            keys: 0,
        };
        for org in 0..scenario.orgs {
            operator.put_profile(org);
            for tenant in 0..scenario.tenants.len() {
                operator.connect(scenario, org, tenant, key(tenant, 0));
            }
        }
        for budget in &scenario.budgets {
            operator.put_budget(0, budget.scope, budget.period, budget.cap);
        }
        operator
    }

    fn push(&mut self, to: ObjectName, message: &impl serde::Serialize, then: Then, tries: u32) {
        let message = serde_json::to_string(message).unwrap_or_default();
        self.commands.push_back(Command {
            to,
            message,
            then,
            tries,
        });
    }

    fn put_profile(&mut self, org: usize) {
        let profile = Profile {
            kind: "custom".to_owned(),
            model_name: "m".to_owned(),
            image: "ghcr.io/tidegate/server:1".to_owned(),
            port: 8000,
            health_path: "/health".to_owned(),
            gpu_count: 1,
            disk_gb: 50,
            max_concurrency: 2,
            queue_depth: 4,
            max_instances: 10,
            max_lifetime_ms: 12 * 3_600_000,
            ..Profile::default()
        };
        let command = FleetCommand::PutProfile {
            name: PROFILE.to_owned(),
            profile: Box::new(profile),
        };
        self.push(
            ObjectName::fleet(ORGS[org]),
            &command,
            Then::Nothing,
            u32::MAX,
        );
    }

    pub(super) fn connect(&mut self, scenario: &Scenario, org: usize, tenant: usize, key: String) {
        let vendor = scenario.tenants[tenant].vendor;
        let number = self.accounts.len();
        let id = format!("acc{number}");
        let fingerprint = Fingerprint::parse(&format!("{:010x}", 0xacc0 + number))
            .expect("ten hexadecimal digits");
        self.accounts.push(Connected {
            org,
            id: id.clone(),
            tenant,
            fingerprint: fingerprint.clone(),
            key: key.clone(),
            is_removed: false,
        });
        let command = FleetCommand::ConnectAccount {
            id,
            entry: AccountEntry {
                vendor: vendor.name().to_owned(),
                label: format!("account {number}"),
                settings: settings(vendor),
                fingerprint,
            },
            sealed: key,
        };
        self.push(
            ObjectName::fleet(ORGS[org]),
            &command,
            Then::Nothing,
            u32::MAX,
        );
    }

    pub(super) fn put_budget(
        &mut self,
        org: usize,
        scope: &str,
        period: tidegate_durable::bindings::ledger::Period,
        cap: u64,
    ) {
        let command = LedgerCommand::PutBudget {
            scope: scope.to_owned(),
            budget: Budget {
                period,
                cap_microusd: Some(cap),
                target_microusd: None,
                thresholds: vec![50, 90],
            },
            actor: "admin".to_owned(),
        };
        let then = Then::Budget {
            org,
            scope: scope.to_owned(),
            cap: Some(cap),
        };
        self.push(ObjectName::ledger(ORGS[org]), &command, then, u32::MAX);
    }

    /// The account of an organisation at a customer account, the newest.
    pub fn account(&self, org: usize, tenant: usize) -> Option<&Connected> {
        let mut accounts = self.accounts.iter().rev();
        accounts.find(|it| it.org == org && it.tenant == tenant)
    }

    /// At which customer account an account rents.
    pub fn tenant_of(&self, object: &ObjectName) -> Option<usize> {
        self.connected(object).map(|account| account.tenant)
    }

    /// The account that an object is.
    pub fn connected(&self, object: &ObjectName) -> Option<&Connected> {
        let mut accounts = self.accounts.iter();
        accounts
            .find(|it| object.org() == Some(ORGS[it.org]) && object.tail() == Some(it.id.as_str()))
    }

    /// Whose machines a fingerprint marks.
    pub fn org_of(&self, fingerprint: &Fingerprint) -> Option<String> {
        let mut accounts = self.accounts.iter();
        let found = accounts.find(|it| it.fingerprint == *fingerprint)?;
        Some(ORGS[found.org].to_owned())
    }

    /// What is offered of a machine type, in micro-dollars an hour.
    pub fn price_of(&self, machine_type: &str) -> u64 {
        let price = machine_type.strip_prefix(TYPE);
        price
            .and_then(|price| price.parse().ok())
            .unwrap_or(360_000)
    }

    /// Whether nothing is left to do.
    pub fn is_idle(&self) -> bool {
        self.commands.is_empty()
    }
}

/// A machine type of this price.
pub fn type_of(microusd_per_hour: u64) -> String {
    format!("{TYPE}{microusd_per_hour}")
}

/// The region of a vendor's machines.
pub const fn region_of(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::RunPod => "EU-RO-1",
        Vendor::Aws => "us-east-1",
    }
}

fn settings(vendor: Vendor) -> Settings {
    let mut settings = Settings::default();
    if vendor == Vendor::Aws {
        let region = region_of(vendor).to_owned();
        settings.0.insert("regions".to_owned(), region);
    }
    settings
}

impl World {
    /// The operator's next command goes out.
    pub fn operate(&mut self) {
        if self.around.operator.waits {
            return;
        }
        let Some(command) = self.around.operator.commands.front().cloned() else {
            if !self.around.operator.begun {
                self.around.operator.begun = true;
                // Long enough for what the set-up sent to arrive.
                self.after(3_000, Event::Begin);
            }
            return;
        };
        let Command { to, message, .. } = command;
        self.around.operator.waits = true;
        self.note(|| format!("the operator says to {to}: {message}"));
        self.send(&to, message, 30_000, Caller::Operator);
    }

    /// The operator has an answer, or tries again.
    pub fn operator_hears(&mut self, said: Result<String, String>) {
        self.around.operator.waits = false;
        let Some(command) = self.around.operator.commands.front_mut() else {
            return;
        };
        let pause = match said {
            Ok(text) => {
                if text.contains(r#""answer":"invalid""#) {
                    let seen = format!("{}: {text}", command.message);
                    return self.violate("the operator's commands are sound", seen);
                }
                let then = command.then.clone();
                self.around.operator.commands.pop_front();
                self.follow(then, &text);
                0
            }
            Err(_) => {
                command.tries = command.tries.saturating_sub(1);
                if command.tries == 0 {
                    self.around.operator.commands.pop_front();
                }
                1_000
            }
        };
        self.after(pause, Event::Operate);
    }

    fn follow(&mut self, then: Then, answer: &str) {
        match then {
            Then::Nothing => {}
            Then::Rotated { account, key } => match serde_json::from_str(answer) {
                Ok(RotateAnswer::Rotated) => self.rotated(account, key),
                Ok(RotateAnswer::Refused { .. }) => {
                    self.met(Situation::RotationRefused);
                    let current = self.around.operator.accounts[account].key.clone();
                    if current.starts_with("stranger") {
                        // It must not stay.
                        let to = self.account_object(account);
                        let command = AccountCommand::Rotate {
                            sealed: key.clone(),
                        };
                        self.command(to, &command, Then::Rotated { account, key }, u32::MAX);
                    }
                }
                Err(_) => {}
            },
            Then::Removed { account } => match serde_json::from_str(answer) {
                Ok(RemoveAnswer::Removed) => self.removed(account),
                Ok(RemoveAnswer::Kept { .. }) => self.met(Situation::RemovalRefused),
                Err(_) => {}
            },
            Then::Budget { org, scope, cap } => {
                if let Ok(BudgetAnswer::Budget { .. }) = serde_json::from_str(answer) {
                    self.budget_is(org, &scope, cap);
                }
            }
        }
    }

    pub(super) fn command(
        &mut self,
        to: ObjectName,
        message: &impl serde::Serialize,
        then: Then,
        tries: u32,
    ) {
        let was_idle = self.around.operator.is_idle();
        self.around.operator.push(to, message, then, tries);
        if was_idle {
            self.after(0, Event::Operate);
        }
    }

    /// A rental is launched.
    pub fn launch(&mut self, plan: usize) {
        let Some(launch) = self.launch_of(plan) else {
            return;
        };
        let org = self.around.scenario.launches[plan].org;
        let number = self.around.operator.rentals.len();
        let id = format!("srv_{number:03}");
        self.around.operator.rentals.push(Rented {
            org,
            id: id.clone(),
            plan,
        });
        let command = FleetCommand::Launch {
            id: id.clone(),
            launch: Box::new(launch),
            sealed_ssh_key: None,
        };
        self.command(
            ObjectName::fleet(ORGS[org]),
            &command,
            Then::Nothing,
            u32::MAX,
        );
        let every = self.around.scenario.launches[plan].request_every_ms;
        if every > 0 {
            let gap = self.rng.gap(every);
            self.after(gap, Event::Request { rental: number });
        }
    }

    /// A verb for a rental.
    pub fn say(&mut self, rental: usize, verb: RentalVerb, tries: u32) {
        let Rented { org, id, .. } = self.around.operator.rentals[rental].clone();
        let command = InstanceCommand::Do {
            verb,
            actor: "admin".to_owned(),
        };
        let to = ObjectName::instance(ORGS[org], &id);
        self.command(to, &command, Then::Nothing, tries);
    }

    /// Everything that was launched is to end.
    pub fn end_everything(&mut self) {
        for rental in 0..self.around.operator.rentals.len() {
            self.say(rental, RentalVerb::Terminate, u32::MAX);
        }
    }
}
