//! It never runs longer than it is paid for, and its window says what the vendor's meter says.

use super::*;
use crate::money::Segment;

fn ask(effects: &[Effect]) -> Option<(u64, u64)> {
    effects.iter().find_map(|effect| match effect {
        Effect::AskAdvance {
            number,
            microusd_per_hour,
            ..
        } => Some((*number, *microusd_per_hour)),
        _ => None,
    })
}

#[test]
fn nothing_is_rented_before_the_ledger_has_said_yes() {
    let mut world = World::new();
    assert_eq!(
        ask(&world.wait(Span::from_secs(10))),
        Some((1, 360_000)),
        "asked again"
    );
    let effects = world.handle(Event::AdvanceDenied { number: 1 });
    assert_eq!(
        effects,
        [
            state("failed", Some(Cause::Budget)),
            Effect::Announce,
            Effect::RecordChanged
        ]
    );
    assert_eq!(world.rental.poll_timeout(), None);
    let late = Event::Advanced {
        number: 1,
        until: world.now + MINUTE,
    };
    assert_eq!(world.handle(late), [], "a late yes rents nothing");
}

#[test]
fn a_ledger_that_never_answers_rents_nothing() {
    let mut world = World::new();
    for _ in 0..59 {
        let effects = world.wait(Span::from_secs(10));
        assert_eq!(ask(&effects), Some((1, 360_000)));
    }
    let effects = world.wait(Span::from_secs(10));
    assert!(effects.contains(&state("failed", Some(Cause::LedgerSilent))));
}

#[test]
fn an_advance_is_renewed_in_time_and_its_refusal_ends_the_machine_before_it_runs_out() {
    let mut world = World::serving();
    world.handle(Event::Used(Usage {
        busy: 1,
        last: Some(world.now),
    }));
    // 361 s were granted; 60 s are the way down, 120 s the time to ask in.
    let effects = world.wait(Span::from_secs(181));
    assert_eq!(ask(&effects), Some((2, 360_000)));
    assert_eq!(
        world.handle(Event::AdvanceDenied { number: 2 }),
        [Effect::RecordChanged]
    );
    let effects = world.wait(Span::from_secs(10));
    assert_eq!(
        ask(&effects),
        Some((3, 360_000)),
        "the budget may have been raised"
    );
    world.handle(Event::AdvanceDenied { number: 3 });
    let mut ended = None;
    while ended.is_none() {
        world.now = world.rental.poll_timeout().unwrap();
        let effects = world.tick();
        if let Some((number, _)) = ask(&effects) {
            world.handle(Event::AdvanceDenied { number });
        }
        if effects.contains(&state("terminating", Some(Cause::Budget))) {
            ended = Some(world.now);
        }
    }
    assert_eq!(
        ended,
        Some(START + Span::from_secs(301)),
        "60 s before the 361st"
    );
}

#[test]
fn silence_of_the_ledger_ends_it_too() {
    let mut world = World::serving();
    world.handle(Event::Used(Usage {
        busy: 1,
        last: Some(world.now),
    }));
    let mut causes = Vec::new();
    while world.rental.state() != State::Terminating {
        world.now = world.rental.poll_timeout().unwrap();
        for effect in world.tick() {
            if let Effect::Note { cause, .. } = effect {
                causes.extend(cause);
            }
        }
    }
    assert_eq!(causes, [Cause::LedgerSilent]);
    assert_eq!(world.now, START + Span::from_secs(301));
}

