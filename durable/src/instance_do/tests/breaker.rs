use super::*;
use crate::bindings::fleet::ServerState;
use crate::rig::sent;

fn state(rig: &Server) -> String {
    rig.text("SELECT json -> 'machine' -> 'breaker' ->> 'is' FROM record")
}

#[test]
fn five_failures_eject_and_the_fleet_hears_of_it_once() {
    let mut rig = server();
    let turn = eject(&mut rig);
    let (number, status) = announcement(&turn);
    assert_eq!(number, 1);
    assert_eq!(status.state, ServerState::Ejected);
    assert_eq!(
        status.reason,
        "ejected after 5 failures in a row, the last status 500"
    );
    assert_eq!(status.since_ms, at(0));
    assert_eq!(status.totals.failures, 5);
    let until = status.until_ms.unwrap();
    assert!((at(30)..=at(33)).contains(&until), "{until}");
    // Stored in the same turn, so that no eviction brings the server back.
    assert_eq!(state(&rig), "ejected");
    assert_eq!(rig.count("outbox"), 1);
    rig.deliver(&without_soon(&turn));
    assert_eq!(rig.count("outbox"), 0);
    rig.evict();
    let turn = ask(&mut rig, "r1");
    let reason = "5 failures in a row, the last status 500".to_owned();
    let ejected = DeniedWire::Ejected {
        since_ms: at(0),
        until_ms: until,
        reason,
    };
    assert_eq!(denied(&turn), ejected);
    // Only the check that follows every start.
    assert_eq!(without_soon(&turn).len(), 1);
    check_out(&turn);
}

#[test]
fn failures_that_come_together_are_announced_once() {
    let mut rig = server_of(InstanceSpec {
        max_concurrency: 8,
        ..spec(1)
    });
    let mut settled_all = Vec::new();
    for number in 0..8 {
        let name = format!("r{number}");
        grant(&mut rig, &name);
        settled_all.push(settled(&name, failure()));
    }
    let rows = rig.store.rows_written();
    let turn = turnover(
        &mut rig,
        Turnover {
            settled: settled_all,
            ..Turnover::default()
        },
    );
    assert_eq!(announced(&turn).len(), 1);
    // The record and the outbox row.
    assert_eq!(rig.store.rows_written(), rows + 2);
}

#[test]
fn requests_that_wait_are_sent_away_when_the_server_is_ejected() {
    let mut rig = server_of(InstanceSpec {
        max_concurrency: 1,
        ..spec(1)
    });
    grant(&mut rig, "r0");
    for number in 1..=4 {
        let poll = ask(&mut rig, &format!("r{number}"));
        let turn = settle(&mut rig, &format!("r{}", number - 1), failure());
        assert_eq!(resolved(&turn)[0].0, ticket(&poll));
    }
    let poll = ask(&mut rig, "r5");
    let turn = settle(&mut rig, "r4", failure());
    assert_eq!(announcement(&turn).1.state, ServerState::Ejected);
    assert_eq!(answered(&turn), [ticket(&poll)]);
    assert_eq!((view(&mut rig).queued, view(&mut rig).running), (0, 0));
}

#[test]
fn one_probe_goes_and_its_answer_brings_the_server_back() {
    let mut rig = server();
    let turn = eject(&mut rig);
    rig.now = moment(announcement(&turn).1.until_ms.unwrap());
    let turn = ask(&mut rig, "probe");
    let AskAnswer::Granted { score, .. } = answer(&turn) else {
        panic!("no probe: {turn:?}");
    };
    // Nothing but its own place: a probe that looked bad would never be chosen.
    assert_eq!(score, 500);
    assert_eq!(announced(&turn), []);
    assert_eq!(state(&rig), "probing");
    let DeniedWire::Ejected {
        until_ms, reason, ..
    } = denied(&ask(&mut rig, "r1"))
    else {
        panic!("two probes");
    };
    assert_eq!(until_ms, 0);
    assert!(reason.ends_with("and its one probe is out"), "{reason}");
    assert_eq!(view(&mut rig).leases[0].kind, "probe");
    let turn = settle(&mut rig, "probe", OutcomeWire::Success);
    let (number, status) = announcement(&turn);
    assert_eq!(number, 2);
    assert_eq!(status.state, ServerState::Healthy);
    assert_eq!(state(&rig), "admitting");
    grant(&mut rig, "r1");
}

