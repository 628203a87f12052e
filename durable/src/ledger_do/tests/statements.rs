use super::*;

/// A life in three rates, two payers, one end.
#[test]
fn each_statement_posts_what_is_new_and_the_end_posts_what_nobody_used() {
    let mut rig = ledger();
    let open = statement("a", 1, 0);
    assert_eq!(state(&mut rig, open.clone()), []);
    assert_eq!(
        balances(&mut rig),
        [],
        "nothing is owed at the first moment"
    );
    rig.wait(minutes(10));
    let used = WindowStatement {
        revision: 2,
        shares: shares(&[("key/k1", 150_000), ("anonymous", 50_000)]),
        ..open.clone()
    };
    state(&mut rig, used.clone());
    assert_eq!(
        balances(&mut rig),
        expected(&[
            ("gpu/a", 400_000),
            ("share/anonymous", 50_000),
            ("share/key/k1", 150_000),
            ("vendor/runpod", -600_000),
        ])
    );
    rig.wait(minutes(10));
    let mut stopped = WindowStatement {
        revision: 3,
        shares: shares(&[("key/k1", 250_000), ("anonymous", 50_000)]),
        ..used
    };
    stopped.segments.push(segment(20 * MINUTE, 36_000));
    state(&mut rig, stopped.clone());
    rig.wait(minutes(10));
    assert_eq!(
        books(&mut rig).open,
        [crate::bindings::ledger::OpenWindow {
            window: "a/1".to_owned(),
            from_ms: START.as_ms(),
            microusd: 1_206_000,
            microusd_per_hour: 36_000,
            advanced_until_ms: None,
        }],
        "computed, not posted"
    );
    state(&mut rig, closed(stopped, 4, 30 * MINUTE));
    assert_eq!(
        balances(&mut rig),
        expected(&[
            ("gpu/a", 0),
            ("idle/a", 906_000),
            ("share/anonymous", 50_000),
            ("share/key/k1", 250_000),
            ("vendor/runpod", -1_206_000),
        ])
    );
    assert_eq!(books(&mut rig).open, []);
    assert_eq!(
        postings(&mut rig),
        [
            posted("gpu/a", "vendor/runpod", 600_000, "so far: cost"),
            posted("share/anonymous", "gpu/a", 50_000, "so far: share"),
            posted("share/key/k1", "gpu/a", 150_000, "so far: share"),
            posted("gpu/a", "vendor/runpod", 600_000, "so far: cost"),
            posted("share/key/k1", "gpu/a", 100_000, "so far: share"),
            posted("gpu/a", "vendor/runpod", 6_000, "closed: cost"),
            posted("idle/a", "gpu/a", 906_000, "closed: idle"),
        ]
    );
    assert_eq!(rig.alarm().effects, []);
}

#[test]
fn a_statement_is_one_row_and_its_postings() {
    let mut rig = ledger();
    state(&mut rig, statement("a", 1, 0));
    rig.wait(minutes(1));
    let before = rig.store.rows_written();
    let used = WindowStatement {
        shares: shares(&[("key/k1", 1)]),
        ..statement("a", 2, 0)
    };
    state(&mut rig, used);
    assert_eq!(rig.store.rows_written(), before + 3);
}

#[test]
fn repeated_and_overtaken_statements_change_nothing() {
    let mut rig = ledger();
    rig.wait(minutes(10));
    let open = statement("a", 1, 0);
    let end = closed(statement("a", 3, 0), 3, 10 * MINUTE);
    state(&mut rig, end.clone());
    let whole = balances(&mut rig);
    for evicted in [false, true] {
        if evicted {
            rig.evict();
        }
        rig.wait(minutes(1));
        without_a_row(&mut rig, |rig| {
            for late in [
                &open,
                &WindowStatement {
                    revision: 2,
                    ..open.clone()
                },
                &end,
            ] {
                assert_eq!(state(rig, late.clone()), []);
            }
        });
        assert_eq!(balances(&mut rig), whole);
    }
}

