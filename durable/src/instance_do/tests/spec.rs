use super::*;
use crate::bindings::fleet::ServerState;

const NOTHING_OUTRANKS: u64 = (1 << 53) - 1;

fn limited(generation: u64, max_concurrency: u32) -> InstanceCommand {
    configure(InstanceSpec {
        max_concurrency,
        ..spec(generation)
    })
}

fn moved(generation: u64) -> InstanceCommand {
    configure(InstanceSpec {
        endpoint_url: "https://elsewhere/v1".to_owned(),
        ..spec(generation)
    })
}

#[test]
fn a_registered_server_serves_and_is_checked_at_once() {
    let mut rig = unregistered();
    let turn = tell(&mut rig, &configure(spec(1)));
    assert_eq!(turn.reply, Some(Reply::Now("{}".to_owned())));
    assert_eq!(turn.effects.len(), 1);
    check_out(&turn);
    // Until the check should have ended.
    assert_eq!(turn.alarm_at_ms, Some(at(15)));
    let now = view(&mut rig);
    assert_eq!((now.phase.as_str(), now.in_service), ("active", true));
    assert_eq!((now.health.as_str(), now.checks.len()), ("healthy", 1));
    grant(&mut rig, "r1");
}

#[test]
fn a_repeated_or_older_entry_changes_nothing() {
    let mut rig = server();
    tell(&mut rig, &limited(5, 7));
    let rows = rig.store.rows_written();
    for generation in [5, 4, 0] {
        let turn = tell(&mut rig, &limited(generation, 1));
        assert_eq!(turn.effects, []);
    }
    assert_eq!(view(&mut rig).capacity, 7);
    rig.evict();
    assert_eq!(view(&mut rig).capacity, 7);
    assert_eq!(rig.store.rows_written(), rows);
}

#[test]
fn more_capacity_lets_those_in_who_wait() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    let poll = ask(&mut rig, "r3");
    let turn = tell(&mut rig, &limited(2, 3));
    assert_eq!(resolved(&turn)[0].0, ticket(&poll));
    // Less takes nobody's lease away.
    tell(&mut rig, &limited(3, 1));
    let now = view(&mut rig);
    assert_eq!((now.running, now.capacity), (3, 1));
    settle(&mut rig, "r1", OutcomeWire::Success);
    let turn = ask_as(&mut rig, "r4", AskMode::Tentative);
    assert!(matches!(denied(&turn), DeniedWire::Busy { .. }));
}

#[test]
fn a_moved_server_keeps_leases_and_figures_and_starts_with_a_clean_slate() {
    let mut rig = server();
    eject(&mut rig);
    let panic = ask_as(&mut rig, "p", AskMode::Panic);
    assert!(matches!(answer(&panic), AskAnswer::Granted { .. }));
    let turn = tell(&mut rig, &moved(2));
    // The fleet has to hear that the address is good again.
    assert_eq!(announcement(&turn).1.state, ServerState::Healthy);
    let check = turn.effects.iter().find_map(|effect| match effect {
        Effect::Get { url, .. } => Some(url.as_str()),
        _ => None,
    });
    assert_eq!(check, Some("https://elsewhere/v1/models"));
    let now = view(&mut rig);
    assert_eq!((now.running, now.totals.failures), (1, 5));
    assert_eq!((now.breaker.as_str(), now.ejections), ("admitting", 0));
    rig.soon();
    rig.evict();
    let after = view(&mut rig);
    assert_eq!((after.running, after.totals.failures), (1, 5));
    assert_eq!(after.checks, now.checks);
    // The old address's request ends, and says nothing about the new one.
    grant(&mut rig, "r1");
    settle(&mut rig, "p", failure());
    assert_eq!(view(&mut rig).running, 1);
}

#[test]
fn who_waits_for_a_server_that_moves_is_answered() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    let poll = ask(&mut rig, "r3");
    let check = tell(&mut rig, &InstanceCommand::HealthCheck);
    let old = check_out(&check);
    let turn = tell(&mut rig, &moved(2));
    assert_eq!(answered(&turn), [ticket(&poll)]);
    // The old address's answer says nothing; the new one's goes to whoever asked for a check.
    let new = check_out(&turn);
    assert_eq!(without_soon(&rig.done(old, failed())), []);
    let turn = rig.done(new, well());
    assert_eq!(answered(&turn), [ticket(&check)]);
    assert_eq!(turn.effects.len(), 1);
}

