//! Story tests of a dispatch: the exact effects of each event, and that nothing is left to do.

mod allowance;
mod unserved;
mod uploads;

use super::*;

const T0: Timestamp = Timestamp::from_ms(1_000_000);

fn at(ms: i64) -> Timestamp {
    T0 + Span::from_ms(ms)
}

fn limits() -> Limits {
    Limits {
        first_token: Span::from_secs(300),
        idle: Span::from_secs(60),
        total: Span::from_secs(1800),
        max_retries: 2,
        hedge_after: Some(Span::from_secs(4)),
        model_wait: Span::from_secs(60),
    }
}

fn equals(n: usize) -> Vec<Candidate> {
    vec![
        Candidate {
            tier: 0,
            first_token_cap: None
        };
        n
    ]
}

fn start(candidates: usize, pair: bool) -> (Dispatch, Vec<Effect>) {
    let mut dispatch = Dispatch::new(T0, equals(candidates), limits(), pair, false);
    let effects = dispatch.handle(T0, Event::Started);
    (dispatch, effects)
}

fn ask(slot: Slot, purpose: Purpose, manner: Manner) -> Effect {
    Effect::Ask {
        slot,
        purpose,
        manner,
        deadline: T0 + Span::from_secs(1800),
    }
}

fn granted(slot: Slot) -> Event {
    Event::Granted { slot, score: 10 }
}

fn refused(slot: Slot, refusal: Refusal) -> Event {
    Event::Refused {
        slot,
        refusal,
        retry_after: None,
    }
}

fn failure(kind: FailureKind) -> Outcome {
    Outcome::Failure { kind }
}

fn settle(
    attempt: AttemptNo,
    slot: Slot,
    outcome: Outcome,
    first: Option<i64>,
    total: i64,
) -> Effect {
    let first_token = first.map(Span::from_ms);
    Effect::Settle {
        attempt,
        slot,
        outcome,
        first_token,
        duration: Span::from_ms(total),
    }
}

fn nothing_more(dispatch: &mut Dispatch) {
    assert!(dispatch.is_finished());
    assert_eq!(dispatch.poll_timeout(), None);
    assert_eq!(dispatch.handle_timeout(at(10_000_000)), []);
    assert_eq!(dispatch.handle(at(1), Event::ClientLeft), []);
    assert_eq!(dispatch.handle(at(1), Event::WaitAgain), []);
    assert_eq!(
        dispatch.handle(
            at(1),
            Event::Ended {
                attempt: 0,
                outcome: Outcome::Success
            }
        ),
        []
    );
}

#[test]
fn a_lone_server_is_asked_once_and_its_answer_is_committed_and_settled() {
    let (mut d, effects) = start(1, true);
    assert_eq!(effects, [ask(0, Purpose::First, Manner::Queue)]);
    assert_eq!(
        d.handle(at(1), granted(0)),
        [Effect::Fetch {
            attempt: 0,
            slot: 0
        }]
    );
    assert_eq!(d.handle(at(20), Event::Answering { attempt: 0 }), []);
    assert_eq!(
        d.handle(at(21), Event::Ready { attempt: 0 }),
        [Effect::Commit { attempt: 0 }]
    );
    assert_eq!(d.handle(at(30), Event::Progress { attempt: 0 }), []);
    assert_eq!(
        d.handle(
            at(50),
            Event::Ended {
                attempt: 0,
                outcome: Outcome::Success
            }
        ),
        [settle(0, 0, Outcome::Success, Some(20), 49), Effect::Finish]
    );
    nothing_more(&mut d);
}

#[test]
fn of_two_asked_side_by_side_the_less_busy_is_used_and_the_other_given_back() {
    let (mut d, effects) = start(3, true);
    assert_eq!(
        effects,
        [
            ask(0, Purpose::First, Manner::Tentative),
            ask(1, Purpose::First, Manner::Tentative)
        ]
    );
    assert_eq!(d.handle(at(1), Event::Granted { slot: 0, score: 70 }), []);
    assert_eq!(
        d.handle(at(2), Event::Granted { slot: 1, score: 20 }),
        [
            Effect::Fetch {
                attempt: 0,
                slot: 1
            },
            Effect::Cancel { slot: 0 }
        ]
    );
}

