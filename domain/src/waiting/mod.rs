//! Requests that wait because every server of a model is full.
//!
//! Invariant: a freed slot wakes as many waiters as it has room for and no more, the highest priority
//! first, then the earliest arrival at the gateway; at most `max_waiting` newcomers are listed; nobody
//! waits past its deadline, and no poll lasts longer than [`POLL`].
//!
//! A waiter that was told [`Said::Go`] has a *promise* of a slot and not the slot itself: only the server
//! grants. Until the promise ends, reports of the same free slot wake nobody else (see `slots.rs`). The
//! twin that was rejected, handing out the lease from here, would make two writers of one server.
//!
//! Out of scope: which servers are candidates, and whether one grants.

mod drain;
mod slots;

#[cfg(test)]
mod tests;

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drain::Drain;
use slots::Slots;

use crate::ids::{InstanceId, RequestId};
use crate::time::{Span, Timestamp};

/// How long one poll is held. Callers allow 25 s: the second between is for an alarm that is late.
pub const POLL: Span = Span::from_secs(24);
/// How long a waiter without a poll keeps its place: enough to ask again over a slow connection.
pub const GRACE: Span = Span::from_secs(5);
/// How long a slot stays promised to the waiter that was sent there. Its way is two calls between
/// objects, some 100 ms; what is longer makes a slot idle after a waiter that is gone.
pub const PROMISE: Span = Span::from_secs(1);
/// How long a server tells of free slots after it was asked to.
pub const DEMAND: Span = Span::from_secs(30);
/// How often it is asked again while someone waits: two in a row may be lost.
pub const DEMAND_EVERY: Span = Span::from_secs(10);

/// A request that has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which.
    pub request: RequestId,
    /// Higher goes first.
    pub priority: u8,
    /// When it reached the gateway. Asking again with the same time keeps the place, also after the
    /// list was lost.
    pub arrived_at: Timestamp,
    /// When its answer is worth nothing any more.
    pub deadline: Timestamp,
    /// Servers that could serve it.
    pub candidates: BTreeSet<InstanceId>,
    /// How many may wait before newcomers are refused.
    pub max_waiting: u32,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request waits, or waits on: opens a poll.
    Asked(Ask),
    /// It waits no more.
    GaveUp {
        /// Which.
        request: RequestId,
    },
    /// A server reports room.
    SlotFreed {
        /// Which.
        instance: InstanceId,
        /// Slots that are free there now.
        free: u32,
        /// Leases that it has ever granted, if it counts them: shows that promises were kept.
        grants: Option<u64>,
    },
}

/// The end of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Ask this server now.
    Go {
        /// Which.
        instance: InstanceId,
    },
    /// Nothing yet: ask again.
    Again,
    /// The list is full, or the deadline has come.
    Full {
        /// When those who wait now should have been served, judging by the last minute.
        retry_after: Span,
    },
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer the poll of this request.
    Tell {
        /// Whose.
        request: RequestId,
        /// The answer.
        said: Said,
    },
    /// Ask a server to report free slots, the present ones at once. May be lost: it is repeated.
    Demand {
        /// Which.
        instance: InstanceId,
        /// When its interest ends by itself.
        until: Timestamp,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Its poll is open.
    Polling { until: Timestamp },
    /// Its poll ended; it may ask again.
    Away { until: Timestamp },
    /// It was sent to a server and comes back only if refused there. Not counted as waiting, so that
    /// the served do not fill the list, but listed, so that it returns to its place in a full one.
    Sent { to: InstanceId, until: Timestamp },
}

#[derive(Clone, Debug)]
struct Waiter {
    deadline: Timestamp,
    /// Shared: a thousand waiters with a thousand candidates each would not fit in memory.
    candidates: Arc<BTreeSet<InstanceId>>,
    state: State,
}

/// Position in the list. The id breaks ties so that the order survives a restart.
type Rank = (Reverse<u8>, Timestamp, RequestId);

/// The waiting list of one model.
#[derive(Clone, Debug, Default)]
pub struct Waiters {
    list: BTreeMap<Rank, Waiter>,
    ranks: BTreeMap<RequestId, Rank>,
    slots: BTreeMap<InstanceId, Slots>,
    /// Servers asked for reports since the last round.
    demanded: BTreeSet<InstanceId>,
    demand_at: Option<Timestamp>,
    drain: Drain,
    last_candidates: Arc<BTreeSet<InstanceId>>,
    now: Timestamp,
}