#[test]
fn a_probe_that_fails_makes_the_ejection_longer() {
    let mut rig = server();
    let turn = eject(&mut rig);
    rig.now = moment(announcement(&turn).1.until_ms.unwrap());
    grant(&mut rig, "probe");
    let probed_at = rig.now.as_ms();
    let turn = settle(&mut rig, "probe", failure());
    let (number, status) = announcement(&turn);
    assert_eq!(number, 2);
    assert_eq!(status.since_ms, at(0));
    let length = status.until_ms.unwrap() - probed_at;
    assert!((60_000..=66_000).contains(&length), "{length}");
}

#[test]
fn a_probe_lost_with_an_eviction_is_followed_by_another() {
    let mut rig = server();
    let turn = eject(&mut rig);
    rig.now = moment(announcement(&turn).1.until_ms.unwrap());
    grant(&mut rig, "probe");
    rig.soon();
    rig.evict();
    // Its row still counts, so that there are never two.
    let turn = ask_as(&mut rig, "r1", AskMode::Tentative);
    assert!(matches!(denied(&turn), DeniedWire::Ejected { .. }));
    rig.wait(secs(60));
    rig.alarm();
    grant(&mut rig, "probe2");
}

#[test]
fn in_panic_one_request_a_second_goes() {
    let mut rig = server();
    eject(&mut rig);
    let mut panic = |name: &str, wait: i64| {
        rig.wait(Span::from_ms(wait));
        answer(&ask_as(&mut rig, name, AskMode::Panic))
    };
    assert!(matches!(panic("p1", 0), AskAnswer::Granted { .. }));
    let spent = DeniedWire::PanicSpent { until_ms: at(1) };
    let refused = AskAnswer::Denied {
        denied: spent,
        retry_after_ms: Some(1),
    };
    assert_eq!(panic("p2", 999), refused);
    assert!(matches!(panic("p2", 1), AskAnswer::Granted { .. }));
    let turn = settle(&mut rig, "p2", OutcomeWire::Success);
    assert_eq!(announcement(&turn).1.state, ServerState::Healthy);
    grant(&mut rig, "r1");
}

#[test]
fn a_server_that_asks_for_a_pause_is_left_alone_for_it() {
    let mut rig = server();
    grant(&mut rig, "r1");
    let busy = OutcomeWire::Backpressure {
        status: 429,
        retry_after_ms: Some(7_000),
    };
    let turn = settle(&mut rig, "r1", busy);
    let (number, status) = announcement(&turn);
    assert_eq!(number, 1);
    assert_eq!(status.state, ServerState::CoolingDown);
    assert_eq!(status.until_ms, Some(at(7)));
    rig.evict();
    let turn = ask(&mut rig, "r2");
    let cooling = AskAnswer::Denied {
        denied: DeniedWire::CoolingDown { until_ms: at(7) },
        retry_after_ms: Some(7_000),
    };
    assert_eq!(answer(&turn), cooling);
    rig.wait(secs(7));
    grant(&mut rig, "r2");
}

#[test]
fn what_is_not_the_servers_fault_never_ejects() {
    let mut rig = server();
    let ends = [
        OutcomeWire::ClientError { status: 400 },
        OutcomeWire::ClientLeft,
        OutcomeWire::Cancelled,
    ];
    for (number, outcome) in ends.iter().cycle().take(30).enumerate() {
        let name = format!("r{number}");
        grant(&mut rig, &name);
        let turn = settle(&mut rig, &name, outcome.clone());
        assert_eq!(without_soon(&turn), []);
    }
    let totals = view(&mut rig).totals;
    assert_eq!((totals.client_errors, totals.client_left), (10, 10));
    assert_eq!((totals.requests, totals.failures), (20, 0));
}

