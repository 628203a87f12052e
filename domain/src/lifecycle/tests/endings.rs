//! How it ends, and how it does not.

use super::*;

#[test]
fn terminating_has_no_exit_but_the_vendors_word_and_alerts_after_fifteen_minutes() {
    let mut world = World::serving();
    world.command(Command::Terminate);
    let mut alerts = 0;
    let mut destroys = 0;
    let mut looks = Vec::new();
    let began = world.now;
    for _ in 0..120 {
        world.now = world.rental.poll_timeout().unwrap();
        for effect in world.tick() {
            match effect {
                Effect::Look { .. } => looks.push(world.now.since(began).as_secs_ceil()),
                Effect::Act { .. } => destroys += 1,
                Effect::Note {
                    what: What::StillThere,
                    ..
                } => {
                    alerts += 1;
                    assert_eq!(world.now.since(began), Span::from_secs(900));
                }
                _ => {}
            }
        }
        world.see(Seen::Running);
        assert_eq!(world.rental.state(), State::Terminating);
    }
    assert_eq!(looks[..5], [5, 15, 35, 75, 135], "5 s doubling to 60 s");
    assert_eq!(alerts, 1);
    assert!(destroys >= 20, "{destroys}");
}

#[test]
fn a_machine_that_is_gone_by_its_id_is_gone_once_the_vendor_had_taken_the_order() {
    let mut world = World::serving();
    world.command(Command::Terminate);
    let missed = |world: &World| Fact::NotSeen {
        asked_at: world.now,
        in_list: false,
        last_seen: None,
    };
    let fact = missed(&world);
    assert_eq!(world.hear(fact), [], "a look-up may lag behind the create");
    world.hear(Fact::Taken(Action::Destroy));
    let fact = missed(&world);
    world.hear(fact);
    assert_eq!(world.rental.state(), State::Terminated);
}

#[test]
fn a_late_sighting_returns_to_terminating_and_opens_the_window_again() {
    let mut world = World::serving();
    world.command(Command::Terminate);
    world.see(Seen::Terminated);
    assert_eq!(world.rental.state(), State::Terminated);
    assert!(!world.rental.current().unwrap().costs.is_open());
    world.wait(MINUTE);
    let effects = world.see(Seen::Running);
    assert!(effects.contains(&state("terminating", Some(Cause::LateSighting))));
    assert!(effects.contains(&Effect::StateWindow { attempt: 1 }));
    assert!(world.rental.current().unwrap().costs.is_open());
}

#[test]
fn lists_alone_never_take_a_machine_for_gone_and_its_own_look_up_beside_one_does() {
    let terms = Terms {
        list_lag: Span::ZERO,
        ..PUBLIC
    };
    let mut world = World::with(vec![terms], ends());
    let first = world.first.clone();
    world.pay(&first);
    world.hear(Fact::CreateSent);
    world.see(Seen::Pending);
    let mut world = world.into_serving();
    world.now = world.now + Span::from_secs(20);
    let missing = |world: &World, in_list| Fact::NotSeen {
        asked_at: world.now,
        in_list,
        last_seen: None,
    };
    for _ in 0..3 {
        world.now = world.now + Span::from_secs(1);
        let fact = missing(&world, true);
        let effects = world.hear(fact);
        assert_eq!(
            effects,
            [Effect::Look { attempt: 1 }, Effect::RecordChanged]
        );
        assert_eq!(
            world.rental.state(),
            State::Ready,
            "an ill vendor shows empty lists"
        );
    }
    let fact = missing(&world, false);
    let effects = world.hear(fact);
    assert!(effects.contains(&state("lost", Some(Cause::DeletedOutside))));
    assert_eq!(
        world.rental.current().unwrap().costs.until,
        Some(START),
        "a ghost's window closes when it was last seen"
    );
}

#[test]
fn a_preempted_machine_drains_for_seconds_and_is_given_back() {
    let mut world = World::serving();
    world.handle(Event::Used(Usage {
        busy: 3,
        last: Some(world.now),
    }));
    let effects = world.handle(Event::Called {
        attempt: 1,
        says: Says::Preempting,
    });
    assert!(effects.contains(&state("draining", Some(Cause::Preempted))));
    let (waited, effects) = world.until_state_changes();
    assert_eq!(waited, Span::from_secs(20));
    assert!(effects.contains(&state("terminating", Some(Cause::Preempted))));
}

#[test]
fn fewer_gpus_than_rented_are_given_back_and_after_a_stop_put_down_again() {
    let mut world = World::created();
    let mut short = world.sighting(Seen::Running);
    short.gpus = Some(0);
    let effects = world.hear(Fact::Seen(short));
    assert!(effects.contains(&state("terminating", Some(Cause::GpuMissing))));

    let mut world = World::serving();
    world.command(Command::Stop);
    world.see(Seen::Stopped);
    let asked = world.command(Command::Start);
    world.pay(&asked);
    let mut short = world.sighting(Seen::Running);
    short.gpus = Some(0);
    let effects = world.hear(Fact::Seen(short));
    assert!(effects.contains(&state("stopping", Some(Cause::GpuMissing))));
}

