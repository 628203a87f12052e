//! Who calls the vendor when.
//!
//! Invariants: `under way ≤ 4`, of which one place is kept for a "destroy". A call that waits goes in the end:
//! calls go in the order of `asked + patience of their kind`, so nothing overtakes a call for ever. A read that
//! is not overdue leaves the last tokens to whoever gives a machine back. After "too many calls" nobody calls
//! before the vendor wants to be called again.
//!
//! The straightforward order, by kind alone, starves: a hundred machines that are being given back ask for more
//! calls than the vendor takes, and the reads that would confirm their end never run.
//!
//! In scope: tokens, places, pauses. Out of scope: what is called, and what an error means for it.

use std::collections::BTreeMap;

use crate::backoff::{exponential, jitter};
use crate::time::{Span, Timestamp};

/// Calls under way at once. A host lets an object have six connections open.
pub const MOST_UNDER_WAY: usize = 4;
/// The same for all that give nothing back.
const MOST_OTHERS: usize = MOST_UNDER_WAY - 1;
/// A call in the units in which tokens are counted: a millisecond adds `calls_per_minute` of them.
const CALL: i64 = 60_000;
/// A burst is this share of a minute's calls.
const BURST_SHARE: i64 = 4;
/// Reads leave this share of a burst alone.
const RESERVE_SHARE: i64 = 4;
/// Pauses after "too many calls", and after silence.
const PAUSE: (Span, Span) = (Span::from_secs(1), Span::from_secs(60));
/// Pauses while the credential is refused. It is asked again so that a credential that is put right at the
/// vendor works without anybody telling us.
const REFUSED_PAUSE: (Span, Span) = (Span::from_secs(5), Span::from_secs(300));
/// While the vendor is silent or refuses us, one "destroy" goes each time this has passed.
const DESTROY_GAP: Span = Span::from_secs(5);
/// Longest pause that a vendor may ask for. Dates in the next century have been seen.
const LONGEST_ASKED: Span = Span::from_secs(300);
/// A call that is not heard of for so long is not under way any more, whatever became of it.
const LONGEST_CALL: Span = Span::from_secs(60);
/// What is added to a pause that a vendor asked for, so that its customers do not come back in one instant.
const SPREAD: (Span, Span) = (Span::from_secs(1), Span::from_secs(10));

/// What kind of call it is; an earlier one is more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Gives a machine back.
    Destroy,
    /// Rents one.
    Create,
    /// Starts or stops one.
    Power,
    /// Asks for one machine.
    Get,
    /// Lists machines.
    List,
    /// Reads the catalogue, or tests the account.
    Shop,
}

impl Priority {
    /// Every kind, the most urgent first.
    pub const ALL: [Self; 6] = [
        Self::Destroy,
        Self::Create,
        Self::Power,
        Self::Get,
        Self::List,
        Self::Shop,
    ];

    /// For how long it lets more urgent calls go first; after that it is overdue.
    pub const fn patience(self) -> Span {
        Span::from_secs(match self {
            Self::Destroy => 0,
            Self::Create => 15,
            Self::Power => 30,
            Self::Get => 60,
            Self::List => 90,
            Self::Shop => 120,
        })
    }

    const fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Shop)
    }
}

/// A call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its kind.
    pub priority: Priority,
    /// Since when it could go.
    pub since: Timestamp,
    /// It is there to find out whether the vendor answers and lets us in, because a person asks: it does not
    /// wait for the pauses that are made because the vendor does not.
    pub probes: bool,
}

/// What a call says about the vendor, whatever it says about its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It answered, if only that it will not do this.
    Answered,
    /// Too many calls; come back later.
    TooMany {
        /// How much later, if it says so.
        retry_after: Option<Span>,
    },
    /// Nothing, or that it is out of order.
    Nothing,
    /// It does not let this account in.
    Refused,
    /// Something that says nothing of whether this account is let in: about one permission, or about another
    /// credential than its own.
    Aside,
}

/// What is stored, so that an eviction does not knock on a door that was just closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetRecord {
    /// After too many calls.
    pub limited: Pause,
    /// After silence.
    pub silent: Pause,
    /// While the credential is refused.
    pub refused: Pause,
}

/// A pause that grows while its reason stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    /// How often in a row.
    pub count: u32,
    /// Until when; means nothing while `count` is zero.
    pub until: Timestamp,
    /// How long it was when it began, so that a clock that jumps back does not prolong it.
    pub length: Span,
}

