//! A gateway, its objects and the model servers outside, in one process.
//!
//! Invariant of every exchange: exactly one answer, with its id; no secret in it, nor in any effect but
//! the bearer of a probe.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::fleet::{ServerStatus, SnapshotAnswer};
use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::driver::{Driver, Host, Object};
use tidegate_durable::fleet_do::Fleet;
use tidegate_durable::journal_do::Journal;
use tidegate_durable::testkit::{Seeded, Store};
use tidegate_durable::turn::{Effect as ObjectEffect, Reply, Turn};
use tidegate_edge::effect::{CallOutcome, Effect, ProbeOutcome};
use tidegate_edge::gateway::{Config, Gateway};
use tidegate_edge::request::Head;
use tidegate_vault::{Installation, Keyring, Secret};

use crate::document::{Seen, document};

pub const INSTALLATION: &str = "installation-0123456789abcdef-xyz";
pub const ADMIN_KEY: &str = "admin-key-0123456789";
pub const SERVER_KEY: &str = "sk-upstream-very-secret";
pub const OTHER_KEY: &str = "sk-upstream-second-secret";
/// 2026-11-21 10:00:00 UTC.
pub const START: Timestamp = Timestamp::from_ms(1_795_255_200_000);
pub const URL: &str = "https://gpu.example.com:8000/v1";

/// What became of a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The error's code, parameter and status.
    pub fn error(&self) -> (u16, &str, Option<&str>) {
        let error = &self.body["error"];
        assert!(error["type"].is_string(), "not an error: {}", self.body);
        (
            self.status,
            error["code"].as_str().unwrap(),
            error["param"].as_str(),
        )
    }

    pub fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap()
    }

    pub fn text(&self, field: &str) -> &str {
        self.body[field]
            .as_str()
            .unwrap_or_else(|| panic!("no text `{field}` in {}", self.body))
    }
}

/// A request under way.
pub struct Running {
    pub id: u32,
    method: String,
    path: String,
    body: Vec<u8>,
    todo: std::collections::VecDeque<Effect>,
    pub answer: Option<Answer>,
    /// The body of the answer, byte by byte.
    pub text: String,
}

/// One object on SQLite.
struct Kept<O> {
    store: Store,
    entropy: Seeded,
    driver: Driver<O>,
}

impl<O: Object> Kept<O> {
    fn open(name: ObjectName, now: Timestamp) -> Self {
        let (store, entropy) = (Store::new(), Seeded::new(11));
        let host = Host {
            sql: &store,
            entropy: &entropy,
            now,
        };
        let driver = Driver::open(&host, name).unwrap();
        Self {
            store,
            entropy,
            driver,
        }
    }

    fn call(&mut self, now: Timestamp, message: &str) -> Turn {
        let host = Host {
            sql: &self.store,
            entropy: &self.entropy,
            now,
        };
        self.driver.call(&host, message).unwrap()
    }
}

/// An answer in the place of an object's, or none.
pub type Script = Box<dyn FnMut(&ObjectName, &Value) -> Option<CallOutcome>>;

pub struct World {
    pub gateway: Gateway,
    pub now: Timestamp,
    /// Objects asked by the last request, with their messages.
    pub asked: Vec<(String, Value)>,
    /// Probes of the last request: URL and bearer.
    pub probed: Vec<(String, Option<String>)>,
    /// How the next probes end.
    pub probe: ProbeOutcome,
    /// Answers in the place of objects.
    pub script: Script,
    /// Lines of the log.
    pub lines: Vec<Value>,
    fleet: Kept<Fleet>,
    journals: BTreeMap<ObjectName, Kept<Journal>>,
    org: &'static str,
}

impl World {
    pub fn new() -> Self {
        Self::of_org("default")
    }

    pub fn of_org(org: &'static str) -> Self {
        Self {
            gateway: gateway(3),
            now: START,
            asked: Vec::new(),
            probed: Vec::new(),
            probe: models(&["tiny"]),
            script: Box::new(|_, _| None),
            lines: Vec::new(),
            fleet: Kept::open(ObjectName::fleet(org), START),
            journals: BTreeMap::new(),
            org,
        }
    }

    /// A request with the admin key.
    pub fn admin(&mut self, method: &str, path: &str, body: Value) -> Answer {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.raw(
            method,
            path,
            &[("x-api-key", ADMIN_KEY), ("x-tidegate-org", self.org)],
            text.as_bytes(),
        )
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.admin("GET", path, Value::Null)
    }

