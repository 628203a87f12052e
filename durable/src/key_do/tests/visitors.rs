//! A shard of callers without a key: every visitor has limits of his own, in one table.

use super::*;

const THREE: KeyLimits = KeyLimits {
    requests_per_minute: Some(3),
    tokens_per_minute: None,
    concurrency: None,
};

fn ask(world: &mut World, visitor: &str, request: &str) -> bool {
    let command = KeyCommand::Admit {
        request: request.to_owned(),
        limits: THREE,
        reserve_tokens: 1,
        visitor: Some(visitor.to_owned()),
        settled: Vec::new(),
    };
    matches!(
        answer(&world.call(&command).unwrap()),
        KeyAnswer::Allowed { .. }
    )
}

fn end(world: &mut World, visitor: &str, request: &str, refund: bool) {
    let command = KeyCommand::Settle {
        request: request.to_owned(),
        used_tokens: 1,
        refund,
        visitor: Some(visitor.to_owned()),
    };
    world.call(&command).unwrap();
}

#[test]
fn each_visitor_has_his_own_minute_through_evictions() {
    let mut world = World::new();
    for n in 0..3 {
        for visitor in ["aa", "bb"] {
            let request = format!("{visitor}{n}");
            assert!(ask(&mut world, visitor, &request));
            end(&mut world, visitor, &request, false);
            world.evict();
        }
    }
    for visitor in ["aa", "bb"] {
        assert!(!ask(&mut world, visitor, "fourth"), "{visitor}");
    }
    assert!(ask(&mut world, "cc", "first"));
    assert_eq!(world.rows(), 7);
    world.now_ms += 60_000;
    assert!(ask(&mut world, "aa", "fifth"));
}

#[test]
fn a_request_that_reached_no_server_is_given_back_to_whom_it_was_taken_from() {
    let mut world = World::new();
    for request in ["1", "2", "3"] {
        assert!(ask(&mut world, "aa", request));
    }
    end(&mut world, "bb", "3", true);
    assert!(!ask(&mut world, "aa", "4"), "not his");
    end(&mut world, "aa", "3", true);
    assert!(ask(&mut world, "aa", "4"));
}

#[test]
fn a_clock_that_goes_back_moves_the_charges_of_who_came_and_no_others() {
    let mut world = World::new();
    for request in ["1", "2", "3"] {
        assert!(ask(&mut world, "aa", request));
        assert!(ask(&mut world, "bb", &format!("b{request}")));
    }
    world.now_ms -= 3_600_000;
    assert!(!ask(&mut world, "aa", "4"));
    world.evict();
    world.now_ms += 60_000;
    assert!(
        ask(&mut world, "aa", "4"),
        "his minute is over by the new time"
    );
    assert!(!ask(&mut world, "bb", "b4"), "his has moved once, just now");
    world.now_ms += 60_000;
    assert!(ask(&mut world, "bb", "b4"));
}

#[test]
fn what_is_kept_goes_when_nobody_came_for_two_minutes() {
    let mut world = World::new();
    assert!(ask(&mut world, "aa", "1"));
    world.now_ms += 120_000;
    world.alarm();
    assert_eq!(world.rows(), 0);
}
