//! Changes that may be asked for again: the same request under the same key is carried out once, and
//! whoever repeats it hears the first answer.
//!
//! Invariant: at most one asker holds an entry at a time, and a change that was made is never made again
//! while its entry lives. An asker that died frees the entry by the end of its lease; one that is late finds
//! another's token in it.
//!
//! In scope: who may go on, and how long what is kept. Out of scope: what is kept (the fleet's rows) and
//! what makes two requests the same (the edge).

use crate::time::{Span, Timestamp};

/// How long a key is remembered, counted from its first request.
pub const KEEP: Span = Span::from_secs(24 * 3600);
/// How long an answer that holds a secret is, and whatever the secret could be made from again.
pub const KEEP_SECRETS: Span = Span::from_secs(600);
/// How long an asker is waited for. The longest change takes half of it: a check of 10 s, the registry's own
/// limit of 10 s, a courtesy of 3 s.
pub const LEASE: Span = Span::from_secs(45);
/// When to ask again while somebody else is at it. Most changes take milliseconds.
pub const ASK_AGAIN: Span = Span::from_secs(1);

/// What is known of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it came first.
    pub first_at: Timestamp,
    /// How far it got.
    pub stage: Stage,
}

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Somebody is at it until then; nothing was changed.
    Running(Timestamp),
    /// The change is made; somebody renders its answer until then.
    Made(Timestamp),
    /// Answered.
    Answered {
        /// Whether the answer holds a secret.
        secret: bool,
    },
}

/// What somebody who comes with a key is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on, from the beginning.
    Begin(Entry),
    /// Go on: the change is made, only its answer was lost.
    Resume(Entry),
    /// Somebody else is at it.
    Wait(Span),
    /// Here is the answer.
    Replay,
    /// There was an answer, and it is not kept any more.
    Erased,
}

/// What becomes of an entry with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ageing {
    /// It stays as it is.
    Keep,
    /// It stays, without anything that a secret could be read or made from.
    Erase,
    /// It goes.
    Drop,
}

impl Entry {
    /// The first request with a key.
    pub fn begin(now: Timestamp) -> Self {
        Self {
            first_at: now,
            stage: Stage::Running(now + LEASE),
        }
    }

    /// Judges another request with the same key and the same body.
    pub fn judge(&self, now: Timestamp) -> Verdict {
        if self.is_over(now) {
            return Verdict::Begin(Self::begin(now));
        }
        let is_stale = now.since(self.first_at) >= KEEP_SECRETS;
        match self.stage {
            Stage::Running(until) | Stage::Made(until) if is_held(until, now) => {
                Verdict::Wait(ASK_AGAIN)
            }
            Stage::Running(_) => Verdict::Begin(Self::begin(now)),
            Stage::Made(_) | Stage::Answered { secret: true } if is_stale => Verdict::Erased,
            Stage::Made(_) => Verdict::Resume(Self {
                stage: Stage::Made(now + LEASE),
                ..*self
            }),
            Stage::Answered { .. } => Verdict::Replay,
        }
    }

    /// The change is made.
    #[must_use]
    pub fn made(self) -> Self {
        match self.stage {
            Stage::Running(until) => Self {
                stage: Stage::Made(until),
                ..self
            },
            Stage::Made(_) | Stage::Answered { .. } => self,
        }
    }

    /// Its asker goes without an answer that is to be kept; `None` when nothing is left to remember.
    #[must_use]
    pub fn let_go(self, now: Timestamp) -> Option<Self> {
        match self.stage {
            Stage::Running(_) => None,
            Stage::Made(_) => Some(Self {
                stage: Stage::Made(now),
                ..self
            }),
            Stage::Answered { .. } => Some(self),
        }
    }

    /// Its answer is known.
    #[must_use]
    pub fn answered(self, secret: bool) -> Self {
        Self {
            stage: Stage::Answered { secret },
            ..self
        }
    }

    /// Whether the key may be used for something else.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.first_at) >= KEEP
    }

    /// What became of it by now.
    pub fn age(&self, now: Timestamp) -> Ageing {
        if self.is_over(now) {
            return Ageing::Drop;
        }
        let is_due = now.since(self.first_at) >= KEEP_SECRETS;
        match self.stage {
            Stage::Running(until) if is_due && !is_held(until, now) => Ageing::Drop,
            Stage::Made(_) | Stage::Answered { secret: true } if is_due => Ageing::Erase,
            _ => Ageing::Keep,
        }
    }

    /// When to look at it next, if nothing else happens.
    pub fn due_at(&self, now: Timestamp) -> Timestamp {
        let secrets = self.first_at + KEEP_SECRETS;
        match self.stage {
            Stage::Running(until) => secrets.max(until),
            Stage::Made(_) | Stage::Answered { secret: true } if secrets > now => secrets,
            Stage::Made(_) | Stage::Answered { .. } => self.first_at + KEEP,
        }
    }
}

