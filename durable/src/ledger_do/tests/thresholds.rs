use super::*;

fn told(period: Period, cap: u64, thresholds: &[u8]) -> Budget {
    Budget {
        thresholds: thresholds.to_vec(),
        ..budget(period, cap)
    }
}

fn actions(messages: &Sent) -> Vec<(String, String)> {
    let entries = audited(messages).into_iter();
    entries
        .map(|[_, action, _, reason]| (action, reason))
        .collect()
}

/// What the alarm says when it rings, and when it rings next once that has arrived.
fn ring(rig: &mut Rig<Ledger>) -> (Sent, Option<i64>) {
    let told = rig.alarm().effects;
    rig.deliver(&told);
    let turn = rig.alarm();
    assert_eq!(turn.effects, []);
    let next = turn.alarm_at_ms.map(|at| at - START.as_ms());
    (sent(&told), next)
}

#[test]
fn the_alarm_rings_when_the_next_threshold_is_reached_and_tells_it_once() {
    let mut rig = ledger();
    set(
        &mut rig,
        "organisation",
        told(Period::Month, 3_600_000, &[50, 80]),
    );
    // The alarm that watched over the audit would ring first.
    rig.evict();
    let opened = rig
        .try_call(&LedgerCommand::State {
            statement: statement("a", 1, 0),
        })
        .unwrap();
    // Half of it is half an hour.
    assert_eq!(opened.alarm_at_ms, Some(START.as_ms() + 30 * MINUTE));
    rig.wait(Span::from_ms(30 * MINUTE - 1));
    assert_eq!(ring(&mut rig).0, []);
    rig.wait(Span::from_ms(1));
    let (messages, next) = ring(&mut rig);
    let half = "50 % of $3.60 a month: $1.80 is spent".to_owned();
    assert_eq!(
        actions(&messages),
        [("budget.threshold_reached".to_owned(), half)]
    );
    assert_eq!(audited(&messages)[0][0], "ledger");
    assert_eq!(audited(&messages)[0][2], "organisation");
    assert_eq!(next, Some(48 * MINUTE));
    assert_eq!(ring(&mut rig).0, []);
    rig.evict();
    assert_eq!(ring(&mut rig).0, [], "it was remembered");
    // An alarm that got lost: the next message tells all that was missed.
    rig.wait(minutes(40));
    let (Done {}, effects) = rig.call(&LedgerCommand::Tick);
    let found = actions(&sent(&effects));
    assert_eq!(
        found,
        [
            (
                "budget.threshold_reached".to_owned(),
                "80 % of $3.60 a month: $4.20 is spent".to_owned()
            ),
            (
                "budget.cap_reached".to_owned(),
                "$3.60 a month: $4.20 is spent".to_owned()
            ),
        ]
    );
    rig.deliver(&effects);
    assert_eq!(ring(&mut rig).0, []);
}

#[test]
fn statements_and_advances_notice_what_was_passed() {
    let mut rig = ledger();
    set(
        &mut rig,
        "organisation",
        told(Period::Month, 3_600_000, &[50]),
    );
    state(&mut rig, statement("a", 1, 0));
    rig.wait(minutes(30));
    let messages = state(&mut rig, statement("a", 2, 0));
    assert_eq!(audited(&messages).len(), 1);
    let mut rig = ledger();
    set(
        &mut rig,
        "organisation",
        told(Period::Month, 3_600_000, &[50]),
    );
    state(&mut rig, statement("a", 1, 0));
    rig.wait(minutes(30));
    let (_, messages) = ask(&mut rig, advance("a", 1));
    assert_eq!(audited(&messages).len(), 1);
}

