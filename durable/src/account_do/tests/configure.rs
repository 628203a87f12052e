use serde_json::json;
use tidegate_provider_api::{ErrorKind, Request};

use super::vendor::PLAIN;
use super::world::{
    World, accepted, destroy, error, list, machine, no_answer, page, secs, shown, spec, terminated,
};
use crate::bindings::account::{AccountCommand, OffersAnswer, RemoveAnswer, TestReport};
use crate::bindings::rental::{VendorAction, VendorFact};

fn remove(generation: u64) -> AccountCommand {
    AccountCommand::Remove { generation }
}

fn kept(answer: &RemoveAnswer) -> &[String] {
    match answer {
        RemoveAnswer::Kept { reason, instances } => {
            assert!(!reason.is_empty());
            instances
        }
        RemoveAnswer::Removed => panic!("it is gone"),
    }
}

fn rows(world: &World) -> i64 {
    ["attempts", "calls", "strays", "regions", "sweep", "hints"]
        .iter()
        .map(|table| world.rig.count(table))
        .sum()
}

#[test]
fn an_older_word_of_the_registry_changes_nothing() {
    let mut world = World::plain();
    world.configure(PLAIN, "r1,r2", 3);
    for region in ["r1", "r2"] {
        world.answer(&list(region, None), Ok(page(vec![], None)));
    }
    world.said.clear();
    world.configure(PLAIN, "r7", 2);
    world.configure(PLAIN, "r7", 3);
    world.rig.evict();
    world.assert_idle();
    world.wait_for(&list("r1", None));
    // The credential came with the first word and stays.
    assert_eq!(world.open[0].credential.sealed, "sealed-1");
}

#[test]
fn an_account_with_nothing_alive_is_forgotten_and_calls_nobody_any_more() {
    let mut world = World::plain();
    world.rent("a");
    let no = error(ErrorKind::Capacity, "create");
    world.answer(&Request::Create(spec("a")), Err(no));
    // A vendor may refuse and do it all the same: whole lists tell, once they are late enough.
    assert_eq!(kept(&world.ask(&remove(2))), ["a"]);
    world.sweep(&[]);
    world.facts.clear();
    world.said.clear();
    let answer: RemoveAnswer = world.ask(&remove(2));
    assert_eq!(answer, RemoveAnswer::Removed);
    let retire = json!({"command": "retire_account", "org": "acme", "account": "acc_1"});
    assert_eq!(world.said, [("directory".to_owned(), retire.clone())]);
    world.said.clear();
    assert_eq!(rows(&world), 0);
    assert!(
        !world
            .rig
            .text("SELECT record FROM account")
            .contains("sealed-1")
    );
    assert!(!world.view().connected);
    world.wait(secs(3_600));
    world.assert_idle();
    // Repeated, late and mistaken messages.
    world.rig.evict();
    let answer: RemoveAnswer = world.ask(&remove(2));
    assert_eq!(answer, RemoveAnswer::Removed);
    world.configure(PLAIN, "r1", 1);
    world.look("a");
    assert!(!world.view().connected);
    world.rent("b");
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::CreateRefused { .. }]
    ));
    world.assert_idle();
    // Somebody enrolled it once more.
    world.tell(&AccountCommand::Tick);
    assert_eq!(world.said, [("directory".to_owned(), retire)]);
}

#[test]
fn an_account_stays_while_anything_of_it_may_be_alive() {
    // A "create" under way, and one whose fate nobody knows.
    let mut world = World::plain();
    world.rent("a");
    assert_eq!(kept(&world.ask(&remove(2))), ["a"]);
    world.answer(&Request::Create(spec("a")), Err(no_answer("create")));
    assert_eq!(kept(&world.ask(&remove(2))), ["a"]);
    // A machine.
    world.sweep(&[machine("m1", "a")]);
    assert_eq!(kept(&world.ask(&remove(2))), ["a"]);
    world.act("a", VendorAction::Destroy, 1);
    world.answer(&destroy("m1"), Ok(accepted()));
    assert_eq!(kept(&world.ask(&remove(2))), ["a"]);
    world.look("a");
    let gone = terminated("m1", "a");
    world.answer(&super::world::get("m1"), Ok(shown(gone)));
    // A stray.
    world.sweep(&[machine("m9", "z")]);
    assert!(kept(&world.ask(&remove(2))).is_empty());
    world.sweep(&[]);
    for _ in 0..2 {
        world.wait_for(&super::world::get("m9"));
        let gone = error(ErrorKind::NotFound, "get");
        world.answer(&super::world::get("m9"), Err(gone));
    }
    let answer: RemoveAnswer = world.ask(&remove(2));
    assert_eq!(answer, RemoveAnswer::Removed);
}

