//! Advances: the right to be billed until a moment.
//!
//! Invariant: an advance is decided once, by its number; the same number again gives the same answer and
//! writes nothing. One that is refused leaves the one before as it was. A promise ends by itself at its
//! moment, or with the statement that closes its window.

use tidegate_domain::money::{Denied, decide};
use tidegate_domain::time::{Span, Timestamp};

use super::Ledger;
use super::spending::{Binding, is_stray, needed};
use crate::bindings::ledger::{Advance, AdvanceAnswer, EstimateAnswer};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::ledger::{Answered, Hold, WindowRecord};

/// Answers remembered for a window. An instance has one advance under way at a time, and asks again until it
/// is answered.
const ANSWERS: usize = 4;

impl Ledger {
    pub(super) fn advance(
        &mut self,
        cx: &mut Cx<'_>,
        ask: Advance,
    ) -> Result<AdvanceAnswer, StoreError> {
        self.recall(cx, &ask.window)?;
        let before = self.windows.get(&ask.window).cloned().unwrap_or_default();
        if let Some(known) = before.answered(&ask, cx.now) {
            return Ok(known);
        }
        let mut after = before.clone();
        after.project.clone_from(&ask.project);
        after.hold = Some(before.prolonged(&ask, cx.now));
        let given_up = self.given_up(&ask, cx.now);
        let answer = match self.judge(&ask.window, &before, &after, &given_up, cx.now) {
            Ok(()) => {
                for window in given_up {
                    self.release(cx, &window)?;
                }
                let until_ms = after.hold.map(|hold| hold.until_ms);
                after.answer(ask.number, until_ms, None)
            }
            Err(denied) => {
                after.hold = before.hold;
                let which = denied.which.to_string();
                let reason = denied.to_string();
                if !after.denied.contains(&which) {
                    let actor = format!("instance/{}", ask.instance);
                    self.note(cx, &actor, "advance.denied", &ask.instance, reason.clone());
                    after.denied.push(which);
                }
                after.answer(ask.number, None, Some(reason))
            }
        };
        after.put(cx.sql, &ask.window)?;
        self.windows.insert(ask.window.clone(), after);
        Ok(answer.to(&ask.window))
    }

    /// Windows of earlier attempts that were promised something and never opened. An instance tries again only
    /// when the attempt before is over, so that what it was promised is free.
    fn given_up(&self, ask: &Advance, now: Timestamp) -> Vec<String> {
        let is_of_it = |window: &str| {
            let attempt = window.strip_prefix(ask.instance.as_str());
            attempt.is_some_and(|attempt| attempt.starts_with('/'))
        };
        self.windows
            .iter()
            .filter(|(window, _)| is_of_it(window) && **window != ask.window)
            .filter(|(_, record)| record.statement.is_none() && record.held(now) > 0)
            .map(|(window, _)| window.clone())
            .collect()
    }

    fn release(&mut self, cx: &Cx<'_>, window: &str) -> Result<(), StoreError> {
        let Some(record) = self.windows.get_mut(window) else {
            return Ok(());
        };
        record.hold = None;
        record.put(cx.sql, window)
    }

    /// Whether what `after` promises beyond `before` fits into every budget that binds, once what other windows
    /// have given up is free.
    fn judge(
        &self,
        window: &str,
        before: &WindowRecord,
        after: &WindowRecord,
        given_up: &[String],
        now: Timestamp,
    ) -> Result<(), Denied> {
        if is_stray(window) {
            return Ok(());
        }
        let held = |record: &WindowRecord| record.held(now);
        let (was, will_be) = (held(before), held(after));
        let mut binding = self.binding(after.project(), now);
        for one in &mut binding {
            // A promise of less gives the difference back.
            let mut free = was.saturating_sub(will_be);
            for other in given_up
                .iter()
                .filter_map(|window| self.windows.get(window))
            {
                if other.is_in(&one.scope) {
                    free = free.saturating_add(held(other));
                }
            }
            one.usage.held = one.usage.held.saturating_sub(free);
        }
        fits(&binding, will_be.saturating_sub(was))
    }

    /// What a launch would take, and whether it would be let through.
    pub(super) fn estimate(
        &self,
        now: Timestamp,
        project: Option<String>,
        microusd_per_hour: u64,
        hold: Span,
    ) -> EstimateAnswer {
        let needed_microusd = needed(microusd_per_hour, hold);
        let binding = self.binding(project.as_deref(), now);
        let denied = fits(&binding, needed_microusd).err();
        let scopes = binding.iter().map(|one| one.scope.to_string());
        EstimateAnswer {
            needed_microusd,
            budgets: scopes.filter_map(|scope| self.view(&scope, now)).collect(),
            denied: denied.map(|denied| denied.to_string()),
        }
    }
}

fn fits(binding: &[Binding], needed: u64) -> Result<(), Denied> {
    let budgets = binding
        .iter()
        .map(|one| (&one.scope, &one.budget, one.usage));
    decide(budgets, needed)
}

impl WindowRecord {
    /// What an advance is answered that was decided before, or that a later one has overtaken: it changes
    /// nothing any more, so it is told what holds.
    fn answered(&self, ask: &Advance, now: Timestamp) -> Option<AdvanceAnswer> {
        let same = self.answers.iter().find(|it| it.number == ask.number);
        if let Some(known) = same {
            return Some(known.clone().to(&ask.window));
        }
        let latest = self.answers.last()?.number;
        if ask.number > latest {
            return None;
        }
        let until_ms = self.running_hold(now).map(|hold| hold.until_ms);
        let overtaken = || format!("advance {latest} of this window has been decided since");
        let answer = Answered {
            number: ask.number,
            until_ms,
            reason: until_ms.is_none().then(overtaken),
        };
        Some(answer.to(&ask.window))
    }

    fn prolonged(&self, ask: &Advance, now: Timestamp) -> Hold {
        let since_ms = self.running_hold(now).map(|hold| hold.since_ms);
        Hold {
            since_ms: since_ms.unwrap_or(now.as_ms()),
            until_ms: (now + Span::from_ms(ask.hold_ms)).as_ms(),
            microusd_per_hour: ask.microusd_per_hour,
        }
    }

    fn answer(&mut self, number: u64, until_ms: Option<i64>, reason: Option<String>) -> Answered {
        let answer = Answered {
            number,
            until_ms,
            reason,
        };
        let surplus = (self.answers.len() + 1).saturating_sub(ANSWERS);
        self.answers.drain(..surplus);
        self.answers.push(answer.clone());
        answer
    }
}

impl Answered {
    fn to(self, window: &str) -> AdvanceAnswer {
        let (window, number) = (window.to_owned(), self.number);
        match self.until_ms {
            Some(until_ms) => AdvanceAnswer::Advanced {
                window,
                number,
                until_ms,
            },
            None => AdvanceAnswer::Denied {
                window,
                number,
                reason: self.reason.unwrap_or_default(),
            },
        }
    }
}
