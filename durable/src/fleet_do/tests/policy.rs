use super::*;
use crate::bindings::fleet::ReliabilityPolicy;

fn put(policy: ReliabilityPolicy) -> FleetCommand {
    FleetCommand::PutPolicy { policy }
}

#[test]
fn a_policy_gets_the_next_version_and_is_not_fanned_out() {
    let mut rig = fleet_with(&["a"]);
    let before = version(&mut rig);
    let wanted = ReliabilityPolicy {
        version: 99,
        max_retries: 1,
        queue_timeout_ms: 5_000,
        ..ReliabilityPolicy::default()
    };
    let stored = ReliabilityPolicy {
        version: 1,
        ..wanted.clone()
    };
    let (answer, messages) = settle(&mut rig, &put(wanted.clone()));
    let policy = stored.clone();
    assert_eq!(answer, FleetAnswer::Policy { policy });
    assert_eq!(messages.len(), 1);
    assert_eq!(
        audit(&messages),
        audited(
            "admin",
            "policy.changed",
            "reliability",
            "max_retries: 2 → 1, queue_timeout_ms: 10000 → 5000"
        )
    );
    assert_eq!(version(&mut rig), before + 1);
    assert_eq!(snapshot(&mut rig).policy, stored);

    rig.evict();
    let (answer, messages) = settle(&mut rig, &put(wanted));
    let policy = stored;
    assert_eq!(
        answer,
        FleetAnswer::Policy {
            policy: policy.clone()
        }
    );
    assert_eq!(messages, []);
    assert_eq!(version(&mut rig), before + 1);
    assert_eq!(
        ask(&mut rig, &FleetCommand::Policy),
        FleetAnswer::Policy { policy }
    );
}

#[test]
fn a_policy_out_of_bounds_changes_nothing() {
    let mut rig = fleet();
    let wanted = ReliabilityPolicy {
        idle_timeout_ms: 1,
        ..ReliabilityPolicy::default()
    };
    let (answer, messages) = settle(&mut rig, &put(wanted));
    assert_eq!(invalid(&answer), Some("idle_timeout_ms"));
    assert_eq!(messages, []);
    assert_eq!(version(&mut rig), 1);
}

#[test]
fn an_instance_registered_later_is_told_the_policy_in_force() {
    let mut rig = fleet();
    let wanted = ReliabilityPolicy {
        unhealthy_after: 2,
        ..ReliabilityPolicy::default()
    };
    settle(&mut rig, &put(wanted));
    let (_, messages) = settle(&mut rig, &register("a", entry("llama", "a")));
    assert_eq!(messages[1].1["policy"]["unhealthy_after"], 2);
    assert_eq!(messages[1].1["policy"]["version"], 1);
}
