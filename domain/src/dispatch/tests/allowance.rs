//! How many attempts a request may make: one, its retries, and one race.

use super::*;

fn start_with(max_retries: u32, servers: usize, pair: bool) -> Dispatch {
    let limits = Limits {
        max_retries,
        ..limits()
    };
    let mut d = Dispatch::new(T0, equals(servers), limits, pair, false);
    d.handle(T0, Event::Started);
    d
}

fn died(attempt: AttemptNo) -> Event {
    Event::Ended {
        attempt,
        outcome: failure(FailureKind::Http5xx(500)),
    }
}

fn failed(attempts: u32) -> [Effect; 2] {
    let last = FailureKind::Http5xx(500);
    [
        Effect::Fail(Failure::Upstream { last, attempts }),
        Effect::Finish,
    ]
}

#[test]
fn a_twin_that_takes_the_place_of_a_failed_attempt_is_a_retry() {
    let mut d = start_with(1, 3, true);
    d.handle(at(0), granted(1));
    d.handle_timeout(at(100));
    d.handle(at(200), died(0));
    assert_eq!(
        d.handle(at(300), granted(0)),
        [Effect::Fetch {
            attempt: 1,
            slot: 0
        }]
    );
    assert_eq!(d.handle(at(400), died(1))[1..], failed(2));
    nothing_more(&mut d);
}

#[test]
fn without_a_retry_left_an_open_twin_is_given_back_and_the_client_hears_at_once() {
    let mut d = start_with(0, 2, true);
    d.handle(at(0), granted(1));
    d.handle_timeout(at(100));
    let effects = d.handle(at(200), died(0));
    assert_eq!(effects[1], Effect::Cancel { slot: 0 });
    assert_eq!(effects[2..], failed(1));
    assert_eq!(d.handle(at(300), granted(0)), [Effect::Cancel { slot: 0 }]);
    nothing_more(&mut d);
}

#[test]
fn a_race_that_was_asked_for_runs_even_if_the_last_attempt_dies_meanwhile() {
    for (grants, end) in [(true, 2), (false, 1)] {
        let mut d = start_with(0, 2, false);
        d.handle(at(0), granted(0));
        assert_eq!(
            d.handle_timeout(at(4000)),
            [ask(1, Purpose::Hedge, Manner::Tentative)]
        );
        assert_eq!(d.handle(at(4001), died(0)).len(), 1, "settled, and waited");
        if grants {
            assert_eq!(
                d.handle(at(4002), granted(1)),
                [Effect::Fetch {
                    attempt: 1,
                    slot: 1
                }]
            );
            assert_eq!(d.handle(at(4003), died(1))[1..], failed(end));
        } else {
            let refused = d.handle(at(4002), refused(1, Refusal::Full));
            assert_eq!(refused, failed(end));
        }
        nothing_more(&mut d);
    }
}

#[test]
fn a_race_takes_no_retry_away() {
    let mut d = start_with(1, 4, false);
    d.handle(at(0), granted(0));
    d.handle_timeout(at(4000));
    d.handle(at(4001), granted(1));
    assert_eq!(d.handle(at(4002), died(0)).len(), 1, "the rival goes on");
    assert_eq!(
        d.handle(at(4003), died(1))[1..],
        [ask(2, Purpose::Retry, Manner::Tentative)]
    );
    d.handle(at(4004), granted(2));
    assert_eq!(d.handle(at(4005), died(2))[1..], failed(3));
    nothing_more(&mut d);
}

#[test]
fn a_retry_that_one_server_refuses_and_another_grants_is_one() {
    let mut d = start_with(1, 3, false);
    d.handle(at(0), granted(0));
    d.handle(at(1), died(0));
    assert_eq!(
        d.handle(at(2), refused(1, Refusal::RetryBudgetSpent)),
        [ask(2, Purpose::Retry, Manner::Tentative)]
    );
    d.handle(at(3), granted(2));
    assert_eq!(d.handle(at(4), died(1))[1..], failed(2));
    nothing_more(&mut d);
}
