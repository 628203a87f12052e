//! Every family of series there is, and where its samples come from. `docs/metrics.md` has the same table.
//!
//! Invariant: labels are bounded. `model` is a model or route that exists, or `other`; `server` an id of the
//! registry or empty; `status`, `code`, `kind` and `state` come from closed lists.

use tidegate_durable::bindings::fleet::ServerState;
use tidegate_durable::bindings::instance::InstanceView;
use tidegate_durable::bindings::totals::{BOUNDS_MS, Histogram, Series, Sums};

use super::Scrape;
use super::text::{Family, Format, Kind, Text, millionths, thousandths};
use crate::admin::{STATES, state_name};

const REQUESTS: Family = Family {
    name: "tidegate_requests",
    kind: Kind::Counter,
    unit: "",
    help: "Inference requests that ended, by HTTP status.",
};
const ERRORS: Family = Family {
    name: "tidegate_errors",
    kind: Kind::Counter,
    unit: "",
    help: "Requests that ended in an error, by its code; also streams that broke under their 200.",
};
const ATTEMPTS: Family = Family {
    name: "tidegate_attempts",
    kind: Kind::Counter,
    unit: "",
    help: "Times that requests were sent to a server, retries and races included.",
};
const DURATION: Family = Family {
    name: "tidegate_request_duration_seconds",
    kind: Kind::Histogram,
    unit: "seconds",
    help: "From a request's arrival to its end.",
};
const FIRST_TOKEN: Family = Family {
    name: "tidegate_first_token_seconds",
    kind: Kind::Histogram,
    unit: "seconds",
    help: "From a request's arrival to the first token of its stream.",
};
const TOKENS: Family = Family {
    name: "tidegate_tokens",
    kind: Kind::Counter,
    unit: "",
    help: "Tokens read (prompt) and written (completion).",
};
const COST: Family = Family {
    name: "tidegate_cost_dollars",
    kind: Kind::Counter,
    unit: "dollars",
    help: "What requests cost: a server's price for the time that they held one of its slots.",
};
const LOST: Family = Family {
    name: "tidegate_log_entries_lost",
    kind: Kind::Counter,
    unit: "",
    help: "Requests that are in no log and no sum, because the journal did not answer for too long.",
};
const STATE: Family = Family {
    name: "tidegate_server_state",
    kind: Kind::Gauge,
    unit: "",
    help: "1 for the state that a server is in, 0 for the others.",
};
const BREAKER: Family = Family {
    name: "tidegate_server_breaker",
    kind: Kind::Gauge,
    unit: "",
    help: "1 for the state that a server's breaker is in, 0 for the others.",
};
const IN_FLIGHT: Family = Family {
    name: "tidegate_server_in_flight",
    kind: Kind::Gauge,
    unit: "",
    help: "Requests that hold a slot of a server.",
};
const CAPACITY: Family = Family {
    name: "tidegate_server_capacity",
    kind: Kind::Gauge,
    unit: "",
    help: "Slots of a server.",
};
const QUEUED: Family = Family {
    name: "tidegate_server_queued",
    kind: Kind::Gauge,
    unit: "",
    help: "Requests that wait for a slot of a server.",
};
const WAITING: Family = Family {
    name: "tidegate_model_waiting",
    kind: Kind::Gauge,
    unit: "",
    help: "Requests that wait for a slot of any server of a model.",
};

/// All of them, in the order in which they are written, with their labels.
#[cfg(test)]
pub const FAMILIES: [(&Family, &str); 14] = [
    (&REQUESTS, "model, server, status"),
    (&ERRORS, "model, server, code"),
    (&ATTEMPTS, "model, server"),
    (&DURATION, "model, server, le"),
    (&FIRST_TOKEN, "model, server, le"),
    (&TOKENS, "model, server, kind"),
    (&COST, "model, server"),
    (&LOST, ""),
    (&STATE, "model, server, state"),
    (&BREAKER, "model, server, state"),
    (&IN_FLIGHT, "model, server"),
    (&CAPACITY, "model, server"),
    (&QUEUED, "model, server"),
    (&WAITING, "model"),
];

const BREAKER_STATES: [&str; 3] = ["admitting", "ejected", "probing"];

/// Writes a scrape.
pub fn write(scrape: &Scrape, format: Format) -> String {
    let mut text = Text::new(format);
    sums(&mut text, &scrape.totals.series);
    text.family(&LOST);
    text.sample(&LOST.queried(), &[], &scrape.totals.lost.to_string());
    servers(&mut text, scrape);
    text.family(&WAITING);
    for (model, waiting) in &scrape.waiting {
        text.sample(WAITING.name, &[("model", model)], &waiting.to_string());
    }
    text.end()
}

