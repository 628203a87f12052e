//! Every statement of every command fails in its turn: after the rollback and a reload either all of the
//! command is there or nothing, and the command repeated brings the same end as an undisturbed run.

use super::*;
use crate::ports::Row;

const TABLES: [&str; 6] = [
    "windows", "postings", "opening", "budgets", "meta", "outbox",
];

fn rows(rig: &Rig<Ledger>) -> Vec<Vec<Row>> {
    TABLES
        .iter()
        .map(|table| rig.rows(&format!("SELECT * FROM {table} ORDER BY 1")))
        .collect()
}

fn prepared() -> Rig<Ledger> {
    let mut rig = ledger();
    set(&mut rig, "organisation", budget(Period::Day, DOLLAR));
    set(&mut rig, "key/k1", budget(Period::Day, 1_000));
    granted(&mut rig, advance("a", 1));
    state(&mut rig, statement("a", 1, 0));
    rig.wait(minutes(5));
    rig
}

fn commands() -> Vec<LedgerCommand> {
    let used = WindowStatement {
        shares: shares(&[("key/k1", 1_000)]),
        ..closed(statement("a", 2, 0), 2, 5 * MINUTE)
    };
    vec![
        LedgerCommand::Advance(advance("a", 2)),
        LedgerCommand::Advance(advance("b", 1)),
        LedgerCommand::State { statement: used },
        put("project/p", budget(Period::Day, 1)),
        put("organisation", budget(Period::Day, 1)),
        delete("organisation"),
    ]
}

#[test]
fn a_statement_that_fails_leaves_all_or_nothing() {
    for command in commands() {
        let mut undisturbed = prepared();
        let whole = undisturbed.try_call(&command).unwrap().reply;
        let mut failures = 0;
        for statement in 0.. {
            let mut rig = prepared();
            // Reopened, so that the statements of loading fail in their turn as well.
            rig.evict();
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
            let again = rig.try_call(&command).unwrap().reply;
            assert_eq!(again, whole, "{command:?}, statement {statement}");
            assert_eq!(rows(&rig), rows(&undisturbed), "{command:?}");
        }
        // Seven tables are made and four are read before anything is written.
        assert!(failures > 11, "{command:?} failed at {failures} statements");
    }
}
