//! What a vendor does when it is asked.
//!
//! Invariant: one call is looked at once, in the order of arrival; what it answers is what it did, unless the
//! trick of this call is that it is not.

use tidegate_provider_api::{
    CreateSpec, Ending, ErrorKind, Part, ProviderError, Region, Reply, Request,
};

use super::super::World;
use super::super::scenario::{Mood, Vendor};
use super::super::situations::Situation;
use super::flights::{Served, broken};
use super::machine::Stage;

/// Orders to end one machine that are forgotten.
const MOST_IGNORED: u32 = 2;

impl World {
    /// Looks at a call and does what it asks for.
    pub fn serve(&mut self, flight: u64) -> Served {
        let flight = &self.around.cloud.flights[&flight];
        let (tenant, request) = (flight.tenant, flight.request.clone());
        let (key, object) = (flight.key.clone(), flight.object.clone());
        let is_stranger = key.starts_with("stranger");
        let said = match self.turns_away(tenant, &key, &request) {
            Some(error) => Err(error),
            None if is_stranger => Ok(nothing(&request)),
            None => match &request {
                Request::Create(spec) => return self.creates(tenant, spec),
                Request::Verify => Ok(Reply::Verified { principal: None }),
                Request::Check { .. } => Ok(Reply::Allowed),
                Request::Regions => Ok(Reply::Regions {
                    regions: vec![Region {
                        id: "us-east-1".to_owned(),
                        name: "a region".to_owned(),
                        enabled: true,
                    }],
                }),
                Request::Shop(query) => Ok(Reply::Part(Part {
                    query: query.clone(),
                    body: serde_json::Value::Null,
                    next: None,
                })),
                Request::Get { id, .. } => self.gets(tenant, id),
                Request::List { region, page } => {
                    self.lists(tenant, &object, region, page.as_deref())
                }
                Request::Stop { id, .. } => self.stops(tenant, id),
                Request::Start { id, .. } => self.starts(tenant, id),
                Request::Destroy { id, .. } => self.destroys(tenant, id),
                Request::Bill {
                    id,
                    since_ms,
                    until_ms,
                    ..
                } => self.bills(tenant, id, *since_ms, *until_ms),
            },
        };
        let is_sick = self.mood(tenant) == Some(Mood::Sick);
        if is_sick && said.is_ok() && self.rng.chance(150) {
            // It did it, and says that it broke.
            return Served {
                said: Err(broken(&request)),
                is_lost: false,
            };
        }
        Served {
            said,
            is_lost: false,
        }
    }

    /// Why it does not even look.
    fn turns_away(&mut self, tenant: usize, key: &str, request: &Request) -> Option<ProviderError> {
        let operation = request.operation();
        let mood = self.mood(tenant);
        let now = self.now;
        let counts =
            key.starts_with("stranger") || self.around.cloud.tenants[tenant].keys.contains(key);
        if mood == Some(Mood::Locked) {
            self.around.oracle.locked.insert(tenant);
        }
        if mood == Some(Mood::Locked) || !counts {
            self.met(Situation::CredentialRefused);
            return Some(
                ProviderError::new(ErrorKind::Auth, operation, "who are you?").status(401),
            );
        }
        let is_busy = mood == Some(Mood::Busy) && self.rng.chance(700);
        if is_busy || !self.around.cloud.tenants[tenant].takes_one(now) {
            let asked = self
                .rng
                .pick(&[None, Some(1_000), Some(12_000), Some(40_000)]);
            self.met(Situation::TooManyCalls);
            return Some(
                ProviderError::new(ErrorKind::RateLimited, operation, "too many calls")
                    .status(429)
                    .retry_after(asked),
            );
        }
        let breaks = mood == Some(Mood::Sick) && self.rng.chance(250);
        breaks.then(|| broken(request))
    }

    fn creates(&mut self, tenant: usize, spec: &CreateSpec) -> Served {
        let tricks = self.tricks(tenant);
        let vendor = self.around.cloud.tenants[tenant].plan.vendor;
        let token = spec.marker.to_string();
        let answered = |said| Served {
            said,
            is_lost: false,
        };
        let refuse = |kind, words: &str| answered(Err(ProviderError::new(kind, "create", words)));
        let known = self.around.cloud.tenants[tenant]
            .tokens
            .get(&token)
            .copied();
        if let Some(known) = known.filter(|_| vendor == Vendor::Aws) {
            self.met(Situation::CreateRepeated);
            if self.around.cloud.machines[known].stage == Stage::Gone {
                return refuse(ErrorKind::Validation, "the token's machine is terminated");
            }
            return answered(Ok(self.created(known)));
        }
        let is_full = self.mood(tenant) == Some(Mood::Full);
        if is_full || self.rng.chance(tricks.no_capacity) {
            self.met(Situation::NoCapacity);
            return refuse(ErrorKind::Capacity, "there are none left");
        }
        if self.rng.chance(tricks.no_quota) {
            return refuse(ErrorKind::Quota, "your limit is reached");
        }
        self.check_made(tenant, &token);
        let machine = self.make_machine(tenant, token.clone(), spec.clone());
        self.around.cloud.tenants[tenant]
            .tokens
            .insert(token.clone(), machine);
        if self.rng.chance(tricks.create_twice) {
            self.met(Situation::MadeTwice);
            self.make_machine(tenant, token, spec.clone());
        }
        if self.rng.chance(tricks.create_refused_but_did) {
            self.met(Situation::RefusedButDid);
            return refuse(ErrorKind::Capacity, "there are none left");
        }
        if self.rng.chance(tricks.create_failed_but_did) {
            self.met(Situation::FailedButDid);
            return answered(Err(broken(&Request::Create(Box::new(spec.clone())))));
        }
        Served {
            said: Ok(self.created(machine)),
            is_lost: self.rng.chance(tricks.create_answer_lost),
        }
    }

