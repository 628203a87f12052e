use super::*;
use crate::bindings::fleet::FleetAnswer;
use crate::rig::sent;

fn strict(version: u64) -> ReliabilityPolicy {
    ReliabilityPolicy {
        version,
        eject_after_consecutive_failures: 1,
        queue_timeout_ms: 3_000,
        ..ReliabilityPolicy::default()
    }
}

fn ask_knowing(rig: &mut Server, name: &str, policy_version: u64) -> Turn {
    let ask = Ask {
        policy_version,
        ..request(rig, name)
    };
    let ask = Some(ask);
    turnover(
        rig,
        Turnover {
            ask,
            ..Turnover::default()
        },
    )
}

fn fetches(turn: &Turn) -> Vec<EffectId> {
    let ids = turn.effects.iter().filter_map(|effect| match effect {
        Effect::Send { id, to, message } => {
            assert_eq!(to.as_str(), "fleet/acme");
            assert_eq!(message, r#"{"command":"policy"}"#);
            Some(*id)
        }
        _ => None,
    });
    ids.collect()
}

fn fetched_policy(policy: ReliabilityPolicy) -> Outcome {
    let reply = serde_json::to_string(&FleetAnswer::Policy { policy }).unwrap();
    Outcome::Delivered { reply }
}

fn version(rig: &Server) -> i64 {
    rig.number("SELECT json -> 'policy' ->> 'version' FROM record")
}

/// Whether one failure ejects.
fn is_strict(rig: &mut Server) -> bool {
    grant(rig, "trial");
    !announced(&settle(rig, "trial", failure())).is_empty()
}

#[test]
fn an_ask_that_knows_a_newer_policy_has_it_fetched_once() {
    let mut rig = server();
    let mut knowing = |name: &str, version| {
        let turn = ask_knowing(&mut rig, name, version);
        // The ask does not wait for it.
        assert!(matches!(answer(&turn), AskAnswer::Granted { .. }));
        settle(&mut rig, name, OutcomeWire::Success);
        fetches(&turn)
    };
    assert!(knowing("r0", 0).is_empty());
    let [fetch] = knowing("r1", 3)[..] else {
        panic!("not one fetch");
    };
    assert!(knowing("r2", 4).is_empty());
    let turn = rig.done(fetch, fetched_policy(strict(4)));
    assert_eq!(without_soon(&turn), []);
    assert_eq!((version(&rig), rig.count("outbox")), (4, 0));
    assert!(fetches(&ask_knowing(&mut rig, "r4", 4)).is_empty());
    settle(&mut rig, "r4", OutcomeWire::Success);
    // The next one is fetched as well.
    assert_eq!(fetches(&ask_knowing(&mut rig, "r5", 5)).len(), 1);
    settle(&mut rig, "r5", OutcomeWire::Success);
    assert!(is_strict(&mut rig));
}

#[test]
fn a_policy_outlives_an_eviction_on_its_way_and_in_place() {
    let mut rig = server();
    let turn = ask_knowing(&mut rig, "r1", 2);
    rig.evict();
    rig.done(fetches(&turn)[0], fetched_policy(strict(2)));
    assert_eq!(version(&rig), 2);
    rig.evict();
    assert!(is_strict(&mut rig));
}

#[test]
fn a_fetch_that_fails_is_repeated_by_the_outbox() {
    let mut rig = server();
    let turn = ask_knowing(&mut rig, "r1", 2);
    let [fetch] = fetches(&turn)[..] else {
        panic!("not one fetch");
    };
    rig.done(fetch, failed());
    assert!(fetches(&ask_knowing(&mut rig, "r2", 2)).is_empty());
    rig.wait(secs(2));
    let again = rig.alarm();
    assert_eq!(fetches(&again), [fetch]);
    assert_eq!(sent(&without_soon(&again)).len(), 1);
}

#[test]
fn an_older_policy_never_replaces_a_newer_one() {
    let mut rig = server();
    let tell_policy = |rig: &mut Server, policy| {
        let turn = tell(rig, &InstanceCommand::Policy { policy });
        assert_eq!(without_soon(&turn), []);
    };
    tell_policy(&mut rig, strict(5));
    let rows = rig.store.rows_written();
    for version in [5, 4] {
        let policy = ReliabilityPolicy {
            version,
            ..ReliabilityPolicy::default()
        };
        tell_policy(&mut rig, policy);
    }
    assert_eq!(rig.store.rows_written(), rows);
    // Nor does an entry that was sent before the policy changed.
    tell(&mut rig, &configure(spec(2)));
    assert_eq!(version(&rig), 5);
    assert!(is_strict(&mut rig));
}

#[test]
fn a_newer_policy_comes_with_an_entry() {
    let mut rig = server();
    let command = InstanceCommand::Configure {
        spec: spec(2),
        first_check: None,
        policy: strict(1),
    };
    tell(&mut rig, &command);
    assert_eq!(version(&rig), 1);
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    let poll = ask(&mut rig, "r3");
    rig.wait(secs(3));
    assert_eq!(answered(&rig.alarm()), [ticket(&poll)]);
}

// D6
#[test]
fn a_newer_fleets_message_is_understood_without_what_is_new_in_it() {
    let mut rig = unregistered();
    let mut message = serde_json::to_value(configure(spec(1))).unwrap();
    message["policy"]["shadow_percent"] = 5.into();
    message["spec"]["colour"] = "red".into();
    rig.try_call(&message).unwrap();
    grant(&mut rig, "r1");
}

#[test]
fn a_server_that_is_not_registered_learns_no_policy() {
    let mut rig = unregistered();
    assert!(fetches(&ask_knowing(&mut rig, "r1", 9)).is_empty());
    tell(&mut rig, &InstanceCommand::Policy { policy: strict(9) });
    assert_eq!(rig.store.rows_written(), 0);
}
