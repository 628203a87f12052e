//! Statements: what a cost window looks like now, and what that comes to in the books.
//!
//! Invariant: `posted(window) = f(newest statement, the time it came)`. What a newer one changes is posted as the
//! difference, the other way round where it is less; no posting is ever edited. Of a closed window that is
//!
//! ```text
//! gpu ← vendor   what it cost          share ← gpu   what each payer used          idle ← gpu   the rest
//! ```
//!
//! and of an open one the same up to now, without the idle.

use std::collections::BTreeMap;

use tidegate_domain::money::{Window, split};
use tidegate_domain::time::{Span, Timestamp};

use super::Ledger;
use crate::bindings::ledger::{Entry, WindowStatement};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::columns::LARGEST_INTEGER;
use crate::records::ledger::{Leg, WindowRecord};
use crate::records::postings;

/// How long a posting is shown. Longer than a year, so that a year can be closed in peace.
const SHOWN: Span = Span::from_secs(400 * 24 * 3600);

/// What stands in the books of a window: debit and credit, and how much.
type Legs = BTreeMap<(String, String), u64>;

impl Ledger {
    pub(super) fn state(
        &mut self,
        cx: &mut Cx<'_>,
        statement: WindowStatement,
    ) -> Result<(), StoreError> {
        self.recall(cx, &statement.window)?;
        let name = statement.window.clone();
        let mut record = self.windows.get(&name).cloned().unwrap_or_default();
        let before = record.statement.take();
        if before
            .as_ref()
            .is_some_and(|known| statement.revision <= known.revision)
        {
            return Ok(());
        }
        let why = why(before.as_ref(), &statement);
        let legs = legs(&statement, cx.now);
        let posted = std::mem::take(&mut record.posted);
        let posted: Legs = posted.into_iter().map(Leg::into_pair).collect();
        let written = self.post(cx, &name, why, &posted, &legs)?;
        record.posted = legs.into_iter().map(Leg::from_pair).collect();
        record.statement = Some(statement);
        if !record.window().is_some_and(|window| window.is_open()) {
            record.hold = None;
        }
        record.put(cx.sql, &name)?;
        self.windows.insert(name, record);
        if written > 0 {
            // Twice what came, so that the old go faster than the new come.
            postings::sum_up(cx.sql, cx.now - SHOWN, 2 * written)?;
        }
        Ok(())
    }

    /// Brings a window back into memory that was settled long ago.
    pub(super) fn recall(&mut self, cx: &Cx<'_>, window: &str) -> Result<(), StoreError> {
        if self.windows.contains_key(window) {
            return Ok(());
        }
        let Some((record, project, cost)) = WindowRecord::load(cx.sql, window)? else {
            return Ok(());
        };
        if let Some(sum) = self.settled.get_mut(&project) {
            *sum = sum.saturating_sub(cost);
        }
        self.windows.insert(window.to_owned(), record);
        Ok(())
    }

    /// Posts what `legs` differ from what is posted. How many postings that took.
    fn post(
        &mut self,
        cx: &Cx<'_>,
        window: &str,
        why: &str,
        posted: &Legs,
        legs: &Legs,
    ) -> Result<u32, StoreError> {
        let mut written = 0;
        let gone = posted.keys().filter(|leg| !legs.contains_key(*leg));
        for leg in gone.chain(legs.keys()) {
            let amount = |of: &Legs| of.get(leg).copied().unwrap_or_default();
            let (was, is) = (amount(posted), amount(legs));
            if was == is {
                continue;
            }
            let (debit, credit) = leg.clone();
            let what = match debit.split_once('/') {
                Some(("share", _)) => "share",
                Some(("idle", _)) => "idle",
                _ => "cost",
            };
            self.count_share(&debit, was, is);
            let (debit, credit, memo) = if is > was {
                (debit, credit, format!("{why}: {what}"))
            } else {
                (credit, debit, format!("{why}: {what} taken back"))
            };
            let entry = Entry {
                number: 0,
                at_ms: cx.now.as_ms(),
                debit,
                credit,
                microusd: is.abs_diff(was),
                window: window.to_owned(),
                memo,
            };
            postings::append(cx.sql, &entry)?;
            written += 1;
        }
        Ok(written)
    }

    /// A key's budget counts what is posted to its share.
    fn count_share(&mut self, account: &str, was: u64, is: u64) {
        let Some(payer) = account.strip_prefix("share/") else {
            return;
        };
        if let Some(record) = self.budgets.get_mut(payer) {
            let gained = i64::try_from(is.abs_diff(was)).unwrap_or(i64::MAX);
            let gained = if is > was { gained } else { -gained };
            record.shares_microusd = record.shares_microusd.saturating_add(gained);
            self.changed.insert(payer.to_owned());
        }
    }
}

impl Leg {
    fn into_pair(self) -> ((String, String), u64) {
        ((self.debit, self.credit), self.microusd)
    }

    fn from_pair(((debit, credit), microusd): ((String, String), u64)) -> Self {
        Self {
            debit,
            credit,
            microusd,
        }
    }
}

/// What a statement comes to at a moment.
fn legs(statement: &WindowStatement, now: Timestamp) -> Legs {
    let window = Window::from(statement);
    // Sums live in stores that keep 53 bits: nine billion dollars a window.
    let cost = window
        .as_of(now)
        .total()
        .min(LARGEST_INTEGER.unsigned_abs());
    let split = split(&statement.shares, cost);
    let machine = if statement.instance.is_empty() {
        &statement.window
    } else {
        &statement.instance
    };
    let gpu = format!("gpu/{machine}");
    let mut legs = Legs::new();
    let vendor = format!("vendor/{}", statement.account);
    legs.insert((gpu.clone(), vendor), cost);
    for (payer, share) in split.shares {
        legs.insert((format!("share/{payer}"), gpu.clone()), share);
    }
    if !window.is_open() {
        legs.insert((format!("idle/{machine}"), gpu), split.idle);
    }
    legs.retain(|_, amount| *amount > 0);
    legs
}

/// For the memo of what it changes.
fn why(before: Option<&WindowStatement>, now: &WindowStatement) -> &'static str {
    let was_closed = before.is_some_and(is_closed);
    let billed_before = before.and_then(|before| before.billed_microusd);
    match (was_closed, is_closed(now)) {
        _ if now.void => "there was no machine",
        (_, true) if now.billed_microusd.is_some() && now.billed_microusd != billed_before => {
            "the vendor's bill"
        }
        (false, true) => "closed",
        (true, true) => "corrected",
        (true, false) => "opened again",
        (false, false) => "so far",
    }
}

fn is_closed(statement: &WindowStatement) -> bool {
    statement.void || statement.until_ms.is_some()
}