#[test]
fn the_vendors_own_times_and_rates_replace_what_was_assumed() {
    let mut world = World::new();
    let first = world.first.clone();
    world.pay(&first);
    world.hear(Fact::CreateSent);
    let begun = world.now + Span::from_secs(2);
    world.now = world.now + Span::from_secs(4);
    let mut running = world.sighting(Seen::Running);
    running.billed_from = Some(begun);
    running.microusd_per_hour = Some(400_000);
    world.hear(Fact::Seen(running.clone()));
    let segments = |world: &World| world.rental.current().unwrap().costs.segments.clone();
    assert_eq!(
        segments(&world),
        [Segment {
            from: begun,
            microusd_per_hour: 400_000
        }]
    );
    world.now = world.now + Span::from_secs(100);
    running.at = world.now;
    running.microusd_per_hour = Some(500_000);
    world.hear(Fact::Seen(running.clone()));
    assert_eq!(segments(&world).len(), 2, "a price that changed");
    let until = world.now + Span::from_secs(7);
    world.now = world.now + Span::from_secs(9);
    let ended = Sighting {
        at: world.now,
        seen: Seen::Terminated,
        billing: Billing::None,
        billed_until: Some(until),
        ..running
    };
    world.hear(Fact::Seen(ended));
    let costs = &world.rental.current().unwrap().costs;
    assert_eq!(costs.until, Some(until));
    assert_eq!(costs.segments[1].microusd_per_hour, 500_000);
}

#[test]
fn a_second_run_after_a_stop_begins_when_the_vendor_says() {
    let mut world = World::serving();
    world.command(Command::Stop);
    world.now = world.now + Span::from_secs(100);
    world.see(Seen::Stopped);
    world.now = world.now + Span::from_secs(100);
    let asked = world.command(Command::Start);
    world.pay(&asked);
    let begun = world.now + Span::from_secs(1);
    world.now = world.now + Span::from_secs(3);
    let mut running = world.sighting(Seen::Running);
    running.billed_from = Some(begun);
    world.hear(Fact::Seen(running));
    let costs = &world.rental.current().unwrap().costs;
    let rates: Vec<u64> = costs
        .segments
        .iter()
        .map(|it| it.microusd_per_hour)
        .collect();
    assert_eq!(rates, [360_000, 3_600, 360_000]);
    assert_eq!(costs.segments[2].from, begun);
}

#[test]
fn the_vendors_own_end_corrects_the_one_that_was_assumed() {
    let mut world = World::serving();
    world.command(Command::Terminate);
    world.hear(Fact::Taken(Action::Destroy));
    world.now = world.now + Span::from_secs(90);
    let asked_at = world.now;
    world.hear(Fact::NotSeen {
        asked_at,
        in_list: false,
        last_seen: None,
    });
    assert_eq!(world.rental.state(), State::Terminated);
    let until = |world: &World| world.rental.current().unwrap().costs.until;
    assert_eq!(until(&world), Some(world.now));
    // It lingers in a list, which tells when its meter stopped.
    let named = world.now - Span::from_secs(80);
    world.now = world.now + Span::from_secs(20);
    let mut ended = world.sighting(Seen::Terminated);
    ended.billed_until = Some(named);
    assert_eq!(
        world.hear(Fact::Seen(ended.clone())),
        [Effect::StateWindow { attempt: 1 }, Effect::RecordChanged]
    );
    assert_eq!(until(&world), Some(named));
    // Another list that names nothing leaves it as it is.
    world.now = world.now + Span::from_secs(20);
    ended.billed_until = None;
    ended.at = world.now;
    assert_eq!(world.hear(Fact::Seen(ended)), [Effect::RecordChanged]);
    assert_eq!(until(&world), Some(named));
}

#[test]
fn a_run_that_was_only_seen_at_its_end_costs_what_a_run_costs() {
    let mut world = World::serving();
    world.command(Command::Stop);
    world.now = world.now + Span::from_secs(100);
    world.see(Seen::Stopped);
    // Somebody starts it and gives it back, and nobody looks meanwhile.
    let (from, until) = (
        world.now + Span::from_secs(600),
        world.now + Span::from_secs(900),
    );
    world.now = world.now + Span::from_secs(100);
    let mut ended = world.sighting(Seen::Terminated);
    ended.billed_from = Some(from);
    ended.billed_until = Some(until);
    world.hear(Fact::Seen(ended));
    let costs = &world.rental.current().unwrap().costs;
    let last = costs.segments.last().unwrap();
    assert_eq!((last.from, last.microusd_per_hour), (from, 360_000));
    assert_eq!(costs.until, Some(until));
}

