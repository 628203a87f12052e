use super::*;
use crate::bindings::fleet::ServerState;
use crate::turn::Bearer;

/// Lets the alarm ring when it should, and answers the check that it sends.
fn check(rig: &mut Server, outcome: Outcome) -> Turn {
    for _ in 0..4 {
        // More than a failed check's pause, and four times that is more than the usual one.
        rig.wait(secs(17));
        let turn = rig.alarm();
        if let Some(id) = out(&turn) {
            return rig.done(id, outcome);
        }
    }
    panic!("no check in more than a minute");
}

fn out(turn: &Turn) -> Option<EffectId> {
    turn.effects.iter().find_map(|effect| match effect {
        Effect::Get { id, .. } => Some(*id),
        _ => None,
    })
}

fn sends(turn: &Turn) -> Vec<Effect> {
    let mut effects = turn.effects.clone();
    effects.retain(|effect| matches!(effect, Effect::Send { .. }));
    effects
}

/// What a check that ended so is shown as.
fn shown(outcome: Outcome, late: bool) -> Option<String> {
    let mut rig = server();
    let turn = tell(&mut rig, &InstanceCommand::HealthCheck);
    if late {
        rig.wait(secs(10));
    }
    rig.done(check_out(&turn), outcome);
    let last = view(&mut rig).checks.pop().unwrap();
    assert_eq!(last.ok, last.reason.is_none());
    last.reason
}

#[test]
fn a_check_asks_for_the_models_with_the_servers_own_key_still_sealed() {
    let mut rig = unregistered();
    let turn = tell(&mut rig, &configure(spec(1)));
    let bearer = Bearer {
        org: "acme".to_owned(),
        record: "server/a".to_owned(),
        sealed: "sealed-secret".to_owned(),
    };
    let sent = Effect::Get {
        id: check_out(&turn),
        url: "https://gpu/v1/models".to_owned(),
        bearer: Some(bearer),
        timeout_ms: 10_000,
    };
    assert_eq!(turn.effects, [sent]);
    assert_eq!(check_out(&turn) % 2, 1, "no outbox row has an odd number");
}

#[test]
fn a_check_passes_when_the_server_lists_something() {
    assert_eq!(shown(well(), false), None);
    assert_eq!(shown(fetched(200, " \n[]"), false), None);
    let named = |outcome| shown(outcome, false).unwrap();
    let page = "<html>welcome</html>";
    assert_eq!(
        named(fetched(200, page)),
        "an answer that is no list of models"
    );
    assert_eq!(
        named(fetched(200, "")),
        "an answer that is no list of models"
    );
    assert_eq!(named(fetched(302, "{}")), "a redirect");
    assert_eq!(named(fetched(500, "{}")), "status 500");
    assert_eq!(named(fetched(401, "{}")), "status 401");
    assert_eq!(named(failed()), "a transport error");
}

#[test]
fn an_address_that_may_not_be_asked_any_more_is_named_as_such() {
    for late in [false, true] {
        let reason = "a loopback address".to_owned();
        assert_eq!(
            shown(Outcome::Refused { reason }, late).unwrap(),
            "an address that may not be asked"
        );
    }
}

#[test]
fn a_check_that_fails_at_its_time_limit_has_timed_out_whatever_the_host_says() {
    assert_eq!(shown(failed(), true).unwrap(), "no answer in time");
    let reason = "the runtime at time.example broke".to_owned();
    assert_eq!(
        shown(Outcome::Failed { reason }, false).unwrap(),
        "a transport error"
    );
}

#[test]
fn three_failures_take_a_server_out_and_one_success_puts_it_back() {
    // The object leaves memory between two checks when nobody asks it.
    for sleeps in [false, true] {
        let mut rig = server();
        for failures in 1..=2 {
            let turn = check(&mut rig, failed());
            assert_eq!(announced(&turn), [], "after {failures}");
            if sleeps {
                rig.evict();
            }
            grant(&mut rig, &format!("r{failures}"));
            settle(&mut rig, &format!("r{failures}"), OutcomeWire::Success);
        }
        grant(&mut rig, "w1");
        grant(&mut rig, "w2");
        let turn = check(&mut rig, failed());
        let (_, status) = announcement(&turn);
        assert_eq!(status.state, ServerState::Unhealthy);
        assert_eq!(status.reason, "health checks fail with a transport error");
        assert_eq!(status.since_ms, rig.now.as_ms());
        assert_eq!(status.checked_at_ms, rig.now.as_ms());
        rig.evict();
        let DeniedWire::Unhealthy { since_ms, reason } = denied(&ask(&mut rig, "r3")) else {
            panic!("asked a server that is out");
        };
        assert_eq!(
            (since_ms, reason.as_str()),
            (status.since_ms, "a transport error")
        );
        assert_eq!(announced(&check(&mut rig, failed())), [], "it is known");
        let (_, status) = announcement(&check(&mut rig, well()));
        assert_eq!(status.state, ServerState::Healthy);
        grant(&mut rig, "r3");
    }
}

