//! Free slots of one server as far as they are known here, and to whom they are promised.
//!
//! Invariant: `spare + promised ≤` what the server last reported, as long as its report is fresh.
//!
//! A report of `free` slots may or may not already miss the one that a promised waiter is on its way to.
//! It is read as if the waiter had not arrived yet, so nobody is sent twice to one slot; the slots thus
//! *withheld* are given away when the promise ends. Servers that count their grants end promises at
//! once: without that, a server with one slot and short requests would serve one waiter a second.

use std::collections::VecDeque;

use super::PROMISE;
use crate::ids::RequestId;
use crate::time::{Span, Timestamp};

/// How long a report is believed. A free slot is found by newcomers within moments.
const FRESH: Span = Span::from_secs(1);

#[derive(Clone, Debug)]
struct Promise {
    request: RequestId,
    until: Timestamp,
}

/// What is known of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    spare: u32,
    spare_until: Timestamp,
    withheld: u32,
    promises: VecDeque<Promise>,
    grants: Option<u64>,
}

impl Slots {
    /// The server says how many are free.
    pub fn report(&mut self, now: Timestamp, free: u32, grants: Option<u64>) {
        if let (Some(before), Some(after)) = (self.grants, grants) {
            // A count that fell is that of a restarted server and says nothing.
            let kept = usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX);
            self.promises.drain(..kept.min(self.promises.len()));
        }
        self.grants = grants.or(self.grants);
        self.withheld = free.min(self.promised());
        self.spare = free.saturating_sub(self.withheld);
        self.spare_until = now + FRESH;
    }

    /// Slots to which someone may be sent.
    pub fn spare(&self, now: Timestamp) -> u32 {
        if self.spare_until > now {
            self.spare
        } else {
            0
        }
    }

    /// Promises a spare slot.
    pub fn promise(&mut self, now: Timestamp, request: RequestId) {
        self.spare = self.spare.saturating_sub(1);
        let until = now + PROMISE;
        self.promises.push_back(Promise { request, until });
    }

    /// The server refused a promised waiter: its slot is another's, and so is one that was withheld
    /// for it.
    pub fn refused(&mut self, request: &RequestId) {
        if self.take(request) {
            self.withheld = self.withheld.min(self.promised());
        }
    }

    /// A promised waiter will not go: its slot is free for the next.
    pub fn declined(&mut self, now: Timestamp, request: &RequestId) {
        if self.take(request) {
            self.withheld = self.withheld.min(self.promised());
            self.give_back(now, 1);
        }
    }

    /// Ends promises whose time is up, freeing what was withheld for them. Whether one ended without
    /// any report since: then the slot may be free and nobody knows.
    pub fn end_promises(&mut self, now: Timestamp) -> bool {
        let before = self.promised();
        self.promises.retain(|promise| promise.until > now);
        let ended = before.saturating_sub(self.promised());
        let released = ended.min(self.withheld);
        if released > 0 {
            self.withheld = self.withheld.saturating_sub(released);
            self.give_back(now, released);
        }
        ended > released
    }

    /// When the next promise ends.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.promises.iter().map(|promise| promise.until).min()
    }

    /// Whether it may be forgotten.
    pub fn is_blank(&self, now: Timestamp) -> bool {
        self.promises.is_empty() && self.spare(now) == 0
    }

    /// The clock went back.
    pub fn shift(&mut self, back: Span) {
        self.spare_until = self.spare_until - back;
        for promise in &mut self.promises {
            promise.until = promise.until - back;
        }
    }

    fn promised(&self) -> u32 {
        u32::try_from(self.promises.len()).unwrap_or(u32::MAX)
    }

    fn take(&mut self, request: &RequestId) -> bool {
        let before = self.promises.len();
        self.promises.retain(|promise| promise.request != *request);
        self.promises.len() < before
    }

    fn give_back(&mut self, now: Timestamp, slots: u32) {
        self.spare = self.spare(now).saturating_add(slots);
        self.spare_until = now + FRESH;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_000_000_000_000);

    fn id(n: u32) -> RequestId {
        RequestId::new(format!("r{n}"))
    }

    /// Two free and both promised.
    fn promised() -> Slots {
        let mut slots = Slots::default();
        slots.report(NOW, 2, None);
        slots.promise(NOW, id(1));
        slots.promise(NOW, id(2));
        slots
    }

    #[test]
    fn a_report_is_believed_for_a_second_and_what_is_promised_is_not_spare() {
        let mut slots = Slots::default();
        assert!(slots.is_blank(NOW));
        slots.report(NOW, 2, None);
        let last = NOW + FRESH - Span::from_ms(1);
        assert_eq!((slots.spare(last), slots.spare(NOW + FRESH)), (2, 0));
        assert!(!slots.is_blank(last) && slots.is_blank(NOW + FRESH));
        slots.promise(NOW, id(1));
        assert_eq!((slots.spare(NOW), slots.due_at()), (1, Some(NOW + PROMISE)));
        slots.promise(NOW, id(2));
        assert!(slots.spare(NOW) == 0 && !slots.is_blank(NOW));
    }

    #[test]
    fn a_waiter_that_was_refused_frees_nothing_and_one_that_declined_frees_its_slot() {
        let mut slots = promised();
        slots.refused(&id(9));
        slots.declined(NOW, &id(9));
        assert_eq!((slots.spare(NOW), slots.promised()), (0, 2));
        slots.refused(&id(1));
        assert_eq!((slots.spare(NOW), slots.promised()), (0, 1));
        slots.declined(NOW, &id(2));
        assert_eq!((slots.spare(NOW), slots.promised()), (1, 0));
    }

    #[test]
    fn what_a_report_withholds_for_a_promise_is_given_away_when_it_ends() {
        let mut slots = promised();
        slots.report(NOW, 2, None);
        assert_eq!(slots.spare(NOW), 0, "both may be on their way");
        let end = NOW + PROMISE;
        assert!(!slots.end_promises(end - Span::from_ms(1)));
        assert!(!slots.end_promises(end), "both were released");
        assert_eq!((slots.spare(end), slots.due_at()), (2, None));

        let mut unheard = promised();
        assert!(
            unheard.end_promises(end),
            "nobody knows what became of them"
        );
        assert_eq!(unheard.spare(end), 0);
    }

    #[test]
    fn grants_that_are_counted_end_as_many_promises() {
        let mut slots = promised();
        slots.report(NOW, 1, Some(10));
        assert_eq!(slots.promised(), 2, "the first count says nothing");
        slots.report(NOW, 1, Some(11));
        assert_eq!((slots.promised(), slots.spare(NOW)), (1, 0));
        slots.report(NOW, 1, None);
        slots.report(NOW, 1, Some(12));
        assert_eq!((slots.promised(), slots.spare(NOW)), (0, 1));
        slots.promise(NOW, id(3));
        slots.report(NOW, 1, Some(3));
        assert_eq!(slots.promised(), 1, "a restarted server counts from zero");
    }

    #[test]
    fn a_clock_that_is_set_back_moves_everything_with_it() {
        let back = Span::from_secs(3600);
        let mut slots = Slots::default();
        slots.report(NOW, 2, None);
        slots.promise(NOW, id(1));
        slots.shift(back);
        let now = NOW - back;
        let last = now + FRESH - Span::from_ms(1);
        assert_eq!((slots.spare(last), slots.spare(now + FRESH)), (1, 0));
        assert_eq!(slots.due_at(), Some(now + PROMISE));
    }
}