#[test]
fn one_grant_of_two_is_enough_when_the_other_refuses() {
    for refusal_first in [true, false] {
        let (mut d, _) = start(2, true);
        let (first, second) = if refusal_first {
            (refused(0, Refusal::Ejected), granted(1))
        } else {
            (granted(1), refused(0, Refusal::Ejected))
        };
        assert_eq!(d.handle(at(1), first), []);
        assert_eq!(
            d.handle(at(2), second),
            [Effect::Fetch {
                attempt: 0,
                slot: 1
            }]
        );
    }
}

#[test]
fn a_failure_before_the_first_byte_moves_on_and_the_client_sees_nothing() {
    let (mut d, _) = start(2, false);
    d.handle(at(1), granted(0));
    assert_eq!(
        d.handle(
            at(9),
            Event::Ended {
                attempt: 0,
                outcome: failure(FailureKind::Http5xx(500))
            }
        ),
        [
            settle(0, 0, failure(FailureKind::Http5xx(500)), None, 8),
            ask(1, Purpose::Retry, Manner::Tentative)
        ]
    );
    assert_eq!(
        d.handle(at(10), granted(1)),
        [Effect::Fetch {
            attempt: 1,
            slot: 1
        }]
    );
    assert_eq!(
        d.handle(at(11), Event::Ready { attempt: 1 }),
        [Effect::Commit { attempt: 1 }]
    );
}

#[test]
fn a_failure_after_the_first_byte_ends_the_answer_and_is_never_retried() {
    let (mut d, _) = start(3, false);
    d.handle(at(1), granted(0));
    d.handle(at(5), Event::Ready { attempt: 0 });
    assert_eq!(
        d.handle(
            at(9),
            Event::Ended {
                attempt: 0,
                outcome: failure(FailureKind::CutStream)
            }
        ),
        [
            settle(0, 0, failure(FailureKind::CutStream), Some(4), 8),
            Effect::Break {
                attempt: 0,
                reason: BreakReason::Upstream(FailureKind::CutStream)
            },
            Effect::Finish
        ]
    );
    nothing_more(&mut d);
}

#[test]
fn at_most_two_retries_then_the_last_failure_is_the_answer() {
    let (mut d, _) = start(5, false);
    for n in 0..3 {
        d.handle(at(1), granted(n));
        d.handle(
            at(2),
            Event::Ended {
                attempt: n,
                outcome: failure(FailureKind::Http5xx(502)),
            },
        );
    }
    assert!(d.is_finished());
    let (mut d, _) = start(5, false);
    d.handle(at(1), granted(0));
    d.handle(
        at(2),
        Event::Ended {
            attempt: 0,
            outcome: failure(FailureKind::Http5xx(500)),
        },
    );
    d.handle(at(3), granted(1));
    d.handle(
        at(4),
        Event::Ended {
            attempt: 1,
            outcome: failure(FailureKind::Http5xx(500)),
        },
    );
    d.handle(at(5), granted(2));
    let last = d.handle(
        at(6),
        Event::Ended {
            attempt: 2,
            outcome: failure(FailureKind::Http5xx(502)),
        },
    );
    assert_eq!(
        last,
        [
            settle(2, 2, failure(FailureKind::Http5xx(502)), None, 1),
            Effect::Fail(Failure::Upstream {
                last: FailureKind::Http5xx(502),
                attempts: 3
            }),
            Effect::Finish
        ]
    );
    nothing_more(&mut d);
}

#[test]
fn a_broken_connection_of_the_only_server_is_tried_twice_more_there() {
    let limits = Limits {
        max_retries: 10,
        ..limits()
    };
    let mut d = Dispatch::new(T0, equals(1), limits, false, false);
    d.handle(T0, Event::Started);
    let broken = |attempt| Event::Ended {
        attempt,
        outcome: failure(FailureKind::Transport),
    };
    d.handle(at(1), granted(0));
    for attempt in 0..2 {
        let effects = d.handle(at(2), broken(attempt));
        assert_eq!(effects.last(), Some(&ask(0, Purpose::Retry, Manner::Queue)));
        d.handle(at(3), granted(0));
    }
    let effects = d.handle(at(4), broken(2));
    let failed = Effect::Fail(Failure::Upstream {
        last: FailureKind::Transport,
        attempts: 3,
    });
    assert!(effects.contains(&failed), "{effects:?}");
    nothing_more(&mut d);
}

