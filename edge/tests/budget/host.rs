//! A gateway and its objects, all real, on virtual time: counts what would be billed.

use std::collections::{BTreeMap, VecDeque};

use serde_json::json;
use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::driver::{Driver, Host as Ports, Object};
use tidegate_durable::fleet_do::Fleet;
use tidegate_durable::instance_do::Instance;
use tidegate_durable::journal_do::Journal;
use tidegate_durable::key_do::Key;
use tidegate_durable::model_do::Model;
use tidegate_durable::testkit::{Seeded, Store};
use tidegate_durable::turn::{Effect as ObjectEffect, EffectId, Outcome, Reply, Ticket, Turn};
use tidegate_edge::effect::{CallOutcome, Effect};
use tidegate_edge::gateway::{Config, Gateway};
use tidegate_edge::request::Head;
use tidegate_vault::{Installation, Keyring};

const INSTALLATION: &str = "installation-0123456789abcdef-xyz";
/// 2026-11-21 10:00:00 UTC.
const START: Timestamp = Timestamp::from_ms(1_795_255_200_000);
/// There and back.
const HOP: Span = Span::from_ms(2);
const ANSWER: &[u8] = br#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;

/// What is billed, by class of object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bill {
    /// Rows written; an alarm that is set is one.
    pub rows: BTreeMap<&'static str, u64>,
    /// Messages and alarms.
    pub requests: BTreeMap<&'static str, u64>,
}

impl Bill {
    /// Both in all.
    pub fn sums(&self) -> (u64, u64) {
        (self.rows.values().sum(), self.requests.values().sum())
    }
}

trait Turns {
    fn call(&mut self, now: Timestamp, message: &str) -> Turn;
    fn alarm(&mut self, now: Timestamp) -> Turn;
    fn soon(&mut self, now: Timestamp) -> Turn;
    fn done(&mut self, now: Timestamp, id: EffectId, outcome: Outcome) -> Turn;
    fn rows_written(&self) -> u64;
}

struct Kept<O> {
    store: Store,
    entropy: Seeded,
    driver: Driver<O>,
}

impl<O: Object> Kept<O> {
    fn open(name: ObjectName, now: Timestamp) -> Box<Self> {
        let (store, entropy) = (Store::new(), Seeded::new(11));
        let ports = Ports {
            sql: &store,
            entropy: &entropy,
            now,
        };
        let driver = Driver::open(&ports, name).unwrap();
        Box::new(Self {
            store,
            entropy,
            driver,
        })
    }

