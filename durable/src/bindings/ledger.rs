//! `Ledger`: an organisation's money. It alone says whether something may be spent. Called by `Instance`
//! (advances, statements), by `Account` (statements of strays) and by the edge (budgets, estimates, books).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A message to a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum LedgerCommand {
    /// May this GPU go on until then? Answer: [`AdvanceAnswer`].
    Advance(Advance),
    /// What a cost window looks like now; replaces what an earlier revision said. Answer: `Done`.
    State {
        /// It.
        statement: WindowStatement,
    },
    /// Would this be allowed? Changes nothing. Answer: [`EstimateAnswer`].
    Estimate {
        /// The project that pays.
        #[serde(default)]
        project: Option<String>,
        /// What it costs an hour.
        microusd_per_hour: u64,
        /// For how long at least.
        hold_ms: i64,
    },
    /// Creates or replaces a budget. Answer: [`BudgetAnswer`].
    PutBudget {
        /// `organisation`, `project/{name}` or `key/{id}`.
        scope: String,
        /// It.
        budget: Budget,
        /// Who does, for the audit.
        actor: String,
    },
    /// Removes a budget. Answer: [`BudgetAnswer`].
    DeleteBudget {
        /// Which.
        scope: String,
        /// Who does, for the audit.
        actor: String,
    },
    /// Every budget and what is spent of it. Answer: [`BudgetsAnswer`].
    Budgets,
    /// Every account of the books and its balance. Answer: [`BooksAnswer`].
    Books,
    /// Postings, newest first. Answer: [`EntriesAnswer`].
    Entries {
        /// At most this many.
        limit: u32,
        /// Only postings with a smaller number.
        #[serde(default)]
        before: Option<i64>,
        /// Only of this instance.
        #[serde(default)]
        instance: Option<String>,
    },
    /// What all cost windows of an instance come to now. Answer: [`CostAnswer`].
    Cost {
        /// The instance.
        instance: String,
    },
    /// Looks at thresholds and periods, re-arms what got lost. Answer: `Done`.
    Tick,
}

/// A prepaid lease: the right to be billed until a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advance {
    /// The instance.
    pub instance: String,
    /// Its cost window: `{instance}/{attempt}`.
    pub window: String,
    /// Counts the advances of a window; the same number again is the same advance.
    pub number: u64,
    /// The project that pays.
    #[serde(default)]
    pub project: Option<String>,
    /// What it costs an hour.
    pub microusd_per_hour: u64,
    /// For how long from now on: renewal interval, stop lead time and billing minimum.
    pub hold_ms: i64,
}

/// The answer to [`LedgerCommand::Advance`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum AdvanceAnswer {
    /// It may be billed until then.
    Advanced {
        /// Which window.
        window: String,
        /// Which advance.
        number: u64,
        /// Milliseconds since the epoch.
        until_ms: i64,
    },
    /// It may not; what was advanced before still holds.
    Denied {
        /// Which window.
        window: String,
        /// Which advance.
        number: u64,
        /// Why not: which budget, its cap and what is spent of it.
        reason: String,
    },
}

/// A cost window: from "create was sent" to "the vendor has confirmed the end", with a segment for each rate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowStatement {
    /// `{instance}/{attempt}`; of a stray `stray/{account}/{machine}`.
    pub window: String,
    /// Grows with each statement of this window; an older one changes nothing.
    pub revision: u64,
    /// The instance; empty for a stray's whose instance is not known.
    pub instance: String,
    /// The account that is billed.
    pub account: String,
    /// The project that pays.
    #[serde(default)]
    pub project: Option<String>,
    /// Its rates, oldest first; each holds until the next.
    pub segments: Vec<SegmentRow>,
    /// When it closed, in milliseconds since the epoch.
    #[serde(default)]
    pub until_ms: Option<i64>,
    /// The shortest time that is billed.
    #[serde(default)]
    pub minimum_ms: i64,
    /// Time is billed in steps of this.
    #[serde(default)]
    pub step_ms: i64,
    /// What the vendor itself says that it cost: then that is what it cost.
    #[serde(default)]
    pub billed_microusd: Option<u64>,
    /// There never was a machine: it cost nothing.
    #[serde(default)]
    pub void: bool,
    /// Micro-dollars of it that requests used, by payer (`key/{id}`, `anonymous`), since it opened.
    #[serde(default)]
    pub shares: BTreeMap<String, u64>,
}

