//! Giving back: verified, whatever is answered.

use serde_json::json;
use tidegate_sweep::Exit;

use crate::rig::{MARK, Rig};

#[test]
fn a_lost_answer_to_giving_back_is_no_reason_to_stop_asking() {
    for vendor in ["runpod", "aws"] {
        for fault in [
            json!({"do": "reply_lost"}),
            json!({"do": "close"}),
            json!({"do": "status", "status": 500, "done": true}),
            json!({"do": "status", "status": 500}),
            json!({"do": "html"}),
            json!({"do": "rate_limited", "retry_after": 20}),
        ] {
            let rig = Rig::new(vendor);
            rig.rent(MARK, "srv_a", 1);
            rig.fault(json!({"operation": "destroy", "times": 2, "fault": fault}));
            let (exit, out) = rig.sweep(&rig.beside("--kill"));
            assert_eq!(exit, Exit::Killed, "{vendor}: {fault}: {out}");
            assert_eq!(rig.living(), Vec::<String>::new());
        }
    }
}

#[test]
fn questions_that_fail_are_asked_again() {
    let rig = Rig::new("runpod");
    rig.rent(MARK, "srv_a", 1);
    rig.fault(json!({"operation": "get", "times": 3, "fault": {"do": "html"}}));
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Killed, "{out}");
    assert!(rig.calls("get").len() > 3);
}

#[test]
fn one_that_takes_long_is_waited_for() {
    let rig = Rig::new("runpod");
    let slow = rig.rent(MARK, "srv_a", 1);
    rig.rent(MARK, "srv_b", 1);
    rig.fault(
        json!({"operation": "destroy", "machine": slow.id, "fault": {"do": "slow", "ms": 600_000}}),
    );
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Killed, "{out}");
    assert_eq!(rig.living(), Vec::<String>::new());
}

#[test]
fn one_that_never_ends_is_told_and_the_others_go() {
    let rig = Rig::new("runpod");
    let stuck = rig.rent(MARK, "srv_a", 1);
    rig.rent(MARK, "srv_b", 1);
    rig.fault(json!({"operation": "destroy", "machine": stuck.id, "fault": {"do": "never_ends"}}));
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Left, "{out}");
    let line = out
        .lines()
        .rfind(|line| line.starts_with(&stuck.id))
        .unwrap();
    assert!(
        line.contains("NOT GONE: the vendor still shows it, 15 minutes after"),
        "{line}"
    );
    assert_eq!(rig.living(), std::slice::from_ref(&stuck.id));
    // It was told more than once.
    let told = rig.calls("destroy");
    let told = told
        .iter()
        .filter(|(_, machines)| *machines == [stuck.id.clone()]);
    assert!(told.count() >= 2);
}

#[test]
fn a_credential_that_may_list_and_not_give_back_is_found_out() {
    let rig = Rig::new("runpod");
    let machine = rig.rent(MARK, "srv_a", 1);
    rig.fault(json!({"operation": "destroy", "fault": {"do": "denied"}}));
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Left, "{out}");
    assert!(out.contains("NOT GONE: destroy failed (auth"), "{out}");
    assert_eq!(rig.living(), [machine.id]);
    // Once is enough: it will not do.
    assert_eq!(rig.calls("destroy").len(), 1);
}

#[test]
fn one_that_somebody_else_has_ended_meanwhile_is_gone() {
    for vendor in ["runpod", "aws"] {
        let rig = Rig::new(vendor);
        let machine = rig.rent(MARK, "srv_a", 1);
        rig.fault(json!({"operation": "destroy", "fault": {"do": "not_found"}}));
        // Gone before the second list, and at AWS still told of.
        let at = rig.with(|_, now| now) + 300_000;
        rig.with(|world, _| {
            let machine = world.machines.get_mut(&machine.id).unwrap();
            machine.plan(tidegate_simcloud::machine::Step::Terminated, at);
        });
        let (exit, out) = rig.sweep(&rig.beside("--kill"));
        assert_eq!(exit, Exit::Killed, "{vendor}: {out}");
        assert_eq!(rig.calls("destroy"), [], "{vendor}");
    }
}
