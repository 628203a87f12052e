//! Faults that are about a call's answer, whatever it asks for and whoever's API it is.

use std::time::Duration;

use serde_json::Value;

use crate::fault::Fault;
use crate::faults::Applied;
use crate::http::{Answer, Outcome};

/// How a vendor words a status.
pub type Usual<'a> = &'a dyn Fn(u16) -> Answer;

/// The answer that comes in place of the deed; `None` when the deed is done. An answer that never goes out has
/// a status all the same, for the journal.
pub fn instead(applied: &Applied, usual: Usual<'_>) -> Option<Answer> {
    applied.find(|fault| match fault {
        Fault::Close {} | Fault::Hang { done: false } => Some(usual(503)),
        Fault::Status { done: false, .. } => own(fault, usual),
        Fault::Html { status } => Some(Answer::text(
            *status,
            "text/html; charset=UTF-8",
            format!("<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center><hr><center>cloudflare</center></body></html>\n"),
        )),
        Fault::RateLimited { retry_after } => Some(match retry_after {
            Some(seconds) => usual(429).with("Retry-After", &seconds.to_string()),
            None => usual(429),
        }),
        Fault::TokenExpired {} => Some(usual(401)),
        Fault::Denied {} => Some(usual(403)),
        Fault::NotFound {} => Some(usual(404)),
        _ => None,
    })
}

/// What becomes of the answer, and how much later.
pub fn afterwards(answer: Answer, applied: &Applied, usual: Usual<'_>) -> (Outcome, Duration) {
    let delay = applied.find(|fault| match fault {
        Fault::Delay { ms } => Some(*ms),
        _ => None,
    });
    let outcome = applied.find(|fault| match fault {
        Fault::ReplyLost {} | Fault::Close {} => Some(Outcome::Closed),
        Fault::Hang { .. } => Some(Outcome::Silent),
        Fault::Truncated {} => Some(Outcome::Halved(answer.clone())),
        Fault::Status { done: true, .. } => own(fault, usual).map(Outcome::Answered),
        _ => None,
    });
    let delay = Duration::from_millis(u64::from(delay.unwrap_or(0)));
    (outcome.unwrap_or(Outcome::Answered(answer)), delay)
}

/// The status that goes out, or would have, and whether it does.
pub fn told(outcome: &Outcome, meant: u16) -> (u16, bool) {
    match outcome {
        Outcome::Answered(answer) => (answer.status, true),
        Outcome::Halved(_) | Outcome::Closed | Outcome::Silent => (meant, false),
    }
}

/// With the time of a clock that may be wrong.
pub fn dated(outcome: Outcome, date: &str) -> Outcome {
    match outcome {
        Outcome::Answered(answer) => Outcome::Answered(answer.with("Date", date)),
        Outcome::Halved(answer) => Outcome::Halved(answer.with("Date", date)),
        other => other,
    }
}

fn own(fault: &Fault, usual: Usual<'_>) -> Option<Answer> {
    let Fault::Status {
        status,
        body,
        headers,
        ..
    } = fault
    else {
        return None;
    };
    let mut answer = match body {
        None => usual(*status),
        Some(Value::String(text)) => Answer::text(*status, "text/plain", text.clone()),
        Some(json) => Answer::json(*status, json),
    };
    for (name, value) in headers {
        answer
            .headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        answer.headers.push((name.clone(), value.clone()));
    }
    Some(answer)
}
