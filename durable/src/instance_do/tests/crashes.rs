//! D1: the object leaves memory before any step of a day's work, and what must hold, holds.

use super::world::{Coming, World};
use super::*;

const CAPACITY: usize = 2;

/// What clients and administrators do, by the second.
fn day(world: &mut World) {
    let mut at_secs = |secs: i64, said: Turnover| {
        let at = at(secs);
        world.at(at, Coming::Turnover(said));
    };
    let asking = |name: &str, kind: AskKind| Turnover {
        ask: Some(Ask {
            request: name.to_owned(),
            payer: None,
            priority: 0,
            arrived_at_ms: at(0),
            deadline_ms: at(3_600),
            kind,
            mode: AskMode::Normal,
            policy_version: 0,
        }),
        ..Turnover::default()
    };
    let ending = |name: &str, outcome: OutcomeWire| Turnover {
        settled: vec![settled(name, outcome)],
        ..Turnover::default()
    };
    for (second, number) in (1..=9).zip(0..) {
        let name = format!("r{number}");
        at_secs(second, asking(&name, AskKind::First));
        at_secs(second + 3, ending(&name, OutcomeWire::Success));
    }
    for (second, number) in (20..=34).step_by(2).zip(0..) {
        let name = format!("bad{number}");
        at_secs(second, asking(&name, AskKind::Retry));
        at_secs(second + 1, ending(&name, failure()));
    }
    at_secs(75, asking("probe", AskKind::First));
    at_secs(77, ending("probe", OutcomeWire::Success));
    at_secs(80, asking("long", AskKind::First));
    let renewing = Turnover {
        renewed: vec!["long".to_owned()],
        ..Turnover::default()
    };
    at_secs(100, renewing);
    at_secs(130, ending("long", OutcomeWire::Success));
    at_secs(131, asking("forgotten", AskKind::First));
}

fn run(evict_before: Option<usize>) -> (World, usize) {
    let mut world = World::new(server());
    day(&mut world);
    let mut steps = 0;
    while let Some(next) = world.next_at().filter(|next| *next <= at(200)) {
        if evict_before == Some(steps) {
            world.rig.now = world.rig.now.max(moment(next));
            world.evict();
        }
        world.run_until(moment(next + 1));
        steps += 1;
        let counted = world
            .running
            .keys()
            .filter(|name| !world.lost.contains(*name));
        assert!(counted.count() <= CAPACITY, "{:?}", world.running);
    }
    (world, steps)
}

// D1
#[test]
fn an_eviction_before_any_step_leaves_no_lease_no_message_and_no_open_breaker() {
    let (undisturbed, steps) = run(None);
    assert!(steps > 50, "{steps}");
    assert!(undisturbed.announcements >= 2);
    for step in 0..steps {
        let (mut world, _) = run(Some(step));
        let end = world.rig.now + secs(300);
        world.run_until(end);
        let now = view(&mut world.rig);
        let left = (now.running, now.queued, now.leases.len());
        assert_eq!(left, (0, 0, 0), "step {step}");
        assert_eq!(world.rig.count("leases"), 0, "step {step}");
        assert_eq!(world.rig.count("outbox"), 0, "step {step}");
        assert_eq!(now.health, "healthy", "step {step}");
        // What it has learnt of the server it still knows: the probe brought it back, or it was never
        // seen to fail five times.
        assert!(
            now.breaker != "probing" && (now.in_service || now.breaker == "ejected"),
            "step {step}: {now:?}"
        );
        grant_or_probe(&mut world.rig);
    }
}

/// A server that is back serves; one that was left ejected lets its probe through.
fn grant_or_probe(rig: &mut Server) {
    grant(rig, "last");
    settle(rig, "last", OutcomeWire::Success);
    let now = view(rig);
    assert_eq!((now.breaker.as_str(), now.in_service), ("admitting", true));
}

// D1
#[test]
fn an_object_that_never_stays_in_memory_still_ends_everything() {
    let mut world = World::new(server());
    day(&mut world);
    while let Some(next) = world.next_at().filter(|next| *next <= at(200)) {
        world.rig.now = world.rig.now.max(moment(next));
        world.evict();
        world.run_until(moment(next + 1));
    }
    let end = world.rig.now + secs(120);
    world.run_until(end);
    let now = view(&mut world.rig);
    assert_eq!((now.running, world.rig.count("leases")), (0, 0));
    assert_eq!(now.health, "healthy");
    grant_or_probe(&mut world.rig);
}
