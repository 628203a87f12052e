//! Lists: what is missing there is taken for gone, so one that is not whole must not look as if it were.

use serde_json::json;
use tidegate_provider_api::{ErrorKind, Request};

use crate::rig::{Rig, destroy};

fn made(rig: &mut Rig, count: u32) -> Vec<String> {
    let mut ids = Vec::new();
    for attempt in 1..=count {
        ids.push(rig.created(attempt).id);
        // Lists are in the order of time.
        rig.sim.advance(1_000);
    }
    ids.sort();
    ids
}

pub fn a_list_of_nothing_is_whole_and_empty(rig: &mut Rig) {
    assert_eq!(rig.list_all().unwrap(), []);
    made(rig, 1);
    rig.sim.always("list", &json!({"do": "empty_list"}));
    assert_eq!(rig.list_all().unwrap(), []);
}

pub fn a_list_in_small_pages_is_read_to_its_end(rig: &mut Rig) {
    let made = made(rig, 5);
    for size in [1, 2, 5] {
        rig.sim
            .always("list", &json!({"do": "small_pages", "size": size}));
        assert_eq!(rig.listed(), made, "in pages of {size}");
        rig.sim.heal();
    }
    assert_eq!(rig.listed(), made);
}

pub fn pages_that_overlap_lose_nothing(rig: &mut Rig) {
    let made = made(rig, 4);
    rig.sim
        .always("list", &json!({"do": "small_pages", "size": 2}));
    rig.sim.always("list", &json!({"do": "overlapping_pages"}));
    let mut listed = rig.listed();
    listed.dedup();
    assert_eq!(listed, made);
}

pub fn a_partial_list_is_an_error_and_never_a_short_list(rig: &mut Rig) {
    made(rig, 3);
    rig.sim.always("list", &json!({"do": "partial_list"}));
    let (region, _) = rig.row.rents;
    let listed_in = rig.regions();
    let region = listed_in.iter().find(|known| *known == region);
    let region = region.unwrap_or(&listed_in[0]).clone();
    let error = rig.list(&region).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Network, "{error}");
    assert!(!error.permanent, "{error}");
}

pub fn a_list_that_cannot_be_read_is_an_error(rig: &mut Rig) {
    made(rig, 1);
    for body in ["", "{}", "null", "[]", "<html>", "{\"pods\": null}", "<x/>"] {
        let fault = json!({"do": "status", "status": 200, "body": body});
        for region in rig.regions() {
            rig.sim.once("list", &fault);
            let error = rig.list(&region).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Network, "{body}: {error}");
        }
    }
}

pub fn a_page_that_there_is_not_is_an_error(rig: &mut Rig) {
    made(rig, 1);
    for region in rig.regions() {
        let page = Some("bm8gc3VjaCBwYWdl".to_owned());
        let error = rig.ask(Request::List { region, page }).unwrap_err();
        assert_ne!(error.kind, ErrorKind::NotFound, "{error}");
    }
}

pub fn a_list_may_be_old_and_then_only_asking_for_the_machine_tells(rig: &mut Rig) {
    let old = rig.running(1);
    rig.sim.advance(60_000);
    rig.sim
        .always("list", &json!({"do": "stale", "ms": 30_000}));
    let new = rig.created(2);
    rig.accepted(destroy(&old));
    rig.sim.until(&old.id, "terminated");
    assert_eq!(rig.listed(), std::slice::from_ref(&old.id));
    assert_eq!(rig.see(&new).id, new.id);
    rig.sim.advance(31_000);
    let alive = rig.list_all().unwrap();
    let alive = alive
        .iter()
        .filter(|m| m.state != tidegate_provider_api::MachineState::Terminated);
    let alive: Vec<&str> = alive.map(|machine| machine.id.as_str()).collect();
    assert_eq!(alive, [new.id.as_str()]);
}

pub fn each_machine_is_in_the_list_of_one_region(rig: &mut Rig) {
    let machine = rig.created(1);
    let mut shown_in = Vec::new();
    for region in rig.regions() {
        if rig
            .list(&region)
            .unwrap()
            .iter()
            .any(|each| each.id == machine.id)
        {
            shown_in.push(region);
        }
    }
    assert_eq!(shown_in.len(), 1, "{shown_in:?}");
    // A region that has no machines of its own answers too.
    let regions = rig.regions().len();
    assert!(regions == 1 || shown_in[0] == machine.region);
}
