//! How it should go.

use super::*;

#[test]
fn a_rental_goes_from_its_launch_to_the_vendors_last_word() {
    let mut world = World::new();
    assert_eq!(
        world.first,
        [
            state("requested", None),
            Effect::Announce,
            Effect::AskAdvance {
                number: 1,
                microusd_per_hour: 360_000,
                hold: Span::from_secs(361),
            },
            Effect::RecordChanged,
        ]
    );
    let first = world.first.clone();
    assert_eq!(
        world.pay(&first),
        [
            note(What::AttemptBegun(1)),
            Effect::Rent {
                attempt: 1,
                candidate: 0
            },
            state("provisioning", None),
            Effect::Announce,
            Effect::RecordChanged,
        ]
    );
    assert_eq!(
        world.hear(Fact::CreateSent),
        [Effect::StateWindow { attempt: 1 }, Effect::RecordChanged]
    );
    assert_eq!(
        world.see(Seen::Pending),
        [
            Effect::Announce,
            state("booting", None),
            Effect::Announce,
            Effect::RecordChanged
        ]
    );
    assert_eq!(
        world.see(Seen::Running),
        [
            state("warming", None),
            Effect::Announce,
            Effect::Warm(WarmStep::Health),
            Effect::RecordChanged
        ]
    );
    assert_eq!(
        world.warmed(WarmStep::Health),
        [Effect::Warm(WarmStep::Token), Effect::RecordChanged]
    );
    assert_eq!(
        world.warmed(WarmStep::Token),
        [
            state("ready", None),
            Effect::Announce,
            Effect::RecordChanged
        ]
    );
    assert_eq!(world.tick(), [], "nothing more to do");

    let (waited, effects) = world.until_state_changes();
    assert_eq!(waited, Span::from_secs(300), "it idled");
    assert_eq!(
        effects,
        [
            state("draining", Some(Cause::Idle)),
            Effect::Announce,
            Effect::Drain,
            Effect::Drain,
            state("terminating", Some(Cause::Idle)),
            Effect::Announce,
            Effect::Act {
                attempt: 1,
                action: Action::Destroy,
                number: 1
            },
            Effect::RecordChanged
        ]
    );
    assert_eq!(
        world.hear(Fact::Taken(Action::Destroy)),
        [Effect::RecordChanged]
    );
    assert_eq!(
        world.wait(Span::from_secs(5)),
        [Effect::Look { attempt: 1 }, Effect::RecordChanged]
    );
    let asked_at = world.now;
    assert_eq!(
        world.hear(Fact::NotSeen {
            asked_at,
            in_list: false,
            last_seen: None
        }),
        [
            Effect::StateWindow { attempt: 1 },
            state("terminated", Some(Cause::Idle)),
            Effect::Announce,
            Effect::RecordChanged
        ]
    );
    assert_eq!(
        world.wait(MINUTE),
        [Effect::AskBill { attempt: 1 }, Effect::RecordChanged]
    );
    assert_eq!(
        world.hear(Fact::Billed(30_500)),
        [
            Effect::StateWindow { attempt: 1 },
            note(What::Billed(30_500)),
            Effect::RecordChanged
        ]
    );
    // What is first on a bill need not be all of it: it has come when it comes twice, an hour apart.
    assert_eq!(world.hear(Fact::Billed(30_500)), [], "told twice");
    let hour = Span::from_secs(3_600);
    assert_eq!(
        world.wait(hour),
        [Effect::AskBill { attempt: 1 }, Effect::RecordChanged]
    );
    assert_eq!(
        world.hear(Fact::Billed(30_600)),
        [
            Effect::StateWindow { attempt: 1 },
            note(What::Billed(30_600)),
            Effect::RecordChanged
        ]
    );
    world.wait(hour);
    assert_eq!(world.hear(Fact::Billed(30_600)), [Effect::RecordChanged]);
    assert_eq!(
        world.rental.poll_timeout(),
        None,
        "nothing more to do, ever"
    );
    let costs = &world.rental.current().unwrap().costs;
    assert_eq!(costs.until, Some(START + Span::from_secs(305)));
    assert_eq!(costs.billed, Some(30_600));
}

#[test]
fn requests_put_the_idle_timeout_off_and_none_runs_out_under_one_that_runs() {
    let mut world = World::serving();
    let used = |busy, last| {
        Event::Used(Usage {
            busy,
            last: Some(last),
        })
    };
    world.now = world.now + Span::from_secs(100);
    assert_eq!(
        world.handle(used(1, world.now)),
        [],
        "a request costs no row"
    );
    for _ in 0..3 {
        let asked = world.wait(Span::from_secs(181));
        world.pay(&asked);
        assert_eq!(
            world.rental.state(),
            State::Ready,
            "one request takes ten minutes"
        );
    }
    world.handle(used(0, world.now));
    let (waited, effects) = world.until_state_changes();
    assert_eq!(waited, Span::from_secs(300));
    assert!(effects.contains(&state("terminating", Some(Cause::Idle))));
}

