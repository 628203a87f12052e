use tidegate_provider_api::{ErrorKind, Reply as VendorReply, Request};

use super::vendor::PLAIN;
use super::world::{World, created, error, get, list, machine, no_answer, page, secs, seen, spec};
use crate::bindings::account::{AccountCommand, RotateAnswer};

fn rotate() -> AccountCommand {
    AccountCommand::Rotate {
        sealed: "sealed-2".to_owned(),
    }
}

fn verified() -> VendorReply {
    VendorReply::Verified { principal: None }
}

/// The credential that the next call would carry.
fn in_use(world: &mut World) -> String {
    world.look("a");
    let mut open = world.open.iter();
    let call = open.rfind(|call| call.request == get("m1"));
    call.unwrap().credential.sealed.clone()
}

fn reason(answer: &RotateAnswer) -> &str {
    match answer {
        RotateAnswer::Refused { reason, .. } => reason,
        RotateAnswer::Rotated => panic!("it is in use"),
    }
}

#[test]
fn a_credential_that_shows_every_machine_takes_over_in_one_write() {
    let mut world = World::renting(PLAIN);
    let ticket = world.poll(&rotate());
    assert_eq!(world.open[0].credential.sealed, "sealed-2");
    world.answer(&Request::Verify, Ok(verified()));
    world.answer(&list("r1", None), Ok(page(vec![], Some("two"))));
    assert_eq!(world.open[0].credential.sealed, "sealed-2");
    // The old one does all the work meanwhile.
    assert_eq!(in_use(&mut world), "sealed-1");
    world.open.retain(|call| call.request != get("m1"));
    let both = vec![machine("m1", "a"), machine("m2", "b")];
    world.answer(&list("r1", Some("two")), Ok(page(both, None)));
    assert_eq!(
        world.resolved::<RotateAnswer>(ticket),
        RotateAnswer::Rotated
    );
    assert_eq!(world.take_audits(), ["account.credential_rotated acc_1"]);
    world.rig.evict();
    world.open.clear();
    world.tell(&AccountCommand::Tick);
    assert!(
        world
            .open
            .iter()
            .all(|call| call.credential.sealed == "sealed-2")
    );
    assert!(!world.open.is_empty());
}

#[test]
fn a_credential_that_does_not_show_every_machine_is_refused_with_those_that_it_lacks() {
    let mut world = World::renting(PLAIN);
    world.sweep(&[machine("m1", "a"), machine("m9", "stray")]);
    world.audits.clear();
    world.statements.clear();
    let ticket = world.poll(&rotate());
    world.answer(&Request::Verify, Ok(verified()));
    world.answer(&list("r1", None), Ok(page(vec![machine("m2", "b")], None)));
    let RotateAnswer::Refused { missing, .. } = world.resolved(ticket) else {
        panic!("it must not take over");
    };
    assert_eq!(missing, ["m1", "m9"]);
    assert_eq!(in_use(&mut world), "sealed-1");
    assert_eq!(world.audits, []);
}

#[test]
fn a_credential_that_the_vendor_refuses_or_that_cannot_list_changes_nothing() {
    let refused = error(ErrorKind::Auth, "verify");
    let mut world = World::renting(PLAIN);
    let ticket = world.poll(&rotate());
    world.answer(&Request::Verify, Err(refused.clone()));
    assert!(reason(&world.resolved(ticket)).contains("auth"));
    // What is said to another credential is no outage of this one's.
    assert_eq!(world.view().backs_off_until_ms, None);
    world.assert_idle();
    for answer in [Err(no_answer("list")), Ok(verified())] {
        let ticket = world.poll(&rotate());
        world.answer(&Request::Verify, Ok(verified()));
        world.answer(&list("r1", None), answer);
        reason(&world.resolved(ticket));
        world.assert_idle();
    }
    let ticket = world.poll(&rotate());
    world.answer(&Request::Verify, Ok(verified()));
    world.answer(&list("r1", None), Ok(page(vec![], Some("two"))));
    world.answer(&list("r1", Some("two")), Ok(page(vec![], Some("two"))));
    reason(&world.resolved(ticket));
    assert_eq!(in_use(&mut world), "sealed-1");
}

#[test]
fn a_credential_is_not_exchanged_while_a_machine_may_exist_that_nobody_has_seen() {
    let mut world = World::plain();
    world.rent("a");
    reason(&world.ask(&rotate()));
    world.answer(&Request::Create(spec("a")), Ok(created(machine("m1", "a"))));
    let ticket = world.poll(&rotate());
    reason(&world.ask(&rotate()));
    world.answer(&Request::Verify, Ok(verified()));
    // One is ordered while the lists are read.
    world.rent("b");
    world.answer(&list("r1", None), Ok(page(vec![machine("m1", "a")], None)));
    reason(&world.resolved(ticket));
}

/// A key is withdrawn in the moment in which the answer to a "create" is lost: only another can tell.
#[test]
fn when_the_old_credential_is_not_let_in_one_that_shows_what_was_being_rented_takes_over() {
    for (is_same, machines) in [(true, vec![machine("m1", "a")]), (false, vec![])] {
        let mut world = World::plain();
        world.rent("a");
        world.answer(&Request::Create(spec("a")), Err(no_answer("create")));
        reason(&world.ask(&rotate()));
        world.wait_for(&list("r1", None));
        world.answer(&list("r1", None), Err(error(ErrorKind::Auth, "list")));
        world.facts.clear();
        world.audits.clear();
        let ticket = world.poll(&rotate());
        world.answer(&Request::Verify, Ok(verified()));
        world.answer(&list("r1", None), Ok(page(machines.clone(), None)));
        if !is_same {
            reason(&world.resolved(ticket));
            continue;
        }
        assert_eq!(
            world.resolved::<RotateAnswer>(ticket),
            RotateAnswer::Rotated
        );
        world.sweep(&machines);
        assert_eq!(world.take_facts(), [seen(machine("m1", "a"))]);
        assert_eq!(in_use(&mut world), "sealed-2");
    }
}

#[test]
fn a_rotation_that_takes_too_long_or_is_cut_off_changes_nothing() {
    let mut world = World::renting(PLAIN);
    let ticket = world.poll(&rotate());
    world.answer(&Request::Verify, Ok(verified()));
    world.wait(secs(24));
    reason(&world.resolved(ticket));
    let late = world.open.remove(0);
    world.end(&late, Ok(page(vec![machine("m1", "a")], None)));
    world.poll(&rotate());
    world.rig.evict();
    world.open.clear();
    assert_eq!(in_use(&mut world), "sealed-1");
    world.open.clear();
    world.assert_quiet();
}

#[test]
fn an_account_that_is_not_connected_takes_no_other_credential() {
    let mut world = World::new();
    reason(&world.ask(&rotate()));
}
