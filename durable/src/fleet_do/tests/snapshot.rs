use super::*;
use crate::bindings::fleet::{ReliabilityPolicy, Route};
use crate::turn::Reply;

fn raw(rig: &mut Rig<Fleet>, known_version: u64) -> String {
    let turn = rig.try_call(&FleetCommand::Snapshot { known_version });
    match turn.unwrap().reply {
        Some(Reply::Now(reply)) => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_fleet_has_a_snapshot_of_its_own() {
    let mut rig = fleet();
    let empty = snapshot(&mut rig);
    assert_eq!(empty.version, 1);
    assert_eq!(empty.servers, []);
    assert_eq!(raw(&mut rig, 1), r#"{"answer":"unchanged"}"#);
}

#[test]
fn a_snapshot_shows_everything_that_routing_needs() {
    let mut rig = fleet_with(&["b", "a"]);
    let route = Route {
        targets: vec!["llama".to_owned()],
        ..Route::default()
    };
    let put = FleetCommand::PutRoute {
        name: "fast".to_owned(),
        route: route.clone(),
    };
    settle(&mut rig, &put);
    let snapshot = snapshot(&mut rig);
    assert_eq!(snapshot.version, 4);
    let ids: Vec<_> = snapshot.servers.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(snapshot.servers[0].entry, entry("llama", "a"));
    assert_eq!(snapshot.servers[0].created_at_ms, START.as_ms());
    assert_eq!(snapshot.routes["fast"], route);
    assert_eq!(snapshot.policy, ReliabilityPolicy::default());
}

#[test]
fn a_caller_with_the_current_version_gets_no_second_copy() {
    let mut rig = fleet_with(&["a"]);
    let current = version(&mut rig);
    assert_eq!(raw(&mut rig, current), r#"{"answer":"unchanged"}"#);
    // A version from nowhere (a fleet that was set up anew) is answered with what there is.
    assert!(raw(&mut rig, current + 9).starts_with(r#"{"answer":"fresh""#));
    settle(&mut rig, &register("b", entry("llama", "b")));
    assert!(raw(&mut rig, current).starts_with(r#"{"answer":"fresh""#));
}

#[test]
fn equal_versions_are_equal_byte_for_byte_across_evictions() {
    let mut rig = fleet_with(&["a", "b"]);
    settle(
        &mut rig,
        &announce("a", 1, status(ServerState::Healthy, "")),
    );
    let before = raw(&mut rig, 0);
    let checked = ServerStatus {
        checked_at_ms: 5,
        ..status(ServerState::Healthy, "")
    };
    settle(&mut rig, &announce("a", 2, checked));
    rig.evict();
    assert_eq!(raw(&mut rig, 0), before);
}

#[test]
fn a_thousand_servers_are_one_snapshot() {
    let mut rig = fleet();
    for number in 0..1_000 {
        let id = format!("s{number:04}");
        let (_, effects): (FleetAnswer, _) = rig.call(&register(&id, entry("llama", &id)));
        assert!(!effects.is_empty());
    }
    let snapshot = snapshot(&mut rig);
    assert_eq!((snapshot.servers.len(), snapshot.version), (1_000, 1_001));
    // What one isolate reads at a time: far below the 32 MiB of a message.
    assert!(raw(&mut rig, 0).len() < 1_000_000);
}
