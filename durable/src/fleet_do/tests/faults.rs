//! Every statement of every command fails in its turn: after the rollback and a reload either all of the
//! command is there or nothing, and the command repeated brings the same end as an undisturbed run.

use super::*;
use crate::bindings::fleet::{
    AccountEntry, AnonymousPolicy, KeyRecord, Profile, ReliabilityPolicy, Route, ServerChange,
};
use crate::ports::Row;
use tidegate_provider_api::{Fingerprint, Settings};

const TABLES: [&str; 10] = [
    "servers",
    "keys",
    "routes",
    "policy",
    "anonymous",
    "profiles",
    "accounts",
    "meta",
    "outbox",
    "applied",
];

fn rows(rig: &Rig<Fleet>) -> Vec<Vec<Row>> {
    TABLES
        .iter()
        .map(|table| rig.rows(&format!("SELECT * FROM {table} ORDER BY 1")))
        .collect()
}

fn key(id: &str) -> KeyRecord {
    KeyRecord {
        id: id.to_owned(),
        name: "ci".to_owned(),
        secret_hash: "a".repeat(64),
        scopes: vec!["read".to_owned()],
        ..KeyRecord::default()
    }
}

fn profile(port: u16) -> Box<Profile> {
    Box::new(Profile {
        kind: "custom".to_owned(),
        model_name: "m".to_owned(),
        image: "i".to_owned(),
        port,
        health_path: "/".to_owned(),
        gpu_count: 1,
        disk_gb: 10,
        max_concurrency: 1,
        max_instances: 1,
        max_lifetime_ms: 60_000,
        ..Profile::default()
    })
}

fn connect(id: &str) -> FleetCommand {
    FleetCommand::ConnectAccount {
        id: id.to_owned(),
        entry: AccountEntry {
            vendor: "aws".to_owned(),
            label: id.to_owned(),
            settings: Settings::default(),
            fingerprint: Fingerprint::parse("0123456789").unwrap(),
        },
        sealed: "sealed".to_owned(),
    }
}

fn prepared() -> Rig<Fleet> {
    let mut rig = fleet_with(&["a", "b"]);
    settle(&mut rig, &FleetCommand::MintKey { record: key("k") });
    let route = Route {
        targets: vec!["a".to_owned()],
        ..Route::default()
    };
    let name = "r".to_owned();
    settle(&mut rig, &FleetCommand::PutRoute { name, route });
    let (name, profile) = ("p".to_owned(), profile(1));
    settle(&mut rig, &FleetCommand::PutProfile { name, profile });
    settle(&mut rig, &connect("acc_1"));
    rig
}

fn commands() -> Vec<FleetCommand> {
    let (a, k) = (|| "a".to_owned(), || "k".to_owned());
    let policy = ReliabilityPolicy {
        max_retries: 1,
        ..ReliabilityPolicy::default()
    };
    let change = ServerChange {
        weight: Some(7),
        ..ServerChange::default()
    };
    let route = Route {
        targets: vec!["b".to_owned()],
        ..Route::default()
    };
    vec![
        register("c", entry("llama", "c")),
        FleetCommand::Update { id: a(), change },
        FleetCommand::Deregister { id: a() },
        FleetCommand::SetDraining {
            id: a(),
            draining: true,
        },
        FleetCommand::MintKey { record: key("k2") },
        FleetCommand::RotateKey {
            id: k(),
            secret_hash: "b".repeat(64),
            overlap_until_ms: START.as_ms() + 1,
        },
        FleetCommand::SuspendKey {
            id: k(),
            number: 1,
            until_ms: Some(START.as_ms() + 1),
            reason: "its budget".to_owned(),
        },
        FleetCommand::RevokeKey { id: k() },
        FleetCommand::PutRoute {
            name: "r2".to_owned(),
            route,
        },
        FleetCommand::DeleteRoute {
            name: "r".to_owned(),
        },
        FleetCommand::PutPolicy { policy },
        FleetCommand::PutAnonymous {
            policy: AnonymousPolicy {
                requests_per_minute: 5,
                ..AnonymousPolicy::default()
            },
        },
        FleetCommand::PutProfile {
            name: "p".to_owned(),
            profile: profile(2),
        },
        FleetCommand::DeleteProfile {
            name: "p".to_owned(),
        },
        connect("acc_2"),
        FleetCommand::UpdateAccount {
            id: "acc_1".to_owned(),
            label: Some("another".to_owned()),
            settings: None,
        },
        FleetCommand::RemoveAccount {
            id: "acc_1".to_owned(),
        },
        announce("a", 1, status(ServerState::Ejected, "5 failures in a row")),
        announce("gone", 1, status(ServerState::Healthy, "")),
    ]
}

#[test]
fn a_statement_that_fails_leaves_all_or_nothing() {
    for command in commands() {
        let mut undisturbed = prepared();
        let (answer, _): (FleetAnswer, _) = undisturbed.call(&command);
        let mut failures = 0;
        for statement in 0.. {
            let mut rig = prepared();
            // Reopened, so that the statements of loading fail in their turn as well.
            rig.evict();
            let before = rows(&rig);
            rig.store.fail_after(statement);
            let disturbed = rig.try_call(&command);
            rig.store.fail_after(u32::MAX);
            if disturbed.is_ok() {
                assert_eq!(rows(&rig), rows(&undisturbed), "{command:?}");
                break;
            }
            failures += 1;
            assert_eq!(rows(&rig), before, "{command:?}, statement {statement}");
            let (again, _): (FleetAnswer, _) = rig.call(&command);
            assert_eq!(again, answer, "{command:?}, statement {statement}");
            assert_eq!(rows(&rig), rows(&undisturbed), "{command:?}");
            assert_eq!(snapshot(&mut rig), snapshot(&mut undisturbed));
        }
        // Seven tables are made and five are read before anything is written.
        assert!(failures > 12, "{command:?} failed at {failures} statements");
    }
}

#[test]
fn what_was_committed_is_sent_again_after_an_eviction() {
    let mut rig = fleet();
    let (_, effects): (FleetAnswer, Vec<Effect>) = rig.call(&register("a", entry("llama", "a")));
    rig.evict();
    rig.wait(tidegate_domain::time::Span::from_secs(2));
    let again = rig.alarm();
    assert_eq!(again.effects, effects);
    rig.deliver(&again.effects);
    assert_eq!(rig.count("outbox"), 0);
}
