use tidegate_provider_api::{ErrorKind, Machine, MachineState, Reply as VendorReply, Request};

use super::vendor::{IDEMPOTENT, PLAIN};
use super::world::{
    World, created, error, get, list, machine, marker, no_answer, page, secs, seen, shown, spec,
};
use crate::bindings::account::AccountCommand;
use crate::bindings::rental::VendorFact;

#[test]
fn a_look_is_answered_whether_or_not_anything_is_new() {
    let mut world = World::renting(PLAIN);
    for _ in 0..2 {
        world.look("a");
        world.answer(&get("m1"), Ok(shown(machine("m1", "a"))));
        assert_eq!(world.take_facts(), [seen(machine("m1", "a"))]);
    }
    world.assert_idle();
}

#[test]
fn one_question_is_under_way_for_a_machine() {
    let mut world = World::renting(PLAIN);
    world.look("a");
    world.look("a");
    assert_eq!(world.calls(), [get("m1")]);
    world.answer(&get("m1"), Ok(shown(machine("m1", "a"))));
    assert_eq!(world.take_facts(), [seen(machine("m1", "a"))]);
    world.assert_idle();
}

#[test]
fn not_found_tells_when_it_was_asked() {
    let mut world = World::renting(PLAIN);
    let last_seen_ms = Some(world.rig.now.as_ms());
    // Within the lag of what the vendor shows it says nothing, and nobody is told.
    world.rig.wait(secs(119));
    world.look("a");
    world.answer(&get("m1"), Err(error(ErrorKind::NotFound, "get")));
    assert_eq!(world.take_facts(), []);
    world.rig.wait(secs(1));
    world.look("a");
    let asked_at_ms = world.rig.now.as_ms();
    world.rig.wait(secs(9));
    world.answer(&get("m1"), Err(error(ErrorKind::NotFound, "get")));
    let in_list = false;
    let absent = VendorFact::NotSeen {
        asked_at_ms,
        in_list,
        last_seen_ms,
    };
    assert_eq!(world.take_facts(), [absent]);
    world.assert_idle();
}

#[test]
fn a_machine_of_somebody_else_under_the_same_id_is_not_ours() {
    let mut world = World::renting(PLAIN);
    world.rig.wait(secs(120));
    world.look("a");
    let other = Machine {
        marker: Some(marker("b", 1)),
        ..machine("m1", "a")
    };
    world.answer(&get("m1"), Ok(shown(other)));
    assert!(matches!(
        world.take_facts()[..],
        [VendorFact::NotSeen { in_list: false, .. }]
    ));
    // A vendor that shows no marker for a single machine is believed.
    let plain = Machine {
        marker: None,
        ..machine("m1", "a")
    };
    world.look("a");
    world.answer(&get("m1"), Ok(shown(plain.clone())));
    assert_eq!(world.take_facts(), [seen(plain)]);
}

#[test]
fn a_question_without_an_answer_is_asked_again_for_ten_minutes() {
    let mut world = World::renting(PLAIN);
    world.look("a");
    let began = world.rig.now;
    while world.rig.count("calls") == 1 {
        world.wait_for(&get("m1"));
        for call in std::mem::take(&mut world.open) {
            let operation = call.request.operation();
            world.end(&call, Err(no_answer(operation)));
        }
    }
    let took = world.rig.now.since(began);
    assert!(took >= secs(600) && took < secs(700), "{took:?}");
    assert_eq!(world.take_facts(), []);
}

#[test]
fn many_questions_become_one_list() {
    let mut world = World::connected(IDEMPOTENT);
    let names: Vec<String> = (0..14).map(|n| format!("i{n}")).collect();
    let all: Vec<Machine> = names
        .iter()
        .map(|name| machine(&format!("m{name}"), name))
        .collect();
    for (name, machine) in names.iter().zip(&all) {
        world.rent(name);
        world.answer(&Request::Create(spec(name)), Ok(created(machine.clone())));
    }
    world.facts.clear();
    world.wait(secs(20));
    for name in &names {
        world.look(name);
    }
    // Three were asked for at once; eleven waited and became one list.
    let gets = world.calls().len();
    assert!(world.calls().iter().all(|call| call.operation() == "get"));
    assert_eq!(gets, 3);
    for call in std::mem::take(&mut world.open) {
        let Request::Get { id, .. } = &call.request else {
            panic!("{call:?}");
        };
        let machine = all.iter().find(|machine| machine.id == *id).unwrap();
        world.end(&call, Ok(shown(machine.clone())));
    }
    world.wait_for(&list("r1", None));
    assert_eq!(world.calls(), [list("r1", None)]);
    assert_eq!(world.facts.len(), 3);
    world.answer(&list("r1", None), Ok(page(all, None)));
    assert_eq!(world.facts.len(), 14);
    world.facts.clear();
    world.assert_idle();
}

#[test]
fn a_look_for_what_has_no_machine_yet_is_answered_by_a_list() {
    let mut world = World::plain();
    world.rent("a");
    world.look("a");
    let create = Request::Create(spec("a"));
    world.wait(secs(1));
    assert!(world.calls().contains(&list("r1", None)));
    world.facts.clear();
    let asked_at_ms = world.rig.now.as_ms();
    world.answer(&list("r1", None), Ok(page(vec![], None)));
    let VendorFact::NotSeen {
        asked_at_ms: told,
        in_list: true,
        ..
    } = world.take_facts()[0]
    else {
        panic!("the list tells");
    };
    assert!(told <= asked_at_ms);
    assert_eq!(world.calls(), [create]);
}

#[test]
fn a_look_for_what_nobody_knows_lists_everything() {
    let mut world = World::plain();
    world.look("nobody");
    world.answer(&list("r1", None), Ok(page(vec![], None)));
    world.assert_idle();
}

#[test]
fn a_bill_is_told_once_the_vendor_has_one() {
    let mut world = World::renting(PLAIN);
    let rented_at = world.rig.now.as_ms();
    world.rig.wait(secs(100));
    let bill = AccountCommand::Bill {
        instance: "a".to_owned(),
        attempt: 1,
    };
    let request = Request::Bill {
        region: "r1".to_owned(),
        id: "m1".to_owned(),
        since_ms: rented_at,
        until_ms: world.rig.now.as_ms(),
    };
    world.tell(&bill);
    world.tell(&bill);
    world.answer(&request, Ok(VendorReply::Bill { microusd: None }));
    world.assert_idle();
    world.tell(&bill);
    let microusd = 12_345;
    world.answer(
        &request,
        Ok(VendorReply::Bill {
            microusd: Some(microusd),
        }),
    );
    assert_eq!(world.take_facts(), [VendorFact::Billed { microusd }]);
    world.assert_idle();
}

#[test]
fn only_what_is_new_is_told_of_a_machine_in_a_list() {
    let mut world = World::renting(PLAIN);
    world.sweep(&[machine("m1", "a")]);
    world.assert_idle();
    let stopped = Machine {
        state: MachineState::Stopped,
        ..machine("m1", "a")
    };
    world.sweep(std::slice::from_ref(&stopped));
    assert_eq!(world.take_facts(), [seen(stopped.clone())]);
    world.sweep(&[stopped]);
    world.assert_idle();
}
