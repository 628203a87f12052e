use serde_json::Value;
use tidegate_domain::time::Span;
use tidegate_provider_api::{Availability, Fingerprint, Gpu, Offer};

use super::*;
use crate::bindings::fleet::{Profile, RentalQuery};
use crate::bindings::rental::{Candidate, Ends, Launch, RentalState, RentalStatus, RuntimeSpec};

fn offer() -> Offer {
    Offer {
        region: "EU-RO-1".to_owned(),
        zone: None,
        machine_type: "NVIDIA L4".to_owned(),
        gpu: Gpu {
            model: "l4".to_owned(),
            name: "NVIDIA L4".to_owned(),
            count: 1,
            vram_gb: 24,
        },
        vcpus: None,
        memory_gb: None,
        spot: false,
        microusd_per_hour: Some(360_000),
        disk: None,
        address_microusd_per_hour: 0,
        availability: Availability::High,
    }
}

fn launch() -> Launch {
    Launch {
        generation: 1,
        name: "chat".to_owned(),
        project: Some("lab".to_owned()),
        actor: "admin".to_owned(),
        runtime: RuntimeSpec {
            profile: "tiny".to_owned(),
            model_name: "llama".to_owned(),
            sealed_api_key: Some("sealed-server-key".to_owned()),
            port: 8000,
            max_concurrency: 4,
            queue_depth: 8,
            ..RuntimeSpec::default()
        },
        candidates: vec![Candidate {
            account: "acc_1".to_owned(),
            vendor: "runpod".to_owned(),
            fingerprint: Fingerprint::parse("0123456789").unwrap(),
            offer: offer(),
        }],
        ends: Ends {
            max_lifetime_ms: 3_600_000,
            ..Ends::default()
        },
        callback_base: None,
        ssh_public_key: None,
    }
}

fn launched(id: &str, launch: Launch) -> FleetCommand {
    FleetCommand::Launch {
        id: id.to_owned(),
        launch: Box::new(launch),
        sealed_ssh_key: Some("sealed-ssh".to_owned()),
    }
}

/// A fleet with a profile of which two may run at once.
fn renting() -> Rig<Fleet> {
    let mut rig = fleet();
    let profile = Profile {
        kind: "custom".to_owned(),
        model_name: "llama".to_owned(),
        image: "ghcr.io/x/y".to_owned(),
        port: 8000,
        health_path: "/health".to_owned(),
        gpu_count: 1,
        disk_gb: 40,
        max_concurrency: 4,
        queue_depth: 8,
        max_instances: 2,
        max_lifetime_ms: 3_600_000,
        ..Profile::default()
    };
    let put = FleetCommand::PutProfile {
        name: "tiny".to_owned(),
        profile: Box::new(profile),
    };
    let (answer, _) = settle(&mut rig, &put);
    assert!(matches!(answer, FleetAnswer::Profile { .. }), "{answer:?}");
    rig
}

fn status_of(state: RentalState) -> RentalStatus {
    let is_up = matches!(state, RentalState::Ready | RentalState::Draining);
    RentalStatus {
        state,
        attempt: 1,
        endpoint: is_up.then(|| "https://pod1-8000.proxy.example".to_owned()),
        draining: state == RentalState::Draining,
        microusd_per_hour: 400_000,
        ..RentalStatus::default()
    }
}

fn says(rig: &mut Rig<Fleet>, sequence: u64, status: RentalStatus) -> Sent {
    let command = FleetCommand::AnnounceRental {
        event_id: format!("instance/acme/a/rental/{sequence}"),
        instance: "a".to_owned(),
        status: Box::new(status),
        sequence,
    };
    let (answer, messages) = settle(rig, &command);
    assert_eq!(answer, FleetAnswer::Done);
    messages
}

fn to<'m>(messages: &'m Sent, name: &str) -> Vec<&'m Value> {
    let of = messages.iter().filter(|(to, _)| to == name);
    of.map(|(_, message)| message).collect()
}

#[test]
fn a_launch_is_a_row_before_its_object_hears_of_it_and_the_same_again_changes_nothing() {
    let mut rig = renting();
    let (answer, messages) = settle(&mut rig, &launched("a", launch()));
    let FleetAnswer::Rental { rental } = &answer else {
        panic!("{answer:?}");
    };
    assert_eq!(rental.status.state, RentalState::Requested);
    assert_eq!(to(&messages, "instance/acme/a")[0]["command"], "launch");
    assert_eq!(to(&messages, "directory")[0]["command"], "enroll");
    assert_eq!(
        audit(&messages),
        audited(
            "admin",
            "instance.launched",
            "a",
            "chat of profile tiny, 1 offers to try"
        )
    );
    assert_eq!(settle(&mut rig, &launched("a", launch())), (answer, vec![]));
    let other = Launch {
        name: "else".to_owned(),
        ..launch()
    };
    let (answer, messages) = settle(&mut rig, &launched("a", other));
    assert!(matches!(answer, FleetAnswer::Duplicate { .. }));
    assert_eq!(messages, []);
    assert_eq!(rig.count("rentals"), 1);
}

