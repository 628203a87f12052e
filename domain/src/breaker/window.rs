//! Counts over the last so many seconds, in a ring of buckets.
//!
//! Invariant: a sum covers only buckets of the last `N` widths. A bucket that lies ahead of the clock
//! (it jumped back) is not counted, so a jump empties the window and never freezes it.

use crate::time::{Span, Timestamp};

/// Two counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) plain: u32,
    pub(crate) marked: u32,
}

impl Tally {
    pub(crate) const fn all(self) -> u32 {
        self.plain.saturating_add(self.marked)
    }

    const fn of(&mut self, marked: bool) -> &mut u32 {
        if marked {
            &mut self.marked
        } else {
            &mut self.plain
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    epoch: i64,
    tally: Tally,
}

/// A sliding window of `N` buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window<const N: usize> {
    width_ms: i64,
    ring: [Bucket; N],
}

impl<const N: usize> Window<N> {
    /// A window of `length`, cut into `N` buckets.
    pub(crate) fn new(length: Span) -> Self {
        let buckets = i64::try_from(N).unwrap_or(1).max(1);
        Self {
            width_ms: (length.as_ms() / buckets).max(1),
            ring: [Bucket::default(); N],
        }
    }

    /// Adds one: a marked one or a plain one.
    pub(crate) fn add(&mut self, at: Timestamp, marked: bool) {
        let epoch = self.epoch(at);
        let Some(bucket) = self.bucket(epoch) else {
            return;
        };
        if bucket.epoch != epoch {
            *bucket = Bucket {
                epoch,
                tally: Tally::default(),
            };
        }
        let count = bucket.tally.of(marked);
        *count = count.saturating_add(1);
    }

    /// Takes back one added at `at`, if its bucket is still there.
    pub(crate) fn take_back(&mut self, at: Timestamp, marked: bool) {
        let epoch = self.epoch(at);
        if let Some(bucket) = self.bucket(epoch).filter(|bucket| bucket.epoch == epoch) {
            let count = bucket.tally.of(marked);
            *count = count.saturating_sub(1);
        }
    }

    /// What the window holds at `now`.
    pub(crate) fn sum(&self, now: Timestamp) -> Tally {
        let newest = self.epoch(now);
        let oldest = newest.saturating_sub(i64::try_from(N).unwrap_or(1) - 1);
        self.ring
            .iter()
            .filter(|b| b.epoch >= oldest && b.epoch <= newest)
            .fold(Tally::default(), |sum, b| Tally {
                plain: sum.plain.saturating_add(b.tally.plain),
                marked: sum.marked.saturating_add(b.tally.marked),
            })
    }

    const fn epoch(&self, at: Timestamp) -> i64 {
        at.as_ms().div_euclid(self.width_ms)
    }

    fn bucket(&mut self, epoch: i64) -> Option<&mut Bucket> {
        let slot = epoch.rem_euclid(i64::try_from(N).unwrap_or(1).max(1));
        usize::try_from(slot)
            .ok()
            .and_then(|slot| self.ring.get_mut(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_ms(secs * 1000)
    }

    #[test]
    fn counts_slide_out_bucket_by_bucket() {
        let mut window = Window::<10>::new(Span::from_secs(30));
        window.add(at(0), true);
        window.add(at(3), false);
        assert_eq!(
            window.sum(at(29)),
            Tally {
                plain: 1,
                marked: 1
            }
        );
        assert_eq!(
            window.sum(at(30)),
            Tally {
                plain: 1,
                marked: 0
            }
        );
        assert_eq!(window.sum(at(33)), Tally::default());
    }

    #[test]
    fn a_clock_that_jumps_back_empties_the_window() {
        let mut window = Window::<10>::new(Span::from_secs(30));
        window.add(at(7200), true);
        assert_eq!(window.sum(at(3600)), Tally::default());
        window.add(at(3600), false);
        assert_eq!(
            window.sum(at(3600)),
            Tally {
                plain: 1,
                marked: 0
            }
        );
    }

    #[test]
    fn taking_back_touches_only_the_bucket_it_was_added_to() {
        let mut window = Window::<10>::new(Span::from_secs(30));
        window.add(at(0), true);
        window.add(at(30), true);
        window.take_back(at(0), true);
        assert_eq!(window.sum(at(30)).marked, 1);
        window.take_back(at(31), true);
        assert_eq!(window.sum(at(30)).marked, 0);
    }

    #[test]
    fn a_zero_length_is_one_millisecond_per_bucket() {
        let mut window = Window::<10>::new(Span::ZERO);
        window.add(at(1), true);
        assert_eq!(window.sum(at(1)).all(), 1);
        assert_eq!(window.sum(at(2)).all(), 0);
    }
}
