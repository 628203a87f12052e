use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::bindings::fleet::PokeReport;
use tidegate_domain::time::Span;

fn cron(rig: &mut Rig<Fleet>) -> (PokeReport, Sent) {
    let (report, effects): (PokeReport, Vec<Effect>) = rig.call(&FleetCommand::Cron);
    rig.deliver(&effects);
    (report, sent(&effects))
}

#[test]
fn only_an_instance_silent_for_seven_minutes_is_poked() {
    let mut rig = fleet_with(&["a", "b"]);
    rig.wait(Span::from_secs(60));
    let checked = ServerStatus {
        checked_at_ms: rig.now.as_ms(),
        ..status(ServerState::Healthy, "")
    };
    settle(&mut rig, &announce("b", 1, checked));
    rig.wait(Span::from_secs(6 * 60));
    assert_eq!(cron(&mut rig), (PokeReport { overdue: 0 }, vec![]));
    rig.wait(Span::from_ms(1));
    let rows = rig.store.rows_written();
    let tick = ("instance/acme/a".to_owned(), json!({"command": "tick"}));
    assert_eq!(cron(&mut rig), (PokeReport { overdue: 1 }, vec![tick]));
    // A poke carries no fact: it costs no row and leaves none behind.
    assert_eq!(rig.store.rows_written(), rows);
    assert_eq!(rig.count("outbox"), 0);
}

#[test]
fn a_slower_health_interval_makes_instances_overdue_later() {
    let mut rig = fleet_with(&["a"]);
    let policy = crate::bindings::fleet::ReliabilityPolicy {
        health_interval_ms: 600_000,
        ..Default::default()
    };
    settle(&mut rig, &FleetCommand::PutPolicy { policy });
    rig.wait(Span::from_secs(21 * 60));
    assert_eq!(cron(&mut rig).0.overdue, 0);
    rig.wait(Span::from_ms(1));
    assert_eq!(cron(&mut rig).0.overdue, 1);
}

#[test]
fn a_thousand_overdue_instances_are_all_poked_within_five_minutes() {
    let mut rig = fleet();
    for number in 0..1_000 {
        let id = format!("s{number:04}");
        let (_, effects): (FleetAnswer, _) = rig.call(&register(&id, entry("llama", &id)));
        assert!(!effects.is_empty());
    }
    rig.wait(Span::from_secs(3_600));
    let mut poked = BTreeSet::new();
    for _ in 0..5 {
        let (report, effects): (PokeReport, Vec<Effect>) = rig.call(&FleetCommand::Cron);
        assert_eq!(report.overdue, 1_000);
        assert_eq!(effects.len(), 200);
        poked.extend(sent(&effects).into_iter().map(|(to, _)| to));
        // Nothing is remembered from one minute to the next.
        rig.evict();
        rig.wait(Span::from_secs(60));
    }
    assert_eq!(poked.len(), 1_000);
}
