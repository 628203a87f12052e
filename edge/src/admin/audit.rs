//! `GET /admin/audit?day=&limit=&before=&format=`: what happened on one UTC day, newest first, as JSON or
//! CSV.
//!
//! Invariant: only days that a journal can hold address an object. An organisation has one journal a day
//! and each keeps 90 days.

use serde_json::json;
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::journal::{AuditEntry, AuditPage, JournalCommand, day_of};

use super::csv;
use super::fields::bad_value;
use super::rfc3339::{moment, read_day};
use super::servers::query_number;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::{Step, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;

const DAY_MS: i64 = 86_400_000;
/// Journals end 90 days after their day.
const KEPT_DAYS: i64 = 90;
const MAX_PAGE: u32 = 500;
const PAGE: u32 = 100;
/// Numbers pass through JavaScript on their way to the storage, which holds no larger ones exactly.
const MOST_BEFORE: i64 = (1 << 53) - 1;

/// A page of the audit.
pub fn page(cx: &mut Cx<'_>, admin: Admin) -> Step {
    read(cx, &admin).unwrap_or_else(Step::from)
}

fn read(cx: &mut Cx<'_>, admin: &Admin) -> Result<Step, ApiError> {
    let limit = query_number(cx, "limit", 1..=MAX_PAGE)?.unwrap_or(PAGE);
    let before = query_number(cx, "before", 0..=MOST_BEFORE)?;
    let today_ms = cx.now.as_ms().div_euclid(DAY_MS) * DAY_MS;
    let day_ms = match cx.head.query("day") {
        None => today_ms,
        Some(day) => read_day(&day)
            .ok_or_else(|| bad_value("day", "must be a UTC day such as 2026-11-21"))?,
    };
    if day_ms > today_ms || day_ms < today_ms - (KEPT_DAYS + 1) * DAY_MS {
        let must = format!("must be one of the last {KEPT_DAYS} days, today included");
        return Err(bad_value("day", &must));
    }
    let as_csv = csv::is_wanted(cx);
    let day = day_of(day_ms);
    let journal = ObjectName::journal(admin.org.as_str(), &day);
    let command = JournalCommand::Query { limit, before };
    Ok(Step::ask(
        journal,
        &command,
        move |_, page: Result<AuditPage, Unanswered>| match page {
            Ok(page) if as_csv => Step::Respond(table(&page)),
            Ok(page) => Step::Respond(Response::json(
                200,
                &json!({
                    "object": "list",
                    "day": day,
                    "data": page.entries.iter().map(entry).collect::<Vec<_>>(),
                    "next_before": page.next_before,
                    "previous_day": day_of(day_ms - DAY_MS),
                }),
            )),
            Err(unanswered) => ApiError::from(unanswered).into(),
        },
    ))
}

fn table(page: &AuditPage) -> Response {
    let columns = ["happened_at", "actor", "action", "subject", "reason"];
    let rows = page.entries.iter().cloned().map(|entry| {
        let at = moment(entry.at_ms);
        [at, entry.actor, entry.action, entry.subject, entry.reason]
    });
    let answer = csv::answer(columns, rows);
    match page.next_before {
        Some(before) => answer.with_header("x-next-before", before.to_string()),
        None => answer,
    }
}

fn entry(entry: &AuditEntry) -> serde_json::Value {
    json!({
        "happened_at": moment(entry.at_ms),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "reason": entry.reason,
    })
}
