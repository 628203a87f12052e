//! What nobody knows is found out, never assumed.

use super::*;

fn unclear() -> World {
    let mut world = World::with(vec![PUBLIC, PUBLIC], ends());
    let first = world.first.clone();
    world.pay(&first);
    world.hear(Fact::CreateSent);
    let effects = world.hear(Fact::CreateUnclear);
    assert_eq!(
        effects,
        [
            note(What::AttemptAmbiguous(1)),
            Effect::Announce,
            Effect::RecordChanged
        ]
    );
    world
}

fn absent(world: &World, since_sent: Span) -> Fact {
    let sent = world.rental.current().unwrap().sent_at.unwrap();
    Fact::NotSeen {
        asked_at: sent + since_sent,
        in_list: true,
        last_seen: None,
    }
}

#[test]
fn a_lost_create_reply_ends_by_adoption() {
    let mut world = unclear();
    world.wait(MINUTE);
    let effects = world.see(Seen::Running);
    assert!(effects.contains(&note(What::Adopted(1))), "{effects:?}");
    assert_eq!(world.rental.state(), State::Warming(WarmStep::Health));
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Rent { .. }))
    );
}

#[test]
fn the_next_offer_is_tried_only_after_two_whole_lists_beyond_the_lag() {
    let mut world = unclear();
    let early = absent(&world, Span::from_secs(599));
    for _ in 0..5 {
        assert_eq!(world.hear(early.clone()), [], "a list may lag that long");
    }
    let late = absent(&world, Span::from_secs(600));
    assert_eq!(world.hear(late.clone()), [Effect::RecordChanged]);
    assert_eq!(world.hear(late), [], "the same list, told twice");
    let later = absent(&world, Span::from_secs(660));
    let effects = world.hear(later);
    assert_eq!(
        effects,
        [
            Effect::Abandon { attempt: 1 },
            Effect::StateWindow { attempt: 1 },
            note(What::AttemptOver(1)),
            state("requested", None),
            Effect::Announce,
            Effect::AskAdvance {
                number: 2,
                microusd_per_hour: 360_000,
                hold: Span::from_secs(361)
            },
            Effect::RecordChanged
        ]
    );
    assert!(world.rental.attempt_of(1).unwrap().costs.is_void);
    let effects = world.pay(&effects);
    assert!(effects.contains(&Effect::Rent {
        attempt: 2,
        candidate: 1
    }));
}

#[test]
fn a_look_that_misses_says_nothing_about_a_machine_whose_id_is_not_known() {
    let mut world = unclear();
    let sent = world.rental.current().unwrap().sent_at.unwrap();
    for _ in 0..3 {
        let missed = Fact::NotSeen {
            asked_at: sent + Span::from_secs(900),
            in_list: false,
            last_seen: None,
        };
        assert_eq!(world.hear(missed), []);
    }
}

#[test]
fn a_definite_refusal_goes_on_to_the_next_offer_and_a_bad_credential_skips_its_account() {
    let other = Terms {
        account: 2,
        ..PUBLIC
    };
    let mut world = World::with(vec![PUBLIC, PUBLIC, other], ends());
    let first = world.first.clone();
    world.pay(&first);
    world.hear(Fact::CreateSent);
    let effects = world.hear(Fact::CreateRefused(Refusal::Auth));
    let effects = world.pay(&effects);
    assert!(effects.contains(&Effect::Rent {
        attempt: 2,
        candidate: 2
    }));
    world.hear(Fact::CreateSent);
    let effects = world.hear(Fact::CreateRefused(Refusal::Unavailable));
    assert!(effects.contains(&state("failed", Some(Cause::NothingToRent))));
    assert_eq!(world.rental.poll_timeout(), None);
}

#[test]
fn terminate_before_an_id_is_known_is_remembered_and_runs_on_adoption() {
    let mut world = unclear();
    assert_eq!(
        world.command(Command::Terminate),
        [Effect::Announce, Effect::RecordChanged]
    );
    assert_eq!(
        world.rental.admit(Command::Terminate),
        Ok(Admission::AlreadySo)
    );
    let effects = world.see(Seen::Pending);
    assert!(effects.contains(&Effect::Act {
        attempt: 1,
        action: Action::Destroy,
        number: 1
    }));
    assert_eq!(world.rental.state(), State::Terminating);
}

#[test]
fn terminate_before_anything_left_withdraws_and_ends_when_that_is_certain() {
    let mut world = World::new();
    let first = world.first.clone();
    world.pay(&first);
    assert_eq!(
        world.command(Command::Terminate),
        [
            Effect::Withdraw { attempt: 1 },
            Effect::Announce,
            Effect::RecordChanged
        ]
    );
    let effects = world.hear(Fact::Withdrawn);
    assert_eq!(
        effects,
        [
            note(What::AttemptOver(1)),
            state("terminated", Some(Cause::Asked)),
            Effect::Announce,
            Effect::RecordChanged
        ]
    );
}

