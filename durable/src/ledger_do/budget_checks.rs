//! What a budget must look like before it is taken.
//!
//! Invariant: pure and total; whatever passes has a sum that percentages can be of.

use tidegate_domain::money::Scope;

use crate::bindings::ledger::{Budget, BudgetAnswer};

/// As long as names of projects and keys may be elsewhere.
const MAX_NAME: usize = 256;
const MAX_THRESHOLDS: usize = 10;
/// A billion dollars: far above any budget, far below where sums of micro-dollars end.
const MAX_SUM: u64 = 1_000_000_000_000_000;

/// What is wrong.
pub(super) struct Refused {
    param: &'static str,
    reason: String,
}

impl From<Refused> for BudgetAnswer {
    fn from(refused: Refused) -> Self {
        Self::Invalid {
            param: refused.param.to_owned(),
            reason: refused.reason,
        }
    }
}

fn refused(param: &'static str, reason: impl Into<String>) -> Refused {
    Refused {
        param,
        reason: reason.into(),
    }
}

pub(super) fn scope(text: &str) -> Result<Scope, Refused> {
    let Some(scope) = Scope::parse(text) else {
        let reason = "must be `organisation`, `project/{name}` or `key/{id}`";
        return Err(refused("scope", reason));
    };
    let name = match &scope {
        Scope::Organisation => "organisation",
        Scope::Project(name) | Scope::Key(name) => name,
    };
    if name.len() > MAX_NAME {
        let reason = format!("must name at most {MAX_NAME} bytes, not {}", name.len());
        return Err(refused("scope", reason));
    }
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        let reason = "must name something, without control characters";
        return Err(refused("scope", reason));
    }
    if matches!(scope, Scope::Key(_)) && name.contains('/') {
        return Err(refused(
            "scope",
            "names a key whose id holds a slash: none does",
        ));
    }
    Ok(scope)
}

pub(super) fn budget(budget: &Budget) -> Result<(), Refused> {
    sum("cap", budget.cap_microusd)?;
    sum("target", budget.target_microusd)?;
    if budget.cap_microusd.is_none() && budget.target_microusd.is_none() {
        let reason = "is missing, and so is `target`: one of them says how much the budget is";
        return Err(refused("cap", reason));
    }
    if budget.thresholds.len() > MAX_THRESHOLDS {
        let reason = format!("must be at most {MAX_THRESHOLDS}");
        return Err(refused("thresholds", reason));
    }
    if let Some(odd) = budget
        .thresholds
        .iter()
        .find(|percent| !(1..=100).contains(*percent))
    {
        let reason = format!("must be 1 to 100 percent, not {odd}");
        return Err(refused("thresholds", reason));
    }
    if !budget.thresholds.is_sorted_by(|one, next| one < next) {
        let reason = "must be in ascending order, each of them once";
        return Err(refused("thresholds", reason));
    }
    Ok(())
}

fn sum(param: &'static str, microusd: Option<u64>) -> Result<(), Refused> {
    match microusd {
        Some(0) => Err(refused(param, "must be more than nothing")),
        Some(sum) if sum > MAX_SUM => Err(refused(param, "must be at most a billion dollars")),
        _ => Ok(()),
    }
}
