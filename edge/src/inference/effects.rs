//! What a dispatch asks for, done: messages to objects and requests to servers. What the client gets is in
//! `answering`.

use tidegate_domain::dispatch::{self, Manner, Purpose};
use tidegate_domain::outcome::{FailureKind, Outcome};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::ServerEntry;
use tidegate_durable::bindings::instance::{
    Ask, AskKind, AskMode, FailureWire, InstanceCommand, OutcomeWire, Settled,
};
use tidegate_durable::bindings::key::KeyCommand;
use tidegate_durable::bindings::model::ModelCommand;
use tidegate_wire_openai::endpoint::AnswerBody;
use tidegate_wire_openai::headers::reaches_server;
use tidegate_wire_openai::{Edits, ErrorDialect, StreamDialect, rewrite};

use super::attempt::Attempt;
use super::{Call, Inference, KeyGate, MAX_ANSWER, RENEW_EVERY};
use crate::effect::{CallId, Effect};
use crate::gateway::Cx;
use crate::outbox::RIDE_MS;
use crate::trace;

/// How long an admission that is decided at once may take. Objects answer in milliseconds.
const ASK_MS: u64 = 5_000;
/// A long poll of the model's waiting room lasts 25 s.
const WAIT_MS: u64 = 30_000;

impl Inference {
    /// Runs effects, then sets the timer.
    pub(super) fn run(&mut self, cx: &mut Cx<'_>, effects: Vec<dispatch::Effect>) {
        for effect in effects {
            self.run_one(cx, effect);
        }
        if let Some(ms) = self.flush_within.take() {
            if ms == 0 {
                cx.shared.outbox.hurry();
            }
            cx.effects.push(Effect::FlushAfter { ms });
        }
        self.arm(cx);
    }

    fn run_one(&mut self, cx: &mut Cx<'_>, effect: dispatch::Effect) {
        match effect {
            dispatch::Effect::Ask {
                slot,
                purpose,
                manner,
                deadline,
            } => {
                self.ask(cx, slot, purpose, manner, deadline);
            }
            dispatch::Effect::Cancel { slot } => self.cancel(cx, slot),
            dispatch::Effect::Wait { deadline } => self.wait(cx, deadline),
            dispatch::Effect::StopWaiting => {
                let message = ModelCommand::GiveUp {
                    request: cx.request_id.to_owned(),
                };
                tell(cx, ObjectName::model(&self.org, &self.peek.model), &message);
            }
            dispatch::Effect::Fetch { slot, .. } => self.fetch(cx, slot),
            dispatch::Effect::Abort { attempt } => cx.effects.push(Effect::Abort {
                attempt: number(attempt),
            }),
            dispatch::Effect::Commit { attempt } => self.commit(cx, attempt),
            dispatch::Effect::Settle {
                attempt,
                slot,
                outcome,
                first_token,
                duration,
            } => {
                self.settle(cx, attempt, slot, outcome, first_token, duration);
            }
            dispatch::Effect::Fail(failure) => self.fail(cx, &failure),
            dispatch::Effect::Break { attempt, reason } => self.break_off(cx, attempt, reason),
            dispatch::Effect::Finish => self.finish(cx),
        }
    }

    pub(super) fn ask_key(&mut self, cx: &mut Cx<'_>) {
        if self.key != KeyGate::Asked {
            return;
        }
        let key = self.caller.limits_object();
        let riding = cx.shared.outbox.board_key(&key);
        let message = KeyCommand::Admit {
            request: cx.request_id.to_owned(),
            limits: self.caller.key.limits,
            reserve_tokens: self.reserve(),
            visitor: self.caller.visitor_tag(),
            settled: riding.clone(),
        };
        let call = self.fresh_call(Call::Key { riding });
        call_object(cx, call, key, &message, ASK_MS);
    }

    /// What the request may use at most, as far as it says: the prompt, and `max_tokens` for each choice.
    fn reserve(&self) -> u64 {
        let choices = self.peek.n.unwrap_or(1);
        let completion = self
            .peek
            .max_tokens
            .unwrap_or_default()
            .saturating_mul(choices);
        self.peek.prompt_tokens_estimate.saturating_add(completion)
    }

