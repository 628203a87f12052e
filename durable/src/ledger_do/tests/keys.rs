use super::*;
use serde_json::json;

/// What fleets are told of keys among these.
fn fleet(messages: &Sent) -> Vec<serde_json::Value> {
    let told = messages.iter().filter(|(to, _)| to == "fleet/acme");
    told.map(|(_, message)| message.clone()).collect()
}

fn suspended(number: u64, until_ms: Option<i64>) -> serde_json::Value {
    let reason = match until_ms {
        Some(_) => "it has used up its budget",
        None => "its budget allows more again",
    };
    json!({
        "actor": "ledger",
        "command": "suspend_key",
        "id": "k1",
        "number": number,
        "until_ms": until_ms,
        "reason": reason,
    })
}

fn used_by_k1(revision: u64, microusd: u64) -> WindowStatement {
    WindowStatement {
        shares: shares(&[("key/k1", microusd), ("key/k2", 1)]),
        ..statement("a", revision, -HOUR)
    }
}

const MIDNIGHT: i64 = START.as_ms() + 14 * HOUR;

#[test]
fn a_key_is_suspended_when_its_shares_reach_its_cap_and_told_once() {
    let mut rig = ledger();
    set(&mut rig, "key/k1", budget(Period::Day, 500_000));
    assert_eq!(state(&mut rig, used_by_k1(1, 499_999)), []);
    assert_eq!(used(&mut rig), (499_999, 0));
    let messages = state(&mut rig, used_by_k1(2, 500_000));
    assert_eq!(fleet(&messages), [suspended(1, Some(MIDNIGHT))]);
    assert_eq!(
        audited(&messages),
        [entry(
            "ledger",
            "budget.cap_reached",
            "key/k1",
            "$0.50 a day: $0.50 is spent"
        )]
    );
    assert_eq!(messages.len(), 2);
    rig.evict();
    assert_eq!(state(&mut rig, used_by_k1(3, 600_000)), []);
    assert_eq!(used(&mut rig), (600_000, 0));
    // It binds requests, not what is rented.
    granted(&mut rig, advance("b", 1));
    assert_eq!(rig.alarm().effects, []);
}

#[test]
fn a_higher_cap_or_no_budget_lets_the_key_go_on() {
    let mut rig = ledger();
    set(&mut rig, "key/k1", budget(Period::Day, 500_000));
    state(&mut rig, used_by_k1(1, 500_000));
    let (view, messages) = set(&mut rig, "key/k1", budget(Period::Day, 700_000));
    assert_eq!(view.spent_microusd, 500_000);
    assert_eq!(fleet(&messages), [suspended(2, None)]);
    let (_, messages) = set(&mut rig, "key/k1", budget(Period::Day, 400_000));
    assert_eq!(fleet(&messages), [suspended(3, Some(MIDNIGHT))]);
    // Still used up, until the same moment: nothing to tell.
    let (_, messages) = set(&mut rig, "key/k1", budget(Period::Day, 300_000));
    assert_eq!(fleet(&messages), [] as [serde_json::Value; 0]);
    let (answer, effects): (BudgetAnswer, _) = rig.call(&delete("key/k1"));
    assert_eq!(answer, BudgetAnswer::Deleted);
    let told = fleet(&sent(&effects));
    assert_eq!(told[0]["until_ms"], serde_json::Value::Null);
    assert_eq!(told[0]["number"], 4);
    assert_eq!(told[0]["reason"], "its budget was deleted");
    rig.deliver(&effects);
    assert_eq!(rig.alarm().effects, []);
}

#[test]
fn a_suspension_ends_with_its_period_without_a_word() {
    let mut rig = ledger();
    set(&mut rig, "key/k1", budget(Period::Day, 500_000));
    state(&mut rig, used_by_k1(1, 500_000));
    rig.now = tidegate_domain::time::Timestamp::from_ms(MIDNIGHT);
    assert_eq!(rig.alarm().effects, []);
    assert_eq!(used(&mut rig), (0, 0));
    // The window goes on; what is new counts today.
    assert_eq!(state(&mut rig, used_by_k1(2, 999_999)), []);
    assert_eq!(used(&mut rig), (499_999, 0));
    let messages = state(&mut rig, used_by_k1(3, DOLLAR));
    let tomorrow = MIDNIGHT + 24 * HOUR;
    assert_eq!(fleet(&messages), [suspended(2, Some(tomorrow))]);
}

#[test]
fn a_budget_in_all_suspends_until_it_is_raised() {
    let mut rig = ledger();
    set(&mut rig, "key/k1", budget(Period::Total, 500_000));
    let messages = state(&mut rig, used_by_k1(1, 500_000));
    let for_ever = 253_402_300_799_999;
    assert_eq!(fleet(&messages), [suspended(1, Some(for_ever))]);
}

#[test]
fn a_correction_that_takes_shares_back_lets_the_key_go_on() {
    let mut rig = ledger();
    set(&mut rig, "key/k1", budget(Period::Day, 500_000));
    let used_up = used_by_k1(1, 500_000);
    state(&mut rig, used_up.clone());
    let void = WindowStatement {
        void: true,
        ..closed(used_up, 2, 0)
    };
    let messages = state(&mut rig, void);
    assert_eq!(fleet(&messages), [suspended(2, None)]);
    assert_eq!(used(&mut rig), (0, 0));
}

#[test]
fn a_budget_counts_what_was_used_before_it_was_set() {
    let mut rig = ledger();
    state(&mut rig, used_by_k1(1, 400_000));
    rig.wait(minutes(24 * 60));
    state(&mut rig, used_by_k1(2, 500_000));
    let (view, _) = set(&mut rig, "key/k1", budget(Period::Day, DOLLAR));
    assert_eq!(view.spent_microusd, 100_000);
    let (view, _) = set(&mut rig, "key/k1", budget(Period::Month, DOLLAR));
    assert_eq!(view.spent_microusd, 500_000);
    let (view, messages) = set(&mut rig, "key/k1", budget(Period::Total, 450_000));
    assert_eq!(view.spent_microusd, 500_000);
    assert_eq!(fleet(&messages).len(), 1);
}

#[test]
fn a_key_with_a_target_is_told_of_and_never_suspended() {
    let mut rig = ledger();
    let warns = Budget {
        period: Period::Day,
        cap_microusd: None,
        target_microusd: Some(500_000),
        thresholds: vec![100],
    };
    set(&mut rig, "key/k1", warns);
    let messages = state(&mut rig, used_by_k1(1, 500_000));
    assert_eq!(audited(&messages).len(), 1);
    assert_eq!(messages.len(), 1);
}

#[test]
fn after_a_clock_that_was_days_ahead_no_key_is_suspended_beyond_its_period_and_no_share_forgotten()
{
    let mut rig = ledger();
    set(&mut rig, "key/k1", budget(Period::Day, 500_000));
    state(&mut rig, used_by_k1(1, 300_000));
    rig.wait(minutes(300 * 24 * 60));
    let messages = state(&mut rig, used_by_k1(2, 800_000));
    assert_eq!(fleet(&messages).len(), 1);
    rig.now = START;
    let (Done {}, effects) = rig.call(&LedgerCommand::Tick);
    rig.deliver(&effects);
    let messages = sent(&effects);
    // What was posted in that time counts too, since it is not over yet.
    assert_eq!(used(&mut rig), (800_000, 0));
    assert_eq!(fleet(&messages), [suspended(2, Some(MIDNIGHT))]);
}
