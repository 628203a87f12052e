use super::*;
use crate::outcome::FailureKind;

const BAD: Verdict = Verdict::Bad(FailureKind::Transport);
const HOUR: Span = Span::from_secs(3600);

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(1_000_000_000_000 + ms)
}

fn id(n: u32) -> RequestId {
    RequestId::new(format!("r{n}"))
}

fn breaker() -> Breaker {
    Breaker::new(BreakerPolicy::default(), 7, at(0))
}

fn ordinary(breaker: &mut Breaker, now: Timestamp, verdict: Verdict) -> Option<Shift> {
    let passed = Passed {
        request: &id(0),
        granted_at: now,
        pass: Pass::Ordinary,
    };
    breaker.settled(now, passed, verdict)
}

fn answered(
    breaker: &mut Breaker,
    now: Timestamp,
    request: &RequestId,
    pass: Pass,
    verdict: Verdict,
) -> Option<Shift> {
    let passed = Passed {
        request,
        granted_at: now,
        pass,
    };
    breaker.settled(now, passed, verdict)
}

fn ejected(now: Timestamp) -> (Breaker, Timestamp) {
    let mut breaker = breaker();
    let shifts: Vec<_> = (0..5).map(|_| ordinary(&mut breaker, now, BAD)).collect();
    let Some(Some(Shift::Ejected { until, .. })) = shifts.last() else {
        panic!("five failures in a row did not eject: {shifts:?}");
    };
    (breaker, *until)
}

fn probing() -> (Breaker, Timestamp) {
    let (mut breaker, until) = ejected(at(0));
    breaker.advance(until);
    assert_eq!(breaker.admit(until, false), Ok(Pass::Probe));
    breaker.passed(until, &id(1), Pass::Probe);
    (breaker, until)
}

#[test]
fn five_failures_in_a_row_eject_and_four_do_not() {
    let mut breaker = breaker();
    for _ in 0..4 {
        assert_eq!(ordinary(&mut breaker, at(0), BAD), None);
    }
    assert!(breaker.admits());
    let shift = ordinary(&mut breaker, at(0), BAD);
    let reason = EjectReason::Consecutive {
        failures: 5,
        last: FailureKind::Transport,
    };
    assert!(
        matches!(shift, Some(Shift::Ejected { times: 1, reason: r, .. }) if r == reason),
        "{shift:?}"
    );
}

#[test]
fn a_success_restarts_the_run_and_a_neutral_answer_does_not() {
    let mut breaker = breaker();
    for verdict in [BAD, BAD, BAD, BAD, Verdict::Good, BAD, BAD, BAD, BAD] {
        assert_eq!(ordinary(&mut breaker, at(0), verdict), None);
    }
    assert_eq!(ordinary(&mut breaker, at(0), Verdict::Neutral), None);
    assert!(ordinary(&mut breaker, at(0), BAD).is_some());
}

#[test]
fn half_of_twenty_requests_failing_ejects_and_half_of_nineteen_does_not() {
    let mut breaker = breaker();
    for n in 0..19 {
        let verdict = if n % 2 == 0 { BAD } else { Verdict::Good };
        assert_eq!(ordinary(&mut breaker, at(n * 100), verdict), None);
    }
    ordinary(&mut breaker, at(1900), Verdict::Good);
    let shift = ordinary(&mut breaker, at(2000), BAD);
    let reason = EjectReason::Share {
        failures: 11,
        requests: 21,
    };
    assert!(
        matches!(shift, Some(Shift::Ejected { reason: r, .. }) if r == reason),
        "{shift:?}"
    );
}

#[test]
fn failures_older_than_the_window_do_not_count() {
    let mut breaker = breaker();
    for n in 0..40 {
        let verdict = if n % 2 == 0 { BAD } else { Verdict::Good };
        // One request every two seconds: never more than 15 in 30 s.
        assert_eq!(ordinary(&mut breaker, at(n * 2000), verdict), None);
    }
}