    /// Whose share of a rented GPU's cost this request is.
    fn payer(&self) -> String {
        match &self.caller.visitor {
            None => format!("key/{}", self.caller.key.id),
            Some(_) => "anonymous".to_owned(),
        }
    }

    fn ask(
        &mut self,
        cx: &mut Cx<'_>,
        slot: usize,
        purpose: Purpose,
        manner: Manner,
        deadline: Timestamp,
    ) {
        let Some(instance) = self.instance(slot) else {
            return;
        };
        let mut turnover = cx.shared.outbox.board(&instance);
        *self.asked.entry(slot).or_default() += 1;
        let riding = turnover.clone();
        turnover.ask = Some(Ask {
            request: self.lease_id(cx, slot),
            priority: self.caller.key.priority,
            arrived_at_ms: self.arrived_at.as_ms(),
            deadline_ms: deadline.as_ms(),
            payer: Some(self.payer()),
            kind: match purpose {
                Purpose::First => AskKind::First,
                Purpose::Retry => AskKind::Retry,
                Purpose::Hedge => AskKind::Hedge,
            },
            mode: match manner {
                Manner::Queue => AskMode::Normal,
                Manner::Tentative => AskMode::Tentative,
                Manner::Panic => AskMode::Panic,
            },
            policy_version: self.routing.policy.version,
        });
        let timeout = match manner {
            Manner::Queue => self.routing.policy.queue_timeout_ms.saturating_add(ASK_MS),
            Manner::Tentative | Manner::Panic => ASK_MS,
        };
        let call = self.fresh_call(Call::Ask { slot, riding });
        call_object(
            cx,
            call,
            instance,
            &InstanceCommand::Turnover(turnover),
            timeout,
        );
    }

