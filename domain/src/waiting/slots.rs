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
