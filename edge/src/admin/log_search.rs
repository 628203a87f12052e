//! A search in the request log: day by day from the newest on, each day's parts side by side, until the
//! page is full or enough has been looked at.
//!
//! Invariant: the work of one page is bounded whatever is asked for ([`DAYS`], and what a part looks at in
//! one call); where it stopped is in the cursor, and the pages of a search follow each other without gaps
//! or repetitions. Entries come newest first; those of different isolates within a second may change places,
//! because they arrive in batches.

use std::collections::VecDeque;

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::journal::{JournalCommand, day_of};
use tidegate_durable::bindings::log::{
    LOG_SHARDS, LogEntry, LogFilter, LogFound, LogPage, LogPlace,
};

use super::rfc3339::read_day;
use crate::api_error::ApiError;
use crate::flow::{Question, Step, Unanswered};
use crate::gateway::Cx;

/// Days of one page: with four parts each, twelve objects.
const DAYS: u32 = 3;
const TIMEOUT_MS: u64 = 5_000;
pub const DAY_MS: i64 = 86_400_000;

/// How far a part of the day has been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    To(LogPlace),
    All,
}

/// Where a search goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    day_ms: i64,
    /// The search's own beginning: without it, "the last 24 hours" would move on between two pages.
    pub from_ms: i64,
    parts: Vec<Seen>,
}

impl Cursor {
    /// Before anything has been looked at.
    pub fn new(from_ms: i64, to_ms: i64) -> Self {
        Self {
            // The last moment that is asked for.
            day_ms: (to_ms - 1).div_euclid(DAY_MS) * DAY_MS,
            from_ms,
            parts: every(Seen::Nothing),
        }
    }

    /// As a text for URLs: `2026-11-21.1795255200000.120_5._.-.9_3`.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}.{}", day_of(self.day_ms), self.from_ms);
        for part in &self.parts {
            text.push('.');
            match part {
                Seen::Nothing => text.push('_'),
                Seen::To(place) => text.push_str(&format!("{}_{}", place.seq, place.index)),
                Seen::All => text.push('-'),
            }
        }
        text
    }

    /// Reads a text back.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('.');
        let day_ms = read_day(fields.next()?)?;
        let from_ms = fields.next()?.parse().ok()?;
        let parts: Vec<Seen> = fields.map(part).collect::<Option<_>>()?;
        let whole = parts.len() == every(()).len();
        whole.then_some(Self {
            day_ms,
            from_ms,
            parts,
        })
    }

    /// Whether it goes on on an earlier day than a moment's, or on that day.
    pub const fn is_before(&self, moment_ms: i64) -> bool {
        self.day_ms <= moment_ms
    }

    fn is_over(&self) -> bool {
        self.day_ms + DAY_MS <= self.from_ms
    }
}

fn part(text: &str) -> Option<Seen> {
    match text {
        "_" => Some(Seen::Nothing),
        "-" => Some(Seen::All),
        _ => {
            let (seq, index) = text.split_once('_')?;
            let seq = seq.parse().ok().filter(|seq| *seq >= 0)?;
            let index = index.parse().ok()?;
            Some(Seen::To(LogPlace { seq, index }))
        }
    }
}

fn every<T: Clone>(it: T) -> Vec<T> {
    vec![it; usize::try_from(LOG_SHARDS).unwrap_or_default()]
}

/// A search under way.
pub struct Search {
    /// The organisation.
    pub org: String,
    /// What is wanted.
    pub filter: LogFilter,
    /// Entries of the page.
    pub limit: usize,
    /// Where it goes on.
    pub cursor: Cursor,
    /// What was found.
    pub found: Vec<LogEntry>,
    /// Days looked at.
    pub days: u32,
}

/// What comes of a search.
pub type Then = Box<dyn FnOnce(Vec<LogEntry>, Option<Cursor>) -> Step>;

