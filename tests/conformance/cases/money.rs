//! What the vendor says that a machine cost, beside simcloud's own meter.

use serde_json::json;
use tidegate_provider_api::{ErrorKind, MachineState, Reply, Request};

use crate::rig::{Rig, destroy, number, start, stop};

const DAY_MS: u64 = 24 * 3_600_000;

fn bill(rig: &mut Rig, request: Request) -> Option<u64> {
    match rig.ask(request).unwrap() {
        Reply::Bill { microusd } => microusd,
        other => panic!("{other:?}"),
    }
}

/// Needs bills.
pub fn a_bill_is_the_meters_to_the_micro_dollar(rig: &mut Rig) {
    let first = rig.running(1);
    let second = rig.running(2);
    rig.sim.advance(3 * DAY_MS + 12_345_678);
    if rig.capability.stop_start {
        rig.accepted(stop(&first));
        rig.sim.until(&first.id, "stopped");
        rig.sim.advance(DAY_MS + 7_654_321);
        rig.accepted(start(&first));
        rig.sim.until(&first.id, "running");
        rig.sim.advance(1_234_567);
    }
    for machine in [&first, &second] {
        rig.accepted(destroy(machine));
        rig.sim.until(&machine.id, "terminated");
    }
    rig.sim.advance(DAY_MS);
    for machine in [&first, &second] {
        let request = rig.bill_request(machine);
        let billed = bill(rig, request);
        let metered = number(&rig.sim.meter(&machine.id)["microusd"]);
        assert!(metered > 1_000_000);
        assert_eq!(billed, Some(metered));
    }
}

/// Needs bills.
pub fn a_bill_that_lags_is_less_and_never_made_up(rig: &mut Rig) {
    let machine = rig.running(1);
    rig.sim.advance(3_600_000);
    rig.sim
        .always("bill", &json!({"do": "bill_lag", "ms": 1_800_000}));
    let request = rig.bill_request(&machine);
    let lagging = bill(rig, request.clone()).unwrap();
    rig.sim.heal();
    let whole = bill(rig, request).unwrap();
    assert!(0 < lagging && lagging < whole, "{lagging} of {whole}");
    assert!(whole <= number(&rig.sim.meter(&machine.id)["microusd"]));
}

/// Needs bills.
pub fn a_machine_that_there_is_no_record_of_has_no_bill(rig: &mut Rig) {
    let machine = rig.running(1);
    let (region, id) = (machine.region.clone(), rig.row.unknown_id.to_owned());
    let now = rig.sim.with(|_, now| now);
    let unknown = Request::Bill {
        region,
        id,
        since_ms: now - 3_600_000,
        until_ms: now,
    };
    assert_eq!(bill(rig, unknown), None);
    for body in ["", "{}", "[]", "null"] {
        let fault = json!({"do": "status", "status": 200, "body": body});
        rig.sim.once("bill", &fault);
        let request = rig.bill_request(&machine);
        let error = rig.ask(request).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Network, "{body}: {error}");
    }
}

pub fn the_meter_begins_and_ends_at_the_seconds_that_are_told(rig: &mut Rig) {
    let machine = rig.running(1);
    rig.sim.advance(3_700_000);
    let seconds = |ms: i64| ms.div_euclid(1000);
    let from = rig.see(&machine).billed_from_ms.unwrap();
    let running = rig.see(&machine);
    assert_eq!(running.billed_until_ms, None);
    rig.accepted(destroy(&machine));
    rig.sim.until(&machine.id, "terminated");
    let meter = rig.sim.meter(&machine.id);
    let stretch = &meter["stretches"][0];
    let began = i64::try_from(number(&stretch["from_ms"])).unwrap();
    let ended = i64::try_from(number(&stretch["to_ms"])).unwrap();
    assert_eq!(seconds(from), seconds(began));
    // A vendor that does not show what is gone has no end to tell.
    if let Ok(gone) = rig.get(&machine) {
        assert_eq!(gone.state, MachineState::Terminated);
        assert_eq!(gone.billed_until_ms.map(seconds), Some(seconds(ended)));
        let told = seconds(gone.billed_until_ms.unwrap()) - seconds(gone.billed_from_ms.unwrap());
        assert_eq!(
            u64::try_from(told).unwrap(),
            number(&meter["seconds"]["full"])
        );
    }
}
