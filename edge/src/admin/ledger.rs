//! `/admin/ledger`: the books, looked at. Nothing here changes them.
//!
//! Dollars are decimal texts, exact to the micro-dollar; all balances sum to zero.

use serde_json::{Value, json};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::ledger::{
    Balance, BooksAnswer, EntriesAnswer, Entry, LedgerCommand, OpenWindow,
};

use super::price::{dollars, signed_dollars};
use super::rfc3339::moment;
use super::servers::query_number;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::{Step, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;

const MAX_PAGE: u32 = 500;
const PAGE: u32 = 100;
/// Numbers pass through JavaScript on their way to the storage, which holds no larger ones exactly.
const MOST_BEFORE: i64 = (1 << 53) - 1;

/// `GET /admin/ledger`: balances, and cost windows that are open.
pub fn books(admin: Admin) -> Step {
    let to = ObjectName::ledger(admin.org.as_str());
    let then = |_: &mut Cx<'_>, answer: Result<BooksAnswer, Unanswered>| match answer {
        Ok(books) => {
            let body = json!({
                "balances": books.balances.iter().map(balance).collect::<Vec<_>>(),
                "open": books.open.iter().map(window).collect::<Vec<_>>(),
            });
            Step::Respond(Response::json(200, &body))
        }
        Err(unanswered) => ApiError::from(unanswered).into(),
    };
    Step::ask(to, &LedgerCommand::Books, then)
}

/// `GET /admin/ledger/entries?instance=&limit=&before=`: postings, newest first.
pub fn entries(cx: &mut Cx<'_>, admin: Admin) -> Step {
    let read = || {
        Ok::<_, ApiError>(LedgerCommand::Entries {
            limit: query_number(cx, "limit", 1..=MAX_PAGE)?.unwrap_or(PAGE),
            before: query_number(cx, "before", 0..=MOST_BEFORE)?,
            instance: cx.head.query("instance").filter(|text| !text.is_empty()),
        })
    };
    let command = match read() {
        Ok(command) => command,
        Err(refused) => return refused.into(),
    };
    let to = ObjectName::ledger(admin.org.as_str());
    let then = |_: &mut Cx<'_>, answer: Result<EntriesAnswer, Unanswered>| match answer {
        Ok(page) => {
            let body = json!({
                "object": "list",
                "data": page.entries.iter().map(entry).collect::<Vec<_>>(),
                "next_before": page.next_before,
            });
            Step::Respond(Response::json(200, &body))
        }
        Err(unanswered) => ApiError::from(unanswered).into(),
    };
    Step::ask(to, &command, then)
}

fn balance(balance: &Balance) -> Value {
    json!({ "account": balance.account, "balance": signed_dollars(balance.microusd) })
}

fn window(window: &OpenWindow) -> Value {
    json!({
        "window": window.window,
        "from_at": moment(window.from_ms),
        "cost": dollars(window.microusd),
        "price_per_hour": dollars(window.microusd_per_hour),
        "advanced_until_at": window.advanced_until_ms.map(moment),
    })
}

fn entry(entry: &Entry) -> Value {
    json!({
        "number": entry.number,
        "happened_at": moment(entry.at_ms),
        "debit": entry.debit,
        "credit": entry.credit,
        "amount": dollars(entry.microusd),
        "window": entry.window,
        "memo": entry.memo,
    })
}
