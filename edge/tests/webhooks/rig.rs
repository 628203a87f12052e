//! A gateway, and objects that follow a script.
//!
//! Invariant of every exchange: exactly one answer, described by the contract; no secret in any effect.

use serde_json::Value;
use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::testkit::Seeded;
use tidegate_edge::effect::{CallOutcome, Effect};
use tidegate_edge::gateway::{Config, Gateway};
use tidegate_edge::request::Head;
use tidegate_vault::{
    Installation, Keyring, Organisation, Secret, mint_account_id, mint_instance_id,
};
use tidegate_wire_webhooks::Key;

use crate::document::{Seen, document};

const INSTALLATION: &str = "installation-0123456789abcdef-xyz";
/// 2026-11-21 10:00:00 UTC.
pub const START: Timestamp = Timestamp::from_ms(1_795_255_200_000);
pub const ORG: &str = "acme";

/// A request as it leaves its sender.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Sent {
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(have, _)| have != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(have, _)| have != name);
        self
    }

    pub fn saying(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn at(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Answer {
    /// Status, the error's code and parameter.
    pub fn error(&self) -> (u16, &str, Option<&str>) {
        let error = &self.body["error"];
        let code = error["code"]
            .as_str()
            .unwrap_or_else(|| panic!("not an error: {self:?}"));
        (self.status, code, error["param"].as_str())
    }
}

/// An exchange under way.
pub struct Running {
    id: u32,
    sent: Sent,
    /// The question that it waits for.
    pub asks: Option<(u32, ObjectName, Value)>,
    pub answer: Option<Answer>,
}

pub struct Rig {
    pub gateway: Gateway,
    pub installation: Installation,
    pub now: Timestamp,
    /// What objects were asked, in order.
    pub asked: Vec<(String, Value)>,
    /// Lines of the log.
    pub lines: Vec<Value>,
}

impl Rig {
    pub fn new() -> Self {
        let installation = || Installation::derive(INSTALLATION.as_bytes()).unwrap();
        let config = Config {
            keyring: Keyring::new(installation().wrapping_key().clone(), None),
            installation: installation(),
            admin_key: Some(Secret::from("admin-key-0123456789")),
            gate: Default::default(),
            manners: Default::default(),
            public_url: None,
        };
        Self {
            gateway: Gateway::new(config, Box::new(Seeded::new(3))),
            installation: installation(),
            now: START,
            asked: Vec::new(),
            lines: Vec::new(),
        }
    }

    pub fn org() -> Organisation {
        Organisation::parse(ORG).unwrap()
    }

    pub fn account(&self) -> String {
        mint_account_id(&self.installation, &Self::org(), [5; 10])
    }

    pub fn instance(&self) -> String {
        mint_instance_id(&self.installation, &Self::org(), [6; 10])
    }

    pub fn boot_token(&self, attempt: u32) -> String {
        let token = self
            .installation
            .boot_token(&Self::org(), &self.instance(), attempt);
        token.expose_str().unwrap().to_owned()
    }

    /// The account's signing secret.
    pub fn secret(&self) -> String {
        let secret = self
            .installation
            .webhook_secret(&Self::org(), &self.account());
        secret.expose_str().unwrap().to_owned()
    }

    pub fn seconds(&self) -> i64 {
        self.now.as_ms() / 1_000
    }

    /// An event for the account, signed now.
    pub fn event(&self, id: &str, body: &str) -> Sent {
        self.event_at(id, self.seconds(), body)
    }

    /// The same, signed at that second.
    pub fn event_at(&self, id: &str, at: i64, body: &str) -> Sent {
        let key = Key::parse(&self.secret()).unwrap();
        Sent::default()
            .at(&format!("/webhooks/aws/{ORG}~{}", self.account()))
            .with("webhook-id", id)
            .with("webhook-timestamp", &at.to_string())
            .with("webhook-signature", &key.sign(id, at, body.as_bytes()))
            .saying(body)
    }

    pub fn wait(&mut self, span: Span) {
        self.now = self.now + span;
    }

    /// Begins an exchange and takes it as far as its question, or its answer.
    pub fn begin(&mut self, sent: &Sent) -> Running {
        let head = Head {
            method: "POST".to_owned(),
            path: sent.path.clone(),
            query: String::new(),
            headers: sent.headers.clone(),
        };
        let (id, effects) = self.gateway.begin(self.now, head);
        let mut running = Running {
            id,
            sent: sent.clone(),
            asks: None,
            answer: None,
        };
        self.run(&mut running, effects);
        running
    }

    /// Answers the question that an exchange waits for.
    pub fn answer(&mut self, running: &mut Running, outcome: CallOutcome) {
        let (call, ..) = running.asks.take().expect("a question");
        let effects = self.gateway.answered(running.id, self.now, call, outcome);
        self.run(running, effects);
    }

    /// A whole exchange, with `object` in the place of whom it asks.
    pub fn send(
        &mut self,
        sent: &Sent,
        object: impl FnOnce(&ObjectName, &Value) -> CallOutcome,
    ) -> Answer {
        let mut running = self.begin(sent);
        if let Some((_, to, message)) = running.asks.clone() {
            let outcome = object(&to, &message);
            self.answer(&mut running, outcome);
        }
        assert_eq!(self.gateway.open_exchanges(), 0, "an exchange stays open");
        running.answer.expect("an answer")
    }

    /// The same, where nobody may be asked.
    pub fn refused(&mut self, sent: &Sent) -> Answer {
        let answer = self.send(sent, |to, _| panic!("{to} was asked"));
        assert!(answer.status >= 400, "{answer:?}");
        answer
    }

    fn run(&mut self, running: &mut Running, effects: Vec<Effect>) {
        let mut todo: std::collections::VecDeque<Effect> = effects.into();
        while let Some(effect) = todo.pop_front() {
            self.guard(&effect);
            match effect {
                Effect::ReadBody { limit } => {
                    let body = &running.sent.body;
                    let body = (body.len() <= limit).then(|| body.clone());
                    todo.extend(self.gateway.body(running.id, self.now, body));
                }
                Effect::Ask {
                    call, to, message, ..
                } => {
                    let message: Value = serde_json::from_str(&message).unwrap();
                    self.asked.push((to.to_string(), message.clone()));
                    let again = running.asks.replace((call, to, message));
                    assert!(again.is_none(), "two questions at once");
                }
                Effect::Respond {
                    status,
                    headers,
                    body,
                } => {
                    let body = serde_json::from_str(&body.unwrap()).expect("JSON");
                    let answer = Answer {
                        status,
                        headers,
                        body,
                    };
                    let again = running.answer.replace(answer);
                    assert!(again.is_none(), "answered twice");
                }
                Effect::Log { line } => self.lines.push(serde_json::from_str(&line).unwrap()),
                Effect::Done => self.over(running),
                other => panic!("a webhook has no business with {other:?}"),
            }
        }
    }

    fn over(&mut self, running: &Running) {
        self.gateway.forget(running.id);
        let answer = running.answer.as_ref().expect("an answer");
        let refusal = document().refusal(&Seen {
            method: "POST",
            path: &running.sent.path,
            status: answer.status,
            headers: &answer.headers,
            body: Some(&answer.body),
        });
        assert_eq!(refusal, None, "{} {answer:?}", running.sent.path);
    }

    fn guard(&self, effect: &Effect) {
        let seen = format!("{effect:?} {}", serde_json::to_string(effect).unwrap());
        let signing = self.secret();
        for secret in [INSTALLATION, signing.as_str(), "tgb_0"] {
            assert!(!seen.contains(secret), "a secret got into {seen}");
        }
    }
}

pub fn said(answer: &impl serde::Serialize) -> CallOutcome {
    CallOutcome::Answered(serde_json::to_string(answer).unwrap())
}
