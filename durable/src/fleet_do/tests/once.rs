//! Changes that are asked for again, with every way to lose an answer in between.

use tidegate_domain::time::Span;

use super::*;
use crate::bindings::fleet::KeyRecord;
use crate::bindings::once::{Once, OnceAnswer, OnceReply};

const HOUR: i64 = 3600;

fn reserve_as(rig: &mut Rig<Fleet>, id: &str, fingerprint: &str) -> OnceAnswer {
    let command = FleetCommand::Reserve {
        id: id.to_owned(),
        fingerprint: fingerprint.to_owned(),
    };
    let (answer, effects) = rig.call(&command);
    assert_eq!(effects, [], "reserving tells nobody");
    answer
}

fn reserve(rig: &mut Rig<Fleet>) -> OnceAnswer {
    reserve_as(rig, "id", "body")
}

fn token(answer: OnceAnswer) -> String {
    match answer {
        OnceAnswer::Go { token, .. } => token,
        other => panic!("not to go on: {other:?}"),
    }
}

fn mint(key: &str, token: &str) -> FleetMessage {
    let record = KeyRecord {
        id: key.to_owned(),
        name: "ci".to_owned(),
        secret_hash: "a".repeat(64),
        scopes: vec!["read".to_owned()],
        ..KeyRecord::default()
    };
    let once = Once {
        id: "id".to_owned(),
        token: token.to_owned(),
        note: Some("note".to_owned()),
    };
    FleetMessage {
        actor: None,
        once: Some(once),
        command: FleetCommand::MintKey { record },
    }
}

fn reply(secret: bool) -> OnceReply {
    OnceReply {
        status: 201,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: "{}".to_owned(),
        secret,
    }
}

fn conclude(rig: &mut Rig<Fleet>, token: &str, reply: Option<OnceReply>) {
    let command = FleetCommand::Conclude {
        id: "id".to_owned(),
        token: token.to_owned(),
        reply,
    };
    let (answer, effects): (FleetAnswer, _) = rig.call(&command);
    assert_eq!((answer, effects), (FleetAnswer::Done, vec![]));
}

/// The whole of one change, and what it was answered.
fn change(rig: &mut Rig<Fleet>, secret: bool) -> FleetAnswer {
    let token = token(reserve(rig));
    let (answer, effects) = rig.call(&mint("k", &token));
    rig.deliver(&effects);
    conclude(rig, &token, Some(reply(secret)));
    answer
}

fn replay(secret: bool) -> OnceAnswer {
    OnceAnswer::Replay {
        reply: reply(secret),
    }
}

#[test]
fn i1_while_one_goes_on_the_others_are_told_to_come_back() {
    let mut rig = fleet();
    let token = token(reserve(&mut rig));
    let running = OnceAnswer::Running {
        retry_after_ms: 1_000,
    };
    for _ in 0..49 {
        assert_eq!(reserve(&mut rig), running);
    }
    let _: (FleetAnswer, _) = rig.call(&mint("k", &token));
    assert_eq!(reserve(&mut rig), running, "its answer is being rendered");
    conclude(&mut rig, &token, Some(reply(false)));
    assert_eq!(reserve(&mut rig), replay(false));
    assert_eq!(rig.count("keys"), 1);
}

#[test]
fn i3_another_body_is_told_so_at_every_stage() {
    let mut rig = fleet();
    let token = token(reserve(&mut rig));
    assert_eq!(reserve_as(&mut rig, "id", "other"), OnceAnswer::Reused);
    let _: (FleetAnswer, _) = rig.call(&mint("k", &token));
    assert_eq!(reserve_as(&mut rig, "id", "other"), OnceAnswer::Reused);
    conclude(&mut rig, &token, Some(reply(false)));
    assert_eq!(reserve_as(&mut rig, "id", "other"), OnceAnswer::Reused);
    assert!(matches!(
        reserve_as(&mut rig, "other", "body"),
        OnceAnswer::Go { .. }
    ));
}

