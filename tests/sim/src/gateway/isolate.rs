//! An isolate: a real gateway, and the host that runs its effects.
//!
//! Invariant: an exchange that is not over waits for something (a call, a server, a timer); else its client
//! would hang.

use std::collections::BTreeMap;
use std::fmt;

use tidegate_domain::time::Timestamp;
use tidegate_durable::bindings::ObjectKind;
use tidegate_edge::effect::Effect;
use tidegate_edge::gateway::{Config, Gateway};
use tidegate_egress::Gate;

use super::clients::Phase;
use super::operator::{installation, keyring};
use super::situations::Situation;
use super::{Caller, Event, World};
use crate::rng::Rng;

/// Names an exchange in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExRef {
    /// Which isolate.
    pub isolate: usize,
    /// Its life: events for an isolate that is gone reach nobody.
    pub life: u64,
    /// The gateway's own number.
    pub exchange: u32,
}

impl fmt::Display for ExRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "isolate {}.{} exchange {}",
            self.isolate, self.life, self.exchange
        )
    }
}

/// What a host keeps of an exchange.
pub struct Hosted {
    /// Whose.
    pub client: usize,
    /// The client's body.
    pub body: Vec<u8>,
    /// The last whole body of a server.
    pub whole: Vec<u8>,
    /// Calls and body reads that are out.
    pub awaited: u32,
    /// The timer's setting.
    pub timer: Option<u64>,
    /// Attempts by number, as servers' requests.
    pub attempts: BTreeMap<u32, u64>,
}

/// An isolate.
pub struct Isolate {
    /// The real thing.
    pub gateway: Gateway,
    /// Counts the isolates that were here.
    pub life: u64,
    /// How far its clock is off.
    pub skew_ms: i64,
    /// Exchanges that are not over.
    pub open: BTreeMap<u32, Hosted>,
}

impl Isolate {
    /// A fresh one.
    pub fn new(rng: &mut Rng, skew_ms: i64) -> Self {
        Self {
            gateway: gateway(rng),
            life: 0,
            skew_ms: rng.range(-skew_ms, skew_ms),
            open: BTreeMap::new(),
        }
    }
}

fn gateway(rng: &mut Rng) -> Gateway {
    let config = Config {
        installation: installation(),
        keyring: keyring(),
        admin_key: None,
        gate: Gate::default(),
        manners: Default::default(),
        public_url: None,
    };
    Gateway::new(config, rng.entropy())
}

impl World {
    /// What an isolate takes for the time.
    pub fn isolate_time(&self, isolate: usize) -> Timestamp {
        let skew = self
            .around
            .isolates
            .get(isolate)
            .map_or(0, |isolate| isolate.skew_ms);
        Timestamp::from_ms(self.now + skew)
    }

    /// What is kept of an exchange that is not over.
    pub fn hosted(&mut self, at: ExRef) -> Option<&mut Hosted> {
        let isolate = self
            .around
            .isolates
            .get_mut(at.isolate)
            .filter(|isolate| isolate.life == at.life)?;
        isolate.open.get_mut(&at.exchange)
    }

    /// Hands an event to an exchange that is not over, and runs what comes of it.
    pub fn hear(
        &mut self,
        at: ExRef,
        awaited: bool,
        event: impl FnOnce(&mut Gateway, Timestamp) -> Vec<Effect>,
    ) {
        self.hear_chunk(at, awaited, &[], event);
    }

    /// The same for a chunk, which may be passed on as it is.
    pub fn hear_chunk(
        &mut self,
        at: ExRef,
        awaited: bool,
        chunk: &[u8],
        event: impl FnOnce(&mut Gateway, Timestamp) -> Vec<Effect>,
    ) {
        let now = self.isolate_time(at.isolate);
        let Some(hosted) = self.hosted(at) else {
            return;
        };
        if awaited {
            hosted.awaited = hosted.awaited.saturating_sub(1);
        }
        let effects = event(&mut self.around.isolates[at.isolate].gateway, now);
        self.perform(at, effects, chunk);
        let stuck = |hosted: &Hosted| {
            hosted.awaited == 0 && hosted.attempts.is_empty() && hosted.timer.is_none()
        };
        if self.hosted(at).is_some_and(|hosted| stuck(hosted)) {
            self.violate(
                "an exchange waits for something",
                format!("{at} waits for nothing and is not over"),
            );
        }
    }

