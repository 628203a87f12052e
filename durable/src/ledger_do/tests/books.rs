use super::*;

fn page(
    rig: &mut Rig<Ledger>,
    limit: u32,
    before: Option<i64>,
    instance: Option<&str>,
) -> (Vec<i64>, Option<i64>) {
    let (page, effects): (EntriesAnswer, _) = rig.call(&LedgerCommand::Entries {
        limit,
        before,
        instance: instance.map(str::to_owned),
    });
    assert_eq!(effects, []);
    let numbers = page.entries.iter().map(|entry| entry.number);
    (numbers.collect(), page.next_before)
}

#[test]
fn entries_come_newest_first_in_pages_and_for_one_instance() {
    let mut rig = ledger();
    rig.wait(minutes(10));
    for instance in ["a", "b"] {
        state(&mut rig, closed(statement(instance, 1, 0), 1, MINUTE));
    }
    assert_eq!(page(&mut rig, 3, None, None), (vec![4, 3, 2], Some(2)));
    assert_eq!(page(&mut rig, 3, Some(2), None), (vec![1], None));
    assert_eq!(page(&mut rig, 0, None, None), (vec![4], Some(4)));
    assert_eq!(page(&mut rig, 9, None, Some("a")), (vec![2, 1], None));
    assert_eq!(page(&mut rig, 9, None, Some("c")), (vec![], None));
    let (page, _): (EntriesAnswer, _) = rig.call(&LedgerCommand::Entries {
        limit: 1,
        before: Some(2),
        instance: None,
    });
    assert_eq!(
        page.entries[0],
        crate::bindings::ledger::Entry {
            number: 1,
            at_ms: START.as_ms() + 10 * MINUTE,
            debit: "gpu/a".to_owned(),
            credit: "vendor/runpod".to_owned(),
            microusd: 60_000,
            window: "a/1".to_owned(),
            memo: "closed: cost".to_owned(),
        }
    );
}

#[test]
fn after_400_days_postings_are_summed_up_and_no_balance_changes() {
    let mut rig = ledger();
    rig.wait(minutes(10));
    let used = |instance: &str| WindowStatement {
        shares: shares(&[("key/k1", 20_000)]),
        ..closed(statement(instance, 1, 0), 1, MINUTE)
    };
    for (instance, attempt) in [("a", 1), ("b", 1), ("a", 2)] {
        let window = format!("{instance}/{attempt}");
        let used = used(instance);
        state(&mut rig, WindowStatement { window, ..used });
    }
    rig.wait(minutes(400 * 24 * 60));
    let before = balances(&mut rig);
    state(&mut rig, used("d"));
    assert_eq!(
        rig.count("postings"),
        12,
        "they are 400 days old, and not older"
    );
    rig.wait(Span::from_ms(1));
    // Three postings come, six go.
    state(&mut rig, used("e"));
    assert_eq!(rig.count("postings"), 9);
    state(&mut rig, used("f"));
    assert_eq!(rig.count("postings"), 9);
    assert_eq!(rig.number("SELECT MIN(number) FROM postings"), 10);
    let after = balances(&mut rig);
    let of = |balances: &[(String, i64)], account: &str| {
        let found = balances.iter().find(|it| it.0 == account);
        found.map(|it| it.1)
    };
    for account in ["gpu/a", "idle/a", "gpu/b", "idle/b"] {
        assert_eq!(of(&before, account), of(&after, account));
    }
    assert_eq!(of(&after, "share/key/k1"), Some(6 * 20_000));
    assert_eq!(of(&after, "vendor/runpod"), Some(-6 * 60_000));
    let (view, _) = set(&mut rig, "key/k1", budget(Period::Total, DOLLAR));
    assert_eq!(
        view.spent_microusd,
        6 * 20_000,
        "a sum in all knows them too"
    );
    rig.evict();
    assert_eq!(balances(&mut rig), after);
}

#[test]
fn a_message_that_is_none_is_refused_in_words() {
    let error = ledger()
        .try_call(&serde_json::json!({"command": "print_money"}))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("ledger/acme does not understand the message: "),
        "{error}"
    );
}

#[test]
fn what_an_instance_has_cost_counts_all_its_windows_open_ones_up_to_now() {
    let mut rig = ledger();
    let cost = |rig: &mut Rig<Ledger>, instance: &str| {
        let instance = instance.to_owned();
        let (answer, effects): (CostAnswer, _) = rig.call(&LedgerCommand::Cost { instance });
        assert_eq!(effects, []);
        answer.microusd
    };
    let second = |statement: WindowStatement| WindowStatement {
        window: "a/2".to_owned(),
        ..statement
    };
    state(&mut rig, closed(statement("a", 1, 0), 1, MINUTE));
    state(&mut rig, second(statement("a", 1, 2 * MINUTE)));
    state(&mut rig, closed(statement("ab", 1, 0), 1, HOUR));
    state(&mut rig, statement("a0", 1, 0));
    rig.wait(minutes(5));
    assert_eq!(cost(&mut rig, "a"), 60_000 + 180_000);
    rig.wait(minutes(1));
    assert_eq!(cost(&mut rig, "a"), 60_000 + 240_000, "it runs on");
    assert_eq!((cost(&mut rig, "ab"), cost(&mut rig, "b")), (3_600_000, 0));
    state(
        &mut rig,
        second(closed(statement("a", 2, 2 * MINUTE), 2, 7 * MINUTE)),
    );
    rig.wait(Span::from_secs(90 * 86_400));
    rig.evict();
    without_a_row(&mut rig, |rig| {
        assert_eq!(cost(rig, "a"), 60_000 + 300_000, "long over");
    });
}
