//! A machine from its making to its end.

use serde_json::json;
use tidegate_provider_api::{Billing, Ending, ErrorKind, MachineState, Request};

use crate::rig::{HF_TOKEN, Rig, SHORT_LIFE_MS, destroy, place};

/// An hour.
const HOUR_MS: u64 = 3_600_000;

pub fn a_machine_that_was_made_is_found_by_its_id_and_by_its_marker(rig: &mut Rig) {
    let made = rig.created(1);
    assert_eq!(made.marker, Some(rig.marker(1)));
    assert_eq!(made.state, MachineState::Pending);
    assert_eq!(made.billing, Billing::Full);
    assert_eq!(rig.sim.living(), 1);
    let (region, machine_type) = rig.row.rents;
    assert_eq!(
        (made.region.as_str(), made.machine_type.as_deref()),
        (region, Some(machine_type))
    );

    rig.sim.until(&made.id, "running");
    let up = rig.see(&made);
    assert_eq!(
        (up.state, up.billing),
        (MachineState::Running, Billing::Full)
    );
    assert_eq!(
        (&up.id, &up.marker, &up.region),
        (&made.id, &made.marker, &made.region)
    );
    assert!(up.gpu_count.is_none_or(|count| count == 1));
    assert_eq!(rig.list_all().unwrap(), [up]);
}

pub fn the_list_shows_what_carries_a_marker_and_nothing_else(rig: &mut Rig) {
    let ours = rig.created(1);
    let mut elsewhere = rig.spec(1);
    elsewhere.marker.fingerprint = tidegate_provider_api::Fingerprint::parse("0123456789").unwrap();
    let theirs = rig.create(elsewhere).unwrap();
    let foreign = rig.created(2);
    rig.sim.with(|world, _| {
        (rig.row.disown)(world.machines.get_mut(&foreign.id).unwrap());
    });
    let listed = rig.list_all().unwrap();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let of = |id: &str| listed.iter().find(|machine| machine.id == id).unwrap();
    assert_eq!(of(&ours.id).marker, Some(rig.marker(1)));
    let marker = of(&theirs.id).marker.clone().unwrap();
    assert_ne!(marker.fingerprint, rig.fingerprint);
    assert_eq!(rig.see(&foreign).marker, None);
}

/// Where the vendor promises nothing there are two, and the list must show both.
pub fn the_same_marker_again_is_the_same_machine_or_both_are_listed(rig: &mut Rig) {
    let first = rig.created(1);
    let again = rig.created(1);
    let is_same = first.id == again.id;
    assert_eq!(is_same, rig.capability.idempotent_create);
    assert_eq!(rig.sim.living(), if is_same { 1 } else { 2 });
    let listed = rig.list_all().unwrap();
    assert_eq!(listed.len(), rig.sim.living());
    let marker = Some(rig.marker(1));
    assert!(listed.iter().all(|machine| machine.marker == marker));
    // Another attempt is another machine, whatever the vendor promises.
    let other = rig.created(2);
    assert!(other.id != first.id && other.id != again.id);
}

pub fn a_create_that_made_two_leaves_none_out_of_the_list(rig: &mut Rig) {
    rig.sim.once("create", &json!({"do": "duplicate"}));
    let told = rig.created(1);
    let listed = rig.list_all().unwrap();
    let marker = Some(rig.marker(1));
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|machine| machine.marker == marker));
    assert!(listed.iter().any(|machine| machine.id == told.id));
}

pub fn a_machine_that_never_comes_up_stays_pending_or_running_and_billed(rig: &mut Rig) {
    rig.sim.once(
        "create",
        &json!({"do": "never_boots", "at": "provisioning"}),
    );
    let stuck = rig.created(1);
    rig.sim.advance(HOUR_MS);
    let seen = rig.see(&stuck);
    assert_eq!(
        (seen.state, seen.billing),
        (MachineState::Pending, Billing::Full)
    );
    assert_eq!(rig.sim.meter(&stuck.id)["billing"], "full");
}

pub fn a_machine_that_fails_to_come_up_is_told_to_have_failed(rig: &mut Rig) {
    rig.sim.once("create", &json!({"do": "boot_fails"}));
    let failed = rig.created(1);
    rig.sim.advance(60_000);
    let seen = rig.see(&failed);
    let is_down = matches!(seen.state, MachineState::Failed | MachineState::Terminated);
    assert!(is_down, "{seen:?}");
    let reason = seen.reason.clone().unwrap();
    assert!(
        !matches!(reason.ending, Ending::Asked | Ending::Preempted),
        "{reason:?}"
    );
    assert!(!reason.words.is_empty());
    assert_ne!(seen.billing, Billing::Full);
}

