//! The driver around an object that does what its messages say.

use serde::{Deserialize, Serialize};

use super::*;
use crate::rig::{Rig, START, sent};

/// Its messages.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Say {
    /// Send this many facts.
    Send(u32),
    /// Nudge once.
    Poke,
    /// Was this event applied before?
    Hear(String),
    /// Have something to do at this time, or nothing.
    Want(Option<i64>),
}

struct Echo {
    wanted: Option<Timestamp>,
}

impl Object for Echo {
    const SCHEMA: &'static [&'static str] = &[
        "CREATE TABLE IF NOT EXISTS rings (at_ms INTEGER NOT NULL)",
        "CREATE TABLE IF NOT EXISTS outcomes (id INTEGER NOT NULL, outcome TEXT NOT NULL)",
    ];

    fn open(_: &mut Cx<'_>) -> Result<Self, StoreError> {
        Ok(Self { wanted: None })
    }

    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError> {
        let mut answer = "done".to_owned();
        match decode("message", message)? {
            Say::Send(count) => {
                for number in 1..=count {
                    cx.send(ObjectName::fleet("acme"), &number)?;
                }
            }
            Say::Poke => cx.poke(ObjectName::fleet("acme"), &"poke")?,
            Say::Hear(event) => answer = cx.is_first_sight(&event)?.to_string(),
            Say::Want(at_ms) => self.wanted = at_ms.map(Timestamp::from_ms),
        }
        Ok(Reply::Now(encode("answer", &answer)?))
    }

    fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        let at = Value::from(cx.now.as_ms());
        cx.sql.exec("INSERT INTO rings VALUES (?)", &[at])?;
        if self.wanted.is_some_and(|wanted| wanted <= cx.now) {
            self.wanted = None;
        }
        Ok(())
    }

    fn done(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), TurnError> {
        let id = Value::from(i64::try_from(id).unwrap());
        let outcome = Value::from(encode("outcome", &outcome)?);
        cx.sql
            .exec("INSERT INTO outcomes VALUES (?, ?)", &[id, outcome])?;
        Ok(())
    }

    fn next_alarm(&self) -> Option<Timestamp> {
        self.wanted
    }
}

fn echo() -> Rig<Echo> {
    Rig::new(ObjectName::fleet("sender"))
}

fn secs(secs: i64) -> Span {
    Span::from_secs(secs)
}

fn at(secs: i64) -> Option<i64> {
    Some(START.as_ms() + secs * 1_000)
}

fn failed() -> Outcome {
    let reason = "no route".to_owned();
    Outcome::Failed { reason }
}

fn only_id(effects: &[Effect]) -> EffectId {
    match effects {
        [Effect::Send { id, .. }] => *id,
        other => panic!("not one message: {other:?}"),
    }
}

fn is_first_sight(rig: &mut Rig<Echo>, event: &str) -> bool {
    let (answer, _): (String, _) = rig.call(&Say::Hear(event.to_owned()));
    answer == "true"
}

#[test]
fn a_fact_is_sent_at_once_and_its_row_goes_when_it_is_delivered() {
    let mut rig = echo();
    let turn = rig.try_call(&Say::Send(1)).unwrap();
    assert_eq!(
        sent(&turn.effects),
        [("fleet/acme".to_owned(), serde_json::json!(1))]
    );
    assert_eq!(turn.alarm_at_ms, at(2));
    assert_eq!(rig.count("outbox"), 1);
    rig.deliver(&turn.effects);
    assert_eq!(rig.count("outbox"), 0);
    // Delivered once more by a host that was not sure: nothing happens.
    rig.deliver(&turn.effects);
    let turn = rig.alarm();
    assert_eq!((turn.effects, turn.alarm_at_ms), (vec![], None));
}

#[test]
fn an_undelivered_fact_is_sent_again_after_growing_pauses_for_ever() {
    let mut rig = echo();
    let (_, first): (String, _) = rig.call(&Say::Send(1));
    let mut due = 0;
    for (attempt, pause) in [2, 4, 8, 16, 32, 60, 60, 60].into_iter().enumerate() {
        assert_eq!(rig.done(only_id(&first), failed()).effects, []);
        rig.wait(Span::from_ms(secs(pause).as_ms() - 1));
        assert_eq!(rig.alarm().effects, [], "attempt {attempt} came early");
        rig.wait(Span::from_ms(1));
        due += pause;
        let turn = rig.alarm();
        assert_eq!(turn.effects, first, "attempt {attempt}");
        // Every second alarm meets an object that was evicted in between.
        if attempt % 2 == 0 {
            rig.evict();
        }
        let outbox_due = rig.number("SELECT due_at_ms FROM outbox");
        assert_eq!(turn.alarm_at_ms, Some(outbox_due));
        assert_eq!(rig.now.as_ms(), START.as_ms() + due * 1_000);
    }
    rig.deliver(&first);
    assert_eq!(rig.count("outbox"), 0);
}

#[test]
fn a_fact_that_is_under_way_when_the_object_is_evicted_is_not_forgotten() {
    let mut rig = echo();
    let (_, first): (String, _) = rig.call(&Say::Send(1));
    rig.evict();
    // Any message brings the object back, and with it the alarm.
    let turn = rig.try_call(&Say::Want(None)).unwrap();
    assert_eq!(turn.alarm_at_ms, at(2));
    rig.wait(secs(2));
    assert_eq!(rig.alarm().effects, first);
}

#[test]
fn a_turn_that_fails_sends_nothing_and_leaves_no_row() {
    let mut rig = echo();
    rig.try_call(&Say::Want(None)).unwrap();
    rig.store.fail_after(1);
    rig.try_call(&Say::Send(2)).unwrap_err();
    assert_eq!(rig.count("outbox"), 0);
    let turn = rig.try_call(&Say::Send(2)).unwrap();
    assert_eq!((turn.effects.len(), rig.count("outbox")), (2, 2));
}