/// The budget.
#[derive(Clone, Debug)]
pub struct CallBudget {
    per_minute: i64,
    salt: u64,
    level: i64,
    filled_at: Timestamp,
    under_way: BTreeMap<u64, UnderWay>,
    pauses: BudgetRecord,
    /// Calls that left before the last pause began say nothing new.
    paused_at: Timestamp,
    last_destroy: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    priority: Priority,
    begun_at: Timestamp,
}

impl CallBudget {
    /// A budget of so many calls a minute. `salt` is fixed per account and spreads its pauses from others'.
    ///
    /// It starts with half a burst: an object that is evicted between two calls forgets its level, and full
    /// would let each of its lives begin with a burst.
    pub fn new(calls_per_minute: u32, salt: u64, record: BudgetRecord, now: Timestamp) -> Self {
        let per_minute = i64::from(calls_per_minute.max(1));
        let mut budget = Self {
            per_minute,
            salt,
            level: 0,
            filled_at: now,
            under_way: BTreeMap::new(),
            pauses: record,
            paused_at: Timestamp::from_ms(i64::MIN),
            last_destroy: None,
        };
        budget.level = (budget.burst() / 2).max(CALL);
        budget
    }

    /// What to store.
    pub const fn record(&self) -> BudgetRecord {
        self.pauses
    }

    /// Whether the vendor does not answer as it should.
    pub const fn is_troubled(&self) -> bool {
        self.pauses.limited.count > 0
            || self.pauses.silent.count > 0
            || self.pauses.refused.count > 0
    }

