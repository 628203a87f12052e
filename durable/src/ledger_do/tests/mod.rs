//! Story tests of the ledger: what a message answers, exactly what it writes into the books and sends, and
//! that a repetition has nothing more to do.

mod advances;
mod books;
mod budgets;
mod example;
mod faults;
mod keys;
mod properties;
mod records;
mod statements;
mod thresholds;

use std::collections::BTreeMap;

use super::Ledger;
use crate::bindings::ObjectName;
use crate::bindings::instance::Done;
use crate::bindings::ledger::{
    Advance, AdvanceAnswer, BooksAnswer, Budget, BudgetAnswer, BudgetView, BudgetsAnswer,
    CostAnswer, EntriesAnswer, EstimateAnswer, LedgerCommand, Period, SegmentRow, WindowStatement,
};
use crate::rig::{Rig, START, sent};
use tidegate_domain::time::Span;

/// A dollar.
const DOLLAR: u64 = 1_000_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

type Sent = Vec<(String, serde_json::Value)>;

fn ledger() -> Rig<Ledger> {
    Rig::new(ObjectName::ledger("acme"))
}

fn minutes(minutes: i64) -> Span {
    Span::from_ms(minutes * MINUTE)
}

/// Ten minutes at 3.60 dollars an hour: 60 cents.
fn advance(instance: &str, number: u64) -> Advance {
    Advance {
        instance: instance.to_owned(),
        window: format!("{instance}/1"),
        number,
        project: None,
        microusd_per_hour: 3_600_000,
        hold_ms: 10 * MINUTE,
    }
}

/// At 3.60 dollars an hour since `from`, milliseconds behind the start: a tenth of a cent a second.
fn statement(instance: &str, revision: u64, from: i64) -> WindowStatement {
    WindowStatement {
        window: format!("{instance}/1"),
        revision,
        instance: instance.to_owned(),
        account: "runpod".to_owned(),
        segments: vec![segment(from, 3_600_000)],
        step_ms: 1,
        ..WindowStatement::default()
    }
}

fn segment(from: i64, microusd_per_hour: u64) -> SegmentRow {
    SegmentRow {
        from_ms: START.as_ms() + from,
        microusd_per_hour,
    }
}

fn closed(statement: WindowStatement, revision: u64, until: i64) -> WindowStatement {
    WindowStatement {
        revision,
        until_ms: Some(START.as_ms() + until),
        ..statement
    }
}

fn shares(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter()
        .map(|(payer, share)| ((*payer).to_owned(), *share))
        .collect()
}

fn budget(period: Period, cap: u64) -> Budget {
    Budget {
        period,
        cap_microusd: Some(cap),
        target_microusd: None,
        thresholds: Vec::new(),
    }
}

fn put(scope: &str, budget: Budget) -> LedgerCommand {
    LedgerCommand::PutBudget {
        scope: scope.to_owned(),
        budget,
        actor: "admin".to_owned(),
    }
}

fn delete(scope: &str) -> LedgerCommand {
    LedgerCommand::DeleteBudget {
        scope: scope.to_owned(),
        actor: "admin".to_owned(),
    }
}

/// What is sent is delivered.
fn ask(rig: &mut Rig<Ledger>, ask: Advance) -> (AdvanceAnswer, Sent) {
    let (answer, effects) = rig.call(&LedgerCommand::Advance(ask));
    rig.deliver(&effects);
    (answer, sent(&effects))
}

fn granted(rig: &mut Rig<Ledger>, advance: Advance) -> i64 {
    let (answer, messages) = ask(rig, advance);
    assert_eq!(messages, []);
    match answer {
        AdvanceAnswer::Advanced { until_ms, .. } => until_ms - START.as_ms(),
        AdvanceAnswer::Denied { reason, .. } => panic!("denied: {reason}"),
    }
}

fn denied(rig: &mut Rig<Ledger>, advance: Advance) -> (String, Sent) {
    match ask(rig, advance) {
        (AdvanceAnswer::Denied { reason, .. }, messages) => (reason, messages),
        (answer, _) => panic!("granted: {answer:?}"),
    }
}

