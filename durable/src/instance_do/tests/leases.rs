use super::*;

fn renew(rig: &mut Server, name: &str) {
    let turn = turnover(
        rig,
        Turnover {
            renewed: vec![name.to_owned()],
            ..Turnover::default()
        },
    );
    assert_eq!(answer(&turn), AskAnswer::Noted);
}

fn busy(rig: &mut Server) -> bool {
    let name = format!("extra{}", rig.now.as_ms());
    let turn = ask_as(rig, &name, AskMode::Tentative);
    let is_busy = matches!(answer(&turn), AskAnswer::Denied { .. });
    if !is_busy {
        settle(rig, &name, OutcomeWire::Cancelled);
    }
    is_busy
}

#[test]
fn a_request_that_comes_and_goes_within_a_second_costs_no_row() {
    let mut rig = server();
    let rows = rig.store.rows_written();
    grant(&mut rig, "r1");
    rig.wait(Span::from_ms(900));
    let turn = settle(&mut rig, "r1", OutcomeWire::Success);
    assert_eq!(turn.effects, [], "the turn that is coming will do");
    rig.wait(Span::from_ms(100));
    let turn = rig.soon();
    assert_eq!(rig.store.rows_written(), rows);
    // Totals follow, ten seconds after they changed.
    assert_eq!(turn.effects, [Effect::Soon { after_ms: 9_900 }]);
    rig.wait(Span::from_ms(9_900));
    assert_eq!(rig.soon().effects, []);
    assert_eq!(rig.store.rows_written(), rows + 1);
    rig.evict();
    assert_eq!(view(&mut rig).totals.successes, 1);
}

#[test]
fn a_longer_request_costs_a_row_when_it_comes_and_one_when_it_goes() {
    let mut rig = server();
    let rows = rig.store.rows_written();
    grant(&mut rig, "r1");
    rig.wait(secs(1));
    assert_eq!(rig.soon().effects, []);
    assert_eq!(
        (rig.count("leases"), rig.store.rows_written()),
        (1, rows + 1)
    );
    rig.wait(secs(4));
    let turn = settle(&mut rig, "r1", OutcomeWire::Success);
    assert_eq!(turn.effects, [Effect::Soon { after_ms: 1_000 }]);
    rig.wait(secs(1));
    rig.soon();
    assert_eq!(
        (rig.count("leases"), rig.store.rows_written()),
        (0, rows + 2)
    );
}

#[test]
fn a_hundred_ends_write_the_totals_with_the_next_second() {
    let mut rig = server();
    for number in 0..100 {
        let name = format!("r{number}");
        grant(&mut rig, &name);
        settle(&mut rig, &name, OutcomeWire::Success);
    }
    rig.wait(secs(1));
    rig.soon();
    rig.evict();
    assert_eq!(view(&mut rig).totals.successes, 100);
}

#[test]
fn a_renewed_lease_lives_a_minute_from_then() {
    let mut rig = server();
    grant(&mut rig, "r1");
    for _ in 0..10 {
        rig.wait(secs(20));
        renew(&mut rig, "r1");
        rig.soon();
        rig.evict();
    }
    // Every second renewal is written.
    let left = view(&mut rig).leases[0].expires_at_ms - rig.now.as_ms();
    assert!((40_000..=60_000).contains(&left), "{left}");
    rig.wait(secs(60));
    rig.alarm();
    assert_eq!((view(&mut rig).running, rig.count("leases")), (0, 0));
    assert_eq!(view(&mut rig).totals.leases_expired, 1);
}

#[test]
fn stored_leases_hold_their_slots_from_the_first_moment_of_a_restart() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    rig.wait(secs(1));
    rig.soon();
    rig.evict();
    assert!(busy(&mut rig));
    // The same request asks again and has its lease still.
    grant(&mut rig, "r1");
    settle(&mut rig, "r2", OutcomeWire::Success);
    assert!(!busy(&mut rig));
    rig.evict();
    // Its end was not written yet: the row holds the slot until it runs out, and no longer.
    assert!(busy(&mut rig));
    rig.wait(secs(59));
    rig.alarm();
    assert_eq!((rig.count("leases"), view(&mut rig).running), (0, 0));
}