    /// Until when calls wait; nothing while they do not.
    pub fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        [self.pauses.limited, self.pauses.silent, self.pauses.refused]
            .into_iter()
            .filter(|pause| pause.count > 0 && pause.until > now)
            .map(|pause| pause.until)
            .max()
    }

    /// Which of the calls that wait goes now, by its place; nothing when none may.
    pub fn choose(&mut self, now: Timestamp, waiting: &[Waiting]) -> Option<usize> {
        self.settle(now);
        waiting
            .iter()
            .enumerate()
            .filter(|(_, call)| self.allowed_at(now, call).is_some_and(|at| at <= now))
            .min_by_key(|(_, call)| (call.since + call.priority.patience(), call.priority))
            .map(|(place, _)| place)
    }

    /// When [`CallBudget::choose`] may let one of these go, if nothing ends before.
    pub fn poll_timeout(&mut self, now: Timestamp, waiting: &[Waiting]) -> Option<Timestamp> {
        self.settle(now);
        waiting
            .iter()
            .map(|call| {
                let place = self.allowed_at(now, call);
                place.unwrap_or_else(|| self.next_place(now))
            })
            .min()
    }

    /// Whether this budget saw the call leave and has not heard of its end.
    pub fn is_under_way(&self, call: u64) -> bool {
        self.under_way.contains_key(&call)
    }

    /// When the place of a call that is never heard of again is free.
    fn next_place(&self, now: Timestamp) -> Timestamp {
        let ends = self.under_way.values().map(|call| call.begun_at);
        ends.min().map_or(now, |begun_at| begun_at + LONGEST_CALL)
    }

    /// This call leaves.
    pub fn begin(&mut self, now: Timestamp, call: u64, priority: Priority) {
        self.settle(now);
        self.level = (self.level - CALL).max(0);
        if priority == Priority::Destroy {
            self.last_destroy = Some(now);
        }
        let begun_at = now;
        self.under_way.insert(call, UnderWay { priority, begun_at });
    }

    /// This call ended, or is not waited for any longer. One that this budget did not see leave left before
    /// an eviction.
    pub fn end(&mut self, now: Timestamp, call: u64, said: Said) {
        self.settle(now);
        let call = self.under_way.remove(&call);
        let is_news = call.is_none_or(|call| call.begun_at >= self.paused_at);
        // They go on while reads pause. If their failures prolonged that pause, no read would ever go while
        // only "destroy" is out of order.
        let is_destroy = call.is_some_and(|call| call.priority == Priority::Destroy);
        match said {
            Said::Aside => {}
            Said::Answered => self.pauses = BudgetRecord::default(),
            Said::TooMany { retry_after } => {
                self.pauses.silent = Pause::default();
                if is_news {
                    let count = self.pauses.limited.count;
                    let length = match retry_after {
                        Some(asked) if asked > Span::ZERO => self.asked_pause(asked, count),
                        _ => self.own_pause(PAUSE, count),
                    };
                    self.pauses.limited = self.pause(now, count, length);
                }
            }
            Said::Nothing if is_news && (!is_destroy || self.pauses.silent.count == 0) => {
                let count = self.pauses.silent.count;
                let length = self.own_pause(PAUSE, count);
                self.pauses.silent = self.pause(now, count, length);
            }
            Said::Nothing => {}
            Said::Refused => {
                self.pauses.limited = Pause::default();
                self.pauses.silent = Pause::default();
                if is_news {
                    let count = self.pauses.refused.count;
                    let length = self.own_pause(REFUSED_PAUSE, count);
                    self.pauses.refused = self.pause(now, count, length);
                }
            }
        }
    }

    /// Another credential is in use: what was refused to the old one says nothing of it.
    pub fn readmit(&mut self) {
        self.pauses.refused = Pause::default();
    }

    fn pause(&mut self, now: Timestamp, count: u32, length: Span) -> Pause {
        self.paused_at = now;
        Pause {
            count: count.saturating_add(1),
            until: now + length,
            length,
        }
    }

    /// Half of it fixed, half of it drawn: a hundred accounts that fell silent together come back apart.
    fn own_pause(&self, (base, cap): (Span, Span), count: u32) -> Span {
        let half = Span::from_ms(exponential(base, cap, count).as_ms() / 2);
        half + jitter(self.salt, u64::from(count), half)
    }

    fn asked_pause(&self, asked: Span, count: u32) -> Span {
        let asked = asked.min(LONGEST_ASKED);
        let (least, most) = SPREAD;
        asked + jitter(self.salt, u64::from(count), asked.max(least).min(most))
    }

    const fn burst(&self) -> i64 {
        let burst = self.per_minute / BURST_SHARE;
        (if burst < 1 { 1 } else { burst }) * CALL
    }

    /// Fills up the tokens, and holds every moment to its own length whatever the clock did.
    fn settle(&mut self, now: Timestamp) {
        let gained = now
            .since(self.filled_at)
            .as_ms()
            .saturating_mul(self.per_minute);
        self.level = self.level.saturating_add(gained).min(self.burst());
        self.filled_at = now;
        let Self { pauses, .. } = self;
        for pause in [&mut pauses.limited, &mut pauses.silent, &mut pauses.refused] {
            pause.until = pause.until.min(now + pause.length);
        }
        self.under_way.retain(|_, call| {
            call.begun_at = call.begun_at.min(now);
            call.begun_at + LONGEST_CALL > now
        });
        self.paused_at = self.paused_at.min(now);
        self.last_destroy = self.last_destroy.map(|at| at.min(now));
    }

    /// When this call may go, as far as tokens and pauses are concerned; nothing without a place for it.
    fn allowed_at(&self, now: Timestamp, call: &Waiting) -> Option<Timestamp> {
        let is_destroy = call.priority == Priority::Destroy;
        let is_alone = self.is_troubled() && !call.probes;
        let destroys = self
            .under_way
            .values()
            .filter(|other| other.priority == Priority::Destroy)
            .count();
        let others = self.under_way.len() - destroys;
        let has_place = match (is_destroy, is_alone) {
            // In trouble one knocks, the others wait for what it is told; a "destroy" waits for no other.
            (true, true) => destroys == 0,
            (false, true) => others == 0 && (self.pauses.limited.count == 0 || destroys == 0),
            (true, false) => destroys + others < MOST_UNDER_WAY,
            (false, false) => others < MOST_OTHERS && destroys + others < MOST_UNDER_WAY,
        };
        if !has_place {
            return None;
        }
        let mut at = now;
        let BudgetRecord {
            limited,
            silent,
            refused,
        } = self.pauses;
        if limited.count > 0 {
            at = at.max(limited.until);
        }
        for pause in [silent, refused] {
            if pause.count == 0 || call.probes {
                continue;
            }
            at = at.max(match (is_destroy, self.last_destroy) {
                (false, _) => pause.until,
                (true, Some(last)) => last + DESTROY_GAP,
                (true, None) => at,
            });
        }
        Some(at.max(self.token_at(now, call)))
    }

    fn token_at(&self, now: Timestamp, call: &Waiting) -> Timestamp {
        let one = self.level_at(now, CALL);
        if !call.priority.is_read() {
            return one;
        }
        let reserve = (self.burst() / RESERVE_SHARE).max(CALL);
        let beyond_reserve = self.level_at(now, (reserve + CALL).min(self.burst()));
        let overdue = call.since + call.priority.patience();
        beyond_reserve.min(one.max(overdue))
    }

    fn level_at(&self, now: Timestamp, wanted: i64) -> Timestamp {
        let missing = (wanted - self.level).max(0);
        // Rounded up: a moment too early would be one in which nobody may go yet.
        now + Span::from_ms((missing + self.per_minute - 1) / self.per_minute)
    }
}

#[cfg(test)]
mod tests;
