//! `Journal`: what happened in an organisation on one UTC day.
//!
//! Name: `journal/{org}/{day}`, the day as `2026-11-21`. Messages: [`JournalCommand`]. Table:
//! `schemas/sql/journal.sql`.
//!
//! Invariant: each reported event is in the journal once, whatever was delivered twice. Retention: 90 days
//! after its day has ended an alarm removes the day's entries as a whole; entries are never removed one
//! by one and never changed. Event ids go earlier (the driver forgets them after a week), so a delivery
//! that is late by more than that could be written twice, and never not at all.
//!
//! In scope: order and retention. Out of scope: what is worth an entry.

#[cfg(test)]
mod tests;

use crate::bindings::instance::Done;
use crate::bindings::journal::{AuditEntry, AuditPage, JournalCommand};
use crate::driver::{Cx, Object, TurnError, encode};
use crate::ports::StoreError;
use crate::records::columns::LARGEST_INTEGER;
use crate::records::journal::{append, clear, has_entries, newest};
use crate::records::schema::statements;
use crate::turn::{EffectId, Outcome, Reply};
use tidegate_domain::time::{Span, Timestamp};

const DAY: Span = Span::from_secs(24 * 3600);
/// How long a day is kept after its end.
const RETENTION: Span = Span::from_secs(90 * 24 * 3600);
/// An entry is at most about 2 KB, so a page stays near 1 MB.
const MAX_PAGE: u32 = 500;

/// One day.
pub struct Journal {
    expires: Option<Timestamp>,
    has_entries: bool,
}

impl Object for Journal {
    const SCHEMA: &'static [&'static str] =
        &statements::<1>(include_str!("../../../schemas/sql/journal.sql"));

    fn open(cx: &mut Cx<'_>) -> Result<Self, StoreError> {
        let start = cx.name.tail().and_then(start_of);
        Ok(Self {
            expires: start.map(|start| start + DAY + RETENTION),
            has_entries: has_entries(cx.sql)?,
        })
    }

    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError> {
        let command =
            serde_json::from_str(message).map_err(|error| TurnError::message(cx.name, &error))?;
        let reply = match command {
            JournalCommand::Append { event_id, entries } => {
                if self.expires.is_none() {
                    let reason = "a journal's name ends with a day such as 2026-11-21";
                    return Err(TurnError::Message {
                        object: cx.name.to_string(),
                        reason: reason.to_owned(),
                    });
                }
                self.append(cx, &event_id, &entries)?;
                encode("done", &Done {})?
            }
            JournalCommand::Query { limit, before } => {
                encode("audit page", &page(cx, limit, before)?)?
            }
        };
        Ok(Reply::Now(reply))
    }

    fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        if self.next_alarm().is_some_and(|due| due <= cx.now) {
            clear(cx.sql)?;
            self.has_entries = false;
        }
        Ok(())
    }

    fn done(&mut self, _: &mut Cx<'_>, _: EffectId, _: Outcome) -> Result<(), TurnError> {
        Ok(())
    }

    fn next_alarm(&self) -> Option<Timestamp> {
        self.expires.filter(|_| self.has_entries)
    }
}

impl Journal {
    fn append(
        &mut self,
        cx: &mut Cx<'_>,
        event_id: &str,
        entries: &[AuditEntry],
    ) -> Result<(), StoreError> {
        if cx.is_first_sight(event_id)? {
            for entry in entries {
                append(cx.sql, entry)?;
                self.has_entries = true;
            }
        }
        Ok(())
    }
}

fn page(cx: &Cx<'_>, limit: u32, before: Option<i64>) -> Result<AuditPage, StoreError> {
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

/// The first moment of a UTC day such as `2026-11-21`; nothing for anything else.
fn start_of(day: &str) -> Option<Timestamp> {
    let mut parts = day.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day_of_month) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    if !(1970..=9999).contains(&year) {
        return None;
    }
    if !(1..=12).contains(&month) || !(1..=31).contains(&day_of_month) {
        return None;
    }
    // Days from civil date, after Howard Hinnant's `days_from_civil` (public domain algorithm): years
    // start in March so that the leap day comes last, and 400 of them are 146,097 days.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day_of_month - 1;
    let leaps = shifted_year / 4 - shifted_year / 100 + shifted_year / 400;
    let days = 365 * shifted_year + leaps + day_of_year - 719_468;
    let start = Timestamp::from_ms(days * DAY.as_ms());
    // Reading it back refuses the 31st of February and `2026-1-1`: one day has one name.
    (crate::bindings::journal::day_of(start.as_ms()) == day).then_some(start)
}
