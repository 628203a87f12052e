//! Clients: they come, wait, read, leave; and what they got is judged as they would.

use std::collections::BTreeMap;

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::instance::{AskKind, InstanceCommand};
use tidegate_edge::request::Head;

use super::isolate::{ExRef, Hosted};
use super::situations::Situation;
use super::upstreams::{Upstream, contains};
use super::{Event, World};

/// Beyond a request's own limit: the key (10 s), the snapshot (10 s), the key's limits (5 s), and what a
/// clock may be off.
const PATIENCE_MS: i64 = 35_000;

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing came yet.
    Waiting,
    /// A stream has begun.
    Streaming,
    /// It has its whole answer.
    Answered(u16),
    /// It left.
    Left,
    /// Its isolate was lost.
    CutOff,
}

/// A client and its one request.
pub struct Client {
    /// Its exchange.
    pub at: ExRef,
    /// When it came.
    pub arrived: i64,
    /// Whether it wants the counts.
    pub include_usage: bool,
    /// Whether it reads slowly.
    pub slow: bool,
    /// After how many chunks it leaves.
    pub leaves_after_chunks: Option<u32>,
    /// Where it stands.
    pub phase: Phase,
    /// Whether its exchange is over.
    pub done: bool,
    /// When that was.
    pub ended_at: Option<i64>,
    /// Bytes of its stream.
    pub transcript: Vec<u8>,
    /// Chunks so far.
    pub chunks: u32,
    /// Servers that were asked: as what, and under which id, last.
    pub asks: BTreeMap<String, (AskKind, String)>,
    /// Attempts so far.
    pub attempts: u32,
    /// Those of them that raced a silent one.
    pub races: u32,
    /// Requests at servers that are over, by number.
    pub past: BTreeMap<u64, Upstream>,
    /// No newer snapshot could be had.
    pub stale: bool,
}

impl World {
    /// A client comes, and the next is planned.
    pub fn arrive(&mut self) {
        let every = if self.is_calm() {
            6_000
        } else {
            self.around.scenario.request_every_ms
        };
        let gap = self.rng.gap(every);
        // In calm the last part of each minute is quiet, so that what should end has ended.
        if !self.is_calm() || self.now % 60_000 < 20_000 {
            self.come();
        }
        self.after(gap, Event::Arrive);
    }

