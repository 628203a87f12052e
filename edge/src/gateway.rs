//! The gateway of one isolate: open exchanges and what they share.
//!
//! The host calls one method an event and runs the effects that come back. Events for exchanges that are
//! over are ignored, so a host need not synchronise its cancellations.

mod exchange;
mod gathering;
mod servers;
mod shared;
mod uploads;

use std::collections::BTreeMap;

use tidegate_domain::hedge::HedgeDelays;
use tidegate_domain::time::Timestamp;
use tidegate_durable::ports::Entropy;
use tidegate_wire_openai::{ErrorCode, ErrorDialect};

use self::exchange::{Exchange, Stage};
use self::gathering::Gathering;
pub use self::shared::{Config, Cx, Shared};
use crate::account::{self, CLIENT_LEFT, CLIENT_LEFT_CODE, Notes};
use crate::api_error::ApiError;
pub use crate::cors::{Origins, OriginsRefused};
use crate::effect::{CallId, CallOutcome, Effect, ProbeOutcome};
use crate::flow::{BodyTooLarge, Step};
use crate::health::Readiness;
use crate::inference::Inference;
use crate::key_cache::KeyCache;
use crate::load_board::LoadBoard;
use crate::manners;
pub use crate::manners::Manners;
use crate::outbox::Outbox;
pub use crate::public_url::{PublicUrlRefused, read as read_public_url};
use crate::request::{Head, Response};
use crate::request_log::RequestLog;
use crate::snapshot::SnapshotCache;
use crate::upload::{IDLE_MS, Room};
use crate::{routes, trace};

/// An exchange's number; never used twice in an isolate.
pub type ExchangeId = u32;

/// The gateway of one isolate.
pub struct Gateway {
    shared: Shared,
    exchanges: BTreeMap<ExchangeId, Exchange>,
}

impl Gateway {
    /// A gateway that has seen nothing yet.
    pub fn new(config: Config, entropy: Box<dyn Entropy>) -> Self {
        let mut prefix = [0_u8; 8];
        entropy.fill(&mut prefix);
        let id_prefix: String = prefix.iter().map(|byte| format!("{byte:02x}")).collect();
        let shared = Shared {
            config,
            entropy,
            snapshots: SnapshotCache::default(),
            keys: KeyCache::default(),
            board: LoadBoard::default(),
            hedges: HedgeDelays::default(),
            outbox: Outbox::default(),
            log: RequestLog::new(id_prefix.clone()),
            room: Room::default(),
            readiness: Readiness::default(),
            turns: BTreeMap::new(),
            id_prefix,
            next_id: 0,
            refreshes: BTreeMap::new(),
        };
        Self {
            shared,
            exchanges: BTreeMap::new(),
        }
    }

    /// A request arrived.
    pub fn begin(&mut self, now: Timestamp, head: Head) -> (ExchangeId, Vec<Effect>) {
        let id = self.shared.fresh_number();
        let request_id = format!("req_{}{id:08x}", self.shared.id_prefix);
        let always = self.shared.config.manners.origins.headers(&head);
        let notes = Notes {
            trace: trace::id(&head),
            ..Notes::default()
        };
        let exchange = Exchange {
            head,
            always,
            notes,
            request_id,
            stage: Stage::Over,
            next_call: 0,
            arrived_at: now,
            left: false,
        };
        self.exchanges.insert(id, exchange);
        let effects = self.step(id, now, arrive);
        (id, effects)
    }

    /// Header lines of any answer to this exchange, for answers that the host has to give by itself.
    pub fn always(&self, id: ExchangeId) -> Vec<(String, String)> {
        let Some(exchange) = self.exchanges.get(&id) else {
            return Vec::new();
        };
        let mut headers = exchange.always.clone();
        headers.push(("x-request-id".to_owned(), exchange.request_id.clone()));
        headers
    }

    /// The body is here; `None` when it is longer than the limit that was given.
    pub fn body(&mut self, id: ExchangeId, now: Timestamp, body: Option<Vec<u8>>) -> Vec<Effect> {
        let Some(Stage::Body { limit, then }) =
            self.take_stage(id, |stage| matches!(stage, Stage::Body { .. }))
        else {
            return Vec::new();
        };
        let body = body
            .filter(|body| body.len() <= limit)
            .ok_or(BodyTooLarge { limit });
        self.step(id, now, |cx| then(cx, body))
    }