pub fn a_word_for_a_state_that_nobody_knows_is_kept_and_not_guessed_at(rig: &mut Rig) {
    let machine = rig.running(1);
    for operation in ["get", "list"] {
        rig.sim.always(
            operation,
            &json!({"do": "wrong_state", "word": "MIGRATING"}),
        );
    }
    let seen = rig.see(&machine);
    assert_eq!(
        (seen.state, seen.billing),
        (MachineState::Unknown, Billing::Unknown)
    );
    assert_eq!(seen.raw_state, "MIGRATING");
    // It is in the list all the same: what is missing there is taken for gone.
    let listed = rig.list_all().unwrap();
    assert_eq!(listed, [seen]);
    assert_eq!(listed[0].marker, machine.marker);
}

pub fn a_price_of_a_machine_that_is_none_is_no_price(rig: &mut Rig) {
    let machine = rig.running(1);
    for how in ["missing", "null", "negative", "zero", "text"] {
        rig.sim
            .always("get", &json!({"do": "bad_price", "how": how}));
        assert_eq!(rig.see(&machine).microusd_per_hour, None, "{how}");
        rig.sim.heal();
    }
}

pub fn a_machine_that_was_ended_by_hand_is_gone(rig: &mut Rig) {
    let machine = rig.running(1);
    rig.sim.happen(&machine.id, "terminate", &json!({}));
    rig.sim.until(&machine.id, "terminated");
    gone(rig, &machine);
}

/// Not there, or there and over; and no list shows it alive.
fn gone(rig: &mut Rig, machine: &tidegate_provider_api::Machine) {
    match rig.get(machine) {
        Ok(seen) => {
            assert_eq!(
                (seen.state, seen.billing),
                (MachineState::Terminated, Billing::None)
            );
        }
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::NotFound);
            assert!(error.permanent && !error.unclear, "{error}");
        }
    }
    let listed = rig.list_all().unwrap();
    let alive = |listed: &tidegate_provider_api::Machine| {
        listed.id == machine.id && listed.state != MachineState::Terminated
    };
    assert!(!listed.iter().any(alive), "{listed:?}");
    assert_eq!(rig.sim.meter(&machine.id)["billing"], "none");
}

pub fn a_machine_that_was_given_back_is_gone_and_costs_nothing_any_more(rig: &mut Rig) {
    let machine = rig.running(1);
    let kept = rig.running(2);
    rig.accepted(destroy(&machine));
    rig.sim.until(&machine.id, "terminated");
    gone(rig, &machine);
    let cost = rig.sim.meter(&machine.id)["microusd"].clone();
    rig.sim.advance(HOUR_MS);
    assert_eq!(rig.sim.meter(&machine.id)["microusd"], cost);
    // And no other with it.
    assert_eq!(rig.see(&kept).state, MachineState::Running);
}

pub fn giving_back_twice_does_no_harm(rig: &mut Rig) {
    let machine = rig.running(1);
    rig.sim
        .once("destroy", &json!({"do": "slow", "ms": 600_000}));
    rig.accepted(destroy(&machine));
    rig.accepted(destroy(&machine));
    rig.sim.advance(600_000);
    rig.sim.until(&machine.id, "terminated");
    if let Err(error) = rig.ask(destroy(&machine)) {
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(!error.unclear, "{error}");
    }
    gone(rig, &machine);
}

pub fn a_machine_that_never_was_is_not_found_whatever_is_asked_of_it(rig: &mut Rig) {
    let (mut never, id) = (rig.running(1), rig.row.unknown_id.to_owned());
    never.id = id;
    let (region, id) = place(&never);
    for request in [Request::Get { region, id }, destroy(&never)] {
        let error = rig.ask(request).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        assert!(error.permanent && !error.unclear, "{error}");
    }
    assert_eq!(rig.sim.living(), 1);
}

pub fn a_machine_that_takes_long_to_end_is_not_told_to_be_gone(rig: &mut Rig) {
    let machine = rig.running(1);
    rig.sim
        .once("destroy", &json!({"do": "slow", "ms": 600_000}));
    rig.accepted(destroy(&machine));
    let seen = rig.see(&machine);
    assert_ne!(seen.state, MachineState::Terminated);
    assert_ne!(seen.billing, Billing::None);
    assert_eq!(rig.listed(), std::slice::from_ref(&machine.id));
    rig.sim.advance(600_000);
    rig.sim.until(&machine.id, "terminated");
    gone(rig, &machine);
}