    fn created(&mut self, machine: usize) -> Reply {
        Reply::Created {
            machine: Box::new(self.report(machine)),
        }
    }

    /// The machine, if it shows that there is one.
    fn shown(&self, tenant: usize, id: &str, operation: &str) -> Result<usize, ProviderError> {
        let found = self.around.cloud.find(tenant, id);
        let found = found.filter(|place| {
            self.around.cloud.machines[*place].shown_from <= self.now && self.lingers(*place)
        });
        found.ok_or_else(|| {
            ProviderError::new(ErrorKind::NotFound, operation, "there is no such machine")
        })
    }

    fn gets(&mut self, tenant: usize, id: &str) -> Result<Reply, ProviderError> {
        let machine = self.shown(tenant, id, "get")?;
        let is_sick = self.mood(tenant) == Some(Mood::Sick);
        // Never twice in a row: nobody could tell that from the truth.
        let lies = is_sick && self.rng.chance(150);
        if lies && self.around.cloud.tenants[tenant].denied.insert(machine) {
            self.met(Situation::DeniedAMachine);
            self.around.oracle.denied.insert(machine);
            return Err(ProviderError::new(
                ErrorKind::NotFound,
                "get",
                "there is no such machine",
            ));
        }
        self.around.cloud.tenants[tenant].denied.remove(&machine);
        let mut report = self.report(machine);
        self.may_be_odd(tenant, &mut report);
        Ok(Reply::Machine {
            machine: Box::new(report),
        })
    }

    /// A state that nobody knows.
    pub fn may_be_odd(&mut self, tenant: usize, report: &mut tidegate_provider_api::Machine) {
        let odds = self.tricks(tenant).odd_state;
        if self.rng.chance(odds) && report.state != tidegate_provider_api::MachineState::Terminated
        {
            self.met(Situation::OddState);
            report.state = tidegate_provider_api::MachineState::Unknown;
            report.raw_state = "MIGRATING".to_owned();
        }
    }

    fn stops(&mut self, tenant: usize, id: &str) -> Result<Reply, ProviderError> {
        let machine = self.shown(tenant, id, "stop")?;
        let found = &self.around.cloud.machines[machine];
        let may = matches!(found.stage, Stage::Pending | Stage::Running) && !found.spec.spot;
        let refuses = self.rng.chance(self.tricks(tenant).stop_refused);
        if !may || refuses {
            return Err(not_now("stop"));
        }
        self.begins_to_stop(machine, Ending::Asked);
        Ok(Reply::Accepted { machine: None })
    }

    fn starts(&mut self, tenant: usize, id: &str) -> Result<Reply, ProviderError> {
        let machine = self.shown(tenant, id, "start")?;
        if self.around.cloud.machines[machine].stage != Stage::Stopped {
            return Err(not_now("start"));
        }
        if self.rng.chance(self.tricks(tenant).start_refused) {
            self.met(Situation::StartRefused);
            let words = "there are not enough free GPUs on its host";
            return Err(ProviderError::new(ErrorKind::Capacity, "start", words));
        }
        self.begins_to_start(machine);
        Ok(Reply::Accepted { machine: None })
    }

    fn destroys(&mut self, tenant: usize, id: &str) -> Result<Reply, ProviderError> {
        let machine = self.shown(tenant, id, "destroy")?;
        let ignores = self.rng.chance(self.tricks(tenant).end_ignored);
        let found = &mut self.around.cloud.machines[machine];
        if ignores && found.ignored < MOST_IGNORED && found.stage != Stage::Ending {
            found.ignored += 1;
            self.met(Situation::EndIgnored);
            return Ok(Reply::Accepted { machine: None });
        }
        self.begins_to_end(machine, Ending::Asked);
        Ok(Reply::Accepted { machine: None })
    }

    /// Bills are on record a while after they are due, in buckets of an hour.
    fn bills(
        &mut self,
        tenant: usize,
        id: &str,
        since_ms: i64,
        until_ms: i64,
    ) -> Result<Reply, ProviderError> {
        const HOUR: i64 = 3_600_000;
        const LAG: i64 = 45_000;
        let Some(machine) = self.around.cloud.find(tenant, id) else {
            return Ok(Reply::Bill { microusd: None });
        };
        let machine = &self.around.cloud.machines[machine];
        let on_record = machine.gone_at.is_some_and(|gone| gone + LAG <= self.now);
        let from = since_ms.div_euclid(HOUR) * HOUR;
        let to = (until_ms.div_euclid(HOUR) + 1) * HOUR;
        let microusd = machine.meter.cost_between(from, to.min(self.now));
        Ok(Reply::Bill {
            microusd: on_record.then_some(microusd),
        })
    }
}

/// What a customer is shown who has nothing.
fn nothing(request: &Request) -> Reply {
    match request {
        Request::List { .. } => Reply::Machines(tidegate_provider_api::Page::default()),
        _ => Reply::Verified { principal: None },
    }
}

fn not_now(operation: &str) -> ProviderError {
    let words = "it is not in a state for that";
    ProviderError::new(ErrorKind::Validation, operation, words).status(409)
}
