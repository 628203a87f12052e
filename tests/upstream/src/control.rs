//! The control API, JSON over `/_control`, on the server's own port and on a second one that stays
//! open while the first refuses connections.
//!
//! | request | does |
//! |---|---|
//! | `GET info` | `{url, control_url, models, pid}` |
//! | `PUT script` | replaces the [`Script`] |
//! | `POST script` | puts a [`Rule`] behind the others |
//! | `GET script` | what is left of it |
//! | `PUT accepting` | [`Accepting`]: refuse, ignore or reset connections |
//! | `GET journal?since=&requests=&ended=&aborted=&wait_ms=` | entries; waits until there are so many |
//! | `POST reset` | forgets script and journal, accepts again |

use std::collections::HashMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::form_urlencoded;

use crate::answer::Answer;
use crate::journal::{Outcome, now_ms};
use crate::request::Request;
use crate::script::{AcceptMode, Accepting, Rule, Script};
use crate::state::State;

/// What control paths begin with.
pub const PREFIX: &str = "/_control/";

/// Longest wait for the journal.
const MAX_WAIT_MS: u64 = 60_000;

/// Carries a control request out.
pub async fn answer(request: &Request, state: &State) -> Answer {
    let name = request.path.strip_prefix(PREFIX).unwrap_or_default();
    match (request.method.as_str(), name) {
        ("GET", "info") => Answer::json(200, &info(request, state)),
        ("GET", "script") => found(serde_json::to_value(&*state.script())),
        ("GET", "journal") => journal(request, state).await,
        ("PUT", "script") => read(request, |script: Script| *state.script() = script),
        ("POST", "script") => read(request, |rule: Rule| state.script().rules.push(rule)),
        ("PUT", "accepting") => read(request, |accepting: Accepting| state.accept(accepting)),
        ("POST", "reset") => {
            *state.script() = Script::default();
            state.journal().clear();
            state.accept(Accepting {
                mode: AcceptMode::Normal,
                for_ms: None,
                close_existing: false,
            });
            Answer::json(200, &json!({}))
        }
        _ => Answer::json(404, &json!({"error": "there is no such control request"})),
    }
}

fn read<T: DeserializeOwned>(request: &Request, apply: impl FnOnce(T)) -> Answer {
    match serde_json::from_slice(&request.body) {
        Ok(order) => {
            apply(order);
            Answer::json(200, &json!({}))
        }
        Err(problem) => Answer::json(
            400,
            &json!({"error": format!("the order was not understood and changes nothing: {problem}")}),
        ),
    }
}

fn found(value: serde_json::Result<Value>) -> Answer {
    match value {
        Ok(value) => Answer::json(200, &value),
        Err(problem) => Answer::json(500, &json!({"error": problem.to_string()})),
    }
}

fn info(request: &Request, state: &State) -> Value {
    let addresses = state.addresses();
    json!({
        "url": addresses.map(|(server, _)| format!("http://{server}")),
        "control_url": addresses.map(|(_, control)| format!("http://{control}")),
        "asked_at": request.header("host"),
        "models": state.settings.models,
        "pid": std::process::id(),
    })
}

async fn journal(request: &Request, state: &State) -> Answer {
    let query: HashMap<String, u64> = form_urlencoded::parse(request.query.as_bytes())
        .filter_map(|(name, value)| Some((name.into_owned(), value.parse().ok()?)))
        .collect();
    let asked = |name: &str| query.get(name).copied().unwrap_or(0);
    let wait = Duration::from_millis(asked("wait_ms").min(MAX_WAIT_MS));
    let until = Instant::now() + wait;
    loop {
        // Listening begins before looking, so that a change between the two is not lost.
        let mut changed = std::pin::pin!(state.changed.notified());
        changed.as_mut().enable();
        let counts = counts(state, asked("since"));
        let enough = counts.requests >= asked("requests")
            && counts.ended >= asked("ended")
            && counts.aborted >= asked("aborted");
        if enough || tokio::time::timeout_at(until, changed).await.is_err() {
            return entries(state, asked("since"), enough);
        }
    }
}

#[derive(Default)]
struct Counts {
    requests: u64,
    ended: u64,
    aborted: u64,
}

fn counts(state: &State, since: u64) -> Counts {
    let mut counts = Counts::default();
    for entry in state.journal().since(since) {
        counts.requests += 1;
        counts.ended += u64::from(entry.outcome != Outcome::Open);
        counts.aborted += u64::from(entry.outcome == Outcome::Aborted);
    }
    counts
}

fn entries(state: &State, since: u64, enough: bool) -> Answer {
    let (requests, open, dropped) = {
        let journal = state.journal();
        let requests: Vec<_> = journal.since(since).cloned().collect();
        let open = requests
            .iter()
            .filter(|e| e.outcome == Outcome::Open)
            .count();
        (requests, open, journal.dropped())
    };
    found(serde_json::to_value(requests).map(|requests| {
        json!({
            "now_ms": now_ms(),
            "complete": enough,
            "open_requests": open,
            "open_connections": state.open_connections(),
            "dropped": dropped,
            "requests": requests,
        })
    }))
}
