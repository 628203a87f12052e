use super::*;

#[test]
fn without_a_budget_everything_is_granted_for_as_long_as_was_asked() {
    let mut rig = ledger();
    let before = rig.store.rows_written();
    assert_eq!(granted(&mut rig, advance("a", 1)), 10 * MINUTE);
    assert_eq!(rig.store.rows_written(), before + 1);
    rig.wait(minutes(5));
    assert_eq!(granted(&mut rig, advance("a", 2)), 15 * MINUTE);
    assert_eq!(rig.store.rows_written(), before + 2);
    assert_eq!(rig.alarm().effects, []);
    assert_eq!(balances(&mut rig), []);
}

#[test]
fn the_same_number_again_is_the_same_advance_whatever_happened_since() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, DOLLAR));
    let first = ask(&mut rig, advance("a", 1)).0;
    let (second, _) = ask(&mut rig, advance("b", 1));
    assert!(matches!(second, AdvanceAnswer::Denied { .. }));
    rig.wait(minutes(7));
    for evicted in [false, true] {
        if evicted {
            rig.evict();
        }
        without_a_row(&mut rig, |rig| {
            assert_eq!(ask(rig, advance("a", 1)), (first.clone(), vec![]));
            assert_eq!(ask(rig, advance("b", 1)), (second.clone(), vec![]));
        });
    }
    assert_eq!(used(&mut rig), (0, 600_000));
}

#[test]
fn what_fits_to_the_micro_dollar_is_granted_and_the_next_is_told_why_not() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, 1_800_000));
    for instance in ["a", "b", "c"] {
        granted(&mut rig, advance(instance, 1));
    }
    assert_eq!(used(&mut rig), (0, 1_800_000));
    let one_more = Advance {
        hold_ms: 1,
        ..advance("d", 1)
    };
    let (reason, messages) = denied(&mut rig, one_more.clone());
    let words = "the budget of `organisation` is $1.80 a day: $0.00 is spent and $1.80 held for what runs, \
                 so $0.00 is left and this takes $0.000001; raise the budget or end what runs under it";
    assert_eq!(reason, words);
    assert_eq!(
        audited(&messages),
        [entry("instance/d", "advance.denied", "d", words)]
    );
    assert_eq!(messages.len(), 1);
    // Asked anew it is decided anew, and is in the audit already.
    let again = Advance {
        number: 2,
        ..one_more
    };
    assert_eq!(denied(&mut rig, again.clone()), (reason, vec![]));
    set(&mut rig, "organisation", budget(Period::Day, 1_800_001));
    granted(&mut rig, Advance { number: 3, ..again });
}

#[test]
fn each_budget_that_refuses_a_window_is_in_the_audit_once() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, 1));
    set(&mut rig, "project/p", budget(Period::Day, 1));
    let asked = |number| Advance {
        project: Some("p".to_owned()),
        ..advance("a", number)
    };
    assert_eq!(audited(&denied(&mut rig, asked(1)).1).len(), 1);
    set(&mut rig, "organisation", budget(Period::Day, 9 * DOLLAR));
    let (reason, messages) = denied(&mut rig, asked(2));
    assert!(reason.starts_with("the budget of `project/p` is $0.000001 a day"));
    assert_eq!(audited(&messages).len(), 1);
    assert_eq!(denied(&mut rig, asked(3)).1, []);
}

#[test]
fn a_renewal_takes_only_what_it_adds() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, 900_000));
    granted(&mut rig, advance("a", 1));
    state(&mut rig, statement("a", 1, 0));
    assert_eq!(used(&mut rig), (0, 600_000));
    rig.wait(minutes(5));
    assert_eq!(used(&mut rig), (300_000, 300_000));
    assert_eq!(granted(&mut rig, advance("a", 2)), 15 * MINUTE);
    assert_eq!(used(&mut rig), (300_000, 600_000));
    rig.wait(minutes(5));
    let (reason, _) = denied(&mut rig, advance("a", 3));
    assert!(
        reason.contains(
            "$0.60 is spent and $0.30 held for what runs, so $0.00 is left and this takes $0.30;"
        ),
        "{reason}"
    );
    // What was advanced before still holds.
    assert_eq!(used(&mut rig), (600_000, 300_000));
    rig.wait(minutes(5));
    assert_eq!(used(&mut rig), (900_000, 0));
    // Nobody stopped it: it goes on costing, and nothing is hidden.
    rig.wait(minutes(1));
    assert_eq!(used(&mut rig), (960_000, 0));
}