#[test]
fn the_hard_maximum_ends_it_whatever_it_does() {
    let mut world = World::with(
        vec![PUBLIC],
        Ends {
            idle: None,
            ..ends()
        },
    );
    let first = world.first.clone();
    world.pay(&first);
    world.hear(Fact::CreateSent);
    world.see(Seen::Pending);
    let mut world = world.into_serving();
    world.handle(Event::Used(Usage {
        busy: 1,
        last: Some(world.now),
    }));
    let (waited, effects) = world.until_state_changes();
    assert_eq!(waited, Span::from_secs(12 * 3600));
    assert!(effects.contains(&state("draining", Some(Cause::MaxLifetime))));
    let (waited, effects) = world.until_state_changes();
    assert_eq!(waited, Span::from_secs(120), "requests had their time");
    assert!(effects.contains(&state("terminating", Some(Cause::MaxLifetime))));
}

#[test]
fn a_stop_window_stops_it_and_what_cannot_be_stopped_is_given_back() {
    let window = StopWindow { from: 0, to: 1439 };
    for (can_stop, name) in [(true, "stopping"), (false, "terminating")] {
        let terms = Terms { can_stop, ..PUBLIC };
        let stops = Ends {
            stop_windows: vec![window],
            ..ends()
        };
        let mut world = World::with(vec![terms], stops);
        let first = world.first.clone();
        world.pay(&first);
        world.hear(Fact::CreateSent);
        let effects = world.see(Seen::Pending);
        assert!(
            effects.contains(&state(name, Some(Cause::StopWindow))),
            "{effects:?}"
        );
    }
}

#[test]
fn what_was_stopped_or_deleted_elsewhere_is_taken_over_as_it_is() {
    let mut world = World::serving();
    let effects = world.see(Seen::Stopped);
    assert!(effects.contains(&state("stopped", Some(Cause::StoppedOutside))));
    assert!(effects.contains(&Effect::Drain), "out of rotation");
    let effects = world.see(Seen::Running);
    assert!(effects.contains(&state("booting", Some(Cause::StartedOutside))));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::AskAdvance { .. })),
        "it must be paid for: {effects:?}"
    );
    world.see(Seen::Terminated);
    assert_eq!(world.rental.state(), State::Lost);
}

#[test]
fn a_container_that_ends_before_it_served_is_given_back_as_crashed() {
    let mut world = World::created();
    world.see(Seen::Running);
    let effects = world.see(Seen::Stopped);
    assert!(effects.contains(&state("terminating", Some(Cause::Crashed))));
    world.see(Seen::Terminated);
    assert_eq!(world.rental.state(), State::Failed);
}

#[test]
fn a_stop_that_the_vendor_never_does_ends_in_giving_back() {
    let mut world = World::serving();
    world.command(Command::Stop);
    let effects = world.hear(Fact::Refused(Action::Stop, Refusal::Never));
    assert!(effects.contains(&state("terminating", Some(Cause::StopRefused))));
    world.see(Seen::Terminated);

    let mut world = World::serving();
    world.command(Command::Stop);
    world.see(Seen::Stopped);
    let asked = world.command(Command::Start);
    world.pay(&asked);
    let effects = world.hear(Fact::Refused(Action::Start, Refusal::Unavailable));
    assert!(effects.contains(&state("stopped", Some(Cause::StartRefused))));
}

#[test]
fn one_that_takes_requests_again_idles_from_then_on() {
    let mut world = World::serving();
    world.command(Command::Drain);
    for _ in 0..60 {
        let effects = world.wait(MINUTE);
        let is_asked = |effect: &Effect| matches!(effect, Effect::AskAdvance { .. });
        if effects.iter().any(is_asked) {
            world.pay(&effects);
        }
    }
    world.command(Command::Resume);
    assert_eq!(world.rental.state(), State::Ready);
    let (waited, effects) = world.until_state_changes();
    assert_eq!(waited, Span::from_secs(300));
    assert!(effects.contains(&state("draining", Some(Cause::Idle))));
}

#[test]
fn a_ghosts_window_closes_when_its_account_last_saw_it() {
    let mut world = World::serving();
    world.rental.ends.idle = None;
    // Nothing was new for an hour, so nothing was told.
    let last_seen = world.now + Span::from_secs(3_500);
    world.now = world.now + Span::from_secs(3_600);
    world.rental.record.advance.until = Some(world.now + Span::from_secs(600));
    for secs in [0, 60] {
        world.now = world.now + Span::from_secs(secs);
        world.hear(Fact::NotSeen {
            asked_at: world.now,
            in_list: false,
            last_seen: Some(last_seen),
        });
    }
    assert_eq!(world.rental.state(), State::Lost);
    let costs = &world.rental.current().unwrap().costs;
    assert_eq!(costs.until, Some(last_seen));
}
