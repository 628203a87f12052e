//! `/admin/budgets`: limits on what is spent. The ledger keeps them and alone says what they allow.
//!
//! A `PUT` holds the whole budget. Dollars are decimal texts, exact to the micro-dollar.

use serde_json::{Value, json};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::ledger::{
    Budget, BudgetAnswer, BudgetView, BudgetsAnswer, LedgerCommand, Period,
};
use tidegate_vault::KeyId;
use tidegate_wire_openai::ErrorCode;

use super::accounts::in_doubt;
use super::ask;
use super::fields::{Fields, bad_type, bad_value, missing};
use super::price::dollars;
use super::rfc3339::moment;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::{Step, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;

const FIELDS: &str = "period, cap, target, thresholds";

/// `GET /admin/budgets`.
pub fn list(admin: Admin) -> Step {
    let to = ObjectName::ledger(admin.org.as_str());
    let then = |_: &mut Cx<'_>, answer: Result<BudgetsAnswer, Unanswered>| match answer {
        Ok(answer) => {
            let data: Vec<Value> = answer.budgets.iter().map(view).collect();
            let body = json!({ "object": "list", "data": data });
            Step::Respond(Response::json(200, &body))
        }
        Err(unanswered) => ApiError::from(unanswered).into(),
    };
    Step::ask(to, &LedgerCommand::Budgets, then)
}

/// `PUT /admin/budgets/{scope}`.
pub fn put(admin: Admin, scope: String) -> Step {
    if !is_scope(&scope) {
        return no_scope(&scope).into();
    }
    ask::fields(move |_, fields| {
        let budget = read(fields.without_nulls())?;
        let command = LedgerCommand::PutBudget {
            scope: scope.clone(),
            budget,
            actor: admin.actor.clone(),
        };
        Ok(changed(&admin, scope, &command))
    })
}

/// `DELETE /admin/budgets/{scope}`.
pub fn delete(admin: Admin, scope: String) -> Step {
    if !is_scope(&scope) {
        return no_scope(&scope).into();
    }
    let command = LedgerCommand::DeleteBudget {
        scope: scope.clone(),
        actor: admin.actor.clone(),
    };
    changed(&admin, scope, &command)
}

fn changed(admin: &Admin, scope: String, command: &LedgerCommand) -> Step {
    let to = ObjectName::ledger(admin.org.as_str());
    let then = move |_: &mut Cx<'_>, answer: Result<BudgetAnswer, Unanswered>| match answer {
        Ok(BudgetAnswer::Budget { budget }) => Step::Respond(Response::json(200, &view(&budget))),
        Ok(BudgetAnswer::Deleted) => {
            let body = json!({ "scope": scope, "deleted": true });
            Step::Respond(Response::json(200, &body))
        }
        Ok(BudgetAnswer::NotFound) => no_budget(&scope).into(),
        Ok(BudgetAnswer::Invalid { param, reason }) => bad_value(param, &reason).into(),
        Err(_) => in_doubt("The ledger").into(),
    };
    Step::ask(to, command, then)
}

/// A budget in JSON.
pub(super) fn view(budget: &BudgetView) -> Value {
    let taken = budget.spent_microusd.saturating_add(budget.held_microusd);
    let left = budget
        .budget
        .cap_microusd
        .map(|cap| cap.saturating_sub(taken));
    json!({
        "scope": budget.scope,
        "period": period(budget.budget.period),
        "cap": budget.budget.cap_microusd.map(dollars),
        "target": budget.budget.target_microusd.map(dollars),
        "thresholds": budget.budget.thresholds,
        "period_from_at": moment(budget.period_from_ms),
        "spent": dollars(budget.spent_microusd),
        "held": dollars(budget.held_microusd),
        "left": left.map(dollars),
    })
}

fn read(mut fields: Fields) -> Result<Budget, ApiError> {
    let period = match fields.text("period")? {
        Some(text) => read_period(&text)?,
        None => Period::default(),
    };
    let cap_microusd = fields.dollars("cap")?;
    let target_microusd = fields.dollars("target")?;
    let thresholds = match fields.raw("thresholds") {
        Some(raw) => serde_json::from_str(raw.get()).map_err(|_| {
            bad_type(
                "thresholds",
                "must be a list of whole numbers from 0 to 255",
            )
        })?,
        None => Vec::new(),
    };
    fields.finish(FIELDS)?;
    if cap_microusd.is_none() && target_microusd.is_none() {
        return Err(missing("cap"));
    }
    Ok(Budget {
        period,
        cap_microusd,
        target_microusd,
        thresholds,
    })
}

const fn period(period: Period) -> &'static str {
    match period {
        Period::Day => "day",
        Period::Month => "month",
        Period::Total => "total",
    }
}

fn read_period(text: &str) -> Result<Period, ApiError> {
    match text {
        "day" => Ok(Period::Day),
        "month" => Ok(Period::Month),
        "total" => Ok(Period::Total),
        _ => Err(bad_value("period", "must be day, month or total")),
    }
}

/// A budget binds the organisation, a project, or a key.
fn is_scope(scope: &str) -> bool {
    match scope.split_once('/') {
        None => scope == "organisation",
        Some(("project", name)) => !name.trim().is_empty() && !name.chars().any(char::is_control),
        Some(("key", id)) => KeyId::parse(id).is_ok(),
        Some(_) => false,
    }
}

fn no_scope(scope: &str) -> ApiError {
    ApiError::new(
        ErrorCode::NotFound,
        format!(
            "There can be no budget for `{scope}`: a scope is `organisation`, `project/{{name}}` or `key/{{id}}`."
        ),
    )
}

fn no_budget(scope: &str) -> ApiError {
    ApiError::new(
        ErrorCode::NotFound,
        format!("There is no budget for `{scope}`. GET /admin/budgets lists them."),
    )
}
