//! Asks that were cancelled before they came: two messages on two connections can overtake each other,
//! and an ask that nobody waits for any more must not take a slot for the life of a lease.
//!
//! Invariant: at most [`MOST`] ids, each for [`REMEMBERED`]. Each ask at a server has an id of its own, so
//! an id that was cancelled is never asked again in earnest.

use std::collections::VecDeque;

use crate::ids::RequestId;
use crate::time::{Span, Timestamp};

/// An ask that comes later than this has been given up by its own deadline (5 s for one that is decided
/// at once).
const REMEMBERED: Span = Span::from_secs(10);
/// Cancels of unknown ids are rare; a burst of clients that leave at once comes to a few dozen.
const MOST: usize = 256;

/// Ids of cancelled asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Withdrawn {
    ids: VecDeque<(RequestId, Timestamp)>,
}

impl Withdrawn {
    /// A cancel came for an ask that is not here.
    pub(super) fn note(&mut self, now: Timestamp, request: RequestId) {
        self.ids.retain(|(_, at)| now.since(*at) < REMEMBERED);
        if self.ids.len() >= MOST {
            self.ids.pop_front();
        }
        self.ids.push_back((request, now));
    }

    /// Whether this ask was cancelled before it came.
    pub(super) fn holds(&self, now: Timestamp, request: &RequestId) -> bool {
        self.ids
            .iter()
            .any(|(id, at)| id == request && now.since(*at) < REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_that_overtook_its_ask_is_remembered_for_ten_seconds() {
        let t0 = Timestamp::from_ms(1_000_000);
        let id = RequestId::new("r");
        let mut withdrawn = Withdrawn::default();
        assert!(!withdrawn.holds(t0, &id));
        withdrawn.note(t0, id.clone());
        assert!(withdrawn.holds(t0 + Span::from_ms(9_999), &id));
        assert!(!withdrawn.holds(t0 + Span::from_secs(10), &id));
        assert!(!withdrawn.holds(t0, &RequestId::new("other")));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let t0 = Timestamp::from_ms(1_000_000);
        let mut withdrawn = Withdrawn::default();
        for n in 0..1000 {
            withdrawn.note(t0, RequestId::new(n.to_string()));
        }
        assert_eq!(withdrawn.ids.len(), MOST);
        assert!(withdrawn.holds(t0, &RequestId::new("999")));
    }
}