#[test]
fn i7_a_key_is_remembered_for_a_day_and_no_second_longer() {
    let mut rig = fleet();
    change(&mut rig, false);
    rig.wait(Span::from_secs(24 * HOUR - 1));
    assert_eq!(reserve(&mut rig), replay(false));
    rig.wait(Span::from_secs(2));
    assert!(matches!(
        reserve(&mut rig),
        OnceAnswer::Go { made: false, .. }
    ));
    assert_eq!(rig.count("once"), 1);
}

#[test]
fn what_is_over_is_removed_by_the_alarm_and_nothing_rings_after_it() {
    let mut rig = fleet();
    let token = token(reserve(&mut rig));
    let first = rig.call::<FleetAnswer>(&mint("k", &token));
    rig.deliver(&first.1);
    conclude(&mut rig, &token, Some(reply(false)));
    rig.evict();
    rig.wait(Span::from_secs(24 * HOUR - 1));
    let early = rig.alarm();
    assert_eq!(early.effects, []);
    assert_eq!(early.alarm_at().unwrap(), rig.now + Span::from_secs(1));
    assert_eq!(rig.count("once"), 1);
    rig.wait(Span::from_secs(1));
    let turn = rig.alarm();
    assert_eq!((turn.effects.as_slice(), turn.alarm_at()), (&[][..], None));
    assert_eq!((rig.count("once"), rig.count("keys")), (0, 1));
}

#[test]
fn i8_a_refusal_frees_the_key_for_another_body() {
    let mut rig = fleet();
    let token = token(reserve(&mut rig));
    let mut nameless = mint("k", &token);
    nameless.command = FleetCommand::MintKey {
        record: KeyRecord::default(),
    };
    let (answer, _): (FleetAnswer, _) = rig.call(&nameless);
    assert!(matches!(answer, FleetAnswer::Invalid { .. }), "{answer:?}");
    conclude(&mut rig, &token, None);
    assert_eq!(rig.count("once"), 0);
    assert!(matches!(
        reserve_as(&mut rig, "id", "other"),
        OnceAnswer::Go { .. }
    ));
}