    fn turn(
        &mut self,
        now: Timestamp,
        run: impl FnOnce(&mut Driver<O>, &Ports<'_>) -> Turn,
    ) -> Turn {
        let ports = Ports {
            sql: &self.store,
            entropy: &self.entropy,
            now,
        };
        run(&mut self.driver, &ports)
    }
}

impl<O: Object> Turns for Kept<O> {
    fn call(&mut self, now: Timestamp, message: &str) -> Turn {
        self.turn(now, |driver, ports| driver.call(ports, message).unwrap())
    }
    fn alarm(&mut self, now: Timestamp) -> Turn {
        self.turn(now, |driver, ports| driver.alarm(ports).unwrap())
    }
    fn soon(&mut self, now: Timestamp) -> Turn {
        self.turn(now, |driver, ports| driver.soon(ports).unwrap())
    }
    fn done(&mut self, now: Timestamp, id: EffectId, outcome: Outcome) -> Turn {
        self.turn(now, |driver, ports| {
            driver.done(ports, id, outcome).unwrap()
        })
    }
    fn rows_written(&self) -> u64 {
        self.store.rows_written()
    }
}

/// Who hears an answer.
#[derive(Clone, Copy)]
enum Caller {
    Exchange(u32, u32),
    Refresh(u32),
    Nobody,
}

enum Event {
    Arrive,
    Call(ObjectName, String, Caller),
    Delivery(ObjectName, EffectId, ObjectName, String),
    Server(u32, u32),
    Wake(u32, i64),
    Flush,
    Alarm(ObjectName, i64),
    Soon(ObjectName),
    Checked(ObjectName, EffectId),
}

pub struct Host {
    bill: Bill,
    /// Requests that were answered with 200.
    pub answered: usize,
    now: Timestamp,
    gateway: Gateway,
    objects: BTreeMap<ObjectName, Box<dyn Turns>>,
    waiting: BTreeMap<(ObjectName, Ticket), Caller>,
    alarms: BTreeMap<ObjectName, i64>,
    wakes: BTreeMap<u32, i64>,
    queue: BTreeMap<(Timestamp, u64), Event>,
    number: u64,
    flush_at: Option<Timestamp>,
    key: String,
    server_ms: i64,
}

impl Host {
    /// Servers of one model that each take `server_ms` to answer, and a key with these limits.
    pub fn new(servers: usize, server_ms: i64, limits: serde_json::Value) -> Self {
        let installation = || Installation::derive(INSTALLATION.as_bytes()).unwrap();
        let config = Config {
            keyring: Keyring::new(installation().wrapping_key().clone(), None),
            installation: installation(),
            admin_key: None,
            gate: Default::default(),
            manners: Default::default(),
            public_url: None,
        };
        let minted = crate::mint(&installation());
        let mut host = Self {
            bill: Bill::default(),
            answered: 0,
            now: START,
            gateway: Gateway::new(config, Box::new(Seeded::new(3))),
            objects: BTreeMap::new(),
            waiting: BTreeMap::new(),
            alarms: BTreeMap::new(),
            wakes: BTreeMap::new(),
            queue: BTreeMap::new(),
            number: 0,
            flush_at: None,
            key: minted.0,
            server_ms,
        };
        let fleet = ObjectName::fleet("default");
        let record = json!({"command": "mint_key", "record": {
            "id": minted.1, "name": "k", "secret_hash": minted.2, "scopes": ["inference"],
            "limits": limits, "created_at_ms": 0,
        }});
        host.send(fleet.clone(), record.to_string(), Caller::Nobody);
        for n in 0..servers {
            let register = json!({"command": "register", "id": format!("s{n}"), "entry": {
                "model_name": "m", "endpoint_url": format!("https://s{n}.example.com"),
                "max_concurrency": 1_000, "queue_depth": 64, "weight": 1, "priority": 0,
                "price_microusd_per_hour": 1_000_000,
            }, "first_check": {"at_ms": START.as_ms(), "ok": true, "latency_ms": 5}});
            host.send(fleet.clone(), register.to_string(), Caller::Nobody);
        }
        host.run_for(Span::from_secs(5));
        host
    }

    /// What so many requests cost, one every `every_ms`, in the midst of others like them.
    pub fn steady(&mut self, requests: i64, every_ms: i64) -> Bill {
        let lead_ms = self.server_ms + 2_000;
        let before = lead_ms / every_ms;
        for n in 0..before + requests + 1 {
            self.after(Span::from_ms(n * every_ms), Event::Arrive);
        }
        self.run_for(Span::from_ms(before * every_ms));
        self.take_bill();
        self.run_for(Span::from_ms(requests * every_ms));
        self.take_bill()
    }

    /// What one request costs by itself, until all is quiet again.
    pub fn alone(&mut self) -> Bill {
        self.take_bill();
        self.after(Span::from_ms(0), Event::Arrive);
        self.run_for(Span::from_secs(25));
        self.take_bill()
    }

    fn take_bill(&mut self) -> Bill {
        std::mem::take(&mut self.bill)
    }

    fn after(&mut self, span: Span, event: Event) {
        self.number += 1;
        self.queue.insert((self.now + span, self.number), event);
    }

    fn send(&mut self, to: ObjectName, message: String, caller: Caller) {
        self.after(Span::from_ms(1), Event::Call(to, message, caller));
    }

