//! A gateway without a host: the test is the host, the objects and the servers, one event at a time.
//!
//! Effects come back as short lines, so that a test can state the whole sequence. Checked behind every
//! event: at most one answer, `done` once and last, nothing after it, no key and no prompt in a log.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::fleet::{KeyRecord, ServerEntry, Snapshot};
use tidegate_durable::bindings::instance::{AskAnswer, DeniedWire};
use tidegate_durable::bindings::key::KeyAnswer;
use tidegate_durable::bindings::model::WaitAnswer;
use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::testkit::Seeded;
use tidegate_edge::effect::{BodyEnd, CallOutcome, Effect};
use tidegate_edge::gateway::{Config, Gateway, Manners};
use tidegate_edge::request::Head;
use tidegate_egress::Gate;
use tidegate_vault::{Context, Installation, Keyring};

pub use crate::fixtures::*;
use crate::lines::line;
pub use crate::talk::{Fetched, Open, Talk};
use crate::uploads::spliced;

/// A message to an object; of an ask also its exchange and call.
pub type Sent = (ObjectName, Value, Option<(u32, u32)>);

pub struct Rig {
    pub gateway: Gateway,
    pub now: Timestamp,
    pub snapshot: Snapshot,
    pub records: BTreeMap<String, KeyRecord>,
    pub key: String,
    pub key_id: String,
    /// Whether fleets answer.
    pub fleet_is_up: bool,
    /// What fleets were asked, as command names.
    pub fleet_asked: Vec<String>,
    pub refreshes: VecDeque<(u32, ObjectName, String)>,
    /// Batches of the request log, with the tokens of their calls.
    pub batches: Vec<(u32, ObjectName, Value)>,
    pub talks: BTreeMap<u32, Talk>,
    /// Messages to objects in the order they left; an ask with its exchange and call.
    pub sent: Vec<Sent>,
    /// A host that does not forget exchanges when they are done.
    pub never_forgets: bool,
    installation: Installation,
}

impl Rig {
    /// One model `m` at these servers.
    pub fn new(servers: &[&str]) -> Self {
        Self::with_manners(servers, Manners::default())
    }

    pub fn with_manners(servers: &[&str], manners: Manners) -> Self {
        let installation = installation();
        let keyring = Keyring::new(installation.wrapping_key().clone(), None);
        let minted = mint(&installation, 7);
        let key_id = minted.key_id.to_string();
        let record = KeyRecord {
            id: key_id.clone(),
            name: "test".to_owned(),
            secret_hash: minted.secret_hash.to_hex(),
            scopes: vec!["inference".to_owned()],
            ..KeyRecord::default()
        };
        let config = Config {
            installation: self::installation(),
            keyring,
            admin_key: None,
            gate: Gate::default(),
            manners,
            public_url: None,
        };
        Self {
            gateway: Gateway::new(config, Box::new(Seeded::new(3))),
            now: START,
            snapshot: Snapshot {
                version: 1,
                servers: servers.iter().map(|id| server(id, "m")).collect(),
                ..Snapshot::default()
            },
            records: BTreeMap::from([(key_id.clone(), record)]),
            key: minted.text.expose_str().unwrap().to_owned(),
            key_id,
            fleet_is_up: true,
            fleet_asked: Vec::new(),
            refreshes: VecDeque::new(),
            batches: Vec::new(),
            talks: BTreeMap::new(),
            sent: Vec::new(),
            never_forgets: false,
            installation,
        }
    }

    pub fn record(&mut self) -> &mut KeyRecord {
        self.records.get_mut(&self.key_id).unwrap()
    }

    pub fn entry(&mut self, server: usize) -> &mut ServerEntry {
        &mut self.snapshot.servers[server].entry
    }

    /// A key of a server's own, sealed as the registry does.
    pub fn seal_key(&mut self, server: usize) {
        let keyring = Keyring::new(self.installation.wrapping_key().clone(), None);
        let id = self.snapshot.servers[server].id.clone();
        let context = Context {
            organisation: "default",
            record: &format!("server/{id}"),
            field: "api_key",
        };
        let random = [9; tidegate_vault::SEAL_RANDOM];
        let sealed = tidegate_vault::seal(&keyring, &context, SERVER_KEY.as_bytes(), &random);
        self.entry(server).sealed_api_key = Some(sealed.unwrap().into_string());
    }

    pub fn head(&self, path: &str) -> Head {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        Head {
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: String::new(),
            headers: vec![
                pair("authorization", format!("Bearer {}", self.key)),
                pair("content-type", "application/json".to_owned()),
            ],
        }
    }