#[test]
fn an_answer_about_an_attempt_that_is_over_pays_for_no_other() {
    let mut world = World::with(vec![PUBLIC, PUBLIC], ends());
    let first = world.first.clone();
    world.pay(&first);
    world.hear(Fact::CreateSent);
    // It is asked whether the first attempt may go on, and that is refused meanwhile.
    let effects = world.wait(Span::from_secs(181));
    assert_eq!(ask(&effects), Some((2, 360_000)));
    let effects = world.hear(Fact::CreateRefused(Refusal::Unavailable));
    assert_eq!(ask(&effects), Some((3, 360_000)), "for the next one");
    let yes = |number| Event::Advanced {
        number,
        until: START + Span::from_secs(700),
    };
    assert_eq!(world.handle(yes(2)), []);
    assert_eq!(world.rental.state(), State::Requested);
    let effects = world.handle(yes(3));
    assert!(effects.contains(&Effect::Rent {
        attempt: 2,
        candidate: 1
    }));
}

#[test]
fn one_that_somebody_else_started_asks_every_ten_seconds_and_ends_after_two_minutes_of_no() {
    let mut world = World::serving();
    world.command(Command::Stop);
    world.now = world.now + Span::from_secs(100);
    world.see(Seen::Stopped);
    world.now = world.now + Span::from_secs(30);
    let started = world.now;
    let mut effects = world.see(Seen::Running);
    let mut asked = 0;
    while world.rental.state() != State::Terminating {
        if let Some((number, _)) = ask(&effects) {
            asked += 1;
            world.handle(Event::AdvanceDenied { number });
        }
        world.now = world.rental.poll_timeout().unwrap().max(world.now);
        effects = world.tick();
        // What it comes to meanwhile gives it no more time.
        if let State::Warming(step) = world.rental.state() {
            world.warmed(step);
        }
    }
    assert_eq!(asked, 12);
    assert_eq!(world.now, started + Span::from_secs(120));
}

#[test]
fn what_was_told_to_start_is_reckoned_as_running_until_the_vendor_shows_what_it_does() {
    let rates = |world: &World| -> Vec<u64> {
        let costs = &world.rental.current().unwrap().costs;
        let rates = costs.segments.iter();
        rates.map(|segment| segment.microusd_per_hour).collect()
    };
    let told = || {
        let mut world = World::serving();
        world.command(Command::Stop);
        world.now = world.now + Span::from_secs(100);
        world.see(Seen::Stopped);
        world.now = world.now + Span::from_secs(100);
        let asked = world.command(Command::Start);
        let effects = world.pay(&asked);
        assert!(effects.contains(&Effect::StateWindow { attempt: 1 }));
        assert_eq!(rates(&world), [360_000, 3_600, 360_000]);
        world
    };
    // It is still down: the order may be done any moment.
    let mut world = told();
    world.now = world.now + Span::from_secs(5);
    world.see(Seen::Stopped);
    assert_eq!(rates(&world), [360_000, 3_600, 360_000]);
    let costs = &world.rental.current().unwrap().costs;
    assert_eq!(costs.segments[2].from, world.now);
    // The vendor says when it began.
    let begun = world.now + Span::from_secs(600);
    world.now = world.now + Span::from_secs(700);
    let mut running = world.sighting(Seen::Running);
    running.billed_from = Some(begun);
    world.hear(Fact::Seen(running));
    let costs = &world.rental.current().unwrap().costs;
    assert_eq!(costs.segments[2].from, begun);
    assert_eq!(rates(&world), [360_000, 3_600, 360_000]);
    // The vendor does not say when it began.
    let mut world = told();
    let assumed = world.now;
    world.now = world.now + Span::from_secs(700);
    world.see(Seen::Running);
    let costs = &world.rental.current().unwrap().costs;
    assert_eq!(costs.segments[2].from, assumed);
    assert_eq!(rates(&world), [360_000, 3_600, 360_000]);
    // It never was started.
    let mut world = told();
    world.now = world.now + Span::from_secs(60);
    let effects = world.hear(Fact::Refused(Action::Start, Refusal::Unavailable));
    assert!(effects.contains(&Effect::StateWindow { attempt: 1 }));
    assert_eq!(rates(&world), [360_000, 3_600]);
    // It is given back, and the vendor says when its disk went.
    let mut world = told();
    world.command(Command::Terminate);
    let mut ended = world.sighting(Seen::Terminated);
    ended.billed_until = Some(world.now + Span::from_secs(9));
    world.now = world.now + Span::from_secs(20);
    ended.at = world.now;
    world.hear(Fact::Seen(ended));
    assert_eq!(rates(&world), [360_000, 3_600]);
}