    /// Runs effects in order.
    pub fn perform(&mut self, at: ExRef, effects: Vec<Effect>, chunk: &[u8]) {
        for effect in effects {
            self.perform_one(at, effect, chunk);
        }
    }

    fn perform_one(&mut self, at: ExRef, effect: Effect, chunk: &[u8]) {
        let Some(client) = self.hosted(at).map(|hosted| hosted.client) else {
            return self.perform_behind(at, effect);
        };
        match effect {
            Effect::ReadBody { .. } => {
                self.await_one(at);
                let ms = self.rng.range(0, 20);
                self.after(ms, Event::BodyRead { at });
            }
            Effect::Ask {
                call,
                to,
                message,
                timeout_ms,
            } => {
                self.await_one(at);
                self.note(|| format!("{at} asks {to} as call {call}: {message}"));
                if to.kind() == ObjectKind::Instance {
                    self.note_ask(client, &to, &message);
                }
                let snapshot = to.kind() == ObjectKind::Fleet && message.contains("snapshot");
                self.send(
                    &to,
                    message,
                    timeout_ms,
                    Caller::Exchange { at, call, snapshot },
                );
            }
            Effect::Probe { .. } => {
                self.violate("inference probes nobody", format!("{at} sends a probe"))
            }
            Effect::Fetch {
                attempt,
                url,
                headers,
                own_body,
                stream,
                ..
            } => {
                let body = if own_body {
                    self.around.isolates[at.isolate]
                        .gateway
                        .attempt_body(at.exchange, attempt)
                } else {
                    self.hosted(at)
                        .map(|hosted| hosted.body.clone())
                        .unwrap_or_default()
                };
                self.fetch(at, client, attempt, &url, &headers, &body, stream);
            }
            Effect::Abort { attempt } => {
                if let Some(upstream) = self
                    .hosted(at)
                    .and_then(|hosted| hosted.attempts.remove(&attempt))
                {
                    self.stop_upstream(upstream);
                }
            }
            Effect::Respond {
                status,
                headers,
                body,
            } => {
                let own = self.around.isolates[at.isolate].gateway.output(at.exchange);
                let bytes = match body {
                    Some(text) => text.into_bytes(),
                    None if own.is_empty() => self
                        .hosted(at)
                        .map(|hosted| hosted.whole.clone())
                        .unwrap_or_default(),
                    None => own,
                };
                self.client_gets_answer(at, client, status, &headers, &bytes);
            }
            Effect::RespondAsset { .. } => {
                unreachable!("no client of this world reads the documentation")
            }
            Effect::Open { headers } => self.client_gets_stream(at, client, &headers),
            Effect::Write => {
                let bytes = self.around.isolates[at.isolate].gateway.output(at.exchange);
                self.client_gets_bytes(at, client, &bytes);
            }
            Effect::WriteChunk => self.client_gets_bytes(at, client, chunk),
            Effect::Close => self.client_gets_end(at, client),
            Effect::WakeAt { at_ms } => {
                let setting = self.number();
                let wait = at_ms - self.isolate_time(at.isolate).as_ms();
                if let Some(hosted) = self.hosted(at) {
                    hosted.timer = Some(setting);
                }
                self.after(wait, Event::Wake { at, setting });
            }
            Effect::Done => self.exchange_is_done(at, client),
            behind => self.perform_behind(at, behind),
        }
    }

