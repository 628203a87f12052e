//! Who holds a slot of the server.
//!
//! Invariant: one lease per request id; after `expire(now)` no lease ends at or before `now`, nor later
//! than `live` from now.
//!
//! A lease that ran out is remembered for a while, so that its late answer is counted once and a late
//! renewal can take a slot again if one is free.

use std::collections::{BTreeMap, VecDeque};

use super::ask::{AskKind, GrantKind};
use crate::ids::RequestId;
use crate::time::{Span, Timestamp};

/// Leases that ran out and are remembered. A Worker that lost one reports within minutes; 256 covers
/// four full turnovers of a server with 64 slots.
const REMEMBERED: usize = 256;

/// How long a lease lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasePolicy {
    /// Without renewal. Workers renew every 20 s, so that two renewals may get lost.
    pub live: Span,
}

impl Default for LeasePolicy {
    fn default() -> Self {
        Self {
            live: Span::from_secs(60),
        }
    }
}

/// A slot held by a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it runs out unless renewed.
    pub expires_at: Timestamp,
    /// How it was granted.
    pub kind: GrantKind,
    /// Which attempt asked for it.
    pub asked_as: AskKind,
    /// The request's priority.
    pub priority: u8,
}

/// A lease as it is stored: the row's key is the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    /// Which request.
    pub request: RequestId,
    /// Its lease.
    pub lease: Lease,
}

/// A lease that is handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returned {
    /// It held a slot.
    Live(Lease),
    /// It had run out.
    Expired(Lease),
}

/// The leases of one server.
#[derive(Clone, Debug)]
pub(crate) struct Leases {
    policy: LeasePolicy,
    live: BTreeMap<RequestId, Lease>,
    expired: VecDeque<(RequestId, Lease)>,
}

impl Leases {
    pub(crate) const fn new(policy: LeasePolicy) -> Self {
        Self {
            policy,
            live: BTreeMap::new(),
            expired: VecDeque::new(),
        }
    }

    /// Stored leases count from the first moment; what lies ahead of the clock is pulled back to it.
    pub(crate) fn restore(policy: LeasePolicy, rows: Vec<LeaseRow>, now: Timestamp) -> Self {
        let mut leases = Self::new(policy);
        for LeaseRow { request, mut lease } in rows {
            lease.granted_at = lease.granted_at.min(now);
            lease.expires_at = lease.expires_at.min(now + leases.live_span());
            leases.live.insert(request, lease);
        }
        leases
    }

    pub(crate) fn set_policy(&mut self, policy: LeasePolicy) {
        self.policy = policy;
    }

    pub(crate) fn running(&self) -> u32 {
        u32::try_from(self.live.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn get(&self, request: &RequestId) -> Option<&Lease> {
        self.live.get(request)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RequestId, &Lease)> {
        self.live.iter()
    }

    /// Whether a probe is out. After a restart there may be one that the breaker has given up.
    pub(crate) fn has_probe(&self) -> bool {
        self.live
            .values()
            .any(|lease| lease.kind == GrantKind::Probe)
    }

    /// A lease from now on.
    pub(crate) fn grant(
        &mut self,
        now: Timestamp,
        request: &RequestId,
        (kind, asked_as, priority): (GrantKind, AskKind, u8),
    ) -> Lease {
        let expires_at = now + self.live_span();
        let lease = Lease {
            granted_at: now,
            expires_at,
            kind,
            asked_as,
            priority,
        };
        self.expired.retain(|(expired, _)| expired != request);
        self.live.insert(request.clone(), lease);
        lease
    }

    /// Prolongs a lease. One that ran out gets a slot again if `room` is left: its request does run. A
    /// probe does not: another may be out.
    pub(crate) fn renew(&mut self, now: Timestamp, request: &RequestId, room: bool) -> bool {
        let expires_at = now + self.live_span();
        if let Some(lease) = self.live.get_mut(request) {
            lease.expires_at = expires_at;
            return true;
        }
        let place = self.expired.iter().position(|(expired, lease)| {
            expired == request && room && lease.kind != GrantKind::Probe
        });
        let Some((request, lease)) = place.and_then(|place| self.expired.remove(place)) else {
            return false;
        };
        self.live.insert(
            request,
            Lease {
                expires_at,
                ..lease
            },
        );
        true
    }

    /// Hands a lease in; a second time there is none.
    pub(crate) fn hand_in(&mut self, request: &RequestId) -> Option<Returned> {
        if let Some(lease) = self.live.remove(request) {
            return Some(Returned::Live(lease));
        }
        let place = self
            .expired
            .iter()
            .position(|(expired, _)| expired == request)?;
        self.expired
            .remove(place)
            .map(|(_, lease)| Returned::Expired(lease))
    }

    /// Ends the leases whose time is up.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Vec<(RequestId, Lease)> {
        let latest = now + self.live_span();
        let mut over = Vec::new();
        self.live.retain(|request, lease| {
            lease.granted_at = lease.granted_at.min(now);
            lease.expires_at = lease.expires_at.min(latest);
            let lives = lease.expires_at > now;
            if !lives {
                over.push((request.clone(), *lease));
            }
            lives
        });
        self.expired.extend(over.iter().cloned());
        while self.expired.len() > REMEMBERED {
            self.expired.pop_front();
        }
        over
    }

    /// At least a second: a lease that ends as it is granted would keep nobody out.
    fn live_span(&self) -> Span {
        self.policy.live.max(Span::from_secs(1))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.live.values().map(|lease| lease.expires_at).min()
    }
}
