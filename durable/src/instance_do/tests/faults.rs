//! Every statement of every command fails in its turn: after the rollback and a reload either all of the
//! command is there or nothing, and the command repeated brings the same end as an undisturbed run.

use super::*;
use crate::driver::{Driver, Host, TurnError};
use crate::ports::{Row, Value};

const TABLES: [&str; 5] = ["record", "leases", "figures", "outbox", "applied"];

type Run = fn(&mut Driver<Instance>, &Host<'_>) -> Result<Turn, TurnError>;

/// The rows; salts are drawn anew by a repetition.
fn rows(rig: &Server) -> Vec<Vec<Row>> {
    let table = |table: &&str| {
        let mut rows = rig.rows(&format!("SELECT * FROM {table} ORDER BY 1"));
        for value in rows.iter_mut().flatten() {
            if let Value::Text(text) = value
                && let Some((before, after)) = text.split_once(r#""salt":""#)
                && let Some((_, after)) = after.split_once('"')
            {
                *value = Value::Text(format!("{before}{after}"));
            }
        }
        rows
    };
    TABLES.iter().map(table).collect()
}

/// Two requests run, one has ended since their rows were written, and four failures are behind it all.
fn prepared() -> Server {
    let mut rig = server_of(InstanceSpec {
        max_concurrency: 8,
        ..spec(1)
    });
    for number in 0..8 {
        grant(&mut rig, &format!("r{number}"));
    }
    rig.wait(secs(1));
    rig.soon();
    rig.evict();
    rig
}

fn commands() -> Vec<InstanceCommand> {
    let moved = InstanceSpec {
        endpoint_url: "https://elsewhere/v1".to_owned(),
        ..spec(3)
    };
    let policy = ReliabilityPolicy {
        version: 3,
        ..ReliabilityPolicy::default()
    };
    let failures = (0..5)
        .map(|number| settled(&format!("r{number}"), failure()))
        .collect();
    let ask = Ask {
        policy_version: 9,
        ..request(&server(), "new")
    };
    vec![
        configure(spec(2)),
        configure(moved),
        InstanceCommand::Remove { generation: 2 },
        InstanceCommand::Drain,
        InstanceCommand::Policy { policy },
        InstanceCommand::HealthCheck,
        InstanceCommand::Tick,
        InstanceCommand::Turnover(Turnover {
            settled: failures,
            ask: Some(ask),
            ..Turnover::default()
        }),
    ]
}

#[test]
fn a_statement_that_fails_leaves_all_or_nothing() {
    for command in commands() {
        let mut undisturbed = prepared();
        let expected = tell(&mut undisturbed, &command);
        let mut failures = 0;
        for statement in 0.. {
            let mut rig = prepared();
            let before = rows(&rig);
            rig.store.fail_after(statement);
            let disturbed = rig.try_call(&command);
            rig.store.fail_after(u32::MAX);
            if disturbed.is_ok() {
                assert_eq!(rows(&rig), rows(&undisturbed), "{command:?}");
                break;
            }
            failures += 1;
            assert_eq!(rows(&rig), before, "{command:?}, statement {statement}");
            let again = tell(&mut rig, &command);
            assert_eq!(again.reply, expected.reply, "{command:?}");
            assert_eq!(rows(&rig), rows(&undisturbed), "{command:?}");
            assert_eq!(view(&mut rig).leases, view(&mut undisturbed).leases);
        }
        // Five tables are made and four are read before anything is written.
        assert!(failures >= 9, "{command:?} failed at {failures} statements");
    }
}

#[test]
fn a_turn_that_nobody_called_for_and_fails_leaves_all_or_nothing() {
    // Four leases are behind their rows and a check has failed when it runs.
    let behind = || {
        let mut rig = prepared();
        let turn = tell(&mut rig, &InstanceCommand::Tick);
        for number in 0..4 {
            settle(&mut rig, &format!("r{number}"), OutcomeWire::Success);
        }
        rig.wait(secs(10));
        (rig, check_out(&turn))
    };
    let runs: [Run; 3] = [
        |driver, host| driver.soon(host),
        |driver, host| driver.alarm(host),
        |driver, host| {
            // The only check that is out; its number is the first of this life.
            let first = u64::try_from(at(1)).unwrap_or_default() * 100 + 1;
            driver.done(host, crate::driver::memory_effect(first), failed())
        },
    ];
    for run in runs {
        let (mut undisturbed, check) = behind();
        let first = u64::try_from(at(1)).unwrap() * 100 + 1;
        assert_eq!(check, crate::driver::memory_effect(first));
        undisturbed.turn(run).unwrap();
        let mut failures = 0;
        for statement in 0.. {
            let (mut rig, _) = behind();
            let before = rows(&rig);
            rig.store.fail_after(statement);
            let disturbed = rig.turn(run);
            rig.store.fail_after(u32::MAX);
            if disturbed.is_ok() {
                assert_eq!(rows(&rig), rows(&undisturbed));
                break;
            }
            failures += 1;
            assert_eq!(rows(&rig), before);
            // What was only in memory is lost: the rows hold the slots until the leases run out.
            assert_eq!(view(&mut rig).running, 8);
            rig.wait(secs(50));
            rig.alarm();
            assert_eq!((view(&mut rig).running, rig.count("leases")), (0, 0));
        }
        assert!(failures > 0);
    }
}

#[test]
fn a_record_that_cannot_be_read_is_named_and_nothing_is_answered() {
    let mut rig = prepared();
    rig.rows("UPDATE record SET json = '{}'");
    let error = rig.try_call(&InstanceCommand::Describe).unwrap_err();
    let words = error.to_string();
    assert!(
        words.starts_with("the stored instance cannot be read: missing field"),
        "{words}"
    );
}
