//! Finished requests on their way to the journal: collected in memory, sent as batches.
//!
//! A batch leaves when it is full or a second old, behind the answer of some request. It is kept until the
//! journal has answered and otherwise sent again, under the same id, so that it is in the log once. Lost
//! with the isolate: at most the entries of its last second, and what the journal did not answer to.
//!
//! Invariant: an isolate holds at most [`MOST_ENTRIES`] of them. Beyond that the oldest go, are counted,
//! and the count goes with the next batch.

use std::collections::{BTreeMap, VecDeque};

use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::journal::{JournalCommand, day_of};
use tidegate_durable::bindings::log::{LOG_SHARDS, LogEntry};

use crate::effect::Effect;
use crate::snapshot::fnv;

/// Entries of a batch: one row of some 30 kB.
const FULL: usize = 100;
/// How long the first entry of a batch waits for others, in milliseconds.
pub const LINGER_MS: u64 = 1_000;
const LINGER: Span = Span::from_secs(1);
/// A journal answers in milliseconds; one that is being moved takes a few seconds.
const TIMEOUT_MS: u64 = 10_000;
/// A call that nobody reported the end of: the request behind which it ran was cut off.
const GIVEN_UP: Span = Span::from_secs(15);
/// The first pause before a batch is sent again; doubles.
const RESEND_BASE: Span = Span::from_ms(500);
/// With the pauses between them half a minute, as long as a platform lets anything run behind an answer.
const MOST_TRIES: u32 = 6;
/// Some 3 MB.
const MOST_ENTRIES: usize = 10_000;

/// What is not yet in the journal.
#[derive(Default)]
pub struct RequestLog {
    /// The isolate's own name, for the ids of its batches and its part of each day.
    isolate: String,
    sealed: u64,
    /// By organisation and day, with the time of the first entry.
    open: BTreeMap<(String, String), (Timestamp, Vec<LogEntry>)>,
    /// Not delivered; to be sent again then.
    again: VecDeque<(Timestamp, Batch)>,
    /// Sent, by the call's token.
    under_way: BTreeMap<u32, (Timestamp, Batch)>,
    /// Until then a flush is known to come.
    rings_at: Option<Timestamp>,
    /// Entries that had to go, by organisation.
    lost: BTreeMap<String, u64>,
    held: usize,
}

/// Entries that travel together.
#[derive(Clone, Debug)]
pub struct Batch {
    org: String,
    day: String,
    id: String,
    entries: Vec<LogEntry>,
    lost: u64,
    tries: u32,
}

impl RequestLog {
    /// The log of an isolate.
    pub fn new(isolate: String) -> Self {
        Self {
            isolate,
            ..Self::default()
        }
    }

    /// Whether something is left that a flush would have to take.
    pub fn is_waiting(&self) -> bool {
        !self.open.is_empty() || !self.again.is_empty()
    }

    /// Takes an entry; a batch that is full now.
    pub fn take(&mut self, org: String, entry: LogEntry, now: Timestamp) -> Option<Batch> {
        self.make_room(now);
        let key = (org, day_of(entry.at_ms));
        let (_, entries) = self
            .open
            .entry(key.clone())
            .or_insert_with(|| (now, Vec::new()));
        entries.push(entry);
        self.held += 1;
        if entries.len() < FULL {
            return None;
        }
        self.seal(&key)
    }