pub fn a_machine_that_never_ends_is_told_to_be_there(rig: &mut Rig) {
    let machine = rig.running(1);
    rig.sim.always("destroy", &json!({"do": "never_ends"}));
    for _ in 0..2 {
        rig.accepted(destroy(&machine));
        rig.sim.advance(HOUR_MS);
        let seen = rig.see(&machine);
        assert!(!matches!(seen.state, MachineState::Terminated), "{seen:?}");
        assert_ne!(seen.billing, Billing::None);
    }
}

pub fn what_a_machine_is_told_are_its_own_secrets_and_none_of_the_account(rig: &mut Rig) {
    let spec = rig.full_spec(1);
    let machine = rig.create(spec).unwrap();
    let received = (rig.row.received)(&rig.sim.machine(&machine.id));
    let token = rig.boot_token(1);
    for there in [
        HF_TOKEN,
        &token,
        crate::rig::BOOT_URL,
        "MODEL=tiny",
        "registry.example.net/server:1",
    ] {
        assert!(received.contains(there), "{there} is missing: {received}");
    }
    for secret in rig.secrets().clone() {
        let is_its_own = secret == HF_TOKEN || secret == token;
        assert!(is_its_own || !received.contains(&secret), "{received}");
    }
    assert_eq!(rig.sim.machine(&machine.id).name, rig.marker(1).to_string());
}

pub fn without_a_callback_a_machine_has_no_token(rig: &mut Rig) {
    let machine = rig.created(1);
    let received = (rig.row.received)(&rig.sim.machine(&machine.id));
    let token = rig.boot_token(1);
    assert!(
        received.contains(HF_TOKEN) && !received.contains(&token),
        "{received}"
    );
}

/// Needs machines that may be taken away.
pub fn a_machine_that_is_taken_away_is_told_to_be_preempted(rig: &mut Rig) {
    let mut spec = rig.spec(1);
    spec.spot = true;
    let machine = rig.create(spec).unwrap();
    rig.sim.until(&machine.id, "running");
    rig.sim
        .happen(&machine.id, "preempt", &json!({"notice_ms": 120_000}));
    assert_eq!(rig.see(&machine).state, MachineState::Running);
    rig.sim.advance(130_000);
    let seen = rig.see(&machine);
    let is_over = matches!(
        seen.state,
        MachineState::Terminating
            | MachineState::Terminated
            | MachineState::Stopping
            | MachineState::Stopped
    );
    assert!(is_over, "{seen:?}");
    assert_eq!(seen.reason.unwrap().ending, Ending::Preempted);
}

/// Needs a time limit: here nobody asks for anything.
pub fn a_machine_that_everybody_forgets_ends_when_its_life_is_over(rig: &mut Rig) {
    assert_eq!(rig.capability.switches().len(), 3);
    let machine = rig.short_lived();
    // Its own timer begins when its script does.
    rig.sim.until_planned(&machine.id, "shutdown");
    rig.sim.advance(SHORT_LIFE_MS - 60_000);
    assert_eq!(rig.see(&machine).state, MachineState::Running);
    rig.sim.advance(120_000);
    rig.sim.until(&machine.id, "terminated");
    gone(rig, &machine);
    let reason = rig.see(&machine).reason.unwrap();
    assert_eq!(reason.ending, Ending::Itself, "{reason:?}");
}

/// Needs public TLS.
pub fn what_runs_on_a_machine_is_reached_where_the_vendor_says(rig: &mut Rig) {
    let machine = rig.running(1);
    let endpoint = machine.endpoint.clone().unwrap();
    assert_eq!(rig.fetch(&endpoint), (200, "serving".to_owned()));
    assert_eq!(
        rig.fetch(&format!("{endpoint}/v1/models")),
        (200, "serving".to_owned())
    );
    assert_eq!(rig.list_all().unwrap()[0].endpoint, Some(endpoint.clone()));
    rig.sim.happen(&machine.id, "crash", &json!({}));
    rig.sim.until(&machine.id, "stopped");
    assert_ne!(rig.fetch(&endpoint).0, 200);
    let seen = rig.see(&machine);
    assert_eq!(seen.state, MachineState::Stopped);
}
