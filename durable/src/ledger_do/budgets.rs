//! Budgets: set, removed, looked at.
//!
//! Invariant: what is known of a budget's period begins with the budget; another budget in its place begins
//! anew, and what it has passed already is told at once.

use tidegate_domain::money::{Bounds, Budget as Rules, Dollars, Scope, Watch};
use tidegate_domain::time::Timestamp;

use super::{Ledger, budget_checks};
use crate::bindings::ledger::{Budget, BudgetAnswer, BudgetView, BudgetsAnswer, Period};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::ledger::BudgetRecord;
use crate::records::postings::gained;

/// All are looked at in every turn that moves money, and listed in one answer.
const MOST: usize = 1_000;

impl Ledger {
    pub(super) fn put_budget(
        &mut self,
        cx: &mut Cx<'_>,
        scope: &str,
        budget: Budget,
        actor: &str,
    ) -> Result<BudgetAnswer, StoreError> {
        let parsed = match budget_checks::scope(scope) {
            Ok(parsed) => parsed,
            Err(refused) => return Ok(refused.into()),
        };
        if let Err(refused) = budget_checks::budget(&budget) {
            return Ok(refused.into());
        }
        let known = self.budgets.get(scope);
        if known.is_none() && self.budgets.len() >= MOST {
            return Ok(BudgetAnswer::Invalid {
                param: "scope".to_owned(),
                reason: format!("an organisation has at most {MOST} budgets; delete one first"),
            });
        }
        if known.is_none_or(|known| known.budget != budget) {
            let rules = Rules::from(&budget);
            let mut record = BudgetRecord {
                suspended_until_ms: known.and_then(|known| known.suspended_until_ms),
                budget,
                ..BudgetRecord::default()
            };
            record.set_watch(Watch::begin(&rules, cx.now));
            if let Scope::Key(_) = parsed {
                record.shares_microusd = shares_in_period(cx, scope, &record)?;
            }
            self.note(cx, actor, "budget.set", scope, words(&rules));
            self.budgets.insert(scope.to_owned(), record);
            self.changed.insert(scope.to_owned());
        }
        Ok(self
            .view(scope, cx.now)
            .map_or(BudgetAnswer::NotFound, |view| BudgetAnswer::Budget {
                budget: Box::new(view),
            }))
    }

    pub(super) fn delete_budget(
        &mut self,
        cx: &mut Cx<'_>,
        scope: &str,
        actor: &str,
    ) -> Result<BudgetAnswer, StoreError> {
        let Some(record) = self.budgets.remove(scope) else {
            return Ok(BudgetAnswer::NotFound);
        };
        BudgetRecord::delete(cx.sql, scope)?;
        self.changed.remove(scope);
        if record.suspended_until_ms.is_some()
            && let Some(Scope::Key(id)) = Scope::parse(scope)
        {
            self.tell_key(cx, id, None, "its budget was deleted".to_owned())?;
        }
        self.note(cx, actor, "budget.deleted", scope, words(&record.rules()));
        Ok(BudgetAnswer::Deleted)
    }

    pub(super) fn list_budgets(&self, now: Timestamp) -> BudgetsAnswer {
        let scopes = self.budgets.keys();
        BudgetsAnswer {
            budgets: scopes.filter_map(|scope| self.view(scope, now)).collect(),
        }
    }

    /// One budget and what is spent of it.
    pub(super) fn view(&self, scope: &str, now: Timestamp) -> Option<BudgetView> {
        let record = self.budgets.get(scope)?;
        let usage = self.usage(&Scope::parse(scope)?, record, now);
        Some(BudgetView {
            scope: scope.to_owned(),
            budget: record.budget.clone(),
            // For ever began in 1970.
            period_from_ms: record.period(now).from.as_ms().max(0),
            spent_microusd: usage.spent,
            held_microusd: usage.held,
        })
    }
}

/// What was posted to a key's share in the period of its budget, by the books.
pub(super) fn shares_in_period(
    cx: &Cx<'_>,
    scope: &str,
    record: &BudgetRecord,
) -> Result<i64, StoreError> {
    let Bounds { from, .. } = record.period(cx.now);
    let since = (record.budget.period != Period::Total).then_some(from);
    gained(cx.sql, &format!("share/{scope}"), since)
}

/// A budget in a few words: `$10.00 a month, told at 50 %, 80 %`.
pub(super) fn words(budget: &Rules) -> String {
    let mut words = match (budget.cap, budget.target) {
        (Some(cap), _) => format!("{} {}", Dollars(cap), budget.period.words()),
        (None, target) => format!(
            "{} {} to go by, without a cap",
            Dollars(target.unwrap_or_default()),
            budget.period.words()
        ),
    };
    if !budget.thresholds.is_empty() {
        let percent: Vec<String> = budget
            .thresholds
            .iter()
            .map(|percent| format!("{percent} %"))
            .collect();
        words.push_str(", told at ");
        words.push_str(&percent.join(", "));
    }
    words
}