#[test]
fn a_lower_bill_is_taken_back_from_cost_and_idle() {
    let mut rig = ledger();
    rig.wait(minutes(10));
    let end = WindowStatement {
        shares: shares(&[("key/k1", 100_000)]),
        ..closed(statement("a", 1, 0), 1, 10 * MINUTE)
    };
    state(&mut rig, end.clone());
    let billed = WindowStatement {
        revision: 2,
        billed_microusd: Some(590_000),
        ..end
    };
    state(&mut rig, billed.clone());
    assert_eq!(
        postings(&mut rig)[3..],
        [
            posted(
                "vendor/runpod",
                "gpu/a",
                10_000,
                "the vendor's bill: cost taken back"
            ),
            posted(
                "gpu/a",
                "idle/a",
                10_000,
                "the vendor's bill: idle taken back"
            ),
        ]
    );
    // So low that even what was used cannot have cost that much: shares are cut in proportion.
    let lower = WindowStatement {
        revision: 3,
        billed_microusd: Some(50_000),
        shares: shares(&[("key/k1", 100_000), ("key/k2", 50_000)]),
        ..billed
    };
    state(&mut rig, lower);
    assert_eq!(
        balances(&mut rig),
        expected(&[
            ("gpu/a", 0),
            ("idle/a", 1),
            ("share/key/k1", 33_333),
            ("share/key/k2", 16_666),
            ("vendor/runpod", -50_000),
        ])
    );
}

#[test]
fn a_higher_bill_is_idle() {
    let mut rig = ledger();
    rig.wait(minutes(10));
    let end = closed(statement("a", 1, 0), 1, 10 * MINUTE);
    state(&mut rig, end.clone());
    let billed = WindowStatement {
        revision: 2,
        billed_microusd: Some(700_000),
        ..end
    };
    state(&mut rig, billed);
    assert_eq!(
        balances(&mut rig),
        expected(&[
            ("gpu/a", 0),
            ("idle/a", 700_000),
            ("vendor/runpod", -700_000)
        ])
    );
    assert_eq!(
        postings(&mut rig)[2..],
        [
            posted("gpu/a", "vendor/runpod", 100_000, "the vendor's bill: cost"),
            posted("idle/a", "gpu/a", 100_000, "the vendor's bill: idle"),
        ]
    );
}

#[test]
fn a_window_that_turns_out_void_leaves_no_balance() {
    let mut rig = ledger();
    rig.wait(minutes(10));
    let open = WindowStatement {
        shares: shares(&[("key/k1", 5)]),
        ..statement("a", 1, 0)
    };
    state(&mut rig, open.clone());
    let void = WindowStatement {
        revision: 2,
        void: true,
        ..closed(open, 2, 0)
    };
    state(&mut rig, void);
    let nothing = expected(&[("gpu/a", 0), ("share/key/k1", 0), ("vendor/runpod", 0)]);
    assert_eq!(balances(&mut rig), nothing);
    assert_eq!(
        postings(&mut rig)[2..],
        [
            posted(
                "vendor/runpod",
                "gpu/a",
                600_000,
                "there was no machine: cost taken back"
            ),
            posted(
                "gpu/a",
                "share/key/k1",
                5,
                "there was no machine: share taken back"
            ),
        ]
    );
}

#[test]
fn a_late_sighting_opens_a_window_again_and_its_second_end_is_exact() {
    let mut rig = ledger();
    rig.wait(minutes(10));
    let open = statement("a", 1, 0);
    state(&mut rig, closed(open.clone(), 2, 10 * MINUTE));
    rig.wait(minutes(50));
    state(
        &mut rig,
        WindowStatement {
            revision: 3,
            ..open.clone()
        },
    );
    assert_eq!(
        balances(&mut rig),
        expected(&[
            ("gpu/a", 3_600_000),
            ("idle/a", 0),
            ("vendor/runpod", -3_600_000)
        ])
    );
    assert_eq!(books(&mut rig).open.len(), 1);
    rig.wait(minutes(5));
    state(&mut rig, closed(open, 4, 65 * MINUTE));
    assert_eq!(
        balances(&mut rig),
        expected(&[
            ("gpu/a", 0),
            ("idle/a", 3_900_000),
            ("vendor/runpod", -3_900_000)
        ])
    );
    let memos: Vec<_> = postings(&mut rig).into_iter().map(|it| it.3).collect();
    assert_eq!(
        memos,
        [
            "closed: cost",
            "closed: idle",
            "opened again: idle taken back",
            "opened again: cost",
            "closed: cost",
            "closed: idle",
        ]
    );
}

#[test]
fn an_end_that_lies_before_what_was_posted_takes_the_difference_back() {
    let mut rig = ledger();
    rig.wait(minutes(10));
    state(&mut rig, statement("a", 1, 0));
    // A ghost: it was last seen after four minutes.
    state(&mut rig, closed(statement("a", 2, 0), 2, 4 * MINUTE));
    assert_eq!(
        balances(&mut rig),
        expected(&[
            ("gpu/a", 0),
            ("idle/a", 240_000),
            ("vendor/runpod", -240_000)
        ])
    );
}