#[test]
fn facts_keep_their_order_and_a_backlog_goes_in_rounds() {
    let mut rig = echo();
    let (_, first): (String, _) = rig.call(&Say::Send(150));
    rig.wait(secs(2));
    let turn = rig.alarm();
    assert_eq!(turn.effects, first[..100]);
    // The rest is due already: the alarm rings again at once.
    assert_eq!(turn.alarm_at_ms, at(2));
    let turn = rig.alarm();
    assert_eq!(turn.effects, first[100..]);
    assert_eq!(turn.alarm_at_ms, at(6));
}

#[test]
fn a_row_that_nobody_can_address_does_not_keep_the_alarm_ringing() {
    let mut rig = echo();
    rig.call::<String>(&Say::Send(1));
    rig.rows("UPDATE outbox SET recipient = 'elsewhere/acme'");
    rig.wait(secs(2));
    let turn = rig.alarm();
    assert_eq!((turn.effects, turn.alarm_at_ms), (vec![], at(6)));
    assert_eq!(rig.count("outbox"), 1);
}

#[test]
fn a_poke_leaves_no_row_and_its_outcome_comes_back() {
    let mut rig = echo();
    rig.try_call(&Say::Want(None)).unwrap();
    let rows = rig.store.rows_written();
    let turn = rig.try_call(&Say::Poke).unwrap();
    assert_eq!(rig.store.rows_written(), rows);
    assert_eq!(turn.alarm_at_ms, None);
    let id = only_id(&turn.effects);
    assert_eq!(id % 2, 1, "no outbox row has an odd id");
    rig.done(id, failed());
    assert_eq!(rig.count("outcomes"), 1);
    assert_eq!(rig.alarm().effects, []);
}

#[test]
fn an_outcome_reaches_the_object_after_its_row_is_settled() {
    let mut rig = echo();
    let (_, effects): (String, _) = rig.call(&Say::Send(1));
    rig.deliver(&effects);
    assert_eq!(
        rig.text("SELECT outcome FROM outcomes"),
        r#"{"outcome":"delivered","reply":"{}"}"#
    );
}

#[test]
fn the_alarm_is_only_moved_forward() {
    let mut rig = echo();
    let mut want = |secs| rig.try_call(&Say::Want(at(secs))).unwrap().alarm_at_ms;
    assert_eq!(want(60), at(60));
    assert_eq!(want(90), None);
    assert_eq!(want(60), None);
    assert_eq!(want(30), at(30));
    assert_eq!(rig.try_call(&Say::Want(None)).unwrap().alarm_at_ms, None);
    // An earlier fact of the outbox moves it too.
    assert_eq!(rig.try_call(&Say::Send(1)).unwrap().alarm_at_ms, at(2));
}

#[test]
fn the_end_of_an_effect_moves_the_alarm_back() {
    let mut rig = echo();
    rig.try_call(&Say::Want(at(60))).unwrap();
    let turn = rig.try_call(&Say::Send(1)).unwrap();
    assert_eq!(turn.alarm_at_ms, at(2));
    let delivered = Outcome::Delivered {
        reply: String::new(),
    };
    let id = only_id(&turn.effects);
    assert_eq!(rig.done(id, delivered.clone()).alarm_at_ms, at(60));
    assert_eq!(rig.done(id, delivered).alarm_at_ms, None);
    // Not for a few seconds.
    rig.try_call(&Say::Want(at(55))).unwrap();
    rig.try_call(&Say::Want(at(60))).unwrap();
    assert_eq!(rig.done(id, failed()).alarm_at_ms, None);
}

#[test]
fn an_alarm_that_rings_early_is_set_again() {
    let mut rig = echo();
    rig.try_call(&Say::Want(at(60))).unwrap();
    rig.wait(secs(30));
    assert_eq!(rig.alarm().alarm_at_ms, at(60));
    rig.wait(secs(30));
    assert_eq!(rig.alarm().alarm_at_ms, None);
    assert_eq!(rig.count("rings"), 2);
}

#[test]
fn a_lost_alarm_is_set_again_by_the_next_turn() {
    let mut rig = echo();
    rig.try_call(&Say::Want(at(60))).unwrap();
    let mut touch = |seconds| {
        rig.now = START + secs(seconds);
        rig.try_call(&Say::Want(at(60))).unwrap().alarm_at_ms
    };
    // Late by what platforms take is not lost.
    assert_eq!(touch(70), None);
    assert_eq!(touch(71), at(71));
    assert_eq!(touch(72), None);
}

#[test]
fn an_event_is_seen_for_the_first_time_once_a_week() {
    let mut rig = echo();
    assert!(is_first_sight(&mut rig, "e"));
    assert!(!is_first_sight(&mut rig, "e"));
    assert!(is_first_sight(&mut rig, "f"));
    rig.evict();
    assert!(!is_first_sight(&mut rig, "e"));
    // Event ids go with an alarm, a week after they came.
    rig.wait(secs(7 * 24 * 3600));
    rig.alarm();
    assert!(!is_first_sight(&mut rig, "e"));
    rig.wait(Span::from_ms(1));
    rig.alarm();
    assert_eq!(rig.count("applied"), 0);
    assert!(is_first_sight(&mut rig, "e"));
}

#[test]
fn an_event_of_a_failed_turn_was_not_seen() {
    let mut rig = echo();
    rig.try_call(&Say::Want(None)).unwrap();
    rig.store.fail_after(0);
    rig.try_call(&Say::Hear("e".to_owned())).unwrap_err();
    assert!(is_first_sight(&mut rig, "e"));
}
