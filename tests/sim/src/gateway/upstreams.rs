//! Requests at the modelled servers, and their health checks.

use std::collections::VecDeque;

use tidegate_durable::turn::Outcome;
use tidegate_edge::effect::BodyEnd;

use super::clients::Phase;
use super::isolate::ExRef;
use super::model_server::{Mode, Move, script};
use super::situations::Situation;
use super::{Event, World};

/// A request at a server.
pub struct Upstream {
    /// Whose.
    pub at: ExRef,
    /// The client.
    pub client: usize,
    /// The attempt's number there.
    pub attempt: u32,
    /// The instance that granted it.
    pub instance: String,
    /// The id under which it was granted.
    pub request: String,
    /// What it still does.
    pub script: VecDeque<(i64, Move)>,
    /// Whether the gateway reads from it.
    pub reading: bool,
    /// Whether it sent all of its answer.
    pub finished: bool,
    /// Whether its connection was broken or ended by the server.
    pub ended: bool,
    /// Words in its script.
    pub words: usize,
}

/// The server of a URL such as `https://s2.models.example/v1/models`.
pub fn server_of(url: &str) -> Option<usize> {
    let host = url.strip_prefix("https://s")?;
    host.split_once('.')?.0.parse().ok()
}

/// What every chunk of a server's answer to this request says.
pub fn word(upstream: u64) -> String {
    format!("w{upstream}x")
}

impl World {
    fn mode(&self, server: usize) -> Mode {
        if self.is_calm() {
            return Mode::Well;
        }
        let since = self.now - self.start;
        let modes = self
            .around
            .scenario
            .servers
            .get(server)
            .map(|plan| plan.modes.as_slice())
            .unwrap_or_default();
        modes
            .iter()
            .rev()
            .find(|(from, _)| *from <= since)
            .map_or(Mode::Well, |(_, mode)| *mode)
    }

    /// How long a check takes and how it ends.
    pub fn health_check(&mut self, url: &str, timeout_ms: u64) -> (i64, Outcome) {
        let mode = server_of(url).map_or(Mode::Down, |server| self.mode(server));
        let ms = self.rng.range(5, 60);
        if mode.passes_checks(self.now) {
            let body = r#"{"object":"list","data":[]}"#.to_owned();
            return (
                ms,
                Outcome::Fetched {
                    status: 200,
                    body,
                    latency_ms: u64::try_from(ms).unwrap_or(0),
                },
            );
        }
        match mode {
            Mode::Hang => {
                let reason = format!("no answer within {timeout_ms} ms");
                (
                    i64::try_from(timeout_ms).unwrap_or(10_000),
                    Outcome::Failed { reason },
                )
            }
            Mode::ChecksFail => (
                ms,
                Outcome::Fetched {
                    status: 500,
                    body: String::new(),
                    latency_ms: 5,
                },
            ),
            _ => (
                ms,
                Outcome::Failed {
                    reason: "connection refused".to_owned(),
                },
            ),
        }
    }

    /// The gateway sends a request to a server.
    #[expect(clippy::too_many_arguments, reason = "the parts of one effect")]
    pub fn fetch(
        &mut self,
        at: ExRef,
        client: usize,
        attempt: u32,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
        stream: bool,
    ) {
        let Some(server) = server_of(url) else {
            return self.violate(
                "requests go to registered servers",
                format!("{at} calls {url}"),
            );
        };
        if serde_json::from_slice::<serde_json::Value>(body).is_err() {
            self.violate(
                "servers get the client's body",
                format!("{at} sends what is no JSON"),
            );
        }
        let number = self.number();
        let instance = self.instance_of(client, server);
        let request = self.around.clients[client]
            .asks
            .get(&instance)
            .map(|(_, id)| id.clone())
            .unwrap_or_default();
        if !headers
            .iter()
            .any(|(name, id)| name == "x-request-id" && request.starts_with(id))
        {
            self.violate(
                "a server gets the request's id",
                format!("{request} goes out with {headers:?}"),
            );
        }
        let mode = self.mode(server);
        let (now, since) = (self.now, self.now - self.start);
        let mode = mode.now(&mut self.rng, now);
        let script = script(&mut self.rng, mode, stream, &word(number));
        self.note(|| {
            format!("{at} sends attempt {attempt} to {instance} as {number} at {since}: {mode:?}")
        });
        let text = word(number);
        let words = script.iter().filter(|(_, step)| matches!(step, Move::Chunk(bytes) | Move::Whole(bytes) if contains(bytes, text.as_bytes()))).count();
        let upstream = Upstream {
            at,
            client,
            attempt,
            instance,
            request,
            script: script.into(),
            reading: true,
            finished: false,
            ended: false,
            words,
        };
        self.check_arrival(&upstream);
        self.around.upstreams.insert(number, upstream);
        if let Some(hosted) = self.hosted(at) {
            hosted.attempts.insert(attempt, number);
        }
        self.plan_move(number, 0);
    }