    pub fn raw(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let head = Head {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers.collect(),
        };
        self.asked.clear();
        self.probed.clear();
        let mut running = self.start(head, body);
        while self.advance(&mut running) {}
        assert_eq!(self.gateway.open_exchanges(), 0, "an exchange stays open");
        running.answer.expect("an answer")
    }

    /// A request that is taken on step by step.
    pub fn start(&mut self, head: Head, body: &[u8]) -> Running {
        let (method, path) = (head.method.clone(), head.path.clone());
        let (id, effects) = self.gateway.begin(self.now, head);
        Running {
            id,
            method,
            path,
            body: body.to_vec(),
            todo: effects.into(),
            answer: None,
            text: String::new(),
        }
    }

    /// Runs its next effect; false when it is over.
    pub fn advance(&mut self, running: &mut Running) -> bool {
        let id = running.id;
        let Some(effect) = running.todo.pop_front() else {
            panic!("an exchange waits for nothing");
        };
        guard(&effect);
        let more = match effect {
            Effect::ReadBody { limit } => {
                let body = (running.body.len() <= limit).then(|| running.body.clone());
                self.gateway.body(id, self.now, body)
            }
            Effect::Ask {
                call, to, message, ..
            } => {
                let outcome = self.ask(&to, &message);
                self.gateway.answered(id, self.now, call, outcome)
            }
            Effect::Probe {
                call, url, bearer, ..
            } => {
                self.probed.push((url, bearer));
                self.gateway.probed(id, self.now, call, self.probe.clone())
            }
            Effect::Respond {
                status,
                headers,
                body,
            } => {
                running.text = body.expect("a whole answer");
                let is_json = headers.iter().any(|(name, value)| {
                    name == "content-type" && value.starts_with("application/json")
                });
                let body = if is_json {
                    serde_json::from_str(&running.text).expect("an answer in JSON")
                } else {
                    Value::String(running.text.clone())
                };
                let again = running.answer.replace(Answer {
                    status,
                    headers,
                    body,
                });
                assert!(again.is_none(), "answered twice");
                Vec::new()
            }
            Effect::Done => {
                self.gateway.forget(id);
                let answer = running.answer.as_ref().expect("an answer");
                let refusal = document().refusal(&Seen {
                    method: &running.method,
                    path: &running.path,
                    status: answer.status,
                    headers: &answer.headers,
                    body: Some(&answer.body),
                });
                let Running { method, path, .. } = running;
                assert_eq!(refusal, None, "{method} {path}: {answer:?}");
                return false;
            }
            Effect::Log { line } => {
                self.lines.push(serde_json::from_str(&line).unwrap());
                Vec::new()
            }
            other => panic!("an admin route has no business with {other:?}"),
        };
        running.todo.extend(more);
        true
    }

    /// The isolate is gone, with whatever it was at; another one takes its place.
    pub fn lose_isolate(&mut self, seed: u64) {
        self.gateway = gateway(seed);
    }

    /// How many rows a table of the registry has.
    pub fn count(&self, table: &str) -> i64 {
        use tidegate_durable::ports::Sql;
        let statement = format!("SELECT COUNT(*) FROM {table}");
        let rows = self.fleet.store.exec(&statement, &[]).unwrap();
        rows[0][0].as_integer().unwrap()
    }

    /// All that the registry stores of repeatable changes.
    pub fn stored_repeats(&self) -> String {
        use tidegate_durable::ports::Sql;
        let rows = self.fleet.store.exec("SELECT * FROM once", &[]).unwrap();
        format!("{rows:?}")
    }

    fn ask(&mut self, to: &ObjectName, message: &str) -> CallOutcome {
        let read: Value = serde_json::from_str(message).unwrap();
        self.asked.push((to.to_string(), read.clone()));
        if let Some(outcome) = (self.script)(to, &read) {
            return outcome;
        }
        let (now, own) = (self.now, to.org() == Some(self.org));
        match to.kind() {
            ObjectKind::Fleet if own => {
                let turn = self.fleet.call(now, message);
                for effect in &turn.effects {
                    self.deliver(effect);
                }
                answered(turn)
            }
            ObjectKind::Journal if own => answered(self.journal(to, message)),
            ObjectKind::Instance => CallOutcome::Answered("{}".to_owned()),
            _ => panic!("nobody should ask {to}"),
        }
    }

