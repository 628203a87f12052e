use super::*;

/// A world in which a check is answered as soon as it is sent: when the fleet was told something, and
/// how many rows that cost.
fn reports(sleeps: bool, hours: i64) -> Vec<Timestamp> {
    let mut rig = server();
    let until = rig.now + secs(hours * 3_600);
    let mut told = Vec::new();
    let mut alarm_at = rig.now;
    while rig.now < until {
        rig.now = alarm_at.max(rig.now + Span::from_ms(1));
        let turn = rig.alarm();
        let mut next = turn.alarm_at_ms;
        let check = turn.effects.iter().find_map(|effect| match effect {
            Effect::Get { id, .. } => Some(*id),
            _ => None,
        });
        if let Some(id) = check {
            rig.wait(Span::from_ms(20));
            let rows = rig.store.rows_written();
            let turn = rig.done(id, well());
            next = turn.alarm_at_ms.or(next);
            if let [(number, status)] = reported(&turn).as_slice() {
                assert_eq!(status.checked_at_ms, rig.now.as_ms());
                let before = rig.number("SELECT json ->> 'sequence' FROM record");
                assert_eq!(Ok(before), i64::try_from(*number));
                told.push(rig.now);
                // Its number and, every other time, the ring; nothing that is sent again.
                assert!(rig.store.rows_written() <= rows + 2);
                assert_eq!(rig.count("outbox"), 0);
            }
        }
        alarm_at = moment(next.unwrap_or(rig.now.as_ms() + 1_000));
        if sleeps {
            rig.evict();
        }
    }
    told
}

#[test]
fn the_fleet_hears_every_five_minutes_that_the_alarm_still_rings() {
    for sleeps in [false, true] {
        let told = reports(sleeps, 6);
        let longest = told
            .windows(2)
            .map(|pair| pair[0].until(pair[1]))
            .max()
            .unwrap();
        // Short of the seven minutes after which the cron pokes.
        assert!(longest <= secs(5 * 60 + 67), "{longest:?}");
        assert!((60..=90).contains(&told.len()), "{} reports", told.len());
    }
}

#[test]
fn many_checks_at_the_time_of_a_report_make_one_report() {
    let mut rig = server();
    let mut reports = 0;
    for _ in 0..60 {
        rig.wait(secs(5));
        let turn = tell(&mut rig, &InstanceCommand::HealthCheck);
        reports += reported(&rig.done(check_out(&turn), well())).len();
    }
    assert_eq!(reports, 1, "in five minutes");
}

#[test]
fn numbers_of_announcements_grow_over_evictions() {
    let mut rig = server();
    let mut last = 0;
    for _ in 0..5 {
        for command in [InstanceCommand::Drain, InstanceCommand::Resume] {
            let (number, _) = announcement(&tell(&mut rig, &command));
            assert_eq!(number, last + 1);
            last = number;
            rig.evict();
        }
    }
}

#[test]
fn an_announcement_that_was_not_delivered_is_sent_again() {
    let mut rig = server();
    let turn = eject(&mut rig);
    rig.evict();
    rig.wait(secs(2));
    let again = rig.alarm();
    assert_eq!(announced(&again), announced(&turn));
}
