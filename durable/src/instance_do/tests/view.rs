use super::*;

fn why(view: &InstanceView) -> (&str, Option<i64>, Option<i64>) {
    assert!(!view.in_service);
    let why = view.why_out.as_ref().unwrap();
    (why.reason.as_str(), why.since_ms, why.until_ms)
}

#[test]
fn a_server_that_is_not_registered_says_so() {
    let now = view(&mut unregistered());
    let expected = InstanceView {
        phase: "unregistered".to_owned(),
        health: "unknown".to_owned(),
        breaker: "admitting".to_owned(),
        ..InstanceView::default()
    };
    assert_eq!(now, expected);
}

#[test]
fn a_server_that_was_never_checked_is_neither_healthy_nor_not() {
    let mut rig = unregistered();
    let command = InstanceCommand::Configure {
        spec: spec(1),
        first_check: None,
        policy: ReliabilityPolicy::default(),
    };
    tell(&mut rig, &command);
    let now = view(&mut rig);
    assert_eq!((now.health.as_str(), now.in_service), ("unknown", true));
    assert_eq!((now.success_rate, now.mean_latency_ms), (None, None));
}

#[test]
fn a_server_at_work_shows_who_runs_and_how_it_went() {
    let mut rig = server();
    for name in ["done", "r1", "r2"] {
        if name == "r2" {
            settle(&mut rig, "done", OutcomeWire::Success);
        }
        grant(&mut rig, name);
    }
    ask(&mut rig, "r3");
    let now = view(&mut rig);
    assert_eq!((now.phase.as_str(), now.in_service), ("active", true));
    assert_eq!(
        (now.health.as_str(), now.breaker.as_str()),
        ("healthy", "admitting")
    );
    assert_eq!((now.running, now.queued), (2, 1));
    assert_eq!((now.capacity, now.queue_depth), (2, 2));
    let runs: Vec<_> = now
        .leases
        .iter()
        .map(|lease| (lease.request.as_str(), lease.kind.as_str()))
        .collect();
    assert_eq!(runs, [("r1", "normal"), ("r2", "normal")]);
    assert_eq!(now.leases[0].granted_at_ms, at(0));
    assert_eq!(now.leases[0].expires_at_ms, at(60));
    assert_eq!((now.totals.requests, now.totals.successes), (1, 1));
    assert_eq!(now.success_rate, Some(1.0));
    assert_eq!(now.mean_latency_ms, Some(16.0), "of 12 and 20");
}

#[test]
fn an_ejected_server_says_why_since_when_and_until_when() {
    let mut rig = server();
    grant(&mut rig, "slow");
    for number in 0..4 {
        let name = format!("bad{number}");
        grant(&mut rig, &name);
        settle(&mut rig, &name, failure());
        assert_eq!(view(&mut rig).consecutive_failures, number + 1);
    }
    grant(&mut rig, "bad4");
    let turn = settle(&mut rig, "bad4", failure());
    let until = announcement(&turn).1.until_ms;
    rig.wait(secs(5));
    let now = view(&mut rig);
    assert_eq!((now.breaker.as_str(), now.ejections), ("ejected", 1));
    let words = "ejected after 5 failures in a row, the last status 500";
    assert_eq!(why(&now), (words, Some(at(0)), until));
    assert_eq!(now.running, 1);
    ask_as(&mut rig, "p", AskMode::Panic);
    assert_eq!(view(&mut rig).leases[0].kind, "panic");
    rig.now = moment(until.unwrap());
    settle(&mut rig, "p", OutcomeWire::ClientLeft);
    grant(&mut rig, "probe");
    let now = view(&mut rig);
    assert_eq!(now.breaker, "probing");
    let words = format!("{words}, a probe is out");
    assert_eq!(why(&now), (words.as_str(), Some(at(0)), None));
}

#[test]
fn a_server_that_cools_down_is_drained_or_fails_its_checks_says_why() {
    let mut rig = server();
    grant(&mut rig, "r1");
    let busy = OutcomeWire::Backpressure {
        status: 503,
        retry_after_ms: None,
    };
    settle(&mut rig, "r1", busy);
    let now = view(&mut rig);
    let pause = ("the server asked for a pause", Some(at(0)), Some(at(1)));
    assert_eq!(why(&now), pause);
    assert_eq!(now.totals.backpressure, 1);
    rig.wait(secs(1));
    assert!(view(&mut rig).in_service);

    grant(&mut rig, "r2");
    tell(&mut rig, &InstanceCommand::Drain);
    let now = view(&mut rig);
    assert_eq!(now.phase, "draining");
    let words = "draining: running requests end, no new ones begin";
    assert_eq!(why(&now), (words, Some(at(1)), None));
    settle(&mut rig, "r2", OutcomeWire::Success);
    let now = view(&mut rig);
    assert_eq!((now.phase.as_str(), why(&now).0), ("drained", "drained"));
    tell(&mut rig, &InstanceCommand::Resume);

    for _ in 0..3 {
        let turn = tell(&mut rig, &InstanceCommand::HealthCheck);
        rig.done(check_out(&turn), fetched(500, ""));
    }
    let now = view(&mut rig);
    assert_eq!(
        (now.health.as_str(), now.breaker.as_str()),
        ("unhealthy", "admitting")
    );
    let (words, since, until) = why(&now);
    assert_eq!(
        (words, since),
        ("health checks fail with status 500", Some(at(1)))
    );
    assert!(until > Some(at(16)), "the next check: {until:?}");
    assert_eq!(now.success_rate, Some(0.4));
}
