//! Stored formats: rows outlive releases, so each is pinned as it is written.

use super::*;

#[test]
fn window_record_v1_format_unchanged() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, 1));
    rig.wait(minutes(10));
    let full = WindowStatement {
        project: Some("p".to_owned()),
        minimum_ms: 60_000,
        billed_microusd: Some(7),
        shares: shares(&[("key/k1", 2)]),
        ..closed(statement("a", 4, 0), 4, MINUTE)
    };
    state(&mut rig, full);
    denied(&mut rig, advance("a", 3));
    assert_eq!(
        rig.text("SELECT record FROM windows"),
        concat!(
            r#"{"statement":{"window":"a/1","revision":4,"instance":"a","account":"runpod","project":"p","#,
            r#""segments":[{"from_ms":1795255200000,"microusd_per_hour":3600000}],"until_ms":1795255260000,"#,
            r#""minimum_ms":60000,"step_ms":1,"billed_microusd":7,"void":false,"shares":{"key/k1":2}},"#,
            r#""project":null,"hold":null,"answers":[{"number":3,"until_ms":null,"reason":"the budget of "#,
            r#"`organisation` is $0.000001 a day: $0.000007 is spent and $0.00 held for what runs, so $0.00 "#,
            r#"is left and this takes $0.60; raise the budget or end what runs under it"}],"#,
            r#""denied":["organisation"],"posted":[{"debit":"gpu/a","credit":"vendor/runpod","microusd":7},"#,
            r#"{"debit":"idle/a","credit":"gpu/a","microusd":5},"#,
            r#"{"debit":"share/key/k1","credit":"gpu/a","microusd":2}]}"#
        )
    );
    assert_eq!(
        rig.rows("SELECT window, project, matters_until_ms, microusd FROM windows"),
        [vec![
            "a/1".into(),
            "p".into(),
            (START.as_ms() + MINUTE).into(),
            7.into()
        ]]
    );
    let mut rig = ledger();
    granted(&mut rig, advance("b", 1));
    assert_eq!(
        rig.text("SELECT record FROM windows"),
        concat!(
            r#"{"statement":null,"project":null,"hold":{"since_ms":1795255200000,"until_ms":1795255800000,"#,
            r#""microusd_per_hour":3600000},"answers":[{"number":1,"until_ms":1795255800000,"reason":null}],"#,
            r#""denied":[],"posted":[]}"#
        )
    );
}

#[test]
fn budget_record_v1_format_unchanged() {
    let mut rig = ledger();
    let all = Budget {
        target_microusd: Some(5),
        thresholds: vec![50],
        ..budget(Period::Day, 1_000)
    };
    set(&mut rig, "key/k1", all);
    let used = WindowStatement {
        shares: shares(&[("key/k1", 2_000)]),
        ..statement("a", 1, -HOUR)
    };
    state(&mut rig, used);
    assert_eq!(
        rig.text("SELECT record FROM budgets"),
        concat!(
            r#"{"budget":{"period":"day","cap_microusd":1000,"target_microusd":5,"thresholds":[50]},"#,
            r#""from_ms":1795219200000,"told":[50],"cap_told":true,"shares_microusd":2000,"#,
            r#""suspended_until_ms":1795305600000}"#
        )
    );
}

#[test]
fn a_record_without_newer_fields_still_loads() {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, DOLLAR));
    granted(&mut rig, advance("a", 1));
    rig.evict();
    rig.rows("UPDATE windows SET record = '{}'");
    rig.rows(r#"UPDATE budgets SET record = '{"budget":{"period":"day","later":1},"from_ms":0}'"#);
    assert_eq!(used(&mut rig), (0, 0));
}
