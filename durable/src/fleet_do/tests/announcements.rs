use serde_json::json;

use super::*;
use crate::bindings::instance::TotalsView;

fn heard(rig: &mut Rig<Fleet>, id: &str) -> ServerStatus {
    let command = FleetCommand::Server { id: id.to_owned() };
    match ask(rig, &command) {
        FleetAnswer::Server { server, .. } => server.status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_of_state_is_shown_audited_and_applied_once() {
    let mut rig = fleet_with(&["a"]);
    let before = version(&mut rig);
    let ejected = ServerStatus {
        until_ms: Some(START.as_ms() + 30_000),
        ..status(ServerState::Ejected, "5 failures in a row")
    };
    let command = announce("a", 1, ejected.clone());
    let (answer, messages) = settle(&mut rig, &command);
    assert_eq!(answer, FleetAnswer::Done);
    let reason = format!("5 failures in a row (until {})", START.as_ms() + 30_000);
    assert_eq!(
        audit(&messages),
        audited("instance/a", "server.ejected", "a", &reason)
    );
    assert_eq!(messages.len(), 1);
    assert_eq!(heard(&mut rig, "a"), ejected);
    assert_eq!(version(&mut rig), before + 1);

    let rows = rig.store.rows_written();
    let (answer, messages) = settle(&mut rig, &command);
    assert_eq!((answer, messages), (FleetAnswer::Done, vec![]));
    assert_eq!(version(&mut rig), before + 1);
    assert_eq!(rig.store.rows_written(), rows);
}

#[test]
fn a_late_announcement_does_not_overwrite_a_newer_one() {
    let mut rig = fleet_with(&["a"]);
    settle(
        &mut rig,
        &announce("a", 7, status(ServerState::Healthy, "")),
    );
    let before = snapshot(&mut rig);
    let late = announce("a", 6, status(ServerState::Unhealthy, "timed out"));
    assert_eq!(settle(&mut rig, &late).1, []);
    let same_number = FleetCommand::Announce {
        event_id: "another".to_owned(),
        instance: "a".to_owned(),
        status: status(ServerState::Unhealthy, "timed out"),
        sequence: 7,
    };
    assert_eq!(settle(&mut rig, &same_number).1, []);
    assert_eq!(snapshot(&mut rig), before);
    assert_eq!(heard(&mut rig, "a").state, ServerState::Healthy);
}

#[test]
fn an_event_id_is_applied_once_whatever_its_number() {
    let mut rig = fleet_with(&["a"]);
    let said = |sequence, state| FleetCommand::Announce {
        event_id: "same".to_owned(),
        instance: "a".to_owned(),
        status: status(state, "said"),
        sequence,
    };
    settle(&mut rig, &said(1, ServerState::Unhealthy));
    assert_eq!(settle(&mut rig, &said(2, ServerState::Healthy)).1, []);
    assert_eq!(heard(&mut rig, "a").state, ServerState::Unhealthy);
}

#[test]
fn a_check_or_totals_alone_do_not_move_the_snapshot() {
    let mut rig = fleet_with(&["a"]);
    settle(
        &mut rig,
        &announce("a", 1, status(ServerState::Healthy, "")),
    );
    let before = snapshot(&mut rig);
    let checked = ServerStatus {
        checked_at_ms: START.as_ms() + 60_000,
        totals: TotalsView {
            requests: 5,
            ..TotalsView::default()
        },
        ..status(ServerState::Healthy, "")
    };
    let rows = rig.store.rows_written();
    assert_eq!(settle(&mut rig, &announce("a", 2, checked.clone())).1, []);
    // The server and the event id, nothing else.
    assert_eq!(rig.store.rows_written() - rows, 2);
    assert_eq!(heard(&mut rig, "a"), checked);
    assert_eq!(snapshot(&mut rig), before);
    rig.evict();
    assert_eq!(heard(&mut rig, "a"), checked);
    assert_eq!(snapshot(&mut rig), before);
}

#[test]
fn recovery_and_readmission_are_audited_under_their_names() {
    let mut rig = fleet_with(&["a"]);
    let mut say = |sequence, state| {
        let command = announce("a", sequence, status(state, "why"));
        audit(&settle(&mut rig, &command).1).1
    };
    assert_eq!(say(1, ServerState::Unhealthy), "server.unhealthy");
    assert_eq!(say(2, ServerState::Healthy), "server.recovered");
    assert_eq!(say(3, ServerState::Ejected), "server.ejected");
    assert_eq!(say(4, ServerState::Healthy), "server.readmitted");
    assert_eq!(say(5, ServerState::CoolingDown), "server.cooling_down");
}

#[test]
fn a_leftover_instance_is_told_to_forget_everything() {
    let mut rig = fleet_with(&["a"]);
    let before = version(&mut rig);
    let command = announce("gone", 4, status(ServerState::Healthy, ""));
    let (answer, messages) = settle(&mut rig, &command);
    assert_eq!(answer, FleetAnswer::Done);
    assert_eq!(
        messages,
        [(
            "instance/acme/gone".to_owned(),
            json!({"command": "remove", "generation": 9_007_199_254_740_991_u64})
        )]
    );
    assert_eq!(settle(&mut rig, &command).1, []);
    assert_eq!(version(&mut rig), before);
}

#[test]
fn an_announcement_from_before_the_drain_does_not_bring_traffic_back() {
    let mut rig = fleet_with(&["a"]);
    let drain = FleetCommand::SetDraining {
        id: "a".to_owned(),
        draining: true,
    };
    settle(&mut rig, &drain);
    let before = version(&mut rig);
    let (_, messages) = settle(
        &mut rig,
        &announce("a", 1, status(ServerState::Healthy, "")),
    );
    assert_eq!(
        messages,
        [("instance/acme/a".to_owned(), json!({"command": "drain"}))]
    );
    assert_eq!(heard(&mut rig, "a").state, ServerState::Draining);
    assert_eq!(version(&mut rig), before);
    let drained = announce("a", 2, status(ServerState::Draining, "drained"));
    assert_eq!(settle(&mut rig, &drained).1, []);
}

#[test]
fn an_instance_that_drains_unasked_is_told_to_resume() {
    let mut rig = fleet_with(&["a"]);
    let command = announce("a", 1, status(ServerState::Draining, "drained"));
    let (_, messages) = settle(&mut rig, &command);
    assert_eq!(
        messages,
        [("instance/acme/a".to_owned(), json!({"command": "resume"}))]
    );
}