#[test]
fn a_new_period_tells_anew_and_the_alarm_finds_it_by_itself() {
    let mut rig = ledger();
    set(
        &mut rig,
        "organisation",
        told(Period::Day, 360 * DOLLAR, &[1]),
    );
    state(&mut rig, statement("a", 1, 0));
    rig.wait(minutes(60));
    let (messages, next) = ring(&mut rig);
    assert_eq!(messages.len(), 1);
    // Nothing is left but the cap, which this day never reaches: it rings at midnight.
    assert_eq!(next, Some(14 * HOUR));
    rig.now = START + Span::from_ms(14 * HOUR);
    let (messages, next) = ring(&mut rig);
    assert_eq!((messages, next), (vec![], Some(15 * HOUR)));
    rig.evict();
    rig.now = START + Span::from_ms(15 * HOUR);
    let (messages, _) = ring(&mut rig);
    assert_eq!(
        actions(&messages),
        [(
            "budget.threshold_reached".to_owned(),
            "1 % of $360.00 a day: $3.60 is spent".to_owned()
        )]
    );
}

#[test]
fn nothing_rings_while_nothing_is_open_or_nothing_is_left_to_tell() {
    let mut rig = ledger();
    let alarm = |rig: &mut Rig<Ledger>, command: &LedgerCommand| {
        rig.evict();
        let turn = rig.try_call(command).unwrap();
        rig.deliver(&turn.effects);
        turn.alarm_at_ms.filter(|_| turn.effects.is_empty())
    };
    let tick = LedgerCommand::Tick;
    set(
        &mut rig,
        "organisation",
        told(Period::Total, 3_600_000, &[50]),
    );
    assert_eq!(alarm(&mut rig, &tick), None, "nothing is open");
    let open = statement("a", 1, 0);
    state(&mut rig, open.clone());
    assert!(alarm(&mut rig, &tick).is_some());
    state(&mut rig, closed(open.clone(), 2, 0));
    assert_eq!(alarm(&mut rig, &tick), None);
    state(
        &mut rig,
        WindowStatement {
            revision: 3,
            ..open
        },
    );
    rig.wait(minutes(60));
    ring(&mut rig);
    assert_eq!(alarm(&mut rig, &tick), None, "all is told, for ever");
    set(
        &mut rig,
        "organisation",
        told(Period::Total, 99 * DOLLAR, &[]),
    );
    assert!(alarm(&mut rig, &tick).is_some());
    let (BudgetAnswer::Deleted, effects) = rig.call(&delete("organisation")) else {
        panic!("not deleted");
    };
    rig.deliver(&effects);
    assert_eq!(alarm(&mut rig, &tick), None);
}

#[test]
fn it_rings_at_most_once_a_minute() {
    let mut rig = ledger();
    // A hundredth of a cent: reached at once, again and again.
    set(
        &mut rig,
        "organisation",
        told(Period::Total, 1_000, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    );
    rig.evict();
    let turn = rig
        .try_call(&LedgerCommand::State {
            statement: statement("a", 1, 0),
        })
        .unwrap();
    assert_eq!(turn.alarm_at_ms, Some(START.as_ms() + MINUTE));
    rig.wait(minutes(1));
    assert_eq!(audited(&ring(&mut rig).0).len(), 11);
}

#[test]
fn a_target_warns_and_binds_nobody() {
    let mut rig = ledger();
    let warns = Budget {
        period: Period::Day,
        cap_microusd: None,
        target_microusd: Some(600_000),
        thresholds: vec![100],
    };
    set(&mut rig, "organisation", warns);
    state(&mut rig, statement("a", 1, 0));
    rig.wait(minutes(10));
    assert_eq!(ring(&mut rig).0.len(), 1);
    granted(&mut rig, advance("a", 1));
}

#[test]
fn a_budget_that_is_set_below_what_is_spent_tells_at_once() {
    let mut rig = ledger();
    state(&mut rig, statement("a", 1, 0));
    rig.wait(minutes(10));
    let (_, messages) = set(
        &mut rig,
        "organisation",
        told(Period::Day, DOLLAR, &[50, 80]),
    );
    let found = actions(&messages);
    assert_eq!(found[1].1, "50 % of $1.00 a day: $0.60 is spent");
    assert_eq!(found.len(), 2);
    // Another budget is another matter.
    let (_, messages) = set(
        &mut rig,
        "organisation",
        told(Period::Day, 700_000, &[50, 80]),
    );
    assert_eq!(audited(&messages).len(), 3);
}