    pub fn pass(&mut self, ms: i64) {
        self.now = self.now + Span::from_ms(ms);
    }

    /// A request as it arrives: fleets are answered, and whatever comes then is the result.
    pub fn arrive(&mut self, head: Head) -> (u32, Vec<String>) {
        let asked = (head.method.clone(), head.path.clone());
        let (id, effects) = self.gateway.begin(self.now, head);
        let talk = Talk {
            asked,
            ..Talk::default()
        };
        self.talks.insert(id, talk);
        let lines = self.take(id, effects);
        (id, self.with_fleet(id, lines))
    }

    pub fn body(&mut self, id: u32, body: &[u8]) -> Vec<String> {
        let effects = self.gateway.body(id, self.now, Some(body.to_vec()));
        let lines = self.take(id, effects);
        self.with_fleet(id, lines)
    }

    /// A whole request, up to what comes when its body is read.
    pub fn request(&mut self, path: &str, body: &Value) -> (u32, Vec<String>) {
        let head = self.head(path);
        self.send(head, body)
    }

    pub fn send(&mut self, head: Head, body: &Value) -> (u32, Vec<String>) {
        let (id, first) = self.arrive(head);
        if self.talk(id).reads_body.is_none() {
            return (id, first);
        }
        let lines = self.body(id, body.to_string().as_bytes());
        (id, lines)
    }

    pub fn chat(&mut self, body: &Value) -> (u32, Vec<String>) {
        self.request("/v1/chat/completions", body)
    }

    /// A chat that has been granted a slot at `server`, the only one that was asked.
    pub fn granted_chat(&mut self, body: &Value, server: &str) -> u32 {
        let (id, _) = self.chat(body);
        let lines = self.grant(id, server);
        assert!(
            lines.iter().any(|line| line.starts_with("fetch")),
            "{lines:?}"
        );
        id
    }

    pub fn talk(&self, id: u32) -> &Talk {
        &self.talks[&id]
    }

    // What objects say.

    fn open(&mut self, id: u32, to: &str) -> Open {
        let asks = &mut self.talks.get_mut(&id).unwrap().asks;
        let place = asks
            .iter()
            .position(|open| open.to.as_str() == to)
            .unwrap_or_else(|| panic!("{to} was not asked"));
        asks.remove(place).unwrap()
    }

    fn reply(&mut self, id: u32, to: &str, outcome: CallOutcome) -> Vec<String> {
        let open = self.open(id, to);
        let effects = self.gateway.answered(id, self.now, open.call, outcome);
        self.take(id, effects)
    }

    fn instance_says(&mut self, id: u32, server: &str, answer: &AskAnswer) -> Vec<String> {
        let text = serde_json::to_string(answer).unwrap();
        let to = format!("instance/default/{server}");
        self.reply(id, &to, CallOutcome::Answered(text))
    }

    pub fn grant(&mut self, id: u32, server: &str) -> Vec<String> {
        self.grant_with(id, server, 1, 0, 100)
    }

    pub fn grant_with(
        &mut self,
        id: u32,
        server: &str,
        running: u32,
        queued: u32,
        score: u32,
    ) -> Vec<String> {
        let answer = AskAnswer::Granted {
            lease_until_ms: self.now.as_ms() + 60_000,
            running,
            queued,
            capacity: 4,
            score,
        };
        self.instance_says(id, server, &answer)
    }

    pub fn deny(&mut self, id: u32, server: &str, denied: DeniedWire) -> Vec<String> {
        let answer = AskAnswer::Denied {
            denied,
            retry_after_ms: None,
        };
        self.instance_says(id, server, &answer)
    }

    pub fn lose(&mut self, id: u32, server: &str) -> Vec<String> {
        let to = format!("instance/default/{server}");
        self.reply(id, &to, CallOutcome::Failed("evicted".to_owned()))
    }

    pub fn key_says(&mut self, id: u32, answer: &KeyAnswer) -> Vec<String> {
        let to = format!("key/default/{}", self.key_id);
        let text = serde_json::to_string(answer).unwrap();
        self.reply(id, &to, CallOutcome::Answered(text))
    }

    pub fn key_is_lost(&mut self, id: u32) -> Vec<String> {
        let to = format!("key/default/{}", self.key_id);
        self.reply(id, &to, CallOutcome::Failed("overloaded".to_owned()))
    }

