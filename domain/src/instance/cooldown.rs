//! The pause a server gets after 429 or 503.
//!
//! Invariant: a cool-down ends at most `longest_honoured` from now, whatever the server asked for and
//! the clock does. Answers that were under way when it began do not lengthen it unless they name a
//! time: eight requests refused at once are one refusal.

use crate::backoff::exponential;
use crate::time::{Span, Timestamp};

/// How long to pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CooldownPolicy {
    /// The shortest `Retry-After` honoured.
    pub shortest_honoured: Span,
    /// The longest `Retry-After` honoured.
    pub longest_honoured: Span,
    /// The first pause when the server names no time; it doubles.
    pub first: Span,
    /// The longest pause when the server names no time.
    pub longest: Span,
}

impl Default for CooldownPolicy {
    fn default() -> Self {
        Self {
            shortest_honoured: Span::from_secs(1),
            longest_honoured: Span::from_secs(300),
            first: Span::from_secs(1),
            longest: Span::from_secs(60),
        }
    }
}

/// What outlives a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CooldownRecord {
    /// The pause that runs.
    pub pause: Option<Pause>,
    /// Cool-downs since the last success.
    pub strikes: u32,
}

/// A pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when the server is left alone.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// The cool-down of one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cooldown {
    policy: CooldownPolicy,
    record: CooldownRecord,
}

impl Cooldown {
    pub(crate) const fn new(policy: CooldownPolicy, record: CooldownRecord) -> Self {
        Self { policy, record }
    }

    pub(crate) const fn record(&self) -> CooldownRecord {
        self.record
    }

    pub(crate) fn set_policy(&mut self, policy: CooldownPolicy) {
        self.policy = policy;
    }

    /// The pause, if it is not over at `now`.
    pub(crate) fn pause(&self, now: Timestamp) -> Option<Pause> {
        let latest = now + self.policy.longest_honoured.max(self.policy.longest);
        let Pause { since, until } = self.record.pause?;
        (until > now).then(|| Pause {
            since: since.min(now),
            until: until.min(latest),
        })
    }

    /// The server asked for a pause. Returns until when, if that is news.
    pub(crate) fn start(&mut self, now: Timestamp, retry_after: Option<Span>) -> Option<Timestamp> {
        let CooldownPolicy {
            shortest_honoured: least,
            longest_honoured: most,
            ..
        } = self.policy;
        // A zero says nothing more than the status did; not `clamp`, which panics if the two are swapped.
        let named = retry_after
            .filter(|span| *span > Span::ZERO)
            .map(|span| now + span.min(most).max(least));
        let pause = match (self.pause(now), named) {
            (Some(Pause { since, until }), Some(named)) if named > until => Pause {
                since,
                until: named,
            },
            (Some(_), _) => return None,
            (None, named) => {
                let strikes = self.record.strikes;
                self.record.strikes = strikes.saturating_add(1).min(32);
                let backed_off = now + exponential(self.policy.first, self.policy.longest, strikes);
                Pause {
                    since: now,
                    until: named.unwrap_or(backed_off),
                }
            }
        };
        self.record.pause = Some(pause);
        Some(pause.until)
    }

    /// A success: the next pause is a short one. A pause that runs is kept, since the success was
    /// granted before it began.
    pub(crate) fn succeeded(&mut self) {
        self.record.strikes = 0;
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.record.pause = self.pause(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.record.pause.map(|pause| pause.until)
    }
}