#[test]
fn a_promise_for_less_gives_the_difference_back() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, 600_000));
    granted(&mut rig, advance("a", 1));
    let stopped = Advance {
        microusd_per_hour: 360_000,
        ..advance("a", 2)
    };
    granted(&mut rig, stopped);
    assert_eq!(used(&mut rig), (0, 60_000));
}

#[test]
fn an_advance_whose_create_was_never_sent_ends_by_itself() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, 600_000));
    granted(&mut rig, advance("a", 1));
    rig.wait(minutes(9));
    assert_eq!(used(&mut rig), (0, 600_000), "as if it were open");
    denied(&mut rig, advance("b", 1));
    rig.wait(minutes(1));
    assert_eq!(used(&mut rig), (0, 0));
    granted(&mut rig, advance("b", 2));
    assert_eq!(balances(&mut rig), []);
}

#[test]
fn the_next_attempt_of_an_instance_gets_what_the_one_before_was_promised_for_nothing() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, 700_000));
    granted(&mut rig, advance("a", 1));
    let of = |window: &str, number| Advance {
        window: window.to_owned(),
        ..advance("a", number)
    };
    // Of another instance, whose name only begins alike.
    let alike = Advance {
        instance: "a/1".to_owned(),
        ..of("a/1/1", 1)
    };
    denied(&mut rig, alike);
    granted(&mut rig, of("a/2", 2));
    assert_eq!(used(&mut rig), (0, 600_000));
    rig.evict();
    assert_eq!(used(&mut rig), (0, 600_000));
    // Once it has been stated, what was sent may cost.
    state(
        &mut rig,
        WindowStatement {
            window: "a/2".to_owned(),
            ..statement("a", 1, 0)
        },
    );
    denied(&mut rig, of("a/3", 3));
}

#[test]
fn before_the_first_statement_a_renewal_is_held_since_the_first_advance() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, DOLLAR));
    granted(&mut rig, advance("a", 1));
    rig.wait(minutes(5));
    granted(&mut rig, advance("a", 2));
    assert_eq!(used(&mut rig), (0, 900_000));
    state(&mut rig, statement("a", 1, 0));
    assert_eq!(
        used(&mut rig),
        (300_000, 600_000),
        "so it was not too little"
    );
}

#[test]
fn an_advance_that_was_overtaken_promises_nothing_and_is_told_what_holds() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, DOLLAR));
    granted(&mut rig, advance("a", 5));
    rig.wait(minutes(4));
    without_a_row(&mut rig, |rig| {
        assert_eq!(granted(rig, advance("a", 3)), 10 * MINUTE);
    });
    rig.wait(minutes(6));
    without_a_row(&mut rig, |rig| {
        let (reason, messages) = denied(rig, advance("a", 4));
        assert_eq!(reason, "advance 5 of this window has been decided since");
        assert_eq!(messages, []);
    });
}

#[test]
fn only_the_budget_of_its_own_project_binds() {
    let mut rig = ledger();
    set(&mut rig, "project/p", budget(Period::Month, 600_000));
    let of = |instance: &str, project: Option<&str>| Advance {
        project: project.map(str::to_owned),
        ..advance(instance, 1)
    };
    granted(&mut rig, of("a", Some("p")));
    denied(&mut rig, of("b", Some("p")));
    granted(&mut rig, of("c", Some("q")));
    granted(&mut rig, of("d", None));
    assert_eq!(used(&mut rig), (0, 600_000));
}

#[test]
fn a_closed_window_gives_its_advance_back_and_an_opened_one_takes_another() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, DOLLAR));
    granted(&mut rig, advance("a", 1));
    let open = statement("a", 1, 0);
    state(&mut rig, open.clone());
    rig.wait(minutes(2));
    state(&mut rig, closed(open.clone(), 2, 2 * MINUTE));
    assert_eq!(used(&mut rig), (120_000, 0));
    // An advance that arrives behind the end is held until it ends by itself.
    granted(&mut rig, advance("a", 2));
    assert_eq!(used(&mut rig), (120_000, 600_000));
    state(
        &mut rig,
        WindowStatement {
            revision: 3,
            ..open
        },
    );
    assert_eq!(used(&mut rig), (120_000, 600_000));
    rig.wait(minutes(10));
    assert_eq!(used(&mut rig), (720_000, 0));
}

