use serde_json::json;
use tidegate_domain::time::{Span, Timestamp};

use crate::bindings::ObjectName;
use crate::bindings::instance::Done;
use crate::bindings::journal::JournalCommand;
use crate::bindings::log::{LogEntry, LogFilter, LogPage, LogPlace};
use crate::bindings::totals::Totals;
use crate::journal_do::Journal;
use crate::rig::{Rig, START, sent};
use crate::turn::{Effect, Outcome};

fn part() -> Rig<Journal> {
    Rig::new(ObjectName::log("acme", "2026-11-21", 2))
}

fn entry(n: i64) -> LogEntry {
    LogEntry {
        at_ms: START.as_ms() + n,
        request: format!("r{n}"),
        key: "k".to_owned(),
        model: "m".to_owned(),
        known: true,
        endpoint: "/v1/chat/completions".to_owned(),
        status: 200,
        attempts: 1,
        ..LogEntry::default()
    }
}

fn batch_of(id: &str, entries: impl IntoIterator<Item = i64>) -> JournalCommand {
    JournalCommand::Log {
        batch: id.to_owned(),
        entries: entries.into_iter().map(entry).collect(),
        lost: 0,
    }
}

fn log(rig: &mut Rig<Journal>, id: &str, entries: impl IntoIterator<Item = i64>) {
    let (_, effects): (Done, _) = rig.call(&batch_of(id, entries));
    assert_eq!(effects, []);
}

fn search(
    rig: &mut Rig<Journal>,
    limit: u32,
    after: Option<LogPlace>,
    filter: LogFilter,
) -> LogPage {
    let command = JournalCommand::Search {
        limit,
        after,
        filter,
    };
    rig.call(&command).0
}

fn requests(page: &LogPage) -> Vec<&str> {
    let found = page.found.iter();
    found.map(|found| found.entry.request.as_str()).collect()
}

/// The roll-ups among effects: number, and requests counted.
fn roll_ups(effects: &[Effect]) -> Vec<(u64, u64)> {
    sent(effects)
        .into_iter()
        .map(|(to, message)| {
            assert_eq!(to, "journal/acme/totals");
            let Ok(JournalCommand::Add {
                source,
                number,
                delta,
            }) = serde_json::from_value(message)
            else {
                panic!("no roll-up");
            };
            assert_eq!(source, "2026-11-21/2");
            (number, counted(&delta))
        })
        .collect()
}

fn counted(totals: &Totals) -> u64 {
    let requests = totals
        .series
        .iter()
        .flat_map(|it| it.sums.requests.values());
    requests.sum()
}

#[test]
fn a_batch_is_one_row_and_counts_once() {
    let mut rig = part();
    log(&mut rig, "b1", [1, 2, 3]);
    log(&mut rig, "b1", [1, 2, 3]);
    rig.evict();
    log(&mut rig, "b1", [1, 2, 3]);
    assert_eq!((rig.count("batches"), rig.store.rows_written()), (1, 1));
    rig.wait(Span::from_secs(10));
    let turn = rig.alarm();
    assert_eq!(roll_ups(&turn.effects), [(1, 3)]);
}

#[test]
fn pages_follow_each_other_to_the_oldest_entry() {
    let mut rig = part();
    log(&mut rig, "b1", [1, 2]);
    log(&mut rig, "b2", [3, 4, 5]);
    let first = search(&mut rig, 2, None, LogFilter::default());
    assert_eq!(requests(&first), ["r5", "r4"]);
    // What comes in between does not move the pages behind.
    log(&mut rig, "b3", [6]);
    let second = search(&mut rig, 2, first.next, LogFilter::default());
    assert_eq!(requests(&second), ["r3", "r2"]);
    let third = search(&mut rig, 2, second.next, LogFilter::default());
    assert_eq!((requests(&third), third.next), (vec!["r1"], None));
}

