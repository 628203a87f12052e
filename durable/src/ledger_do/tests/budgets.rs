use super::*;

fn answered(rig: &mut Rig<Ledger>, command: &LedgerCommand) -> (BudgetAnswer, Sent) {
    let (answer, effects) = rig.call(command);
    rig.deliver(&effects);
    (answer, sent(&effects))
}

#[test]
fn a_budget_is_set_shown_replaced_and_deleted() {
    let mut rig = ledger();
    let first = Budget {
        thresholds: vec![50, 80],
        ..budget(Period::Month, 10 * DOLLAR)
    };
    let (view, messages) = set(&mut rig, "project/p", first.clone());
    let november = START.as_ms() - 20 * 24 * HOUR - 10 * HOUR;
    let expected = BudgetView {
        scope: "project/p".to_owned(),
        budget: first.clone(),
        period_from_ms: november,
        spent_microusd: 0,
        held_microusd: 0,
    };
    assert_eq!(view, expected);
    let words = "$10.00 a month, told at 50 %, 80 %";
    assert_eq!(
        audited(&messages),
        [entry("admin", "budget.set", "project/p", words)]
    );
    assert_eq!(messages.len(), 1);
    rig.evict();
    assert_eq!(views(&mut rig), [expected]);
    without_a_row(&mut rig, |rig| {
        assert_eq!(set(rig, "project/p", first).1, [], "it is so already");
    });
    let warns = Budget {
        period: Period::Total,
        target_microusd: Some(DOLLAR),
        ..Budget::default()
    };
    let (view, messages) = set(&mut rig, "project/p", warns);
    assert_eq!(view.period_from_ms, 0);
    assert_eq!(
        audited(&messages)[0][3],
        "$1.00 in all to go by, without a cap"
    );
    let (answer, messages) = answered(&mut rig, &delete("project/p"));
    assert_eq!(answer, BudgetAnswer::Deleted);
    assert_eq!(audited(&messages)[0][1], "budget.deleted");
    assert_eq!(
        answered(&mut rig, &delete("project/p")),
        (BudgetAnswer::NotFound, vec![])
    );
    assert_eq!(views(&mut rig), []);
    assert_eq!(rig.count("budgets"), 0);
    assert_eq!(rig.alarm().effects, []);
}

#[test]
fn a_budget_that_makes_no_sense_is_refused_by_its_field() {
    let fine = || budget(Period::Day, DOLLAR);
    let with = |thresholds: &[u8]| Budget {
        thresholds: thresholds.to_vec(),
        ..fine()
    };
    let sums = |cap, target| Budget {
        cap_microusd: cap,
        target_microusd: target,
        ..Budget::default()
    };
    let long = format!("project/{}", "x".repeat(257));
    let mut rig = ledger();
    for (scope, budget, wrong) in [
        ("", fine(), "scope"),
        ("org", fine(), "scope"),
        ("project/", fine(), "scope"),
        ("project/ ", fine(), "scope"),
        ("project/a\nb", fine(), "scope"),
        ("key/a/b", fine(), "scope"),
        (long.as_str(), fine(), "scope"),
        ("organisation", sums(None, None), "cap"),
        ("organisation", sums(Some(0), None), "cap"),
        (
            "organisation",
            sums(Some(1_000_000_000_000_001), None),
            "cap",
        ),
        ("organisation", sums(None, Some(0)), "target"),
        ("organisation", sums(Some(1), Some(0)), "target"),
        ("organisation", with(&[0]), "thresholds"),
        ("organisation", with(&[101]), "thresholds"),
        ("organisation", with(&[50, 50]), "thresholds"),
        ("organisation", with(&[80, 50]), "thresholds"),
        (
            "organisation",
            with(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
            "thresholds",
        ),
    ] {
        let (answer, messages) = answered(&mut rig, &put(scope, budget));
        let BudgetAnswer::Invalid { param, reason } = answer else {
            panic!("{scope}: {answer:?}");
        };
        assert_eq!(
            (param.as_str(), messages),
            (wrong, vec![]),
            "{scope}: {reason}"
        );
    }
    assert_eq!(rig.count("budgets"), 0);
    set(&mut rig, "key/k1", with(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 100]));
}

#[test]
fn there_are_at_most_a_thousand() {
    let mut rig = ledger();
    for n in 0..1_000 {
        set(&mut rig, &format!("project/{n}"), budget(Period::Day, 1));
    }
    let (answer, _) = answered(&mut rig, &put("organisation", budget(Period::Day, 1)));
    assert!(matches!(answer, BudgetAnswer::Invalid { .. }));
    set(&mut rig, "project/7", budget(Period::Day, 2));
}

#[test]
fn a_cap_that_is_lowered_below_what_is_spent_lets_nothing_new_begin() {
    let mut rig = ledger();
    state(&mut rig, statement("a", 1, 0));
    rig.wait(minutes(10));
    let (view, messages) = set(&mut rig, "organisation", budget(Period::Day, 500_000));
    assert_eq!(view.spent_microusd, 600_000);
    let actions: Vec<_> = audited(&messages)
        .into_iter()
        .map(|it| it[1].clone())
        .collect();
    assert_eq!(actions, ["budget.set", "budget.cap_reached"]);
    let nothing = Advance {
        hold_ms: 0,
        ..advance("a", 1)
    };
    denied(&mut rig, nothing);
}