#[test]
fn an_open_window_is_held_with_the_minimum_and_the_steps_that_an_end_would_cost() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, 9 * DOLLAR));
    granted(&mut rig, advance("a", 1));
    state(
        &mut rig,
        WindowStatement {
            minimum_ms: HOUR,
            ..statement("a", 1, 0)
        },
    );
    assert_eq!(used(&mut rig), (3_600_000, 0), "the hour is owed at once");
    rig.wait(minutes(55));
    granted(&mut rig, advance("a", 2));
    assert_eq!(used(&mut rig), (3_600_000, 300_000));
}

#[test]
fn an_open_window_is_held_at_the_higher_of_its_rate_and_that_of_its_advance() {
    for (rate, held) in [(7_200_000, 1_200_000), (1_800_000, 600_000)] {
        let mut rig = ledger();
        set(&mut rig, "organisation", budget(Period::Day, 9 * DOLLAR));
        state(&mut rig, statement("a", 1, 0));
        let asked = Advance {
            microusd_per_hour: rate,
            ..advance("a", 1)
        };
        granted(&mut rig, asked);
        assert_eq!(used(&mut rig), (0, held));
    }
}

#[test]
fn a_stray_is_counted_and_never_refused() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, 900_000));
    let stray = WindowStatement {
        window: "stray/runpod/pod-1".to_owned(),
        instance: String::new(),
        ..statement("", 1, 0)
    };
    state(&mut rig, stray.clone());
    rig.wait(minutes(10));
    assert_eq!(used(&mut rig), (600_000, 0));
    denied(&mut rig, advance("a", 1));
    let of_the_stray = Advance {
        window: stray.window.clone(),
        ..advance("", 1)
    };
    granted(&mut rig, of_the_stray);
    let ended = WindowStatement {
        until_ms: Some(START.as_ms() + 10 * MINUTE),
        ..stray
    };
    state(
        &mut rig,
        WindowStatement {
            revision: 2,
            ..ended
        },
    );
    assert_eq!(
        balances(&mut rig),
        expected(&[
            ("gpu/stray/runpod/pod-1", 0),
            ("idle/stray/runpod/pod-1", 600_000),
            ("vendor/runpod", -600_000),
        ])
    );
}

#[test]
fn an_estimate_says_what_a_launch_takes_and_changes_nothing() {
    let mut rig = ledger();
    assert_eq!(
        estimate(&mut rig, None, 10 * MINUTE),
        EstimateAnswer {
            needed_microusd: 600_000,
            budgets: vec![],
            denied: None,
        }
    );
    let (organisation, _) = set(&mut rig, "organisation", budget(Period::Day, 9 * DOLLAR));
    let (project, _) = set(&mut rig, "project/p", budget(Period::Month, 500_000));
    let only_warns = Budget {
        cap_microusd: None,
        target_microusd: Some(1),
        ..Budget::default()
    };
    set(&mut rig, "project/q", only_warns);
    without_a_row(&mut rig, |rig| {
        let answer = estimate(rig, Some("p"), 10 * MINUTE);
        assert_eq!(answer.budgets, [organisation.clone(), project]);
        assert!(answer.denied.unwrap().contains("this takes $0.60"));
        let answer = estimate(rig, Some("q"), 10 * MINUTE);
        assert_eq!(answer.budgets, [organisation]);
        assert_eq!(answer.denied, None);
    });
}

#[test]
fn a_promise_that_reaches_over_midnight_counts_whole_today_and_the_rest_of_it_tomorrow() {
    let mut rig = ledger();
    // 23:55.
    rig.wait(minutes(13 * 60 + 55));
    set(&mut rig, "organisation", budget(Period::Day, 600_000));
    let from = 13 * HOUR + 55 * MINUTE;
    granted(&mut rig, advance("a", 1));
    state(&mut rig, statement("a", 1, from));
    assert_eq!(used(&mut rig), (0, 600_000));
    rig.wait(minutes(5));
    let midnight = rig.now.as_ms();
    assert_eq!(used(&mut rig), (0, 300_000));
    assert_eq!(views(&mut rig)[0].period_from_ms, midnight);
    rig.wait(minutes(1));
    assert_eq!(used(&mut rig), (60_000, 240_000));
}