#[test]
fn ejections_grow_to_the_cap_with_jitter_of_at_most_a_tenth() {
    let (mut breaker, mut until) = ejected(at(0));
    let mut lengths = vec![at(0).until(until).as_ms()];
    for n in 1..12 {
        breaker.advance(until);
        breaker.passed(until, &id(n), Pass::Probe);
        let Some(Shift::Ejected { until: next, .. }) =
            answered(&mut breaker, until, &id(n), Pass::Probe, BAD)
        else {
            panic!("a failed probe did not eject");
        };
        lengths.push(until.until(next).as_ms());
        until = next;
    }
    for (n, length) in lengths.iter().enumerate() {
        let plain = (30_000 * (i64::try_from(n).unwrap() + 1)).min(300_000);
        assert!(
            *length > plain && *length <= plain + plain / 10,
            "{n}: {length}"
        );
    }
    assert_eq!(breaker.times(), 10);
}

#[test]
fn an_ejected_server_admits_one_probe_whose_success_readmits() {
    let (mut breaker, until) = ejected(at(0));
    let just_before = until - Span::from_ms(1);
    assert!(matches!(
        breaker.admit(just_before, false),
        Err(BreakerDenied::Ejected { .. })
    ));
    assert_eq!(breaker.poll_timeout(), Some(until));
    breaker.advance(until);
    assert_eq!(breaker.poll_timeout(), None);
    assert_eq!(breaker.admit(until, false), Ok(Pass::Probe));
    breaker.passed(until, &id(1), Pass::Probe);
    assert!(matches!(
        breaker.admit(until, false),
        Err(BreakerDenied::Probing { .. })
    ));
    let shift = answered(&mut breaker, until, &id(1), Pass::Probe, Verdict::Good);
    assert_eq!(shift, Some(Shift::Readmitted { by: Pass::Probe }));
    assert_eq!(breaker.admit(until, false), Ok(Pass::Ordinary));
    assert_eq!(breaker.poll_timeout(), None);
}

#[test]
fn a_lost_probe_keeps_the_server_out_for_a_moment_without_blame() {
    for by_lease in [true, false] {
        let (mut breaker, now) = probing();
        let shift = if by_lease {
            breaker.lost(now, &id(1))
        } else {
            answered(&mut breaker, now, &id(1), Pass::Probe, Verdict::Neutral)
        };
        let until = now + Span::from_secs(5);
        assert!(
            matches!(shift, Some(Shift::Ejected { until: u, times: 1, .. }) if u == until),
            "{shift:?}"
        );
        assert_eq!(breaker.lost(now, &id(1)), None);
        assert_eq!(breaker.admit(until, false), Ok(Pass::Probe));
    }
}

#[test]
fn answers_from_before_the_ejection_neither_readmit_nor_prolong() {
    let (mut breaker, until) = ejected(at(0));
    let before = breaker.snapshot();
    for verdict in [Verdict::Good, BAD, Verdict::Neutral] {
        assert_eq!(ordinary(&mut breaker, at(10), verdict), None);
    }
    assert_eq!(breaker.snapshot(), before);
    breaker.advance(until);
    breaker.passed(until, &id(1), Pass::Probe);
    answered(&mut breaker, until, &id(1), Pass::Probe, Verdict::Good);
    let stale = Passed {
        request: &id(2),
        granted_at: at(0),
        pass: Pass::Ordinary,
    };
    for _ in 0..10 {
        assert_eq!(breaker.settled(until, stale, BAD), None);
    }
}

#[test]
fn panic_requests_are_a_second_apart_and_a_good_one_readmits() {
    let (mut breaker, _) = ejected(at(0));
    assert_eq!(breaker.admit(at(10), true), Ok(Pass::Panic));
    breaker.passed(at(10), &id(1), Pass::Panic);
    assert_eq!(
        breaker.admit(at(1009), true),
        Err(BreakerDenied::PanicSpent { until: at(1010) })
    );
    assert_eq!(breaker.admit(at(1010), true), Ok(Pass::Panic));
    assert_eq!(
        answered(&mut breaker, at(1010), &id(1), Pass::Panic, BAD),
        None
    );
    breaker.passed(at(1010), &id(2), Pass::Panic);
    let shift = answered(&mut breaker, at(1020), &id(2), Pass::Panic, Verdict::Good);
    assert_eq!(shift, Some(Shift::Readmitted { by: Pass::Panic }));
    assert_eq!(breaker.admit(at(1020), false), Ok(Pass::Ordinary));
}

