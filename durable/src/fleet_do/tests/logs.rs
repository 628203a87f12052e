use serde_json::json;

use super::*;
use tidegate_domain::time::Span;

const MINUTE: Span = Span::from_secs(60);

/// The parts of the log that one minute wakes, as `day/part`.
fn woken(rig: &mut Rig<Fleet>) -> Vec<String> {
    let (_, effects): (serde_json::Value, Vec<Effect>) = rig.call(&FleetCommand::Cron);
    rig.deliver(&effects);
    let wake = json!({"command": "wake"});
    sent(&effects)
        .into_iter()
        .filter(|(_, message)| *message == wake)
        .filter_map(|(to, _)| Some(to.strip_prefix("journal/acme/")?.to_owned()))
        .collect()
}

#[test]
fn the_log_is_woken_once_a_quarter_while_there_is_traffic_and_for_an_hour_after() {
    let mut rig = fleet_with(&["a"]);
    assert_eq!(woken(&mut rig).len(), 0, "nobody has sent a request");
    snapshot(&mut rig);
    let mut rounds = 0;
    for _ in 0..120 {
        rig.wait(MINUTE);
        let parts = woken(&mut rig);
        if !parts.is_empty() {
            rounds += 1;
            assert_eq!(parts.len() % 4, 0, "{parts:?}");
        }
    }
    assert!((4..=5).contains(&rounds), "{rounds}");
    let rows = rig.store.rows_written();
    rig.wait(MINUTE);
    assert_eq!(woken(&mut rig).len(), 0);
    assert_eq!(rig.store.rows_written(), rows, "without traffic no row");
}

#[test]
fn traffic_costs_one_row_a_quarter() {
    let mut rig = fleet_with(&["a"]);
    snapshot(&mut rig);
    let rows = rig.store.rows_written();
    snapshot(&mut rig);
    assert_eq!(rig.store.rows_written(), rows);
    rig.wait(Span::from_secs(15 * 60));
    snapshot(&mut rig);
    assert_eq!(rig.store.rows_written(), rows + 1);
}

#[test]
fn what_was_written_before_midnight_is_woken_after_it() {
    let mut rig = fleet_with(&["a"]);
    let day_ms = 24 * 3_600_000;
    let to_midnight = day_ms - rig.now.as_ms().rem_euclid(day_ms);
    rig.wait(Span::from_ms(to_midnight - 60_000));
    snapshot(&mut rig);
    rig.wait(Span::from_secs(120));
    let days: std::collections::BTreeSet<String> = woken(&mut rig)
        .iter()
        .filter_map(|part| Some(part.split_once('/')?.0.to_owned()))
        .collect();
    assert_eq!(days.len(), 2, "{days:?}");
}

#[test]
fn traffic_is_known_after_an_eviction() {
    let mut rig = fleet_with(&["a"]);
    snapshot(&mut rig);
    rig.evict();
    rig.wait(Span::from_secs(15 * 60));
    assert_eq!(woken(&mut rig).len(), 4);
    rig.evict();
    rig.wait(MINUTE);
    assert_eq!(woken(&mut rig).len(), 0, "not twice in a quarter");
}
