//! `Idempotency-Key` on administrative `POST`s: the same request again is answered as the first one was, and
//! changes nothing.
//!
//! A request is the same when organisation, actor, method, path and key are, and its body. The registry says
//! whether it may go on; the change carries that permission, so that it is made once whatever gets lost; the
//! answer is left with the registry before it leaves. Ids and secrets are made from a seed that the registry
//! keeps meanwhile, so whoever takes over makes the same ones.
//!
//! Invariant: what is kept of a body is a MAC, for it may hold a server's key; an answer that must not be
//! stored (`no-store`: it holds a secret) is sealed. Refusals that changed nothing are not kept.
//!
//! In scope: `POST` below `/admin`. Out of scope: `PUT` and `DELETE`, which may be repeated anyway, and
//! inference, where the header is passed to nobody: an answer is not kept there, and a stream least of all.

use tidegate_domain::time::Span;
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand};
use tidegate_durable::bindings::once::{Once, OnceAnswer, OnceReply};
use tidegate_vault::{Context, Purpose, SEAL_RANDOM, open, seal};
use tidegate_wire_openai::ErrorCode;

use crate::admin::BODY_LIMIT;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::{BodyTooLarge, Step, Then, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;

const HEADER: &str = "Idempotency-Key";
/// What Stripe takes, whose clients are used to it.
const MOST_CHARS: usize = 255;

/// The permission to make one change, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    id: String,
    token: String,
    seed: String,
    /// The change is made already: only its answer was lost.
    pub made: bool,
    /// What was left with the change.
    pub note: Option<String>,
}

impl Permit {
    /// As it stands beside the change.
    pub fn once(&self) -> Once {
        Once {
            id: self.id.clone(),
            token: self.token.clone(),
            note: self.note.clone(),
        }
    }
}

impl Admin {
    /// Random bytes; for a change that may be repeated the same ones each time. `what` tells several apart.
    pub fn random<const N: usize>(&self, cx: &Cx<'_>, what: &str) -> [u8; N] {
        let Some(permit) = &self.permit else {
            return cx.random();
        };
        let parts = [
            permit.id.as_bytes(),
            permit.seed.as_bytes(),
            what.as_bytes(),
        ];
        cx.shared.config.installation.tag(Purpose::Again, &parts)
    }
}

