use tidegate_domain::vendor::stray::Why;
use tidegate_provider_api::{Billing, Fingerprint};

use super::*;

const ACCOUNT: &str = "acc_a";
const LAG: Span = Span::from_secs(600);

fn now() -> Timestamp {
    Timestamp::from_ms(1_795_255_200_000)
}

fn machine(id: &str, instance: &str, attempt: u32) -> Machine {
    Machine {
        id: id.to_owned(),
        marker: Some(Marker {
            fingerprint: Fingerprint::parse("0123456789").unwrap(),
            instance: instance.to_owned(),
            attempt,
        }),
        state: MachineState::Running,
        raw_state: "RUNNING".to_owned(),
        reason: None,
        region: "EU-RO-1".to_owned(),
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

fn row(id: &str, attempt: u32, machine: Option<&str>, status: &str) -> Row {
    Row {
        id: id.to_owned(),
        attempt,
        machine_id: machine.map(str::to_owned),
        status: status.to_owned(),
        account_id: ACCOUNT.to_owned(),
    }
}

fn strays(machines: &[Machine], rows: &[Row]) -> Vec<(usize, Why)> {
    judged(now(), LAG, machines, ACCOUNT, rows).strays
}

#[test]
fn a_machine_is_its_instances_as_long_as_nothing_says_otherwise() {
    let one = [machine("m1", "srv_a", 2)];
    for row in [
        row("srv_a", 2, Some("m1"), "ready"),
        // The vendor has not answered yet, or the gateway's index has not heard of it.
        row("srv_a", 2, None, "provisioning"),
        row("srv_a", 1, Some("m0"), "booting"),
        row("srv_a", 0, None, "requested"),
        row("srv_a", 2, Some("m1"), "a word of a later release"),
    ] {
        assert_eq!(strays(&one, std::slice::from_ref(&row)), [], "{row:?}");
    }
}

#[test]
fn a_machine_of_no_instance_of_an_earlier_attempt_or_of_a_second_one_is_nobodys() {
    let one = [machine("m1", "srv_a", 1)];
    assert_eq!(strays(&one, &[]), [(0, Why::Orphan)]);
    assert_eq!(
        strays(&one, &[row("srv_b", 1, Some("m1"), "ready")]),
        [(0, Why::Orphan)]
    );
    assert_eq!(
        strays(&one, &[row("srv_a", 2, Some("m2"), "ready")]),
        [(0, Why::Orphan)]
    );
    let two = [machine("m1", "srv_a", 1), machine("m2", "srv_a", 1)];
    assert_eq!(
        strays(&two, &[row("srv_a", 1, Some("m2"), "ready")]),
        [(0, Why::Twin)]
    );
}

#[test]
fn an_instance_of_another_account_owns_its_machine_too() {
    let mut other = row("srv_a", 1, Some("m1"), "ready");
    "acc_b".clone_into(&mut other.account_id);
    assert_eq!(
        strays(&[machine("m1", "srv_a", 1)], std::slice::from_ref(&other)),
        []
    );
    // And is not missed in this account's list.
    assert_eq!(judged(now(), LAG, &[], ACCOUNT, &[other]).missing, []);
}

#[test]
fn what_is_over_needs_nobody_and_what_should_be_there_is_missed() {
    let mut over = machine("m1", "srv_a", 1);
    over.state = MachineState::Terminated;
    assert_eq!(strays(&[over], &[]), []);
    let rows = [
        row("srv_b", 3, Some("m2"), "ready"),
        row("srv_c", 0, None, "requested"),
    ];
    let missing = judged(now(), LAG, &[], ACCOUNT, &rows).missing;
    assert_eq!(missing.len(), 1);
    assert_eq!(
        (missing[0].instance.as_str(), missing[0].number),
        ("srv_b", 3)
    );
}

fn detail(status: &str, attempt: u32, machine: Option<&str>, answered: bool) -> Detail {
    Detail {
        status: status.to_owned(),
        attempt,
        machine_id: machine.map(str::to_owned),
        attempts: answered.then(Vec::new),
    }
}

#[test]
fn asked_for_by_itself_an_instance_gives_up_only_what_is_certainly_not_its_own() {
    let own = machine("m1", "srv_a", 2);
    let marker = own.marker.clone().unwrap();
    let may_go = |detail: Option<&Detail>| is_nobodys(&own, &marker, detail).is_ok();
    assert!(may_go(None));
    for (over, answered) in [("terminated", true), ("failed", false), ("lost", true)] {
        assert!(
            may_go(Some(&detail(over, 2, Some("m1"), answered))),
            "{over}"
        );
    }
    assert!(may_go(Some(&detail("ready", 3, Some("m2"), true))));
    assert!(may_go(Some(&detail("ready", 2, Some("m2"), true))));
    for kept in [
        detail("ready", 2, Some("m1"), true),
        detail("provisioning", 2, None, true),
        detail("provisioning", 1, None, true),
        detail("a word of a later release", 2, Some("m1"), true),
        // Its own object did not answer, so the rest may be old.
        detail("ready", 3, Some("m2"), false),
        detail("ready", 2, Some("m2"), false),
    ] {
        assert!(!may_go(Some(&kept)), "{kept:?}");
    }
}
