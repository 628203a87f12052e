//! An account on a test host: what it says is read and acknowledged, its calls wait for the test's answers.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tidegate_provider_api::{
    Billing, CreateSpec, ErrorKind, Fingerprint, Machine, MachineState, Marker, Page,
    ProviderError, Reply as VendorReply, Request, Runtime, Settings,
};

use super::super::Account;
use super::vendor::PLAIN;
use crate::bindings::ObjectName;
use crate::bindings::account::{AccountCommand, AccountSpec, AccountView};
use crate::bindings::instance::{Done, InstanceCommand};
use crate::bindings::journal::JournalCommand;
use crate::bindings::ledger::{LedgerCommand, WindowStatement};
use crate::bindings::rental::{VendorAction, VendorFact};
use crate::driver::Driver;
use crate::rig::{Rig, START};
use crate::turn::{Effect, Outcome, Reply, Ticket, Turn, VendorCall};
use tidegate_domain::time::{Span, Timestamp};

pub const ACCOUNT: &str = "acc_1";
pub const PRICE: u64 = 440_000;

pub struct World {
    pub rig: Rig<Account>,
    pub open: Vec<VendorCall>,
    pub facts: Vec<(String, u32, VendorFact)>,
    pub audits: Vec<(String, String)>,
    pub statements: Vec<WindowStatement>,
    /// Everything else that was said.
    pub said: Vec<(String, Value)>,
    pub resolved: BTreeMap<Ticket, Value>,
    pub alarm_at: Option<Timestamp>,
    pub sequence: u64,
    /// The outbox is not answered.
    pub is_deaf: bool,
    /// Facts that were not acknowledged.
    unheard: std::collections::BTreeSet<u64>,
}

pub fn secs(secs: i64) -> Span {
    Span::from_secs(secs)
}

pub fn fingerprint() -> Fingerprint {
    Fingerprint::parse("0123456789").unwrap()
}

pub fn marker(instance: &str, attempt: u32) -> Marker {
    Marker {
        fingerprint: fingerprint(),
        instance: instance.to_owned(),
        attempt,
    }
}

pub fn spec(instance: &str) -> Box<CreateSpec> {
    Box::new(CreateSpec {
        marker: marker(instance, 1),
        region: "r1".to_owned(),
        zone: None,
        machine_type: "l4".to_owned(),
        gpu_count: 1,
        spot: false,
        max_microusd_per_hour: None,
        disk_gb: 50,
        runtime: Runtime::default(),
        lifetime_secs: 3_600,
        ssh_public_key: None,
        callback: None,
    })
}

pub fn machine(id: &str, instance: &str) -> Machine {
    Machine {
        id: id.to_owned(),
        marker: Some(marker(instance, 1)),
        state: MachineState::Running,
        raw_state: "RUNNING".to_owned(),
        reason: None,
        region: "r1".to_owned(),
        zone: None,
        machine_type: Some("l4".to_owned()),
        gpu_count: Some(1),
        microusd_per_hour: Some(PRICE),
        billing: Billing::Full,
        billed_from_ms: None,
        billed_until_ms: None,
        endpoint: None,
        address: None,
    }
}

pub fn terminated(id: &str, instance: &str) -> Machine {
    Machine {
        state: MachineState::Terminated,
        raw_state: "TERMINATED".to_owned(),
        billing: Billing::None,
        ..machine(id, instance)
    }
}

pub fn shown(machine: Machine) -> VendorReply {
    VendorReply::Machine {
        machine: Box::new(machine),
    }
}

pub fn created(machine: Machine) -> VendorReply {
    VendorReply::Created {
        machine: Box::new(machine),
    }
}

pub fn accepted() -> VendorReply {
    VendorReply::Accepted { machine: None }
}

pub fn page(machines: Vec<Machine>, next: Option<&str>) -> VendorReply {
    VendorReply::Machines(Page {
        machines,
        next: next.map(str::to_owned),
    })
}

pub fn error(kind: ErrorKind, operation: &str) -> ProviderError {
    ProviderError::new(kind, operation, "as the test says")
}

pub fn no_answer(operation: &str) -> ProviderError {
    ProviderError::no_answer(operation, "as the test says")
}

pub fn list(region: &str, page: Option<&str>) -> Request {
    Request::List {
        region: region.to_owned(),
        page: page.map(str::to_owned),
    }
}

pub fn get(id: &str) -> Request {
    Request::Get {
        region: "r1".to_owned(),
        id: id.to_owned(),
    }
}

pub fn destroy(id: &str) -> Request {
    Request::Destroy {
        region: "r1".to_owned(),
        id: id.to_owned(),
    }
}

impl World {
    /// Nobody has told the account anything.
    pub fn new() -> Self {
        Self {
            rig: Rig::new(ObjectName::account("acme", ACCOUNT)),
            open: Vec::new(),
            facts: Vec::new(),
            audits: Vec::new(),
            statements: Vec::new(),
            said: Vec::new(),
            resolved: BTreeMap::new(),
            alarm_at: None,
            sequence: 0,
            is_deaf: false,
            unheard: std::collections::BTreeSet::new(),
        }
    }

