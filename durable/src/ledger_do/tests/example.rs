//! The worked example of `docs/money.md`, to the letter.

use super::*;
use crate::bindings::journal::day_of;
use tidegate_domain::civil::Civil;
use tidegate_domain::money::Dollars;

const DOCUMENT: &str = include_str!("../../../../docs/money.md");

struct Example {
    rig: Rig<Ledger>,
    lines: Vec<String>,
}

impl Example {
    /// A line of the table: what happened, what was answered or told, and what is spent and held then.
    fn line(&mut self, what: &str, said: &str) {
        let Civil { hour, minute, .. } = Civil::from(self.rig.now);
        let (spent, held) = used(&mut self.rig);
        let (spent, held) = (Dollars(spent), Dollars(held));
        let said = if said.is_empty() { "–" } else { said };
        let line = format!("| {hour:02}:{minute:02} | {what} | {said} | {spent} | {held} |");
        self.lines.push(line);
    }

    fn advance(&mut self, number: u64) {
        let said = match ask(&mut self.rig, advance("a", number)).0 {
            AdvanceAnswer::Advanced { until_ms, .. } => {
                let at = tidegate_domain::time::Timestamp::from_ms(until_ms);
                let Civil { hour, minute, .. } = Civil::from(at);
                format!("until {hour:02}:{minute:02}")
            }
            AdvanceAnswer::Denied { reason, .. } => format!("denied: {reason}"),
        };
        self.line(&format!("advance {number}, ten minutes"), &said);
    }

    fn state(&mut self, what: &str, statement: WindowStatement) {
        let told = audited(&state(&mut self.rig, statement));
        let said: Vec<_> = told.into_iter().map(|[_, action, ..]| action).collect();
        self.line(what, &said.join(", "));
    }
}

#[test]
fn the_document_says_what_happens() {
    let mut rig = ledger();
    let day = Budget {
        thresholds: vec![50],
        ..budget(Period::Day, 2 * DOLLAR)
    };
    set(&mut rig, "organisation", day);
    let lines = vec![];
    let mut example = Example { rig, lines };
    let open = statement("a", 1, 0);

    example.advance(1);
    example.state("the \"create\" leaves", open.clone());
    example.rig.wait(minutes(8));
    example.advance(2);
    example.rig.wait(minutes(8));
    example.advance(3);
    example.rig.wait(minutes(1));
    let rang = example.rig.alarm();
    example.rig.deliver(&rang.effects);
    let [[_, action, _, reason]] = <[_; 1]>::try_from(audited(&sent(&rang.effects))).unwrap();
    example.line("the alarm", &format!("{action}: {reason}"));
    example.rig.wait(minutes(7));
    example.advance(4);
    example.rig.wait(minutes(2));
    let end = WindowStatement {
        shares: shares(&[("key/k1", 400_000), ("anonymous", 100_000)]),
        ..closed(open, 2, 26 * MINUTE)
    };
    example.state("it has ended itself", end.clone());
    example.rig.wait(minutes(60));
    let billed = WindowStatement {
        revision: 3,
        billed_microusd: Some(1_550_000),
        ..end
    };
    example.state("the vendor's bill is $1.55", billed);

    let mut rig = example.rig;
    let table = |head: &str, lines: Vec<String>| {
        let rule = "|---".repeat(head.matches('|').count() - 1);
        format!("{head}\n{rule}|\n{}", lines.join("\n"))
    };
    let story = table("| at | what | said | spent | held |", example.lines);
    let entries = postings(&mut rig).into_iter().zip(1..);
    let entries = entries.map(|((debit, credit, sum, memo), number)| {
        format!(
            "| {number} | `{debit}` | `{credit}` | {} | {memo} |",
            Dollars(sum)
        )
    });
    let entries = table("| | into | out of | sum | memo |", entries.collect());
    let books = balances(&mut rig).into_iter().map(|(account, balance)| {
        let sign = if balance < 0 { "−" } else { "" };
        format!(
            "| `{account}` | {sign}{} |",
            Dollars(balance.unsigned_abs())
        )
    });
    let books = table("| account | balance |", books.collect());
    for block in [story, entries, books] {
        assert!(DOCUMENT.contains(&format!("\n\n{block}\n")), "\n{block}");
    }
    assert_eq!(day_of(rig.now.as_ms()), "2026-11-21");
}