#[test]
fn a_good_panic_request_readmits_beside_a_probe() {
    let (mut breaker, now) = probing();
    assert_eq!(breaker.admit(now, true), Ok(Pass::Panic));
    breaker.passed(now, &id(2), Pass::Panic);
    assert!(answered(&mut breaker, now, &id(2), Pass::Panic, Verdict::Good).is_some());
    let late = Passed {
        request: &id(1),
        granted_at: now - Span::from_ms(1),
        pass: Pass::Probe,
    };
    assert_eq!(breaker.settled(now, late, BAD), None);
    assert!(breaker.admits());
}

#[test]
fn each_minute_of_admitting_forgives_one_ejection() {
    let (mut breaker, until) = ejected(at(0));
    breaker.advance(until);
    breaker.passed(until, &id(1), Pass::Probe);
    answered(&mut breaker, until, &id(1), Pass::Probe, BAD);
    let now = until + HOUR;
    breaker.advance(now);
    breaker.passed(now, &id(2), Pass::Probe);
    answered(&mut breaker, now, &id(2), Pass::Probe, Verdict::Good);
    assert_eq!(breaker.times(), 2);
    breaker.advance(now + Span::from_secs(59));
    assert_eq!(breaker.times(), 2);
    breaker.advance(now + Span::from_secs(60));
    assert_eq!(breaker.times(), 1);
    breaker.advance(now + HOUR);
    assert_eq!(breaker.times(), 0);
}

#[test]
fn r7_clock_jumps_neither_prolong_an_ejection_nor_readmit() {
    let (mut breaker, until) = ejected(at(0));
    let length = at(0).until(until);
    let back = at(10_000) - HOUR;
    assert!(matches!(
        breaker.admit(back, false),
        Err(BreakerDenied::Ejected { until, .. }) if until == back + length
    ));
    breaker.advance(back);
    assert_eq!(breaker.poll_timeout(), Some(back + length));

    let (mut breaker, _) = ejected(at(0));
    breaker.advance(at(0) + HOUR);
    assert!(!breaker.admits());
    assert_eq!(breaker.admit(at(0) + HOUR, false), Ok(Pass::Probe));
}

#[test]
fn r8_a_restart_while_out_is_careful() {
    let (breaker, now) = probing();
    let restored = Breaker::restore(BreakerPolicy::default(), 7, breaker.snapshot(), now);
    assert_eq!(restored.times(), 1);
    assert!(matches!(
        restored.admit(now, false),
        Err(BreakerDenied::Ejected { .. })
    ));
    assert!(matches!(
        restored.admit(now, true),
        Err(BreakerDenied::PanicSpent { .. })
    ));
    assert_eq!(restored.poll_timeout(), Some(now + Span::from_secs(5)));

    let (breaker, until) = ejected(at(0));
    let restored = Breaker::restore(BreakerPolicy::default(), 7, breaker.snapshot(), at(10));
    assert_eq!(restored.snapshot(), breaker.snapshot());
    assert_eq!(restored.poll_timeout(), Some(until));
}

#[test]
fn zeroed_numbers_still_make_a_breaker() {
    let policy = BreakerPolicy {
        consecutive_failures: 0,
        failure_share_permille: 0,
        least_requests: 0,
        window: Span::ZERO,
        ejection: Span::ZERO,
        longest_ejection: Span::ZERO,
        jitter_permille: 0,
        forgive_every: Span::ZERO,
        after_lost_probe: Span::ZERO,
        panic_every: Span::ZERO,
    };
    let mut breaker = Breaker::new(policy, 0, at(0));
    assert_eq!(ordinary(&mut breaker, at(0), Verdict::Good), None);
    assert!(ordinary(&mut breaker, at(0), BAD).is_some());
    assert_eq!(breaker.admit(at(0), false), Ok(Pass::Probe));
}

#[test]
fn strain_grows_with_failures_and_is_gone_after_they_are() {
    let mut breaker = breaker();
    assert_eq!(breaker.strain_permille(at(0)), 0);
    ordinary(&mut breaker, at(0), BAD);
    assert_eq!(breaker.strain_permille(at(0)), 200);
    ordinary(&mut breaker, at(0), BAD);
    ordinary(&mut breaker, at(0), Verdict::Good);
    assert_eq!(breaker.strain_permille(at(0)), 400);
    assert_eq!(breaker.strain_permille(at(30_000)), 0);
}

