//! `Journal`: what happened in an organisation. Three kinds of objects of one class: a day's audit, a part
//! of a day's request log, and the totals.

use serde::{Deserialize, Serialize};
use tidegate_domain::civil::Civil;
use tidegate_domain::time::Timestamp;

use super::log::{LogEntry, LogFilter, LogPlace};
use super::totals::Totals;

/// A message to a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum JournalCommand {
    /// To a day: writes audit entries, once for each event id. Answer: `Done`.
    Append {
        /// Makes a repeated delivery harmless.
        event_id: String,
        /// The entries.
        entries: Vec<AuditEntry>,
    },
    /// To a day: its audit, newest first. Answer: [`AuditPage`].
    Query {
        /// At most this many.
        limit: u32,
        /// Only entries with a smaller sequence number.
        #[serde(default)]
        before: Option<i64>,
    },
    /// To a part of a day's log: takes finished requests in, once for each batch. Answer: `Done`.
    Log {
        /// Makes a repeated delivery harmless.
        batch: String,
        /// In the order in which they ended.
        entries: Vec<LogEntry>,
        /// Entries that the isolate had to drop before.
        #[serde(default)]
        lost: u64,
    },
    /// To a part of a day's log. Answer: [`super::log::LogPage`].
    Search {
        /// At most this many.
        limit: u32,
        /// Only what is older; absent for the newest.
        #[serde(default)]
        after: Option<LogPlace>,
        /// What is wanted.
        filter: LogFilter,
    },
    /// To the totals, from a part of the log: adds a roll-up, once for each number. Answer: `Done`.
    Add {
        /// Which part: `2026-11-21/0`.
        source: String,
        /// Counts the roll-ups of this part; each is sent when the one before has arrived.
        number: u64,
        /// The sums.
        delta: Totals,
    },
    /// To the totals. Answer: [`Totals`].
    Totals,
    /// To any of them: sets its alarm again, should that have got lost. Answer: `Done`.
    Wake,
}

/// One audited change. Never holds a secret or a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Who: `admin`, `key/{id}`, `instance/{id}`, `ledger`, `cron`.
    pub actor: String,
    /// What, in dotted past tense: `server.registered`, `server.ejected`.
    pub action: String,
    /// On what.
    pub subject: String,
    /// Why, or with which values.
    #[serde(default)]
    pub reason: String,
}

/// A page of the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Pass as `before` for the next page.
    #[serde(default)]
    pub next_before: Option<i64>,
}

/// The UTC day of a moment, `2026-11-21`: names the journal that keeps it.
pub fn day_of(at_ms: i64) -> String {
    let Civil {
        year, month, day, ..
    } = Civil::from(Timestamp::from_ms(at_ms));
    format!("{year:04}-{month:02}-{day:02}")
}

/// The first moment of a UTC day such as `2026-11-21`; nothing for anything else, for one day has one name.
pub fn start_of_day(day: &str) -> Option<Timestamp> {
    let mut parts = day.splitn(3, '-').map(str::parse::<i64>);
    let date = Civil {
        year: parts.next()?.ok()?,
        month: parts.next()?.ok()?,
        day: parts.next()?.ok()?,
        ..Civil::default()
    };
    let start = date.moment()?;
    // Written back it is the same text, unless it was `2026-1-1`.
    (day_of(start.as_ms()) == day).then_some(start)
}