    pub fn model_says(&mut self, id: u32, answer: &WaitAnswer) -> Vec<String> {
        let text = serde_json::to_string(answer).unwrap();
        self.reply(id, "model/default/m", CallOutcome::Answered(text))
    }

    pub fn model_is_lost(&mut self, id: u32) -> Vec<String> {
        let lost = CallOutcome::Failed("evicted".to_owned());
        self.reply(id, "model/default/m", lost)
    }

    // What servers and the host say.

    pub fn headers(
        &mut self,
        id: u32,
        attempt: u32,
        status: u16,
        headers: &[(&str, &str)],
    ) -> Vec<String> {
        let owned: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let effects = self.gateway.headers(id, self.now, attempt, status, &owned);
        self.take(id, effects)
    }

    pub fn chunk(&mut self, id: u32, attempt: u32, chunk: &[u8]) -> Vec<String> {
        let effects = self.gateway.chunk(id, self.now, attempt, chunk);
        self.take_with_chunk(id, effects, chunk)
    }

    pub fn whole(&mut self, id: u32, attempt: u32, body: &[u8]) -> Vec<String> {
        let talk = self.talks.get_mut(&id).unwrap();
        talk.live.remove(&attempt);
        talk.whole = body.to_vec();
        let effects = self.gateway.whole(id, self.now, attempt, body);
        self.take(id, effects)
    }

    /// A whole answer with its headers.
    pub fn answer(&mut self, id: u32, attempt: u32, status: u16, body: &[u8]) -> Vec<String> {
        let mut lines = self.headers(id, attempt, status, JSON);
        lines.extend(self.whole(id, attempt, body));
        lines
    }

    pub fn end(&mut self, id: u32, attempt: u32, end: BodyEnd) -> Vec<String> {
        self.talks.get_mut(&id).unwrap().live.remove(&attempt);
        let effects = self.gateway.body_ended(id, self.now, attempt, end);
        self.take(id, effects)
    }

    pub fn wake(&mut self, id: u32) -> Vec<String> {
        let effects = self.gateway.wake(id, self.now, true);
        self.take(id, effects)
    }

    /// The timer rings while the client, not the server, is waited for.
    pub fn wake_slow_client(&mut self, id: u32) -> Vec<String> {
        let effects = self.gateway.wake(id, self.now, false);
        self.take(id, effects)
    }

    /// Goes to the moment that was set, `ms` from now, and rings.
    pub fn wake_in(&mut self, id: u32, ms: i64) -> Vec<String> {
        let at = self.talk(id).wake_at.expect("no timer is set");
        assert_eq!(at.as_ms() - self.now.as_ms(), ms, "the timer");
        self.now = at;
        self.wake(id)
    }

    /// Whether another server is asked while the first is silent for ten seconds.
    pub fn is_raced(&mut self, id: u32) -> bool {
        let end = self.now + Span::from_secs(10);
        while let Some(at) = self.talk(id).wake_at.filter(|at| *at < end) {
            self.now = at;
            if self.wake(id).iter().any(|line| line.contains("hedge")) {
                return true;
            }
        }
        false
    }

    pub fn leave(&mut self, id: u32) -> Vec<String> {
        let effects = self.gateway.gone(id, self.now);
        self.take(id, effects)
    }

    pub fn flush(&mut self) -> Vec<String> {
        // What is left behind waits for a ride this long.
        let effects = self.gateway.flush(self.now + Span::from_ms(20));
        let mut lines = Vec::new();
        for effect in &effects {
            self.check(effect);
            self.note_sent(0, effect);
            if self.is_of_the_log(effect) {
                continue;
            }
            lines.push(line(effect, self.now));
        }
        lines
    }

    /// The request log has a rhythm of its own, and stories of its own in `log`.
    fn is_of_the_log(&mut self, effect: &Effect) -> bool {
        match effect {
            Effect::FlushAfter { ms } => *ms > 20,
            Effect::Refresh {
                token, to, message, ..
            } if to.kind() == ObjectKind::Journal => {
                let message = serde_json::from_str(message).unwrap();
                self.batches.push((*token, to.clone(), message));
                true
            }
            _ => false,
        }
    }

    pub fn take(&mut self, id: u32, effects: Vec<Effect>) -> Vec<String> {
        self.take_with_chunk(id, effects, &[])
    }

    fn take_with_chunk(&mut self, id: u32, effects: Vec<Effect>, chunk: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for effect in effects {
            self.check(&effect);
            self.note_sent(id, &effect);
            if self.is_of_the_log(&effect) {
                continue;
            }
            lines.push(line(&effect, self.now));
            self.perform(id, effect, chunk);
        }
        lines
    }

