//! Requests that wait for a slot of one server.
//!
//! Invariant: one entry per request id, at most `depth` entries added, served by priority (high first),
//! then by arrival at the gateway, then by insertion; nobody waits past its `give_up_at`.
//!
//! Out of scope: whether the server may be used at all, and who gets a slot without waiting.

#[cfg(test)]
mod tests;

use core::cmp::Reverse;
use std::collections::BTreeMap;

use crate::ids::RequestId;
use crate::instance::{Ask, AskKind};
use crate::time::{Span, Timestamp};

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePolicy {
    /// The longest wait for a slot. Seconds, not minutes: the request should rather be tried elsewhere.
    pub longest_wait: Span,
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self {
            longest_wait: Span::from_secs(10),
        }
    }
}

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Which request.
    pub request: RequestId,
    /// Higher goes first.
    pub priority: u8,
    /// When it reached the gateway.
    pub arrived_at: Timestamp,
    /// When it came into this queue.
    pub queued_at: Timestamp,
    /// When it is refused.
    pub give_up_at: Timestamp,
    /// First attempt or another one.
    pub kind: AskKind,
}

/// Where a request stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It may wait, as the `position`-th (from 1).
    Enqueue {
        /// The place it would take.
        position: u32,
    },
    /// It waits already.
    AlreadyQueued {
        /// The place it has.
        position: u32,
    },
}

/// Why a request may not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueDenied {
    /// No place is left.
    Full {
        /// How many wait.
        depth: u32,
    },
    /// Its client would be gone before its turn.
    DeadlineTooShort {
        /// When its turn would be, from now.
        expected_start: Span,
    },
}

type Rank = (Reverse<u8>, Timestamp, u64);

/// The waiting list.
#[derive(Clone, Debug)]
pub struct Queue {
    policy: QueuePolicy,
    depth: u32,
    waiting: BTreeMap<Rank, Waiter>,
    ranks: BTreeMap<RequestId, Rank>,
    inserted: u64,
}

impl Queue {
    /// An empty queue of `depth` places.
    pub const fn new(policy: QueuePolicy, depth: u32) -> Self {
        Self {
            policy,
            depth,
            waiting: BTreeMap::new(),
            ranks: BTreeMap::new(),
            inserted: 0,
        }
    }

    /// Takes a new policy; those who wait keep their times.
    pub fn set_policy(&mut self, policy: QueuePolicy) {
        self.policy = policy;
    }

    /// Takes a new depth; those who wait keep their places.
    pub fn set_depth(&mut self, depth: u32) {
        self.depth = depth;
    }

    /// How many wait.
    pub fn len(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The place of a request, from 1.
    pub fn position(&self, request: &RequestId) -> Option<u32> {
        self.ranks
            .get(request)
            .map(|rank| self.ahead_of(rank).saturating_add(1))
    }

    /// Those who wait, next first.
    pub fn iter(&self) -> impl Iterator<Item = &Waiter> {
        self.waiting.values()
    }

    /// Whether a request may wait, if one slot frees up every `slot_every`. Looks, never changes.
    pub fn admit(&self, now: Timestamp, ask: &Ask, slot_every: Span) -> Result<Place, QueueDenied> {
        if let Some(position) = self.position(&ask.request) {
            return Ok(Place::AlreadyQueued { position });
        }
        if self.len() >= self.depth {
            return Err(QueueDenied::Full { depth: self.len() });
        }
        let rank = (Reverse(ask.priority), ask.arrived_at, self.inserted);
        let position = self.ahead_of(&rank).saturating_add(1);
        let expected_start = slot_every.times(i64::from(position));
        if now + expected_start + ask.least_service > ask.deadline {
            return Err(QueueDenied::DeadlineTooShort { expected_start });
        }
        Ok(Place::Enqueue { position })
    }

    /// Adds a request that was admitted; a second entry for one id is never made.
    pub fn enqueue(&mut self, now: Timestamp, ask: &Ask) {
        if self.ranks.contains_key(&ask.request) {
            return;
        }
        let rank = (Reverse(ask.priority), ask.arrived_at, self.inserted);
        self.inserted = self.inserted.saturating_add(1);
        let latest_start = ask.deadline - ask.least_service;
        let waiter = Waiter {
            request: ask.request.clone(),
            priority: ask.priority,
            arrived_at: ask.arrived_at,
            queued_at: now,
            give_up_at: latest_start.min(now + self.policy.longest_wait),
            kind: ask.kind,
        };
        self.ranks.insert(ask.request.clone(), rank);
        self.waiting.insert(rank, waiter);
    }

    /// Takes out who is next.
    pub fn take_first(&mut self) -> Option<Waiter> {
        let (_, waiter) = self.waiting.pop_first()?;
        self.ranks.remove(&waiter.request);
        Some(waiter)
    }

    /// Takes out one request.
    pub fn take(&mut self, request: &RequestId) -> Option<Waiter> {
        let rank = self.ranks.remove(request)?;
        self.waiting.remove(&rank)
    }

    /// Takes out everyone, next first.
    pub fn take_all(&mut self) -> Vec<Waiter> {
        self.ranks.clear();
        core::mem::take(&mut self.waiting).into_values().collect()
    }

    /// Takes out those whose time is up, next first. A clock that jumped back makes nobody wait longer
    /// than `longest_wait` from now.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Waiter> {
        let latest = now + self.policy.longest_wait;
        let mut over = Vec::new();
        for waiter in self.waiting.values_mut() {
            waiter.queued_at = waiter.queued_at.min(now);
            waiter.give_up_at = waiter.give_up_at.min(latest);
            if waiter.give_up_at <= now {
                over.push(waiter.request.clone());
            }
        }
        over.iter()
            .filter_map(|request| self.take(request))
            .collect()
    }

    /// When to call [`Self::expire`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.waiting.values().map(|waiter| waiter.give_up_at).min()
    }

    fn ahead_of(&self, rank: &Rank) -> u32 {
        u32::try_from(self.waiting.range(..rank).count()).unwrap_or(u32::MAX)
    }
}
