//! Whose machines are whose, and what is given back when.

use serde_json::json;
use tidegate_sweep::Exit;

use crate::rig::{MARK, OTHER_MARK, Rig, detail, row};

/// Somebody else's machine, and one of another account of ours: both are in the list and none of this sweep's.
fn strangers(rig: &Rig) -> Vec<String> {
    let other = rig.rent(OTHER_MARK, "srv_theirs", 1);
    let plain = rig.rent(MARK, "srv_plain", 1);
    rig.with(|world, _| {
        let machine = world.machines.get_mut(&plain.id).unwrap();
        "my-own-pod".clone_into(&mut machine.name);
        if let tidegate_simcloud::machine::Detail::Instance(instance) = &mut machine.detail {
            instance.tags.clear();
        }
    });
    vec![other.id, plain.id]
}

#[test]
fn where_nothing_is_ours_nothing_is_given_back() {
    for vendor in ["runpod", "aws"] {
        let rig = Rig::new(vendor);
        strangers(&rig);
        let (exit, out) = rig.sweep(&rig.beside("--kill"));
        assert_eq!(exit, Exit::Clean, "{out}");
        assert!(out.contains("no machine with the mark a1b2c3d4e5"), "{out}");
        assert!(out.contains("others have the marks 0123456789"), "{out}");
        assert_eq!(rig.living().len(), 2);
        assert_eq!(rig.calls("destroy"), []);
    }
}

#[test]
fn what_is_owned_stays() {
    let rig = Rig::new("runpod");
    let machine = rig.rent(MARK, "srv_a", 1);
    rig.own("srv_a", 1, Some(&machine.id));
    let unheard = rig.rent(MARK, "srv_b", 2);
    rig.own("srv_b", 1, None);
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Clean, "{out}");
    assert_eq!(out.matches("owned").count(), 2, "{out}");
    assert!(
        out.contains(&machine.id) && out.contains(&unheard.id),
        "{out}"
    );
    assert_eq!(rig.living().len(), 2);
    assert_eq!(rig.calls("destroy"), []);
}

#[test]
fn an_orphan_is_told_and_left_alone_unless_it_is_to_be_killed() {
    let rig = Rig::new("runpod");
    let orphan = rig.rent(MARK, "srv_lost", 1);
    let before = rig.calls("list").len();
    let (exit, out) = rig.sweep(&rig.beside(""));
    assert_eq!(exit, Exit::Left, "{out}");
    assert!(
        out.contains("no attempt to rent is known") && out.contains("--kill"),
        "{out}"
    );
    assert_eq!(rig.living(), [orphan.id]);
    // At once: to tell takes no second look.
    assert_eq!(rig.calls("list").len(), before + 1);
    assert_eq!(rig.calls("destroy"), []);
}

#[test]
fn an_orphan_is_given_back_after_two_lists_and_ten_minutes_and_nothing_else_is() {
    for vendor in ["runpod", "aws"] {
        let rig = Rig::new(vendor);
        let mut kept = strangers(&rig);
        let owned = rig.rent(MARK, "srv_a", 1);
        rig.own("srv_a", 1, Some(&owned.id));
        kept.push(owned.id);
        let orphan = rig.rent(MARK, "srv_lost", 1);
        let began = rig.with(|_, now| now);
        let (exit, out) = rig.sweep(&rig.beside("--kill"));
        assert_eq!(exit, Exit::Killed, "{out}");
        let mut living = rig.living();
        living.sort();
        kept.sort();
        assert_eq!(living, kept, "{out}");
        let destroyed = rig.calls("destroy");
        assert_eq!(destroyed.len(), 1);
        assert_eq!(destroyed[0].1, std::slice::from_ref(&orphan.id));
        assert!(destroyed[0].0 >= began + 600_000, "before its time");
        assert!(out.contains("looking again in 10 minutes"), "{out}");
        let line = out
            .lines()
            .rfind(|line| line.starts_with(&orphan.id))
            .unwrap();
        assert!(line.ends_with("gone"), "{line}");
        // That it is gone was asked, not assumed.
        assert!(
            rig.calls("get")
                .iter()
                .any(|(_, machines)| *machines == [orphan.id.clone()])
        );
        // Another sweep finds nothing any more.
        assert_eq!(rig.sweep(&rig.beside("--kill")).0, Exit::Clean);
    }
}

#[test]
fn orphans_of_every_region_are_found() {
    let rig = Rig::new("aws");
    rig.rent_in(Some("eu-west-1"), MARK, "srv_a", 1);
    rig.rent_in(Some("us-east-1"), MARK, "srv_b", 1);
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Killed, "{out}");
    assert!(
        out.contains("2 machines with the mark a1b2c3d4e5 in us-east-1, eu-west-1"),
        "{out}"
    );
    assert_eq!(rig.living(), Vec::<String>::new());
}