fn state(rig: &mut Rig<Ledger>, statement: WindowStatement) -> Sent {
    let (Done {}, effects) = rig.call(&LedgerCommand::State { statement });
    rig.deliver(&effects);
    sent(&effects)
}

/// Sets a budget; what it tells beside the audit of the change.
fn set(rig: &mut Rig<Ledger>, scope: &str, budget: Budget) -> (BudgetView, Sent) {
    let (answer, effects) = rig.call(&put(scope, budget));
    rig.deliver(&effects);
    match answer {
        BudgetAnswer::Budget { budget } => (*budget, sent(&effects)),
        other => panic!("not set: {other:?}"),
    }
}

fn books(rig: &mut Rig<Ledger>) -> BooksAnswer {
    let (books, effects): (BooksAnswer, _) = rig.call(&LedgerCommand::Books);
    assert_eq!(effects, []);
    let sum: i64 = books.balances.iter().map(|it| it.microusd).sum();
    assert_eq!(sum, 0, "{books:?}");
    books
}

fn balances(rig: &mut Rig<Ledger>) -> Vec<(String, i64)> {
    let balances = books(rig).balances.into_iter();
    balances.map(|it| (it.account, it.microusd)).collect()
}

fn expected(of: &[(&str, i64)]) -> Vec<(String, i64)> {
    of.iter()
        .map(|(account, balance)| ((*account).to_owned(), *balance))
        .collect()
}

/// Postings, oldest first: debit, credit, sum, memo.
fn postings(rig: &mut Rig<Ledger>) -> Vec<(String, String, u64, String)> {
    let (page, _): (EntriesAnswer, _) = rig.call(&LedgerCommand::Entries {
        limit: 500,
        before: None,
        instance: None,
    });
    assert_eq!(page.next_before, None);
    let entries = page.entries.into_iter().rev();
    entries
        .map(|it| (it.debit, it.credit, it.microusd, it.memo))
        .collect()
}

fn posted(debit: &str, credit: &str, sum: u64, memo: &str) -> (String, String, u64, String) {
    (debit.to_owned(), credit.to_owned(), sum, memo.to_owned())
}

fn views(rig: &mut Rig<Ledger>) -> Vec<BudgetView> {
    let (answer, effects): (BudgetsAnswer, _) = rig.call(&LedgerCommand::Budgets);
    assert_eq!(effects, []);
    answer.budgets
}

/// Spent and held of the only budget.
fn used(rig: &mut Rig<Ledger>) -> (u64, u64) {
    let views = views(rig);
    let [view] = views.as_slice() else {
        panic!("not one budget: {views:?}");
    };
    (view.spent_microusd, view.held_microusd)
}

fn estimate(rig: &mut Rig<Ledger>, project: Option<&str>, hold_ms: i64) -> EstimateAnswer {
    let (answer, effects) = rig.call(&LedgerCommand::Estimate {
        project: project.map(str::to_owned),
        microusd_per_hour: 3_600_000,
        hold_ms,
    });
    assert_eq!(effects, []);
    answer
}

/// Actor, action, subject and reason of all audit entries among these.
fn audited(messages: &Sent) -> Vec<[String; 4]> {
    let entries = messages
        .iter()
        .filter(|(to, _)| to.starts_with("journal/acme/"))
        .flat_map(|(_, message)| message["entries"].as_array().unwrap());
    entries
        .map(|entry| {
            ["actor", "action", "subject", "reason"]
                .map(|field| entry[field].as_str().unwrap().to_owned())
        })
        .collect()
}

fn entry(actor: &str, action: &str, subject: &str, reason: &str) -> [String; 4] {
    [actor, action, subject, reason].map(str::to_owned)
}

/// Runs `act`, after which nothing may have been written.
fn without_a_row<T>(rig: &mut Rig<Ledger>, act: impl FnOnce(&mut Rig<Ledger>) -> T) -> T {
    let before = rig.store.rows_written();
    let done = act(rig);
    assert_eq!(rig.store.rows_written(), before);
    done
}