#[test]
fn an_answer_with_a_secret_is_erased_after_ten_minutes() {
    let mut rig = fleet();
    change(&mut rig, true);
    assert_eq!(reserve(&mut rig), replay(true));
    rig.wait(Span::from_secs(599));
    assert_eq!(reserve(&mut rig), replay(true));
    rig.wait(Span::from_secs(1));
    assert_eq!(
        reserve(&mut rig),
        OnceAnswer::Erased,
        "before the alarm has rung, too"
    );
    rig.alarm();
    let stored = rig.text("SELECT record FROM once");
    assert!(
        stored.contains(r#""reply":null"#) && stored.contains(r#""seed":null"#),
        "{stored}"
    );
    assert_eq!(reserve(&mut rig), OnceAnswer::Erased);
    assert_eq!(reserve_as(&mut rig, "id", "other"), OnceAnswer::Reused);
}

#[test]
fn a_change_whose_answer_was_lost_is_taken_up_by_whoever_comes_next() {
    let mut rig = fleet();
    let first = token(reserve(&mut rig));
    let (answer, _): (FleetAnswer, _) = rig.call(&mint("k", &first));
    rig.wait(Span::from_secs(45));
    let OnceAnswer::Go {
        token: second,
        made: true,
        note: Some(note),
        ..
    } = reserve(&mut rig)
    else {
        panic!("the change is made");
    };
    assert_eq!(note, "note");
    let (again, effects): (FleetAnswer, _) = rig.call(&mint("k2", &second));
    assert_eq!(
        (again, effects),
        (answer, vec![]),
        "nothing is changed again"
    );
    conclude(&mut rig, &first, Some(reply(true)));
    assert!(
        matches!(reserve(&mut rig), OnceAnswer::Running { .. }),
        "the first is late"
    );
    conclude(&mut rig, &second, Some(reply(false)));
    assert_eq!(reserve(&mut rig), replay(false));
    assert_eq!(rig.count("keys"), 1);
}

#[test]
fn an_asker_that_lost_the_registrys_word_is_followed_at_once() {
    let mut rig = fleet();
    let first = token(reserve(&mut rig));
    let _: (FleetAnswer, _) = rig.call(&mint("k", &first));
    conclude(&mut rig, &first, None);
    assert!(matches!(
        reserve(&mut rig),
        OnceAnswer::Go { made: true, .. }
    ));
}

#[test]
fn a_change_that_arrives_after_another_took_over_is_not_made() {
    let mut rig = fleet();
    let first = token(reserve(&mut rig));
    conclude(&mut rig, &first, None);
    let late = mint("late", &first);
    assert_eq!(rig.call::<FleetAnswer>(&late).0, FleetAnswer::Superseded);
    let second = token(reserve(&mut rig));
    assert_eq!(rig.call::<FleetAnswer>(&late).0, FleetAnswer::Superseded);
    assert!(matches!(
        rig.call(&mint("k", &second)).0,
        FleetAnswer::Key { .. }
    ));
    assert_eq!(rig.count("keys"), 1);
}

#[test]
fn keys_are_remembered_up_to_a_number_and_freed_by_what_ends() {
    let mut rig = fleet();
    for n in 0..5_000 {
        assert!(matches!(
            reserve_as(&mut rig, &n.to_string(), "body"),
            OnceAnswer::Go { .. }
        ));
    }
    rig.evict();
    let full = OnceAnswer::Full {
        retry_after_ms: 600_000,
    };
    assert_eq!(reserve(&mut rig), full);
    assert!(matches!(
        reserve_as(&mut rig, "7", "body"),
        OnceAnswer::Running { .. }
    ));
    // Nobody came back for them: they go with their secrets, some at a time.
    rig.wait(Span::from_secs(600));
    for _ in 0..25 {
        rig.alarm();
    }
    assert_eq!(rig.count("once"), 0);
    assert!(matches!(reserve(&mut rig), OnceAnswer::Go { .. }));
}

#[test]
fn an_answer_too_long_to_keep_is_told_once() {
    let mut rig = fleet();
    let token = token(reserve(&mut rig));
    let long = OnceReply {
        body: "x".repeat(64 * 1024 + 1),
        ..reply(false)
    };
    conclude(&mut rig, &token, Some(long));
    assert_eq!(reserve(&mut rig), OnceAnswer::Erased);
}

/// One change from beginning to end on an object that is evicted before each message; whatever fails ends it.
fn attempt(rig: &mut Rig<Fleet>) -> Result<(), crate::driver::TurnError> {
    let read = |turn: crate::turn::Turn| match turn.reply {
        Some(crate::turn::Reply::Now(text)) => text,
        other => panic!("no answer: {other:?}"),
    };
    rig.evict();
    let reserved = read(rig.try_call(&FleetCommand::Reserve {
        id: "id".to_owned(),
        fingerprint: "body".to_owned(),
    })?);
    let token = match serde_json::from_str(&reserved).unwrap() {
        OnceAnswer::Go { token, .. } => token,
        OnceAnswer::Replay { .. } => return Ok(()),
        other => panic!("not to go on: {other:?}"),
    };
    rig.evict();
    let made = read(rig.try_call(&mint("k", &token))?);
    let made: FleetAnswer = serde_json::from_str(&made).unwrap();
    assert!(matches!(made, FleetAnswer::Key { .. }), "{made:?}");
    rig.evict();
    rig.try_call(&FleetCommand::Conclude {
        id: "id".to_owned(),
        token,
        reply: Some(reply(false)),
    })?;
    Ok(())
}

#[test]
fn i6_a_crash_at_any_statement_leaves_one_change() {
    let mut failures = 0;
    for statement in 0.. {
        let mut rig = fleet();
        rig.store.fail_after(statement);
        let crashed = attempt(&mut rig).is_err();
        rig.store.fail_after(u32::MAX);
        // Whoever asked is gone; its client asks again once nobody waits for it any more.
        rig.wait(Span::from_secs(45));
        attempt(&mut rig).unwrap();
        assert_eq!(reserve(&mut rig), replay(false), "statement {statement}");
        assert_eq!(rig.count("keys"), 1, "statement {statement}");
        assert_eq!(rig.count("once"), 1, "statement {statement}");
        if !crashed {
            break;
        }
        failures += 1;
    }
    // Three times the tables are made and the rows are read, besides what each message writes.
    assert!(failures > 36, "{failures}");
}
