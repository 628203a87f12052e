//! Looking into the books.
//!
//! Invariant: nothing here changes anything. Balances are what is posted; what open windows have cost since
//! their last statement stands beside them and in no balance.

use tidegate_domain::money::Window;

use super::Ledger;
use crate::bindings::ledger::{BooksAnswer, CostAnswer, EntriesAnswer, OpenWindow};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::columns::LARGEST_INTEGER;
use crate::records::ledger::WindowRecord;
use crate::records::postings::{balances, newest};

/// A posting is at most about 500 bytes, so a page stays below 250 KB.
const MAX_PAGE: u32 = 500;

impl Ledger {
    pub(super) fn books(&self, cx: &Cx<'_>) -> Result<BooksAnswer, StoreError> {
        let open = self.windows.iter().filter_map(|(name, record)| {
            let window = record.window().filter(Window::is_open)?;
            let opened = window.opened_at()?;
            Some(OpenWindow {
                window: name.clone(),
                from_ms: opened.as_ms(),
                microusd: window.as_of(cx.now).total(),
                microusd_per_hour: window.rate(),
                advanced_until_ms: record.running_hold(cx.now).map(|hold| hold.until_ms),
            })
        });
        Ok(BooksAnswer {
            balances: balances(cx.sql)?,
            open: open.collect(),
        })
    }
}

impl Ledger {
    /// What an instance has cost, whatever is posted of it: a window that is not in memory costs what it came
    /// to.
    pub(super) fn cost(&self, cx: &Cx<'_>, instance: &str) -> Result<CostAnswer, StoreError> {
        let windows = WindowRecord::costs_of(cx.sql, instance)?.into_iter();
        let costs = windows.map(|(name, stored)| {
            let known = self.windows.get(&name).and_then(|record| record.window());
            known.map_or(stored, |window| window.as_of(cx.now).total())
        });
        Ok(CostAnswer {
            microusd: costs.fold(0, u64::saturating_add),
        })
    }
}

/// A page of postings, newest first.
pub(super) fn entries(
    cx: &Cx<'_>,
    limit: u32,
    before: Option<i64>,
    instance: Option<&str>,
) -> Result<EntriesAnswer, StoreError> {
    let limit = limit.clamp(1, MAX_PAGE);
    // Every posting of a window has its machine's account on one side.
    let account = instance.map(|instance| format!("gpu/{instance}"));
    let before = before.unwrap_or(LARGEST_INTEGER);
    // One more than asked for tells whether there is a next page.
    let mut entries = newest(cx.sql, before, account.as_deref(), limit + 1)?;
    let has_more = entries.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if has_more {
        entries.pop();
    }
    let next_before = entries.last().map(|entry| entry.number);
    Ok(EntriesAnswer {
        next_before: next_before.filter(|_| has_more),
        entries,
    })
}
