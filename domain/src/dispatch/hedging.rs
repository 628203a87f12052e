//! When a silent attempt is raced against another server, and what a refused race leads to.
//!
//! Invariant: a request has at most one hedge running or won, and asks for one [`HEDGE_ASKS`] times at most.

use super::{Dispatch, Effect, Manner, Purpose, Refusal, Slot, Standing};
use crate::time::{Span, Timestamp};

/// Asks for a hedge in one request. A server's retry budget is a minute's, and with the usual delay of 4 s
/// five asks reach 12 s far; a fleet that has refused so often has no room for races.
const HEDGE_ASKS: u32 = 5;

/// Shortest pause between two asks for a hedge.
const SHORTEST_PAUSE: Span = Span::from_secs(1);

/// How far the race for a silent attempt is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hedge {
    asks: u32,
    /// Where the last ask went.
    last: Option<Slot>,
    /// The last ask was refused: not before this moment again.
    again_at: Option<Timestamp>,
}

impl Dispatch {
    /// A hedge is due when one attempt alone is running, silent for long enough, and a candidate is left.
    pub(super) fn hedge_at(&self) -> Option<Timestamp> {
        let after = self.limits.hedge_after?;
        if self.phase != super::Phase::Searching || self.hedge_candidate().is_none() {
            return None;
        }
        if self
            .standings
            .iter()
            .any(|standing| matches!(standing, Standing::Asked(..) | Standing::Held(..)))
        {
            return None;
        }
        let mut live = self.attempts.iter().filter(|attempt| attempt.live);
        let (Some(only), None) = (live.next(), live.next()) else {
            return None;
        };
        let due = only.started_at + after;
        match self.hedge {
            Hedge { asks: 0, .. } => Some(due),
            Hedge {
                asks,
                again_at: Some(again_at),
                ..
            } if asks < HEDGE_ASKS => Some(due.max(again_at)),
            Hedge { .. } => None,
        }
    }

    pub(super) fn ask_hedge(&mut self, effects: &mut Vec<Effect>) {
        let Some(slot) = self.hedge_candidate() else {
            return;
        };
        self.hedge = Hedge {
            asks: self.hedge.asks.saturating_add(1),
            last: Some(slot),
            again_at: None,
        };
        self.ask(slot, Purpose::Hedge, Manner::Tentative, effects);
    }

    /// The silent attempt would hang until its deadline if nobody were asked again: budgets and slots
    /// come free in the meantime.
    pub(super) fn on_hedge_refused(&mut self, now: Timestamp) {
        if let Some(after) = self.limits.hedge_after {
            let pause = Span::from_ms(after.as_ms() / 2).max(SHORTEST_PAUSE);
            self.hedge.again_at = Some(now + pause);
        }
    }

    /// One that was not asked yet, else those that refused in turn, except where time changes nothing.
    fn hedge_candidate(&self) -> Option<Slot> {
        let may_relent = |slot: &Slot| match self.standings.get(*slot) {
            Some(Standing::Refused(refusal)) => {
                !matches!(refusal, Refusal::OutOfService | Refusal::TooLate)
            }
            _ => false,
        };
        let after_last = self.hedge.last.map_or(0, |last| last.saturating_add(1));
        self.next_fresh().or_else(|| {
            let slots = self.standings.len();
            (after_last..slots)
                .chain(0..after_last.min(slots))
                .find(may_relent)
        })
    }
}
