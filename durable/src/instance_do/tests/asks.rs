use super::*;

fn granted(running: u32, queued: u32, score: u32) -> AskAnswer {
    AskAnswer::Granted {
        lease_until_ms: at(60),
        running,
        queued,
        capacity: 2,
        score,
    }
}

fn turned_away(denied: DeniedWire) -> AskAnswer {
    AskAnswer::Denied {
        denied,
        retry_after_ms: Some(1_000),
    }
}

#[test]
fn a_free_slot_is_granted_in_the_turn_that_asks_and_nothing_is_written() {
    let mut rig = server();
    let rows = rig.store.rows_written();
    let turn = ask(&mut rig, "r1");
    assert_eq!(answer(&turn), granted(1, 0, 500));
    assert_eq!(turn.effects, [Effect::Soon { after_ms: 1_000 }]);
    let turn = ask(&mut rig, "r2");
    assert_eq!(answer(&turn), granted(2, 0, 1_000));
    assert_eq!(turn.effects, []);
    assert_eq!(rig.store.rows_written(), rows);
}

#[test]
fn the_same_request_gets_the_same_lease() {
    let mut rig = server();
    grant(&mut rig, "r1");
    rig.wait(secs(5));
    assert_eq!(answer(&ask(&mut rig, "r1")), granted(1, 0, 500));
    assert_eq!(view(&mut rig).leases.len(), 1);
}

#[test]
fn who_waits_is_answered_when_a_slot_comes_free() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    let first = ask(&mut rig, "r3");
    let second = ask(&mut rig, "r4");
    assert_eq!(without_soon(&first), []);
    let turn = settle(&mut rig, "r1", OutcomeWire::Success);
    assert_eq!(answer(&turn), AskAnswer::Noted);
    assert_eq!(resolved(&turn), [(ticket(&first), granted(2, 1, 1_500))]);
    let turn = settle(&mut rig, "r2", OutcomeWire::Success);
    assert_eq!(resolved(&turn), [(ticket(&second), granted(2, 0, 1_000))]);
    assert_eq!(
        without_soon(&settle(&mut rig, "r3", OutcomeWire::Success)),
        []
    );
}

#[test]
fn who_waits_in_vain_is_told_by_the_alarm() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    let turn = ask(&mut rig, "r3");
    assert_eq!(turn.alarm_at_ms, Some(at(10)));
    rig.wait(secs(10));
    let timeout = turned_away(DeniedWire::QueueTimeout);
    assert_eq!(resolved(&rig.alarm()), [(ticket(&turn), timeout)]);
    assert_eq!(without_soon(&rig.alarm()), []);
}

#[test]
fn a_tentative_ask_never_waits() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    let turn = ask_as(&mut rig, "r3", AskMode::Tentative);
    assert_eq!(
        answer(&turn),
        turned_away(DeniedWire::Busy { score: 1_000 })
    );
}

#[test]
fn a_full_queue_lets_nobody_in() {
    let mut rig = server();
    for name in ["r1", "r2"] {
        grant(&mut rig, name);
    }
    for name in ["r3", "r4"] {
        ticket(&ask(&mut rig, name));
    }
    assert_eq!(
        denied(&ask(&mut rig, "r5")),
        DeniedWire::QueueFull { depth: 2 }
    );
}

#[test]
fn a_server_that_is_not_registered_grants_nothing_and_stores_nothing() {
    let mut rig = unregistered();
    let turn = ask(&mut rig, "r1");
    assert_eq!(denied(&turn), DeniedWire::NotRegistered);
    assert_eq!((&turn.effects, turn.alarm_at_ms), (&vec![], None));
    let turn = settle(&mut rig, "r1", failure());
    assert_eq!(answer(&turn), AskAnswer::Noted);
    assert_eq!(rig.store.rows_written(), 0);
}

#[test]
fn a_release_that_rides_on_an_ask_frees_the_slot_for_it() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    let ask = Ask {
        mode: AskMode::Tentative,
        ..request(&rig, "r3")
    };
    let turn = turnover(
        &mut rig,
        Turnover {
            settled: vec![settled("r1", OutcomeWire::Success)],
            ask: Some(ask),
            ..Turnover::default()
        },
    );
    assert_eq!(answer(&turn), granted(2, 0, 1_000));
}