#[test]
fn what_nothing_ends_what_has_no_profile_and_one_too_many_are_not_rented() {
    let mut rig = renting();
    let refused = |rig: &mut Rig<Fleet>, launch| {
        let (answer, messages) = settle(rig, &launched("x", launch));
        assert_eq!(messages, []);
        invalid(&answer).map(str::to_owned)
    };
    let endless = Launch {
        ends: Ends::default(),
        ..launch()
    };
    assert_eq!(
        refused(&mut rig, endless).as_deref(),
        Some("max_lifetime_seconds")
    );
    let mut unknown = launch();
    unknown.runtime.profile = "none".to_owned();
    assert_eq!(refused(&mut rig, unknown).as_deref(), Some("profile"));
    let without_offers = Launch {
        candidates: vec![],
        ..launch()
    };
    assert_eq!(
        refused(&mut rig, without_offers).as_deref(),
        Some("offer_id")
    );
    settle(&mut rig, &launched("a", launch()));
    settle(&mut rig, &launched("b", launch()));
    assert_eq!(refused(&mut rig, launch()).as_deref(), Some("profile"));
    says(&mut rig, 1, status_of(RentalState::Failed));
    let (answer, _) = settle(&mut rig, &launched("c", launch()));
    assert!(
        matches!(answer, FleetAnswer::Rental { .. }),
        "one is over, so another may come"
    );
}

#[test]
fn it_is_in_rotation_exactly_while_its_object_says_so() {
    let mut rig = renting();
    settle(&mut rig, &launched("a", launch()));
    let before = version(&mut rig);
    for (sequence, state) in [(1, RentalState::Provisioning), (2, RentalState::Warming)] {
        assert_eq!(says(&mut rig, sequence, status_of(state)), []);
    }
    assert_eq!(version(&mut rig), before, "nothing that routing depends on");

    let messages = says(&mut rig, 3, status_of(RentalState::Ready));
    let configure = to(&messages, "instance/acme/a")[0];
    assert_eq!(configure["command"], "configure");
    assert_eq!(configure["spec"]["generation"], 1);
    let shown = snapshot(&mut rig);
    let [server] = shown.servers.as_slice() else {
        panic!("{shown:?}");
    };
    assert_eq!(
        server.entry.endpoint_url,
        "https://pod1-8000.proxy.example/v1"
    );
    assert_eq!(server.entry.price_microusd_per_hour, 400_000);
    assert_eq!(
        server.entry.first_token_cap_ms,
        Some(100_000),
        "the vendor's proxy gives up after 100 s"
    );
    assert_eq!(
        says(&mut rig, 3, status_of(RentalState::Failed)),
        [],
        "late"
    );

    let messages = says(&mut rig, 4, status_of(RentalState::Draining));
    assert_eq!(messages, [], "its own object knows that it drains");
    assert_eq!(
        snapshot(&mut rig).servers[0].status.state,
        ServerState::Draining
    );

    let messages = says(&mut rig, 5, status_of(RentalState::Terminating));
    let removal = to(&messages, "instance/acme/a")[0];
    assert_eq!(
        (&removal["command"], &removal["generation"]),
        (&json!("remove"), &json!(2))
    );
    assert_eq!(snapshot(&mut rig).servers, []);

    // What its server announced in its last moments comes late, and must not keep it out for good.
    let late = FleetCommand::Announce {
        event_id: "instance/acme/a/1".to_owned(),
        instance: "a".to_owned(),
        status: ServerStatus {
            state: ServerState::Draining,
            ..ServerStatus::default()
        },
        sequence: 1,
    };
    let (_, messages) = settle(&mut rig, &late);
    let removal = to(&messages, "instance/acme/a")[0];
    assert_eq!(removal["generation"], 2);

    says(&mut rig, 6, status_of(RentalState::Stopped));
    let messages = says(&mut rig, 7, status_of(RentalState::Ready));
    let configure = to(&messages, "instance/acme/a")[0];
    assert_eq!(
        configure["spec"]["generation"], 3,
        "its object remembers the last one"
    );
}