impl Waiters {
    /// Takes note of what happened. Repeated and unknown events wake nobody.
    pub fn handle(&mut self, now: Timestamp, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        let now = self.advance(now);
        self.refuse_late(now, &mut effects);
        self.end_promises(now, &mut effects);
        let mut asked = None;
        match event {
            Event::Asked(ask) => {
                let request = ask.request.clone();
                if self.enlist(now, ask, &mut effects) {
                    asked = Some(request);
                }
            }
            Event::GaveUp { request } => self.give_up(now, &request, &mut effects),
            Event::SlotFreed {
                instance,
                free,
                grants,
            } => self
                .slots
                .entry(instance)
                .or_default()
                .report(now, free, grants),
        }
        self.send(now, &mut effects);
        self.end_polls(now, &mut effects);
        if let Some(request) = asked {
            self.demand_for(now, &request, &mut effects);
        }
        self.renew_demand(now, &mut effects);
        effects
    }

    /// Does what is due. Calls that come early or twice do nothing.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        let now = self.advance(now);
        self.refuse_late(now, &mut effects);
        self.end_promises(now, &mut effects);
        self.send(now, &mut effects);
        self.end_polls(now, &mut effects);
        self.renew_demand(now, &mut effects);
        effects
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let waiters = self.list.values().map(Waiter::due_at);
        let promises = self.slots.values().filter_map(Slots::due_at);
        let demand = self.demand_at.filter(|_| self.waiting() > 0);
        waiters.chain(promises).chain(demand).min()
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        let waiting = self.list.values().filter(|waiter| waiter.waits()).count();
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    /// Whether the request is now in the list with an open poll.
    fn enlist(&mut self, now: Timestamp, ask: Ask, effects: &mut Vec<Effect>) -> bool {
        let listed = self.ranks.contains_key(&ask.request);
        let waiting = self.waiting();
        if waiting == 0 {
            // The first one may have missed a report that came while nobody waited: ask everyone.
            self.demanded.clear();
            self.drain.begin(now);
        }
        let room = listed || waiting < ask.max_waiting || self.has_room(now, &ask.candidates);
        if ask.deadline <= now || !room {
            self.remove(&ask.request);
            effects.push(Effect::Tell {
                said: self.full(now, waiting),
                request: ask.request,
            });
            return false;
        }
        if let Some(Waiter {
            state: State::Sent { to, .. },
            ..
        }) = self.remove(&ask.request)
            && let Some(slots) = self.slots.get_mut(&to)
        {
            slots.refused(&ask.request);
        }
        if *self.last_candidates != ask.candidates {
            self.last_candidates = Arc::new(ask.candidates);
        }
        let rank = (Reverse(ask.priority), ask.arrived_at, ask.request.clone());
        let waiter = Waiter {
            deadline: ask.deadline,
            candidates: Arc::clone(&self.last_candidates),
            state: State::Polling { until: now + POLL },
        };
        self.ranks.insert(ask.request, rank.clone());
        self.list.insert(rank, waiter);
        true
    }

    /// Sends waiters to free slots. Servers with more of them first.
    fn send(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let mut room: Vec<(Reverse<u32>, InstanceId)> = self
            .slots
            .iter()
            .map(|(instance, slots)| (Reverse(slots.spare(now)), instance.clone()))
            .filter(|(spare, _)| spare.0 > 0)
            .collect();
        room.sort();
        for (Reverse(spare), instance) in room {
            let Some(slots) = self.slots.get_mut(&instance) else {
                continue;
            };
            let next = self
                .list
                .iter_mut()
                .filter(|(_, waiter)| waiter.could_go_to(&instance))
                .take(usize::try_from(spare).unwrap_or(usize::MAX));
            for ((_, _, request), waiter) in next {
                waiter.state = State::Sent {
                    to: instance.clone(),
                    until: now + GRACE,
                };
                slots.promise(now, request.clone());
                self.drain.record(now);
                effects.push(Effect::Tell {
                    request: request.clone(),
                    said: Said::Go {
                        instance: instance.clone(),
                    },
                });
            }
        }
        self.slots.retain(|_, slots| !slots.is_blank(now));
    }

    fn give_up(&mut self, now: Timestamp, request: &RequestId, effects: &mut Vec<Effect>) {
        match self.remove(request).map(|waiter| waiter.state) {
            // Nobody listens any more, but an open call is always answered.
            Some(State::Polling { .. }) => effects.push(Effect::Tell {
                request: request.clone(),
                said: Said::Again,
            }),
            Some(State::Sent { to, .. }) => {
                if let Some(slots) = self.slots.get_mut(&to) {
                    slots.declined(now, request);
                }
            }
            Some(State::Away { .. }) | None => {}
        }
    }