    /// A call to an object ended.
    pub fn answered(
        &mut self,
        id: ExchangeId,
        now: Timestamp,
        call: CallId,
        outcome: CallOutcome,
    ) -> Vec<Effect> {
        let awaited =
            |stage: &Stage| matches!(stage, Stage::Ask { call: awaited, .. } if *awaited == call);
        if let Some(Stage::Ask { then, .. }) = self.take_stage(id, awaited) {
            return self.step(id, now, |cx| then(cx, outcome));
        }
        let awaited =
            |stage: &Stage| matches!(stage, Stage::Gather(gathering) if gathering.awaits(call));
        if let Some(Stage::Gather(gathering)) = self.take_stage(id, awaited) {
            match gathering.hear(call, outcome) {
                Ok((outcomes, then)) => return self.step(id, now, |cx| then(cx, outcomes)),
                Err(gathering) => self.put_stage(id, Stage::Gather(gathering)),
            }
            return Vec::new();
        }
        self.infer(id, now, |inference, cx| {
            inference.on_answer(cx, call, outcome)
        })
    }

    /// A probe ended.
    pub fn probed(
        &mut self,
        id: ExchangeId,
        now: Timestamp,
        call: CallId,
        outcome: ProbeOutcome,
    ) -> Vec<Effect> {
        let awaited =
            |stage: &Stage| matches!(stage, Stage::Probe { call: awaited, .. } if *awaited == call);
        let Some(Stage::Probe { then, .. }) = self.take_stage(id, awaited) else {
            return Vec::new();
        };
        self.step(id, now, |cx| then(cx, outcome))
    }

    /// A refresh behind a request ended.
    pub fn refreshed(&mut self, now: Timestamp, token: u32, outcome: CallOutcome) -> Vec<Effect> {
        self.shared.refreshed(now, token, outcome)
    }

    /// The timer rang. `reading` tells whether the host is waiting for the server: silence that is only
    /// a client that reads slowly is nobody's fault.
    pub fn wake(&mut self, id: ExchangeId, now: Timestamp, reading: bool) -> Vec<Effect> {
        if let Some(effects) = self.look_for_room(id, now) {
            return effects;
        }
        self.infer(id, now, |inference, cx| inference.on_wake(cx, reading))
    }