    fn note_sent(&mut self, id: u32, effect: &Effect) {
        let (to, message, call) = match effect {
            Effect::Tell { to, message } => (to, message, None),
            Effect::Ask {
                call, to, message, ..
            } => (to, message, Some((id, *call))),
            _ => return,
        };
        let message = serde_json::from_str(message).unwrap();
        self.sent.push((to.clone(), message, call));
    }

    /// Secrets and prompts stay where they belong.
    fn check(&self, effect: &Effect) {
        let text = serde_json::to_string(effect).unwrap();
        assert!(!text.contains(&self.key), "the client's key leaves: {text}");
        if !matches!(effect, Effect::Fetch { .. }) {
            assert!(!text.contains(SERVER_KEY), "a server's key leaves: {text}");
        }
        assert!(!text.contains(PROMPT), "the prompt leaves: {text}");
    }

    fn perform(&mut self, id: u32, effect: Effect, chunk: &[u8]) {
        let gateway = &mut self.gateway;
        let talk = self.talks.get_mut(&id).unwrap();
        assert!(!talk.done, "after the end: {effect:?}");
        match effect {
            Effect::ReadBody { limit } => talk.reads_body = Some(limit),
            Effect::ReadUpload { .. } => talk.reads_upload = true,
            Effect::HoldUpload => talk.reads_upload = false,
            Effect::ForgetUpload => talk.kept.clear(),
            Effect::Collect { attempt } => {
                assert!(talk.live.contains(&attempt), "nothing to collect");
                talk.collects.insert(attempt);
            }
            Effect::Break => {
                assert!(talk.status.is_some() && !talk.closed, "nothing to break");
                (talk.closed, talk.broken) = (true, true);
            }
            Effect::Ask {
                call,
                to,
                message,
                timeout_ms,
            } => talk.asks.push_back(Open {
                call,
                to,
                message: serde_json::from_str(&message).unwrap(),
                timeout_ms,
            }),
            Effect::Refresh {
                token, to, message, ..
            } => self.refreshes.push_back((token, to, message)),
            Effect::Fetch {
                attempt,
                method,
                url,
                headers,
                own_body,
                upload,
                stream,
                ..
            } => {
                assert_eq!(attempt as usize, talk.fetches.len(), "attempts count up");
                talk.live.insert(attempt);
                talk.fetches.push(Fetched {
                    method,
                    url,
                    headers,
                    own_body: own_body.then(|| gateway.attempt_body(id, attempt)),
                    length: upload.as_ref().and_then(|upload| upload.length),
                    prefix: upload.map(|upload| spliced(&talk.kept, upload.splice)),
                    stream,
                });
            }
            Effect::Respond {
                status,
                headers,
                body,
            } => {
                assert_eq!(talk.status, None, "answered twice");
                talk.status = Some(status);
                talk.headers = headers;
                let own = body.map_or_else(|| gateway.output(id), String::into_bytes);
                talk.body = if own.is_empty() {
                    talk.whole.clone()
                } else {
                    own
                };
                talk.closed = true;
            }
            Effect::Open { headers } => {
                assert_eq!(talk.status, None, "answered twice");
                talk.status = Some(200);
                talk.headers = headers;
            }
            Effect::Write | Effect::WriteChunk => {
                assert!(talk.status.is_some() && !talk.closed, "nowhere to write");
                let bytes = match effect {
                    Effect::Write => gateway.output(id),
                    _ => chunk.to_vec(),
                };
                talk.body.extend(bytes);
            }
            Effect::Close => {
                assert!(talk.status.is_some() && !talk.closed, "nothing to close");
                talk.closed = true;
            }
            Effect::WakeAt { at_ms } => talk.wake_at = Some(Timestamp::from_ms(at_ms)),
            Effect::Log { line } => talk.logs.push(serde_json::from_str(&line).unwrap()),
            Effect::Done => {
                talk.done = true;
                assert!(talk.closed || talk.status.is_none(), "left open");
                talk.hold_to_contract();
                if !self.never_forgets {
                    gateway.forget(id);
                }
            }
            Effect::Abort { attempt } => {
                talk.live.remove(&attempt);
            }
            Effect::Tell { .. } | Effect::FlushAfter { .. } => {}
            Effect::Probe { .. } => panic!("nothing is probed here"),
            Effect::RespondAsset { .. } => panic!("nobody reads the documentation here"),
        }
    }
}
