use serde_json::{Value, json};
use tidegate_domain::ids::{InstanceId, MachineId};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::attempt::{Attempt, AttemptId, Failure};
use tidegate_domain::vendor::stray::{Said, Stray, Why};
use tidegate_provider_api::{Billing, Machine, MachineState};

use super::*;

const T: Timestamp = Timestamp::from_ms(1_000);

fn id() -> AttemptId {
    AttemptId {
        instance: InstanceId::new("srv_a"),
        number: 3,
    }
}

fn read_back<T: serde::Serialize + DeserializeOwned + PartialEq + core::fmt::Debug>(
    row: &T,
) -> Value {
    let text = serde_json::to_string(row).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), row);
    serde_json::from_str(&text).unwrap()
}

fn machine() -> Machine {
    Machine {
        id: "m1".to_owned(),
        marker: None,
        state: MachineState::Running,
        raw_state: "RUNNING".to_owned(),
        reason: None,
        region: "r1".to_owned(),
        zone: None,
        machine_type: None,
        gpu_count: None,
        microusd_per_hour: None,
        billing: Billing::Full,
        billed_from_ms: None,
        billed_until_ms: None,
        endpoint: None,
        address: None,
    }
}

#[test]
fn the_format_of_an_attempt_is_pinned_in_every_stage() {
    let unsent = Attempt::new(T);
    let mut sent = unsent.clone();
    sent.create_leaves(T);
    let mut unclear = sent.clone();
    unclear.create_failed(T, Failure::Unclear, false);
    let mut alive = sent.clone();
    alive.sighted(T, &MachineId::new("m1"), false);
    alive.missed(
        T + Span::from_secs(9),
        T + Span::from_secs(8),
        true,
        Span::ZERO,
    );
    let mut gone = alive.clone();
    gone.sighted(T, &MachineId::new("m1"), true);
    let mut withdrawn = unsent.clone();
    withdrawn.withdraw(T);
    let mut refused = unsent.clone();
    refused.give_up_waiting(T);
    let stages: Vec<Value> = [
        &unsent, &sent, &unclear, &alive, &gone, &withdrawn, &refused,
    ]
    .into_iter()
    .map(|attempt| {
        let row = read_back(&Tracked::new(&id(), attempt.clone()));
        row["attempt"]["stage"].clone()
    })
    .collect();
    assert_eq!(
        stages,
        [
            json!("unsent"),
            json!("sent"),
            json!("unclear"),
            json!("alive"),
            json!({"over": "gone"}),
            json!({"over": "withdrawn"}),
            json!({"over": "refused"}),
        ]
    );
    assert_eq!(
        read_back(&Tracked::new(&id(), alive))["attempt"],
        json!({
            "stage": "alive", "since_ms": 1_000, "rented_at_ms": 1_000, "sent_at_ms": 1_000,
            "in_doubt": false, "abandoned": false, "asked": false, "machine": "m1",
            "sighted_at_ms": 1_000, "destroy_taken_at_ms": null, "absences": 1,
            "absent_at_ms": 9_000, "recalled": false,
            "made_by_ms": 1_000,
        })
    );
}

#[test]
fn an_attempt_with_only_what_it_must_have_is_read() {
    let least = json!({
        "instance": "srv_a", "number": 3, "region": "r1",
        "attempt": {"stage": "unsent", "since_ms": 1_000, "rented_at_ms": 1_000},
    });
    let row: Tracked = serde_json::from_value(least).unwrap();
    assert_eq!(row.attempt, Attempt::new(T));
    assert_eq!(row.list_region(), "r1");
    assert_eq!(attempt_key(&id()), "srv_a/3");
}

#[test]
fn the_format_of_a_stray_is_pinned_in_every_watch() {
    let noticed = Stray::new(T, T, Why::Orphan);
    let mut missing = noticed.clone();
    missing.missed(T + Span::from_secs(1));
    let mut ending = Stray::new(T, T, Why::Unwanted);
    ending.decide(T);
    ending.destroy_taken(T);
    let mut gone = ending.clone();
    gone.heard(T, T, Said::Gone { billed_until: None }, Span::ZERO);
    let watches: Vec<Value> = [&noticed, &missing, &ending, &gone]
        .into_iter()
        .map(|stray| {
            let row = StrayRow {
                stray: stray.clone(),
                machine: machine(),
                listed_in: "r1".to_owned(),
                segments: Vec::new(),
                billed_microusd: None,
            };
            read_back(&row)["stray"]["watch"].clone()
        })
        .collect();
    assert_eq!(
        watches,
        [
            json!("noticed"),
            json!("missing"),
            json!({"ending": {"since_ms": 1_000, "taken_at_ms": 1_000, "is_alerted": false}}),
            json!({"gone": {"at_ms": 1_000, "closed_at_ms": 1_000}}),
        ]
    );
}

#[test]
fn every_errand_is_read_back_by_its_key() {
    let machine = || MachineId::new("i-0/odd");
    for errand in [
        Errand::Create(id()),
        Errand::Act(id()),
        Errand::Look(id()),
        Errand::Bill(id()),
        Errand::DestroyStray(machine()),
        Errand::LookAtStray(machine()),
        Errand::BillStray(machine()),
    ] {
        assert_eq!(Errand::parse(&errand.to_string()), Some(errand));
    }
    assert_eq!(Errand::Create(id()).to_string(), "create/srv_a/3");
    for other in ["", "create", "create/a", "create/a/b", "shop/a/1"] {
        assert_eq!(Errand::parse(other), None, "{other}");
    }
}

#[test]
fn a_call_and_an_account_with_only_what_they_must_have_are_read() {
    let call: Call = serde_json::from_value(json!({"since_ms": 1_000})).unwrap();
    let expected = Call {
        due_at_ms: None,
        ..Call::new(T)
    };
    assert_eq!(call, expected);
    assert_eq!(
        serde_json::from_value::<AccountRow>(json!({})).unwrap(),
        AccountRow::default()
    );
    let sweep: SweepRow = serde_json::from_value(json!({"list": {"region": "r1"}})).unwrap();
    assert_eq!(sweep.list.unwrap().region, "r1");
}

#[test]
fn pauses_are_read_back() {
    let pause = |count| Pause {
        count,
        until: T,
        length: Span::from_secs(3),
    };
    let record = BudgetRecord {
        limited: pause(1),
        silent: pause(2),
        refused: pause(3),
    };
    let row = PausesRow::from(record);
    read_back(&row);
    assert_eq!(BudgetRecord::from(row), record);
    assert_eq!(
        BudgetRecord::from(PausesRow::default()),
        BudgetRecord::default()
    );
}

#[test]
fn a_stray_costs_from_one_change_to_the_next() {
    let mut row = StrayRow {
        stray: Stray::new(T, T, Why::Orphan),
        machine: machine(),
        listed_in: "r1".to_owned(),
        segments: Vec::new(),
        billed_microusd: None,
    };
    assert!(row.costs(T, 5));
    assert!(!row.costs(T + Span::from_secs(1), 5));
    assert!(row.costs(T + Span::from_secs(2), 6));
    assert_eq!(row.segments.len(), 2);
    assert_eq!(row.closed_at(), None);
}