#[test]
fn of_two_machines_of_one_attempt_the_one_that_the_gateway_knows_stays() {
    let rig = Rig::new("runpod");
    let twin = rig.rent(MARK, "srv_a", 1);
    let own = rig.rent(MARK, "srv_a", 1);
    rig.own("srv_a", 1, Some(&own.id));
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Killed, "{out}");
    assert!(out.contains("its attempt has another machine"), "{out}");
    assert_eq!(rig.living(), [own.id]);
    assert_eq!(rig.calls("destroy")[0].1, [twin.id]);
}

#[test]
fn the_machine_of_an_attempt_that_was_left_behind_goes() {
    let rig = Rig::new("runpod");
    let old = rig.rent(MARK, "srv_a", 1);
    let new = rig.rent(MARK, "srv_a", 2);
    rig.own("srv_a", 2, Some(&new.id));
    assert_eq!(rig.sweep(&rig.beside("--kill")).0, Exit::Killed);
    assert_eq!(rig.living(), [new.id]);
    assert_eq!(rig.calls("destroy")[0].1, [old.id]);
}

#[test]
fn a_machine_of_an_instance_that_is_over_goes() {
    let rig = Rig::new("runpod");
    rig.rent(MARK, "srv_a", 1);
    let over = row("srv_a", 1, None, "terminated");
    rig.gate().details.insert("srv_a".to_owned(), detail(&over));
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Killed, "{out}");
}

#[test]
fn what_finds_its_owner_meanwhile_stays() {
    let rig = Rig::new("runpod");
    let late = rig.rent(MARK, "srv_late", 1);
    rig.gate().changes.push((2, |gate| {
        gate.rows.push(row("srv_late", 1, None, "provisioning"));
    }));
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Clean, "{out}");
    assert!(out.contains("looking again"), "{out}");
    assert_eq!(rig.living(), [late.id]);
    assert_eq!(rig.calls("destroy"), []);
}

#[test]
fn what_the_list_forgot_and_the_instance_itself_owns_stays() {
    let rig = Rig::new("runpod");
    let machine = rig.rent(MARK, "srv_a", 1);
    let own = detail(&row("srv_a", 1, Some(&machine.id), "ready"));
    rig.gate().details.insert("srv_a".to_owned(), own.clone());
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Left, "{out}");
    assert!(out.contains("left alone: its instance owns it"), "{out}");
    // And so does what cannot be asked.
    let mut silent = own;
    silent["attempts"] = json!(null);
    rig.gate().details.insert("srv_a".to_owned(), silent);
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Left, "{out}");
    assert!(out.contains("did not answer"), "{out}");
    assert_eq!(rig.living(), [machine.id]);
    assert_eq!(rig.calls("destroy"), []);
}

#[test]
fn an_orphan_that_turns_up_in_the_second_list_is_left_for_the_next_sweep() {
    let rig = Rig::new("runpod");
    let first = rig.rent(MARK, "srv_a", 1);
    rig.advance(120_000);
    let hidden = rig.rent(MARK, "srv_b", 1);
    // The first list is a minute old.
    rig.fault(json!({"operation": "list", "times": 1, "fault": {"do": "stale", "ms": 60_000}}));
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Left, "{out}");
    assert_eq!(rig.living(), std::slice::from_ref(&hidden.id));
    assert_eq!(rig.calls("destroy")[0].1, [first.id]);
    assert_eq!(rig.sweep(&rig.beside("--kill")).0, Exit::Killed);
}

#[test]
fn one_that_ends_by_itself_meanwhile_is_gone_only_when_the_vendor_says_so() {
    let rig = Rig::new("runpod");
    let machine = rig.rent(MARK, "srv_a", 1);
    // Both lists show it, then only the first: the second is empty although it is there.
    rig.fault(json!({"operation": "list", "skip": 1, "times": 1, "fault": {"do": "empty_list"}}));
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Left, "{out}");
    assert!(
        out.contains("one list showed it and the next did not"),
        "{out}"
    );
    assert_eq!(rig.living(), [machine.id]);
    assert_eq!(rig.calls("destroy"), []);
}

#[test]
fn a_machine_that_the_gateway_counts_on_and_nobody_has_is_told() {
    let rig = Rig::new("runpod");
    rig.own("srv_ghost", 3, Some("nosuchpod00000"));
    let (exit, out) = rig.sweep(&rig.beside(""));
    assert_eq!(exit, Exit::Clean, "{out}");
    assert!(out.contains("counts on attempt 3 of srv_ghost"), "{out}");
}