    fn run_for(&mut self, span: Span) {
        let until = self.now + span;
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > until {
                break;
            }
            self.now = entry.key().0;
            let event = entry.remove();
            self.happen(event);
        }
        self.now = until;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive => self.arrive(),
            Event::Call(to, message, caller) => {
                self.bill_request(&to);
                let turn = self.turn(&to, |object, now| object.call(now, &message));
                self.after_turn(&to, turn, caller);
            }
            Event::Delivery(from, id, to, message) => {
                self.bill_request(&to);
                let turn = self.turn(&to, |object, now| object.call(now, &message));
                self.after_turn(&to, turn, Caller::Nobody);
                let delivered = Outcome::Delivered {
                    reply: "{}".to_owned(),
                };
                let turn = self.turn(&from, |object, now| object.done(now, id, delivered));
                self.after_turn(&from, turn, Caller::Nobody);
            }
            Event::Server(id, attempt) => {
                let headers = [("content-type".to_owned(), "application/json".to_owned())];
                let effects = self.gateway.headers(id, self.now, attempt, 200, &headers);
                self.perform(id, effects);
                let effects = self.gateway.whole(id, self.now, attempt, ANSWER);
                self.perform(id, effects);
            }
            Event::Wake(id, at) if self.wakes.get(&id) == Some(&at) => {
                let effects = self.gateway.wake(id, self.now, true);
                self.perform(id, effects);
            }
            Event::Flush => {
                self.flush_at = None;
                let effects = self.gateway.flush(self.now);
                self.perform(0, effects);
            }
            Event::Alarm(name, at) if self.alarms.get(&name) == Some(&at) => {
                self.alarms.remove(&name);
                self.bill_request(&name);
                let turn = self.turn(&name, |object, now| object.alarm(now));
                self.after_turn(&name, turn, Caller::Nobody);
            }
            Event::Soon(name) => {
                let turn = self.turn(&name, |object, now| object.soon(now));
                self.after_turn(&name, turn, Caller::Nobody);
            }
            Event::Checked(name, id) => {
                let fetched = Outcome::Fetched {
                    status: 200,
                    body: r#"{"object":"list","data":[{"id":"m"}]}"#.to_owned(),
                    latency_ms: 5,
                };
                let turn = self.turn(&name, |object, now| object.done(now, id, fetched));
                self.after_turn(&name, turn, Caller::Nobody);
            }
            Event::Wake(..) | Event::Alarm(..) => {}
        }
    }

    fn arrive(&mut self) {
        let head = Head {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            query: String::new(),
            headers: vec![("authorization".to_owned(), format!("Bearer {}", self.key))],
        };
        let (id, effects) = self.gateway.begin(self.now, head);
        self.perform(id, effects);
    }

    fn perform(&mut self, id: u32, effects: Vec<Effect>) {
        let mut todo = VecDeque::from(effects);
        while let Some(effect) = todo.pop_front() {
            match effect {
                Effect::ReadBody { .. } => {
                    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5});
                    let body = body.to_string().into_bytes();
                    todo.extend(self.gateway.body(id, self.now, Some(body)));
                }
                Effect::Ask {
                    call, to, message, ..
                } => self.send(to, message, Caller::Exchange(id, call)),
                Effect::Tell { to, message } => self.send(to, message, Caller::Nobody),
                Effect::Refresh {
                    token, to, message, ..
                } => self.send(to, message, Caller::Refresh(token)),
                Effect::Fetch { attempt, .. } => {
                    self.after(Span::from_ms(self.server_ms), Event::Server(id, attempt));
                }
                Effect::Respond { status, .. } => self.answered += usize::from(status == 200),
                Effect::WakeAt { at_ms } => {
                    self.wakes.insert(id, at_ms);
                    let wait = self.now.until(Timestamp::from_ms(at_ms));
                    self.after(wait, Event::Wake(id, at_ms));
                }
                Effect::FlushAfter { ms } => {
                    // One timer for the isolate, as in `workers/host/background.ts`.
                    let at = self.now + Span::from_ms(i64::try_from(ms).unwrap());
                    if self.flush_at.is_none_or(|set| set > at || set < self.now) {
                        self.flush_at = Some(at);
                        self.after(self.now.until(at), Event::Flush);
                    }
                }
                Effect::Done => {
                    self.wakes.remove(&id);
                    self.gateway.forget(id);
                }
                Effect::Abort { .. } | Effect::Log { .. } => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn turn(
        &mut self,
        name: &ObjectName,
        run: impl FnOnce(&mut dyn Turns, Timestamp) -> Turn,
    ) -> Turn {
        let now = self.now;
        let object = self
            .objects
            .entry(name.clone())
            .or_insert_with(|| open(name, now));
        let before = object.rows_written();
        let turn = run(object.as_mut(), now);
        let rows = object.rows_written() - before;
        *self.bill.rows.entry(name.kind().as_str()).or_default() += rows;
        turn
    }

    fn after_turn(&mut self, name: &ObjectName, turn: Turn, caller: Caller) {
        if let Some(at_ms) = turn.alarm_at_ms {
            *self.bill.rows.entry(name.kind().as_str()).or_default() += 1;
            self.alarms.insert(name.clone(), at_ms);
            let wait = self
                .now
                .until(Timestamp::from_ms(at_ms))
                .max(Span::from_ms(1));
            self.after(wait, Event::Alarm(name.clone(), at_ms));
        }
        match turn.reply {
            Some(Reply::Now(text)) => self.reply(caller, text),
            Some(Reply::Later(ticket)) => {
                self.waiting.insert((name.clone(), ticket), caller);
            }
            None => {}
        }
        for effect in turn.effects {
            match effect {
                ObjectEffect::Send { id, to, message } => {
                    self.after(HOP, Event::Delivery(name.clone(), id, to, message));
                }
                ObjectEffect::Get { id, .. } => {
                    self.after(Span::from_ms(5), Event::Checked(name.clone(), id));
                }
                ObjectEffect::Post { .. } | ObjectEffect::Vendor(_) => {
                    panic!("nothing is rented here: {effect:?}");
                }
                ObjectEffect::Soon { after_ms } => {
                    let ms = i64::try_from(after_ms).unwrap();
                    self.after(Span::from_ms(ms), Event::Soon(name.clone()));
                }
                ObjectEffect::Resolve { ticket, reply } => {
                    if let Some(caller) = self.waiting.remove(&(name.clone(), ticket)) {
                        self.reply(caller, reply);
                    }
                }
            }
        }
    }

    fn reply(&mut self, caller: Caller, text: String) {
        let answered = CallOutcome::Answered(text);
        match caller {
            Caller::Exchange(id, call) => {
                let effects = self.gateway.answered(id, self.now, call, answered);
                self.perform(id, effects);
            }
            Caller::Refresh(token) => {
                let effects = self.gateway.refreshed(self.now, token, answered);
                self.perform(0, effects);
            }
            Caller::Nobody => {}
        }
    }

    fn bill_request(&mut self, to: &ObjectName) {
        *self.bill.requests.entry(to.kind().as_str()).or_default() += 1;
    }
}

fn open(name: &ObjectName, now: Timestamp) -> Box<dyn Turns> {
    let name = name.clone();
    match name.kind() {
        ObjectKind::Fleet => Kept::<Fleet>::open(name, now),
        ObjectKind::Instance => Kept::<Instance>::open(name, now),
        ObjectKind::Journal => Kept::<Journal>::open(name, now),
        ObjectKind::Key => Kept::<Key>::open(name, now),
        ObjectKind::Model => Kept::<Model>::open(name, now),
        ObjectKind::Account => Kept::<tidegate_durable::account_do::Account>::open(name, now),
        ObjectKind::Directory => Kept::<tidegate_durable::directory_do::Directory>::open(name, now),
        ObjectKind::Ledger => Kept::<tidegate_durable::ledger_do::Ledger>::open(name, now),
    }
}