    /// The client went away.
    pub fn gone(&mut self, id: ExchangeId, now: Timestamp) -> Vec<Effect> {
        match self.exchanges.get_mut(&id) {
            Some(Exchange {
                stage: Stage::Inference(_),
                ..
            }) => self.infer(id, now, |inference, cx| inference.on_client_left(cx)),
            // Nothing runs on the client's behalf but an object's turn, which ends by itself; an
            // administrative change that has begun is not torn in two. No server is asked any more.
            Some(exchange) => {
                exchange.left = true;
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// The host gives an exchange up (it failed to run an effect).
    pub fn abandon(&mut self, id: ExchangeId, now: Timestamp) -> Vec<Effect> {
        let effects = self.gone(id, now);
        self.exchanges.remove(&id);
        effects
    }

    /// Bytes to send: those of [`Effect::Write`], or the body of a [`Effect::Respond`] without one.
    pub fn output(&mut self, id: ExchangeId) -> Vec<u8> {
        match self
            .exchanges
            .get_mut(&id)
            .map(|exchange| &mut exchange.stage)
        {
            Some(Stage::Inference(inference)) => inference.take_output(),
            _ => Vec::new(),
        }
    }

    /// The body of an attempt whose [`Effect::Fetch`] says `own_body`.
    pub fn attempt_body(&mut self, id: ExchangeId, attempt: u32) -> Vec<u8> {
        match self
            .exchanges
            .get_mut(&id)
            .map(|exchange| &mut exchange.stage)
        {
            Some(Stage::Inference(inference)) => inference.take_attempt_body(attempt),
            _ => Vec::new(),
        }
    }

    /// The exchange is answered: its last bytes have been taken.
    pub fn forget(&mut self, id: ExchangeId) {
        self.exchanges.remove(&id);
    }

    /// What is still to be told to objects and found no ride.
    pub fn flush(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = self.shared.outbox.drain(now);
        effects.extend(self.shared.outbox.next_flush(now).map(shared::flush_after));
        self.shared.flush_log(now, &mut effects);
        effects
    }

    /// Exchanges that are open: none when nothing runs.
    pub fn open_exchanges(&self) -> usize {
        self.exchanges.len()
    }

    fn take_stage(&mut self, id: ExchangeId, wanted: impl FnOnce(&Stage) -> bool) -> Option<Stage> {
        let exchange = self
            .exchanges
            .get_mut(&id)
            .filter(|exchange| wanted(&exchange.stage))?;
        Some(std::mem::replace(&mut exchange.stage, Stage::Over))
    }

    fn put_stage(&mut self, id: ExchangeId, stage: Stage) {
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.stage = stage;
        }
    }

    fn step(
        &mut self,
        id: ExchangeId,
        now: Timestamp,
        run: impl FnOnce(&mut Cx<'_>) -> Step,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return effects;
        };
        let mut cx = exchange.cx(&mut self.shared, now, &mut effects);
        let mut step = run(&mut cx);
        let step = loop {
            step = match step {
                Step::Gather { questions, then } if questions.is_empty() => {
                    then(&mut cx, Vec::new())
                }
                step => break step,
            };
        };
        let stage = match step {
            Step::Body { limit, then } => {
                effects.push(Effect::ReadBody { limit });
                Stage::Body { limit, then }
            }
            Step::Upload { upload, then } => {
                effects.push(Effect::ReadUpload { idle_ms: IDLE_MS });
                Stage::Upload { upload, then }
            }
            Step::Ask {
                to,
                message,
                timeout_ms,
                then,
            } => {
                exchange.next_call += 1;
                let call = exchange.next_call;
                effects.push(Effect::Ask {
                    call,
                    to,
                    message,
                    timeout_ms,
                });
                Stage::Ask { call, then }
            }
            Step::Gather { questions, then } => {
                let last_call = &mut exchange.next_call;
                Stage::Gather(Gathering::begin(questions, then, last_call, &mut effects))
            }
            Step::Probe {
                url,
                bearer,
                timeout_ms,
                then,
            } => {
                exchange.next_call += 1;
                let call = exchange.next_call;
                effects.push(Effect::Probe {
                    call,
                    url,
                    bearer,
                    timeout_ms,
                });
                Stage::Probe { call, then }
            }
            Step::Respond(response) => {
                let (status, code) = (response.status, response.error_code());
                effects.push(respond(&exchange.head, &exchange.request_id, response));
                let mut cx = exchange.cx(&mut self.shared, now, &mut effects);
                account::close_early(&mut cx, status, code);
                effects.push(Effect::Done);
                Stage::Over
            }
            Step::Asset(asset) => {
                let mut headers = asset.headers();
                headers.push(request_id_line(&exchange.request_id));
                effects.push(Effect::RespondAsset {
                    file: asset.file,
                    headers,
                });
                let mut cx = exchange.cx(&mut self.shared, now, &mut effects);
                account::close_early(&mut cx, 200, None);
                effects.push(Effect::Done);
                Stage::Over
            }
            Step::Infer(_) if exchange.left => {
                let mut cx = exchange.cx(&mut self.shared, now, &mut effects);
                account::close_early(&mut cx, CLIENT_LEFT, Some(CLIENT_LEFT_CODE.to_owned()));
                effects.push(Effect::Done);
                Stage::Over
            }
            Step::Infer(mut inference) => {
                let mut cx = exchange.cx(&mut self.shared, now, &mut effects);
                inference.start(&mut cx);
                Stage::Inference(inference)
            }
        };
        exchange.stage = stage;
        manners::mark(&exchange.always, &mut effects);
        effects
    }

    fn infer(
        &mut self,
        id: ExchangeId,
        now: Timestamp,
        run: impl FnOnce(&mut Inference, &mut Cx<'_>),
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(Exchange {
            head,
            request_id,
            notes,
            arrived_at,
            always,
            stage: Stage::Inference(inference),
            ..
        }) = self.exchanges.get_mut(&id)
        {
            let mut cx = Cx {
                shared: &mut self.shared,
                now,
                head,
                request_id,
                notes,
                arrived_at: *arrived_at,
                effects: &mut effects,
            };
            run(inference, &mut cx);
            manners::mark(always, &mut effects);
        }
        effects
    }
}

fn request_id_line(request_id: &str) -> (String, String) {
    ("x-request-id".to_owned(), request_id.to_owned())
}

/// Every whole answer carries its request's id, and tells errors in the dialect of its route.
pub(crate) fn respond(head: &Head, request_id: &str, response: Response) -> Effect {
    let Response {
        status,
        mut headers,
        mut body,
        error,
    } = response;
    let dialect = head.error_dialect();
    if let Some(error) = error.filter(|_| dialect != ErrorDialect::OpenAi) {
        let told = error.to_json_in(dialect, Some(request_id));
        body = String::from_utf8(told).unwrap_or_default();
        // The header by which Anthropic's SDKs know a request.
        headers.push(("request-id".to_owned(), request_id.to_owned()));
    }
    headers.push(request_id_line(request_id));
    Effect::Respond {
        status,
        headers,
        body: Some(body),
    }
}

fn arrive(cx: &mut Cx<'_>) -> Step {
    let answered = cx.shared.config.manners.first(cx.head);
    answered.unwrap_or_else(|| routes::dispatch(cx))
}

/// A refusal as the next step.
impl From<ApiError> for Step {
    fn from(error: ApiError) -> Self {
        Self::Respond(error.into_response())
    }
}

/// A refusal in the client's own terms, for callers outside this module.
pub(crate) fn unavailable() -> ApiError {
    ApiError::new(
        ErrorCode::GatewayUnavailable,
        "The gateway's list of servers could not be loaded and none is remembered. Try again in a moment.",
    )
    .retry_after(Some(tidegate_domain::time::Span::from_secs(1)))
}
