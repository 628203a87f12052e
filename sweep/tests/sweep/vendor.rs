//! A vendor that fails: nothing follows from that either.

use serde_json::json;
use tidegate_sweep::Exit;

use crate::rig::{MARK, Rig};

fn nothing_follows(rig: &Rig, what: &str) {
    let before = rig.living();
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Unknown, "{what}: {out}");
    assert!(
        out.contains("list is not whole, and nothing was done"),
        "{what}: {out}"
    );
    assert_eq!(rig.living(), before, "{what}");
    assert_eq!(rig.calls("destroy"), [], "{what}");
}

#[test]
fn a_list_that_fails_or_is_partial_ends_it_and_gives_nothing_back() {
    for vendor in ["runpod", "aws"] {
        for fault in [
            "partial_list",
            "html",
            "truncated",
            "reply_lost",
            "denied",
            "token_expired",
            "rate_limited",
        ] {
            let rig = Rig::new(vendor);
            rig.rent(MARK, "srv_a", 1);
            rig.rent(MARK, "srv_b", 1);
            rig.fault(json!({"operation": "list", "fault": {"do": fault}}));
            nothing_follows(&rig, &format!("{vendor}: {fault}"));
        }
    }
}

#[test]
fn a_second_list_that_fails_saves_everybody() {
    for fault in ["partial_list", "html", "denied"] {
        let rig = Rig::new("runpod");
        rig.rent(MARK, "srv_a", 1);
        rig.rent(MARK, "srv_b", 1);
        rig.fault(json!({"operation": "list", "skip": 1, "fault": {"do": fault}}));
        nothing_follows(&rig, fault);
    }
}

#[test]
fn one_region_that_fails_is_no_list_at_all() {
    let rig = Rig::new("aws");
    rig.rent_in(Some("us-east-1"), MARK, "srv_a", 1);
    rig.fault(json!({"operation": "list", "region": "eu-west-1", "fault": {"do": "html"}}));
    nothing_follows(&rig, "eu-west-1");
}

#[test]
fn a_moments_trouble_is_waited_out() {
    let rig = Rig::new("runpod");
    rig.rent(MARK, "srv_a", 1);
    rig.fault(json!({"operation": "list", "times": 2, "fault": {"do": "html"}}));
    rig.fault(json!({"operation": "list", "skip": 1, "times": 1, "fault": {"do": "rate_limited", "retry_after": 30}}));
    let began = rig.with(|_, now| now);
    let (exit, out) = rig.sweep(&rig.beside(""));
    assert_eq!(exit, Exit::Left, "{out}");
    let waited = rig.with(|_, now| now) - began;
    assert!((4_000..600_000).contains(&waited), "{waited}");
}

#[test]
fn lists_in_small_pages_that_overlap_show_each_machine_once() {
    let rig = Rig::new("runpod");
    for number in 0..5 {
        let instance = format!("srv_{number}");
        let machine = rig.rent(MARK, &instance, 1);
        rig.own(&instance, 1, Some(&machine.id));
        rig.advance(1_000);
    }
    rig.fault(json!({"operation": "list", "fault": {"do": "small_pages", "size": 2}}));
    rig.fault(json!({"operation": "list", "fault": {"do": "overlapping_pages"}}));
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Clean, "{out}");
    assert!(out.contains("5 machines with the mark"), "{out}");
    assert_eq!(out.matches("owned").count(), 5, "{out}");
}

#[test]
fn settings_that_are_none_of_the_vendors_end_it() {
    let rig = Rig::new("aws");
    rig.rent(MARK, "srv_a", 1);
    let (exit, out) = rig.sweep(&rig.beside("--kill --setting regions="));
    assert_eq!(exit, Exit::Unknown, "{out}");
    assert!(out.contains("regions"), "{out}");
    assert_eq!(rig.calls("list"), []);
}
