//! A machine with a marker of ours that no attempt owns: an orphan, a twin, or one that nobody wants any more.
//!
//! Invariant: `destroyed ⇒ unwanted ∨ (sightings in whole lists ≥ 2 ∧ age ≥ 10 min)`. A machine that our own
//! records do not know may be one that they have lost, or that a release beside this one has just made, so
//! absence from them has to last. One that we have decided against is given back at once. Whatever it is, it
//! is forgotten only at the vendor's word.
//!
//! In scope: when it is given back, how often the vendor is asked whether it is gone. Out of scope: what it
//! costs, and the calls.

use crate::backoff::exponential;
use crate::time::{Span, Timestamp};

/// A machine that nobody knows is left alone for so long.
pub const GRACE: Span = Span::from_secs(10 * 60);
/// And until it was in so many whole lists.
const SIGHTINGS: u32 = 2;
/// Lists that begin closer together than this count as one: a vendor may show the same moment in both.
const APART: Span = Span::from_secs(60);
/// Pauses between two questions whether it is gone.
const POLL: (Span, Span) = (Span::from_secs(5), Span::from_secs(60));
/// The order is given again with every so many-th answer that shows it still there.
const REPEAT_EVERY: u32 = 4;
/// Somebody is told when it is still there after this long.
const ALERT_AFTER: Span = Span::from_secs(15 * 60);
/// Answers "there is no such machine" that it takes.
const NOT_FOUND: u32 = 2;
/// How long one that is gone is remembered, so that one that comes back goes on with its cost.
const REMEMBERED: Span = Span::from_secs(7 * 24 * 3600);

/// Why it is a stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its attempt is not known.
    Orphan,
    /// Its attempt has another machine.
    Twin,
    /// Its attempt was refused, withdrawn or abandoned.
    Unwanted,
}

impl Why {
    /// In words, for the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Orphan => "its marker is ours, and no attempt to rent is known for it",
            Self::Twin => "the attempt that its marker names has another machine",
            Self::Unwanted => "the attempt that its marker names was given up",
        }
    }
}

/// A stray, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Why it is one.
    pub why: Why,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// Whole lists that showed it.
    pub sightings: u32,
    /// When the last of them was begun.
    pub listed_at: Timestamp,
    /// What is being done about it.
    pub watch: Watch,
    /// Answers in a row that there is no such machine.
    pub not_found: u32,
    /// When the first of them was asked for.
    pub absent_since: Option<Timestamp>,
    /// Questions since the watch began.
    pub polls: u32,
}

/// What is being done about a stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// It is looked at in lists.
    Noticed,
    /// A whole list did not show it: it is asked for by its id.
    Missing,
    /// It is being given back.
    Ending {
        /// Since when.
        since: Timestamp,
        /// When the vendor took the order.
        taken_at: Option<Timestamp>,
        /// Somebody was told that it is still there.
        is_alerted: bool,
    },
    /// It is gone, by the vendor's word.
    Gone {
        /// When that was heard.
        at: Timestamp,
        /// When it cost something for the last time.
        closed_at: Timestamp,
    },
}

/// What the vendor says, asked for this very machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is there.
    There {
        /// And on its way out.
        is_ending: bool,
    },
    /// It is gone.
    Gone {
        /// When its meter stopped, if the vendor says so.
        billed_until: Option<Timestamp>,
    },
    /// There is no such machine.
    NotFound,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing until another list.
    Wait,
    /// Give it back, and ask whether it is gone after this long, whatever comes of the order.
    Destroy {
        /// How long.
        ask_in: Span,
    },
    /// Ask whether it is gone, after this long.
    Ask(Span),
    /// It is gone.
    Close,
}

impl Stray {
    /// A machine that turned up in a whole list that was begun then, or in an answer of that moment.
    pub const fn new(now: Timestamp, begun_at: Timestamp, why: Why) -> Self {
        Self {
            why,
            first_seen: now,
            last_seen: now,
            sightings: 1,
            listed_at: begun_at,
            watch: Watch::Noticed,
            not_found: 0,
            absent_since: None,
            polls: 0,
        }
    }

    /// Whether it may be given back now.
    pub fn may_be_destroyed(&self, now: Timestamp) -> bool {
        self.why == Why::Unwanted || (self.sightings >= SIGHTINGS && self.first_seen + GRACE <= now)
    }

    /// A whole list that was begun then shows it.
    pub fn listed(&mut self, now: Timestamp, begun_at: Timestamp, why: Why) -> Step {
        if matches!(self.watch, Watch::Gone { .. }) {
            // Back again. What was decided about it was decided about one that was gone.
            *self = Self::new(now, begun_at, why);
            return self.decide(now);
        }
        if why == Why::Unwanted || self.why == Why::Orphan {
            self.why = why;
        }
        self.seen(now);
        if self.listed_at + APART <= begun_at {
            self.listed_at = begun_at;
            self.sightings = self.sightings.saturating_add(1);
        }
        match self.watch {
            Watch::Noticed | Watch::Missing => self.decide(now),
            // The questions go on by themselves.
            Watch::Ending { .. } | Watch::Gone { .. } => Step::Wait,
        }
    }

