//! P9: every state meets every event. Reached states are explored breadth first, from the launch on, with
//! time standing still or jumping past every timer; what a step may do is checked on each edge.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

/// What can happen, time apart.
fn events(world: &World) -> Vec<(&'static str, Event)> {
    let attempt = world.rental.attempt();
    let number = world.rental.record().advance.number;
    let until = world.now + Span::from_secs(361);
    let heard = |fact| Event::Heard {
        attempt,
        at: world.now,
        fact,
    };
    let short = Sighting {
        gpus: Some(0),
        ..world.sighting(Seen::Running)
    };
    let not_seen = |in_list| Fact::NotSeen {
        asked_at: world.now,
        in_list,
        last_seen: None,
    };
    let used = |busy| {
        Event::Used(Usage {
            busy,
            last: Some(world.now),
        })
    };
    let mut events = vec![
        ("advanced", Event::Advanced { number, until }),
        ("denied", Event::AdvanceDenied { number }),
        ("create sent", heard(Fact::CreateSent)),
        (
            "create refused",
            heard(Fact::CreateRefused(Refusal::Unavailable)),
        ),
        (
            "credential refused",
            heard(Fact::CreateRefused(Refusal::Auth)),
        ),
        ("create unclear", heard(Fact::CreateUnclear)),
        ("withdrawn", heard(Fact::Withdrawn)),
        ("short of GPUs", heard(Fact::Seen(short))),
        ("not in a list", heard(not_seen(true))),
        ("not found", heard(not_seen(false))),
        ("destroy taken", heard(Fact::Taken(Action::Destroy))),
        (
            "stop refused",
            heard(Fact::Refused(Action::Stop, Refusal::Never)),
        ),
        (
            "start refused",
            heard(Fact::Refused(Action::Start, Refusal::NotNow)),
        ),
        ("billed", heard(Fact::Billed(7))),
        (
            "booted",
            Event::Called {
                attempt,
                says: Says::Booted,
            },
        ),
        (
            "preempting",
            Event::Called {
                attempt,
                says: Says::Preempting,
            },
        ),
        ("busy", used(1)),
        ("not busy", used(0)),
        ("tick", Event::Tick),
    ];
    for (name, seen) in [
        ("pending", Seen::Pending),
        ("running", Seen::Running),
        ("stopping", Seen::Stopping),
        ("stopped", Seen::Stopped),
        ("terminating", Seen::Terminating),
        ("terminated", Seen::Terminated),
        ("failed", Seen::Failed),
        ("unknown", Seen::Unknown),
    ] {
        events.push((name, heard(Fact::Seen(world.sighting(seen)))));
    }
    for (name, command) in [
        ("start", Command::Start),
        ("stop", Command::Stop),
        ("drain", Command::Drain),
        ("resume", Command::Resume),
        ("terminate", Command::Terminate),
    ] {
        events.push((name, Event::Commanded(command)));
    }
    if let State::Warming(step) = world.rental.state() {
        events.push(("warmed", Event::Warmed { step, ok: true }));
        events.push(("not warmed", Event::Warmed { step, ok: false }));
    }
    events
}

/// What tells two worlds apart: the record with moments as distances, rounded, and counters cut off.
fn essence(world: &World) -> String {
    let record = world.rental.record();
    let costs = world.rental.current().map(|it| {
        (
            it.costs.is_open(),
            it.costs.is_void,
            it.costs.billed.is_some(),
        )
    });
    format!(
        "{:?} {:?} {:?} {} {} {:?} {} {} {:?} {:?} {} {} {:?} {}",
        record.state,
        record.cause,
        record.wish,
        world.rental.attempt(),
        record.machine.is_some(),
        costs,
        record.absences.lists.min(2),
        record.absences.looks.min(1),
        record.advance.asked_at.is_some(),
        record.advance.denied_at.is_some(),
        record.act_taken_at.is_some(),
        record.has_served,
        record.called_at.is_some(),
        world.rental.usage().busy,
    )
}

/// What no step may do, whatever it is.
fn check(name: &str, before: &World, after: &World, effects: &[Effect]) {
    let (from, to) = (before.rental.state(), after.rental.state());
    let words = || format!("{from:?} —{name}→ {to:?}: {effects:?}");
    let rents = effects
        .iter()
        .any(|effect| matches!(effect, Effect::Rent { .. }));
    assert!(
        !rents || name == "advanced",
        "rented without a yes: {}",
        words()
    );
    if from == State::Terminating && to != State::Terminating {
        let is_the_vendors_word = ["terminated", "not found", "not in a list"].contains(&name);
        assert!(is_the_vendors_word && to.is_over(), "{}", words());
    }
    if from.is_over() && from != to {
        assert_eq!(to, State::Terminating, "{}", words());
        assert!(name != "tick" && name != "later", "{}", words());
    }
    if to.is_over() && !from.is_over() {
        let is_open = after
            .rental
            .current()
            .is_some_and(|attempt| attempt.costs.is_open());
        assert!(!is_open, "over, and its window is open: {}", words());
    }
    if matches!(from, State::Provisioning(Creating::Ambiguous)) && !from.eq(&to) {
        assert!(
            !["later", "tick", "advanced", "denied", "terminate"].contains(&name),
            "nobody knows, and yet: {}",
            words()
        );
    }
    let due = after.rental.poll_timeout();
    assert!(due.is_none_or(|due| due > after.now), "{}", words());
}

#[test]
fn every_state_meets_every_event_and_keeps_its_word() {
    let two_accounts = vec![
        PUBLIC,
        Terms {
            account: 2,
            is_public: false,
            calls_home: true,
            ..PUBLIC
        },
    ];
    let first = World::with(two_accounts, ends());
    let mut seen = BTreeSet::from([essence(&first)]);
    let mut ahead = VecDeque::from([first]);
    let mut met: BTreeMap<&'static str, BTreeSet<&'static str>> = BTreeMap::new();
    let mut edges = 0_u32;
    while let Some(world) = ahead.pop_front() {
        let mut steps: Vec<(&'static str, World, Vec<Effect>)> = Vec::new();
        for (name, event) in events(&world) {
            let mut next = world.copy();
            let effects = next.handle(event);
            steps.push((name, next, effects));
        }
        if let Some(due) = world.rental.poll_timeout() {
            let mut next = world.copy();
            next.now = due;
            let effects = next.tick();
            steps.push(("later", next, effects));
        }
        for (name, next, effects) in steps {
            edges += 1;
            met.entry(world.rental.state().code())
                .or_default()
                .insert(name);
            check(name, &world, &next, &effects);
            if seen.insert(essence(&next)) {
                ahead.push_back(next);
            }
        }
    }
    let preload = "warming/preload";
    for state in State::ALL.iter().filter(|state| state.code() != preload) {
        let with = met.get(state.code()).map_or(0, BTreeSet::len);
        assert!(with >= 32, "{} met {with} events only", state.code());
    }
    assert!(
        seen.len() > 1_000 && edges > 30_000,
        "{} {edges}",
        seen.len()
    );
}
