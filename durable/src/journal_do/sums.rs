//! The sums of an organisation's request log since its first request.
//!
//! Tables: `schemas/sql/journal_totals.sql`.
//!
//! Invariant: a roll-up is in the sums once, whatever was delivered twice: each part of the log counts its
//! own and sends the next when the one before has arrived. Sums never go down, at midnight or otherwise.
//! There are at most 1,000 of them: names beyond that are summed up as one.

use std::collections::BTreeMap;

use crate::bindings::journal::day_of;
use crate::bindings::log::LogEntry;
use crate::bindings::totals::{self, OTHER, Series, Totals};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::schema::statements;
use crate::records::totals as rows;

/// Series kept. One is some 40 lines of a scrape, so these are near 5 MB of text, and far more pairs of
/// models and servers than an organisation has at a time.
const MOST_SERIES: usize = 1_000;
/// A part's number is forgotten when no roll-up of it can still be under way: its day is kept for 30 days.
const REMEMBER_DAYS: i64 = 45;
const DAY_MS: i64 = 86_400_000;

const SCHEMA: [&str; 3] = statements(include_str!("../../../schemas/sql/journal_totals.sql"));

/// The sums.
#[derive(Default)]
pub struct Sums {
    tally: Tally,
    /// The last roll-up of each part.
    sources: BTreeMap<String, u64>,
}

impl Sums {
    /// Loads them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn open(cx: &Cx<'_>) -> Result<Self, StoreError> {
        for statement in SCHEMA {
            cx.sql.exec(statement, &[])?;
        }
        Ok(Self {
            tally: Tally {
                series: rows::series(cx.sql)?.into_iter().collect(),
                lost: rows::lost(cx.sql)?,
            },
            sources: rows::sources(cx.sql)?.into_iter().collect(),
        })
    }

    /// Adds a roll-up, once.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub fn add(
        &mut self,
        cx: &Cx<'_>,
        source: &str,
        number: u64,
        delta: &Totals,
    ) -> Result<(), StoreError> {
        let last = self.sources.get(source).copied();
        if last.is_some_and(|last| number <= last) {
            return Ok(());
        }
        if last.is_none() {
            let oldest = day_of(cx.now.as_ms() - REMEMBER_DAYS * DAY_MS);
            rows::forget_sources(cx.sql, &oldest)?;
            self.sources.retain(|source, _| *source >= oldest);
        }
        rows::put_source(cx.sql, source, number)?;
        self.sources.insert(source.to_owned(), number);
        for key in self.tally.add(delta) {
            if let Some(sums) = self.tally.series.get(&key) {
                rows::put_series(cx.sql, &key, sums)?;
            }
        }
        if delta.lost > 0 {
            rows::put_lost(cx.sql, self.tally.lost)?;
        }
        Ok(())
    }

    /// All of them.
    pub fn totals(&self) -> Totals {
        self.tally.clone().into_totals()
    }
}

/// Model and server.
pub type Key = (String, String);

/// Sums under way.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By model and server.
    pub series: BTreeMap<Key, totals::Sums>,
    /// Entries that were lost.
    pub lost: u64,
}

impl Tally {
    /// Counts requests.
    pub fn take(&mut self, entries: &[LogEntry], lost: u64) {
        for entry in entries {
            let model = if entry.known { &entry.model } else { OTHER };
            let key = self.key(model, entry.server.as_deref().unwrap_or_default());
            self.series.entry(key).or_default().count(entry);
        }
        self.lost = self.lost.saturating_add(lost);
    }

    /// Adds sums and tells which series they went to.
    pub fn add(&mut self, totals: &Totals) -> Vec<Key> {
        let mut touched = Vec::new();
        for Series {
            model,
            server,
            sums,
        } in &totals.series
        {
            let key = self.key(model, server);
            self.series.entry(key.clone()).or_default().add(sums);
            touched.push(key);
        }
        touched.sort_unstable();
        touched.dedup();
        self.lost = self.lost.saturating_add(totals.lost);
        touched
    }

    /// As messages have it.
    pub fn into_totals(self) -> Totals {
        let series = |((model, server), sums)| Series {
            model,
            server,
            sums,
        };
        Totals {
            series: self.series.into_iter().map(series).collect(),
            lost: self.lost,
        }
    }

    fn key(&self, model: &str, server: &str) -> Key {
        let key = (model.to_owned(), server.to_owned());
        if self.series.len() < MOST_SERIES || self.series.contains_key(&key) {
            return key;
        }
        (OTHER.to_owned(), OTHER.to_owned())
    }
}