#[test]
fn a_run_of_failures_goes_on_after_a_restart_within_the_same_stretch_of_admitting() {
    let mut breaker = breaker();
    assert_eq!(breaker.run(), None);
    for _ in 0..4 {
        ordinary(&mut breaker, at(0), BAD);
    }
    let run = FailureRun {
        failures: 4,
        admitted_at: at(0),
    };
    assert_eq!(
        (breaker.run(), breaker.consecutive_failures()),
        (Some(run), 4)
    );
    let restart = |breaker: &Breaker| {
        Breaker::restore(BreakerPolicy::default(), 7, breaker.snapshot(), at(90_000))
    };

    let mut restarted = restart(&breaker);
    assert_eq!(restarted.run(), None);
    restarted.resume(run);
    assert_eq!(restarted.run(), Some(run));
    assert!(ordinary(&mut restarted, at(90_000), BAD).is_some());
    assert_eq!(restarted.run(), None, "who is out has no run");

    let mut elsewhere = restart(&breaker);
    elsewhere.resume(FailureRun {
        admitted_at: at(1),
        ..run
    });
    assert_eq!(elsewhere.run(), None, "a run from before an ejection");

    ordinary(&mut breaker, at(0), BAD);
    let mut out = restart(&breaker);
    out.resume(run);
    assert_eq!((out.run(), out.consecutive_failures()), (None, 0));
}

#[test]
fn the_end_of_an_ejection_is_seen_once_time_has_passed() {
    let (mut breaker, until) = ejected(at(0));
    assert!(!breaker.awaits_probe());
    breaker.advance(until);
    assert!(breaker.awaits_probe());
    breaker.passed(until, &id(1), Pass::Probe);
    assert!(!breaker.awaits_probe());
    answered(&mut breaker, until, &id(1), Pass::Probe, Verdict::Good);
    assert!(!breaker.awaits_probe());
}

#[test]
fn a_window_of_another_length_starts_empty_and_the_same_one_goes_on() {
    for (window, ejects) in [(30, true), (31, false)] {
        let mut breaker = breaker();
        for n in 0..19 {
            let verdict = if n % 2 == 0 { Verdict::Good } else { BAD };
            ordinary(&mut breaker, at(n), verdict);
        }
        breaker.set_policy(BreakerPolicy {
            window: Span::from_secs(window),
            ..BreakerPolicy::default()
        });
        let shift = ordinary(&mut breaker, at(20), BAD);
        assert_eq!(shift.is_some(), ejects, "{window} s");
    }
}

#[test]
fn what_was_let_through_at_the_moment_of_the_ejection_counts_and_what_came_before_does_not() {
    for (granted_at, readmits) in [(at(-1), false), (at(0), true), (at(1), true)] {
        for probe_is_out in [false, true] {
            let (mut breaker, until) = ejected(at(0));
            if probe_is_out {
                breaker.advance(until);
                breaker.passed(until, &id(1), Pass::Probe);
            }
            let panic = Passed {
                request: &id(2),
                granted_at,
                pass: Pass::Panic,
            };
            let shift = breaker.settled(until, panic, Verdict::Good);
            assert_eq!(shift.is_some(), readmits, "{granted_at:?} {probe_is_out}");
            assert_eq!(breaker.admits(), readmits);
        }
    }
}

#[test]
fn only_the_probe_that_is_out_can_fail_or_get_lost() {
    let (mut breaker, now) = probing();
    let before = breaker.snapshot();
    assert_eq!(breaker.lost(now, &id(9)), None);
    assert_eq!(answered(&mut breaker, now, &id(9), Pass::Probe, BAD), None);
    let stray = answered(&mut breaker, now, &id(9), Pass::Probe, Verdict::Neutral);
    assert_eq!(stray, None);
    assert_eq!(breaker.snapshot(), before);
    assert!(answered(&mut breaker, now, &id(1), Pass::Probe, BAD).is_some());
}

#[test]
fn reasons_are_sentences() {
    let last = FailureKind::Transport;
    let reasons = [
        EjectReason::Consecutive { failures: 5, last },
        EjectReason::Share {
            failures: 11,
            requests: 21,
        },
        EjectReason::ProbeFailed(last),
    ];
    assert_eq!(
        reasons.map(|reason| reason.to_string()),
        [
            format!("5 failures in a row, the last {last}"),
            "11 of the last 21 requests failed".to_owned(),
            format!("the probe ended with {last}"),
        ]
    );
}