#[test]
fn an_end_ahead_of_this_clock_is_posted_whole() {
    let mut rig = ledger();
    state(&mut rig, closed(statement("a", 1, 0), 1, 10 * MINUTE));
    assert_eq!(
        balances(&mut rig),
        expected(&[
            ("gpu/a", 0),
            ("idle/a", 600_000),
            ("vendor/runpod", -600_000)
        ])
    );
}

#[test]
fn a_correction_of_account_or_instance_moves_everything() {
    let mut rig = ledger();
    rig.wait(minutes(10));
    let end = closed(statement("a", 1, 0), 1, 10 * MINUTE);
    state(&mut rig, end.clone());
    let other = WindowStatement {
        revision: 2,
        account: "aws".to_owned(),
        instance: "b".to_owned(),
        ..end
    };
    state(&mut rig, other);
    assert_eq!(
        balances(&mut rig),
        expected(&[
            ("gpu/a", 0),
            ("gpu/b", 0),
            ("idle/a", 0),
            ("idle/b", 600_000),
            ("vendor/aws", -600_000),
            ("vendor/runpod", 0),
        ])
    );
    assert!(postings(&mut rig)[2].3.starts_with("corrected: "));
}

#[test]
fn two_attempts_of_one_instance_are_two_windows() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Total, 9 * DOLLAR));
    rig.wait(minutes(10));
    state(&mut rig, closed(statement("a", 1, 0), 1, 5 * MINUTE));
    let second = WindowStatement {
        window: "a/2".to_owned(),
        account: "aws".to_owned(),
        ..statement("a", 1, 5 * MINUTE)
    };
    state(&mut rig, second);
    assert_eq!(used(&mut rig), (600_000, 0));
    assert_eq!(
        balances(&mut rig),
        expected(&[
            ("gpu/a", 300_000),
            ("idle/a", 300_000),
            ("vendor/aws", -300_000),
            ("vendor/runpod", -300_000),
        ])
    );
}

#[test]
fn the_minimum_of_a_window_is_owed_as_soon_as_it_opens() {
    let mut rig = ledger();
    let open = WindowStatement {
        minimum_ms: MINUTE,
        step_ms: 1_000,
        ..statement("a", 1, 0)
    };
    state(&mut rig, open.clone());
    assert_eq!(
        balances(&mut rig),
        expected(&[("gpu/a", 60_000), ("vendor/runpod", -60_000)])
    );
    rig.wait(Span::from_ms(61_001));
    state(&mut rig, closed(open, 2, 61_001));
    assert_eq!(balances(&mut rig)[1], ("idle/a".to_owned(), 62_000));
}

#[test]
fn a_window_that_ended_months_ago_can_still_be_corrected() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Total, 99 * DOLLAR));
    rig.wait(minutes(10));
    let end = WindowStatement {
        project: Some("p".to_owned()),
        ..closed(statement("a", 1, 0), 1, 10 * MINUTE)
    };
    state(&mut rig, end.clone());
    rig.wait(minutes(90 * 24 * 60));
    rig.evict();
    assert_eq!(used(&mut rig), (600_000, 0));
    let billed = WindowStatement {
        revision: 2,
        billed_microusd: Some(500_000),
        ..end
    };
    state(&mut rig, billed.clone());
    assert_eq!(used(&mut rig), (500_000, 0));
    without_a_row(&mut rig, |rig| state(rig, billed));
    rig.evict();
    assert_eq!(used(&mut rig), (500_000, 0));
    assert_eq!(balances(&mut rig)[1], ("idle/a".to_owned(), 500_000));
}

#[test]
fn a_period_counts_what_falls_into_it() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, 99 * DOLLAR));
    set(&mut rig, "project/p", budget(Period::Month, 99 * DOLLAR));
    let open = WindowStatement {
        project: Some("p".to_owned()),
        step_ms: HOUR,
        ..statement("a", 1, 0)
    };
    state(&mut rig, open.clone());
    // 10:00 to midnight are fourteen hours; then one and a half, of which two are billed.
    rig.wait(minutes(15 * 60 + 30));
    state(&mut rig, closed(open, 2, 15 * HOUR + 30 * MINUTE));
    let spent: Vec<u64> = views(&mut rig).iter().map(|it| it.spent_microusd).collect();
    assert_eq!(spent, [2 * 3_600_000, 16 * 3_600_000]);
    rig.wait(minutes(24 * 60));
    let spent: Vec<u64> = views(&mut rig).iter().map(|it| it.spent_microusd).collect();
    assert_eq!(spent, [0, 16 * 3_600_000]);
}
