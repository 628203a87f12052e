//! One question to the fleet, and what its refusals mean to an administrator.
//!
//! Invariant: every answer that a route does not expect becomes an error with a status of its own; a
//! change whose answer was lost is never reported as not made.

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand, FleetMessage};
use tidegate_vault::verify_instance_id;
use tidegate_wire_openai::ErrorCode;

use super::BODY_LIMIT;
use super::fields::{Fields, bad_value};
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::{Step, Unanswered};
use crate::gateway::Cx;
use crate::idempotency::{self, Permit};

/// How long a message is waited for that the fleet's outbox repeats anyway.
pub const COURTESY_TIMEOUT_MS: u64 = 3_000;

/// What a question is about, for the words of its refusals.
#[derive(Clone, Debug)]
pub struct Subject {
    /// `server`, `key`, …
    pub what: &'static str,
    /// Its id or name; empty for lists.
    pub name: String,
    /// The route that lists them.
    pub list: &'static str,
}

impl Subject {
    /// A server.
    pub fn server(id: &str) -> Self {
        Self {
            what: "server",
            name: id.to_owned(),
            list: "GET /admin/servers",
        }
    }

    /// There is none.
    pub fn unknown(&self) -> ApiError {
        let Self { what, name, list } = self;
        ApiError::new(
            ErrorCode::NotFound,
            format!(
                "There is no {what} `{name}` here: it was removed, belongs to another organisation or \
                 was mistyped. {list} lists them."
            ),
        )
    }

    fn refusal(&self, answer: FleetAnswer) -> ApiError {
        let Self { what, list, .. } = self;
        match answer {
            FleetAnswer::NotFound => self.unknown(),
            FleetAnswer::Duplicate { existing } => ApiError::new(
                ErrorCode::Conflict,
                format!(
                    "There is such a {what} already, `{existing}`, so nothing was changed. Change or \
                     remove that one; {list} lists them."
                ),
            ),
            FleetAnswer::Superseded => idempotency::in_progress(),
            FleetAnswer::Invalid { param, reason } => {
                let name = match param.as_str() {
                    "first_token_cap_ms" => "first_token_timeout_seconds".to_owned(),
                    _ => param,
                };
                bad_value(name, &reason)
            }
            _ => ApiError::new(
                ErrorCode::InternalError,
                format!("The registry answered something else than was asked. Look at {list}."),
            ),
        }
    }

    /// Reading can simply be repeated; a change may have been made.
    fn unanswered(&self, unanswered: Unanswered, is_change: bool, is_once: bool) -> ApiError {
        if !is_change {
            return unanswered.into();
        }
        if is_once {
            return ApiError::new(
                ErrorCode::GatewayUnavailable,
                "The registry did not answer in time: the change may or may not have been made. Send the \
                 request again with the same Idempotency-Key and it is made once.",
            );
        }
        let list = self.list;
        ApiError::new(
            ErrorCode::GatewayUnavailable,
            format!(
                "The registry did not answer in time: the change may or may not have been made. Look \
                 at {list} before you try again."
            ),
        )
        .do_not_retry()
    }
}

/// Asks the fleet, in the name of `admin`. `then` hands back what it did not expect, to be refused.
pub fn fleet(
    admin: &Admin,
    command: FleetCommand,
    subject: Subject,
    then: impl FnOnce(&mut Cx<'_>, FleetAnswer) -> Result<Step, Box<FleetAnswer>> + 'static,
) -> Step {
    let message = FleetMessage {
        actor: Some(admin.actor.clone()),
        once: admin.permit.as_ref().map(Permit::once),
        command,
    };
    let to = ObjectName::fleet(admin.org.as_str());
    let is_once = admin.permit.is_some();
    Step::ask(
        to,
        &message,
        move |cx, answer: Result<FleetAnswer, Unanswered>| {
            let is_change = cx.head.verb() != "GET";
            match answer.map(|answer| then(cx, answer)) {
                Ok(Ok(step)) => step,
                Ok(Err(answer)) => subject.refusal(*answer).into(),
                Err(unanswered) => subject.unanswered(unanswered, is_change, is_once).into(),
            }
        },
    )
}

/// Reads the body's fields.
pub fn fields(then: impl FnOnce(&mut Cx<'_>, Fields) -> Result<Step, ApiError> + 'static) -> Step {
    Step::body(BODY_LIMIT, |cx, body| {
        let step = body
            .map_err(ApiError::from)
            .and_then(|body| Fields::read(&body))
            .and_then(|fields| then(cx, fields));
        step.unwrap_or_else(Step::from)
    })
}

/// Goes on with a server's id that this installation made for this organisation; any other addresses
/// no object.
pub fn server(
    cx: &mut Cx<'_>,
    admin: Admin,
    id: String,
    then: impl FnOnce(Admin, String) -> Step,
) -> Step {
    if verify_instance_id(&cx.shared.config.installation, &admin.org, &id) {
        return then(admin, id);
    }
    Subject::server(&id).unknown().into()
}