#[test]
fn a_stopped_rental_keeps_its_disk_and_comes_up_again() {
    let mut world = World::serving();
    assert_eq!(
        world.command(Command::Stop),
        [
            state("draining", Some(Cause::Asked)),
            Effect::Announce,
            Effect::Drain,
            Effect::Drain,
            state("stopping", Some(Cause::Asked)),
            Effect::Announce,
            Effect::Act {
                attempt: 1,
                action: Action::Stop,
                number: 1
            },
            Effect::RecordChanged
        ]
    );
    assert_eq!(world.rental.admit(Command::Start), Err(Denied::GoingDown));
    world.wait(Span::from_secs(10));
    let effects = world.see(Seen::Stopped);
    assert_eq!(
        effects,
        [
            Effect::StateWindow { attempt: 1 },
            state("stopped", Some(Cause::Asked)),
            Effect::Announce,
            Effect::RecordChanged
        ]
    );
    assert_eq!(
        world.rental.current().unwrap().costs.rate(),
        Some(3_600),
        "the disk goes on costing"
    );
    let asked = world.command(Command::Start);
    assert!(
        !asked
            .iter()
            .any(|effect| matches!(effect, Effect::Act { .. })),
        "first the money: {asked:?}"
    );
    let started = world.pay(&asked);
    assert!(started.contains(&Effect::Act {
        attempt: 1,
        action: Action::Start,
        number: 2
    }));
    world.wait(Span::from_secs(5));
    let world = world.into_serving();
    assert_eq!(world.rental.current().unwrap().costs.rate(), Some(360_000));
}

#[test]
fn a_machine_without_public_tls_ends_up_ready_and_unreachable_once_it_has_called() {
    let terms = Terms {
        is_public: false,
        calls_home: true,
        ..PUBLIC
    };
    let mut world = World::with(vec![terms], ends());
    let first = world.first.clone();
    world.pay(&first);
    world.hear(Fact::CreateSent);
    world.see(Seen::Pending);
    world.see(Seen::Running);
    assert_eq!(
        world.rental.state(),
        State::Booting,
        "it has not called yet"
    );
    let effects = world.handle(Event::Called {
        attempt: 1,
        says: Says::Booted,
    });
    assert_eq!(
        effects,
        [Effect::Look { attempt: 1 }, Effect::RecordChanged],
        "the vendor is asked whether it agrees"
    );
    let effects = world.see(Seen::Running);
    assert_eq!(
        effects,
        [
            state("ready_unreachable", Some(Cause::NoPublicTls)),
            Effect::Announce,
            Effect::RecordChanged
        ]
    );
}

/// What is told that nobody waits for it ends itself, and its disk with it.
#[test]
fn a_stopped_machine_that_calls_was_started_by_somebody_else_and_is_looked_at() {
    let terms = Terms {
        is_public: false,
        calls_home: true,
        ..PUBLIC
    };
    let mut world = World::with(vec![terms], ends());
    let first = world.first.clone();
    world.pay(&first);
    world.hear(Fact::CreateSent);
    world.see(Seen::Pending);
    let booted = Event::Called {
        attempt: 1,
        says: Says::Booted,
    };
    world.handle(booted.clone());
    world.see(Seen::Running);
    world.command(Command::Stop);
    world.see(Seen::Stopped);
    assert!(world.rental.hears_calls());
    assert_eq!(
        world.handle(booted),
        [Effect::Look { attempt: 1 }, Effect::RecordChanged]
    );
    assert_eq!(world.rental.state(), State::Stopped, "says the vendor");
    let effects = world.see(Seen::Running);
    assert!(effects.contains(&state("booting", Some(Cause::StartedOutside))));
    assert_eq!(world.rental.state(), State::ReadyUnreachable);
}

#[test]
fn a_silent_machine_is_suspect_and_dies_only_by_the_vendors_word() {
    let mut world = World::serving();
    world.handle(Event::Called {
        attempt: 1,
        says: Says::Alive,
    });
    assert_eq!(
        world.wait(Span::from_secs(45)),
        [
            note(What::Suspect),
            Effect::Announce,
            Effect::Look { attempt: 1 },
            Effect::RecordChanged
        ]
    );
    world.wait(Span::from_secs(45));
    world.see(Seen::Running);
    assert_eq!(world.rental.state(), State::Ready, "the vendor disagrees");
    assert!(world.rental.record().suspect);
    let effects = world.handle(Event::Called {
        attempt: 1,
        says: Says::Alive,
    });
    assert_eq!(
        effects,
        [
            note(What::NotSuspect),
            Effect::Announce,
            Effect::RecordChanged
        ]
    );
}

#[test]
fn a_warm_up_step_that_fails_is_tried_again_and_at_last_the_machine_given_back() {
    let mut world = World::created();
    world.see(Seen::Running);
    let failed = Event::Warmed {
        step: WarmStep::Health,
        ok: false,
    };
    assert_eq!(world.handle(failed.clone()), [Effect::RecordChanged]);
    assert_eq!(
        world.wait(Span::from_secs(1)),
        [Effect::Warm(WarmStep::Health), Effect::RecordChanged]
    );
    let (waited, effects) = world.until_state_changes();
    assert_eq!(waited, Span::from_secs(1_199));
    assert!(effects.contains(&state("terminating", Some(Cause::StartupTimeout))));
    world.hear(Fact::Taken(Action::Destroy));
    world.see(Seen::Terminated);
    assert_eq!(world.rental.state(), State::Failed);
}
