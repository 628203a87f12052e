//! One inference request: accepted, resolved, dispatched, answered.
//!
//! The [`Dispatch`] decides; this runs its effects against objects and servers, holds the bytes, and
//! tells it what came of them.

mod answering;
mod attempt;
mod effects;
mod events;
mod rate_headers;
pub mod resolve;
pub mod stored;
mod uploads;

use std::collections::BTreeMap;
use std::rc::Rc;

use tidegate_domain::dispatch::{Candidate, Dispatch, Event, Limits};
use tidegate_domain::hedge::Class;
use tidegate_domain::placement::{Draw, Fitness, Server as Seen, Strategy, rank};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::instance::Turnover;
use tidegate_durable::bindings::key::{KeySettled, KeyWindows};
use tidegate_wire_openai::endpoint::RequestBody;
use tidegate_wire_openai::{Endpoint, Peek, PeekLimits, peek};

use crate::account;
use crate::api_error::ApiError;
use crate::auth::{self, Caller, Scope};
use crate::effect::CallId;
use crate::flow::Step;
use crate::gateway::Cx;
use crate::models::{is_allowed, unknown_model, with_routing};
use crate::snapshot::{Routing, fnv};
use crate::upload::Upload;
use attempt::Attempt;

/// Longest request body: a 128k-token prompt with room for escapes, and far below what an isolate holds.
pub const MAX_BODY: usize = 10 << 20;
/// Longest plain answer. Embeddings of a large batch come to tens of megabytes.
const MAX_ANSWER: usize = 64 << 20;
/// Leases live 60 s; renewed this often, two renewals may get lost.
const RENEW_EVERY: Span = Span::from_secs(20);

/// A request on its way to a server.
pub struct Inference {
    org: String,
    caller: Caller,
    endpoint: Endpoint,
    peek: Peek,
    body: Vec<u8>,
    /// The stored response that it is about.
    about: Option<stored::About>,
    /// The body, where it is a multipart form.
    upload: Option<Box<Upload>>,
    /// Some of the body was passed on and is kept nowhere.
    body_is_gone: bool,
    routing: Rc<Routing>,
    /// Candidates in order, as indices into the routing's servers.
    slots: Vec<usize>,
    dispatch: Dispatch,
    arrived_at: Timestamp,
    class: Class,
    attempts: Vec<Attempt>,
    calls: BTreeMap<CallId, Call>,
    next_call: CallId,
    /// Slots that hold an admission, for renewal.
    leased: Vec<usize>,
    /// How often each slot was asked.
    asked: BTreeMap<usize, u32>,
    committed: Option<usize>,
    /// The client's stream has begun.
    open: bool,
    /// What is being sent has no mark at its end.
    is_unmarked: bool,
    /// It ends before its time.
    is_broken: bool,
    answered: bool,
    output: Vec<u8>,
    wake_at: Option<Timestamp>,
    renew_at: Timestamp,
    key: KeyGate,
    /// Words for why the last server refused.
    refusal: Option<String>,
    /// Calls to the waiting room lost in a row.
    lost_waits: u32,
    /// Something is in the outbox that should leave within this many milliseconds.
    flush_within: Option<u64>,
    pressed: bool,
    status: u16,
    /// The code of the error that it was answered or ended with.
    error: Option<String>,
    /// From its arrival.
    first_token: Option<Span>,
    tokens: (u64, u64),
    /// What its servers cost so far, in nano-dollars: a short request's share is less than a micro-dollar.
    cost_nanousd: u64,
}

/// Where the key's limits stand.
#[derive(Clone, Debug, PartialEq)]
enum KeyGate {
    /// It has none.
    Unlimited,
    /// Asked.
    Asked,
    /// Within them.
    Allowed(KeyWindows),
    /// Over one of them.
    Denied {
        limit: String,
        retry_after_ms: u64,
        never_fits: bool,
        windows: KeyWindows,
    },
    /// Its object did not answer.
    Unreachable,
}

/// A call that is out.
enum Call {
    /// An admission, with what rides on it: should the call be lost, it goes again.
    Ask { slot: usize, riding: Turnover },
    /// The key's limits, with what rides on it: should the call be lost, it goes again.
    Key { riding: Vec<KeySettled> },
    /// The model's waiting room.
    Wait,
}

