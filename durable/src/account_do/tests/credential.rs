use tidegate_provider_api::{ErrorKind, Reply as VendorReply, Request};

use super::vendor::PLAIN;
use super::world::{World, error, get, list, machine, no_answer, page, secs, shown, terminated};
use crate::bindings::account::{AccountCommand, PermissionReport, TestReport};
use crate::bindings::rental::VendorFact;

fn verified() -> VendorReply {
    VendorReply::Verified {
        principal: Some("arn:somebody".to_owned()),
    }
}

fn check(permission: &str) -> Request {
    Request::Check {
        permission: permission.to_owned(),
        region: "r1".to_owned(),
    }
}

fn permission(name: &str, allowed: Option<bool>, detail: &str) -> PermissionReport {
    PermissionReport {
        name: name.to_owned(),
        allowed,
        required: true,
        detail: detail.to_owned(),
    }
}

#[test]
fn a_test_says_who_it_is_and_what_it_may_do() {
    let mut world = World::plain();
    let first = world.poll(&AccountCommand::Test);
    let second = world.poll(&AccountCommand::Test);
    assert_eq!(world.calls(), [Request::Verify]);
    world.answer(&Request::Verify, Ok(verified()));
    world.answer(&check("list"), Ok(VendorReply::Allowed));
    let no = error(ErrorKind::Auth, "check");
    world.answer(&check("create"), Err(no.clone()));
    let expected = TestReport {
        reachable: true,
        authenticated: true,
        principal: Some("arn:somebody".to_owned()),
        permissions: vec![
            permission("list", Some(true), ""),
            permission("create", Some(false), "nothing can be rented"),
        ],
        error: Some(no),
    };
    assert_eq!(world.resolved::<TestReport>(first), expected);
    assert_eq!(world.resolved::<TestReport>(second), expected);
    // To be refused a permission is no reason to be asked less.
    assert_eq!(world.view().backs_off_until_ms, None);
    world.assert_idle();
}

#[test]
fn a_test_tells_a_vendor_that_is_not_there_from_one_that_refuses() {
    let mut world = World::plain();
    let ticket = world.poll(&AccountCommand::Test);
    world.answer(&Request::Verify, Err(no_answer("verify")));
    let report: TestReport = world.resolved(ticket);
    assert_eq!((report.reachable, report.authenticated), (false, false));
    // Whatever the pause: somebody waits to see whether it works again.
    let ticket = world.poll(&AccountCommand::Test);
    let refused = error(ErrorKind::Auth, "verify").status(401);
    world.answer(&Request::Verify, Err(refused.clone()));
    let report: TestReport = world.resolved(ticket);
    assert_eq!((report.reachable, report.authenticated), (true, false));
    assert_eq!(report.error, Some(refused));
    assert_eq!(world.take_audits(), ["account.credential_refused acc_1"]);
    let ticket = world.poll(&AccountCommand::Test);
    world.answer(&Request::Verify, Ok(verified()));
    assert_eq!(world.take_audits(), ["account.credential_accepted acc_1"]);
    for name in ["list", "create"] {
        world.answer(&check(name), Ok(VendorReply::Allowed));
    }
    assert!(world.resolved::<TestReport>(ticket).authenticated);
}

#[test]
fn a_test_that_takes_too_long_says_what_is_not_known() {
    let mut world = World::plain();
    let ticket = world.poll(&AccountCommand::Test);
    world.answer(&Request::Verify, Ok(verified()));
    world.answer(&check("list"), Err(no_answer("check")));
    world.wait(secs(20));
    let report: TestReport = world.resolved(ticket);
    assert!(report.authenticated);
    assert_eq!(report.permissions[0].allowed, None);
    assert_eq!(
        report.permissions[1],
        permission("create", None, "the vendor did not say in time")
    );
    assert!(report.error.is_some());
}

#[test]
fn a_refused_credential_is_told_once_to_whom_it_concerns_and_heals_by_itself() {
    let mut world = World::renting(PLAIN);
    let refused = error(ErrorKind::Auth, "list").status(401);
    world.wait_for(&list("r1", None));
    world.answer(&list("r1", None), Err(refused.clone()));
    let told = VendorFact::CredentialRefused {
        error: refused.clone(),
    };
    assert_eq!(world.take_facts(), [told]);
    assert_eq!(world.take_audits(), ["account.credential_refused acc_1"]);
    assert_eq!(world.view().last_error, Some(refused.clone()));
    // It is asked again, ever more seldom, and nobody is told anew.
    for _ in 0..5 {
        world.wait_for(&list("r1", None));
        world.answer(&list("r1", None), Err(refused.clone()));
        world.assert_quiet();
    }
    world.rig.evict();
    world.wait_for(&list("r1", None));
    world.answer(&list("r1", None), Ok(page(vec![machine("m1", "a")], None)));
    assert_eq!(world.take_audits(), ["account.credential_accepted acc_1"]);
    assert_eq!(world.view().backs_off_until_ms, None);
    world.assert_quiet();
}

#[test]
fn a_region_that_is_closed_to_the_account_does_not_make_it_an_outage_each_time() {
    let mut world = World::new();
    world.configure(PLAIN, "r1,r2", 1);
    let refused = error(ErrorKind::Auth, "list");
    world.answer(&list("r1", None), Err(refused.clone()));
    assert_eq!(world.take_audits(), ["account.credential_refused acc_1"]);
    for _ in 0..3 {
        world.wait_for(&list("r2", None));
        world.answer(&list("r2", None), Ok(page(vec![], None)));
        world.wait_for(&list("r1", None));
        world.answer(&list("r1", None), Err(refused.clone()));
        assert_eq!(world.take_audits(), [""; 0]);
    }
    world.wait_for(&list("r2", None));
    world.answer(&list("r2", None), Ok(page(vec![], None)));
    world.wait_for(&list("r1", None));
    world.answer(&list("r1", None), Ok(page(vec![], None)));
    assert_eq!(world.take_audits(), ["account.credential_accepted acc_1"]);
}

#[test]
fn after_too_many_calls_everything_waits_also_over_an_eviction() {
    let mut world = World::renting(PLAIN);
    world.look("a");
    let limited = error(ErrorKind::RateLimited, "get").retry_after(Some(60_000));
    world.answer(&get("m1"), Err(limited));
    world.rig.evict();
    world.act("a", crate::bindings::rental::VendorAction::Destroy, 1);
    assert_eq!(world.calls(), []);
    let until = world.view().backs_off_until_ms.unwrap();
    assert!(until >= world.at(60), "{until}");
    world.wait(secs(59));
    assert_eq!(world.calls(), []);
    world.wait(secs(11));
    // The machine that is given back goes first.
    assert_eq!(world.calls(), [super::world::destroy("m1")]);
    world.answer(&super::world::destroy("m1"), Ok(super::world::accepted()));
    assert_eq!(world.calls(), [get("m1")]);
    world.answer(&get("m1"), Ok(shown(terminated("m1", "a"))));
    world.facts.clear();
    world.assert_idle();
}