#[test]
fn a_drain_lets_requests_end_and_is_over_when_they_have() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    let poll = ask(&mut rig, "r3");
    let turn = tell(&mut rig, &InstanceCommand::Drain);
    assert_eq!(announcement(&turn).1.state, ServerState::Draining);
    assert_eq!(answered(&turn), [ticket(&poll)]);
    let again = tell(&mut rig, &InstanceCommand::Drain);
    assert_eq!(without_soon(&again), []);
    assert_eq!(denied(&ask(&mut rig, "r4")), DeniedWire::Draining);
    settle(&mut rig, "r1", OutcomeWire::Success);
    let turn = settle(&mut rig, "r2", OutcomeWire::Success);
    assert_eq!(announcement(&turn).1.reason, "drained");
    rig.evict();
    assert_eq!(view_after_start(&mut rig).phase, "drained");
    let turn = tell(&mut rig, &InstanceCommand::Resume);
    assert_eq!(announcement(&turn).1.state, ServerState::Healthy);
    assert_eq!(sent(&without_soon(&turn)).len(), 1);
    grant(&mut rig, "r5");
}

fn view_after_start(rig: &mut Server) -> InstanceView {
    let turn = tell(rig, &InstanceCommand::Tick);
    rig.done(check_out(&turn), well());
    view(rig)
}

#[test]
fn a_server_that_fails_between_two_sleeps_of_its_object_is_ejected_all_the_same() {
    let mut rig = server();
    for number in 0..4 {
        let name = format!("r{number}");
        grant(&mut rig, &name);
        settle(&mut rig, &name, failure());
        let rows = rig.store.rows_written();
        rig.wait(secs(10));
        rig.soon();
        assert_eq!(
            rig.store.rows_written(),
            rows + 1,
            "the row of the totals, which comes anyway"
        );
        rig.wait(secs(5));
        rig.evict();
    }
    assert_eq!(view(&mut rig).consecutive_failures, 4);
    grant(&mut rig, "r4");
    let turn = settle(&mut rig, "r4", failure());
    assert_eq!(announcement(&turn).1.state, ServerState::Ejected);
}

#[test]
fn a_success_between_two_sleeps_ends_the_run() {
    let mut rig = server();
    for (number, outcome) in [failure(), OutcomeWire::Success].into_iter().enumerate() {
        let name = format!("r{number}");
        grant(&mut rig, &name);
        settle(&mut rig, &name, outcome);
        rig.wait(secs(10));
        rig.soon();
        rig.evict();
        assert_eq!(view(&mut rig).consecutive_failures as usize, 1 - number);
    }
}

#[test]
fn a_run_from_before_the_last_ejection_is_not_taken_up() {
    let mut rig = server();
    grant(&mut rig, "r1");
    settle(&mut rig, "r1", failure());
    rig.wait(secs(10));
    rig.soon();
    let stale = rig.text("SELECT json FROM figures");
    assert!(stale.contains(r#""run":{"failures":1"#), "{stale}");
    grant(&mut rig, "r2");
    settle(&mut rig, "r2", OutcomeWire::Success);
    eject(&mut rig);
    // Gone before the totals are due: the row is from before the ejection.
    rig.evict();
    rig.wait(secs(33));
    rig.alarm();
    grant(&mut rig, "probe");
    settle(&mut rig, "probe", OutcomeWire::Success);
    rig.evict();
    assert_eq!(rig.text("SELECT json FROM figures"), stale);
    assert_eq!(view(&mut rig).consecutive_failures, 0);
}