    /// Connected, with its first sweep done and nothing found.
    pub fn connected(vendor: &str) -> Self {
        let mut world = Self::new();
        world.configure(vendor, "r1", 1);
        world.answer(&list("r1", None), Ok(page(vec![], None)));
        world.said.clear();
        world.assert_idle();
        world
    }

    pub fn plain() -> Self {
        Self::connected(PLAIN)
    }

    /// One machine, `m1`, rented for `a`.
    pub fn renting(vendor: &str) -> Self {
        let mut world = Self::connected(vendor);
        world.rent("a");
        world.answer(&Request::Create(spec("a")), Ok(created(machine("m1", "a"))));
        world.facts.clear();
        world.assert_idle();
        world
    }

    pub fn configure(&mut self, vendor: &str, regions: &str, generation: u64) {
        let settings = [("regions".to_owned(), regions.to_owned())];
        let spec = AccountSpec {
            generation,
            vendor: vendor.to_owned(),
            label: "test".to_owned(),
            settings: Settings(settings.into_iter().collect()),
            fingerprint: fingerprint(),
        };
        let sealed = (generation == 1).then(|| "sealed-1".to_owned());
        self.tell(&AccountCommand::Configure { spec, sealed });
    }

    /// What a turn has let out: messages are read and acknowledged, calls stay open.
    pub fn heed(&mut self, turn: Turn) -> Option<Reply> {
        if let Some(at) = turn.alarm_at() {
            self.alarm_at = Some(at);
        }
        for effect in turn.effects {
            match effect {
                Effect::Send { id, to, message } => {
                    self.hear(&to, &message);
                    if !self.is_deaf {
                        let reply = "{}".to_owned();
                        let turn = self.rig.done(id, Outcome::Delivered { reply });
                        assert_eq!(turn.effects, []);
                        if let Some(at) = turn.alarm_at() {
                            self.alarm_at = Some(at);
                        }
                    }
                }
                Effect::Vendor(call) => {
                    assert_eq!(call.credential.org, "acme");
                    assert_eq!(call.credential.record, "account/acc_1");
                    self.open.push(*call);
                }
                Effect::Resolve { ticket, reply } => {
                    let reply = serde_json::from_str(&reply).unwrap();
                    assert!(self.resolved.insert(ticket, reply).is_none());
                }
                other => panic!("not an effect of an account: {other:?}"),
            }
        }
        turn.reply
    }

    fn hear(&mut self, to: &ObjectName, message: &str) {
        let kind = to.as_str().split('/').next().unwrap().to_owned();
        match kind.as_str() {
            "instance" => match serde_json::from_str(message).unwrap() {
                InstanceCommand::Heard {
                    event_id,
                    sequence,
                    at_ms,
                    attempt,
                    fact,
                } => {
                    assert_eq!(event_id, format!("account/acme/acc_1/{sequence}"));
                    if self.unheard.contains(&sequence) {
                        // It comes again, as it was.
                        return;
                    }
                    assert!(sequence > self.sequence);
                    self.sequence = sequence;
                    assert_eq!(at_ms, self.rig.now.as_ms());
                    if self.is_deaf {
                        self.unheard.insert(sequence);
                    }
                    let instance = to.tail().unwrap().to_owned();
                    self.facts.push((instance, attempt, fact));
                }
                other => {
                    let other = serde_json::to_value(other).unwrap();
                    self.said.push((to.to_string(), other));
                }
            },
            "journal" => {
                let JournalCommand::Append { entries, .. } = serde_json::from_str(message).unwrap()
                else {
                    panic!("not an audit: {message}");
                };
                for entry in entries {
                    assert_eq!(entry.actor, "account/acc_1");
                    self.audits.push((entry.action, entry.subject));
                }
            }
            "ledger" => {
                let LedgerCommand::State { statement } = serde_json::from_str(message).unwrap()
                else {
                    panic!("not a statement: {message}");
                };
                self.statements.push(statement);
            }
            _ => {
                let message = serde_json::from_str(message).unwrap();
                self.said.push((to.to_string(), message));
            }
        }
    }

    pub fn ask<A: DeserializeOwned>(&mut self, command: &AccountCommand) -> A {
        let turn = self.rig.try_call(command).unwrap();
        match self.heed(turn) {
            Some(Reply::Now(reply)) => serde_json::from_str(&reply).unwrap(),
            other => panic!("not an answer: {other:?}"),
        }
    }

    pub fn tell(&mut self, command: &AccountCommand) {
        let Done {} = self.ask(command);
    }

    /// A long poll: its ticket.
    pub fn poll(&mut self, command: &AccountCommand) -> Ticket {
        let turn = self.rig.try_call(command).unwrap();
        match self.heed(turn) {
            Some(Reply::Later(ticket)) => ticket,
            other => panic!("not a long poll: {other:?}"),
        }
    }