#[test]
fn a_client_error_is_the_answer() {
    let (mut d, _) = start(2, false);
    d.handle(at(1), granted(0));
    assert_eq!(
        d.handle(
            at(2),
            Event::Ended {
                attempt: 0,
                outcome: Outcome::ClientError(400)
            }
        ),
        [
            Effect::Commit { attempt: 0 },
            settle(0, 0, Outcome::ClientError(400), None, 1),
            Effect::Finish
        ]
    );
    nothing_more(&mut d);
}

#[test]
fn back_pressure_moves_on_and_when_all_push_back_the_client_is_told_when_to_return() {
    let (mut d, _) = start(2, false);
    let push = |retry_after| Outcome::Backpressure {
        status: 429,
        retry_after: Some(Span::from_secs(retry_after)),
    };
    d.handle(at(1), granted(0));
    let effects = d.handle(
        at(2),
        Event::Ended {
            attempt: 0,
            outcome: push(30),
        },
    );
    assert_eq!(
        effects.last(),
        Some(&ask(1, Purpose::Retry, Manner::Tentative))
    );
    d.handle(at(3), granted(1));
    let effects = d.handle(
        at(4),
        Event::Ended {
            attempt: 1,
            outcome: push(7),
        },
    );
    let failure = Failure::Backpressure {
        status: 429,
        retry_after: Some(Span::from_secs(7)),
    };
    assert!(effects.contains(&Effect::Fail(failure)), "{effects:?}");
    nothing_more(&mut d);
}

#[test]
fn a_silent_server_is_raced_and_the_first_to_speak_wins() {
    let (mut d, _) = start(2, false);
    d.handle(at(0), granted(0));
    assert_eq!(d.poll_timeout(), Some(at(4000)));
    assert_eq!(d.handle_timeout(at(3999)), []);
    assert_eq!(
        d.handle_timeout(at(4000)),
        [ask(1, Purpose::Hedge, Manner::Tentative)]
    );
    assert_eq!(
        d.handle(at(4001), granted(1)),
        [Effect::Fetch {
            attempt: 1,
            slot: 1
        }]
    );
    assert_eq!(
        d.handle(at(4100), Event::Ready { attempt: 1 }),
        [
            Effect::Commit { attempt: 1 },
            Effect::Abort { attempt: 0 },
            settle(0, 0, failure(FailureKind::Timeout), None, 4100),
        ]
    );
    assert_eq!(
        d.handle(at(4200), Event::Ready { attempt: 0 }),
        [],
        "the loser's late word changes nothing"
    );
}

#[test]
fn a_slow_server_that_wins_its_race_costs_the_hedge_nothing() {
    let (mut d, _) = start(2, false);
    d.handle(at(0), granted(0));
    d.handle_timeout(at(4000));
    d.handle(at(4001), granted(1));
    assert_eq!(
        d.handle(at(4100), Event::Ready { attempt: 0 }),
        [
            Effect::Commit { attempt: 0 },
            Effect::Abort { attempt: 1 },
            settle(1, 1, Outcome::ClientLeft, None, 99)
        ]
    );
}

#[test]
fn a_refused_hedge_leaves_the_first_attempt_running() {
    let (mut d, _) = start(2, false);
    d.handle(at(0), granted(0));
    d.handle_timeout(at(4000));
    assert_eq!(
        d.handle(at(4001), refused(1, Refusal::RetryBudgetSpent)),
        []
    );
    assert_eq!(
        d.handle(at(5000), Event::Ready { attempt: 0 }),
        [Effect::Commit { attempt: 0 }]
    );
}

