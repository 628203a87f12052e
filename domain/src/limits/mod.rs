//! The limits of one API key: requests and tokens in a sliding minute, and requests at once.
//!
//! Invariant: in any 60 s span, admitted requests ≤ the request limit and charged tokens ≤ the token
//! limit (tokens used beyond a reservation excepted: they are charged when they become known and keep
//! others out), and live leases ≤ the concurrency limit at every admission. Time that a clock takes back
//! is never counted twice.
//!
//! In scope: who may go on and what it is charged. Out of scope: storing it. Each [`Effect`] says which
//! record to write before the answer leaves, so that forgetting the machine forgets no charge.

mod charge;
mod crowd;
mod window;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use charge::{Charge, Overuse};
pub use crowd::Crowd;
use window::{Amount, Window};

use crate::ids::RequestId;
use crate::time::{Span, Timestamp};

/// The span that the request and token limits speak of.
pub const WINDOW: Span = Span::from_secs(60);
/// How long a place is held for a request that is not heard of again. Renewed every 20 s, so that two
/// renewals in a row may be lost.
pub const LEASE: Span = Span::from_secs(60);
/// A clock that steps back less than this stands still until it has caught up. Beyond it all records
/// are shifted instead, which costs a write each and must not happen for the jitter between machines.
const JITTER: Span = Span::from_secs(1);
/// When to ask again while too many run: one of them may end at any moment, and a `Retry-After` cannot
/// say less than a second.
const BUSY_RETRY: Span = Span::from_secs(1);

/// The limits in force; `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in any 60 s.
    pub requests_per_minute: Option<u64>,
    /// Prompt and completion tokens in any 60 s.
    pub tokens_per_minute: Option<u64>,
    /// Requests at once.
    pub concurrency: Option<u32>,
}

/// A request that wants to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which. Minted by the gateway: an id that a client chooses would let it repeat for free.
    pub request: RequestId,
    /// Prompt estimate plus the most it may generate.
    pub reserve_tokens: u64,
}

/// How a request was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Charged now.
    Granted,
    /// Charged by an earlier message.
    AlreadySo,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Requests a minute.
    Requests,
    /// Tokens a minute.
    Tokens,
    /// Requests at once.
    Concurrency,
    /// Visitors that one object remembers.
    Visitors,
}

/// Why a request may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The limit is used up for now.
    Exhausted {
        /// Which. Of several, the one that takes longest.
        limit: Limit,
        /// When there is room, if nothing else comes: exact for requests and tokens; a guess for
        /// concurrency.
        retry_after: Span,
    },
    /// Asking again is of no use: this request alone is more than the limit.
    NeverFits {
        /// Which.
        limit: Limit,
        /// What the request needs.
        asked: u64,
        /// What the limit is.
        allowed: u64,
    },
}

/// What became of an admitted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It still runs.
    Renewed {
        /// Which.
        request: RequestId,
    },
    /// It ended.
    Settled {
        /// Which.
        request: RequestId,
        /// What it really used.
        used_tokens: u64,
    },
    /// It never reached a server: it does not count.
    Refunded {
        /// Which.
        request: RequestId,
    },
}

/// What to store before anything is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this charge over the one of the same request, if there is one.
    Keep(Charge),
    /// Remove this request's charge: it must not come back by [`KeyLimiter::restore`].
    Erase(RequestId),
    /// This request's charge means nothing any more: its record may be reused or removed at leisure.
    Forget(RequestId),
    /// The clock went back: move every time in every record back by this much.
    Shift(Span),
}

/// One window as response headers show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowView {
    /// The limit.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// Until all of it is back, if nothing else comes.
    pub reset: Span,
}

/// The windows of the limits that are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// Requests.
    pub requests: Option<WindowView>,
    /// Tokens.
    pub tokens: Option<WindowView>,
}

/// The machine.
#[derive(Clone, Debug, Default)]
pub struct KeyLimiter {
    window: Window,
    charges: BTreeMap<RequestId, Charge>,
    leases: BTreeSet<(Timestamp, RequestId)>,
    forgets: BTreeSet<(Timestamp, RequestId)>,
    /// The latest time seen; what every age is measured against.
    now: Timestamp,
}

impl KeyLimiter {
    /// The machine as its stored charges leave it. Of two charges of one request the later counts.
    pub fn restore(charges: impl IntoIterator<Item = Charge>) -> Self {
        let mut limiter = Self::default();
        for charge in charges {
            limiter.now = limiter.now.max(charge.written_at());
            match limiter.charges.get(&charge.request) {
                Some(known) if known.admitted_at > charge.admitted_at => {}
                _ => limiter.put(charge),
            }
        }
        let mut spent: Vec<(Timestamp, Amount)> = Vec::new();
        for charge in limiter.charges.values() {
            spent.push((charge.admitted_at, Amount::request(charge.tokens)));
            if let Some(over) = charge.overuse {
                spent.push((over.at, Amount::tokens(over.tokens)));
            }
        }
        spent.sort_by_key(|(at, _)| *at);
        for (at, amount) in spent {
            limiter.window.record(at, amount);
        }
        limiter
    }

