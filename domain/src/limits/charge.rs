//! What one request is charged, as it is stored.
//!
//! Invariant: a charge is needed until its minute is over, its lease has ended and the minute of its
//! overuse is over, whichever is last.

use super::{LEASE, WINDOW};
use crate::ids::RequestId;
use crate::time::{Span, Timestamp};

/// More tokens than any request has: a trillion. Bounded here, a minute of them cannot overflow a sum,
/// nor the 53 bits of integer that some stores keep.
const MOST_TOKENS: u64 = 1 << 40;

/// One request's charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Whose.
    pub request: RequestId,
    /// When it was admitted: the moment at which the request and its tokens count.
    pub admitted_at: Timestamp,
    /// Tokens reserved; once settled, those of them that were used.
    pub tokens: u64,
    /// Until when its place is held; `None` once it has ended.
    pub lease_until: Option<Timestamp>,
    /// What it used beyond its reservation.
    pub overuse: Option<Overuse>,
}

/// Tokens beyond a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overuse {
    /// When they became known: the moment at which they count.
    pub at: Timestamp,
    /// How many.
    pub tokens: u64,
}

impl Charge {
    /// Whether the request has ended.
    pub const fn is_over(&self) -> bool {
        self.lease_until.is_none()
    }

    /// When it means nothing any more.
    pub(super) fn forget_at(&self) -> Timestamp {
        let window = self.admitted_at + WINDOW;
        let overuse = self.overuse.map_or(window, |over| over.at + WINDOW);
        window
            .max(overuse)
            .max(self.lease_until.unwrap_or(self.admitted_at))
    }

    /// The time of its last change, as far as it shows.
    pub(super) fn written_at(&self) -> Timestamp {
        let leased = self.lease_until.map(|until| until - LEASE);
        let over = self.overuse.map(|over| over.at);
        [leased, over]
            .into_iter()
            .flatten()
            .fold(self.admitted_at, Ord::max)
    }

    pub(super) fn shifted(self, back: Span) -> Self {
        Self {
            admitted_at: self.admitted_at - back,
            lease_until: self.lease_until.map(|until| until - back),
            overuse: self.overuse.map(|over| Overuse {
                at: over.at - back,
                ..over
            }),
            ..self
        }
    }
}

pub(super) fn bounded(tokens: u64) -> u64 {
    tokens.min(MOST_TOKENS)
}
