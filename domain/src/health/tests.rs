use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(1_000_000_000_000 + ms)
}

fn health() -> Health {
    Health::new(HealthPolicy::default(), 7, HealthVerdict::Healthy, at(0))
}

const GOOD: Checked = Checked {
    latency: Span::from_ms(20),
    fault: None,
};
const BAD: Checked = Checked {
    latency: Span::from_secs(10),
    fault: Some(CheckFault::Timeout),
};

fn check(health: &mut Health, now: Timestamp, checked: Checked) -> Option<HealthShift> {
    let Some(check) = health.advance(now) else {
        panic!("no check was due")
    };
    health.finished(now, check.id, checked)
}

#[test]
fn checks_are_a_minute_apart_and_fifteen_seconds_after_a_failure() {
    let mut health = health();
    assert_eq!(check(&mut health, at(0), GOOD), None);
    let wait = at(0).until(health.poll_timeout()).as_ms();
    assert!(wait > 60_000 && wait <= 66_000, "{wait}");
    let now = health.poll_timeout();
    assert_eq!(health.advance(now - Span::from_ms(1)), None);
    assert_eq!(check(&mut health, now, BAD), None);
    let wait = now.until(health.poll_timeout()).as_ms();
    assert!(wait > 15_000 && wait <= 16_500, "{wait}");
}

#[test]
fn servers_are_not_all_checked_at_once() {
    let times: std::collections::BTreeSet<i64> = (0..100)
        .map(|salt| {
            let mut health =
                Health::new(HealthPolicy::default(), salt, HealthVerdict::Healthy, at(0));
            check(&mut health, at(0), GOOD);
            health.poll_timeout().as_ms() / 100
        })
        .collect();
    assert!(times.len() > 30, "{}", times.len());
}

#[test]
fn three_failures_in_a_row_put_a_server_out_and_one_success_back() {
    let mut health = health();
    let mut shifts = Vec::new();
    for checked in [BAD, BAD, GOOD, BAD, BAD, BAD, BAD, GOOD, GOOD] {
        let now = health.poll_timeout();
        shifts.push(check(&mut health, now, checked));
    }
    let out = Some(HealthShift::Out {
        reason: CheckFault::Timeout,
    });
    let back = Some(HealthShift::Back);
    let none = None;
    assert_eq!(
        shifts,
        [none, none, none, none, none, out, none, back, none]
    );
}

#[test]
fn a_check_in_flight_is_not_sent_again_and_answers_a_request_for_one() {
    let mut health = health();
    let Some(sent) = health.advance(at(0)) else {
        panic!("no check was due")
    };
    assert_eq!(sent.deadline, at(10_000));
    health.request(at(5_000));
    assert_eq!(health.advance(at(5_000)), None);
    assert_eq!(health.finished(at(6_000), sent.id, GOOD), None);
    assert_eq!(health.ring().len(), 1);
    health.request(at(7_000));
    assert!(health.advance(at(7_000)).is_some());
}

#[test]
fn a_lost_check_counts_as_not_sent_and_is_repeated_soon() {
    let mut health = health();
    let Some(lost) = health.advance(at(0)) else {
        panic!("no check was due")
    };
    assert_eq!(health.poll_timeout(), at(15_000));
    assert_eq!(health.advance(at(15_000)), None);
    let again = health.poll_timeout();
    assert!(again > at(20_000) && again <= at(20_500), "{again:?}");
    assert_eq!(health.finished(at(16_000), lost.id, BAD), None);
    assert!(health.ring().is_empty() && health.is_healthy());
    let Some(next) = health.advance(again) else {
        panic!("no check was due")
    };
    assert!(next.id > lost.id);
}

#[test]
fn a_check_is_overdue_one_interval_after_it_should_have_gone() {
    let mut health = health();
    assert!(!health.is_overdue(at(60_000)));
    assert!(health.is_overdue(at(60_001)));
    let _ = health.advance(at(60_001));
    assert!(!health.is_overdue(at(60_001)));
}

#[test]
fn a_clock_that_jumps_back_puts_no_check_off_beyond_an_interval() {
    let mut health = health();
    check(&mut health, at(3_600_000), GOOD);
    assert_eq!(health.advance(at(0)), None);
    assert!(at(0).until(health.poll_timeout()).as_ms() <= 66_000);
}

#[test]
fn the_ring_keeps_a_hundred_and_knows_rate_and_mean() {
    let mut ring = Ring::default();
    assert_eq!(
        (ring.success_permille(), ring.mean_latency_ms()),
        (None, None)
    );
    for n in 0..150_u32 {
        ring.push(CheckResult {
            at: at(i64::from(n)),
            ok: n % 4 != 0,
            latency_ms: if n % 4 == 0 { 10_000 } else { 20 },
            reason: (n % 4 == 0).then_some(CheckFault::Timeout),
        });
    }
    assert_eq!(ring.len(), RING);
    assert_eq!(ring.iter().next().map(|r| r.at), Some(at(50)));
    assert_eq!(ring.last().map(|r| r.at), Some(at(149)));
    assert_eq!(ring.success_permille(), Some(750));
    assert_eq!(ring.mean_latency_ms(), Some(20));
    assert_eq!(Ring::restore(ring.iter().copied()), ring);
}

#[test]
fn a_run_of_failures_goes_on_over_restarts() {
    let mut ring = Ring::default();
    let mut shifts = Vec::new();
    for checked in [GOOD, BAD, BAD, BAD] {
        // Each check finds the host restarted.
        let mut health = health();
        health.restore_ring(ring.clone());
        shifts.push(check(&mut health, at(0), checked));
        ring = health.ring().clone();
    }
    let out = HealthShift::Out {
        reason: CheckFault::Timeout,
    };
    assert_eq!(shifts, [None, None, None, Some(out)]);
}

#[test]
fn a_policy_may_ask_for_several_successes_before_a_server_is_back() {
    let policy = HealthPolicy {
        recover_after: 2,
        ..HealthPolicy::default()
    };
    let out = HealthVerdict::Unhealthy {
        since: at(0),
        reason: CheckFault::Timeout,
    };
    let mut health = Health::new(policy, 7, out, at(0));
    for (checked, shift) in [
        (GOOD, None),
        (BAD, None),
        (GOOD, None),
        (GOOD, Some(HealthShift::Back)),
        (GOOD, None),
    ] {
        let now = health.poll_timeout();
        assert_eq!(check(&mut health, now, checked), shift);
    }
}

#[test]
fn a_check_is_given_up_when_its_deadline_and_the_slack_are_over_and_not_before() {
    let mut health = health();
    let Some(sent) = health.advance(at(0)) else {
        panic!("no check was due")
    };
    let over = sent.deadline + HealthPolicy::default().slack;
    assert_eq!(health.poll_timeout(), over);
    assert!(health.next_at() > at(60_000), "what is shown meanwhile");
    assert_eq!(health.advance(over - Span::from_ms(1)), None);
    assert_eq!(health.poll_timeout(), over, "still out");
    let mut in_time = health.clone();
    in_time.finished(over - Span::from_ms(1), sent.id, GOOD);
    assert_eq!(in_time.ring().len(), 1);
    assert_eq!(health.advance(over), None, "the next one waits its turn");
    assert!(health.poll_timeout() > over);
    assert_eq!(health.finished(over, sent.id, GOOD), None);
    assert_eq!(health.ring().len(), 0);
}