    pub fn resolved<A: DeserializeOwned>(&mut self, ticket: Ticket) -> A {
        let reply = self.resolved.remove(&ticket).expect("the poll is answered");
        serde_json::from_value(reply).unwrap()
    }

    pub fn view(&mut self) -> AccountView {
        self.ask(&AccountCommand::Describe)
    }

    pub fn rent(&mut self, instance: &str) {
        self.tell(&AccountCommand::Rent {
            spec: spec(instance),
        });
    }

    pub fn act(&mut self, instance: &str, action: VendorAction, number: u64) {
        self.tell(&AccountCommand::Act {
            instance: instance.to_owned(),
            attempt: 1,
            action,
            number,
        });
    }

    pub fn look(&mut self, instance: &str) {
        self.tell(&AccountCommand::Look {
            instance: instance.to_owned(),
            attempt: 1,
        });
    }

    pub fn abandon(&mut self, instance: &str) {
        self.tell(&AccountCommand::Abandon {
            instance: instance.to_owned(),
            attempt: 1,
        });
    }

    /// The calls that wait for an answer.
    pub fn calls(&self) -> Vec<Request> {
        self.open.iter().map(|call| call.request.clone()).collect()
    }

    /// The vendor answers this call.
    pub fn answer(&mut self, request: &Request, answer: Result<VendorReply, ProviderError>) {
        let place = self.open.iter().position(|call| call.request == *request);
        let place = place.unwrap_or_else(|| panic!("not asked: {request:?} of {:?}", self.calls()));
        let call = self.open.remove(place);
        self.end(&call, answer);
    }

    pub fn end(&mut self, call: &VendorCall, answer: Result<VendorReply, ProviderError>) {
        let (reply, error) = match answer {
            Ok(reply) => (Some(reply), None),
            Err(error) => (None, Some(error)),
        };
        let turn = self.rig.done(
            call.id,
            Outcome::Vendor {
                reply,
                error,
                latency_ms: 5,
            },
        );
        self.heed(turn);
    }

    pub fn alarm(&mut self) {
        self.alarm_at = None;
        let turn = self.rig.turn(Driver::alarm).unwrap();
        self.heed(turn);
    }

    /// Time passes, and every alarm rings when it should.
    pub fn wait(&mut self, span: Span) {
        let until = self.rig.now + span;
        for _ in 0..10_000 {
            match self.alarm_at {
                Some(at) if at <= until => {
                    self.rig.now = at.max(self.rig.now);
                    self.alarm();
                }
                _ => {
                    self.rig.now = until;
                    return;
                }
            }
        }
        panic!("the alarm does not stop ringing");
    }

    /// Time passes until this call is made.
    pub fn wait_for(&mut self, request: &Request) {
        for _ in 0..1_000 {
            if self.calls().contains(request) {
                return;
            }
            let at = self.alarm_at.expect("something is due");
            self.rig.now = at.max(self.rig.now);
            self.alarm();
        }
        panic!("never asked: {request:?}");
    }

    /// The next sweep of this region, answered with this.
    pub fn sweep(&mut self, machines: &[Machine]) {
        self.wait_for(&list("r1", None));
        self.answer(&list("r1", None), Ok(page(machines.to_vec(), None)));
    }

    /// The facts since the last time, of `a` or of whomever.
    pub fn take_facts(&mut self) -> Vec<VendorFact> {
        self.facts.drain(..).map(|(_, _, fact)| fact).collect()
    }

    pub fn take_audits(&mut self) -> Vec<String> {
        let audits = self.audits.drain(..);
        audits
            .map(|(action, subject)| format!("{action} {subject}"))
            .collect()
    }

    /// Nothing is under way and nothing was said that the test has not read.
    pub fn assert_idle(&mut self) {
        assert_eq!(self.calls(), []);
        self.assert_quiet();
    }

    /// Nothing was said that the test has not read; pokes apart.
    pub fn assert_quiet(&mut self) {
        self.said.retain(|(to, message)| {
            let is_tick = to.starts_with("instance/") && message["command"] == "tick";
            let is_swept = to == "directory" && message["command"] == "swept";
            !is_tick && !is_swept
        });
        assert_eq!(self.said, []);
        assert_eq!(self.facts, []);
        assert_eq!(self.audits, []);
        assert_eq!(self.statements, []);
        assert_eq!(self.resolved, BTreeMap::new());
    }

    pub fn at(&self, secs: i64) -> i64 {
        (START + Span::from_secs(secs)).as_ms()
    }
}

pub fn seen(machine: Machine) -> VendorFact {
    VendorFact::Seen {
        machine: Box::new(machine),
    }
}

pub fn fact_created(machine: Machine) -> VendorFact {
    VendorFact::Created {
        machine: Box::new(machine),
    }
}