/// Runs a handler, at most once where the request says so.
pub fn guard(
    cx: &mut Cx<'_>,
    admin: Admin,
    run: impl FnOnce(&mut Cx<'_>, Admin) -> Step + 'static,
) -> Step {
    let key = match cx.head.header("idempotency-key") {
        Some(key) if cx.head.method == "POST" => key,
        _ => return run(cx, admin),
    };
    if let Err(refused) = check(key) {
        return refused.into();
    }
    let id = cx.shared.config.installation.tag_text(
        Purpose::Repeat,
        &[
            admin.org.as_str().as_bytes(),
            admin.actor.as_bytes(),
            cx.head.method.as_bytes(),
            cx.head.path.trim_end_matches('/').as_bytes(),
            key.as_bytes(),
        ],
    );
    Step::body(BODY_LIMIT, move |cx, body| {
        let body = match body {
            Ok(body) => body,
            Err(refused) => return ApiError::from(refused).into(),
        };
        let installation = &cx.shared.config.installation;
        let command = FleetCommand::Reserve {
            id: id.clone(),
            fingerprint: installation.tag_text(Purpose::Body, &[&body]),
        };
        let fleet = ObjectName::fleet(admin.org.as_str());
        Step::ask(
            fleet,
            &command,
            move |cx, answer: Result<OnceAnswer, Unanswered>| match answer {
                Ok(OnceAnswer::Go {
                    token,
                    seed,
                    made,
                    note,
                }) => {
                    let permit = Permit {
                        id,
                        token,
                        seed,
                        made,
                        note,
                    };
                    go_on(cx, admin, permit, body, run)
                }
                Ok(OnceAnswer::Replay { reply }) => replay(cx, &admin, &id, reply),
                Ok(refused) => refusal(&refused).into(),
                Err(unanswered) => ApiError::from(unanswered).into(),
            },
        )
    })
}

fn go_on(
    cx: &mut Cx<'_>,
    admin: Admin,
    permit: Permit,
    body: Vec<u8>,
    run: impl FnOnce(&mut Cx<'_>, Admin) -> Step,
) -> Step {
    let holder = Admin {
        permit: Some(permit.clone()),
        ..admin.clone()
    };
    let first = match run(cx, holder) {
        // The body is read already.
        Step::Body { limit, then } => {
            let body = Some(body).filter(|body| body.len() <= limit);
            then(cx, body.ok_or(BodyTooLarge { limit }))
        }
        step => step,
    };
    let conclude = move |cx: &mut Cx<'_>, response| conclude(cx, &admin, &permit, response);
    at_last(cx, first, Box::new(conclude))
}

/// Leaves the answer with the registry, then gives it.
fn conclude(cx: &mut Cx<'_>, admin: &Admin, permit: &Permit, response: Response) -> Step {
    let command = FleetCommand::Conclude {
        id: permit.id.clone(),
        token: permit.token.clone(),
        reply: kept(cx, admin, &permit.id, &response),
    };
    let fleet = ObjectName::fleet(admin.org.as_str());
    // Should the registry not answer now, a repetition finds out from it whether the change was made.
    Step::ask(
        fleet,
        &command,
        move |_, _: Result<FleetAnswer, Unanswered>| Step::Respond(response),
    )
}

/// What is kept of an answer: all of a success, and of a fault that may have come after the change. A refusal
/// changed nothing, and after an outage (503) the next one is to find out how far this one came.
fn kept(cx: &Cx<'_>, admin: &Admin, id: &str, response: &Response) -> Option<OnceReply> {
    if !(200..300).contains(&response.status) && response.status != 500 {
        return None;
    }
    let is_no_store =
        |(name, value): &(String, String)| name == "cache-control" && value == "no-store";
    let secret = response.headers.iter().any(is_no_store);
    let body = if secret {
        let record = record(id);
        let context = context(admin, &record);
        let random: [u8; SEAL_RANDOM] = cx.random();
        let text = response.body.as_bytes();
        // What cannot be sealed is not kept.
        seal(&cx.shared.config.keyring, &context, text, &random)
            .map(tidegate_vault::Sealed::into_string)
            .unwrap_or_default()
    } else {
        response.body.clone()
    };
    Some(OnceReply {
        status: response.status,
        headers: response.headers.clone(),
        body,
        secret,
    })
}

fn replay(cx: &Cx<'_>, admin: &Admin, id: &str, reply: OnceReply) -> Step {
    let record = record(id);
    let body = if reply.secret {
        let keyring = &cx.shared.config.keyring;
        let opened = open(keyring, &context(admin, &record), &reply.body).ok();
        opened.and_then(|secret| secret.expose_str().map(str::to_owned))
    } else {
        Some(reply.body)
    };
    // Sealed under a secret of the installation that is not bound any more.
    let Some(body) = body else {
        return refusal(&OnceAnswer::Erased).into();
    };
    let response = Response {
        status: reply.status,
        headers: reply.headers,
        body,
        error: None,
    };
    Step::Respond(response.with_header("idempotency-replayed", "true"))
}

fn refusal(answer: &OnceAnswer) -> ApiError {
    match answer {
        OnceAnswer::Running { retry_after_ms } => in_progress().retry_after(Some(span(*retry_after_ms))),
        OnceAnswer::Reused => ApiError::new(
            ErrorCode::IdempotencyKeyReused,
            format!(
                "This {HEADER} came before with another body, so nothing was done. Take a new key for a new \
                 request."
            ),
        )
        .param(HEADER),
        OnceAnswer::Full { retry_after_ms } => ApiError::new(
            ErrorCode::RateLimitExceeded,
            format!(
                "So many changes came with an {HEADER} in one day that no more are remembered, so nothing was \
                 done. Wait as long as `Retry-After` says, or send it without one."
            ),
        )
        .retry_after(Some(span(*retry_after_ms))),
        OnceAnswer::Erased | OnceAnswer::Go { .. } | OnceAnswer::Replay { .. } => ApiError::new(
            ErrorCode::IdempotencyReplyErased,
            format!(
                "The request with this {HEADER} was carried out, and its answer is not kept any more: secrets \
                 are for ten minutes only. Look at what it made, and make anew what was lost, under another key."
            ),
        ),
    }
}

/// Another request with the same key is at it.
pub fn in_progress() -> ApiError {
    ApiError::new(
        ErrorCode::IdempotencyInProgress,
        format!(
            "A request with this {HEADER} still runs, so nothing was done. Send this one again in a moment and \
             it is answered as that one is."
        ),
    )
}

/// Visible ASCII without commas. Platforms join a header that stands twice with one.
fn check(key: &str) -> Result<(), ApiError> {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b',';
    let reason = match key.chars().count() {
        0 => "must not be empty".to_owned(),
        chars if chars > MOST_CHARS => {
            format!("must be at most {MOST_CHARS} characters, not {chars}")
        }
        _ if key.bytes().all(fits) => return Ok(()),
        _ => "must stand once and hold visible ASCII without spaces and commas".to_owned(),
    };
    let refused = ApiError::new(ErrorCode::InvalidValue, format!("`{HEADER}` {reason}."));
    Err(refused.param(HEADER))
}

/// Has `then` make something else of the answer in which `step` will end.
fn at_last(cx: &mut Cx<'_>, step: Step, then: Then<Response>) -> Step {
    match step {
        Step::Respond(response) => then(cx, response),
        Step::Body { limit, then: next } => Step::Body {
            limit,
            then: Box::new(|cx, body| {
                let step = next(cx, body);
                at_last(cx, step, then)
            }),
        },
        Step::Ask {
            to,
            message,
            timeout_ms,
            then: next,
        } => Step::Ask {
            to,
            message,
            timeout_ms,
            then: Box::new(|cx, outcome| {
                let step = next(cx, outcome);
                at_last(cx, step, then)
            }),
        },
        Step::Gather {
            questions,
            then: next,
        } => Step::Gather {
            questions,
            then: Box::new(|cx, outcomes| {
                let step = next(cx, outcomes);
                at_last(cx, step, then)
            }),
        },
        Step::Probe {
            url,
            bearer,
            timeout_ms,
            then: next,
        } => Step::Probe {
            url,
            bearer,
            timeout_ms,
            then: Box::new(|cx, outcome| {
                let step = next(cx, outcome);
                at_last(cx, step, then)
            }),
        },
        // No administrator's change ends so.
        step @ (Step::Infer(_) | Step::Asset(_) | Step::Upload { .. }) => step,
    }
}

fn record(id: &str) -> String {
    format!("once/{id}")
}

fn context<'a>(admin: &'a Admin, record: &'a str) -> Context<'a> {
    Context {
        organisation: admin.org.as_str(),
        record,
        field: "reply",
    }
}

fn span(ms: u64) -> Span {
    Span::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}