#[test]
fn a_success_in_between_ends_a_run_of_failures() {
    let mut rig = server();
    for outcome in [failed(), failed(), well(), failed(), failed()] {
        assert_eq!(announced(&check(&mut rig, outcome)), []);
        rig.evict();
    }
    let (_, status) = announcement(&check(&mut rig, failed()));
    assert_eq!(status.state, ServerState::Unhealthy);
}

#[test]
fn two_that_want_a_check_share_one() {
    let mut rig = server();
    let first = tell(&mut rig, &InstanceCommand::HealthCheck);
    let second = tell(&mut rig, &InstanceCommand::HealthCheck);
    assert_eq!(out(&second), None);
    let turn = rig.done(check_out(&first), fetched(503, ""));
    assert_eq!(answered(&turn), [ticket(&first), ticket(&second)]);
    for effect in without_soon(&turn) {
        let Effect::Resolve { reply, .. } = effect else {
            panic!("not an answer: {effect:?}");
        };
        let view = seen(Some(&Reply::Now(reply)));
        assert_eq!(view.checks.len(), 3);
        assert_eq!(view.checks[2].reason.as_deref(), Some("status 503"));
    }
    // Once each.
    let turn = rig.done(check_out(&first), well());
    assert_eq!(turn.effects, []);
    assert_eq!(view(&mut rig).checks.len(), 3);
}

#[test]
fn a_check_of_a_server_that_is_not_registered_is_answered_at_once() {
    let turn = tell(&mut unregistered(), &InstanceCommand::HealthCheck);
    assert_eq!(seen(turn.reply.as_ref()).phase, "unregistered");
    assert_eq!(turn.effects, []);
}

#[test]
fn a_check_that_got_lost_is_sent_again_and_blames_nobody() {
    let mut rig = server();
    let lost = tell(&mut rig, &InstanceCommand::HealthCheck);
    rig.wait(secs(15));
    assert_eq!(out(&rig.alarm()), None);
    rig.wait(secs(6));
    let again = rig.alarm();
    // The old result means nothing any more.
    assert_eq!(rig.done(check_out(&lost), failed()).effects, []);
    let turn = rig.done(check_out(&again), well());
    assert_eq!(answered(&turn), [ticket(&lost)]);
    let checks = view(&mut rig).checks;
    assert!(checks.iter().all(|check| check.ok), "{checks:?}");
}

#[test]
fn checks_that_go_as_ever_write_the_ring_every_ten_minutes() {
    for sleeps in [false, true] {
        let mut rig = server();
        let until = rig.now + secs(3 * 3_600);
        let mut written = 0;
        let mut last = rig.text("SELECT json FROM figures");
        while rig.now < until {
            check(&mut rig, well());
            let figures = rig.text("SELECT json FROM figures");
            written += i32::from(figures != last);
            last = figures;
            if sleeps {
                rig.evict();
            }
        }
        assert!((15..=18).contains(&written), "{written} in three hours");
    }
}

#[test]
fn a_change_of_verdict_is_stored_with_its_check() {
    let mut rig = server();
    for _ in 0..3 {
        let turn = check(&mut rig, fetched(500, ""));
        rig.deliver(&sends(&turn));
    }
    rig.evict();
    let now = view(&mut rig);
    assert_eq!(now.health, "unhealthy");
    let last: Vec<bool> = now
        .checks
        .iter()
        .rev()
        .take(3)
        .map(|check| check.ok)
        .collect();
    assert_eq!(last, [false, false, false]);
    // A server that stays out costs no more than one that is well.
    let rows = rig.store.rows_written();
    for _ in 0..20 {
        check(&mut rig, fetched(500, ""));
    }
    assert!(rig.store.rows_written() - rows <= 5);
    check(&mut rig, well());
    rig.evict();
    assert_eq!(view(&mut rig).health, "healthy");
}

#[test]
fn the_ring_keeps_a_hundred_checks() {
    let mut rig = server();
    for _ in 0..120 {
        check(&mut rig, well());
    }
    let now = view(&mut rig);
    assert_eq!((now.checks.len(), now.success_rate), (100, Some(1.0)));
    assert_eq!(now.mean_latency_ms, Some(20.0));
}
