use tidegate_provider_api::{ErrorKind, Machine, Request};

use super::vendor::{IDEMPOTENT, PLAIN};
use super::world::{
    World, created, error, fact_created, fingerprint, list, machine, marker, no_answer, page, secs,
    seen, spec,
};
use crate::bindings::account::AccountCommand;
use crate::bindings::rental::{VendorAction, VendorFact};

fn create() -> Request {
    Request::Create(spec("a"))
}

fn withdraw(world: &mut World) {
    world.tell(&AccountCommand::Withdraw {
        instance: "a".to_owned(),
        attempt: 1,
    });
}

#[test]
fn a_create_leaves_with_the_fact_that_it_does_and_ends_with_a_machine() {
    let mut world = World::plain();
    world.rent("a");
    // In one turn: the row is marked, the fact is in the outbox, the call leaves.
    assert_eq!(world.take_facts(), [VendorFact::CreateSent]);
    assert_eq!(world.calls(), [create()]);
    assert_eq!(world.open[0].credential.sealed, "sealed-1");
    assert_eq!(world.open[0].timeout_ms, 55_000);
    let sent = world.rig.text("SELECT record FROM calls");
    assert!(sent.contains("\"sent\":{"), "{sent}");
    world.answer(&create(), Ok(created(machine("m1", "a"))));
    assert_eq!(world.take_facts(), [fact_created(machine("m1", "a"))]);
    assert_eq!(world.rig.count("calls"), 0);
    assert_eq!(world.view().live, 1);
    world.assert_idle();
}

#[test]
fn the_same_order_again_is_the_same_attempt() {
    let mut world = World::plain();
    world.rent("a");
    world.rent("a");
    assert_eq!(world.calls(), [create()]);
    assert_eq!(world.take_facts(), [VendorFact::CreateSent]);
    world.answer(&create(), Ok(created(machine("m1", "a"))));
    world.facts.clear();
    world.rent("a");
    world.assert_idle();
}

#[test]
fn a_clear_no_ends_the_attempt() {
    for kind in [
        ErrorKind::Auth,
        ErrorKind::Quota,
        ErrorKind::Capacity,
        ErrorKind::Runtime,
        ErrorKind::Validation,
        ErrorKind::NotFound,
    ] {
        let mut world = World::plain();
        world.rent("a");
        let error = error(kind, "create");
        world.facts.clear();
        world.answer(&create(), Err(error.clone()));
        let refused = VendorFact::CreateRefused { error };
        assert_eq!(world.take_facts(), std::slice::from_ref(&refused));
        assert_eq!(world.view().live, 0);
        assert_eq!(world.rig.count("calls"), 0);
        // Whoever asks again is told again.
        withdraw(&mut world);
        world.act("a", VendorAction::Destroy, 1);
        assert_eq!(world.take_facts(), [refused.clone(), refused]);
        world.audits.clear();
        world.assert_idle();
    }
}

#[test]
fn too_many_calls_is_no_answer_to_the_order_and_the_account_asks_again() {
    let mut world = World::plain();
    world.rent("a");
    world.facts.clear();
    let error = error(ErrorKind::RateLimited, "create").retry_after(Some(30_000));
    world.answer(&create(), Err(error.clone()));
    world.assert_idle();
    assert_eq!(world.view().live, 0);
    world.wait(secs(29));
    assert_eq!(world.calls(), []);
    world.wait(secs(12));
    assert_eq!(world.calls(), [create()]);
    world.answer(&create(), Ok(created(machine("m1", "a"))));
    // Its cost counts since the first "create" left, and that is told once.
    assert_eq!(world.take_facts(), [fact_created(machine("m1", "a"))]);
    world.assert_idle();
}

#[test]
fn an_order_that_cannot_be_given_in_ten_minutes_is_refused() {
    let mut world = World::plain();
    world.rent("a");
    world.facts.clear();
    let error = error(ErrorKind::RateLimited, "create").retry_after(Some(200_000));
    for _ in 0..3 {
        world.wait_for(&create());
        world.answer(&create(), Err(error.clone()));
    }
    world.wait(secs(200));
    assert_eq!(world.take_facts(), [VendorFact::CreateRefused { error }]);
    assert_eq!(world.rig.count("calls"), 0);
}

