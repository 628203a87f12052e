use super::*;

/// A server with something of each kind that waits for its time: a queue, leases, an ejection's end.
fn waiting() -> (Server, Ticket) {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    rig.wait(secs(1));
    rig.soon();
    let poll = ask(&mut rig, "r3");
    (rig, ticket(&poll))
}

// D2
#[test]
fn an_alarm_that_rings_twice_does_everything_once() {
    let (mut rig, poll) = waiting();
    rig.wait(secs(10));
    assert_eq!(answered(&rig.alarm()), [poll]);
    let before = view(&mut rig);
    let again = rig.alarm();
    assert_eq!(again.effects, []);
    assert_eq!(view(&mut rig), before);
}

// D2
#[test]
fn an_alarm_that_rings_early_does_nothing_and_is_set_again() {
    let (mut rig, _) = waiting();
    rig.wait(Span::from_ms(9_999));
    let turn = rig.alarm();
    assert_eq!(turn.effects, []);
    // D4: the platform knows of no alarm while one rings, so each ring sets the next.
    assert_eq!(turn.alarm_at_ms, Some(at(11)));
    assert_eq!(view(&mut rig).queued, 1);
}

// D2
#[test]
fn an_alarm_that_rings_an_hour_late_makes_up_for_everything() {
    let (mut rig, poll) = waiting();
    rig.wait(secs(3_600));
    let turn = rig.alarm();
    assert_eq!(answered(&turn), [poll]);
    check_out(&turn);
    let now = view(&mut rig);
    assert_eq!((now.running, now.queued), (0, 0));
    assert_eq!(now.totals.leases_expired, 2);
    assert_eq!(rig.count("leases"), 0);
    assert_eq!(turn.alarm_at_ms, Some(rig.now.as_ms() + 15_000));
}

// D2
#[test]
fn traffic_makes_up_for_an_alarm_that_never_rang() {
    let (mut rig, poll) = waiting();
    rig.wait(secs(3_600));
    let turn = ask(&mut rig, "r4");
    assert!(matches!(answer(&turn), AskAnswer::Granted { .. }));
    assert_eq!(answered(&turn), [poll]);
    check_out(&turn);
    // And sets it again.
    assert_eq!(turn.alarm_at_ms, Some(rig.now.as_ms() + 15_000));
}

#[test]
fn the_fleets_tick_sets_a_lost_alarm_again() {
    let mut rig = server();
    rig.wait(secs(420));
    let turn = tell(&mut rig, &InstanceCommand::Tick);
    let id = check_out(&turn);
    assert_eq!(turn.alarm_at_ms, Some(rig.now.as_ms() + 15_000));
    // Checked, it rests until the next check.
    let turn = rig.done(id, well());
    let rest = turn.alarm_at_ms.unwrap() - rig.now.as_ms();
    assert!((60_000..=66_000).contains(&rest), "{rest}");
    assert_eq!(tell(&mut rig, &InstanceCommand::Tick).alarm_at_ms, None);
}

#[test]
fn a_restart_sets_the_alarm_in_its_first_turn() {
    let mut rig = server();
    rig.evict();
    let turn = tell(&mut rig, &InstanceCommand::Describe);
    assert_eq!(turn.alarm_at_ms, Some(at(0)));
    check_out(&rig.alarm());
}

#[test]
fn a_removed_server_has_no_alarm() {
    let (mut rig, _) = waiting();
    let turn = tell(&mut rig, &InstanceCommand::Remove { generation: 2 });
    assert_eq!(turn.alarm_at_ms, None);
    rig.wait(secs(60));
    let turn = rig.alarm();
    assert_eq!((turn.effects, turn.alarm_at_ms), (vec![], None));
}

// R7
#[test]
fn a_clock_that_jumps_ends_nothing_at_once_and_keeps_nothing_for_ever() {
    let mut rig = server();
    let until = announcement(&eject(&mut rig)).1.until_ms.unwrap();
    rig.now = rig.now - secs(3_600);
    assert!(matches!(
        denied(&ask(&mut rig, "r1")),
        DeniedWire::Ejected { .. }
    ));
    // Out for as long as an ejection lasts, by the clock that there is.
    rig.wait(Span::from_ms(until - at(0)));
    rig.alarm();
    grant(&mut rig, "probe");
}