impl Search {
    /// Looks until the page is full, the search over or enough looked at.
    pub fn run(mut self, then: Then) -> Step {
        if self.cursor.is_over() {
            return then(self.found, None);
        }
        if self.days == DAYS {
            return then(self.found, Some(self.cursor));
        }
        self.days += 1;
        let asked = self.questions();
        let shards: Vec<usize> = asked.iter().map(|(shard, _)| *shard).collect();
        let questions = asked.into_iter().map(|(_, question)| question).collect();
        Step::gather(
            questions,
            move |_: &mut Cx<'_>, pages: Vec<Result<LogPage, Unanswered>>| {
                let pages: Result<Vec<LogPage>, Unanswered> = pages.into_iter().collect();
                let pages = match pages {
                    Ok(pages) => pages,
                    Err(unanswered) => return ApiError::from(unanswered).into(),
                };
                self.merge(&shards, pages);
                if self.cursor.parts.iter().any(|part| *part != Seen::All) {
                    return then(self.found, Some(self.cursor));
                }
                self.cursor.day_ms -= DAY_MS;
                self.cursor.parts = every(Seen::Nothing);
                if self.found.len() >= self.limit && !self.cursor.is_over() {
                    return then(self.found, Some(self.cursor));
                }
                self.run(then)
            },
        )
    }

    fn questions(&self) -> Vec<(usize, Question)> {
        let day = day_of(self.cursor.day_ms);
        let limit = u32::try_from(self.limit.saturating_sub(self.found.len()));
        let question = |(shard, seen): (usize, &Seen)| {
            let after = match seen {
                Seen::Nothing => None,
                Seen::To(place) => Some(*place),
                Seen::All => return None,
            };
            let command = JournalCommand::Search {
                limit: limit.unwrap_or(u32::MAX),
                after,
                filter: self.filter.clone(),
            };
            let part = u32::try_from(shard).unwrap_or(u32::MAX);
            let to = ObjectName::log(&self.org, &day, part);
            Some((shard, Question::new(to, &command, TIMEOUT_MS)))
        };
        self.cursor
            .parts
            .iter()
            .enumerate()
            .filter_map(question)
            .collect()
    }

    /// Takes the newest of all parts until the page is full, or a part that has more to look at has nothing
    /// to offer: whatever else there is may be older than what it would find.
    fn merge(&mut self, shards: &[usize], pages: Vec<LogPage>) {
        let mut parts: Vec<(usize, VecDeque<LogFound>, Option<LogPlace>)> = shards
            .iter()
            .zip(pages)
            .map(|(shard, page)| (*shard, page.found.into(), page.next))
            .collect();
        loop {
            for (shard, found, next) in &parts {
                if found.is_empty()
                    && let Some(seen) = self.cursor.parts.get_mut(*shard)
                {
                    *seen = next.map_or(Seen::All, Seen::To);
                }
            }
            let is_held_up = parts
                .iter()
                .any(|(_, found, next)| found.is_empty() && next.is_some());
            if is_held_up || self.found.len() >= self.limit {
                return;
            }
            let newest = parts
                .iter_mut()
                .filter(|(_, found, _)| !found.is_empty())
                // Of equals the first part: a search finds the same order again.
                .max_by_key(|(shard, found, _)| {
                    let at = found.front().map(|found| found.entry.at_ms);
                    (at, core::cmp::Reverse(*shard))
                });
            let Some((shard, found, _)) = newest else {
                return;
            };
            let Some(LogFound { place, entry }) = found.pop_front() else {
                return;
            };
            if let Some(seen) = self.cursor.parts.get_mut(*shard) {
                *seen = Seen::To(place);
            }
            self.found.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is_one() {
        let mut cursor = Cursor::new(1_795_168_800_000, 1_795_255_200_000);
        let place = LogPlace { seq: 120, index: 5 };
        cursor.parts = vec![Seen::To(place), Seen::Nothing, Seen::All, Seen::Nothing];
        let text = cursor.to_text();
        assert_eq!(text, "2026-11-21.1795168800000.120_5._.-._");
        assert_eq!(Cursor::parse(&text), Some(cursor));
        for text in [
            "",
            "2026-11-21",
            "2026-11-31.0._._._._",
            "2026-11-21.0._._._",
            "2026-11-21.0._._._._._",
            "2026-11-21.x._._._._",
            "2026-11-21.0.-1_0._._._",
            "2026-11-21.0.1_x._._._",
        ] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_search_begins_on_the_day_of_its_last_moment() {
        let midnight = 1_795_255_200_000 - 10 * 3_600_000;
        assert_eq!(day_of(Cursor::new(0, midnight).day_ms), "2026-11-20");
        assert_eq!(day_of(Cursor::new(0, midnight + 1).day_ms), "2026-11-21");
    }
}