#[test]
fn an_order_that_waits_for_its_turn_can_be_withdrawn() {
    let mut world = World::plain();
    world.rent("a");
    let error = error(ErrorKind::RateLimited, "create").retry_after(Some(30_000));
    world.answer(&create(), Err(error));
    world.facts.clear();
    withdraw(&mut world);
    withdraw(&mut world);
    assert_eq!(
        world.take_facts(),
        [VendorFact::Withdrawn, VendorFact::Withdrawn]
    );
    world.wait(secs(120));
    assert_eq!(world.calls(), []);
    world.assert_idle();
}

#[test]
fn a_withdrawal_of_what_has_left_changes_nothing() {
    let mut world = World::plain();
    world.rent("a");
    world.facts.clear();
    withdraw(&mut world);
    assert_eq!(world.calls(), [create()]);
    world.answer(&create(), Ok(created(machine("m1", "a"))));
    assert_eq!(world.take_facts(), [fact_created(machine("m1", "a"))]);
    world.assert_idle();
}

#[test]
fn a_withdrawal_or_an_end_that_overtakes_the_order_keeps_it_from_being_sent() {
    for overtakes in [
        AccountCommand::Withdraw {
            instance: "a".to_owned(),
            attempt: 1,
        },
        AccountCommand::Act {
            instance: "a".to_owned(),
            attempt: 1,
            action: VendorAction::Destroy,
            number: 1,
        },
    ] {
        let mut world = World::plain();
        world.tell(&overtakes);
        assert_eq!(world.take_facts(), [VendorFact::Withdrawn]);
        world.rig.evict();
        world.rent("a");
        world.assert_idle();
    }
    let mut world = World::plain();
    world.abandon("a");
    world.rent("a");
    world.assert_idle();
}

#[test]
fn without_an_answer_and_without_idempotency_nobody_knows_and_lists_are_made_at_once() {
    let mut world = World::plain();
    world.rent("a");
    world.facts.clear();
    let error = no_answer("create");
    world.answer(&create(), Err(error.clone()));
    assert_eq!(world.take_facts(), [VendorFact::CreateUnclear { error }]);
    // Once the pause after its silence is over.
    assert_eq!(world.calls(), []);
    world.wait(secs(1));
    assert_eq!(world.calls(), [list("r1", None)]);
    world.answer(&list("r1", None), Ok(page(vec![], None)));
    world.assert_idle();
    // And then each minute.
    world.wait(secs(58));
    assert_eq!(world.calls(), []);
    world.wait(secs(2));
    assert_eq!(world.calls(), [list("r1", None)]);
}

#[test]
fn an_unclear_attempt_adopts_the_machine_that_a_list_shows() {
    let mut world = World::plain();
    world.rent("a");
    world.answer(&create(), Err(no_answer("create")));
    world.facts.clear();
    world.sweep(&[machine("m1", "a")]);
    assert_eq!(world.take_facts(), [seen(machine("m1", "a"))]);
    assert_eq!(world.view().live, 1);
    world.assert_idle();
    // It is not listed every minute any more.
    world.wait(secs(200));
    world.assert_idle();
}

#[test]
fn an_unclear_attempt_is_told_of_lists_without_it_once_they_mean_something() {
    let mut world = World::plain();
    world.rent("a");
    let sent_at = world.rig.now.as_ms();
    world.answer(&create(), Err(no_answer("create")));
    world.facts.clear();
    // The vendor's lists lag by two minutes.
    let mut told = Vec::new();
    while world.view().live == 1 {
        world.sweep(&[]);
        for fact in world.take_facts() {
            let VendorFact::NotSeen {
                asked_at_ms,
                in_list: true,
                ..
            } = fact
            else {
                panic!("{fact:?}");
            };
            told.push(asked_at_ms - sent_at);
        }
    }
    assert_eq!(told.len(), 2);
    assert!(
        told[0] >= 120_000 && told[1] >= told[0] + 60_000,
        "{told:?}"
    );
    assert!(told[1] <= 320_000, "{told:?}");
    world.assert_idle();
}

#[test]
fn an_idempotent_create_is_repeated_until_the_vendor_says_something() {
    let mut world = World::connected(IDEMPOTENT);
    world.rent("a");
    assert_eq!(world.take_facts(), [VendorFact::CreateSent]);
    for _ in 0..3 {
        world.wait_for(&create());
        world.answer(&create(), Err(no_answer("create")));
        world.assert_quiet();
    }
    world.wait_for(&create());
    world.answer(&create(), Ok(created(machine("m1", "a"))));
    assert_eq!(world.take_facts(), [fact_created(machine("m1", "a"))]);
    assert_eq!(world.rig.count("calls"), 0);
}

