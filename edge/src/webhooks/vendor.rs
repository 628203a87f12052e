//! `POST /webhooks/{vendor}/{org}~{account}`: a vendor, or somebody's relay for one, says that something
//! happened to a machine.
//!
//! What is said is never believed, only looked at: the account asks the vendor for the machine. So nothing is
//! lost when messages come late, twice or in another order, or never.

use serde_json::json;
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::account::{AccountCommand, HintAnswer};
use tidegate_vault::{Organisation, Purpose, verify_account_id};
use tidegate_wire_openai::ErrorCode;
use tidegate_wire_webhooks::{
    ID_HEADER, Key, Message, Refused, SIGNATURE_HEADER, TIMESTAMP_HEADER, verify,
};

use super::{addressed, hint, unknown};
use crate::api_error::ApiError;
use crate::flow::{Step, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;

/// Standard Webhooks asks for less than 20 kB; EC2's events have 500 bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// The route.
pub fn vendor(cx: &mut Cx<'_>, vendor: String, at: String) -> Step {
    if tidegate_providers::by_name(&vendor).is_none() {
        return unknown("vendor").into();
    }
    let Some((org, account)) = addressed(cx, &at, verify_account_id) else {
        return unknown("account").into();
    };
    Step::body(BODY_LIMIT, move |cx, body| {
        let command = body
            .map_err(ApiError::from)
            .and_then(|body| believed(cx, &org, &account, &vendor, &body));
        match command {
            Ok(command) => {
                let to = ObjectName::account(org.as_str(), &account);
                Step::ask(to, &command, |_, answer| answered(answer))
            }
            Err(refused) => refused.into(),
        }
    })
}

fn believed(
    cx: &Cx<'_>,
    org: &Organisation,
    account: &str,
    vendor: &str,
    body: &[u8],
) -> Result<AccountCommand, ApiError> {
    let installation = &cx.shared.config.installation;
    let secret = installation.webhook_secret(org, account);
    let key = secret.expose_str().and_then(|text| Key::parse(text).ok());
    let key = key.ok_or_else(|| {
        let words = "The account's signing secret could not be made, so nothing was done.";
        ApiError::new(ErrorCode::InternalError, words)
    })?;
    let message = Message {
        id: cx.head.header(ID_HEADER),
        timestamp: cx.head.header(TIMESTAMP_HEADER),
        signature: cx.head.header(SIGNATURE_HEADER),
        body,
    };
    let now = cx.now.as_ms().div_euclid(1_000);
    let event_id = verify(&key, now, &message).map_err(refusal)?.to_owned();
    Ok(AccountCommand::Hint {
        event_id,
        digest: installation.tag_text(Purpose::Body, &[body]),
        machine: hint::machine(vendor, body)?,
    })
}

fn refusal(refused: Refused) -> ApiError {
    let words = format!("The webhook was not taken, and nothing was done: {refused}.");
    let (code, param) = match refused {
        Refused::Missing(header) => (ErrorCode::MissingParameter, header),
        Refused::Id => (ErrorCode::InvalidValue, ID_HEADER),
        Refused::Timestamp | Refused::NotNow => (ErrorCode::InvalidValue, TIMESTAMP_HEADER),
        Refused::TooMany => (ErrorCode::InvalidValue, SIGNATURE_HEADER),
        Refused::Signature => (ErrorCode::InvalidSignature, SIGNATURE_HEADER),
    };
    ApiError::new(code, words).param(param)
}

fn answered(answer: Result<HintAnswer, Unanswered>) -> Step {
    let taken = |status: &str| Step::Respond(Response::json(200, &json!({ "status": status })));
    match answer {
        Ok(HintAnswer::Heard) => taken("heard"),
        Ok(HintAnswer::Again) => taken("heard_before"),
        Ok(HintAnswer::Differs) => ApiError::new(
            ErrorCode::Conflict,
            "A webhook with this `webhook-id` came before with another body, so this one was not taken. The \
             same event keeps its body; another event needs another id.",
        )
        .param(ID_HEADER)
        .into(),
        Ok(HintAnswer::NotFound) => unknown("account").into(),
        Err(unanswered) => ApiError::from(unanswered).into(),
    }
}