#[test]
fn a_refused_hedge_is_asked_again_while_the_request_is_silent() {
    let (mut d, _) = start(2, false);
    d.handle(at(0), granted(0));
    d.handle_timeout(at(4000));
    d.handle(at(4010), refused(1, Refusal::RetryBudgetSpent));
    assert_eq!(d.poll_timeout(), Some(at(6010)), "half the delay later");
    assert_eq!(d.handle_timeout(at(6009)), []);
    assert_eq!(
        d.handle_timeout(at(6010)),
        [ask(1, Purpose::Hedge, Manner::Tentative)]
    );
    assert_eq!(d.poll_timeout(), Some(at(300_000)), "one ask at a time");
    assert_eq!(
        d.handle(at(6020), granted(1)),
        [Effect::Fetch {
            attempt: 1,
            slot: 1
        }]
    );
    assert_eq!(
        d.handle(at(6100), Event::Ready { attempt: 1 }),
        [
            Effect::Commit { attempt: 1 },
            Effect::Abort { attempt: 0 },
            settle(0, 0, failure(FailureKind::Timeout), None, 6100),
        ]
    );
}

#[test]
fn a_request_asks_for_a_hedge_five_times_at_most() {
    let (mut d, _) = start(2, false);
    d.handle(at(0), granted(0));
    for n in 0..5 {
        let due = at(4000 + n * 2000);
        assert_eq!(d.poll_timeout(), Some(due));
        let effects = d.handle_timeout(due);
        assert_eq!(effects, [ask(1, Purpose::Hedge, Manner::Tentative)]);
        d.handle(due, refused(1, Refusal::Busy { score: 9 }));
    }
    assert_eq!(d.poll_timeout(), Some(at(300_000)));
}

#[test]
fn who_was_not_asked_is_raced_before_those_that_refused_who_then_take_turns() {
    let (mut d, _) = start(5, false);
    d.handle(at(0), refused(0, Refusal::OutOfService));
    d.handle(at(0), refused(1, Refusal::Busy { score: 9 }));
    d.handle(at(0), granted(2));
    for (n, slot) in [3, 4, 1, 3, 4].into_iter().enumerate() {
        let due = at(4000 + i64::try_from(n).unwrap() * 2000);
        let effects = d.handle_timeout(due);
        assert_eq!(effects, [ask(slot, Purpose::Hedge, Manner::Tentative)]);
        d.handle(due, refused(slot, Refusal::CoolingDown));
    }
}

#[test]
fn where_time_changes_nothing_nobody_is_asked_again() {
    for refusal in [Refusal::OutOfService, Refusal::TooLate] {
        let (mut d, _) = start(2, false);
        d.handle(at(0), granted(0));
        d.handle_timeout(at(4000));
        d.handle(at(4001), refused(1, refusal));
        assert_eq!(d.poll_timeout(), Some(at(300_000)));
    }
}

#[test]
fn a_short_delay_does_not_make_the_asks_come_fast() {
    let limits = Limits {
        hedge_after: Some(Span::from_ms(500)),
        ..limits()
    };
    let mut d = Dispatch::new(T0, equals(2), limits, false, false);
    d.handle(T0, Event::Started);
    d.handle(at(0), granted(0));
    d.handle_timeout(at(500));
    d.handle(at(510), refused(1, Refusal::Full));
    assert_eq!(d.poll_timeout(), Some(at(1510)));
}

#[test]
fn after_a_retry_the_delay_of_the_new_attempt_counts_too() {
    let (mut d, _) = start(3, false);
    d.handle(at(0), granted(0));
    d.handle_timeout(at(4000));
    d.handle(at(4000), refused(1, Refusal::RetryBudgetSpent));
    let outcome = failure(FailureKind::Transport);
    d.handle(
        at(5000),
        Event::Ended {
            attempt: 0,
            outcome,
        },
    );
    d.handle(at(5000), granted(2));
    assert_eq!(d.poll_timeout(), Some(at(9000)));
    assert_eq!(
        d.handle_timeout(at(9000)),
        [ask(1, Purpose::Hedge, Manner::Tentative)]
    );
}

#[test]
fn a_request_is_raced_once() {
    let (mut d, _) = start(3, false);
    d.handle(at(0), granted(0));
    d.handle_timeout(at(4000));
    d.handle(at(4000), granted(1));
    let outcome = failure(FailureKind::Transport);
    d.handle(
        at(5000),
        Event::Ended {
            attempt: 0,
            outcome,
        },
    );
    assert_eq!(d.poll_timeout(), Some(at(304_000)));
}