#[test]
fn nobody_changes_a_rented_server_through_the_registry() {
    let mut rig = renting();
    settle(&mut rig, &launched("a", launch()));
    says(&mut rig, 1, status_of(RentalState::Ready));
    for command in [
        FleetCommand::Deregister { id: "a".to_owned() },
        FleetCommand::SetDraining {
            id: "a".to_owned(),
            draining: true,
        },
        FleetCommand::Update {
            id: "a".to_owned(),
            change: Default::default(),
        },
    ] {
        let (answer, messages) = settle(&mut rig, &command);
        assert_eq!(invalid(&answer), Some("id"));
        assert_eq!(messages, []);
    }
}

#[test]
fn lists_are_filtered_newest_first_and_paged() {
    let mut rig = renting();
    settle(&mut rig, &launched("a", launch()));
    rig.wait(Span::from_secs(1));
    settle(&mut rig, &launched("b", launch()));
    says(&mut rig, 1, status_of(RentalState::Terminated));
    let ids =
        |rig: &mut Rig<Fleet>, query: RentalQuery| match ask(rig, &FleetCommand::Rentals(query)) {
            FleetAnswer::Rentals { rentals, total } => {
                let ids: Vec<String> = rentals.into_iter().map(|it| it.id).collect();
                (ids.join(" "), total)
            }
            other => panic!("{other:?}"),
        };
    let all = RentalQuery {
        limit: 10,
        ..RentalQuery::default()
    };
    assert_eq!(ids(&mut rig, all.clone()), ("b a".to_owned(), 2));
    for (query, found) in [
        (
            RentalQuery {
                over: Some(true),
                ..all.clone()
            },
            ("a", 1),
        ),
        (
            RentalQuery {
                over: Some(false),
                ..all.clone()
            },
            ("b", 1),
        ),
        (
            RentalQuery {
                state: Some(RentalState::Requested),
                ..all.clone()
            },
            ("b", 1),
        ),
        (
            RentalQuery {
                account: Some("acc_2".to_owned()),
                ..all.clone()
            },
            ("", 0),
        ),
        (
            RentalQuery {
                profile: Some("tiny".to_owned()),
                ..all.clone()
            },
            ("b a", 2),
        ),
        (
            RentalQuery {
                limit: 1,
                offset: 1,
                ..all.clone()
            },
            ("a", 2),
        ),
    ] {
        assert_eq!(ids(&mut rig, query), (found.0.to_owned(), found.1));
    }
}

#[test]
fn every_rental_is_nudged_once_in_five_minutes_and_after_its_end_as_long_as_bills_come() {
    let mut rig = renting();
    for id in ["a", "b"] {
        settle(&mut rig, &launched(id, launch()));
    }
    says(&mut rig, 1, status_of(RentalState::Terminated));
    let mut nudges = |minutes: i64| {
        let mut nudged = [0, 0, 0];
        for _ in 0..minutes {
            rig.wait(Span::from_secs(60));
            let (_, effects): (Value, _) = rig.call(&FleetCommand::Cron);
            for (to, message) in sent(&effects) {
                assert_eq!(message, json!({ "command": "tick" }));
                let names = ["instance/acme/a", "instance/acme/b", "ledger/acme"];
                let place = names.iter().position(|name| *name == to);
                nudged[place.unwrap()] += 1;
            }
        }
        nudged
    };
    // The last words of one that is over may have got lost with its alarm.
    assert_eq!(nudges(10), [2, 2, 2]);
    assert_eq!(nudges(50), [10, 10, 10]);
    // From now on it only asks, once an hour, what it has cost.
    assert_eq!(nudges(180), [3, 36, 36]);
    assert_eq!(nudges(4 * 24 * 60), [92, 1_152, 1_152]);
    assert_eq!(nudges(180), [0, 36, 36]);
}

#[test]
fn what_is_long_over_is_forgotten_and_what_is_not_over_never() {
    let mut rig = renting();
    for id in ["a", "b"] {
        settle(&mut rig, &launched(id, launch()));
    }
    says(&mut rig, 1, status_of(RentalState::Terminated));
    rig.wait(Span::from_secs(91 * 86_400));
    // The round that forgets is the one at midnight.
    let to_midnight = 86_400_000 - rig.now.as_ms().rem_euclid(86_400_000);
    rig.wait(Span::from_ms(to_midnight));
    let (_, effects): (Value, Vec<Effect>) = rig.call(&FleetCommand::Cron);
    let _ = effects;
    assert_eq!(rig.text("SELECT id FROM rentals"), "b");
    assert_eq!(rig.count("rentals"), 1);
    rig.evict();
    let (answer, messages) = settle(&mut rig, &FleetCommand::Rental { id: "a".to_owned() });
    assert_eq!((answer, messages), (FleetAnswer::NotFound, vec![]));
}