#[test]
fn an_eviction_loses_at_most_the_last_seconds_leases() {
    let mut rig = server();
    grant(&mut rig, "old");
    rig.wait(secs(1));
    rig.soon();
    grant(&mut rig, "young");
    rig.wait(Span::from_ms(999));
    rig.evict();
    // Its slot is given once more, so three run where two may.
    grant(&mut rig, "third");
    assert!(busy(&mut rig));
    // Renewed or ended, the lost one counts no more; the others end as ever.
    renew(&mut rig, "young");
    for name in ["young", "old", "third"] {
        settle(&mut rig, name, OutcomeWire::Success);
    }
    let now = view(&mut rig);
    assert_eq!((now.running, now.totals.successes), (0, 2));
    rig.wait(secs(1));
    rig.soon();
    assert_eq!(rig.count("leases"), 0);
}

#[test]
fn no_change_waits_longer_than_a_second_for_its_row() {
    let mut rig = server();
    for second in 0..20_i64 {
        grant(&mut rig, &format!("r{second}"));
        if second > 0 {
            settle(&mut rig, &format!("r{}", second - 1), OutcomeWire::Success);
        }
        rig.wait(secs(1));
        rig.soon();
        assert_eq!(
            rig.text("SELECT group_concat(request) FROM leases"),
            format!("r{second}")
        );
    }
}

// D9
#[test]
fn an_end_that_comes_after_the_lease_ran_out_takes_nobody_elses_slot() {
    let mut rig = server();
    grant(&mut rig, "late1");
    grant(&mut rig, "late2");
    rig.wait(secs(60));
    rig.alarm();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    for name in ["late1", "late2", "late1"] {
        settle(&mut rig, name, OutcomeWire::Success);
    }
    let now = view(&mut rig);
    // Their work counts all the same.
    assert_eq!((now.running, now.totals.successes), (2, 2));
    assert!(busy(&mut rig));
    renew(&mut rig, "late1");
    assert_eq!(view(&mut rig).running, 2);
}

#[test]
fn a_lease_that_ran_out_is_taken_up_again_if_there_is_room() {
    let mut rig = server();
    grant(&mut rig, "r1");
    rig.wait(secs(61));
    rig.alarm();
    renew(&mut rig, "r1");
    assert_eq!(view(&mut rig).running, 1);
}

#[test]
fn a_clock_that_jumps_back_delays_no_row() {
    let mut rig = server();
    grant(&mut rig, "r1");
    settle(&mut rig, "r1", OutcomeWire::Success);
    grant(&mut rig, "r2");
    rig.now = rig.now - secs(3_600);
    assert_eq!(ask(&mut rig, "r3").effects, []);
    assert_eq!(rig.soon().effects, []);
    assert_eq!(rig.count("leases"), 2);
    rig.evict();
    let now = view(&mut rig);
    assert_eq!((now.running, now.totals.successes), (2, 1));
}

#[test]
fn a_turn_that_did_not_come_is_asked_for_again() {
    let mut rig = server();
    grant(&mut rig, "r1");
    rig.wait(secs(11));
    assert_eq!(ask(&mut rig, "r2").effects, []);
    rig.wait(Span::from_ms(1));
    let turn = settle(&mut rig, "r2", OutcomeWire::Success);
    assert_eq!(turn.effects, [Effect::Soon { after_ms: 0 }]);
}

#[test]
fn a_lease_that_is_granted_anew_in_another_way_is_written() {
    let mut rig = server();
    grant(&mut rig, "r1");
    rig.soon();
    settle(&mut rig, "r1", OutcomeWire::Cancelled);
    ask_as(&mut rig, "r1", AskMode::Tentative);
    rig.soon();
    assert_eq!(rig.text("SELECT json ->> 'kind' FROM leases"), "tentative");
}

// D6
#[test]
fn a_lease_that_a_newer_release_wrote_holds_its_slot_after_a_rollback() {
    let mut rig = server();
    rig.evict();
    rig.rows(r#"INSERT INTO leases VALUES ('r1', '{"kind":"reserved"}'), ('r2', '')"#);
    assert!(busy(&mut rig));
    assert_eq!(view(&mut rig).leases[0].expires_at_ms, at(60));
    settle(&mut rig, "r1", OutcomeWire::Success);
    // No restart begins its minute anew.
    for _ in 0..3 {
        rig.wait(secs(20));
        rig.soon();
        rig.evict();
    }
    rig.alarm();
    rig.soon();
    assert_eq!((view(&mut rig).running, rig.count("leases")), (0, 0));
}