    /// Whether this request may go on under these limits, which may differ from call to call. A request
    /// that is known is answered as before and charged once; a denial is not remembered and changes
    /// nothing.
    pub fn admit(
        &mut self,
        now: Timestamp,
        ask: &Ask,
        limits: &Limits,
    ) -> (Result<Admission, Denied>, Vec<Effect>) {
        let mut effects = self.advance(now);
        let answer = match self.charges.get(&ask.request).cloned() {
            Some(known) => self.repeat(known, limits, &mut effects),
            None => self.first(ask, limits, &mut effects),
        };
        (answer, effects)
    }

    /// Takes note of what became of a request. What is unknown, over or repeated changes nothing.
    pub fn handle(&mut self, now: Timestamp, event: Event) -> Vec<Effect> {
        let mut effects = self.advance(now);
        let (Event::Renewed { request }
        | Event::Settled { request, .. }
        | Event::Refunded { request }) = &event;
        let Some(charge) = self.charges.get(request).filter(|c| !c.is_over()).cloned() else {
            return effects;
        };
        match event {
            Event::Renewed { .. } => effects.push(self.hold(charge)),
            Event::Settled { used_tokens, .. } => effects.push(self.settle(charge, used_tokens)),
            Event::Refunded { request } => {
                self.window
                    .refund(charge.admitted_at, Amount::request(charge.tokens));
                self.remove(&request);
                effects.push(Effect::Erase(request));
            }
        }
        effects
    }