impl Inference {
    /// Reads and checks a request; then it is on its way.
    pub fn accept(cx: &mut Cx<'_>, endpoint: Endpoint) -> Step {
        auth::client(cx, &[Scope::Inference], move |cx, caller| {
            if endpoint.traits().body == RequestBody::Multipart {
                return uploads::accept(cx, caller, endpoint);
            }
            Step::body(MAX_BODY, move |cx, body| {
                let checked = body.map_err(ApiError::from).and_then(|body| {
                    let peek = peek(&body, &PeekLimits::default())?;
                    peek.require_input(endpoint)?;
                    Ok((body, peek))
                });
                let (body, peek) = match checked {
                    Ok(checked) => checked,
                    Err(refused) => return refused.into(),
                };
                cx.notes.asks_for(&peek.model, peek.stream);
                if peek.stream && !endpoint.streams() {
                    return ApiError::no_stream(endpoint.path()).into();
                }
                if !is_allowed(&caller, &peek.model) {
                    return unknown_model(&peek.model).into();
                }
                let org = caller.org.clone();
                with_routing(cx, &org, move |cx, routing| {
                    match peek.previous_response_id.clone() {
                        Some(id) if endpoint == Endpoint::Responses => {
                            continue_from(cx, caller, &id, peek, body, routing)
                        }
                        _ => route(cx, caller, endpoint, peek, body, routing),
                    }
                })
            })
        })
    }

    /// Sends the first effects.
    pub fn start(&mut self, cx: &mut Cx<'_>) {
        cx.notes.is_inference = true;
        if cx.notes.model.is_empty() {
            cx.notes.asks_for(&self.peek.model, self.peek.stream);
        }
        if self.slots.is_empty() {
            // Nothing will be sent, so nothing is counted.
            self.key = KeyGate::Unlimited;
        }
        self.ask_key(cx);
        let effects = self.dispatch.handle(cx.now, Event::Started);
        self.run(cx, effects);
    }

    /// Bytes that are ready to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The rewritten body of an attempt.
    pub fn take_attempt_body(&mut self, attempt: u32) -> Vec<u8> {
        let attempt = usize::try_from(attempt).unwrap_or(usize::MAX);
        self.attempts
            .get_mut(attempt)
            .and_then(|attempt| attempt.own_body.take())
            .unwrap_or_default()
    }

    fn instance(&self, slot: usize) -> Option<ObjectName> {
        let server = self
            .slots
            .get(slot)
            .and_then(|index| self.routing.servers.get(*index))?;
        Some(ObjectName::instance(&self.org, server.id()))
    }

    fn fresh_call(&mut self, call: Call) -> CallId {
        self.next_call += 1;
        self.calls.insert(self.next_call, call);
        self.next_call
    }
}

/// A request that goes on from an earlier response goes to the server that holds it.
fn continue_from(
    cx: &mut Cx<'_>,
    caller: Caller,
    id: &str,
    peek: Peek,
    body: Vec<u8>,
    routing: Rc<Routing>,
) -> Step {
    let Some(resolved) = resolve::resolve(&routing, &peek.model, caller.key.project.as_deref())
    else {
        return unknown_model(&peek.model).into();
    };
    let reached: Vec<usize> = resolved
        .reached
        .iter()
        .map(|reached| reached.server)
        .collect();
    let installation = &cx.shared.config.installation;
    let Some(held) = stored::locate(installation, &caller.org, &routing, &reached, id) else {
        return stored::nothing_to_continue(id).into();
    };
    let about = stored::About::continued(&held);
    let step = route_to(
        cx,
        caller,
        Endpoint::Responses,
        peek,
        body,
        routing,
        Some(held.server),
    );
    about.go_with(step)
}

fn route(
    cx: &mut Cx<'_>,
    caller: Caller,
    endpoint: Endpoint,
    peek: Peek,
    body: Vec<u8>,
    routing: Rc<Routing>,
) -> Step {
    route_to(cx, caller, endpoint, peek, body, routing, None)
}