#[test]
fn facts_in_the_wrong_order_lead_to_the_same_place() {
    let mut world = World::new();
    let first = world.first.clone();
    world.pay(&first);
    world.see(Seen::Running);
    assert_eq!(world.rental.state(), State::Warming(WarmStep::Health));
    let sent = world.now - Span::from_secs(3);
    let effects = world.handle(Event::Heard {
        attempt: 1,
        at: sent,
        fact: Fact::CreateSent,
    });
    assert_eq!(
        effects,
        [],
        "the window is open since the vendor's own word"
    );
    world.hear(Fact::CreateUnclear);
    world.hear(Fact::CreateRefused(Refusal::Unavailable));
    assert_eq!(
        world.rental.state(),
        State::Warming(WarmStep::Health),
        "what was seen is not argued away"
    );
}

#[test]
fn an_old_sighting_does_not_undo_a_newer_one() {
    let mut world = World::serving();
    let old = world.sighting(Seen::Pending);
    world.wait(MINUTE);
    world.see(Seen::Running);
    let stopped = Sighting {
        seen: Seen::Stopped,
        ..old
    };
    assert_eq!(world.hear(Fact::Seen(stopped)), []);
    assert_eq!(world.rental.state(), State::Ready);
}

#[test]
fn a_twin_is_nobody_of_ours_to_judge() {
    let mut world = World::serving();
    let mut twin = world.sighting(Seen::Terminated);
    twin.machine = MachineId::new("pod-twin");
    assert_eq!(world.hear(Fact::Seen(twin)), []);
    assert_eq!(world.rental.state(), State::Ready);
}

/// Its account gives back, and pays for, whatever turns up of an attempt that was given up, and tells nothing
/// more of it. What it told before it heard of that may come later.
#[test]
fn what_turns_up_of_an_attempt_that_was_given_up_is_the_accounts_to_end() {
    for offers in [vec![PUBLIC, PUBLIC], vec![PUBLIC]] {
        let mut world = World::with(offers, ends());
        let first = world.first.clone();
        world.pay(&first);
        world.hear(Fact::CreateSent);
        world.hear(Fact::CreateUnclear);
        for secs in [600, 660] {
            let absent = absent(&world, Span::from_secs(secs));
            world.hear(absent);
        }
        let state = world.rental.state();
        assert!(matches!(state, State::Requested | State::Failed));
        world.now = world.now + Span::from_secs(1);
        assert_eq!(world.see(Seen::Running), []);
        assert_eq!(world.rental.state(), state);
        assert!(world.rental.attempt_of(1).unwrap().costs.is_void);
        assert_eq!(world.rental.record().machine, None);
    }
}

#[test]
fn an_attempt_that_nobody_speaks_of_is_asked_about() {
    let mut world = World::with(vec![PUBLIC], ends());
    let first = world.first.clone();
    world.pay(&first);
    world.hear(Fact::CreateSent);
    // What two lists said came before the word that it is unclear, and meant nothing.
    let mut effects = Vec::new();
    for secs in [600, 660] {
        let early = absent(&world, Span::from_secs(secs));
        effects.extend(world.hear(early));
    }
    assert_eq!(effects, []);
    world.hear(Fact::CreateUnclear);
    let look = Effect::Look { attempt: 1 };
    assert!(!world.wait(Span::from_secs(299)).contains(&look));
    assert!(world.wait(Span::from_secs(1)).contains(&look));
    assert!(world.wait(Span::from_secs(300)).contains(&look), "for ever");
    for secs in [720, 780] {
        let late = absent(&world, Span::from_secs(secs));
        effects = world.hear(late);
    }
    assert!(effects.contains(&Effect::Abandon { attempt: 1 }));
    assert_eq!(world.rental.state(), State::Failed);
    assert_eq!(world.rental.poll_timeout(), None);
}

#[test]
fn a_create_that_has_left_is_withdrawn_too_so_that_nobody_repeats_it() {
    let mut world = World::new();
    let first = world.first.clone();
    world.pay(&first);
    world.hear(Fact::CreateSent);
    assert_eq!(
        world.command(Command::Terminate),
        [
            Effect::Withdraw { attempt: 1 },
            Effect::Announce,
            Effect::RecordChanged
        ]
    );
    // What is unclear is repeated by nobody.
    let mut world = unclear();
    assert_eq!(
        world.command(Command::Terminate),
        [Effect::Announce, Effect::RecordChanged]
    );
}