#[test]
fn an_idempotent_create_without_any_answer_is_unclear_after_ten_minutes() {
    let mut world = World::connected(IDEMPOTENT);
    world.rent("a");
    let began = world.rig.now;
    world.facts.clear();
    while world.facts.is_empty() {
        if world.calls().is_empty() {
            let at = world.alarm_at.unwrap();
            world.rig.now = at.max(world.rig.now);
            world.alarm();
        }
        for call in std::mem::take(&mut world.open) {
            let operation = call.request.operation();
            world.end(&call, Err(no_answer(operation)));
        }
    }
    let took = world.rig.now.since(began);
    assert!(took >= secs(540) && took <= secs(601), "{took:?}");
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::CreateUnclear { .. }]
    ));
}

#[test]
fn a_machine_that_a_list_shows_ends_the_repetition() {
    let mut world = World::connected(IDEMPOTENT);
    world.rent("a");
    world.answer(&create(), Err(no_answer("create")));
    world.facts.clear();
    world.tell(&AccountCommand::Sweep);
    world.wait_for(&list("r1", None));
    let others: Vec<Request> = world.calls();
    if others.contains(&create()) {
        world.answer(&create(), Err(no_answer("create")));
    }
    world.answer(&list("r1", None), Ok(page(vec![machine("m1", "a")], None)));
    assert_eq!(world.take_facts(), [seen(machine("m1", "a"))]);
    world.wait(secs(120));
    world.assert_idle();
}

#[test]
fn what_no_account_could_rent_is_refused_without_a_call() {
    let mut world = World::plain();
    let mut foreign = spec("a");
    foreign.marker.fingerprint = tidegate_provider_api::Fingerprint::parse("abcdef0123").unwrap();
    world.tell(&AccountCommand::Rent { spec: foreign });
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::CreateRefused { .. }]
    ));
    world.assert_idle();

    let mut world = World::new();
    world.configure("no such vendor", "r1", 1);
    world.rent("a");
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::CreateRefused { .. }]
    ));
}

#[test]
fn an_order_that_comes_before_the_account_is_configured_waits_for_that() {
    let mut world = World::new();
    world.rent("a");
    world.assert_idle();
    world.rig.evict();
    world.configure(PLAIN, "r1", 1);
    assert_eq!(world.take_facts(), [VendorFact::CreateSent]);
    assert!(world.calls().contains(&create()));
    // And not for ever.
    let mut world = World::new();
    world.rent("a");
    world.wait(secs(600));
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::CreateRefused { .. }]
    ));
    assert_eq!(world.rig.count("calls"), 0);
}

#[test]
fn an_order_of_another_accounts_mark_that_waited_is_refused_once_the_mark_is_known() {
    let mut world = World::new();
    let mut foreign = spec("a");
    foreign.marker.fingerprint = tidegate_provider_api::Fingerprint::parse("abcdef0123").unwrap();
    world.tell(&AccountCommand::Rent { spec: foreign });
    world.configure(PLAIN, "r1", 1);
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::CreateRefused { .. }]
    ));
    assert_eq!(world.calls(), [list("r1", None)]);
}

#[test]
fn an_answer_that_came_too_late_to_be_waited_for_is_still_heard() {
    let mut world = World::plain();
    world.rent("a");
    let call = world.open.remove(0);
    world.facts.clear();
    // A minute without an answer: from here on lists are to tell.
    world.wait(secs(60));
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::CreateUnclear { .. }]
    ));
    world.end(&call, Ok(created(machine("m1", "a"))));
    assert_eq!(world.take_facts(), [fact_created(machine("m1", "a"))]);
}

#[test]
fn a_machine_of_another_mark_in_an_answer_that_is_overheard_is_nobodys() {
    let mut world = World::plain();
    world.rent("a");
    let call = world.open.remove(0);
    world.wait(secs(60));
    world.facts.clear();
    let mut other = marker("a", 1);
    other.fingerprint = tidegate_provider_api::Fingerprint::parse("abcdef0123").unwrap();
    assert_ne!(other.fingerprint, fingerprint());
    let other = Machine {
        marker: Some(other),
        ..machine("m1", "a")
    };
    world.end(&call, Ok(created(other)));
    assert_eq!(world.take_facts(), []);
}