    fn refuse_late(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let late: Vec<(RequestId, bool)> = self
            .list
            .iter()
            .filter(|(_, waiter)| waiter.deadline <= now)
            .map(|((_, _, request), waiter)| (request.clone(), waiter.polls()))
            .collect();
        for (request, polls) in late {
            self.remove(&request);
            if polls {
                let said = self.full(now, self.waiting());
                effects.push(Effect::Tell { request, said });
            }
        }
    }

    fn end_polls(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let mut gone = Vec::new();
        for ((_, _, request), waiter) in &mut self.list {
            match waiter.state {
                State::Polling { until } if until <= now => {
                    waiter.state = State::Away { until: now + GRACE };
                    effects.push(Effect::Tell {
                        request: request.clone(),
                        said: Said::Again,
                    });
                }
                State::Away { until } | State::Sent { until, .. } if until <= now => {
                    gone.push(request.clone());
                }
                State::Polling { .. } | State::Away { .. } | State::Sent { .. } => {}
            }
        }
        for request in gone {
            self.remove(&request);
        }
    }

    /// A promise that ended without a word from its server: it may have a free slot that nobody took,
    /// so it is asked.
    fn end_promises(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for (instance, slots) in &mut self.slots {
            let unheard = slots.end_promises(now);
            let wanted = || self.list.values().any(|w| w.waits_for(instance));
            if unheard && wanted() {
                effects.push(demand(now, instance));
            }
        }
    }

    fn demand_for(&mut self, now: Timestamp, request: &RequestId, effects: &mut Vec<Effect>) {
        let waiter = self.ranks.get(request).and_then(|rank| self.list.get(rank));
        let Some(waiter) = waiter.filter(|waiter| waiter.waits()) else {
            return;
        };
        for instance in waiter.candidates.iter() {
            if self.demanded.insert(instance.clone()) {
                effects.push(demand(now, instance));
            }
        }
        self.demand_at.get_or_insert(now + DEMAND_EVERY);
    }

    fn renew_demand(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.demand_at.is_none_or(|at| at > now) {
            return;
        }
        self.demanded.clear();
        let mut seen: Vec<&Arc<BTreeSet<InstanceId>>> = Vec::new();
        for waiter in self.list.values().filter(|waiter| waiter.waits()) {
            if !seen.iter().any(|set| Arc::ptr_eq(set, &waiter.candidates)) {
                self.demanded.extend(waiter.candidates.iter().cloned());
                seen.push(&waiter.candidates);
            }
        }
        self.demand_at = (!seen.is_empty()).then_some(now + DEMAND_EVERY);
        effects.extend(self.demanded.iter().map(|instance| demand(now, instance)));
    }

    fn has_room(&self, now: Timestamp, candidates: &BTreeSet<InstanceId>) -> bool {
        self.slots
            .iter()
            .any(|(instance, slots)| slots.spare(now) > 0 && candidates.contains(instance))
    }

    fn full(&self, now: Timestamp, waiting: u32) -> Said {
        Said::Full {
            retry_after: self.drain.time_for(now, waiting.saturating_add(1)),
        }
    }

    fn remove(&mut self, request: &RequestId) -> Option<Waiter> {
        let rank = self.ranks.remove(request)?;
        self.list.remove(&rank)
    }

    /// A clock that goes back moves everything that was measured by it; deadlines were not.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        let back = now.until(self.now);
        if back > Span::ZERO {
            for waiter in self.list.values_mut() {
                match &mut waiter.state {
                    State::Polling { until }
                    | State::Away { until }
                    | State::Sent { until, .. } => *until = *until - back,
                }
            }
            for slots in self.slots.values_mut() {
                slots.shift(back);
            }
            self.demand_at = self.demand_at.map(|at| at - back);
            self.drain.shift(back);
        }
        self.now = now;
        now
    }
}

impl Waiter {
    const fn polls(&self) -> bool {
        matches!(self.state, State::Polling { .. })
    }

    const fn waits(&self) -> bool {
        matches!(self.state, State::Polling { .. } | State::Away { .. })
    }

    fn waits_for(&self, instance: &InstanceId) -> bool {
        self.waits() && self.candidates.contains(instance)
    }

    fn could_go_to(&self, instance: &InstanceId) -> bool {
        self.polls() && self.candidates.contains(instance)
    }

    fn due_at(&self) -> Timestamp {
        let (State::Polling { until } | State::Away { until } | State::Sent { until, .. }) =
            self.state;
        until.min(self.deadline)
    }
}

fn demand(now: Timestamp, instance: &InstanceId) -> Effect {
    Effect::Demand {
        instance: instance.clone(),
        until: now + DEMAND,
    }
}