    /// What goes on after the answer.
    fn perform_behind(&mut self, at: ExRef, effect: Effect) {
        let ExRef { isolate, life, .. } = at;
        match effect {
            Effect::Tell { to, message } => {
                self.note(|| format!("isolate {isolate} tells {to}: {message}"));
                let caller = Caller::Tell {
                    isolate,
                    life,
                    to: to.clone(),
                    message: message.clone(),
                    again: true,
                };
                self.send(&to, message, 10_000, caller);
            }
            Effect::Refresh {
                token,
                to,
                message,
                timeout_ms,
            } => {
                self.send(
                    &to,
                    message,
                    timeout_ms,
                    Caller::Refresh {
                        isolate,
                        life,
                        token,
                    },
                );
            }
            Effect::FlushAfter { ms } => {
                let ms = i64::try_from(ms).unwrap_or(0);
                self.after(ms, Event::Flush { isolate, life });
            }
            Effect::Log { .. } => {}
            other => self.violate(
                "nothing follows the end",
                format!("{at} is over and asks for {other:?}"),
            ),
        }
    }

    fn await_one(&mut self, at: ExRef) {
        if let Some(hosted) = self.hosted(at) {
            hosted.awaited += 1;
        }
    }

    fn exchange_is_done(&mut self, at: ExRef, client: usize) {
        self.finish_client(at, client);
        let Some(isolate) = self.around.isolates.get_mut(at.isolate) else {
            return;
        };
        isolate.gateway.forget(at.exchange);
        let Some(hosted) = isolate.open.remove(&at.exchange) else {
            return;
        };
        for upstream in hosted.attempts.into_values() {
            // Its answer is whole; the host reads on to the end of the connection and tells nobody.
            self.stop_upstream(upstream);
        }
    }

    /// The request's body is here.
    pub fn body_read(&mut self, at: ExRef) {
        let Some(body) = self.hosted(at).map(|hosted| hosted.body.clone()) else {
            return;
        };
        self.hear(at, true, |gateway, now| {
            gateway.body(at.exchange, now, Some(body))
        });
    }

    /// An exchange's timer rings, if it is still the one that is set.
    pub fn wake(&mut self, at: ExRef, setting: u64) {
        let Some(hosted) = self
            .hosted(at)
            .filter(|hosted| hosted.timer == Some(setting))
        else {
            return;
        };
        hosted.timer = None;
        let (client, attempts) = (
            hosted.client,
            hosted.attempts.values().copied().collect::<Vec<_>>(),
        );
        let reads = |upstream: &u64| {
            self.around
                .upstreams
                .get(upstream)
                .is_some_and(|upstream| upstream.reading)
        };
        let reading =
            self.around.clients[client].phase != Phase::Streaming || attempts.iter().any(reads);
        self.hear(at, false, |gateway, now| {
            gateway.wake(at.exchange, now, reading)
        });
    }

    /// What found no ride is told.
    pub fn flush_isolate(&mut self, isolate: usize, life: u64) {
        let now = self.isolate_time(isolate);
        let Some(host) = self
            .around
            .isolates
            .get_mut(isolate)
            .filter(|isolate| isolate.life == life)
        else {
            return;
        };
        let effects = host.gateway.flush(now);
        self.perform_all_behind(isolate, life, effects);
    }

    /// Runs what belongs behind no exchange in particular.
    pub fn perform_all_behind(&mut self, isolate: usize, life: u64, effects: Vec<Effect>) {
        let at = ExRef {
            isolate,
            life,
            exchange: 0,
        };
        for effect in effects {
            self.perform_behind(at, effect);
        }
    }

    /// An isolate is lost: connections break, nothing more is told.
    pub fn lose_isolate(&mut self) {
        let every = self.around.faults.isolate_lost_every_ms;
        if every == 0 {
            return;
        }
        let which = self.rng.index(self.around.isolates.len());
        let fresh = gateway(&mut self.rng);
        let isolate = &mut self.around.isolates[which];
        isolate.gateway = fresh;
        isolate.life += 1;
        let open = std::mem::take(&mut isolate.open);
        self.note(|| format!("isolate {which} is lost with {} exchanges", open.len()));
        if !open.is_empty() {
            self.met(Situation::IsolateLost);
        }
        for hosted in open.into_values() {
            for upstream in hosted.attempts.into_values() {
                self.stop_upstream(upstream);
            }
            self.client_is_cut_off(hosted.client);
        }
        let gap = self.rng.gap(every);
        self.after(gap, Event::LoseIsolate);
    }
}