    /// Each ask at a server is one of its own there: what was said of an earlier one (given back, ended)
    /// may arrive later than the next ask, and must not take the lease of that.
    fn lease_id(&self, cx: &Cx<'_>, slot: usize) -> String {
        match self.asked.get(&slot) {
            None | Some(0 | 1) => cx.request_id.to_owned(),
            Some(times) => format!("{}.{times}", cx.request_id),
        }
    }

    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>, slot: usize) {
        if let Some(instance) = self.instance(slot) {
            let lease = self.lease_id(cx, slot);
            cx.shared.outbox.cancel(&instance, &lease, cx.now);
        }
        self.leased.retain(|leased| *leased != slot);
        self.flush(if self.pressed { 0 } else { RIDE_MS });
    }

    /// What is in the outbox leaves within `ms`, if it finds no ride before.
    pub(super) fn flush(&mut self, ms: u64) {
        self.flush_within = Some(self.flush_within.map_or(ms, |set| set.min(ms)));
    }

    fn wait(&mut self, cx: &mut Cx<'_>, deadline: Timestamp) {
        let server = |index: &usize| {
            self.routing
                .servers
                .get(*index)
                .map(|server| server.id().to_owned())
        };
        let message = ModelCommand::Wait {
            request: cx.request_id.to_owned(),
            priority: self.caller.key.priority,
            arrived_at_ms: self.arrived_at.as_ms(),
            deadline_ms: deadline.as_ms(),
            candidates: self.slots.iter().filter_map(server).collect(),
            max_waiting: self.routing.policy.max_waiting_per_model,
        };
        let call = self.fresh_call(Call::Wait);
        call_object(
            cx,
            call,
            ObjectName::model(&self.org, &self.peek.model),
            &message,
            WAIT_MS,
        );
    }

    fn fetch(&mut self, cx: &mut Cx<'_>, slot: usize) {
        let attempt = number(self.attempts.len());
        let traits = self.endpoint.traits();
        let counts_in_a_chunk = traits.stream == Some(StreamDialect::Chunks);
        let hide_usage = counts_in_a_chunk && self.peek.stream && !self.peek.include_usage;
        let Some(server) = self
            .slots
            .get(slot)
            .and_then(|index| self.routing.servers.get(*index))
        else {
            return;
        };
        let edits = Edits {
            model: Some(server.upstream_model()),
            previous_response_id: self.continued(),
            include_usage: counts_in_a_chunk,
            drop_nulls: true,
        };
        let upload = self.outgoing(slot);
        let own_body = match rewrite(&self.body, &self.peek, &edits) {
            std::borrow::Cow::Owned(bytes) if upload.is_none() => Some(bytes),
            _ => None,
        };
        let (method, path, query) = self.request_line();
        let url = server
            .endpoint
            .as_ref()
            .and_then(|endpoint| endpoint.route(&path).ok())
            .map(|mut url| {
                url.set_query((!query.is_empty()).then_some(query));
                url
            });
        let connection = cx.head.header("connection");
        let mut headers: Vec<(String, String)> = cx
            .head
            .headers
            .iter()
            .filter(|(name, _)| {
                (name != "content-type" || upload.is_some()) && reaches_server(name, connection)
            })
            // What is not a trace is not passed on as one.
            .filter(|(name, _)| {
                cx.notes.trace.is_some() || !trace::HEADERS.contains(&name.as_str())
            })
            .cloned()
            .collect();
        if upload.is_none() {
            // Clients that name another type, or none, sent JSON all the same: it was read as such.
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        headers.push(("x-request-id".to_owned(), cx.request_id.to_owned()));
        if let Some(key) = server.api_key.as_ref().and_then(|key| key.expose_str()) {
            headers.push(("authorization".to_owned(), format!("Bearer {key}")));
            // Engines take either; Anthropic's own servers only this.
            if traits.errors == ErrorDialect::Anthropic {
                headers.push(("x-api-key".to_owned(), key.to_owned()));
            }
        }
        let shape = self.response_shape(server);
        cx.effects.push(Effect::Fetch {
            attempt,
            method,
            // A server without a usable address is out of service and never ranked.
            url: url.map(String::from).unwrap_or_default(),
            headers,
            own_body: own_body.is_some(),
            // Of what an upload asks for is only known at its end.
            stream: self.peek.stream
                || upload.is_some()
                || self.endpoint.traits().answer == AnswerBody::Bytes,
            upload,
            max_body: MAX_ANSWER,
        });
        let mut attempt = Attempt::new(slot, self.endpoint, hide_usage, own_body);
        attempt.shape = shape;
        self.attempts.push(attempt);
        if !self.leased.contains(&slot) {
            self.leased.push(slot);
        }
    }

    fn settle(
        &mut self,
        cx: &mut Cx<'_>,
        attempt: usize,
        slot: usize,
        outcome: Outcome,
        first_token: Option<Span>,
        duration: Span,
    ) {
        let prompt = self.peek.prompt_tokens_estimate;
        let tokens = self
            .attempts
            .get(attempt)
            .map_or((0, 0), |attempt| attempt.tokens(prompt));
        self.leased.retain(|leased| *leased != slot);
        if self.committed == Some(attempt) {
            self.tokens = tokens;
        }
        let server = self
            .slots
            .get(slot)
            .and_then(|index| self.routing.servers.get(*index));
        if let Some(server) = server {
            let share = cost_nanousd(&server.entry.entry, duration);
            self.cost_nanousd = self.cost_nanousd.saturating_add(share);
        }
        if let Some(server) = server.filter(|_| self.asks_the_model()) {
            // A plain answer speaks when it is whole. One that was given up for its silence counts with the
            // time it took, which its first token would have exceeded. A server that fails fast, or that
            // refuses, says nothing about how fast it answers: it must not look quick.
            let timed_out = outcome
                == Outcome::Failure {
                    kind: FailureKind::Timeout,
                };
            let whole = (outcome == Outcome::Success || timed_out).then_some(duration);
            if let Some(spoke) = first_token.or(whole) {
                cx.shared.board.note_first_token(server.id(), spoke);
            }
            if outcome == Outcome::Success {
                cx.shared
                    .hedges
                    .observe(self.class.clone(), first_token.unwrap_or(duration));
            }
        }
        let Some(instance) = self.instance(slot) else {
            return;
        };
        let lease = self.lease_id(cx, slot);
        cx.shared.outbox.settle(
            &instance,
            Settled {
                request: lease,
                outcome: outcome_wire(outcome),
                first_token_ms: first_token.map(ms),
                duration_ms: ms(duration),
                prompt_tokens: tokens.0,
                completion_tokens: tokens.1,
            },
            cx.now,
        );
        // The request may go on for long; its slot here is free now.
        self.flush(RIDE_MS);
    }

    /// Renewals are due every 20 s while admissions are held; the dispatch has timers of its own.
    pub(super) fn arm(&mut self, cx: &mut Cx<'_>) {
        if self.dispatch.is_finished() {
            return;
        }
        if cx.now >= self.renew_at {
            self.renew(cx);
        }
        let wanted = self
            .dispatch
            .poll_timeout()
            .map_or(self.renew_at, |at| at.min(self.renew_at));
        // A timer that rings too early is harmless; one that is moved with each chunk is not.
        if self.wake_at.is_none_or(|set| wanted < set || set <= cx.now) {
            self.wake_at = Some(wanted);
            cx.effects.push(Effect::WakeAt {
                at_ms: wanted.as_ms(),
            });
        }
    }

    fn renew(&mut self, cx: &mut Cx<'_>) {
        self.renew_at = cx.now + RENEW_EVERY;
        for slot in &self.leased {
            if let Some(instance) = self.instance(*slot) {
                let lease = self.lease_id(cx, *slot);
                cx.shared.outbox.renew(&instance, &lease, cx.now);
            }
        }
        if matches!(self.key, KeyGate::Allowed(_)) {
            let message = KeyCommand::Renew {
                request: cx.request_id.to_owned(),
                visitor: self.caller.visitor_tag(),
            };
            tell(cx, self.caller.limits_object(), &message);
        }
        if !self.leased.is_empty() {
            cx.shared.outbox.hurry();
            cx.effects.push(Effect::FlushAfter { ms: 0 });
        }
    }
}