#[test]
fn the_end_of_a_run_that_only_old_news_tell_of_is_reckoned() {
    let mut world = World::serving();
    let from = world.now - Span::from_secs(300);
    let mut running = world.sighting(Seen::Running);
    running.billed_from = Some(from);
    world.hear(Fact::Seen(running.clone()));
    world.command(Command::Stop);
    world.now = world.now + Span::from_secs(100);
    let stopped_at = world.now - Span::from_secs(60);
    let mut stopped = world.sighting(Seen::Stopped);
    (stopped.billed_from, stopped.billed_until) = (Some(from), Some(stopped_at));
    // It is told of after what came next.
    let told = |next: Sighting| {
        let mut world = world.copy();
        world.now = world.now + Span::from_secs(600);
        let mut next = next;
        next.at = world.now;
        world.hear(Fact::Seen(next));
        let state = world.rental.state();
        let effects = world.hear(Fact::Seen(stopped.clone()));
        assert_eq!(world.rental.state(), state);
        let again = world.hear(Fact::Seen(stopped.clone()));
        assert_eq!(again, [], "it is known now");
        let costs = &world.rental.current().unwrap().costs;
        let segments: Vec<(Timestamp, u64)> = costs
            .segments
            .iter()
            .map(|segment| (segment.from, segment.microusd_per_hour))
            .collect();
        (effects, segments, costs.until)
    };
    let news = [Effect::StateWindow { attempt: 1 }, Effect::RecordChanged];
    let until = stopped_at + Span::from_secs(300);
    let mut ended = world.sighting(Seen::Terminated);
    (ended.billed_from, ended.billed_until) = (Some(from), Some(until));
    let expected = vec![(from, 360_000), (stopped_at, 3_600)];
    assert_eq!(told(ended), (news.to_vec(), expected, Some(until)));
    let begun = stopped_at + Span::from_secs(120);
    running.billed_from = Some(begun);
    let expected = vec![(from, 360_000), (stopped_at, 3_600), (begun, 360_000)];
    assert_eq!(told(running), (news.to_vec(), expected, None));
    // What is known better stays.
    let mut gone = world.sighting(Seen::Terminated);
    (gone.billed_from, gone.billed_until) = (Some(from), Some(stopped_at));
    let expected = vec![(from, 360_000)];
    assert_eq!(told(gone), (Vec::new(), expected, Some(stopped_at)));
}

#[test]
fn while_the_ledger_does_not_say_whether_it_may_start_its_disk_is_paid_for_or_given_back() {
    let mut world = World::serving();
    world.command(Command::Stop);
    world.see(Seen::Stopped);
    let until = world.rental.record().advance.until.unwrap();
    world.command(Command::Start);
    while world.rental.state() == State::Starting(Told::NotYet) {
        world.now = world.rental.poll_timeout().unwrap();
        world.tick();
    }
    assert_eq!(world.rental.state(), State::Terminating);
    assert_eq!(world.rental.record().cause, Some(Cause::LedgerSilent));
    assert_eq!(world.now, until - Span::from_secs(60));
}