#[test]
fn the_first_token_deadline_is_separate_from_the_idle_gap() {
    let mut capped = equals(1);
    capped[0].first_token_cap = Some(Span::from_secs(100));
    let mut d = Dispatch::new(T0, capped, limits(), false, false);
    d.handle(T0, Event::Started);
    d.handle(T0, granted(0));
    d.handle(at(10), Event::Answering { attempt: 0 });
    assert_eq!(
        d.poll_timeout(),
        Some(at(100_000)),
        "headers alone do not stop the first-token clock"
    );
    d.handle(at(99_000), Event::Ready { attempt: 0 });
    assert_eq!(d.poll_timeout(), Some(at(159_000)));
    d.handle(at(120_000), Event::Progress { attempt: 0 });
    assert_eq!(d.handle_timeout(at(159_000)), []);
    assert_eq!(
        d.handle_timeout(at(180_000)),
        [
            Effect::Abort { attempt: 0 },
            settle(0, 0, failure(FailureKind::Stalled), Some(99_000), 180_000),
            Effect::Break {
                attempt: 0,
                reason: BreakReason::Upstream(FailureKind::Stalled)
            },
            Effect::Finish
        ]
    );
    nothing_more(&mut d);
}

#[test]
fn no_first_token_in_time_moves_on_and_ends_as_a_time_out() {
    let (mut d, _) = start(1, false);
    d.handle(at(0), granted(0));
    let effects = d.handle_timeout(at(300_000));
    assert_eq!(
        effects,
        [
            Effect::Abort { attempt: 0 },
            settle(0, 0, failure(FailureKind::Timeout), None, 300_000),
            Effect::Fail(Failure::TimedOut { attempts: 1 }),
            Effect::Finish
        ]
    );
    nothing_more(&mut d);
}

#[test]
fn busy_servers_are_queued_at_where_the_load_is_least() {
    let (mut d, _) = start(2, false);
    assert_eq!(
        d.handle(at(1), refused(0, Refusal::Busy { score: 200 })),
        [ask(1, Purpose::First, Manner::Tentative)]
    );
    assert_eq!(
        d.handle(at(2), refused(1, Refusal::Busy { score: 150 })),
        [ask(1, Purpose::First, Manner::Queue)]
    );
    assert_eq!(
        d.handle(at(900), granted(1)),
        [Effect::Fetch {
            attempt: 0,
            slot: 1
        }]
    );
}

#[test]
fn when_every_queue_is_full_the_request_waits_for_the_model_and_goes_where_it_is_sent() {
    let (mut d, _) = start(2, false);
    d.handle(at(1), refused(0, Refusal::Full));
    assert_eq!(
        d.handle(at(2), refused(1, Refusal::Full)),
        [Effect::Wait {
            deadline: at(60_000)
        }]
    );
    assert_eq!(
        d.handle(at(500), Event::WaitOver { slot: 1 }),
        [ask(1, Purpose::First, Manner::Queue)]
    );
    assert_eq!(
        d.handle(at(501), granted(1)),
        [Effect::Fetch {
            attempt: 0,
            slot: 1
        }]
    );
}

#[test]
fn a_wait_that_ends_with_nothing_asks_everybody_anew_until_the_wait_is_over() {
    let (mut d, _) = start(1, false);
    assert_eq!(
        d.handle(at(1), refused(0, Refusal::Full)),
        [Effect::Wait {
            deadline: at(60_000)
        }]
    );
    assert_eq!(
        d.handle(at(25_000), Event::WaitAgain),
        [ask(0, Purpose::First, Manner::Queue)]
    );
    assert_eq!(
        d.handle(at(25_001), refused(0, Refusal::Full)),
        [Effect::Wait {
            deadline: at(60_000)
        }]
    );
    assert_eq!(
        d.handle_timeout(at(60_000)),
        [
            Effect::StopWaiting,
            Effect::Fail(Failure::Busy { retry_after: None }),
            Effect::Finish
        ]
    );
    nothing_more(&mut d);
}

#[test]
fn when_all_are_ejected_two_are_asked_in_panic() {
    let (mut d, _) = start(3, false);
    d.handle(at(1), refused(0, Refusal::Ejected));
    d.handle(at(2), refused(1, Refusal::Ejected));
    assert_eq!(
        d.handle(at(3), refused(2, Refusal::Ejected)),
        [ask(0, Purpose::First, Manner::Panic)]
    );
    assert_eq!(
        d.handle(at(4), refused(0, Refusal::PanicSpent)),
        [ask(1, Purpose::First, Manner::Panic)]
    );
    assert_eq!(
        d.handle(at(5), refused(1, Refusal::PanicSpent)),
        [
            Effect::Fail(Failure::NoServer { retry_after: None }),
            Effect::Finish
        ]
    );
    nothing_more(&mut d);
}

