//! A part of an organisation's request log of one UTC day.
//!
//! Tables: `schemas/sql/journal_log.sql`.
//!
//! Invariant: a batch is in the log once and in the totals once. It is written whole, one row; what is
//! summed up of it waits in memory, and can be summed up again from the rows that the last roll-up did not
//! reach. Roll-ups are numbered, and the next one is sent when the one before has arrived, so that the
//! totals tell a repetition by its number. Retention: 30 days after its day has ended an alarm removes the
//! part as a whole.

use tidegate_domain::time::{Span, Timestamp};

use super::day::DAY;
use super::refused;
use super::sums::Tally;
use crate::bindings::ObjectName;
use crate::bindings::journal::JournalCommand;
use crate::bindings::log::{LogEntry, LogFilter, LogFound, LogPage, LogPlace};
use crate::driver::{Cx, TurnError, encode};
use crate::ports::StoreError;
use crate::records::log;
use crate::records::schema::statements;

/// How long a day is kept after its end.
const RETENTION: Span = Span::from_secs(30 * 24 * 3600);
/// Sums leave at most this often: a roll-up costs some seven rows, which a busy part shares among thousands
/// of requests, and whoever scrapes asks every 15 s or less often.
const ROLL_UP_EVERY: Span = Span::from_secs(10);
/// Batches that one search reads: 4,000 entries, some 1.5 MB.
const SCAN: u32 = 40;
/// Entries of one answer.
const MAX_PAGE: u32 = 500;

const SCHEMA: [&str; 2] = statements(include_str!("../../../schemas/sql/journal_log.sql"));

/// One part.
pub struct Part {
    expires: Option<Timestamp>,
    has_batches: bool,
    /// Not yet on its way to the totals.
    tally: Tally,
    /// Since when there is something in it.
    since: Option<Timestamp>,
    /// The last batch.
    last_seq: i64,
    /// The last batch that is on its way or there, and the number of its roll-up.
    rolled: (i64, u64),
    /// The last roll-up is not known to have arrived.
    owes: bool,
}

impl Part {
    /// Loads the part of the day that begins at `start`; without one it takes no batches.
    ///
    /// # Errors
    /// When its tables cannot be read.
    pub fn open(cx: &Cx<'_>, start: Option<Timestamp>) -> Result<Self, StoreError> {
        for statement in SCHEMA {
            cx.sql.exec(statement, &[])?;
        }
        let rolled = log::rolled(cx.sql)?;
        let last_seq = log::last_seq(cx.sql)?;
        let mut part = Self {
            expires: start.map(|start| start + DAY + RETENTION),
            has_batches: last_seq > 0,
            tally: Tally::default(),
            // Since when is not stored: it may well be the alarm for it that loads the object.
            since: (last_seq > rolled.0).then(|| cx.now - ROLL_UP_EVERY),
            last_seq,
            rolled,
            owes: cx.is_owing()?,
        };
        for (entries, lost) in log::after(cx.sql, rolled.0)? {
            part.tally.take(&entries, lost);
        }
        Ok(part)
    }

    /// Takes a batch in, once.
    ///
    /// # Errors
    /// When it cannot be written, or the object's name is no part of a day.
    pub fn take(
        &mut self,
        cx: &Cx<'_>,
        batch: &str,
        entries: &[LogEntry],
        lost: u64,
    ) -> Result<(), TurnError> {
        if self.expires.is_none() {
            return Err(refused(
                cx,
                "a part of a log is called after a day such as 2026-11-21/0",
            ));
        }
        let text = encode("log batch", &entries)?;
        let times = entries.iter().map(|entry| entry.at_ms);
        let (first, last) = (times.clone().min(), times.max());
        let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
        let Some(seq) = log::append(cx.sql, batch, (first, last), lost, &text)? else {
            return Ok(());
        };
        self.tally.take(entries, lost);
        self.since.get_or_insert(cx.now);
        self.last_seq = seq;
        self.has_batches = true;
        Ok(())
    }

    /// Sends what is due, and removes the part when its time is over.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        if self.roll_up_at().is_some_and(|due| due <= cx.now) {
            self.roll_up(cx)?;
        }
        if self.is_over(cx.now) {
            log::clear(cx.sql)?;
            self.has_batches = false;
        }
        Ok(())
    }

    /// The last roll-up has arrived.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn delivered(&mut self, cx: &Cx<'_>) -> Result<(), StoreError> {
        self.owes = cx.is_owing()?;
        Ok(())
    }

    /// When something is due.
    pub fn next_alarm(&self) -> Option<Timestamp> {
        let expires = self
            .expires
            .filter(|_| self.has_batches && self.since.is_none());
        self.roll_up_at().or(expires)
    }

    fn roll_up_at(&self) -> Option<Timestamp> {
        let since = self.since.filter(|_| !self.owes)?;
        Some(since + ROLL_UP_EVERY)
    }

    /// What is not yet in the totals is not removed.
    fn is_over(&self, now: Timestamp) -> bool {
        self.has_batches && self.since.is_none() && self.expires.is_some_and(|at| at <= now)
    }

    fn roll_up(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let number = self.rolled.1.saturating_add(1);
        let add = JournalCommand::Add {
            source: cx.name.tail().unwrap_or_default().to_owned(),
            number,
            delta: std::mem::take(&mut self.tally).into_totals(),
        };
        log::roll(cx.sql, self.last_seq, number)?;
        cx.send(ObjectName::totals(cx.name.org().unwrap_or_default()), &add)?;
        self.rolled = (self.last_seq, number);
        self.since = None;
        self.owes = true;
        Ok(())
    }
}

/// What fits a filter, newest batch first, until the page is full or enough has been looked at.
///
/// # Errors
/// When the rows cannot be read.
pub fn search(
    cx: &Cx<'_>,
    limit: u32,
    after: Option<LogPlace>,
    filter: &LogFilter,
) -> Result<LogPage, StoreError> {
    let limit = usize::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(usize::MAX);
    let times = (filter.from_ms, filter.to_ms);
    let batches = log::newest(cx.sql, after.map(|place| place.seq), times, SCAN)?;
    let is_cut_short = batches.len() >= usize::try_from(SCAN).unwrap_or(usize::MAX);
    let mut page = LogPage::default();
    let mut last_seq = None;
    for (seq, entries) in batches {
        last_seq = Some(seq);
        let end = after
            .filter(|place| place.seq == seq)
            .and_then(|place| usize::try_from(place.index).ok())
            .unwrap_or(usize::MAX);
        let places = (0_u32..).zip(entries).take(end);
        let fitting: Vec<_> = places.filter(|(_, entry)| filter.admits(entry)).collect();
        for (index, entry) in fitting.into_iter().rev() {
            let place = LogPlace { seq, index };
            page.found.push(LogFound { place, entry });
            if page.found.len() == limit {
                page.next = Some(place);
                return Ok(page);
            }
        }
    }
    page.next = last_seq
        .filter(|_| is_cut_short)
        .map(|seq| LogPlace { seq, index: 0 });
    Ok(page)
}