#[test]
fn a_server_that_is_drained_stays_so_when_it_moves() {
    let mut rig = server();
    tell(&mut rig, &InstanceCommand::Drain);
    let turn = tell(&mut rig, &moved(2));
    assert_eq!(announced(&turn), []);
    assert_eq!(denied(&ask(&mut rig, "r1")), DeniedWire::Draining);
}

#[test]
fn a_removed_server_forgets_everything_and_answers_everybody() {
    let mut rig = server();
    grant(&mut rig, "r1");
    grant(&mut rig, "r2");
    rig.soon();
    let poll = ask(&mut rig, "r3");
    let check = tell(&mut rig, &InstanceCommand::HealthCheck);
    let out = check_out(&check);
    let remove = InstanceCommand::Remove { generation: 2 };
    let turn = tell(&mut rig, &remove);
    assert_eq!(answered(&turn), [ticket(&poll), ticket(&check)]);
    let told: Vec<String> = turn
        .effects
        .iter()
        .map(|effect| format!("{effect:?}"))
        .collect();
    assert!(told[0].contains("not_registered"), "{told:?}");
    assert!(told[1].contains("unregistered"), "{told:?}");
    assert_eq!(told.len(), 2);
    assert_eq!((rig.count("leases"), rig.count("figures")), (0, 0));
    assert_eq!(denied(&ask(&mut rig, "r4")), DeniedWire::NotRegistered);
    // What was under way finds nothing to change.
    settle(&mut rig, "r1", failure());
    let rows = rig.store.rows_written();
    for turn in [
        rig.done(out, failed()),
        rig.soon(),
        rig.alarm(),
        tell(&mut rig, &remove),
    ] {
        assert_eq!((turn.effects, turn.alarm_at_ms), (vec![], None));
    }
    assert_eq!(rig.store.rows_written(), rows);
}

#[test]
fn a_removed_server_tells_nobody_what_it_was() {
    let mut rig = server();
    eject(&mut rig);
    assert_eq!(rig.count("outbox"), 1);
    let turn = tell(&mut rig, &InstanceCommand::Remove { generation: 2 });
    assert_eq!((turn.effects, turn.alarm_at_ms), (vec![], None));
    assert_eq!(rig.count("outbox"), 0);
    rig.evict();
    rig.wait(secs(60));
    let turn = rig.alarm();
    assert_eq!((turn.effects, turn.alarm_at_ms), (vec![], None));
}

#[test]
fn a_late_entry_does_not_bring_a_removed_server_back() {
    let mut rig = server();
    eject(&mut rig);
    tell(&mut rig, &InstanceCommand::Remove { generation: 3 });
    rig.evict();
    for generation in [2, 3] {
        assert_eq!(tell(&mut rig, &limited(generation, 2)).effects, []);
        assert_eq!(denied(&ask(&mut rig, "r1")), DeniedWire::NotRegistered);
    }
    // A new one; only the numbers of its announcements go on, since the fleet has seen the earlier ones. It
    // says at once how it is, so that a late one of those is not the last word.
    let (sequence, status) = announcement(&tell(&mut rig, &limited(4, 2)));
    assert_eq!((sequence, status.state), (2, ServerState::Healthy));
    assert_eq!(view(&mut rig).totals.failures, 0);
    assert_eq!(announcement(&eject(&mut rig)).0, 3);
}

#[test]
fn a_server_that_the_fleet_does_not_know_is_removed_for_good() {
    let mut rig = server();
    let generation = NOTHING_OUTRANKS;
    tell(&mut rig, &InstanceCommand::Remove { generation });
    rig.evict();
    for generation in [2, NOTHING_OUTRANKS] {
        tell(&mut rig, &limited(generation, 2));
    }
    assert_eq!(denied(&ask(&mut rig, "r1")), DeniedWire::NotRegistered);
    assert_eq!(
        rig.text("SELECT json ->> 'generation' || '' FROM record"),
        "9007199254740991"
    );
}
