//! Noticing: thresholds that are passed, caps that are reached, keys that have used theirs up.
//!
//! Invariant: each is told once in a budget's period, in the write that remembers it. A key is suspended while
//! `shares ≥ cap` of its budget, until the period ends, and the fleet is told of each change, numbered.
//!
//! The alarm rings when the next sum would be reached at the rates that now run, and when a period ends with
//! something open: at most once a minute, and never while nothing is open or nothing is left to tell.

use tidegate_domain::money::{Crossing, Dollars, Scope};
use tidegate_domain::time::{Span, Timestamp};

use super::budgets::shares_in_period;
use super::{LEDGER, Ledger};
use crate::bindings::ObjectName;
use crate::bindings::fleet::{FleetCommand, FleetMessage};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::ledger::BudgetRecord;

/// A threshold may be noticed this much too late.
const NOT_SOONER: Span = Span::from_secs(60);

/// The end of the year 9999, for a budget whose period never ends.
const FOREVER_MS: i64 = 253_402_300_799_999;

impl Ledger {
    /// Goes on to the period of `now` in every budget. It needs no write: whoever loads the record goes on
    /// as well.
    pub(super) fn roll(&mut self, cx: &Cx<'_>) -> Result<(), StoreError> {
        for (scope, record) in &mut self.budgets {
            let mut watch = record.watch();
            let was = watch.from;
            if !watch.roll(&record.rules(), cx.now) {
                continue;
            }
            let is_back = watch.from < was;
            record.set_watch(watch);
            record.shares_microusd = if is_back {
                shares_in_period(cx, scope, record)?
            } else {
                0
            };
            // One that ended with its period needs no word: the fleet was told when it would.
            let is_over = |until_ms: &i64| *until_ms <= cx.now.as_ms();
            record
                .suspended_until_ms
                .take_if(|until_ms| is_over(until_ms));
        }
        Ok(())
    }

    /// Tells what there is to tell.
    pub(super) fn look_round(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let scopes: Vec<String> = self.budgets.keys().cloned().collect();
        for name in scopes {
            let Some(scope) = Scope::parse(&name) else {
                continue;
            };
            let Some(record) = self.budgets.get(&name) else {
                continue;
            };
            let (rules, mut watch) = (record.rules(), record.watch());
            let spent = self.usage(&scope, record, cx.now).spent;
            let key = match &scope {
                Scope::Key(id) => Some(id.clone()),
                Scope::Organisation | Scope::Project(_) => None,
            };
            let until_ms = key
                .as_ref()
                .and_then(|_| suspended_until(record, spent, cx.now));
            let is_other = record.suspended_until_ms != until_ms;
            let crossings = watch.notice(&rules, spent, cx.now);
            if crossings.is_empty() && !is_other {
                continue;
            }
            let whole = rules.cap.or(rules.target).unwrap_or_default();
            let (whole, period) = (Dollars(whole), rules.period.words());
            for crossing in crossings {
                let (action, what) = match crossing {
                    Crossing::Threshold(percent) => {
                        ("budget.threshold_reached", format!("{percent} % of "))
                    }
                    Crossing::Cap => ("budget.cap_reached", String::new()),
                };
                let spent = Dollars(spent);
                let reason = format!("{what}{whole} {period}: {spent} is spent");
                self.note(cx, LEDGER, action, &name, reason);
            }
            if let Some(id) = key.filter(|_| is_other) {
                let reason = match until_ms {
                    Some(_) => "it has used up its budget",
                    None => "its budget allows more again",
                };
                self.tell_key(cx, id, until_ms, reason.to_owned())?;
            }
            if let Some(record) = self.budgets.get_mut(&name) {
                record.set_watch(watch);
                record.suspended_until_ms = until_ms;
            }
            self.changed.insert(name);
        }
        Ok(())
    }

    /// Suspends a key, or lets it go on.
    pub(super) fn tell_key(
        &mut self,
        cx: &mut Cx<'_>,
        id: String,
        until_ms: Option<i64>,
        reason: String,
    ) -> Result<(), StoreError> {
        self.meta.suspensions += 1;
        let command = FleetCommand::SuspendKey {
            id,
            number: self.meta.suspensions,
            until_ms,
            reason,
        };
        let message = FleetMessage {
            actor: Some(LEDGER.to_owned()),
            once: None,
            command,
        };
        cx.send(ObjectName::fleet(&self.org), &message)
    }

    /// Finds the moment for the alarm.
    pub(super) fn plan(&mut self, now: Timestamp) {
        let moments = self.budgets.iter().filter_map(|(name, record)| {
            let scope = Scope::parse(name)?;
            let rate = self.rate(&scope);
            if rate == 0 {
                return None;
            }
            let (rules, watch) = (record.rules(), record.watch());
            let usage = self.usage(&scope, record, now);
            let reached = watch
                .next_goal(&rules)
                .and_then(|goal| usage.time_to(goal, rate))
                .map(|span| now + span);
            let to = record.period(now).to;
            let ends = (to < Timestamp::from_ms(i64::MAX)).then_some(to);
            [reached, ends].into_iter().flatten().min()
        });
        self.next = moments.min().map(|moment| moment.max(now + NOT_SOONER));
    }
}

/// Until when a key is to be suspended that has used so much.
fn suspended_until(record: &BudgetRecord, spent: u64, now: Timestamp) -> Option<i64> {
    let cap = record.budget.cap_microusd?;
    let to = record.period(now).to.as_ms();
    (spent >= cap).then_some(to.min(FOREVER_MS))
}
