//! The audit of an organisation on one UTC day.
//!
//! Table: `schemas/sql/journal.sql`.
//!
//! Invariant: each reported event is in the journal once, whatever was delivered twice. Retention: 90 days
//! after its day has ended an alarm removes the day's entries as a whole; entries are never removed one
//! by one and never changed. Event ids go earlier (the driver forgets them after a week), so a delivery
//! that is late by more than that could be written twice, and never not at all.

use tidegate_domain::time::{Span, Timestamp};

use super::day::DAY;
use super::refused;
use crate::bindings::journal::{AuditEntry, AuditPage};
use crate::driver::{Cx, TurnError};
use crate::ports::StoreError;
use crate::records::columns::LARGEST_INTEGER;
use crate::records::journal::{append, clear, has_entries, newest};
use crate::records::schema::statements;

/// How long a day is kept after its end.
const RETENTION: Span = Span::from_secs(90 * 24 * 3600);
/// An entry is at most about 2 KB, so a page stays near 1 MB.
const MAX_PAGE: u32 = 500;

const SCHEMA: [&str; 1] = statements(include_str!("../../../schemas/sql/journal.sql"));

/// One day.
pub struct Audit {
    expires: Option<Timestamp>,
    has_entries: bool,
}

impl Audit {
    /// Loads the day that begins at `start`; without one it takes no entries.
    ///
    /// # Errors
    /// When its table cannot be read.
    pub fn open(cx: &Cx<'_>, start: Option<Timestamp>) -> Result<Self, StoreError> {
        for statement in SCHEMA {
            cx.sql.exec(statement, &[])?;
        }
        Ok(Self {
            expires: start.map(|start| start + DAY + RETENTION),
            has_entries: has_entries(cx.sql)?,
        })
    }

    /// Writes entries, once for each event.
    ///
    /// # Errors
    /// When they cannot be written, or the object's name is no day.
    pub fn append(
        &mut self,
        cx: &mut Cx<'_>,
        event_id: &str,
        entries: &[AuditEntry],
    ) -> Result<(), TurnError> {
        if self.expires.is_none() {
            return Err(refused(
                cx,
                "a journal's name ends with a day such as 2026-11-21",
            ));
        }
        if cx.is_first_sight(event_id)? {
            for entry in entries {
                append(cx.sql, entry)?;
                self.has_entries = true;
            }
        }
        Ok(())
    }

    /// Removes the day when its time is over.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn alarm(&mut self, cx: &Cx<'_>) -> Result<(), StoreError> {
        if self.next_alarm().is_some_and(|due| due <= cx.now) {
            clear(cx.sql)?;
            self.has_entries = false;
        }
        Ok(())
    }

    /// When that is.
    pub fn next_alarm(&self) -> Option<Timestamp> {
        self.expires.filter(|_| self.has_entries)
    }
}

/// A page of the day, newest first.
///
/// # Errors
/// When it cannot be read.
pub fn page(cx: &Cx<'_>, limit: u32, before: Option<i64>) -> Result<AuditPage, StoreError> {
    let limit = limit.clamp(1, MAX_PAGE);
    // One more than asked for tells whether there is a next page.
    let mut found = newest(cx.sql, before.unwrap_or(LARGEST_INTEGER), limit + 1)?;
    let has_more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if has_more {
        found.pop();
    }
    let next_before = found.last().map(|(seq, _)| *seq).filter(|_| has_more);
    Ok(AuditPage {
        entries: found.into_iter().map(|(_, entry)| entry).collect(),
        next_before,
    })
}