    /// The registry reports to the journal; what it tells servers is not looked at here.
    fn deliver(&mut self, effect: &ObjectEffect) {
        if let ObjectEffect::Send { to, message, .. } = effect
            && to.kind() == ObjectKind::Journal
        {
            self.journal(to, message);
        }
    }

    /// A turn of a journal, whichever it is.
    pub fn journal(&mut self, name: &ObjectName, message: &str) -> Turn {
        let now = self.now;
        let open = || Kept::open(name.clone(), now);
        let journal = self.journals.entry(name.clone()).or_insert_with(open);
        journal.call(now, message)
    }

    /// What the fleet was asked, in order.
    pub fn commands(&self) -> Vec<&str> {
        self.asked
            .iter()
            .filter_map(|(_, message)| message["command"].as_str())
            .collect()
    }

    /// The message with this command.
    pub fn told(&self, command: &str) -> &Value {
        let found = self
            .asked
            .iter()
            .find(|(_, message)| message["command"] == command);
        &found
            .unwrap_or_else(|| panic!("`{command}` is not among {:?}", self.commands()))
            .1
    }

    /// Registers a server and returns its id.
    pub fn register(&mut self, more: Value) -> String {
        let mut body = json!({ "model_name": "tiny", "endpoint_url": URL });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = self.admin("POST", "/admin/register", body);
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("registration_id").to_owned()
    }

    /// A server's object tells the registry what it now is.
    pub fn announce(&mut self, id: &str, status: ServerStatus) {
        let message = json!({
            "command": "announce", "event_id": format!("{id}/1"), "instance": id,
            "status": status, "sequence": 1,
        });
        self.tell_registry(&message);
    }

    /// Another object tells the registry something.
    pub fn tell_registry(&mut self, message: &Value) {
        self.fleet.call(self.now, &message.to_string());
    }

    /// The routing snapshot as isolates get it.
    pub fn snapshot(&mut self) -> tidegate_durable::bindings::fleet::Snapshot {
        let message = json!({ "command": "snapshot", "known_version": 0 }).to_string();
        let CallOutcome::Answered(text) = answered(self.fleet.call(self.now, &message)) else {
            panic!("no snapshot");
        };
        match serde_json::from_str(&text).unwrap() {
            SnapshotAnswer::Fresh { snapshot } => snapshot,
            SnapshotAnswer::Unchanged => panic!("nothing is known yet"),
        }
    }

    pub fn wait(&mut self, span: Span) {
        self.now = self.now + span;
    }

    /// Every question to this class of objects stays unanswered.
    pub fn silence(&mut self, kind: ObjectKind) {
        let lost = CallOutcome::Failed("timed out".to_owned());
        self.script = Box::new(move |to, _| (to.kind() == kind).then(|| lost.clone()));
    }
}

fn gateway(seed: u64) -> Gateway {
    let installation = Installation::derive(INSTALLATION.as_bytes()).unwrap();
    let keyring = Keyring::new(installation.wrapping_key().clone(), None);
    let config = Config {
        installation,
        keyring,
        admin_key: Some(Secret::from(ADMIN_KEY)),
        gate: Default::default(),
        manners: Default::default(),
        public_url: None,
    };
    Gateway::new(config, Box::new(Seeded::new(seed)))
}

fn answered(turn: Turn) -> CallOutcome {
    match turn.reply {
        Some(Reply::Now(reply)) => CallOutcome::Answered(reply),
        other => panic!("no answer at once: {other:?}"),
    }
}

/// No secret in any effect but the bearer of a probe.
fn guard(effect: &Effect) {
    let seen = match effect {
        Effect::Probe { url, .. } => url.clone(),
        other => format!("{other:?} {}", serde_json::to_string(other).unwrap()),
    };
    for secret in [INSTALLATION, ADMIN_KEY, SERVER_KEY, OTHER_KEY] {
        assert!(!seen.contains(secret), "a secret got into {seen}");
    }
}

/// A server that lists these models.
pub fn models(ids: &[&str]) -> ProbeOutcome {
    let data: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "id": id, "object": "model" }))
        .collect();
    probed(200, &json!({ "object": "list", "data": data }).to_string())
}

/// A server that answers so.
pub fn probed(status: u16, body: &str) -> ProbeOutcome {
    ProbeOutcome::Answered {
        status,
        body: body.to_owned(),
        latency_ms: 7,
    }
}