    fn plan_move(&mut self, number: u64, pause: i64) {
        let next = self
            .around
            .upstreams
            .get(&number)
            .and_then(|upstream| upstream.script.front());
        if let Some((ms, _)) = next {
            let ms = (*ms).max(pause);
            self.after(ms, Event::Move { upstream: number });
        }
    }

    /// A server makes its next move.
    pub fn server_moves(&mut self, number: u64) {
        let Some(upstream) = self.around.upstreams.get_mut(&number) else {
            return;
        };
        upstream.reading = true;
        let Some((_, step)) = upstream.script.pop_front() else {
            return;
        };
        let (at, attempt, client) = (upstream.at, upstream.attempt, upstream.client);
        let exchange = at.exchange;
        let mut pause = 0;
        match step {
            Move::Headers(status, lines) => {
                self.hear(at, false, |gateway, now| {
                    gateway.headers(exchange, now, attempt, status, &lines)
                });
            }
            Move::Chunk(bytes) => {
                self.hear_chunk(at, false, &bytes, |gateway, now| {
                    gateway.chunk(exchange, now, attempt, &bytes)
                });
                pause = self.reader_pause(client);
                if pause > 0
                    && let Some(upstream) = self.around.upstreams.get_mut(&number)
                {
                    upstream.reading = false;
                }
            }
            Move::Finished => {
                upstream.finished = true;
                let instance = upstream.instance.clone();
                self.around.oracle.finished(&instance);
            }
            Move::Whole(bytes) => {
                if let Some(hosted) = self.hosted(at) {
                    hosted.attempts.remove(&attempt);
                    hosted.whole.clone_from(&bytes);
                }
                // Out of the way first: the gateway may answer at once.
                let upstream = self.around.upstreams.remove(&number);
                self.last_ended(client, number, upstream);
                self.hear(at, false, |gateway, now| {
                    gateway.whole(exchange, now, attempt, &bytes)
                });
            }
            Move::End(end) => self.server_ends(number, end),
        }
        self.plan_move(number, pause);
    }

    fn server_ends(&mut self, number: u64, end: BodyEnd) {
        let Some(mut upstream) = self.around.upstreams.remove(&number) else {
            return;
        };
        upstream.ended = true;
        let (at, attempt, client) = (upstream.at, upstream.attempt, upstream.client);
        if !upstream.finished && self.around.clients[client].phase == Phase::Streaming {
            self.met(Situation::CutAfterFirstByte);
        }
        if let Some(hosted) = self.hosted(at) {
            hosted.attempts.remove(&attempt);
        }
        self.last_ended(client, number, Some(upstream));
        self.hear(at, false, |gateway, now| {
            gateway.body_ended(at.exchange, now, attempt, end)
        });
    }

    /// The gateway breaks a request off.
    pub fn stop_upstream(&mut self, number: u64) {
        if let Some(upstream) = self.around.upstreams.remove(&number) {
            self.note(|| {
                format!(
                    "{} stops its request {number} at {}",
                    upstream.at, upstream.instance
                )
            });
            let client = upstream.client;
            self.last_ended(client, number, Some(upstream));
        }
    }
}

/// Whether `bytes` hold `part`.
pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
