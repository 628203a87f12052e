//! What is spent and what is held: of one window, and of a budget.
//!
//! Invariant: a pure function of records and time, so an eviction changes no sum.

use tidegate_domain::money::{Bounds, Budget, Scope, Usage, Watch, Window, price};
use tidegate_domain::time::{Span, Timestamp};

use super::Ledger;
use crate::records::ledger::{BudgetRecord, Hold, WindowRecord};

/// The beginning of the names of windows that nobody asked for.
const STRAY: &str = "stray/";

/// Whether a window is of a machine that nobody owns: it costs, and there is nobody to refuse it.
pub(super) fn is_stray(window: &str) -> bool {
    window.starts_with(STRAY)
}

impl Hold {
    /// Whether it still runs.
    pub(super) fn is_running(&self, now: Timestamp) -> bool {
        self.until_ms > now.as_ms()
    }
}

impl WindowRecord {
    /// The running advance.
    pub(super) fn running_hold(&self, now: Timestamp) -> Option<Hold> {
        self.hold.filter(|hold| hold.is_running(now))
    }

    /// Spent of it in a period, in micro-dollars, by what is known now.
    pub(super) fn spent(&self, period: Bounds, now: Timestamp) -> u64 {
        self.window().map_or(0, |window| {
            window.as_of(now).cost_between(period.from, period.to)
        })
    }

    /// Promised beyond that, in micro-dollars: what an open window would cost more if it ended with its
    /// advance, at the higher of its own rate and the advance's. Before its first statement, and again when
    /// an advance comes after its end, it is held as if it were open since the advance began.
    pub(super) fn held(&self, now: Timestamp) -> u64 {
        let Some(hold) = self.running_hold(now) else {
            return 0;
        };
        let until = Timestamp::from_ms(hold.until_ms);
        let Some(window) = self.window().filter(Window::is_open) else {
            let since = Timestamp::from_ms(hold.since_ms);
            return price(hold.microusd_per_hour, until.since(since));
        };
        let ahead = window.at_least(hold.microusd_per_hour, now);
        let spent = window.as_of(now).total();
        ahead.as_of(until).total().saturating_sub(spent)
    }

    /// Whether a budget of this scope counts it.
    pub(super) fn is_in(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Organisation => true,
            Scope::Project(name) => self.project() == Some(name.as_str()),
            // Bound by what requests use, not by what is rented.
            Scope::Key(_) => false,
        }
    }
}

impl BudgetRecord {
    /// It, in the words of the rules.
    pub(super) fn rules(&self) -> Budget {
        Budget::from(&self.budget)
    }

    /// What was told of it.
    pub(super) fn watch(&self) -> Watch {
        Watch {
            from: Timestamp::from_ms(self.from_ms),
            told: self.told.clone(),
            cap_told: self.cap_told,
        }
    }

    /// Takes over what was told.
    pub(super) fn set_watch(&mut self, watch: Watch) {
        self.from_ms = watch.from.as_ms();
        self.told = watch.told;
        self.cap_told = watch.cap_told;
    }

    /// The period that counts: that of the clock, whatever was told.
    pub(super) fn period(&self, now: Timestamp) -> Bounds {
        self.rules().period.bounds(now)
    }
}

impl Ledger {
    /// What is gone of a budget.
    pub(super) fn usage(&self, scope: &Scope, record: &BudgetRecord, now: Timestamp) -> Usage {
        if let Scope::Key(_) = scope {
            return Usage {
                spent: u64::try_from(record.shares_microusd).unwrap_or_default(),
                held: 0,
            };
        }
        let period = record.period(now);
        let mut usage = Usage::default();
        for window in self.windows.values().filter(|window| window.is_in(scope)) {
            usage.spent = usage.spent.saturating_add(window.spent(period, now));
            usage.held = usage.held.saturating_add(window.held(now));
        }
        if record.budget.period == crate::bindings::ledger::Period::Total {
            usage.spent = usage.spent.saturating_add(self.settled_of(scope));
        }
        usage
    }

    /// What windows that are not in memory cost: they ended before any day or month that still runs.
    fn settled_of(&self, scope: &Scope) -> u64 {
        let is_in = |project: &str| match scope {
            Scope::Organisation => true,
            Scope::Project(name) => name == project,
            Scope::Key(_) => false,
        };
        self.settled
            .iter()
            .filter(|(project, _)| is_in(project))
            .fold(0, |sum, (_, cost)| sum.saturating_add(*cost))
    }

    /// What goes on costing under a budget, in micro-dollars an hour.
    pub(super) fn rate(&self, scope: &Scope) -> u64 {
        let inside = self.windows.values().filter(|record| record.is_in(scope));
        inside
            .filter_map(WindowRecord::window)
            .fold(0, |sum, window| sum.saturating_add(window.rate()))
    }

    /// The budgets that bind what a project rents, with what is gone of each.
    pub(super) fn binding(&self, project: Option<&str>, now: Timestamp) -> Vec<Binding> {
        let project = project.map(|name| Scope::Project(name.to_owned()));
        [Some(Scope::Organisation), project]
            .into_iter()
            .flatten()
            .filter_map(|scope| {
                let record = self.budgets.get(&scope.to_string())?;
                Some(Binding {
                    budget: record.rules(),
                    usage: self.usage(&scope, record, now),
                    scope,
                })
            })
            .filter(|binding| binding.budget.cap.is_some())
            .collect()
    }
}

/// A budget that binds.
pub(super) struct Binding {
    pub scope: Scope,
    pub budget: Budget,
    pub usage: Usage,
}

/// What an advance takes before anything is rented.
pub(super) fn needed(microusd_per_hour: u64, hold: Span) -> u64 {
    price(microusd_per_hour, hold)
}
