use super::*;
use crate::bindings::fleet::KeyRecord;

const FIRST: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222222222222222222222222222";

fn record(id: &str) -> KeyRecord {
    KeyRecord {
        id: id.to_owned(),
        name: "ci".to_owned(),
        secret_hash: FIRST.to_owned(),
        scopes: vec!["inference".to_owned(), "read".to_owned()],
        created_at_ms: START.as_ms(),
        ..KeyRecord::default()
    }
}

fn mint(record: KeyRecord) -> FleetCommand {
    FleetCommand::MintKey { record }
}

fn key(id: &str) -> FleetCommand {
    FleetCommand::Key { id: id.to_owned() }
}

fn rotate(id: &str, overlap_until_ms: i64) -> FleetCommand {
    FleetCommand::RotateKey {
        id: id.to_owned(),
        secret_hash: SECOND.to_owned(),
        overlap_until_ms,
    }
}

fn shown(record: KeyRecord) -> FleetAnswer {
    FleetAnswer::Key {
        record: Box::new(record),
    }
}

fn is_without_hashes(messages: &Sent) -> bool {
    let text = format!("{messages:?}");
    !text.contains(FIRST) && !text.contains(SECOND)
}

#[test]
fn a_minted_key_is_stored_with_its_hash_and_shown_without() {
    let mut rig = fleet();
    let (answer, messages) = settle(&mut rig, &mint(record("k1")));
    let blank = KeyRecord {
        secret_hash: String::new(),
        ..record("k1")
    };
    assert_eq!(answer, shown(blank.clone()));
    assert_eq!(
        audit(&messages),
        audited("admin", "key.minted", "k1", "ci (inference, read)")
    );
    assert_eq!(messages.len(), 1);
    assert!(is_without_hashes(&messages));
    assert_eq!(version(&mut rig), 1);
    rig.evict();
    assert_eq!(ask(&mut rig, &key("k1")), shown(record("k1")));
    let records = vec![blank];
    assert_eq!(
        ask(&mut rig, &FleetCommand::Keys),
        FleetAnswer::Keys { records }
    );
}

#[test]
fn an_id_is_minted_once_and_a_lost_answer_is_given_again() {
    let mut rig = fleet();
    settle(&mut rig, &mint(record("k1")));
    let (answer, messages) = settle(&mut rig, &mint(record("k1")));
    assert!(matches!(answer, FleetAnswer::Key { .. }));
    assert_eq!(messages, []);
    let other = KeyRecord {
        secret_hash: SECOND.to_owned(),
        ..record("k1")
    };
    let existing = "k1".to_owned();
    assert_eq!(
        settle(&mut rig, &mint(other)),
        (FleetAnswer::Duplicate { existing }, vec![])
    );
    assert_eq!(ask(&mut rig, &key("k1")), shown(record("k1")));
}

#[test]
fn a_rotated_key_keeps_its_old_secret_until_the_overlap_ends() {
    let mut rig = fleet();
    settle(&mut rig, &mint(record("k1")));
    let until = START.as_ms() + 60_000;
    let (_, messages) = settle(&mut rig, &rotate("k1", until));
    let reason = format!("the old secret stays good until {until}");
    assert_eq!(
        audit(&messages),
        audited("admin", "key.rotated", "k1", &reason)
    );
    assert!(is_without_hashes(&messages));
    let rotated = KeyRecord {
        secret_hash: SECOND.to_owned(),
        previous_secret_hash: Some(FIRST.to_owned()),
        previous_until_ms: Some(until),
        ..record("k1")
    };
    assert_eq!(ask(&mut rig, &key("k1")), shown(rotated.clone()));
    assert_eq!(settle(&mut rig, &rotate("k1", until)).1, []);
    assert_eq!(ask(&mut rig, &key("k1")), shown(rotated));
    let FleetAnswer::Keys { records } = ask(&mut rig, &FleetCommand::Keys) else {
        panic!("no keys");
    };
    assert_eq!(records[0].secret_hash, "");
    assert_eq!(records[0].previous_secret_hash, None);
    assert_eq!(records[0].previous_until_ms, Some(until));
}

