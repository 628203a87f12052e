//! A gateway that fails: nothing follows from that.

use tidegate_sweep::Exit;

use crate::rig::{ACCOUNT, MARK, Rig, row};

fn accounts() -> String {
    format!(
        "/admin/providers/runpod/accounts/{}",
        ACCOUNT.to_ascii_lowercase()
    )
}

fn nothing_follows(rig: &Rig, line: &str, what: &str) {
    let before = rig.living();
    let (exit, out) = rig.sweep(line);
    assert_eq!(exit, Exit::Unknown, "{what}: {out}");
    assert!(out.contains("could not tell"), "{what}: {out}");
    assert_eq!(rig.living(), before, "{what}");
    assert_eq!(rig.calls("destroy"), [], "{what}");
}

/// Ways in which a gateway does not say who owns what.
fn failures() -> Vec<(u16, &'static str)> {
    vec![
        (0, ""),
        (500, "{}"),
        (
            503,
            r#"{"error": {"code": "unavailable", "message": "later"}}"#,
        ),
        (403, r#"{"error": {"code": "not_admin", "message": "no"}}"#),
        (404, "<html>no such page</html>"),
        (302, ""),
        (200, "<html>a page of somebody in front</html>"),
        (200, "{}"),
        (200, "[]"),
        (200, "null"),
        (200, r#"{"data": null, "total": 0}"#),
    ]
}

#[test]
fn a_gateway_that_does_not_answer_is_not_one_that_knows_nobody() {
    for (status, body) in failures() {
        for path in [accounts(), "/admin/instances".to_owned()] {
            let rig = Rig::new("runpod");
            let orphan = rig.rent(MARK, "srv_a", 1);
            rig.gate()
                .fails
                .push((path.clone(), 0, status, body.to_owned()));
            let line = rig.beside(&format!("--kill --fingerprint {MARK}"));
            nothing_follows(&rig, &line, &format!("{path} {status} {body}"));
            // It says what is there all the same.
            let (_, out) = rig.sweep(&line);
            assert!(
                out.contains(&orphan.id) && out.contains("not known"),
                "{out}"
            );
        }
    }
}

#[test]
fn a_gateway_that_fails_at_the_second_look_saves_everybody() {
    for (status, body) in failures() {
        let rig = Rig::new("runpod");
        rig.rent(MARK, "srv_a", 1);
        rig.gate()
            .fails
            .push(("/admin/instances?".to_owned(), 1, status, body.to_owned()));
        nothing_follows(&rig, &rig.beside("--kill"), &format!("{status} {body}"));
    }
}

#[test]
fn a_gateway_that_fails_when_it_is_asked_for_the_one_saves_that_one() {
    // Only its own "not found" says that there is no such instance; a page of somebody in front says nothing.
    for (status, body) in failures() {
        let rig = Rig::new("runpod");
        rig.rent(MARK, "srv_a", 1);
        let path = "/admin/instances/srv_a".to_owned();
        rig.gate().fails.push((path, 0, status, body.to_owned()));
        nothing_follows(
            &rig,
            &rig.beside("--kill"),
            &format!("the detail: {status} {body}"),
        );
    }
}

#[test]
fn a_wrong_admin_key_or_organisation_ends_it() {
    let rig = Rig::new("runpod");
    rig.rent(MARK, "srv_a", 1);
    let line = rig.beside(&format!("--kill --org other --fingerprint {MARK}"));
    nothing_follows(&rig, &line, "another organisation");
}

#[test]
fn an_account_that_the_gateway_does_not_know_ends_it() {
    let rig = Rig::new("runpod");
    rig.rent(MARK, "srv_a", 1);
    let line = rig.beside("--kill").replace(ACCOUNT, "acc_unknown");
    nothing_follows(&rig, &line, "an unknown account");
    let (_, out) = rig.sweep(&line);
    assert!(out.contains("knows no account acc_unknown"), "{out}");
}

#[test]
fn two_marks_that_differ_end_it_and_no_mark_at_all_too() {
    let rig = Rig::new("runpod");
    rig.rent("0123456789", "srv_theirs", 1);
    nothing_follows(
        &rig,
        &rig.beside("--kill --fingerprint 0123456789"),
        "another mark",
    );
    rig.gate().account["fingerprint"] = serde_json::Value::Null;
    nothing_follows(&rig, &rig.beside("--kill"), "no mark");
}

#[test]
fn a_gateway_of_an_earlier_release_is_told_the_mark() {
    let rig = Rig::new("runpod");
    rig.rent(MARK, "srv_a", 1);
    rig.gate()
        .account
        .as_object_mut()
        .unwrap()
        .remove("fingerprint");
    let (exit, out) = rig.sweep(&rig.beside(&format!("--kill --fingerprint {MARK}")));
    assert_eq!(exit, Exit::Killed, "{out}");
}

#[test]
fn owners_are_read_to_the_last_page() {
    let rig = Rig::new("runpod");
    let machine = rig.rent(MARK, "srv_last", 1);
    for number in 0..450 {
        rig.own(&format!("srv_{number}"), 1, None);
    }
    rig.own("srv_last", 1, Some(&machine.id));
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Clean, "{out}");
    let log = rig.gate().log.clone();
    let pages = log
        .iter()
        .filter(|(path, _)| path.starts_with("/admin/instances?"));
    assert_eq!(pages.count(), 3);
    assert_eq!(rig.living(), [machine.id]);
}

#[test]
fn pages_that_are_shorter_than_was_asked_for_are_no_end() {
    let rig = Rig::new("runpod");
    let machine = rig.rent(MARK, "srv_last", 1);
    for number in 0..9 {
        rig.own(&format!("srv_{number}"), 1, None);
    }
    rig.own("srv_last", 1, Some(&machine.id));
    rig.gate().page = 4;
    assert_eq!(rig.sweep(&rig.beside("--kill")).0, Exit::Clean);
}

#[test]
fn a_list_of_owners_that_changes_while_it_is_read_is_read_again() {
    let rig = Rig::new("runpod");
    let machine = rig.rent(MARK, "srv_5", 1);
    for number in 0..6 {
        rig.own(&format!("srv_{number}"), 1, None);
    }
    let mut gate = rig.gate();
    gate.page = 4;
    // Between two pages the first instance ends, and the fifth moves to a place that was read already.
    gate.changes.push((2, |gate| {
        gate.rows.remove(0);
    }));
    drop(gate);
    let (exit, out) = rig.sweep(&rig.beside("--kill"));
    assert_eq!(exit, Exit::Clean, "{out}");
    assert_eq!(rig.living(), [machine.id]);
}

#[test]
fn a_list_of_owners_that_never_holds_still_ends_it() {
    let rig = Rig::new("runpod");
    rig.rent(MARK, "srv_a", 1);
    let mut gate = rig.gate();
    gate.page = 1;
    for number in 0..3 {
        gate.rows
            .push(row(&format!("srv_{number}"), 1, None, "ready"));
    }
    for at in 1..100 {
        gate.changes.push((at, |gate| {
            let number = gate.rows.len();
            gate.rows
                .push(row(&format!("srv_new{number}"), 1, None, "ready"));
        }));
    }
    drop(gate);
    nothing_follows(&rig, &rig.beside("--kill"), "a list that moves");
}

#[test]
fn the_gateway_is_asked_after_the_vendor_each_time() {
    let rig = Rig::new("runpod");
    rig.rent(MARK, "srv_a", 1);
    let before = rig.with(|world, _| world.journal.next());
    assert_eq!(rig.sweep(&rig.beside("--kill")).0, Exit::Killed);
    let log = rig.gate().log.clone();
    let calls: Vec<u64> = log
        .iter()
        .filter(|(path, _)| path.starts_with("/admin/instances"))
        .map(|(_, calls)| *calls as u64 - before)
        .collect();
    // List, owners; list, owners, the one: and only then is anything given back.
    assert_eq!(calls, [1, 2, 2]);
}
