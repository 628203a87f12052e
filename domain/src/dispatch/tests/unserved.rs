//! Servers that lack what was asked for.

use super::*;

const LACKING: Outcome = Outcome::ClientError(404);

fn unserved(attempt: AttemptNo) -> Event {
    Event::Unserved { attempt }
}

#[test]
fn another_server_is_asked_and_the_one_that_lacks_it_is_not_blamed() {
    let (mut d, _) = start(2, false);
    d.handle(at(1), granted(0));
    assert_eq!(
        d.handle(at(2), unserved(0)),
        [
            settle(0, 0, LACKING, None, 1),
            ask(1, Purpose::Retry, Manner::Tentative)
        ]
    );
    let fetch = Effect::Fetch {
        attempt: 1,
        slot: 1,
    };
    assert_eq!(d.handle(at(3), granted(1)), [fetch]);
    let success = Event::Ended {
        attempt: 1,
        outcome: Outcome::Success,
    };
    assert_eq!(
        d.handle(at(4), success),
        [
            Effect::Commit { attempt: 1 },
            settle(1, 1, Outcome::Success, None, 1),
            Effect::Finish
        ]
    );
    nothing_more(&mut d);
}

#[test]
fn one_that_was_only_busy_is_waited_for() {
    let (mut d, _) = start(2, true);
    d.handle(at(0), refused(1, Refusal::Busy { score: 900 }));
    d.handle(at(1), granted(0));
    assert_eq!(
        d.handle(at(2), unserved(0)),
        [
            settle(0, 0, LACKING, None, 1),
            ask(1, Purpose::Retry, Manner::Queue)
        ]
    );
}

#[test]
fn the_last_server_that_lacks_it_gives_the_answer() {
    let (mut d, _) = start(1, false);
    d.handle(at(1), granted(0));
    let answer = |attempt: AttemptNo, slot: Slot| {
        [
            Effect::Commit { attempt },
            settle(attempt, slot, LACKING, None, 1),
            Effect::Finish,
        ]
    };
    assert_eq!(d.handle(at(2), unserved(0)), answer(0, 0));
    nothing_more(&mut d);

    let (mut d, _) = start(2, false);
    d.handle(at(1), granted(0));
    d.handle(at(2), unserved(0));
    d.handle(at(3), granted(1));
    assert_eq!(d.handle(at(4), unserved(1)), answer(1, 1));
    nothing_more(&mut d);
}

#[test]
fn without_a_retry_left_it_is_the_answer() {
    let limits = Limits {
        max_retries: 0,
        ..limits()
    };
    let mut d = Dispatch::new(T0, equals(2), limits, false, false);
    d.handle(T0, Event::Started);
    d.handle(at(1), granted(0));
    let effects = d.handle(at(2), unserved(0));
    assert_eq!(effects[0], Effect::Commit { attempt: 0 });
    nothing_more(&mut d);
}

#[test]
fn an_attempt_that_runs_beside_it_goes_on_alone() {
    let (mut d, _) = start(2, false);
    d.handle(at(0), granted(0));
    d.handle_timeout(at(4_000));
    d.handle(at(4_001), granted(1));
    assert_eq!(
        d.handle(at(4_002), unserved(1)),
        [settle(1, 1, LACKING, None, 1)]
    );
    let ready = d.handle(at(4_003), Event::Ready { attempt: 0 });
    assert_eq!(ready[0], Effect::Commit { attempt: 0 });
    assert_eq!(d.handle(at(4_004), unserved(1)), [], "it is over");
}