#[test]
fn a_rotation_without_overlap_ends_the_old_secret() {
    let mut rig = fleet();
    settle(&mut rig, &mint(record("k1")));
    settle(&mut rig, &rotate("k1", START.as_ms()));
    let rotated = KeyRecord {
        secret_hash: SECOND.to_owned(),
        ..record("k1")
    };
    assert_eq!(ask(&mut rig, &key("k1")), shown(rotated));
}

#[test]
fn a_revoked_key_is_gone() {
    let mut rig = fleet();
    settle(&mut rig, &mint(record("k1")));
    let revoke = FleetCommand::RevokeKey {
        id: "k1".to_owned(),
    };
    let (answer, messages) = settle(&mut rig, &revoke);
    assert_eq!(answer, FleetAnswer::Done);
    assert_eq!(
        audit(&messages),
        audited("admin", "key.revoked", "k1", "ci")
    );
    assert_eq!(rig.count("keys"), 0);
    for command in [key("k1"), revoke, rotate("k1", 0)] {
        assert_eq!(settle(&mut rig, &command), (FleetAnswer::NotFound, vec![]));
    }
}

#[test]
fn a_malformed_key_is_refused() {
    let mut rig = fleet();
    let odd = KeyRecord {
        scopes: vec!["root".to_owned()],
        ..record("k1")
    };
    let (answer, messages) = settle(&mut rig, &mint(odd));
    assert_eq!((invalid(&answer), messages), (Some("scopes"), vec![]));
}

fn suspend(id: &str, number: u64, until_ms: Option<i64>) -> FleetMessage {
    FleetMessage {
        actor: Some("ledger".to_owned()),
        once: None,
        command: FleetCommand::SuspendKey {
            id: id.to_owned(),
            number,
            until_ms,
            reason: "it has used up its budget".to_owned(),
        },
    }
}

fn told(rig: &mut Rig<Fleet>, message: &FleetMessage) -> (FleetAnswer, Sent) {
    let (answer, effects): (FleetAnswer, Vec<Effect>) = rig.call(message);
    rig.deliver(&effects);
    (answer, sent(&effects))
}

#[test]
fn a_key_is_suspended_and_let_go_on_as_the_ledger_says_in_the_order_in_which_it_says_so() {
    let mut rig = fleet();
    settle(&mut rig, &mint(record("k1")));
    let until = START.as_ms() + 60_000;
    let (answer, messages) = told(&mut rig, &suspend("k1", 2, Some(until)));
    assert_eq!(answer, FleetAnswer::Done);
    let reason = format!("it has used up its budget (until {until})");
    assert_eq!(
        audit(&messages),
        audited("ledger", "key.suspended", "k1", &reason)
    );
    let suspended = KeyRecord {
        suspended_until_ms: Some(until),
        suspended_reason: "it has used up its budget".to_owned(),
        suspension: Some(2),
        ..record("k1")
    };
    assert_eq!(ask(&mut rig, &key("k1")), shown(suspended.clone()));
    // Repeated, and overtaken by an earlier one.
    for late in [suspend("k1", 2, Some(until)), suspend("k1", 1, None)] {
        assert_eq!(told(&mut rig, &late), (FleetAnswer::Done, vec![]));
    }
    rig.evict();
    assert_eq!(ask(&mut rig, &key("k1")), shown(suspended));
    let (_, messages) = told(&mut rig, &suspend("k1", 3, None));
    assert_eq!(audit(&messages).1, "key.resumed");
    let resumed = KeyRecord {
        suspension: Some(3),
        ..record("k1")
    };
    assert_eq!(ask(&mut rig, &key("k1")), shown(resumed));
    assert_eq!(version(&mut rig), 1, "keys are no part of the snapshot");
}

#[test]
fn a_minting_that_is_repeated_after_a_suspension_is_still_the_same() {
    let mut rig = fleet();
    settle(&mut rig, &mint(record("k1")));
    told(&mut rig, &suspend("k1", 1, Some(i64::MAX)));
    let (answer, messages) = settle(&mut rig, &mint(record("k1")));
    assert!(matches!(answer, FleetAnswer::Key { .. }));
    assert_eq!(messages, []);
}

#[test]
fn nobody_is_suspended_who_is_not_there() {
    let mut rig = fleet();
    let gone = suspend("gone", 1, Some(i64::MAX));
    assert_eq!(told(&mut rig, &gone), (FleetAnswer::Done, vec![]));
    assert_eq!(rig.count("keys"), 0);
}
