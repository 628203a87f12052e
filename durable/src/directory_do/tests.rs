use serde_json::json;

use super::*;
use crate::bindings::directory::AccountsReport;
use crate::rig::{Rig, START, sent};
use crate::turn::Effect;
use tidegate_domain::time::Span;

fn directory() -> Rig<Directory> {
    Rig::new(ObjectName::directory())
}

fn enroll(rig: &mut Rig<Directory>, org: &str) -> Vec<Effect> {
    let org = org.to_owned();
    rig.call::<Done>(&DirectoryCommand::Enroll { org }).1
}

fn receivers(effects: &[Effect]) -> Vec<String> {
    let cron = json!({"command": "cron"});
    sent(effects)
        .into_iter()
        .inspect(|(_, message)| assert_eq!(*message, cron))
        .map(|(to, _)| to)
        .collect()
}

#[test]
fn an_organisation_enrols_once() {
    let mut rig = directory();
    assert_eq!(enroll(&mut rig, "acme"), []);
    let rows = rig.store.rows_written();
    assert_eq!(enroll(&mut rig, "acme"), []);
    assert_eq!(rig.store.rows_written(), rows);
    assert_eq!(rig.count("orgs"), 1);
}

#[test]
fn the_minute_pokes_every_fleet_without_a_row() {
    let mut rig = directory();
    enroll(&mut rig, "beta");
    enroll(&mut rig, "acme");
    rig.evict();
    let rows = rig.store.rows_written();
    let (report, effects): (CronReport, _) = rig.call(&DirectoryCommand::Cron);
    assert_eq!(
        report,
        CronReport {
            fleets: 2,
            accounts: 0
        }
    );
    assert_eq!(receivers(&effects), ["fleet/acme", "fleet/beta"]);
    rig.deliver(&effects);
    assert_eq!(rig.store.rows_written(), rows);
    assert_eq!(rig.count("outbox"), 0);
}

#[test]
fn a_directory_that_does_not_keep_time_sets_no_alarm() {
    let mut rig = directory();
    enroll(&mut rig, "acme");
    let turn = rig.alarm();
    assert_eq!((turn.effects, turn.alarm_at_ms), (vec![], None));
}

#[test]
fn a_directory_that_keeps_time_pokes_each_minute_for_ever() {
    let mut rig = directory();
    enroll(&mut rig, "acme");
    let armed = |minutes: i64| Some(START.as_ms() + minutes * MINUTE_MS);
    let turn = rig.try_call(&DirectoryCommand::KeepTime).unwrap();
    assert_eq!(turn.alarm_at_ms, armed(1));
    let turn = rig.try_call(&DirectoryCommand::KeepTime).unwrap();
    assert_eq!(turn.alarm_at_ms, None);
    assert_eq!(rig.count("timekeeper"), 1);
    for minute in 1..5 {
        rig.wait(Span::from_secs(60));
        // Idle objects are evicted within seconds, so every alarm meets a fresh one.
        rig.evict();
        let turn = rig.alarm();
        assert_eq!(receivers(&turn.effects), ["fleet/acme"]);
        assert_eq!(turn.alarm_at_ms, armed(minute + 1));
    }
}

#[test]
fn a_reload_in_the_middle_of_a_minute_does_not_put_the_alarm_off() {
    let mut rig = directory();
    rig.try_call(&DirectoryCommand::KeepTime).unwrap();
    rig.wait(Span::from_secs(59));
    rig.evict();
    let turn = rig.try_call(&DirectoryCommand::Cron).unwrap();
    assert_eq!(turn.alarm_at_ms, Some(START.as_ms() + MINUTE_MS));
}

#[test]
fn an_alarm_that_comes_late_or_twice_does_no_harm() {
    let mut rig = directory();
    enroll(&mut rig, "acme");
    rig.try_call(&DirectoryCommand::KeepTime).unwrap();
    rig.wait(Span::from_secs(3_600));
    for _ in 0..2 {
        let turn = rig.alarm();
        assert_eq!(receivers(&turn.effects), ["fleet/acme"]);
        assert_eq!(turn.alarm_at_ms, Some(START.as_ms() + 61 * MINUTE_MS));
    }
}

#[test]
fn more_organisations_than_a_round_are_reached_in_turn() {
    let mut rig = directory();
    for number in 0..1_200 {
        enroll(&mut rig, &format!("org{number:04}"));
    }
    let mut poked = BTreeSet::new();
    for _ in 0..3 {
        rig.evict();
        let (report, effects): (CronReport, _) = rig.call(&DirectoryCommand::Cron);
        assert_eq!(report.fleets, 500);
        poked.extend(receivers(&effects));
        rig.wait(Span::from_secs(60));
    }
    assert_eq!(poked.len(), 1_200);
}