#[test]
fn a_panic_grant_is_an_ordinary_attempt() {
    let (mut d, _) = start(1, false);
    assert_eq!(
        d.handle(at(1), refused(0, Refusal::Ejected)),
        [ask(0, Purpose::First, Manner::Panic)]
    );
    assert_eq!(
        d.handle(at(2), granted(0)),
        [Effect::Fetch {
            attempt: 0,
            slot: 0
        }]
    );
}

#[test]
fn nothing_is_sent_before_the_key_is_allowed() {
    let mut d = Dispatch::new(T0, equals(1), limits(), false, true);
    d.handle(T0, Event::Started);
    assert_eq!(d.handle(at(1), granted(0)), []);
    assert_eq!(
        d.handle(at(2), Event::KeyAllowed),
        [Effect::Fetch {
            attempt: 0,
            slot: 0
        }]
    );
    assert_eq!(
        d.handle(at(3), Event::KeyDenied),
        [],
        "a verdict counts once"
    );
}

#[test]
fn a_denied_key_gives_back_what_was_granted_and_what_is_still_asked() {
    let mut d = Dispatch::new(T0, equals(2), limits(), true, true);
    d.handle(T0, Event::Started);
    d.handle(at(1), granted(0));
    assert_eq!(
        d.handle(at(2), Event::KeyDenied),
        [
            Effect::Cancel { slot: 0 },
            Effect::Cancel { slot: 1 },
            Effect::Fail(Failure::KeyDenied),
            Effect::Finish
        ]
    );
    assert_eq!(
        d.handle(at(3), granted(1)),
        [Effect::Cancel { slot: 1 }],
        "a grant that comes too late goes back"
    );
    nothing_more(&mut d);
}

#[test]
fn a_client_that_leaves_stops_every_phase() {
    let (mut d, _) = start(1, false);
    assert_eq!(
        d.handle(at(1), Event::ClientLeft),
        [Effect::Cancel { slot: 0 }, Effect::Finish]
    );
    nothing_more(&mut d);

    let (mut d, _) = start(1, false);
    d.handle(at(1), refused(0, Refusal::Full));
    assert_eq!(
        d.handle(at(2), Event::ClientLeft),
        [Effect::StopWaiting, Effect::Finish]
    );
    nothing_more(&mut d);

    for ready in [false, true] {
        let (mut d, _) = start(1, false);
        d.handle(at(1), granted(0));
        if ready {
            d.handle(at(2), Event::Ready { attempt: 0 });
        }
        let first = ready.then_some(1);
        assert_eq!(
            d.handle(at(3), Event::ClientLeft),
            [
                Effect::Abort { attempt: 0 },
                settle(0, 0, Outcome::ClientLeft, first, 2),
                Effect::Finish
            ]
        );
        nothing_more(&mut d);
    }
}

#[test]
fn no_request_outlives_the_total_limit() {
    let (mut d, _) = start(1, false);
    d.handle(at(1), granted(0));
    d.handle(at(2), Event::Ready { attempt: 0 });
    for minute in 1..30 {
        d.handle(at(minute * 60_000 - 100), Event::Progress { attempt: 0 });
    }
    d.handle(at(1_799_000), Event::Progress { attempt: 0 });
    let effects = d.handle_timeout(at(1_800_000));
    assert_eq!(effects.first(), Some(&Effect::Abort { attempt: 0 }));
    assert!(effects.contains(&Effect::Break {
        attempt: 0,
        reason: BreakReason::Total
    }));
    nothing_more(&mut d);
}

#[test]
fn a_model_with_many_servers_is_not_walked_server_by_server() {
    let (mut d, _) = start(100, false);
    for slot in 0..7 {
        d.handle(at(1), refused(slot, Refusal::Full));
    }
    assert_eq!(
        d.handle(at(1), refused(7, Refusal::Full)),
        [Effect::Wait {
            deadline: at(60_000)
        }]
    );
}

