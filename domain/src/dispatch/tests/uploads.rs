//! Requests whose body passes through.

use super::*;

fn running() -> Dispatch {
    let (mut dispatch, _) = start(2, false);
    let effects = dispatch.handle(T0, granted(0));
    let fetch = Effect::Fetch {
        attempt: 0,
        slot: 0,
    };
    assert_eq!(effects, [fetch]);
    dispatch
}

#[test]
fn the_time_to_the_first_token_begins_when_the_request_has_been_sent() {
    let mut dispatch = running();
    let _ = dispatch.handle(T0, Event::BodyGone);
    for seconds in [200, 400, 600] {
        let now = T0 + Span::from_secs(seconds);
        assert_eq!(dispatch.handle(now, Event::Sending { attempt: 0 }), []);
    }
    let due = T0 + Span::from_secs(900);
    assert_eq!(dispatch.poll_timeout(), Some(due));
    assert_eq!(dispatch.handle_timeout(T0 + Span::from_secs(899)), []);
    let effects = dispatch.handle_timeout(due);
    let failed = Effect::Fail(Failure::TimedOut { attempts: 1 });
    assert!(effects.contains(&failed), "{effects:?}");
    assert!(dispatch.is_finished());
}

#[test]
fn a_body_that_is_gone_is_neither_sent_again_nor_raced() {
    let mut dispatch = running();
    assert_eq!(dispatch.handle(T0, Event::BodyGone), []);
    assert_eq!(
        dispatch.handle_timeout(at(10_000)),
        [],
        "a race would have begun after 4 s"
    );
    let broken = Event::Ended {
        attempt: 0,
        outcome: Outcome::Failure {
            kind: FailureKind::Transport,
        },
    };
    let effects = dispatch.handle(at(11_000), broken);
    let failed = Effect::Fail(Failure::Upstream {
        last: FailureKind::Transport,
        attempts: 1,
    });
    assert_eq!(effects[1..], [failed, Effect::Finish]);
    assert!(dispatch.is_finished());
    assert_eq!(dispatch.poll_timeout(), None);
}

#[test]
fn what_is_said_of_an_attempt_that_is_over_moves_nothing() {
    let mut dispatch = running();
    let late = at(1_000);
    let _ = dispatch.handle(late, Event::ClientLeft);
    assert_eq!(dispatch.handle(late, Event::Sending { attempt: 0 }), []);
    assert_eq!(dispatch.handle(late, Event::Sending { attempt: 7 }), []);
    assert_eq!(dispatch.poll_timeout(), None);
}