    /// Lets go of what has expired. Leases and windows expire by themselves at the next message too:
    /// this only frees memory sooner.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Vec<Effect> {
        self.advance(now)
    }

    /// When the next lease or charge expires.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let lease = self.leases.first().map(|(at, _)| *at);
        let forget = self.forgets.first().map(|(at, _)| *at);
        lease.into_iter().chain(forget).min()
    }

    /// The windows of these limits at the time of the last call.
    pub fn windows(&self, limits: &Limits) -> Windows {
        let spent = self.window.spent();
        let view = |limit: Option<u64>, spent: u64, full: Option<Timestamp>| {
            limit.map(|limit| WindowView {
                limit,
                remaining: limit.saturating_sub(spent),
                reset: full.map_or(Span::ZERO, |at| self.now.until(at)),
            })
        };
        Windows {
            requests: view(
                limits.requests_per_minute,
                spent.requests,
                self.window.empty_at(|amount| amount.requests),
            ),
            tokens: view(
                limits.tokens_per_minute,
                spent.tokens,
                self.window.empty_at(|amount| amount.tokens),
            ),
        }
    }

    /// Whether nothing counts any more: forgetting the machine forgets nothing.
    pub fn is_idle(&self) -> bool {
        self.charges.is_empty()
    }

    /// Requests that hold a place.
    pub fn running(&self) -> u32 {
        u32::try_from(self.leases.len()).unwrap_or(u32::MAX)
    }

    /// The latest time that any call or stored charge has shown.
    pub const fn latest(&self) -> Timestamp {
        self.now
    }

    fn first(
        &mut self,
        ask: &Ask,
        limits: &Limits,
        effects: &mut Vec<Effect>,
    ) -> Result<Admission, Denied> {
        self.fits(ask, limits)?;
        let tokens = charge::bounded(ask.reserve_tokens);
        self.window.record(self.now, Amount::request(tokens));
        effects.push(self.hold(Charge {
            request: ask.request.clone(),
            admitted_at: self.now,
            tokens,
            lease_until: None,
            overuse: None,
        }));
        Ok(Admission::Granted)
    }

    /// A known request needs nothing new, unless its lease expired and its place may be another's.
    fn repeat(
        &mut self,
        known: Charge,
        limits: &Limits,
        effects: &mut Vec<Effect>,
    ) -> Result<Admission, Denied> {
        if known.lease_until.is_some_and(|until| until <= self.now) {
            if let Some(retry_after) = self.crowded(limits) {
                let limit = Limit::Concurrency;
                return Err(Denied::Exhausted { limit, retry_after });
            }
            effects.push(self.hold(known));
        }
        Ok(Admission::AlreadySo)
    }

    fn fits(&self, ask: &Ask, limits: &Limits) -> Result<(), Denied> {
        let needs = [
            (Limit::Requests, 1, limits.requests_per_minute),
            (Limit::Tokens, ask.reserve_tokens, limits.tokens_per_minute),
            (Limit::Concurrency, 1, limits.concurrency.map(u64::from)),
        ];
        for (limit, asked, allowed) in needs {
            if let Some(allowed) = allowed.filter(|allowed| asked > *allowed) {
                return Err(Denied::NeverFits {
                    limit,
                    asked,
                    allowed,
                });
            }
        }
        let requests = limits
            .requests_per_minute
            .and_then(|limit| self.window.room_at(limit, 1, |amount| amount.requests))
            .map(|at| (Limit::Requests, self.now.until(at)));
        let tokens = limits
            .tokens_per_minute
            .and_then(|limit| {
                self.window
                    .room_at(limit, ask.reserve_tokens, |amount| amount.tokens)
            })
            .map(|at| (Limit::Tokens, self.now.until(at)));
        let crowded = self
            .crowded(limits)
            .map(|retry_after| (Limit::Concurrency, retry_after));
        let longest = [crowded, tokens, requests]
            .into_iter()
            .flatten()
            .max_by_key(|(_, retry_after)| *retry_after);
        match longest {
            None => Ok(()),
            Some((limit, retry_after)) => Err(Denied::Exhausted { limit, retry_after }),
        }
    }

    /// When to ask again, if as many run as may.
    fn crowded(&self, limits: &Limits) -> Option<Span> {
        limits
            .concurrency
            .filter(|limit| self.running() >= *limit)
            .map(|_| {
                self.leases.first().map_or(BUSY_RETRY, |(until, _)| {
                    self.now.until(*until).min(BUSY_RETRY)
                })
            })
    }

    /// Gives or prolongs a lease. One that expired comes back when its holder shows up after all: the
    /// request does run, and counting it admits fewer, never more.
    fn hold(&mut self, charge: Charge) -> Effect {
        let charge = Charge {
            lease_until: Some(self.now + LEASE),
            ..charge
        };
        self.put(charge.clone());
        Effect::Keep(charge)
    }

    /// What was not used goes back into the bucket that it was taken from; what was used beyond the
    /// reservation is charged now.
    fn settle(&mut self, charge: Charge, used_tokens: u64) -> Effect {
        let used = charge::bounded(used_tokens);
        let unused = charge.tokens.saturating_sub(used);
        let over = used.saturating_sub(charge.tokens);
        self.window
            .refund(charge.admitted_at, Amount::tokens(unused));
        if over > 0 {
            self.window.record(self.now, Amount::tokens(over));
        }
        let charge = Charge {
            tokens: charge.tokens.saturating_sub(unused),
            lease_until: None,
            overuse: (over > 0).then_some(Overuse {
                at: self.now,
                tokens: over,
            }),
            ..charge
        };
        if charge.forget_at() <= self.now {
            self.remove(&charge.request);
            return Effect::Erase(charge.request);
        }
        self.put(charge.clone());
        Effect::Keep(charge)
    }

    fn put(&mut self, charge: Charge) {
        self.remove(&charge.request);
        if let Some(until) = charge.lease_until {
            self.leases.insert((until, charge.request.clone()));
        }
        self.forgets
            .insert((charge.forget_at(), charge.request.clone()));
        self.charges.insert(charge.request.clone(), charge);
    }

    fn remove(&mut self, request: &RequestId) {
        if let Some(charge) = self.charges.remove(request) {
            if let Some(until) = charge.lease_until {
                self.leases.remove(&(until, request.clone()));
            }
            self.forgets.remove(&(charge.forget_at(), request.clone()));
        }
    }

    fn advance(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        let back = now.until(self.now);
        if back > JITTER {
            self.shift(back);
            effects.push(Effect::Shift(back));
        }
        self.now = self.now.max(now);
        self.window.slide(self.now);
        while let Some((until, _)) = self.leases.first()
            && *until <= self.now
        {
            self.leases.pop_first();
        }
        while let Some((at, _)) = self.forgets.first()
            && *at <= self.now
        {
            if let Some((_, request)) = self.forgets.pop_first() {
                self.charges.remove(&request);
                effects.push(Effect::Forget(request));
            }
        }
        effects
    }

    /// The age of everything stays what it was when the clock went back; what had expired is indexed
    /// again and expires again.
    fn shift(&mut self, back: Span) {
        self.now = self.now - back;
        self.window.shift(back);
        self.leases.clear();
        self.forgets.clear();
        for (_, charge) in core::mem::take(&mut self.charges) {
            self.put(charge.shifted(back));
        }
    }
}