/// A rate and since when it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRow {
    /// Milliseconds since the epoch.
    pub from_ms: i64,
    /// Micro-dollars an hour.
    pub microusd_per_hour: u64,
}

/// The answer to [`LedgerCommand::Estimate`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EstimateAnswer {
    /// What has to be free in every budget to begin.
    pub needed_microusd: u64,
    /// Every budget with a cap that binds, and what is gone of it.
    pub budgets: Vec<BudgetView>,
    /// Why it would be denied; nothing when it would not.
    #[serde(default)]
    pub denied: Option<String>,
}

/// A limit on what is spent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Over which time.
    pub period: Period,
    /// Nothing is spent beyond this many micro-dollars; without it the budget only warns.
    #[serde(default)]
    pub cap_microusd: Option<u64>,
    /// What the percentages of the thresholds are of, where there is no cap.
    #[serde(default)]
    pub target_microusd: Option<u64>,
    /// Percent of the cap (else the target) at which somebody is told, once in a period: ascending, at most ten.
    #[serde(default)]
    pub thresholds: Vec<u8>,
}

/// Over which time a budget counts. Days and months are those of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A day.
    Day,
    /// A month.
    #[default]
    Month,
    /// For ever.
    Total,
}

/// A budget and what is spent of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetView {
    /// `organisation`, `project/{name}` or `key/{id}`.
    pub scope: String,
    /// It.
    pub budget: Budget,
    /// When its period began, in milliseconds since the epoch; 0 for one that is for ever.
    pub period_from_ms: i64,
    /// Spent in this period: closed windows, and open ones up to now. Of a key: shares that were stated.
    pub spent_microusd: u64,
    /// Promised beyond that: advances that are running. Of a key: nothing.
    pub held_microusd: u64,
}

/// The answer to changes of budgets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum BudgetAnswer {
    /// As it now is.
    Budget {
        /// It.
        budget: Box<BudgetView>,
    },
    /// It is gone.
    Deleted,
    /// There is none.
    NotFound,
    /// It makes no sense.
    Invalid {
        /// Which field.
        param: String,
        /// Why.
        reason: String,
    },
}

/// The answer to [`LedgerCommand::Budgets`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetsAnswer {
    /// They.
    pub budgets: Vec<BudgetView>,
}

/// The answer to [`LedgerCommand::Books`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BooksAnswer {
    /// Every account of the books; all balances sum to zero.
    pub balances: Vec<Balance>,
    /// Cost windows that are open.
    pub open: Vec<OpenWindow>,
}

/// An account of the books.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// `vendor/{account}`, `gpu/{instance}`, `share/{payer}`, `idle/{instance}`.
    pub account: String,
    /// Debits minus credits, in micro-dollars.
    pub microusd: i64,
}

/// A cost window that is open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWindow {
    /// Which.
    pub window: String,
    /// Since when.
    pub from_ms: i64,
    /// Its cost up to now.
    pub microusd: u64,
    /// What it costs an hour now.
    pub microusd_per_hour: u64,
    /// Until when it is paid ahead.
    #[serde(default)]
    pub advanced_until_ms: Option<i64>,
}

/// One posting: the same sum out of one account and into another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts postings.
    pub number: i64,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Into which account.
    pub debit: String,
    /// Out of which.
    pub credit: String,
    /// Micro-dollars, more than zero.
    pub microusd: u64,
    /// Of which cost window.
    pub window: String,
    /// Why.
    pub memo: String,
}

/// The answer to [`LedgerCommand::Entries`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntriesAnswer {
    /// Newest first.
    pub entries: Vec<Entry>,
    /// Pass as `before` for the next page.
    #[serde(default)]
    pub next_before: Option<i64>,
}

/// The answer to [`LedgerCommand::Cost`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostAnswer {
    /// Micro-dollars, open windows up to now.
    pub microusd: u64,
}
