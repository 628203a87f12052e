//! Story tests of the fleet: what a message answers, exactly what it sends, and that a repetition has
//! nothing more to do.

mod accounts;
mod announcements;
mod faults;
mod keys;
mod listing;
mod logs;
mod once;
mod overdue;
mod policy;
mod profiles;
mod records;
mod registry;
mod rentals;
mod routes;
mod snapshot;

use serde_json::json;

use super::Fleet;
use crate::bindings::ObjectName;
use crate::bindings::fleet::{
    FleetAnswer, FleetCommand, FleetMessage, ReliabilityPolicy, ServerEntry, ServerState,
    ServerStatus, Snapshot, SnapshotAnswer,
};
use crate::bindings::instance::CheckReport;
use crate::rig::{Rig, START, sent};
use crate::turn::Effect;

type Sent = Vec<(String, serde_json::Value)>;

fn fleet() -> Rig<Fleet> {
    Rig::new(ObjectName::fleet("acme"))
}

fn entry(model: &str, host: &str) -> ServerEntry {
    ServerEntry {
        model_name: model.to_owned(),
        endpoint_url: format!("https://{host}/v1"),
        sealed_api_key: Some("sealed-secret".to_owned()),
        owner: Some("ops".to_owned()),
        max_concurrency: 8,
        queue_depth: 16,
        weight: 100,
        priority: 0,
        price_microusd_per_hour: 400_000,
        metadata: Default::default(),
        upstream_model: None,
        first_token_cap_ms: None,
    }
}

fn check(at_ms: i64) -> CheckReport {
    CheckReport {
        at_ms,
        ok: true,
        latency_ms: 12,
        reason: None,
    }
}

fn register(id: &str, entry: ServerEntry) -> FleetCommand {
    FleetCommand::Register {
        id: id.to_owned(),
        entry,
        first_check: check(START.as_ms()),
    }
}

fn announce(instance: &str, sequence: u64, status: ServerStatus) -> FleetCommand {
    FleetCommand::Announce {
        event_id: format!("instance/acme/{instance}/{sequence}"),
        instance: instance.to_owned(),
        status,
        sequence,
    }
}

fn status(state: ServerState, reason: &str) -> ServerStatus {
    ServerStatus {
        state,
        reason: reason.to_owned(),
        since_ms: START.as_ms(),
        ..ServerStatus::default()
    }
}

/// A fleet with these servers, all of one model, and nothing left to send.
fn fleet_with(ids: &[&str]) -> Rig<Fleet> {
    let mut rig = fleet();
    for id in ids {
        let (_, effects): (FleetAnswer, _) = rig.call(&register(id, entry("llama", id)));
        rig.deliver(&effects);
    }
    rig
}

fn ask(rig: &mut Rig<Fleet>, command: &FleetCommand) -> FleetAnswer {
    rig.call(command).0
}

/// The answer and the messages; they are delivered.
fn settle(rig: &mut Rig<Fleet>, command: &FleetCommand) -> (FleetAnswer, Sent) {
    let (answer, effects): (FleetAnswer, Vec<Effect>) = rig.call(command);
    rig.deliver(&effects);
    (answer, sent(&effects))
}

fn snapshot(rig: &mut Rig<Fleet>) -> Snapshot {
    let command = FleetCommand::Snapshot { known_version: 0 };
    match rig.call(&command).0 {
        SnapshotAnswer::Fresh { snapshot } => snapshot,
        SnapshotAnswer::Unchanged => panic!("0 is no version"),
    }
}

fn version(rig: &mut Rig<Fleet>) -> u64 {
    snapshot(rig).version
}

/// The one audit message among these: actor, action, subject, reason.
fn audit(messages: &Sent) -> (String, String, String, String) {
    let audits: Vec<_> = messages
        .iter()
        .filter(|(to, _)| to == "journal/acme/2026-11-21")
        .collect();
    let [(_, message)] = audits.as_slice() else {
        panic!("not one audit message: {messages:?}");
    };
    let [entry] = message["entries"].as_array().unwrap().as_slice() else {
        panic!("not one entry: {message}");
    };
    let text = |field: &str| entry[field].as_str().unwrap().to_owned();
    (
        text("actor"),
        text("action"),
        text("subject"),
        text("reason"),
    )
}

fn audited(
    actor: &str,
    action: &str,
    subject: &str,
    reason: &str,
) -> (String, String, String, String) {
    (
        actor.to_owned(),
        action.to_owned(),
        subject.to_owned(),
        reason.to_owned(),
    )
}

fn invalid(answer: &FleetAnswer) -> Option<&str> {
    match answer {
        FleetAnswer::Invalid { param, .. } => Some(param),
        _ => None,
    }
}

#[test]
fn the_audit_names_in_whose_name_a_command_was_given() {
    let mut rig = fleet();
    let mut told_by = |actor: Option<&str>, command| {
        let actor = actor.map(str::to_owned);
        let (_, effects): (FleetAnswer, _) = rig.call(&FleetMessage {
            actor,
            once: None,
            command,
        });
        rig.deliver(&effects);
        audit(&sent(&effects)).0
    };
    let a = register("a", entry("llama", "a"));
    assert_eq!(told_by(Some("key/k1"), a), "key/k1");
    let b = register("b", entry("llama", "b"));
    assert_eq!(told_by(None, b), "admin", "and not who came before");
    let out = announce("a", 1, status(ServerState::Unhealthy, "status 500"));
    assert_eq!(told_by(Some("key/k1"), out), "instance/a");
    let policy = ReliabilityPolicy {
        max_retries: 1,
        ..ReliabilityPolicy::default()
    };
    let put = FleetCommand::PutPolicy { policy };
    assert_eq!(told_by(Some("key/k2"), put), "key/k2");
}

#[test]
fn a_message_is_its_command_and_a_name_beside_it() {
    let message = FleetMessage {
        actor: Some("key/k1".to_owned()),
        once: None,
        command: FleetCommand::Keys,
    };
    let text = serde_json::to_string(&message).unwrap();
    assert_eq!(text, r#"{"actor":"key/k1","command":"keys"}"#);
    // So a release that knows no names understands it.
    let command: FleetCommand = serde_json::from_str(&text).unwrap();
    assert_eq!(command, FleetCommand::Keys);
}

#[test]
fn an_unknown_message_is_refused_in_words() {
    let error = fleet()
        .try_call(&json!({"command": "explode"}))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "fleet/acme does not understand the message: a value that is not expected at line 1 column 21; caller and object are of different releases"
    );
}
