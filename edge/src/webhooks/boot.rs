//! `POST /webhooks/boot/{org}~{instance}`: a rented machine calls home, once when it is up, then again and
//! again.
//!
//! It shows the token that it was given. The token says for which attempt to rent it was made; whether it is
//! still waited for, and whether this is the machine that called first, is the instance's to say.

use serde_json::json;
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::instance::InstanceCommand;
use tidegate_durable::bindings::rental::{CallHome, CallHomeAnswer, MachineSays};
use tidegate_vault::verify_instance_id;
use tidegate_wire_openai::ErrorCode;

use super::{addressed, unknown};
use crate::admin::fields::{Fields, bad_value};
use crate::api_error::ApiError;
use crate::auth;
use crate::flow::{Step, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;

/// A hundred bytes are said.
const BODY_LIMIT: usize = 4 * 1024;
const FIELDS: &str = "`nonce` and `says`";
const SHORTEST_NONCE: usize = 16;
const LONGEST_NONCE: usize = 64;

/// The route.
pub fn boot(cx: &mut Cx<'_>, at: String) -> Step {
    let Some((org, instance)) = addressed(cx, &at, verify_instance_id) else {
        return unknown("machine").into();
    };
    let installation = &cx.shared.config.installation;
    let attempt = auth::bearer(cx.head)
        .and_then(|token| installation.verify_boot_token(&org, &instance, token));
    let Some(attempt) = attempt else {
        return bad_token().into();
    };
    let to = ObjectName::instance(org.as_str(), &instance);
    Step::body(BODY_LIMIT, move |_, body| {
        let read = body
            .map_err(ApiError::from)
            .and_then(|body| read(&body, attempt));
        match read {
            Ok(call) => Step::ask(to, &InstanceCommand::CallHome(call), |_, answer| {
                answered(answer)
            }),
            Err(refused) => refused.into(),
        }
    })
}

fn read(body: &[u8], attempt: u32) -> Result<CallHome, ApiError> {
    let mut fields = Fields::read(body)?;
    let nonce = fields.required_text("nonce")?;
    let says = fields.required_text("says")?;
    fields.finish(FIELDS)?;
    let is_hex = nonce.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !(SHORTEST_NONCE..=LONGEST_NONCE).contains(&nonce.len()) {
        let must = format!(
            "must be {SHORTEST_NONCE} to {LONGEST_NONCE} hexadecimal digits, drawn at each boot"
        );
        return Err(bad_value("nonce", &must));
    }
    let says = match says.as_str() {
        "booted" => MachineSays::Booted,
        "alive" => MachineSays::Alive,
        "preempting" => MachineSays::Preempting,
        _ => return Err(bad_value("says", "must be booted, alive or preempting")),
    };
    Ok(CallHome {
        attempt,
        // One number, however it is spelled.
        nonce: nonce.to_ascii_lowercase(),
        says,
    })
}

fn answered(answer: Result<CallHomeAnswer, Unanswered>) -> Step {
    match answer {
        Ok(CallHomeAnswer::Heard { heartbeat_ms }) => {
            Step::Respond(Response::json(200, &json!({ "heartbeat_ms": heartbeat_ms })))
        }
        Ok(CallHomeAnswer::OtherMachine) => ApiError::new(
            ErrorCode::Conflict,
            "Another machine has called with this token first, so this one is not believed: end it. A token \
             is for one boot of one machine.",
        )
        .into(),
        Ok(CallHomeAnswer::NotExpected) => ApiError::new(
            ErrorCode::Gone,
            "This machine is not waited for any more: end it. Whatever is still rented here is given back.",
        )
        .into(),
        Err(unanswered) => ApiError::from(unanswered).into(),
    }
}

fn bad_token() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidApiKey,
        "This is not the boot token of this machine. Send the one that it was given when it was rented, as \
         `Authorization: Bearer tgb_…`.",
    )
}