#[test]
fn unreachable_objects_are_told_apart_from_servers_that_are_out() {
    let (mut d, _) = start(1, false);
    assert_eq!(
        d.handle(at(1), refused(0, Refusal::Unreachable)),
        [Effect::Fail(Failure::Unreachable), Effect::Finish]
    );
    let (mut d, _) = start(1, false);
    assert_eq!(
        d.handle(at(1), refused(0, Refusal::OutOfService)),
        [
            Effect::Fail(Failure::NoServer { retry_after: None }),
            Effect::Finish
        ]
    );
    let mut d = Dispatch::new(T0, Vec::new(), limits(), true, false);
    assert_eq!(
        d.handle(T0, Event::Started),
        [
            Effect::Fail(Failure::NoServer { retry_after: None }),
            Effect::Finish
        ]
    );
}

#[test]
fn a_race_that_is_refused_after_the_first_attempt_died_goes_on_elsewhere() {
    let (mut d, _) = start(3, false);
    d.handle(at(0), granted(0));
    d.handle_timeout(at(4000));
    let died = Event::Ended {
        attempt: 0,
        outcome: failure(FailureKind::Transport),
    };
    assert_eq!(
        d.handle(at(4001), died),
        [settle(0, 0, failure(FailureKind::Transport), None, 4001)],
        "the open ask may still be granted"
    );
    assert_eq!(
        d.handle(at(4002), refused(1, Refusal::RetryBudgetSpent)),
        [ask(2, Purpose::Retry, Manner::Tentative)]
    );
}

#[test]
fn a_queue_that_says_busy_counts_as_full_and_is_not_asked_for_ever() {
    let (mut d, effects) = start(1, true);
    assert_eq!(effects, [ask(0, Purpose::First, Manner::Queue)]);
    assert_eq!(
        d.handle(at(1), refused(0, Refusal::Busy { score: 9 })),
        [Effect::Wait {
            deadline: at(60_000)
        }]
    );
}

#[test]
fn a_grant_does_not_wait_long_for_its_twin_whose_late_grant_is_given_back() {
    let (mut d, _) = start(2, true);
    assert_eq!(d.handle(at(10), granted(1)), []);
    assert_eq!(d.poll_timeout(), Some(at(110)));
    assert_eq!(d.handle_timeout(at(109)), []);
    assert_eq!(
        d.handle_timeout(at(110)),
        [Effect::Fetch {
            attempt: 0,
            slot: 1
        }]
    );
    assert_eq!(
        d.handle(at(900), granted(0)),
        [Effect::Cancel { slot: 0 }],
        "one request runs once"
    );
    let died = Event::Ended {
        attempt: 0,
        outcome: failure(FailureKind::Http5xx(500)),
    };
    assert_eq!(
        d.handle(at(1000), died).last(),
        Some(&ask(0, Purpose::Retry, Manner::Tentative)),
        "what was given back is there for the retry"
    );
}

#[test]
fn a_twin_that_is_still_open_when_the_attempt_fails_takes_its_place() {
    for late in [granted(0), refused(0, Refusal::Unreachable)] {
        let (mut d, _) = start(3, true);
        d.handle(at(0), granted(1));
        d.handle_timeout(at(100));
        let died = Event::Ended {
            attempt: 0,
            outcome: failure(FailureKind::InvalidAnswer),
        };
        assert_eq!(d.handle(at(200), died).len(), 1, "settled, nothing else");
        let next = d.handle(at(300), late.clone());
        let expected = match late {
            Event::Granted { .. } => Effect::Fetch {
                attempt: 1,
                slot: 0,
            },
            _ => ask(2, Purpose::Retry, Manner::Tentative),
        };
        assert_eq!(next, [expected]);
    }
}

#[test]
fn a_grant_that_waited_for_the_key_does_not_wait_for_its_twin_again() {
    let mut d = Dispatch::new(T0, equals(2), limits(), true, true);
    d.handle(T0, Event::Started);
    assert_eq!(d.handle(at(5), granted(0)), []);
    assert_eq!(d.poll_timeout(), Some(at(1_800_000)), "the key decides");
    assert_eq!(
        d.handle(at(400), Event::KeyAllowed),
        [Effect::Fetch {
            attempt: 0,
            slot: 0
        }]
    );
}