    /// What follows from what is known.
    pub fn decide(&mut self, now: Timestamp) -> Step {
        match self.watch {
            Watch::Noticed | Watch::Missing if self.may_be_destroyed(now) => {
                self.watch = Watch::Ending {
                    since: now,
                    taken_at: None,
                    is_alerted: false,
                };
                self.polls = 0;
                let ask_in = self.next_pause();
                Step::Destroy { ask_in }
            }
            Watch::Missing => {
                self.watch = Watch::Noticed;
                Step::Wait
            }
            Watch::Noticed | Watch::Ending { .. } | Watch::Gone { .. } => Step::Wait,
        }
    }

    /// A whole list that was begun then should show it, and does not.
    pub fn missed(&mut self, begun_at: Timestamp) -> Step {
        if self.watch != Watch::Noticed || begun_at < self.last_seen {
            return Step::Wait;
        }
        self.watch = Watch::Missing;
        self.polls = 0;
        Step::Ask(Span::ZERO)
    }

    /// The vendor does what it was told.
    pub fn destroy_taken(&mut self, now: Timestamp) -> Step {
        match &mut self.watch {
            Watch::Ending {
                taken_at: taken_at @ None,
                ..
            } => {
                *taken_at = Some(now);
                self.polls = 0;
                Step::Ask(self.next_pause())
            }
            // The questions go on by themselves.
            Watch::Ending { .. } | Watch::Noticed | Watch::Missing | Watch::Gone { .. } => {
                Step::Wait
            }
        }
    }

    /// The vendor was asked for it at `asked_at`. `lag` is after what time a machine is known everywhere.
    pub fn heard(&mut self, now: Timestamp, asked_at: Timestamp, said: Said, lag: Span) -> Step {
        match (self.watch, said) {
            (Watch::Noticed | Watch::Gone { .. }, _) => Step::Wait,
            (Watch::Missing | Watch::Ending { .. }, Said::Gone { billed_until }) => {
                self.close(now, billed_until.unwrap_or(now))
            }
            (Watch::Missing | Watch::Ending { .. }, Said::NotFound) => {
                let is_past_order = match self.watch {
                    Watch::Ending { taken_at, .. } => taken_at.is_some_and(|at| at <= asked_at),
                    Watch::Noticed | Watch::Missing | Watch::Gone { .. } => false,
                };
                if is_past_order || self.first_seen + lag <= asked_at {
                    self.absent_since.get_or_insert(asked_at);
                    self.not_found = self.not_found.saturating_add(1);
                }
                match (self.watch, self.absent_since) {
                    (Watch::Ending { .. }, Some(at)) if self.not_found >= NOT_FOUND => {
                        self.close(now, at)
                    }
                    // Somebody else has ended it, nobody knows when: it was there when it was last seen.
                    (_, Some(_)) if self.not_found >= NOT_FOUND => self.close(now, self.last_seen),
                    _ => Step::Ask(self.next_pause()),
                }
            }
            (Watch::Missing, Said::There { .. }) => {
                self.seen(now);
                self.decide(now)
            }
            (Watch::Ending { .. }, Said::There { is_ending }) => {
                self.seen(now);
                let ask_in = self.next_pause();
                if !is_ending && self.polls.is_multiple_of(REPEAT_EVERY) {
                    return Step::Destroy { ask_in };
                }
                Step::Ask(ask_in)
            }
        }
    }

    /// Whether somebody should be told that it is still there; once.
    pub fn alert(&mut self, now: Timestamp) -> bool {
        match &mut self.watch {
            Watch::Ending {
                since, is_alerted, ..
            } if !*is_alerted && *since + ALERT_AFTER <= now => {
                *is_alerted = true;
                true
            }
            Watch::Noticed | Watch::Missing | Watch::Ending { .. } | Watch::Gone { .. } => false,
        }
    }

    /// When [`Stray::alert`] will say so.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        match self.watch {
            Watch::Ending {
                since,
                is_alerted: false,
                ..
            } => Some(since + ALERT_AFTER),
            Watch::Noticed | Watch::Missing | Watch::Ending { .. } | Watch::Gone { .. } => None,
        }
    }

    /// Whether it is gone.
    pub const fn is_gone(&self) -> bool {
        matches!(self.watch, Watch::Gone { .. })
    }

    /// Whether a list that was begun then is older than the vendor's word that it is gone. A clock that was set
    /// back makes nothing old.
    pub fn outdates(&self, now: Timestamp, begun_at: Timestamp) -> bool {
        match self.watch {
            Watch::Gone { at, .. } => at <= now && begun_at < at,
            Watch::Noticed | Watch::Missing | Watch::Ending { .. } => false,
        }
    }

    /// Whether it need not be remembered any longer.
    pub fn may_be_forgotten(&self, now: Timestamp) -> bool {
        match self.watch {
            Watch::Gone { at, .. } => at + REMEMBERED <= now,
            Watch::Noticed | Watch::Missing | Watch::Ending { .. } => false,
        }
    }

    fn seen(&mut self, now: Timestamp) {
        self.last_seen = now;
        self.not_found = 0;
        self.absent_since = None;
    }

    fn next_pause(&mut self) -> Span {
        let (base, cap) = POLL;
        let pause = exponential(base, cap, self.polls);
        self.polls = self.polls.saturating_add(1);
        pause
    }

    fn close(&mut self, at: Timestamp, closed_at: Timestamp) -> Step {
        // A vendor's clock may be ahead of ours; nothing is billed beyond its own word.
        let closed_at = closed_at.min(at);
        self.watch = Watch::Gone { at, closed_at };
        Step::Close
    }
}

#[cfg(test)]
mod tests;
