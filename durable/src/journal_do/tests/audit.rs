use serde_json::json;
use tidegate_domain::time::Timestamp;

use crate::bindings::ObjectName;
use crate::bindings::instance::Done;
use crate::bindings::journal::{AuditEntry, AuditPage, JournalCommand};
use crate::journal_do::Journal;
use crate::rig::{Rig, START};

fn journal() -> Rig<Journal> {
    Rig::new(ObjectName::journal("acme", "2026-11-21"))
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        at_ms: START.as_ms(),
        actor: "admin".to_owned(),
        action: action.to_owned(),
        subject: "a".to_owned(),
        reason: "why".to_owned(),
    }
}

fn append_of(event_id: &str, actions: &[&str]) -> JournalCommand {
    JournalCommand::Append {
        event_id: event_id.to_owned(),
        entries: actions.iter().map(|action| entry(action)).collect(),
    }
}

fn query(rig: &mut Rig<Journal>, limit: u32, before: Option<i64>) -> AuditPage {
    rig.call(&JournalCommand::Query { limit, before }).0
}

fn actions(page: &AuditPage) -> Vec<&str> {
    page.entries.iter().map(|it| it.action.as_str()).collect()
}

#[test]
fn entries_are_kept_in_order_and_once_for_each_event() {
    let mut rig = journal();
    let (_, effects): (Done, _) = rig.call(&append_of("e1", &["one", "two"]));
    assert_eq!(effects, []);
    rig.evict();
    let _: (Done, _) = rig.call(&append_of("e1", &["one", "two"]));
    let _: (Done, _) = rig.call(&append_of("e2", &["three"]));
    let page = query(&mut rig, 10, None);
    assert_eq!(actions(&page), ["three", "two", "one"]);
    assert_eq!(page.entries[2], entry("one"));
    assert_eq!(page.next_before, None);
    assert_eq!(rig.count("entries"), 3);
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let mut rig = journal();
    let _: (Done, _) = rig.call(&append_of("e1", &["a", "b", "c", "d"]));
    let first = query(&mut rig, 2, None);
    assert_eq!(
        (actions(&first), first.next_before),
        (vec!["d", "c"], Some(3))
    );
    // What comes in between does not move the pages behind.
    let _: (Done, _) = rig.call(&append_of("e2", &["e"]));
    let second = query(&mut rig, 2, first.next_before);
    assert_eq!(
        (actions(&second), second.next_before),
        (vec!["b", "a"], None)
    );
}

#[test]
fn a_page_holds_one_to_five_hundred_entries() {
    let mut rig = journal();
    let many = vec!["it"; 501];
    let _: (Done, _) = rig.call(&append_of("e1", &many));
    assert_eq!(query(&mut rig, 0, None).entries.len(), 1);
    let page = query(&mut rig, u32::MAX, None);
    assert_eq!((page.entries.len(), page.next_before), (500, Some(2)));
}

#[test]
fn a_day_is_cleared_ninety_days_after_its_end() {
    let mut rig = journal();
    let midnight = START.as_ms() + 14 * 3_600_000;
    let expires = midnight + 90 * 86_400_000;
    let turn = rig.try_call(&append_of("e1", &["one"])).unwrap();
    assert_eq!(turn.alarm_at_ms, Some(expires));

    rig.now = Timestamp::from_ms(expires - 1);
    rig.evict();
    assert_eq!(rig.alarm().alarm_at_ms, Some(expires));
    assert_eq!(rig.count("entries"), 1);

    rig.now = Timestamp::from_ms(expires);
    assert_eq!(rig.alarm().alarm_at_ms, None);
    assert_eq!((rig.count("entries"), rig.count("applied")), (0, 0));
    assert_eq!(rig.alarm().alarm_at_ms, None);

    // An entry that was under way all the time goes the same way.
    let turn = rig.try_call(&append_of("late", &["late"])).unwrap();
    assert_eq!(turn.alarm_at_ms, Some(expires));
    rig.alarm();
    assert_eq!(rig.count("entries"), 0);
}

#[test]
fn asking_for_a_day_on_which_nothing_happened_leaves_no_alarm() {
    let mut rig = journal();
    let command = JournalCommand::Query {
        limit: 5,
        before: None,
    };
    assert_eq!(rig.try_call(&command).unwrap().alarm_at_ms, None);
}

#[test]
fn a_name_without_a_day_takes_no_entries() {
    let mut rig: Rig<Journal> = Rig::new(ObjectName::journal("acme", "today"));
    let error = rig.try_call(&append_of("e1", &["one"])).unwrap_err();
    assert!(error.to_string().contains("a day such as 2026-11-21"));
    assert_eq!(rig.rows("SELECT name FROM sqlite_master").len(), 0);
}

#[test]
fn a_statement_that_fails_leaves_all_or_nothing() {
    for statement in 0.. {
        let mut rig = journal();
        let _: (Done, _) = rig.call(&append_of("e0", &["zero"]));
        rig.evict();
        rig.store.fail_after(statement);
        let disturbed = rig.try_call(&append_of("e1", &["one", "two"]));
        rig.store.fail_after(u32::MAX);
        assert_eq!(rig.count("entries"), if disturbed.is_ok() { 3 } else { 1 });
        if disturbed.is_ok() {
            break;
        }
        let _: (Done, _) = rig.call(&append_of("e1", &["one", "two"]));
        assert_eq!(rig.count("entries"), 3);
    }
}

#[test]
fn journal_messages_v1_format_unchanged() {
    let append = serde_json::to_value(append_of("e1", &["one"])).unwrap();
    assert_eq!(
        append,
        json!({"command": "append", "event_id": "e1", "entries": [{
            "at_ms": START.as_ms(), "actor": "admin", "action": "one", "subject": "a", "reason": "why",
        }]})
    );
    let old = r#"{"command":"append","event_id":"e2","entries":[{"at_ms":1,"actor":"a","action":"b","subject":"c"}]}"#;
    let mut rig = journal();
    rig.call_raw(old).unwrap();
    assert_eq!(query(&mut rig, 1, None).entries[0].reason, "");
}
