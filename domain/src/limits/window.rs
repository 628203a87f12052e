//! What was spent in the last 60 seconds, in buckets of one second.
//!
//! Invariant: a bucket leaves when the *latest* thing in it is 60 s old, so what it holds is counted for
//! at least 60 s and at most 61. Buckets start with their first entry rather than at whole seconds: a
//! clock that is set back moves them all by any amount. One second bounds the buckets to 62 however many
//! requests there are, which keeps a denial (the answer given most when it matters) cheap.

use std::collections::VecDeque;

use super::WINDOW;
use crate::time::{Span, Timestamp};

const BUCKET: Span = Span::from_secs(1);

/// Requests and tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub requests: u64,
    pub tokens: u64,
}

impl Amount {
    pub const fn request(tokens: u64) -> Self {
        Self {
            requests: 1,
            tokens,
        }
    }

    pub const fn tokens(tokens: u64) -> Self {
        Self {
            requests: 0,
            tokens,
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            tokens: self.tokens.saturating_sub(other.tokens),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    first: Timestamp,
    last: Timestamp,
    spent: Amount,
}

/// The buckets, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    buckets: VecDeque<Bucket>,
}

impl Window {
    /// Adds what is spent at `at`, which is never before an earlier `at`.
    pub fn record(&mut self, at: Timestamp, amount: Amount) {
        match self.buckets.back_mut() {
            Some(newest) if at.since(newest.first) < BUCKET => {
                newest.last = at;
                newest.spent = newest.spent.plus(amount);
            }
            _ => self.buckets.push_back(Bucket {
                first: at,
                last: at,
                spent: amount,
            }),
        }
    }

    /// Takes back what was spent at `at`, if that is still counted.
    pub fn refund(&mut self, at: Timestamp, amount: Amount) {
        let bucket = self
            .buckets
            .iter_mut()
            .find(|bucket| bucket.first <= at && at <= bucket.last);
        if let Some(bucket) = bucket {
            bucket.spent = bucket.spent.minus(amount);
        }
    }

    /// Drops what is a minute old.
    pub fn slide(&mut self, now: Timestamp) {
        while let Some(oldest) = self.buckets.front()
            && oldest.last + WINDOW <= now
        {
            self.buckets.pop_front();
        }
    }

    /// Everything that counts now.
    pub fn spent(&self) -> Amount {
        self.buckets
            .iter()
            .fold(Amount::default(), |sum, bucket| sum.plus(bucket.spent))
    }

    /// When `needed` more fits under `limit`; `None` if it does now.
    pub fn room_at(&self, limit: u64, needed: u64, of: fn(&Amount) -> u64) -> Option<Timestamp> {
        let mut left = self.spent();
        let mut room_at = None;
        for bucket in &self.buckets {
            if of(&left).saturating_add(needed) <= limit {
                break;
            }
            left = left.minus(bucket.spent);
            room_at = Some(bucket.last + WINDOW);
        }
        room_at
    }

    /// When nothing counts any more; `None` if nothing does.
    pub fn empty_at(&self, of: fn(&Amount) -> u64) -> Option<Timestamp> {
        self.buckets
            .iter()
            .rev()
            .find(|bucket| of(&bucket.spent) > 0)
            .map(|bucket| bucket.last + WINDOW)
    }

    /// Moves every bucket back in time.
    pub fn shift(&mut self, back: Span) {
        for bucket in &mut self.buckets {
            bucket.first = bucket.first - back;
            bucket.last = bucket.last - back;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(1_000_000_000_000 + ms)
    }

    fn spent(window: &Window) -> u64 {
        window.spent().requests
    }

    #[test]
    fn a_bucket_takes_in_less_than_a_second_and_leaves_with_its_latest() {
        let mut window = Window::default();
        for ms in [0, 999, 1000] {
            window.record(at(ms), Amount::request(0));
        }
        assert_eq!(window.buckets.len(), 2);
        window.slide(at(60_998));
        assert_eq!(spent(&window), 3);
        window.slide(at(60_999));
        assert_eq!(spent(&window), 1);
        window.slide(at(61_000));
        assert_eq!(spent(&window), 0);
    }

    #[test]
    fn a_refund_finds_its_bucket_from_its_first_moment_to_its_last() {
        for (ms, is_found) in [
            (-1, false),
            (0, true),
            (300, true),
            (500, true),
            (501, false),
        ] {
            let mut window = Window::default();
            window.record(at(0), Amount::request(0));
            window.record(at(500), Amount::request(0));
            window.refund(at(ms), Amount::request(0));
            assert_eq!(spent(&window), if is_found { 1 } else { 2 }, "{ms} ms");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_moves_everything_with_it() {
        let (mut window, back) = (Window::default(), Span::from_secs(3600));
        window.record(at(0), Amount::request(5));
        window.record(at(400), Amount::request(5));
        window.shift(back);
        window.refund(at(400) - back, Amount::request(5));
        assert_eq!(window.spent(), Amount::request(5));
        window.record(at(999) - back, Amount::request(5));
        window.record(at(1000) - back, Amount::request(5));
        assert_eq!(window.buckets.len(), 2);
        assert_eq!(
            window.empty_at(|amount| amount.tokens),
            Some(at(61_000) - back)
        );
    }
}
