use serde_json::Value;
use tidegate_provider_api::{ErrorKind, Part, Query, Region, Reply as VendorReply, Request};

use super::vendor::{IDEMPOTENT, offer, query};
use super::world::{World, error, list, no_answer, page, secs};
use crate::bindings::account::{AccountCommand, OffersAnswer, RegionsAnswer};

fn shop(region: &str, page: Option<&str>) -> Request {
    Request::Shop(query(region, page))
}

fn part(region: &str, page: Option<&str>, machine_type: &str, next: Option<Query>) -> VendorReply {
    VendorReply::Part(Part {
        query: query(region, page),
        body: Value::from(machine_type),
        next,
    })
}

fn two_regions() -> World {
    let mut world = World::new();
    world.configure(IDEMPOTENT, "r1,r2", 1);
    for region in ["r1", "r2"] {
        world.answer(&list(region, None), Ok(page(vec![], None)));
    }
    world.said.clear();
    world
}

#[test]
fn the_catalogue_is_read_once_for_all_who_wait_and_kept_for_a_minute() {
    let mut world = two_regions();
    let first = world.poll(&AccountCommand::Offers);
    let second = world.poll(&AccountCommand::Offers);
    assert_eq!(world.calls(), [shop("r1", None), shop("r2", None)]);
    let next = Some(query("r1", Some("two")));
    world.answer(&shop("r1", None), Ok(part("r1", None, "a", next)));
    world.answer(&shop("r2", None), Ok(part("r2", None, "c", None)));
    assert!(world.resolved.is_empty());
    world.rig.wait(secs(2));
    world.answer(
        &shop("r1", Some("two")),
        Ok(part("r1", Some("two"), "b", None)),
    );
    let expected = OffersAnswer {
        offers: vec![offer("a"), offer("b"), offer("c")],
        fetched_at_ms: Some(world.at(2)),
        failures: vec![],
    };
    assert_eq!(world.resolved::<OffersAnswer>(first), expected);
    assert_eq!(world.resolved::<OffersAnswer>(second), expected);
    world.rig.wait(secs(59));
    assert_eq!(world.ask::<OffersAnswer>(&AccountCommand::Offers), expected);
    world.rig.wait(secs(1));
    world.poll(&AccountCommand::Offers);
    assert_eq!(world.calls(), [shop("r1", None), shop("r2", None)]);
}

#[test]
fn what_could_not_be_read_is_named_and_the_rest_is_served() {
    let mut world = two_regions();
    let ticket = world.poll(&AccountCommand::Offers);
    let failure = error(ErrorKind::Auth, "shop");
    world.answer(&shop("r1", None), Err(failure.clone()));
    world.answer(&shop("r2", None), Ok(part("r2", None, "c", None)));
    let expected = OffersAnswer {
        offers: vec![offer("c")],
        fetched_at_ms: Some(world.at(0)),
        failures: vec![failure],
    };
    assert_eq!(world.resolved::<OffersAnswer>(ticket), expected);
    world.assert_idle();
}

#[test]
fn while_the_vendor_is_in_trouble_old_offers_are_served_with_their_age() {
    let mut world = World::connected(IDEMPOTENT);
    let ticket = world.poll(&AccountCommand::Offers);
    world.answer(&shop("r1", None), Ok(part("r1", None, "a", None)));
    let fetched: OffersAnswer = world.resolved(ticket);
    world.rig.wait(secs(61));
    let ticket = world.poll(&AccountCommand::Offers);
    world.answer(&shop("r1", None), Err(no_answer("shop")));
    let stale: OffersAnswer = world.resolved(ticket);
    assert_eq!(stale.offers, fetched.offers);
    assert_eq!(stale.fetched_at_ms, Some(world.at(0)));
    assert_eq!(stale.failures, [no_answer("shop")]);
    // Up to five minutes they are not even asked for again.
    world.rig.wait(secs(200));
    let kept: OffersAnswer = world.ask(&AccountCommand::Offers);
    assert_eq!(kept, fetched);
    assert_eq!(world.calls(), []);
}

#[test]
fn nobody_waits_longer_than_twenty_seconds() {
    let mut world = two_regions();
    let first = world.poll(&AccountCommand::Offers);
    world.wait(secs(7));
    let second = world.poll(&AccountCommand::Offers);
    world.answer(&shop("r2", None), Ok(part("r2", None, "c", None)));
    world.wait(secs(12));
    assert!(world.resolved.is_empty());
    world.wait(secs(1));
    let partial: OffersAnswer = world.resolved(first);
    assert_eq!(partial.offers, [offer("c")]);
    assert_eq!(partial.failures.len(), 1);
    assert!(world.resolved.is_empty());
    // Who came later still gets the whole.
    world.answer(&shop("r1", None), Ok(part("r1", None, "a", None)));
    let whole: OffersAnswer = world.resolved(second);
    assert_eq!((whole.offers.len(), whole.failures.len()), (2, 0));
}

#[test]
fn a_catalogue_that_nobody_answers_ends_with_its_calls() {
    let mut world = World::connected(IDEMPOTENT);
    let ticket = world.poll(&AccountCommand::Offers);
    world.wait(secs(20));
    let none: OffersAnswer = world.resolved(ticket);
    assert_eq!((none.offers.len(), none.fetched_at_ms), (0, None));
    assert_eq!(none.failures.len(), 1);
    world.wait(secs(10));
    world.open.clear();
    let ticket = world.poll(&AccountCommand::Offers);
    world.answer(&shop("r1", None), Ok(part("r1", None, "a", None)));
    let whole: OffersAnswer = world.resolved(ticket);
    assert_eq!(whole.offers, [offer("a")]);
}

#[test]
fn regions_are_asked_for_once_for_all_who_wait() {
    let mut world = World::connected(IDEMPOTENT);
    let first = world.poll(&AccountCommand::Regions);
    let second = world.poll(&AccountCommand::Regions);
    let regions = vec![Region {
        id: "r1".to_owned(),
        name: "One".to_owned(),
        enabled: true,
    }];
    let reply = VendorReply::Regions {
        regions: regions.clone(),
    };
    world.answer(&Request::Regions, Ok(reply));
    let expected = RegionsAnswer::Regions { regions };
    assert_eq!(world.resolved::<RegionsAnswer>(first), expected);
    assert_eq!(world.resolved::<RegionsAnswer>(second), expected);
    let ticket = world.poll(&AccountCommand::Regions);
    let failure = error(ErrorKind::Auth, "regions");
    world.answer(&Request::Regions, Err(failure.clone()));
    let failed = RegionsAnswer::Failed { error: failure };
    assert_eq!(world.resolved::<RegionsAnswer>(ticket), failed);
    let ticket = world.poll(&AccountCommand::Regions);
    world.wait(secs(20));
    let failed = world.resolved::<RegionsAnswer>(ticket);
    assert!(matches!(failed, RegionsAnswer::Failed { .. }));
    world.answer(
        &Request::Regions,
        Ok(VendorReply::Regions { regions: vec![] }),
    );
    world.assert_idle();
}

#[test]
fn an_account_that_is_not_connected_says_so() {
    let mut world = World::new();
    let offers: OffersAnswer = world.ask(&AccountCommand::Offers);
    assert_eq!(offers.failures.len(), 1);
    let regions: RegionsAnswer = world.ask(&AccountCommand::Regions);
    assert!(matches!(regions, RegionsAnswer::Failed { .. }));
}
