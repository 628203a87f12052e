use serde_json::json;
use tidegate_domain::time::Span;

use crate::bindings::ObjectName;
use crate::bindings::instance::Done;
use crate::bindings::journal::JournalCommand;
use crate::bindings::log::LogEntry;
use crate::bindings::totals::{OTHER, Series, Sums, Totals};
use crate::journal_do::Journal;
use crate::journal_do::sums::Tally;
use crate::rig::{Rig, START};

fn totals_rig() -> Rig<Journal> {
    Rig::new(ObjectName::totals("acme"))
}

fn entry(model: &str, server: &str) -> LogEntry {
    LogEntry {
        at_ms: START.as_ms(),
        model: model.to_owned(),
        known: true,
        server: (!server.is_empty()).then(|| server.to_owned()),
        status: 200,
        duration_ms: 30,
        prompt_tokens: 3,
        completion_tokens: 5,
        cost_microusd: 7,
        attempts: 2,
        ..LogEntry::default()
    }
}

fn of(entries: &[LogEntry]) -> Totals {
    let mut tally = Tally::default();
    tally.take(entries, 0);
    tally.into_totals()
}

fn add(rig: &mut Rig<Journal>, source: &str, number: u64, delta: Totals) {
    let command = JournalCommand::Add {
        source: source.to_owned(),
        number,
        delta,
    };
    let (_, effects): (Done, _) = rig.call(&command);
    assert_eq!(effects, []);
}

fn totals(rig: &mut Rig<Journal>) -> Totals {
    rig.call(&JournalCommand::Totals).0
}

fn requests(totals: &Totals, model: &str) -> u64 {
    let of_model = totals.series.iter().filter(|series| series.model == model);
    let counts = of_model.flat_map(|series| series.sums.requests.values());
    counts.sum()
}

#[test]
fn every_sum_of_a_request_is_taken() {
    let mut rig = totals_rig();
    add(&mut rig, "2026-11-21/0", 1, of(&[entry("m", "srv_1")]));
    let mut sums = Sums {
        requests: [("200".to_owned(), 1)].into(),
        prompt_tokens: 3,
        completion_tokens: 5,
        cost_microusd: 7,
        attempts: 2,
        last_ms: START.as_ms(),
        ..Sums::default()
    };
    sums.duration.observe(30);
    let series = Series {
        model: "m".to_owned(),
        server: "srv_1".to_owned(),
        sums,
    };
    assert_eq!(totals(&mut rig).series, [series]);
}

#[test]
fn a_roll_up_counts_once_and_survives_evictions_and_midnight() {
    let mut rig = totals_rig();
    for _ in 0..3 {
        add(&mut rig, "2026-11-21/0", 1, of(&[entry("m", "")]));
        rig.evict();
    }
    add(&mut rig, "2026-11-21/1", 1, of(&[entry("m", "")]));
    rig.wait(Span::from_secs(24 * 3600));
    add(&mut rig, "2026-11-22/0", 1, of(&[entry("m", "")]));
    add(
        &mut rig,
        "2026-11-21/0",
        2,
        of(&[entry("m", ""), entry("n", "")]),
    );
    add(&mut rig, "2026-11-21/0", 1, of(&[entry("m", "")]));
    rig.evict();
    let totals = totals(&mut rig);
    assert_eq!((requests(&totals, "m"), requests(&totals, "n")), (4, 1));
}

#[test]
fn a_roll_up_writes_one_row_for_its_part_and_one_for_each_series_in_it() {
    let mut rig = totals_rig();
    let entries = [entry("m", "a"), entry("m", "b"), entry("m", "a")];
    add(&mut rig, "2026-11-21/0", 1, of(&entries));
    assert_eq!(rig.store.rows_written(), 3);
    add(&mut rig, "2026-11-21/0", 2, of(&[entry("m", "a")]));
    assert_eq!(rig.store.rows_written(), 5);
    assert_eq!((rig.count("series"), rig.count("sources")), (2, 1));
}

#[test]
fn names_of_no_model_and_names_beyond_the_bound_are_one() {
    let mut unknown = entry("made up", "");
    unknown.known = false;
    let mut rig = totals_rig();
    add(&mut rig, "2026-11-21/0", 1, of(&[unknown]));
    assert_eq!(requests(&totals(&mut rig), OTHER), 1);
    for chunk in 0..11_u64 {
        let entries: Vec<_> = (0..100)
            .map(|n| entry("m", &format!("srv_{chunk}_{n}")))
            .collect();
        add(&mut rig, "2026-11-21/0", chunk + 2, of(&entries));
    }
    let totals = totals(&mut rig);
    assert_eq!(totals.series.len(), 1_001);
    assert_eq!(requests(&totals, "m") + requests(&totals, OTHER), 1_101);
    // One that is known goes on by itself.
    add(&mut rig, "2026-11-21/0", 50, of(&[entry("m", "srv_0_0")]));
    let first = |totals: &Totals| {
        let series = totals
            .series
            .iter()
            .find(|series| series.server == "srv_0_0");
        series.map(|series| series.sums.requests["200"])
    };
    assert_eq!(first(&self::totals(&mut rig)), Some(2));
}

#[test]
fn parts_of_days_long_gone_are_forgotten_and_their_sums_stay() {
    let mut rig = totals_rig();
    add(&mut rig, "2026-11-21/0", 1, of(&[entry("m", "")]));
    rig.wait(Span::from_secs(46 * 86_400));
    add(&mut rig, "2027-01-06/0", 1, of(&[entry("m", "")]));
    assert_eq!(rig.count("sources"), 1);
    assert_eq!(requests(&totals(&mut rig), "m"), 2);
}

#[test]
fn lost_entries_are_counted() {
    let mut rig = totals_rig();
    let lost = Totals {
        lost: 4,
        ..Totals::default()
    };
    add(&mut rig, "2026-11-21/0", 1, lost.clone());
    rig.evict();
    add(&mut rig, "2026-11-21/1", 1, lost);
    assert_eq!(totals(&mut rig).lost, 8);
}

#[test]
fn totals_messages_v1_format_unchanged() {
    let series = of(&[LogEntry {
        error: Some("servers_busy".to_owned()),
        status: 429,
        first_token_ms: Some(10),
        ..entry("m", "srv_1")
    }]);
    assert_eq!(
        serde_json::to_value(series).unwrap(),
        json!({"lost": 0, "series": [{"model": "m", "server": "srv_1", "sums": {
            "requests": {"429": 1}, "errors": {"servers_busy": 1},
            "duration": {"buckets": [0, 0, 1], "count": 1, "sum_ms": 30},
            "first_token": {"buckets": [1], "count": 1, "sum_ms": 10},
            "prompt_tokens": 3, "completion_tokens": 5, "cost_microusd": 7, "attempts": 2,
            "last_ms": START.as_ms(),
        }}]})
    );
    let old = r#"{"command":"add","source":"2026-11-21/0","number":1,"delta":{"series":[{"model":"m","sums":{}}]}}"#;
    totals_rig().call_raw(old).unwrap();
}
