//! When everything is listed, and what a whole list means.
//!
//! Invariant: only a list that was followed to its end is judged, and it is judged by markers: a machine is
//! its attempt's, a stray, or, with somebody else's mark, none of ours. One list decides about each machine
//! once, however often its pages show it.
//!
//! In scope: the rhythm, the verdicts. Out of scope: pages and cursors, and what is done about a verdict.

use std::collections::{BTreeMap, BTreeSet};

use super::attempt::{Attempt, AttemptId};
use super::stray::Why;
use crate::ids::MachineId;
use crate::time::{Span, Timestamp};

/// How often everything is listed.
pub const EVERY: Span = Span::from_secs(5 * 60);
/// How often it is while only a list can tell what became of an attempt.
pub const EVERY_WHILE_UNCLEAR: Span = Span::from_secs(60);

/// When the next sweep is due, if the last was begun then.
pub fn next(last: Option<Timestamp>, is_unclear: bool, now: Timestamp) -> Timestamp {
    let every = if is_unclear {
        EVERY_WHILE_UNCLEAR
    } else {
        EVERY
    };
    // A clock that jumped back must not put it off.
    last.map_or(now, |last| last.min(now) + every)
}

/// A machine in a list, with our mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The vendor's id.
    pub machine: MachineId,
    /// What its marker names.
    pub attempt: AttemptId,
    /// It is gone and lingers in the list.
    pub is_gone: bool,
}

/// What a whole list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The machine in this place of the list is its attempt's.
    Its {
        /// The place.
        place: usize,
    },
    /// The machine in this place of the list is nobody's.
    Stray {
        /// The place.
        place: usize,
        /// Why.
        why: Why,
    },
    /// The list should show this attempt, and does not.
    Missing {
        /// Which.
        attempt: AttemptId,
    },
}

/// Judges a whole list that was begun then. `attempts` are those that this list would show; `others` are all
/// others that are known, since a machine may turn up where nobody expects it.
pub fn judge(
    begun_at: Timestamp,
    lag: Span,
    listed: &[Listed],
    attempts: &BTreeMap<&AttemptId, &Attempt>,
    others: &BTreeMap<&AttemptId, &Attempt>,
) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut judged: BTreeSet<&MachineId> = BTreeSet::new();
    let mut shown: BTreeMap<&AttemptId, &MachineId> = BTreeMap::new();
    // A machine that is there before one that lingers: of two, the living one is the attempt's.
    let living = listed.iter().enumerate().filter(|(_, each)| !each.is_gone);
    let gone = listed.iter().enumerate().filter(|(_, each)| each.is_gone);
    for (place, each) in living.chain(gone) {
        if !judged.insert(&each.machine) {
            continue;
        }
        let known = attempts
            .get(&each.attempt)
            .or_else(|| others.get(&each.attempt));
        let owned = known.and_then(|attempt| attempt.machine.as_ref());
        let owned = owned.or_else(|| shown.get(&each.attempt).copied());
        let why = match known {
            None => Some(Why::Orphan),
            Some(attempt) if attempt.is_unwanted() => Some(Why::Unwanted),
            Some(_) if owned.is_some_and(|own| *own != each.machine) => Some(Why::Twin),
            Some(_) => None,
        };
        match why {
            None => {
                shown.insert(&each.attempt, &each.machine);
                verdicts.push(Verdict::Its { place });
            }
            // What is gone costs nothing and needs nobody.
            Some(_) if each.is_gone => {}
            Some(why) => verdicts.push(Verdict::Stray { place, why }),
        }
    }
    for (id, attempt) in attempts {
        let is_shown = shown.contains_key(*id);
        if !is_shown && attempt.is_expected(begun_at, lag) {
            let attempt = (*id).clone();
            verdicts.push(Verdict::Missing { attempt });
        }
    }
    verdicts
}

#[cfg(test)]
mod tests;