/// The same; with `only` no other server than that one is ever asked.
fn route_to(
    cx: &mut Cx<'_>,
    caller: Caller,
    endpoint: Endpoint,
    peek: Peek,
    body: Vec<u8>,
    routing: Rc<Routing>,
    only: Option<usize>,
) -> Step {
    let Some(mut resolved) = resolve::resolve(&routing, &peek.model, caller.key.project.as_deref())
    else {
        return unknown_model(&peek.model).into();
    };
    if let Some(only) = only {
        resolved.reached.retain(|reached| reached.server == only);
    }
    cx.notes.known = true;
    let turn = cx.shared.next_turn(&caller.org, &peek.model);
    let draw = Draw {
        now: cx.now,
        request: fnv(cx.request_id.as_bytes()),
        prefix: peek.affinity.unwrap_or_default(),
        turn,
    };
    let server = |reached: &resolve::Reached| routing.servers.get(reached.server);
    let seen: Vec<_> = resolved
        .reached
        .iter()
        .filter_map(|reached| Some(resolve::seen(server(reached)?, *reached, &cx.shared.board)))
        .collect();
    let order = rank(resolved.strategy, &seen, draw, |index| {
        let server = resolved.reached.get(index).and_then(server);
        server.is_some_and(|server| cx.shared.board.may_probe(server.id(), cx.now))
    });
    let reached: Vec<resolve::Reached> = order
        .iter()
        .filter_map(|index| resolved.reached.get(*index).copied())
        .collect();
    let candidate = |reached: &resolve::Reached| {
        let cap = server(reached).and_then(|server| server.entry.entry.first_token_cap_ms);
        Candidate {
            tier: reached.tier,
            first_token_cap: cap.map(span),
        }
    };
    let candidates = reached.iter().map(candidate).collect();
    let slots: Vec<usize> = reached.iter().map(|reached| reached.server).collect();

    let policy = &routing.policy;
    let class = Class::new(
        &caller.org,
        &peek.model,
        peek.stream,
        peek.prompt_tokens_estimate,
    );
    // A second response would stay behind at its server.
    let leaves_something = endpoint == Endpoint::Responses && peek.store != Some(false);
    let may_race = endpoint.traits().may_race && only.is_none() && !leaves_something;
    let hedge_after = (policy.hedge && may_race).then(|| {
        let (min, initial) = (span(policy.hedge_min_ms), span(policy.hedge_initial_ms));
        cx.shared.hedges.delay(&class, min, initial)
    });
    let limits = Limits {
        first_token: span(policy.first_token_timeout_ms),
        idle: span(policy.idle_timeout_ms),
        total: span(policy.total_timeout_ms),
        max_retries: policy.max_retries,
        hedge_after,
        model_wait: span(policy.model_wait_ms),
    };
    let unlimited = caller.key.limits.is_unlimited();
    // Two are compared only where either will do: a server that awaits its probe must not lose it to one
    // that serves, and a preferred one its request to one that is only less busy.
    let mut best = order.iter().filter_map(|index| seen.get(*index));
    let pair = resolved.strategy == Strategy::LeastBusy
        && best.next().zip(best.next()).is_some_and(|(first, second)| {
            let fit = |server: &Seen| matches!(server.fitness, Fitness::Fit);
            fit(first) && fit(second) && first.priority == second.priority
        });
    // Whoever asks the key's object as well compares what was just heard: three calls for each request are
    // what is to be paid for.
    let is_heard = |index: &usize| {
        let server = resolved.reached.get(*index).and_then(server);
        server.is_some_and(|server| cx.shared.board.has_just_heard(server.id(), cx.now))
    };
    let pair = pair && (unlimited || !order.iter().take(2).all(is_heard));
    // Servers that are known to be out are not asked; why, the client should know.
    let out = || {
        resolved
            .reached
            .iter()
            .filter_map(server)
            .find_map(resolve::why_out)
    };
    let refusal = if slots.is_empty() { out() } else { None };
    let dispatch = Dispatch::new(cx.arrived_at, candidates, limits, pair, !unlimited);
    Step::Infer(Box::new(Inference {
        org: caller.org.clone(),
        key: if unlimited {
            KeyGate::Unlimited
        } else {
            KeyGate::Asked
        },
        caller,
        endpoint,
        peek,
        body,
        about: None,
        upload: None,
        body_is_gone: false,
        routing,
        slots,
        dispatch,
        arrived_at: cx.arrived_at,
        class,
        attempts: Vec::new(),
        calls: BTreeMap::new(),
        // Calls of the steps before (key record, snapshot) have small numbers.
        next_call: 1000,
        leased: Vec::new(),
        asked: BTreeMap::new(),
        committed: None,
        open: false,
        is_unmarked: false,
        is_broken: false,
        answered: false,
        output: Vec::new(),
        wake_at: None,
        renew_at: cx.now + RENEW_EVERY,
        refusal,
        lost_waits: 0,
        flush_within: None,
        pressed: false,
        status: account::CLIENT_LEFT,
        error: None,
        first_token: None,
        tokens: (0, 0),
        cost_nanousd: 0,
    }))
}

fn span(ms: u64) -> Span {
    Span::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}