#[test]
fn a_search_that_finds_nothing_stops_and_says_where() {
    let mut rig = part();
    for n in 0..100 {
        log(&mut rig, &format!("b{n}"), [n]);
    }
    let filter = LogFilter {
        key: Some("another".to_owned()),
        ..LogFilter::default()
    };
    let mut after = None;
    let mut calls = 0;
    loop {
        let page = search(&mut rig, 10, after, filter.clone());
        assert_eq!(requests(&page), [""; 0]);
        calls += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(calls, 3, "forty batches a call");
}

#[test]
fn each_filter_takes_what_it_names() {
    let mut rig = part();
    let entries = vec![
        LogEntry {
            status: 429,
            error: Some("servers_busy".to_owned()),
            ..entry(1)
        },
        LogEntry {
            server: Some("srv_1".to_owned()),
            duration_ms: 900,
            ..entry(2)
        },
        LogEntry {
            key: "other".to_owned(),
            model: "n".to_owned(),
            ..entry(3)
        },
    ];
    let command = JournalCommand::Log {
        batch: "b".to_owned(),
        entries,
        lost: 0,
    };
    let _: (Done, _) = rig.call(&command);
    let all = LogFilter::default;
    let text = |text: &str| Some(text.to_owned());
    for (filter, found) in [
        (all(), vec!["r3", "r2", "r1"]),
        (
            LogFilter {
                key: text("k"),
                ..all()
            },
            vec!["r2", "r1"],
        ),
        (
            LogFilter {
                model: text("n"),
                ..all()
            },
            vec!["r3"],
        ),
        (
            LogFilter {
                server: text("srv_1"),
                ..all()
            },
            vec!["r2"],
        ),
        (
            LogFilter {
                server: text("srv"),
                ..all()
            },
            vec![],
        ),
        (
            LogFilter {
                status_from: Some(400),
                ..all()
            },
            vec!["r1"],
        ),
        (
            LogFilter {
                status_to: Some(399),
                ..all()
            },
            vec!["r3", "r2"],
        ),
        (
            LogFilter {
                error: text("servers_busy"),
                ..all()
            },
            vec!["r1"],
        ),
        (
            LogFilter {
                min_duration_ms: Some(900),
                ..all()
            },
            vec!["r2"],
        ),
        (
            LogFilter {
                from_ms: Some(START.as_ms() + 2),
                ..all()
            },
            vec!["r3", "r2"],
        ),
        (
            LogFilter {
                to_ms: Some(START.as_ms() + 2),
                ..all()
            },
            vec!["r1"],
        ),
        (
            LogFilter {
                from_ms: Some(START.as_ms() + 4),
                ..all()
            },
            vec![],
        ),
    ] {
        let page = search(&mut rig, 10, None, filter.clone());
        assert_eq!((requests(&page), page.next), (found, None), "{filter:?}");
    }
}

#[test]
fn sums_leave_every_ten_seconds_and_never_two_at_a_time() {
    let mut rig = part();
    let turn = rig.try_call(&batch_of("b1", [1, 2])).unwrap();
    assert_eq!(turn.alarm_at_ms, Some(START.as_ms() + 10_000));
    rig.wait(Span::from_secs(9));
    assert_eq!(rig.alarm().effects, []);
    rig.wait(Span::from_secs(1));
    let first = rig.alarm();
    assert_eq!(roll_ups(&first.effects), [(1, 2)]);

    // The totals do not answer: what comes meanwhile waits, and the first is sent again.
    log(&mut rig, "b2", [3]);
    rig.wait(Span::from_secs(30));
    assert_eq!(roll_ups(&rig.alarm().effects), [(1, 2)]);
    let Effect::Send { id, .. } = first.effects[0] else {
        panic!("no message");
    };
    let failed = Outcome::Failed {
        reason: "evicted".to_owned(),
    };
    assert_eq!(rig.done(id, failed).effects, []);
    let turn = rig.done(
        id,
        Outcome::Delivered {
            reply: "{}".to_owned(),
        },
    );
    assert_eq!(turn.alarm_at_ms, Some(rig.now.as_ms()));
    let second = rig.alarm();
    assert_eq!(roll_ups(&second.effects), [(2, 1)]);
    rig.deliver(&second.effects);
    rig.wait(Span::from_secs(3600));
    assert_eq!(rig.alarm().effects, []);
}

#[test]
fn an_eviction_neither_loses_nor_repeats_a_sum() {
    for evict in 0..6 {
        let mut rig = part();
        let mut sums = Vec::new();
        let at = |rig: &mut Rig<Journal>, step| {
            if step == evict {
                rig.evict();
            }
        };
        log(&mut rig, "b1", [1, 2]);
        at(&mut rig, 0);
        log(&mut rig, "b2", [3]);
        at(&mut rig, 1);
        rig.wait(Span::from_secs(11));
        let turn = rig.alarm();
        sums.extend(roll_ups(&turn.effects));
        at(&mut rig, 2);
        log(&mut rig, "b3", [4]);
        at(&mut rig, 3);
        let turn = {
            rig.deliver(&turn.effects);
            at(&mut rig, 4);
            rig.wait(Span::from_secs(11));
            rig.alarm()
        };
        sums.extend(roll_ups(&turn.effects));
        rig.deliver(&turn.effects);
        at(&mut rig, 5);
        rig.wait(Span::from_secs(11));
        sums.extend(roll_ups(&rig.alarm().effects));
        assert_eq!(sums, [(1, 3), (2, 1)], "evicted at {evict}");
    }
}

#[test]
fn what_isolates_lost_is_told_with_the_next_sums() {
    let mut rig = part();
    let command = JournalCommand::Log {
        batch: "b".to_owned(),
        entries: vec![entry(1)],
        lost: 7,
    };
    let _: (Done, _) = rig.call(&command);
    rig.evict();
    rig.wait(Span::from_secs(10));
    let (_, message) = sent(&rig.alarm().effects).remove(0);
    assert_eq!(message["delta"]["lost"], 7);
}

#[test]
fn a_part_is_removed_as_a_whole_thirty_days_after_its_day() {
    let mut rig = part();
    log(&mut rig, "b1", [1]);
    rig.wait(Span::from_secs(10));
    let turn = rig.alarm();
    rig.deliver(&turn.effects);
    rig.evict();
    let midnight = START.as_ms() + 14 * 3_600_000;
    let expires = Timestamp::from_ms(midnight + 30 * 86_400_000);
    rig.now = expires - Span::from_ms(1);
    assert_eq!(rig.alarm().alarm_at_ms, Some(expires.as_ms()));
    rig.now = expires;
    assert_eq!(rig.alarm().alarm_at_ms, None);
    assert_eq!(rig.count("batches"), 0);

    // What was under way all the time is summed up, and then goes the same way.
    log(&mut rig, "late", [2]);
    rig.wait(Span::from_secs(10));
    let turn = rig.alarm();
    assert_eq!(roll_ups(&turn.effects), [(2, 1)]);
    assert_eq!(rig.count("batches"), 0);
}

#[test]
fn a_name_without_a_day_takes_no_batch() {
    for tail in ["today", "x"] {
        let mut rig: Rig<Journal> = Rig::new(ObjectName::log("acme", tail, 0));
        let error = rig.try_call(&batch_of("b", [1])).unwrap_err();
        assert!(error.to_string().contains("2026-11-21/0"), "{error}");
        assert_eq!(rig.rows("SELECT name FROM sqlite_master").len(), 0);
    }
}

#[test]
fn a_statement_that_fails_leaves_all_or_nothing() {
    for statement in 0.. {
        let mut rig = part();
        log(&mut rig, "b0", [1]);
        rig.evict();
        rig.wait(Span::from_secs(10));
        rig.store.fail_after(statement);
        let disturbed = rig.turn(crate::driver::Driver::alarm);
        rig.store.fail_after(u32::MAX);
        let turn = match &disturbed {
            Ok(turn) => turn.clone(),
            Err(_) => rig.alarm(),
        };
        // Either way the sums leave once.
        assert_eq!(roll_ups(&turn.effects), [(1, 1)], "statement {statement}");
        if disturbed.is_ok() {
            break;
        }
    }
}

#[test]
fn log_messages_v1_format_unchanged() {
    let message = serde_json::to_value(batch_of("b", [1])).unwrap();
    assert_eq!(
        message,
        json!({"command": "log", "batch": "b", "lost": 0, "entries": [{
            "at_ms": START.as_ms() + 1, "request": "r1", "key": "k", "model": "m", "known": true,
            "endpoint": "/v1/chat/completions", "status": 200, "attempts": 1, "duration_ms": 0,
            "prompt_tokens": 0, "completion_tokens": 0, "cost_microusd": 0,
        }]})
    );
    let old = r#"{"command":"log","batch":"b","entries":[{"at_ms":1,"request":"r","key":"k","endpoint":"e","status":200}]}"#;
    let mut rig = part();
    rig.call_raw(old).unwrap();
    let old = r#"{"command":"search","limit":5,"filter":{}}"#;
    rig.call_raw(old).unwrap();
}

#[test]
fn messages_for_another_kind_of_journal_are_refused() {
    let other = [
        r#"{"command":"query","limit":5}"#,
        r#"{"command":"totals"}"#,
        r#"{"command":"append","event_id":"e","entries":[]}"#,
    ];
    for message in other {
        let error = part().call_raw(message).unwrap_err();
        assert!(error.to_string().contains("another kind"), "{error}");
    }
}