/// A lease that ends later than leases do was given by a clock that has stepped back since.
fn is_held(until: Timestamp, now: Timestamp) -> bool {
    now < until && now.until(until) <= LEASE
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_ms(1_000_000_000);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_ms(T0.as_ms() + secs * 1000)
    }

    #[test]
    fn one_goes_on_and_the_others_wait_until_it_has_answered() {
        let entry = Entry::begin(T0);
        for secs in [0, 1, 44] {
            assert_eq!(entry.judge(at(secs)), Verdict::Wait(ASK_AGAIN));
            assert_eq!(entry.made().judge(at(secs)), Verdict::Wait(ASK_AGAIN));
        }
        let answered = entry.made().answered(false);
        assert_eq!(answered.judge(at(1)), Verdict::Replay);
        assert_eq!(answered.judge(at(86_399)), Verdict::Replay);
    }

    #[test]
    fn an_asker_that_died_frees_the_key_by_the_end_of_its_lease() {
        let entry = Entry::begin(T0);
        assert_eq!(entry.judge(at(45)), Verdict::Begin(Entry::begin(at(45))));
        let Verdict::Resume(taken) = entry.made().judge(at(45)) else {
            panic!("the change is made");
        };
        assert_eq!(taken.first_at, T0, "its day does not begin anew");
        assert_eq!(taken.judge(at(46)), Verdict::Wait(ASK_AGAIN));
    }

    #[test]
    fn an_asker_that_goes_frees_the_key_at_once() {
        let entry = Entry::begin(T0);
        assert_eq!(entry.let_go(at(1)), None, "nothing was changed");
        let made = entry.made().let_go(at(1)).unwrap();
        assert!(matches!(made.judge(at(1)), Verdict::Resume(_)));
        let answered = entry.answered(false);
        assert_eq!(answered.let_go(at(1)), Some(answered));
        assert_eq!(answered.made(), answered);
    }

    #[test]
    fn a_key_is_free_again_after_a_day_to_the_second() {
        for stage in [Stage::Answered { secret: false }, Stage::Made(at(45))] {
            let entry = Entry {
                first_at: T0,
                stage,
            };
            assert!(!matches!(entry.judge(at(86_399)), Verdict::Begin(_)));
            assert_eq!(
                entry.judge(at(86_400)),
                Verdict::Begin(Entry::begin(at(86_400)))
            );
            assert_ne!(entry.age(at(86_399)), Ageing::Drop);
            assert_eq!(entry.age(at(86_400)), Ageing::Drop);
        }
    }

    #[test]
    fn secrets_go_after_ten_minutes_and_the_key_stays_used() {
        let secret = Entry::begin(T0).answered(true);
        assert_eq!(secret.judge(at(599)), Verdict::Replay);
        assert_eq!(secret.age(at(599)), Ageing::Keep);
        assert_eq!(secret.judge(at(600)), Verdict::Erased);
        assert_eq!(secret.age(at(600)), Ageing::Erase);
        let made = Entry::begin(T0).made();
        assert_eq!(
            (made.judge(at(600)), made.age(at(600))),
            (Verdict::Erased, Ageing::Erase)
        );
        let plain = Entry::begin(T0).answered(false);
        assert_eq!(
            (plain.judge(at(600)), plain.age(at(600))),
            (Verdict::Replay, Ageing::Keep)
        );
    }

    #[test]
    fn an_entry_that_nobody_came_back_for_goes_with_its_secrets() {
        let entry = Entry::begin(T0);
        assert_eq!(
            (entry.age(at(599)), entry.age(at(600))),
            (Ageing::Keep, Ageing::Drop)
        );
        let late = Entry {
            stage: Stage::Running(at(630)),
            ..entry
        };
        assert_eq!(
            (late.age(at(629)), late.age(at(630))),
            (Ageing::Keep, Ageing::Drop)
        );
        assert_eq!(late.due_at(at(600)), at(630));
    }

    #[test]
    fn it_is_looked_at_when_it_changes_and_not_before() {
        let entry = Entry::begin(T0);
        assert_eq!(entry.due_at(T0), at(600));
        assert_eq!(entry.made().due_at(T0), at(600));
        assert_eq!(entry.made().due_at(at(600)), at(86_400));
        assert_eq!(entry.answered(true).due_at(T0), at(600));
        assert_eq!(entry.answered(true).due_at(at(600)), at(86_400));
        assert_eq!(entry.answered(false).due_at(T0), at(86_400));
    }

    #[test]
    fn a_clock_that_steps_back_locks_nobody_out() {
        let entry = Entry::begin(T0);
        assert_eq!(entry.judge(at(-1)), Verdict::Begin(Entry::begin(at(-1))));
        assert!(matches!(entry.made().judge(at(-3600)), Verdict::Resume(_)));
        assert_eq!(entry.answered(false).judge(at(-3600)), Verdict::Replay);
    }
}