    /// Batches whose time has come, and when to look again.
    pub fn due(&mut self, now: Timestamp) -> (Vec<Batch>, Option<Span>) {
        self.forget_lost_calls(now);
        let ripe: Vec<_> = self
            .open
            .iter()
            // Also when the clock has jumped back.
            .filter(|(_, (since, _))| now.since(*since) >= LINGER || *since > now)
            .map(|(key, _)| key.clone())
            .collect();
        let mut due: Vec<Batch> = ripe.iter().filter_map(|key| self.seal(key)).collect();
        let (ready, later) = std::mem::take(&mut self.again)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(at, _)| *at <= now);
        self.again = later;
        due.extend(ready.into_iter().map(|(_, batch)| batch));
        (due, self.next_flush(now))
    }

    /// A flush that is not yet on its way.
    fn next_flush(&mut self, now: Timestamp) -> Option<Span> {
        let open = self.open.values().map(|(since, _)| *since + LINGER);
        let again = self.again.iter().map(|(at, _)| *at);
        let next = open.chain(again).min()?;
        let rings = self.rings_at.filter(|at| *at > now);
        if rings.is_some_and(|at| at <= next) {
            return None;
        }
        self.rings_at = Some(next);
        Some(now.until(next).max(Span::from_ms(1)))
    }

    /// Notes that a batch was sent, and says with what.
    pub fn send(&mut self, token: u32, mut batch: Batch, now: Timestamp) -> Effect {
        batch.tries += 1;
        let shard = u32::try_from(fnv(self.isolate.as_bytes()) % u64::from(LOG_SHARDS));
        let command = JournalCommand::Log {
            batch: batch.id.clone(),
            entries: batch.entries.clone(),
            lost: batch.lost,
        };
        let to = ObjectName::log(&batch.org, &batch.day, shard.unwrap_or_default());
        self.under_way.insert(token, (now + GIVEN_UP, batch));
        Effect::Refresh {
            token,
            to,
            message: serde_json::to_string(&command).unwrap_or_default(),
            timeout_ms: TIMEOUT_MS,
        }
    }

    /// A batch arrived or did not; how long to wait before it is sent again.
    pub fn sent(&mut self, token: u32, arrived: bool, now: Timestamp) -> Option<Span> {
        let (_, batch) = self.under_way.remove(&token)?;
        if arrived {
            self.held = self.held.saturating_sub(batch.entries.len());
            return None;
        }
        self.retry(batch, now);
        self.next_flush(now)
    }

    fn retry(&mut self, batch: Batch, now: Timestamp) {
        if batch.tries >= MOST_TRIES {
            return self.lose(batch);
        }
        let pause = RESEND_BASE.times(1 << batch.tries.saturating_sub(1).min(10));
        self.again.push_back((now + pause, batch));
    }

    fn forget_lost_calls(&mut self, now: Timestamp) {
        let over = |(until, _): &(Timestamp, Batch)| *until <= now;
        let tokens: Vec<u32> = self
            .under_way
            .iter()
            .filter(|(_, call)| over(call))
            .map(|(token, _)| *token)
            .collect();
        for token in tokens {
            if let Some((_, batch)) = self.under_way.remove(&token) {
                self.retry(batch, now);
            }
        }
    }

    fn seal(&mut self, key: &(String, String)) -> Option<Batch> {
        let (_, entries) = self.open.remove(key)?;
        self.sealed += 1;
        let (org, day) = key.clone();
        Some(Batch {
            lost: self.lost.remove(&org).unwrap_or_default(),
            id: format!("{}-{}", self.isolate, self.sealed),
            org,
            day,
            entries,
            tries: 0,
        })
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.held < MOST_ENTRIES {
            return;
        }
        self.forget_lost_calls(now);
        if let Some((_, oldest)) = self.again.pop_front() {
            return self.lose(oldest);
        }
        // Calls that are out, then; should one arrive all the same, its entries were not lost but counted so.
        if let Some((_, (_, oldest))) = self.under_way.pop_first() {
            return self.lose(oldest);
        }
        let first = self.open.keys().next().cloned();
        if let Some(batch) = first.and_then(|key| self.seal(&key)) {
            self.lose(batch);
        }
    }

    fn lose(&mut self, batch: Batch) {
        let entries = batch.entries.len();
        self.held = self.held.saturating_sub(entries);
        let lost = self.lost.entry(batch.org).or_default();
        let entries = u64::try_from(entries).unwrap_or(u64::MAX);
        *lost = lost.saturating_add(entries).saturating_add(batch.lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_ms(1_795_255_200_000);

    fn at(ms: i64) -> Timestamp {
        T0 + Span::from_ms(ms)
    }

    fn entry(at: Timestamp) -> LogEntry {
        LogEntry {
            at_ms: at.as_ms(),
            ..LogEntry::default()
        }
    }

    fn log() -> RequestLog {
        RequestLog::new("isolate".to_owned())
    }

    fn take(log: &mut RequestLog, org: &str, at: Timestamp) -> Option<Batch> {
        log.take(org.to_owned(), entry(at), at)
    }

    /// Organisation, id, entries and what was lost before.
    fn told(batches: &[Batch]) -> Vec<(&str, &str, usize, u64)> {
        let tell = |it: &'_ Batch| (it.entries.len(), it.lost);
        batches
            .iter()
            .map(|it| (it.org.as_str(), it.id.as_str(), tell(it).0, tell(it).1))
            .collect()
    }

    #[test]
    fn a_batch_leaves_a_second_after_its_first_entry() {
        let mut log = log();
        take(&mut log, "a", at(0));
        assert_eq!(log.due(at(20)).1, Some(Span::from_ms(980)));
        let (due, next) = log.due(at(30));
        assert_eq!(
            (told(&due), next),
            (vec![], None),
            "that flush is on its way"
        );
        take(&mut log, "b", at(400));
        take(&mut log, "a", at(900));
        let (due, next) = log.due(at(1000));
        assert_eq!(told(&due), [("a", "isolate-1", 2, 0)]);
        assert_eq!(next, Some(Span::from_ms(400)));
        assert_eq!(told(&log.due(at(1400)).0), [("b", "isolate-2", 1, 0)]);
        assert!(!log.is_waiting());
    }

    #[test]
    fn a_flush_that_never_came_is_set_again() {
        let mut log = log();
        take(&mut log, "a", at(0));
        assert_eq!(log.due(at(20)).1, Some(Span::from_ms(980)));
        take(&mut log, "b", at(5000));
        let (due, next) = log.due(at(5020));
        assert_eq!(told(&due), [("a", "isolate-1", 1, 0)]);
        assert_eq!(next, Some(Span::from_ms(980)));
    }

    #[test]
    fn a_full_batch_leaves_at_once_and_a_day_has_batches_of_its_own() {
        let mut log = log();
        let midnight = Timestamp::from_ms(T0.as_ms() + 14 * 3_600_000);
        take(&mut log, "a", midnight - Span::from_ms(1));
        for _ in 1..FULL {
            assert!(take(&mut log, "a", midnight).is_none());
        }
        let full = take(&mut log, "a", midnight);
        let batch = full.unwrap();
        assert_eq!(
            (batch.day.as_str(), batch.entries.len()),
            ("2026-11-22", FULL)
        );
        let (due, _) = log.due(midnight + LINGER);
        assert_eq!(
            (due[0].day.as_str(), due[0].entries.len()),
            ("2026-11-21", 1)
        );
    }

    #[test]
    fn a_batch_that_did_not_arrive_is_sent_again_under_its_id_and_at_last_counted() {
        let mut log = log();
        take(&mut log, "a", at(0));
        let mut now = at(1000);
        for tries in 1..=MOST_TRIES {
            let (mut due, _) = log.due(now);
            let batch = due.pop().unwrap();
            assert_eq!((batch.id.as_str(), due.len()), ("isolate-1", 0));
            let effect = log.send(tries, batch, now);
            let Effect::Refresh { to, .. } = effect else {
                panic!("not a call");
            };
            assert!(to.as_str().starts_with("journal/a/2026-11-21/"), "{to}");
            let pause = log.sent(tries, false, now);
            let expected = Span::from_ms(500 << (tries - 1));
            assert_eq!(pause, (tries < MOST_TRIES).then_some(expected), "{tries}");
            now = now + expected;
        }
        assert!(!log.is_waiting() && log.held == 0);
        take(&mut log, "a", now);
        assert_eq!(told(&log.due(now + LINGER).0), [("a", "isolate-2", 1, 1)]);
    }

    #[test]
    fn a_batch_that_arrived_is_forgotten() {
        let mut log = log();
        take(&mut log, "a", at(0));
        let batch = log.due(at(1000)).0.pop().unwrap();
        log.send(7, batch, at(1000));
        assert_eq!(log.sent(8, false, at(1010)), None, "another's");
        assert_eq!(log.sent(7, true, at(1010)), None);
        assert!(log.held == 0 && log.under_way.is_empty() && !log.is_waiting());
    }

    #[test]
    fn a_call_whose_end_nobody_reports_counts_as_lost() {
        let mut log = log();
        take(&mut log, "a", at(0));
        let batch = log.due(at(1000)).0.pop().unwrap();
        log.send(7, batch, at(1000));
        assert_eq!(told(&log.due(at(15_999)).0), []);
        assert_eq!(log.due(at(16_000)).1, Some(Span::from_ms(500)));
        assert_eq!(told(&log.due(at(16_500)).0), [("a", "isolate-1", 1, 0)]);
    }

    #[test]
    fn what_is_too_much_goes_from_the_oldest_on_and_is_counted() {
        let mut log = log();
        for n in 0..120_u32 {
            for _ in 1..FULL {
                assert!(take(&mut log, "a", at(0)).is_none());
            }
            let batch = take(&mut log, "a", at(0)).unwrap();
            log.send(n, batch, at(0));
            assert!(log.held <= MOST_ENTRIES);
        }
        assert_eq!(log.under_way.len(), 100);
        let lost = log
            .under_way
            .values()
            .map(|(_, batch)| batch.lost)
            .sum::<u64>();
        assert_eq!(lost, 2000);
    }
}