    fn come(&mut self) {
        let isolate = self.rng.index(self.around.isolates.len());
        let key = self.rng.index(self.around.operator.keys.len());
        let stream = self.rng.chance(600);
        let include_usage = stream && self.rng.chance(300);
        let text = self.around.operator.keys[key].text.clone();
        let options = if include_usage {
            r#","stream_options":{"include_usage":true}"#
        } else {
            ""
        };
        let prompt = self.rng.range(0, 5);
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"question {prompt}"}}],"max_tokens":50,"stream":{stream}{options}}}"#
        );
        let head = Head {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            query: String::new(),
            headers: vec![
                ("authorization".to_owned(), format!("Bearer {text}")),
                ("content-type".to_owned(), "application/json".to_owned()),
            ],
        };
        let leaves = !self.is_calm() && self.rng.chance(self.around.scenario.leaving);
        let client = self.around.clients.len();
        let now = self.isolate_time(isolate);
        let host = &mut self.around.isolates[isolate];
        let (exchange, effects) = host.gateway.begin(now, head);
        let at = ExRef {
            isolate,
            life: host.life,
            exchange,
        };
        let hosted = Hosted {
            client,
            body: body.into_bytes(),
            whole: Vec::new(),
            awaited: 0,
            timer: None,
            attempts: BTreeMap::new(),
        };
        if host.open.insert(exchange, hosted).is_some() {
            self.violate(
                "an exchange's number is used once",
                format!("{at} is there twice"),
            );
        }
        let leaves_after_chunks = (leaves && self.rng.chance(300))
            .then(|| u32::try_from(self.rng.range(1, 6)).unwrap_or(1));
        self.around.clients.push(Client {
            at,
            arrived: self.now,
            include_usage,
            slow: !self.is_calm() && self.rng.chance(self.around.scenario.slow_readers),
            leaves_after_chunks,
            phase: Phase::Waiting,
            done: false,
            ended_at: None,
            transcript: Vec::new(),
            chunks: 0,
            asks: BTreeMap::new(),
            attempts: 0,
            races: 0,
            past: BTreeMap::new(),
            stale: false,
        });
        self.note(|| format!("client {client} comes as {at}, stream: {stream}"));
        if leaves && leaves_after_chunks.is_none() {
            let ms = if self.rng.chance(400) {
                self.rng.range(0, 40)
            } else {
                self.rng.range(50, 4_000)
            };
            self.after(ms, Event::Leave { client });
        }
        let latest = i64::try_from(self.around.oracle.longest_total_ms).unwrap_or(90_000)
            + PATIENCE_MS
            + self.around.oracle.jumps_ms;
        self.after(latest, Event::Deadline { client });
        self.perform(at, effects, &[]);
    }

    /// An isolate asks a server's object on behalf of a client.
    pub fn note_ask(&mut self, client: usize, to: &ObjectName, message: &str) {
        let Ok(InstanceCommand::Turnover(turnover)) = serde_json::from_str(message) else {
            return;
        };
        let Some(ask) = turnover.ask else { return };
        let stale = self.around.clients[client].stale;
        if stale {
            self.met(Situation::LastKnownGood);
        }
        let instance = to.tail().unwrap_or_default().to_owned();
        self.around
            .oracle
            .requests
            .insert(ask.request.clone(), client);
        let client = &mut self.around.clients[client];
        client.asks.insert(instance, (ask.kind, ask.request));
    }

    /// A newer snapshot could not be had.
    pub fn note_stale_snapshot(&mut self, at: ExRef) {
        if let Some(client) = self.hosted(at).map(|hosted| hosted.client) {
            self.around.clients[client].stale = true;
        }
    }

    /// The instance by whose grant a client's request goes to this server: the last registration asked.
    pub fn instance_of(&self, client: usize, server: usize) -> String {
        let begin = format!("srv{server}-");
        let asks = &self.around.clients[client].asks;
        asks.keys()
            .rev()
            .find(|id| id.starts_with(&begin))
            .cloned()
            .unwrap_or_default()
    }

    /// A request at a server is over; kept for judging what the client got.
    pub fn last_ended(&mut self, client: usize, number: u64, upstream: Option<Upstream>) {
        if let Some(upstream) = upstream {
            self.around.clients[client].past.insert(number, upstream);
        }
    }

    /// How long a slow client keeps the server waiting.
    pub fn reader_pause(&mut self, client: usize) -> i64 {
        let client = &self.around.clients[client];
        if client.slow && client.phase == Phase::Streaming {
            self.rng.range(100, 9_000)
        } else {
            0
        }
    }

    /// A whole answer.
    pub fn client_gets_answer(
        &mut self,
        at: ExRef,
        who: usize,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) {
        self.note(|| {
            format!(
                "client {who} gets {status}: {}",
                String::from_utf8_lossy(body)
            )
        });
        let phase = self.around.clients[who].phase;
        match phase {
            Phase::Waiting => self.around.clients[who].phase = Phase::Answered(status),
            Phase::Left => {}
            _ => self.violate(
                "a client gets one answer",
                format!("client {who}, {phase:?}, gets {status} as well"),
            ),
        }
        if serde_json::from_slice::<serde_json::Value>(body).is_err() {
            self.violate(
                "answers are JSON",
                format!("client {who} gets {}", String::from_utf8_lossy(body)),
            );
        }
        if status == 200 {
            self.met(Situation::Answered);
            self.judge_race(at, who, headers);
            let source = self.source(who, body);
            match source {
                Some((_, upstream)) if upstream.finished => {}
                Some((number, _)) => self.violate(
                    "an answer is complete only if the server sent all of it",
                    format!("client {who} got {number}, which was not finished"),
                ),
                None => self.violate(
                    "an answer is one server's",
                    format!("client {who} got {}", String::from_utf8_lossy(body)),
                ),
            }
        }
    }

    /// A stream begins.
    pub fn client_gets_stream(&mut self, at: ExRef, who: usize, headers: &[(String, String)]) {
        self.note(|| format!("client {who} gets a stream"));
        let phase = self.around.clients[who].phase;
        match phase {
            Phase::Waiting => self.around.clients[who].phase = Phase::Streaming,
            Phase::Left => {}
            _ => self.violate(
                "a client gets one answer",
                format!("client {who}, {phase:?}, gets a stream as well"),
            ),
        }
        self.judge_race(at, who, headers);
    }

    fn judge_race(&mut self, at: ExRef, who: usize, headers: &[(String, String)]) {
        let server = headers
            .iter()
            .find(|(name, _)| name == "x-gateway-server-id")
            .map(|(_, id)| id.clone());
        let Some(server) = server else {
            return self.violate(
                "an answer names its server",
                format!("client {who} got {headers:?}"),
            );
        };
        let rivals: Vec<u64> = self
            .hosted(at)
            .map(|hosted| hosted.attempts.values().copied().collect())
            .unwrap_or_default();
        let is_rival = |number: &u64| {
            self.around
                .upstreams
                .get(number)
                .is_some_and(|upstream| upstream.instance != server)
        };
        if !rivals.iter().any(is_rival) {
            return;
        }
        let by_hedge = matches!(
            self.around.clients[who].asks.get(&server),
            Some((AskKind::Hedge, _))
        );
        self.met(if by_hedge {
            Situation::HedgeWon
        } else {
            Situation::HedgeLost
        });
    }

    /// Bytes of a stream.
    pub fn client_gets_bytes(&mut self, at: ExRef, who: usize, bytes: &[u8]) {
        let client = &mut self.around.clients[who];
        match client.phase {
            Phase::Streaming => {}
            Phase::Left | Phase::CutOff => return,
            phase => {
                return self.violate(
                    "bytes come in a stream",
                    format!("client {who}, {phase:?}, gets bytes"),
                );
            }
        }
        client.transcript.extend_from_slice(bytes);
        client.chunks += 1;
        if client.leaves_after_chunks == Some(client.chunks) {
            let exchange = at;
            self.note(|| format!("client {who} of {exchange} has read enough"));
            self.after(0, Event::Leave { client: who });
        }
    }

    /// The stream ends.
    pub fn client_gets_end(&mut self, _: ExRef, who: usize) {
        if self.around.clients[who].phase == Phase::Streaming {
            self.judge_transcript(who);
            self.around.clients[who].phase = Phase::Answered(200);
        }
    }

    /// The exchange is over.
    pub fn finish_client(&mut self, at: ExRef, who: usize) {
        let client = &mut self.around.clients[who];
        client.done = true;
        client.ended_at = Some(self.now);
        match client.phase {
            Phase::Answered(_) | Phase::Left | Phase::CutOff => {}
            phase => self.violate(
                "every exchange ends in an answer",
                format!("{at} is done and client {who} is {phase:?}"),
            ),
        }
    }

    /// Its isolate is gone.
    pub fn client_is_cut_off(&mut self, who: usize) {
        let client = &mut self.around.clients[who];
        client.phase = Phase::CutOff;
        client.done = true;
        client.ended_at = Some(self.now);
    }

    /// A client leaves, if it has not got everything.
    pub fn leave(&mut self, who: usize) {
        let at = self.around.clients[who].at;
        let phase = self.around.clients[who].phase;
        if !matches!(phase, Phase::Waiting | Phase::Streaming) {
            return;
        }
        let attempts = self.hosted(at).map_or(0, |hosted| hosted.attempts.len());
        self.met(match phase {
            Phase::Streaming => Situation::LeftMidStream,
            _ if attempts > 0 => Situation::LeftBeforeFirstByte,
            _ => Situation::LeftBeforeAttempt,
        });
        self.note(|| format!("client {who} leaves {at} with {attempts} attempts open"));
        self.around.clients[who].phase = Phase::Left;
        self.hear(at, false, |gateway, now| gateway.gone(at.exchange, now));
        if self
            .hosted(at)
            .is_some_and(|hosted| !hosted.attempts.is_empty())
        {
            self.violate(
                "a client that left frees its server",
                format!("{at} goes on without its client {who}"),
            );
        }
    }

    /// By now a client must have its answer.
    pub fn check_deadline(&mut self, who: usize) {
        let client = &self.around.clients[who];
        if !client.done {
            let waited = self.now - client.arrived;
            let words = format!(
                "client {who} of {} is {:?} after {waited} ms",
                client.at, client.phase
            );
            self.violate("nobody waits for ever", words);
        }
    }

    /// The request at a server whose words these bytes hold.
    pub fn source(&self, who: usize, bytes: &[u8]) -> Option<(u64, &Upstream)> {
        let client = &self.around.clients[who];
        let open = self
            .around
            .upstreams
            .iter()
            .filter(|(_, upstream)| upstream.client == who);
        let mut all = client.past.iter().chain(open);
        all.find(|(number, _)| contains(bytes, super::upstreams::word(**number).as_bytes()))
            .map(|(number, upstream)| (*number, upstream))
    }
}
