//! `GET /admin/logs?key=&model=&server=&status=&error=&min_duration_ms=&from=&to=&limit=&cursor=&format=`:
//! finished requests, newest first, as JSON or CSV.
//!
//! Invariant: only days that the log can hold address an object.

use serde_json::{Value, json};
use tidegate_durable::bindings::log::{LogEntry, LogFilter};

use super::csv;
use super::fields::bad_value;
use super::log_search::{Cursor, DAY_MS, Search};
use super::rfc3339::{moment, read_moment};
use super::servers::query_number;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::Step;
use crate::gateway::Cx;
use crate::request::Response;

/// A day is kept for 30 days after its end.
const KEPT_DAYS: i64 = 31;
const MAX_PAGE: u32 = 500;
const PAGE: u32 = 100;
/// What is searched when nobody says from when.
const USUAL_MS: i64 = DAY_MS;

/// A page of the log.
pub fn page(cx: &mut Cx<'_>, admin: Admin) -> Step {
    match read(cx, admin) {
        Ok(search) => {
            let as_csv = csv::is_wanted(cx);
            search.run(Box::new(move |entries, cursor| {
                Step::Respond(show(&entries, cursor, as_csv))
            }))
        }
        Err(refused) => refused.into(),
    }
}

fn read(cx: &Cx<'_>, admin: Admin) -> Result<Search, ApiError> {
    let text = |name| cx.head.query(name).filter(|text| !text.is_empty());
    let time = |name: &'static str| {
        let read =
            |text: String| read_moment(&text).map_err(|error| bad_value(name, &error.to_string()));
        text(name).map(read).transpose()
    };
    let cursor = text("cursor")
        .map(|text| {
            let must = "must be the `next_cursor` of an earlier answer";
            Cursor::parse(&text)
                .filter(|cursor| cursor.is_before(cx.now.as_ms() + DAY_MS))
                .ok_or_else(|| bad_value("cursor", must))
        })
        .transpose()?;
    let now_ms = cx.now.as_ms();
    let oldest_ms = (now_ms.div_euclid(DAY_MS) - KEPT_DAYS) * DAY_MS;
    // Clocks of other isolates may be a little ahead.
    let latest_ms = now_ms + 60_000;
    let to_ms = time("to")?.unwrap_or(latest_ms).min(latest_ms);
    let from_ms = match (time("from")?, &cursor) {
        (Some(from_ms), _) => from_ms,
        (None, Some(cursor)) => cursor.from_ms,
        (None, None) => to_ms.min(now_ms) - USUAL_MS,
    };
    let from_ms = from_ms.max(oldest_ms);
    let (status_from, status_to) = text("status").map_or(Ok((None, None)), |text| status(&text))?;
    let filter = LogFilter {
        key: text("key"),
        model: text("model"),
        server: text("server"),
        status_from,
        status_to,
        error: text("error"),
        min_duration_ms: query_number(cx, "min_duration_ms", 0..=u64::MAX)?,
        from_ms: Some(from_ms),
        to_ms: Some(to_ms),
    };
    let limit = query_number(cx, "limit", 1..=MAX_PAGE)?.unwrap_or(PAGE);
    let mut cursor = cursor.unwrap_or_else(|| Cursor::new(from_ms, to_ms));
    cursor.from_ms = from_ms;
    Ok(Search {
        org: admin.org.as_str().to_owned(),
        filter,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        cursor,
        found: Vec::new(),
        days: 0,
    })
}

/// `404`, or a class: `4xx`.
fn status(text: &str) -> Result<(Option<u16>, Option<u16>), ApiError> {
    let must = "must be a status such as 404, or a class such as 4xx";
    let class = text
        .strip_suffix("xx")
        .and_then(|class| class.parse::<u16>().ok())
        .filter(|class| (1..=5).contains(class));
    let range = match class {
        Some(class) => Some((class * 100, class * 100 + 99)),
        None => text
            .parse()
            .ok()
            .filter(|status| (100..=599).contains(status))
            .map(|status| (status, status)),
    };
    let (low, high) = range.ok_or_else(|| bad_value("status", must))?;
    Ok((Some(low), Some(high)))
}

fn show(entries: &[LogEntry], cursor: Option<Cursor>, as_csv: bool) -> Response {
    let next = cursor.map(|cursor| cursor.to_text());
    if as_csv {
        let mut answer = csv::answer(COLUMNS, entries.iter().map(cells));
        if let Some(next) = next {
            answer = answer.with_header("x-next-cursor", next);
        }
        return answer;
    }
    let data: Vec<Value> = entries
        .iter()
        .map(|entry| {
            json!({
                "ended_at": moment(entry.at_ms),
                "request_id": entry.request,
                "key_id": entry.key,
                "project": entry.project,
                "model": Some(&entry.model).filter(|model| !model.is_empty()),
                "server_id": entry.server,
                "endpoint": entry.endpoint,
                "status": entry.status,
                "error": entry.error,
                "stream": entry.stream,
                "attempts": entry.attempts,
                "first_token_ms": entry.first_token_ms,
                "duration_ms": entry.duration_ms,
                "prompt_tokens": entry.prompt_tokens,
                "completion_tokens": entry.completion_tokens,
                "cost_microusd": entry.cost_microusd,
                "trace_id": entry.trace,
            })
        })
        .collect();
    Response::json(
        200,
        &json!({ "object": "list", "data": data, "next_cursor": next }),
    )
}

const COLUMNS: [&str; 17] = [
    "ended_at",
    "request_id",
    "key_id",
    "project",
    "model",
    "server_id",
    "endpoint",
    "status",
    "error",
    "stream",
    "attempts",
    "first_token_ms",
    "duration_ms",
    "prompt_tokens",
    "completion_tokens",
    "cost_microusd",
    "trace_id",
];

fn cells(entry: &LogEntry) -> [String; 17] {
    let text = |it: &Option<String>| it.clone().unwrap_or_default();
    [
        moment(entry.at_ms),
        entry.request.clone(),
        entry.key.clone(),
        text(&entry.project),
        entry.model.clone(),
        text(&entry.server),
        entry.endpoint.clone(),
        entry.status.to_string(),
        text(&entry.error),
        entry.stream.to_string(),
        entry.attempts.to_string(),
        entry
            .first_token_ms
            .map(|ms| ms.to_string())
            .unwrap_or_default(),
        entry.duration_ms.to_string(),
        entry.prompt_tokens.to_string(),
        entry.completion_tokens.to_string(),
        entry.cost_microusd.to_string(),
        text(&entry.trace),
    ]
}
