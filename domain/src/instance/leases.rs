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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_ms(1_000_000_000_000 + secs * 1000)
    }

    fn id(n: usize) -> RequestId {
        RequestId::new(format!("r{n}"))
    }

    fn granted(count: usize, kind: GrantKind) -> Leases {
        let mut leases = Leases::new(LeasePolicy::default());
        for n in 0..count {
            leases.grant(at(0), &id(n), (kind, AskKind::First, 0));
        }
        leases
    }

    #[test]
    fn a_lease_ends_at_its_time_and_not_a_moment_earlier() {
        let mut leases = granted(1, GrantKind::Normal);
        assert_eq!(leases.poll_timeout(), Some(at(60)));
        assert_eq!(leases.expire(at(60) - Span::from_ms(1)), []);
        assert_eq!(leases.expire(at(60)).len(), 1);
        assert_eq!((leases.running(), leases.poll_timeout()), (0, None));
    }

    #[test]
    fn so_many_that_ran_out_are_remembered_and_the_oldest_are_forgotten() {
        let mut leases = granted(REMEMBERED, GrantKind::Normal);
        leases.expire(at(60));
        let late = |leases: &Leases| {
            let mut leases = leases.clone();
            (0..=REMEMBERED)
                .filter(|n| leases.hand_in(&id(*n)).is_some())
                .count()
        };
        assert_eq!(late(&leases), REMEMBERED);
        leases.grant(
            at(60),
            &id(REMEMBERED),
            (GrantKind::Normal, AskKind::First, 0),
        );
        leases.expire(at(120));
        assert_eq!(late(&leases), REMEMBERED);
        assert!(leases.hand_in(&id(0)).is_none());
    }

    #[test]
    fn one_that_ran_out_is_renewed_into_a_free_slot_unless_it_was_a_probe() {
        for (kind, room, renews) in [
            (GrantKind::Normal, true, true),
            (GrantKind::Normal, false, false),
            (GrantKind::Probe, true, false),
        ] {
            let mut leases = granted(2, kind);
            leases.expire(at(60));
            assert!(!leases.renew(at(61), &id(7), true), "never granted");
            assert_eq!(leases.renew(at(61), &id(1), room), renews, "{kind:?}");
            assert_eq!(leases.get(&id(1)).is_some(), renews);
            assert_eq!(leases.poll_timeout(), renews.then_some(at(121)));
        }
    }

    #[test]
    fn a_lease_is_handed_in_once_and_a_new_one_replaces_the_memory_of_the_old() {
        let mut leases = granted(2, GrantKind::Normal);
        assert!(matches!(leases.hand_in(&id(0)), Some(Returned::Live(_))));
        assert_eq!(leases.hand_in(&id(0)), None);
        leases.expire(at(60));
        leases.grant(at(60), &id(1), (GrantKind::Normal, AskKind::First, 0));
        assert!(matches!(leases.hand_in(&id(1)), Some(Returned::Live(_))));
        assert_eq!(
            leases.hand_in(&id(1)),
            None,
            "what had run out is forgotten"
        );
    }

    #[test]
    fn a_clock_that_goes_back_prolongs_no_lease() {
        let mut leases = granted(1, GrantKind::Probe);
        assert!(leases.has_probe());
        assert_eq!(leases.expire(at(-3600)), []);
        assert_eq!(leases.poll_timeout(), Some(at(-3540)));
        assert_eq!(
            leases.get(&id(0)).map(|lease| lease.granted_at),
            Some(at(-3600))
        );
        leases.expire(at(-3540));
        assert!(!leases.has_probe());
    }

    #[test]
    fn a_policy_of_nothing_is_a_second() {
        let mut leases = Leases::new(LeasePolicy { live: Span::ZERO });
        let lease = leases.grant(at(0), &id(1), (GrantKind::Normal, AskKind::First, 0));
        assert_eq!(lease.expires_at, at(1));
    }
}
