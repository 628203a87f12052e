//! `GET /metrics`: an organisation's counters since its first request, and its servers as they are now, for
//! Prometheus. [`families`] says what there is, [`text`] how it is written.
//!
//! Invariant: counters never go down. They come from one object that sums up everything that was ever
//! logged; when it does not answer, the scrape fails rather than show a zero. A scrape asks a bounded number
//! of objects: the totals, at most [`MOST_SERVERS`] servers (those where requests ended last), and the
//! waiting rooms of at most [`MOST_MODELS`] models that have no free slot. What was not asked has no sample.

pub mod families;
mod text;

use std::collections::BTreeMap;
use std::rc::Rc;

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::instance::{InstanceCommand, InstanceView};
use tidegate_durable::bindings::journal::JournalCommand;
use tidegate_durable::bindings::model::{ModelCommand, ModelView};
use tidegate_durable::bindings::totals::Totals;

use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::{Question, Step, Unanswered};
use crate::gateway::Cx;
use crate::inference::resolve::all_servers;
use crate::models::with_routing;
use crate::request::Response;
use crate::snapshot::Routing;
use text::Format;

/// Servers that a scrape asks. Asking wakes an object that sleeps, and a platform lets a request make only
/// some hundred calls.
const MOST_SERVERS: usize = 32;
/// Models whose waiting room a scrape asks.
const MOST_MODELS: usize = 16;
/// Less than the 10 s that Prometheus gives a scrape.
const TOTALS_TIMEOUT_MS: u64 = 5_000;
/// A server's object that is slow to answer costs the scrape its gauges only.
const LIVE_TIMEOUT_MS: u64 = 1_500;

/// What a scrape shows.
pub struct Scrape {
    /// Sums.
    pub totals: Totals,
    /// Servers and names.
    pub routing: Rc<Routing>,
    /// Servers that were asked and answered, by index in the routing.
    pub live: BTreeMap<usize, InstanceView>,
    /// Waiting requests by model, of those that were asked.
    pub waiting: BTreeMap<String, u32>,
    /// When.
    pub now_ms: i64,
}

/// The scrape.
pub fn show(cx: &mut Cx<'_>, admin: Admin) -> Step {
    let org = admin.org.as_str().to_owned();
    let format = Format::wanted(cx.head.header("accept").unwrap_or_default());
    with_routing(cx, &org.clone(), move |_, routing| {
        let then = move |_: &mut Cx<'_>, totals: Result<Totals, Unanswered>| match totals {
            Ok(totals) => servers(org, totals, routing, format),
            Err(unanswered) => ApiError::from(unanswered).into(),
        };
        let to = ObjectName::totals(admin.org.as_str());
        Step::ask_within(TOTALS_TIMEOUT_MS, to, &JournalCommand::Totals, then)
    })
}

fn servers(org: String, totals: Totals, routing: Rc<Routing>, format: Format) -> Step {
    let chosen = choose(&totals, &routing);
    let ids = chosen
        .iter()
        .filter_map(|index| routing.servers.get(*index));
    let question = |id: &str| {
        let to = ObjectName::instance(&org, id);
        Question::new(to, &InstanceCommand::Describe, LIVE_TIMEOUT_MS)
    };
    let questions = ids.map(|server| question(server.id())).collect();
    Step::gather(questions, move |cx, views: Vec<Result<InstanceView, _>>| {
        let live = chosen.into_iter().zip(views);
        let live = live.filter_map(|(index, view)| Some((index, view.ok()?)));
        let scrape = Scrape {
            totals,
            routing,
            live: live.collect(),
            waiting: BTreeMap::new(),
            now_ms: cx.now.as_ms(),
        };
        waiting_rooms(org, scrape, format)
    })
}

/// All servers, or those where requests ended last.
fn choose(totals: &Totals, routing: &Routing) -> Vec<usize> {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for series in &totals.series {
        let at = last.entry(series.server.as_str()).or_default();
        *at = series.sums.last_ms.max(*at);
    }
    let mut chosen: Vec<usize> = (0..routing.servers.len()).collect();
    chosen.sort_by_key(|index| {
        let server = routing.servers.get(*index);
        let at = server.and_then(|server| last.get(server.id()));
        core::cmp::Reverse(at.copied().unwrap_or_default())
    });
    chosen.truncate(MOST_SERVERS);
    chosen.sort_unstable();
    chosen
}

/// A request waits for a model only when none of its servers has a free slot.
fn waiting_rooms(org: String, mut scrape: Scrape, format: Format) -> Step {
    let routing = &scrape.routing;
    let is_full = |index: &usize| match scrape.live.get(index) {
        Some(view) => !view.in_service || view.running >= view.capacity,
        None => false,
    };
    let names = routing.by_model.keys().chain(routing.routes.keys());
    let mut full: Vec<String> = names
        .filter(|name| {
            let servers = all_servers(routing, name);
            !servers.is_empty() && servers.iter().all(is_full)
        })
        .cloned()
        .collect();
    full.truncate(MOST_MODELS);
    let question = |name: &String| {
        let to = ObjectName::model(&org, name);
        Question::new(to, &ModelCommand::Describe, LIVE_TIMEOUT_MS)
    };
    let questions = full.iter().map(question).collect();
    Step::gather(questions, move |_, views: Vec<Result<ModelView, _>>| {
        let waiting = full.into_iter().zip(views);
        let waiting = waiting.filter_map(|(name, view)| Some((name, view.ok()?.waiting)));
        scrape.waiting = waiting.collect();
        let kind = format.content_type().to_owned();
        Step::Respond(Response {
            status: 200,
            headers: vec![("content-type".to_owned(), kind)],
            body: families::write(&scrape, format),
            error: None,
        })
    })
}