#[test]
fn an_order_that_waits_keeps_the_account_too() {
    let mut world = World::plain();
    world.rent("a");
    let limited = error(ErrorKind::RateLimited, "create").retry_after(Some(60_000));
    world.answer(&Request::Create(spec("a")), Err(limited));
    assert_eq!(kept(&world.ask(&remove(2))), ["a"]);
}

#[test]
fn a_removal_that_is_older_than_the_last_change_is_refused() {
    let mut world = World::plain();
    world.configure(PLAIN, "r1,r2", 5);
    assert!(kept(&world.ask(&remove(5))).is_empty());
    assert!(kept(&world.ask(&remove(4))).is_empty());
    assert!(world.view().connected);
}

#[test]
fn whoever_waits_for_an_account_that_is_removed_is_answered() {
    let mut world = World::plain();
    let offers = world.poll(&AccountCommand::Offers);
    let test = world.poll(&AccountCommand::Test);
    let rotation = AccountCommand::Rotate {
        sealed: "sealed-2".to_owned(),
    };
    let rotation = world.poll(&rotation);
    let late: Vec<_> = std::mem::take(&mut world.open);
    world.ask::<RemoveAnswer>(&remove(2));
    let offers: OffersAnswer = world.resolved(offers);
    assert_eq!(offers.failures.len(), 1);
    let report: TestReport = world.resolved(test);
    assert!(report.error.is_some());
    world.resolved::<serde_json::Value>(rotation);
    world.said.clear();
    for call in late {
        world.end(&call, Err(no_answer("shop")));
    }
    world.assert_idle();
}

#[test]
fn an_account_can_be_connected_again_after_its_removal() {
    let mut world = World::plain();
    world.ask::<RemoveAnswer>(&remove(2));
    world.said.clear();
    world.configure(PLAIN, "r1", 3);
    // Without a credential nobody is called.
    world.wait(secs(600));
    assert_eq!(world.calls(), []);
    assert!(world.view().connected);
}

#[test]
fn an_account_that_was_never_told_anything_can_be_removed() {
    let mut world = World::new();
    let answer: RemoveAnswer = world.ask(&remove(1));
    assert_eq!(answer, RemoveAnswer::Removed);
    world.said.clear();
    world.configure(PLAIN, "r1", 1);
    assert!(!world.view().connected);
}

#[test]
fn an_account_stays_until_a_late_list_has_shown_what_was_made() {
    let mut world = World::renting(PLAIN);
    world.look("a");
    world.answer(&super::world::get("m1"), Ok(shown(terminated("m1", "a"))));
    assert_eq!(world.view().live, 0);
    // A "create" makes two now and then, and lists lag.
    assert_eq!(kept(&world.ask(&remove(2))), ["a"]);
    world.rig.evict();
    assert_eq!(kept(&world.ask(&remove(2))), ["a"]);
    world.sweep(&[]);
    let answer: RemoveAnswer = world.ask(&remove(2));
    assert_eq!(answer, RemoveAnswer::Removed);
}

#[test]
fn an_account_stays_until_what_it_told_has_arrived() {
    let mut world = World::plain();
    world.rent("a");
    world.is_deaf = true;
    let no = error(ErrorKind::Capacity, "create");
    world.answer(&Request::Create(spec("a")), Err(no));
    world.sweep(&[]);
    assert!(kept(&world.ask(&remove(2))).is_empty());
    world.is_deaf = false;
    world.wait(secs(60));
    let answer: RemoveAnswer = world.ask(&remove(2));
    assert_eq!(answer, RemoveAnswer::Removed);
}
