//! Several objects asked at once: who has not answered yet, and what the others said.
//!
//! Invariant: outcomes are in the order of the questions, whoever answers first.

use std::collections::BTreeMap;

use crate::effect::{CallId, CallOutcome, Effect};
use crate::flow::{Question, Then};

/// Questions that are out.
pub struct Gathering {
    /// Calls that are out, with the places of their questions.
    awaited: BTreeMap<CallId, usize>,
    outcomes: Vec<CallOutcome>,
    then: Then<Vec<CallOutcome>>,
}

impl Gathering {
    /// Sends the questions, of which there is at least one; calls are numbered on from `last_call`.
    pub fn begin(
        questions: Vec<Question>,
        then: Then<Vec<CallOutcome>>,
        last_call: &mut CallId,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut awaited = BTreeMap::new();
        let mut outcomes = Vec::with_capacity(questions.len());
        for (place, question) in questions.into_iter().enumerate() {
            *last_call += 1;
            awaited.insert(*last_call, place);
            // Never seen: the last answer is what ends the gathering.
            outcomes.push(CallOutcome::Failed(String::new()));
            effects.push(Effect::Ask {
                call: *last_call,
                to: question.to,
                message: question.message,
                timeout_ms: question.timeout_ms,
            });
        }
        Self {
            awaited,
            outcomes,
            then,
        }
    }

    /// Whether this call is out.
    pub fn awaits(&self, call: CallId) -> bool {
        self.awaited.contains_key(&call)
    }

    /// Takes an outcome in; all of them and the continuation once the last one is here.
    pub fn hear(
        mut self,
        call: CallId,
        outcome: CallOutcome,
    ) -> Result<(Vec<CallOutcome>, Then<Vec<CallOutcome>>), Self> {
        if let Some(place) = self.awaited.remove(&call)
            && let Some(slot) = self.outcomes.get_mut(place)
        {
            *slot = outcome;
        }
        if self.awaited.is_empty() {
            Ok((self.outcomes, self.then))
        } else {
            Err(self)
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_durable::bindings::ObjectName;

    use super::*;
    use crate::flow::Step;
    use crate::request::Response;

    fn question(name: &str, timeout_ms: u64) -> Question {
        Question::new(ObjectName::fleet(name), &name, timeout_ms)
    }

    fn answered(text: &str) -> CallOutcome {
        CallOutcome::Answered(text.to_owned())
    }

    /// Two questions behind a call of number 4.
    fn begun() -> (Gathering, Vec<Effect>) {
        let mut effects = Vec::new();
        let questions = vec![question("a", 100), question("b", 200)];
        let then: Then<_> = Box::new(|_, _| Step::Respond(Response::json(200, &().into())));
        let mut last_call = 4;
        let gathering = Gathering::begin(questions, then, &mut last_call, &mut effects);
        assert_eq!(last_call, 6);
        (gathering, effects)
    }

    #[test]
    fn each_object_is_asked_with_a_call_and_a_deadline_of_its_own() {
        let ask = |call, name: &str, timeout_ms| Effect::Ask {
            call,
            to: ObjectName::fleet(name),
            message: format!("\"{name}\""),
            timeout_ms,
        };
        assert_eq!(begun().1, [ask(5, "a", 100), ask(6, "b", 200)]);
    }

    #[test]
    fn outcomes_come_in_the_order_of_the_questions() {
        let (gathering, _) = begun();
        let Err(gathering) = gathering.hear(6, answered("second")) else {
            panic!("one is still out");
        };
        assert!(gathering.awaits(5) && !gathering.awaits(6));
        let late = CallOutcome::Failed("too late".to_owned());
        let Ok((outcomes, _)) = gathering.hear(5, late.clone()) else {
            panic!("both have answered");
        };
        assert_eq!(outcomes, [late, answered("second")]);
    }

    #[test]
    fn an_answer_that_nobody_awaits_changes_nothing() {
        let (gathering, _) = begun();
        let Err(gathering) = gathering.hear(4, answered("of another call")) else {
            panic!("both are still out");
        };
        assert!(gathering.awaits(5) && gathering.awaits(6));
    }
}
