//! Without the gateway: what is too old goes, and nothing else does.

use serde_json::json;
use tidegate_sweep::Exit;

use crate::rig::{HOUR_MS, MARK, OTHER_MARK, Rig};

#[test]
fn what_is_too_old_goes_and_the_young_and_the_strange_stay() {
    for vendor in ["runpod", "aws"] {
        let rig = Rig::new(vendor);
        let old = rig.rent(MARK, "srv_old", 1);
        let strange = rig.rent(OTHER_MARK, "srv_theirs", 1);
        rig.advance(12 * HOUR_MS);
        let young = rig.rent(MARK, "srv_young", 1);
        rig.advance(HOUR_MS);
        let (exit, out) = rig.sweep(&rig.alone("--older-than 13h --kill"));
        assert_eq!(exit, Exit::Killed, "{vendor}: {out}");
        let mut living = rig.living();
        living.sort();
        let mut kept = [strange.id, young.id.clone()];
        kept.sort();
        assert_eq!(living, kept);
        assert_eq!(rig.calls("destroy")[0].1, [old.id]);
        assert!(out.contains("left alone: it is 1h 0m old"), "{out}");
        // Nobody was asked.
        assert_eq!(rig.gate().log, []);
    }
}

#[test]
fn without_kill_it_only_tells() {
    let rig = Rig::new("runpod");
    rig.rent(MARK, "srv_old", 1);
    rig.advance(14 * HOUR_MS);
    let (exit, out) = rig.sweep(&rig.alone("--older-than 13h"));
    assert_eq!(exit, Exit::Left, "{out}");
    assert!(out.contains("too old") && out.contains("--kill"), "{out}");
    assert_eq!(rig.living().len(), 1);
    assert_eq!(rig.calls("destroy"), []);
}

#[test]
fn where_all_are_young_it_is_clean() {
    let rig = Rig::new("runpod");
    rig.rent(MARK, "srv_a", 1);
    rig.advance(HOUR_MS);
    let (exit, out) = rig.sweep(&rig.alone("--older-than 13h --kill"));
    assert_eq!(exit, Exit::Clean, "{out}");
    assert_eq!(rig.living().len(), 1);
}

#[test]
fn an_age_is_the_vendors_own_word_and_one_that_is_not_told_is_no_age() {
    let rig = Rig::new("aws");
    let machine = rig.rent(MARK, "srv_a", 1);
    rig.advance(14 * HOUR_MS);
    // Started again an hour ago: that is what the vendor tells.
    rig.with(|world, now| {
        let machine = world.machines.get_mut(&machine.id).unwrap();
        if let tidegate_simcloud::machine::Detail::Instance(instance) = &mut machine.detail {
            instance.launch_ms = now - 3_600_000;
        }
    });
    let (exit, out) = rig.sweep(&rig.alone("--older-than 13h --kill"));
    assert_eq!(exit, Exit::Clean, "{out}");
    assert_eq!(rig.living().len(), 1);
}

#[test]
fn a_list_that_is_not_whole_ends_it_here_too() {
    let rig = Rig::new("runpod");
    rig.rent(MARK, "srv_a", 1);
    rig.rent(MARK, "srv_b", 1);
    rig.advance(14 * HOUR_MS);
    rig.fault(json!({"operation": "list", "fault": {"do": "partial_list"}}));
    let (exit, out) = rig.sweep(&rig.alone("--older-than 13h --kill"));
    assert_eq!(exit, Exit::Unknown, "{out}");
    assert_eq!(rig.living().len(), 2);
    assert_eq!(rig.calls("destroy"), []);
}