fn sums(text: &mut Text, series: &[Series]) {
    labelled(text, series, &REQUESTS, "status", |sums| {
        let counts = sums.requests.iter();
        counts
            .map(|(status, count)| (status.as_str(), *count))
            .collect()
    });
    labelled(text, series, &ERRORS, "code", |sums| {
        let counts = sums.errors.iter();
        counts
            .map(|(code, count)| (code.as_str(), *count))
            .collect()
    });
    single(text, series, &ATTEMPTS, |sums| sums.attempts.to_string());
    histogram(text, series, &DURATION, |sums| &sums.duration);
    histogram(text, series, &FIRST_TOKEN, |sums| &sums.first_token);
    labelled(text, series, &TOKENS, "kind", |sums| {
        vec![
            ("completion", sums.completion_tokens),
            ("prompt", sums.prompt_tokens),
        ]
    });
    single(text, series, &COST, |sums| millionths(sums.cost_microusd));
}

fn labels(series: &Series) -> [(&str, &str); 2] {
    [("model", &series.model), ("server", &series.server)]
}

fn single(text: &mut Text, all: &[Series], family: &Family, of: impl Fn(&Sums) -> String) {
    text.family(family);
    for series in all {
        text.sample(&family.queried(), &labels(series), &of(&series.sums));
    }
}

fn labelled(
    text: &mut Text,
    all: &[Series],
    family: &Family,
    label: &str,
    of: impl Fn(&Sums) -> Vec<(&str, u64)>,
) {
    text.family(family);
    for series in all {
        let [model, server] = labels(series);
        for (value, count) in of(&series.sums) {
            let labels = [model, server, (label, value)];
            text.sample(&family.queried(), &labels, &count.to_string());
        }
    }
}

fn histogram(text: &mut Text, all: &[Series], family: &Family, of: impl Fn(&Sums) -> &Histogram) {
    text.family(family);
    let name = family.name;
    for series in all {
        let it = of(&series.sums);
        if it.count == 0 {
            continue;
        }
        let [model, server] = labels(series);
        let bucket = format!("{name}_bucket");
        let mut count = 0_u64;
        let counts = it.buckets.iter().copied().chain(core::iter::repeat(0));
        for (bound, more) in BOUNDS_MS.iter().zip(counts) {
            count = count.saturating_add(more);
            let labels = [model, server, ("le", &thousandths(*bound))];
            text.sample(&bucket, &labels, &count.to_string());
        }
        let labels = [model, server, ("le", "+Inf")];
        text.sample(&bucket, &labels, &it.count.to_string());
        let both = [model, server];
        text.sample(&format!("{name}_sum"), &both, &thousandths(it.sum_ms));
        text.sample(&format!("{name}_count"), &both, &it.count.to_string());
    }
}

fn servers(text: &mut Text, scrape: &Scrape) {
    let servers = || {
        let all = scrape.routing.servers.iter();
        all.map(|server| {
            [
                ("model", server.entry.entry.model_name.as_str()),
                ("server", server.id()),
            ]
        })
    };
    text.family(&STATE);
    for (server, [model, id]) in scrape.routing.servers.iter().zip(servers()) {
        let is: ServerState = server.entry.status.state_at(scrape.now_ms);
        for state in STATES {
            let labels = [model, id, ("state", state_name(state))];
            text.sample(STATE.name, &labels, one_if(state == is));
        }
    }
    let live = || {
        let known = servers().enumerate();
        known.filter_map(|(index, labels)| Some((labels, scrape.live.get(&index)?)))
    };
    text.family(&BREAKER);
    for ([model, id], view) in live() {
        for state in BREAKER_STATES {
            let labels = [model, id, ("state", state)];
            text.sample(BREAKER.name, &labels, one_if(state == view.breaker));
        }
    }
    let numbers: [(&Family, Number); 3] = [
        (&IN_FLIGHT, |view| view.running),
        (&CAPACITY, |view| view.capacity),
        (&QUEUED, |view| view.queued),
    ];
    for (family, of) in numbers {
        text.family(family);
        for (labels, view) in live() {
            text.sample(family.name, &labels, &of(view).to_string());
        }
    }
}

type Number = fn(&InstanceView) -> u32;

const fn one_if(is: bool) -> &'static str {
    if is { "1" } else { "0" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_lists_every_family_and_no_other() {
        let document = include_str!("../../../docs/metrics.md");
        let rows: Vec<String> = document
            .lines()
            .filter(|line| line.starts_with("| `tidegate_"))
            .map(|line| {
                let cells: Vec<&str> = line.split('|').map(str::trim).take(4).collect();
                cells.get(1..).unwrap_or_default().join(" | ")
            })
            .collect();
        let expected: Vec<String> = FAMILIES
            .iter()
            .map(|(family, labels)| {
                let kind = format!("{:?}", family.kind).to_lowercase();
                let labels = if labels.is_empty() { "–" } else { labels };
                format!("`{}` | {kind} | {labels}", family.queried())
            })
            .collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_unit_is_the_end_of_the_name() {
        for (family, _) in FAMILIES {
            assert!(family.name.ends_with(family.unit), "{}", family.name);
        }
    }
}