#[test]
fn a_statement_that_fails_leaves_all_or_nothing() {
    for command in [
        DirectoryCommand::Enroll {
            org: "beta".to_owned(),
        },
        DirectoryCommand::KeepTime,
        DirectoryCommand::EnrollAccount {
            org: "acme".to_owned(),
            account: "a".to_owned(),
        },
    ] {
        for statement in 0.. {
            let mut rig = directory();
            enroll(&mut rig, "acme");
            rig.evict();
            rig.store.fail_after(statement);
            let disturbed = rig.try_call(&command);
            rig.store.fail_after(u32::MAX);
            let written = rig.count("orgs") + rig.count("timekeeper") + rig.count("accounts");
            assert_eq!(written, if disturbed.is_ok() { 2 } else { 1 });
            if disturbed.is_ok() {
                break;
            }
            rig.try_call(&command).unwrap();
            assert_eq!(
                rig.count("orgs") + rig.count("timekeeper") + rig.count("accounts"),
                2
            );
        }
    }
}

fn enroll_account(rig: &mut Rig<Directory>, account: &str) {
    let (org, account) = ("acme".to_owned(), account.to_owned());
    rig.call::<Done>(&DirectoryCommand::EnrollAccount { org, account });
}

fn retire_account(rig: &mut Rig<Directory>, account: &str) {
    let (org, account) = ("acme".to_owned(), account.to_owned());
    rig.call::<Done>(&DirectoryCommand::RetireAccount { org, account });
}

fn swept(rig: &mut Rig<Directory>, account: &str, at_ms: i64) {
    let (org, account) = ("acme".to_owned(), account.to_owned());
    rig.call::<Done>(&DirectoryCommand::Swept {
        org,
        account,
        at_ms,
    });
}

fn accounts(rig: &mut Rig<Directory>) -> Vec<(String, Option<i64>)> {
    let (report, _): (AccountsReport, _) = rig.call(&DirectoryCommand::Accounts);
    let accounts = report.accounts.into_iter();
    accounts
        .map(|known| (known.account, known.swept_at_ms))
        .collect()
}

/// The accounts that this minute pokes.
fn poked(rig: &mut Rig<Directory>) -> Vec<String> {
    let (report, effects): (CronReport, _) = rig.call(&DirectoryCommand::Cron);
    let poked: Vec<String> = sent(&effects)
        .into_iter()
        .filter(|(to, _)| to.starts_with("account/"))
        .inspect(|(_, message)| assert_eq!(*message, json!({"command": "tick"})))
        .map(|(to, _)| to)
        .collect();
    assert_eq!(report.accounts as usize, poked.len());
    poked
}

#[test]
fn an_account_is_known_until_it_is_retired_and_its_last_sweep_with_it() {
    let mut rig = directory();
    enroll_account(&mut rig, "a");
    enroll_account(&mut rig, "b");
    assert_eq!(accounts(&mut rig), [("a".into(), None), ("b".into(), None)]);
    let rows = rig.store.rows_written();
    enroll_account(&mut rig, "a");
    assert_eq!(rig.store.rows_written(), rows);
    swept(&mut rig, "a", 7);
    // Late, and of one that nobody knows.
    swept(&mut rig, "a", 6);
    swept(&mut rig, "c", 9);
    rig.evict();
    let known = [("a".into(), Some(7)), ("b".into(), None)];
    assert_eq!(accounts(&mut rig), known);
    retire_account(&mut rig, "a");
    retire_account(&mut rig, "a");
    assert_eq!(accounts(&mut rig), [("b".into(), None)]);
    // Its last word came after its end.
    swept(&mut rig, "a", 8);
    rig.evict();
    assert_eq!(accounts(&mut rig), [("b".into(), None)]);
}

#[test]
fn every_account_is_poked_once_in_five_minutes_and_not_all_in_the_same_one() {
    let mut rig = directory();
    for number in 0..50 {
        enroll_account(&mut rig, &format!("acc{number}"));
    }
    let mut counts = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..15 {
        rig.evict();
        let poked = poked(&mut rig);
        assert!((1..25).contains(&poked.len()), "{}", poked.len());
        for account in poked {
            *counts.entry(account).or_default() += 1;
        }
        rig.wait(Span::from_secs(60));
    }
    assert_eq!(counts.len(), 50);
    assert!(counts.values().all(|count| *count == 3), "{counts:?}");
}

#[test]
fn minutes_that_did_not_come_are_made_up_for() {
    let mut rig = directory();
    for number in 0..50 {
        enroll_account(&mut rig, &format!("acc{number}"));
    }
    let first = poked(&mut rig);
    // The same minute again: cron, and the directory's own alarm.
    assert_eq!(poked(&mut rig), first);
    rig.wait(Span::from_secs(180));
    let mut all: BTreeSet<String> = poked(&mut rig).into_iter().chain(first).collect();
    assert!(all.len() < 50);
    rig.wait(Span::from_secs(60));
    all.extend(poked(&mut rig));
    assert_eq!(all.len(), 50);
    rig.wait(Span::from_secs(3_600));
    assert_eq!(poked(&mut rig).len(), 50);
}

#[test]
fn more_accounts_than_a_round_are_reached_in_turn() {
    let mut rig = directory();
    for number in 0..4_500 {
        enroll_account(&mut rig, &format!("acc{number}"));
    }
    let mut all = BTreeSet::new();
    for _ in 0..15 {
        rig.evict();
        let poked = poked(&mut rig);
        assert!(poked.len() <= 400);
        all.extend(poked);
        rig.wait(Span::from_secs(60));
    }
    assert_eq!(all.len(), 4_500);
}