fn call_object(
    cx: &mut Cx<'_>,
    call: CallId,
    to: ObjectName,
    message: &impl serde::Serialize,
    timeout_ms: u64,
) {
    let message = serde_json::to_string(message).unwrap_or_default();
    cx.effects.push(Effect::Ask {
        call,
        to,
        message,
        timeout_ms,
    });
}

/// A request's share of what a server costs: its price for the time it held one of the server's places.
fn cost_nanousd(entry: &ServerEntry, held: Span) -> u64 {
    const HOUR_MS: u128 = 3_600_000;
    let places = u128::from(entry.max_concurrency.max(1));
    let price = u128::from(entry.price_microusd_per_hour).saturating_mul(1_000);
    let share = price.saturating_mul(u128::from(ms(held))) / (HOUR_MS * places);
    u64::try_from(share).unwrap_or(u64::MAX)
}

pub(super) fn tell(cx: &mut Cx<'_>, to: ObjectName, message: &impl serde::Serialize) {
    let message = serde_json::to_string(message).unwrap_or_default();
    cx.effects.push(Effect::Tell { to, message });
}

pub(super) fn number(attempt: usize) -> u32 {
    u32::try_from(attempt).unwrap_or(u32::MAX)
}

pub(super) fn ms(span: Span) -> u64 {
    u64::try_from(span.as_ms()).unwrap_or_default()
}

fn outcome_wire(outcome: Outcome) -> OutcomeWire {
    match outcome {
        Outcome::Success => OutcomeWire::Success,
        Outcome::ClientError(status) => OutcomeWire::ClientError { status },
        Outcome::Backpressure {
            status,
            retry_after,
        } => OutcomeWire::Backpressure {
            status,
            retry_after_ms: retry_after.map(ms),
        },
        Outcome::Failure { kind } => OutcomeWire::Failure {
            kind: failure_wire(kind),
        },
        Outcome::ClientLeft => OutcomeWire::ClientLeft,
        Outcome::Cancelled => OutcomeWire::Cancelled,
    }
}

const fn failure_wire(kind: FailureKind) -> FailureWire {
    match kind {
        FailureKind::Http5xx(_) => FailureWire::Http5xx,
        FailureKind::Transport => FailureWire::Transport,
        FailureKind::Timeout => FailureWire::Timeout,
        FailureKind::Stalled => FailureWire::Stalled,
        FailureKind::CutStream => FailureWire::CutStream,
        FailureKind::InvalidAnswer => FailureWire::InvalidAnswer,
    }
}