#[test]
fn who_gives_up_leaves_the_queue_or_gives_its_lease_back() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    let poll = ask(&mut rig, "r3");
    let cancel = |name: &str| Turnover {
        cancelled: vec![name.to_owned()],
        ..Turnover::default()
    };
    let turn = turnover(&mut rig, cancel("r3"));
    let [(of, _)] = resolved(&turn).try_into().unwrap();
    assert_eq!(of, ticket(&poll));
    turnover(&mut rig, cancel("r1"));
    // A second time there is nothing to give back.
    turnover(&mut rig, cancel("r1"));
    turnover(&mut rig, cancel("r3"));
    let now = view(&mut rig);
    assert_eq!((now.running, now.queued, now.totals.requests), (1, 0, 0));
}

#[test]
fn a_poll_asked_again_ends_the_earlier_one_and_keeps_the_place() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    let broken = ask(&mut rig, "r3");
    let behind = ask(&mut rig, "r4");
    let again = ask(&mut rig, "r3");
    assert_eq!(resolved(&again), [(ticket(&broken), AskAnswer::Noted)]);
    let turn = settle(&mut rig, "r1", OutcomeWire::Success);
    assert_eq!(resolved(&turn)[0].0, ticket(&again));
    let turn = settle(&mut rig, "r2", OutcomeWire::Success);
    assert_eq!(resolved(&turn)[0].0, ticket(&behind));
}

#[test]
fn a_poll_asked_again_when_its_time_is_up_is_a_new_one() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    let old = ask(&mut rig, "r3");
    // The alarm is late.
    rig.wait(secs(10));
    let new = ask(&mut rig, "r3");
    let timeout = turned_away(DeniedWire::QueueTimeout);
    assert_eq!(resolved(&new), [(ticket(&old), timeout)]);
    let turn = settle(&mut rig, "r1", OutcomeWire::Success);
    assert_eq!(resolved(&turn)[0].0, ticket(&new));
}

#[test]
fn an_end_counts_once_and_a_stranger_not_at_all() {
    let mut rig = server();
    grant(&mut rig, "r1");
    for name in ["r1", "r1", "stranger"] {
        settle(&mut rig, name, OutcomeWire::Success);
    }
    turnover(
        &mut rig,
        Turnover {
            renewed: vec!["stranger".to_owned()],
            ..Turnover::default()
        },
    );
    let now = view(&mut rig);
    assert_eq!((now.running, now.totals.successes), (0, 1));
    assert_eq!(
        (now.totals.prompt_tokens, now.totals.completion_tokens),
        (10, 5)
    );
    assert_eq!(now.first_token_ewma_ms, Some(200.0));
    assert_eq!(now.duration_ewma_ms, Some(1_000.0));
}

#[test]
fn a_retry_above_its_share_is_refused() {
    let mut rig = server();
    let mut retry = |name: &str| {
        let ask = Ask {
            kind: AskKind::Retry,
            ..request(&rig, name)
        };
        let turn = turnover(
            &mut rig,
            Turnover {
                ask: Some(ask),
                ..Turnover::default()
            },
        );
        settle(&mut rig, name, OutcomeWire::Success);
        answer(&turn)
    };
    for n in 1..=10 {
        assert!(matches!(retry(&format!("r{n}")), AskAnswer::Granted { .. }));
    }
    let spent = AskAnswer::Denied {
        denied: DeniedWire::RetryBudgetSpent,
        retry_after_ms: None,
    };
    assert_eq!(retry("r11"), spent);
}

#[test]
fn a_request_whose_time_is_over_is_not_started() {
    let mut rig = server();
    let ask = Ask {
        deadline_ms: rig.now.as_ms() - 1,
        ..request(&rig, "r1")
    };
    let turn = turnover(
        &mut rig,
        Turnover {
            ask: Some(ask),
            ..Turnover::default()
        },
    );
    assert_eq!(denied(&turn), DeniedWire::DeadlineTooShort);
}

// D6
#[test]
fn an_ask_of_the_release_before_or_after_is_understood() {
    let mut rig = server();
    for (name, more) in [("r1", ""), ("r2", r#","colour":"red""#)] {
        let message = format!(
            r#"{{"command":"turnover","ask":{{"request":"{name}","arrived_at_ms":0,
            "deadline_ms":9000000000000,"kind":"first","mode":"normal"{more}}}}}"#
        );
        let turn = rig.call_raw(&message).unwrap();
        assert!(matches!(answer(&turn), AskAnswer::Granted { .. }));
    }
    let error = rig.call_raw(r#"{"command":"explode"}"#).unwrap_err();
    let words = error.to_string();
    assert!(words.starts_with("instance/acme/a does not understand the message"));
}
