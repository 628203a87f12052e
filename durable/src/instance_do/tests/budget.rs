//! The write budget: at most four rows and three object requests for each inference request, amortised.

use super::world::World;
use super::*;

fn wide() -> Server {
    server_of(InstanceSpec {
        max_concurrency: 64,
        queue_depth: 64,
        ..spec(1)
    })
}

/// A thousand requests, one each `every_ms`, of the durations given. Releases ride on the next ask, and
/// running requests renew every 20 s, all in one message.
fn thousand(
    every_ms: i64,
    duration_ms: impl Fn(i64) -> i64,
    outcome: impl Fn(i64) -> OutcomeWire,
) -> World {
    let mut world = World::new(wide());
    let start = world.rig.now.as_ms();
    let mut ends = Vec::new();
    let mut renewed_at = start;
    let mut number = 0;
    let mut done = 0;
    while done < 1_000 {
        let now = start + number * every_ms;
        world.run_until(moment(now));
        let (over, running) = ends.into_iter().partition(|(end, _)| *end <= now);
        ends = running;
        let over: Vec<(i64, i64)> = over;
        done += over.len();
        let settled_now = over
            .iter()
            .map(|(_, number)| settled(&format!("r{number}"), outcome(*number)))
            .collect();
        let mut said = Turnover {
            settled: settled_now,
            ..Turnover::default()
        };
        if number < 1_000 {
            said.ask = Some(request(&world.rig, &format!("r{number}")));
            ends.push((now + duration_ms(number), number));
        }
        if now - renewed_at >= 20_000 {
            renewed_at = now;
            said.renewed = ends
                .iter()
                .map(|(_, number)| format!("r{number}"))
                .collect();
        }
        if said != Turnover::default() {
            world.turnover(said);
        }
        number += 1;
    }
    let end = world.rig.now + secs(120);
    world.run_until(end);
    assert!(world.running.is_empty());
    assert_eq!(world.rig.count("leases"), 0);
    assert_eq!(world.rig.count("outbox"), 0);
    world
}

#[test]
fn a_mix_of_requests_stays_within_the_budget() {
    // Seven short ones, two of seconds and a long one of each ten; a burst of failures now and then.
    let duration = |number: i64| match number % 10 {
        0..=6 => 300,
        7 | 8 => 3_000,
        _ => 45_000,
    };
    let outcome = |number: i64| match number % 250 {
        100..=112 => failure(),
        _ => OutcomeWire::Success,
    };
    let world = thousand(250, duration, outcome);
    assert!(world.checks >= 5 && world.announcements >= 2);
    let (rows, requests) = (world.rows(), world.requests);
    assert!(rows <= 4 * 1_000, "{rows} rows");
    assert!(requests <= 3 * 1_000, "{requests} object requests");
    // What it really costs, so that a change shows.
    assert!(rows <= 1_100, "{rows} rows");
    assert!(requests <= 1_100, "{requests} object requests");
}

#[test]
fn long_streams_stay_within_the_budget() {
    let world = thousand(2_000, |_| 60_000, |_| OutcomeWire::Success);
    let (rows, requests) = (world.rows(), world.requests);
    assert!(rows <= 4 * 1_000, "{rows} rows");
    assert!(requests <= 3 * 1_000, "{requests} object requests");
}

#[test]
fn short_requests_cost_next_to_nothing() {
    let world = thousand(97, |_| 50, |_| OutcomeWire::Success);
    let (rows, requests) = (world.rows(), world.requests);
    assert!(rows <= 250, "{rows} rows");
    assert!(requests <= 1_020, "{requests} object requests");
}

#[test]
fn a_server_that_nobody_asks_costs_two_rows_a_minute() {
    let mut world = World::new(server());
    let end = world.rig.now + secs(3_600);
    let before = (world.rows(), world.requests);
    world.run_until(end);
    let (rows, requests) = (world.rows() - before.0, world.requests - before.1);
    // For each of 60 checks the alarm that watches over it and the one of the next; six rings, twelve
    // reports. An alarm a minute, and the reports.
    assert!(rows <= 2 * 60 + 6 + 12, "{rows} rows");
    assert!(requests <= 60 + 12, "{requests} object requests");
}
