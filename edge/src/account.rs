//! What a request comes to when it is over: a line of the log, whoever asked; and for inference by a caller
//! who is known, an entry of the organisation's request log.
//!
//! Invariant: neither holds a prompt, a secret, or anything of the URL but the route's template. Nobody who
//! is not known causes a write: a request without a good key leaves only a line.

use serde::Serialize;
use tidegate_durable::bindings::log::LogEntry;

use crate::effect::Effect;
use crate::gateway::Cx;
use crate::request_log::LINGER_MS;

/// Status of a request whose client left before it had an answer, as proxies log it.
pub const CLIENT_LEFT: u16 = 499;
/// What such a request, or a stream that its client left, has in the place of an error code.
pub const CLIENT_LEFT_CODE: &str = "client_left";

/// What handlers find out about a request on its way.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// The route's template, once it was found.
    pub route: Option<&'static str>,
    /// Whether it is one of inference.
    pub is_inference: bool,
    /// The organisation, once the caller is known.
    pub org: Option<String>,
    /// An administrator: `admin` or `key/{id}`.
    pub actor: Option<String>,
    /// A client's key.
    pub key: Option<String>,
    /// The key's project.
    pub project: Option<String>,
    /// The model, as the client named it.
    pub model: String,
    /// Whether there is such a model or route.
    pub known: bool,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The W3C trace that it belongs to.
    pub trace: Option<String>,
}

impl Notes {
    /// The request's body has been looked at.
    pub fn asks_for(&mut self, model: &str, stream: bool) {
        model.clone_into(&mut self.model);
        self.stream = stream;
    }
}

/// How it ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// HTTP status.
    pub status: u16,
    /// The error's code.
    pub error: Option<String>,
    /// The server whose answer was used.
    pub server: Option<String>,
    /// Servers it was sent to.
    pub attempts: u32,
    /// From its arrival.
    pub first_token_ms: Option<u64>,
    /// Read and written.
    pub tokens: (u64, u64),
    /// Micro-dollars.
    pub cost_microusd: u64,
}

/// The line, in the order in which it is read best.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    #[serde(rename = "request.id")]
    request: &'a str,
    method: &'a str,
    route: Option<&'static str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(rename = "trace.id", skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
    #[serde(flatten)]
    inference: Option<InferenceLine<'a>>,
}

#[derive(Serialize)]
struct InferenceLine<'a> {
    #[serde(rename = "key.id")]
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    model: &'a str,
    #[serde(rename = "server.id")]
    server: Option<&'a str>,
    stream: bool,
    attempts: u32,
    first_token_ms: Option<u64>,
    prompt_tokens: u64,
    completion_tokens: u64,
    cost_microusd: u64,
}

/// Writes the line, and the entry if there is to be one.
pub fn close(cx: &mut Cx<'_>, ended: Ended) {
    let entry = entry(cx, ended);
    let is_logged = cx.notes.is_inference && cx.notes.key.is_some();
    let line = Line {
        event: "request",
        request: cx.request_id,
        // Whatever a client may call it: only verbs are worth a line.
        method: cx
            .head
            .method
            .get(..cx.head.method.len().min(16))
            .unwrap_or_default(),
        route: cx.notes.route,
        status: entry.status,
        error: entry.error.as_deref(),
        duration_ms: entry.duration_ms,
        org: cx.notes.org.as_deref(),
        actor: cx.notes.actor.as_deref(),
        trace: cx.notes.trace.as_deref(),
        inference: is_logged.then(|| InferenceLine {
            key: &entry.key,
            project: entry.project.as_deref(),
            model: &entry.model,
            server: entry.server.as_deref(),
            stream: entry.stream,
            attempts: entry.attempts,
            first_token_ms: entry.first_token_ms,
            prompt_tokens: entry.prompt_tokens,
            completion_tokens: entry.completion_tokens,
            cost_microusd: entry.cost_microusd,
        }),
    };
    let line = serde_json::to_string(&line).unwrap_or_default();
    cx.effects.push(Effect::Log { line });
    let org = cx.notes.org.clone().filter(|_| is_logged);
    let Some(org) = org else { return };
    cx.shared.log_request(org, entry, cx.now, cx.effects);
}

/// The same for a request that never became inference: nothing else flushes the log for it.
pub fn close_early(cx: &mut Cx<'_>, status: u16, error: Option<String>) {
    let ended = Ended {
        status,
        error,
        ..Ended::default()
    };
    close(cx, ended);
    if cx.shared.log.is_waiting() {
        cx.effects.push(Effect::FlushAfter { ms: LINGER_MS });
    }
}

fn entry(cx: &Cx<'_>, ended: Ended) -> LogEntry {
    let notes = &*cx.notes;
    let duration = cx.now.since(cx.arrived_at).as_ms();
    LogEntry {
        at_ms: cx.now.as_ms(),
        request: cx.request_id.to_owned(),
        key: notes.key.clone().unwrap_or_default(),
        project: notes.project.clone(),
        model: notes.model.clone(),
        known: notes.known,
        server: ended.server,
        endpoint: notes.route.unwrap_or_default().to_owned(),
        status: ended.status,
        error: ended.error,
        stream: notes.stream,
        attempts: ended.attempts,
        first_token_ms: ended.first_token_ms,
        duration_ms: u64::try_from(duration).unwrap_or_default(),
        prompt_tokens: ended.tokens.0,
        completion_tokens: ended.tokens.1,
        cost_microusd: ended.cost_microusd,
        trace: notes.trace.clone(),
    }
}
