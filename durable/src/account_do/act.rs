//! Starting, stopping and giving back the machine of an attempt.
//!
//! Invariant: an older order never undoes a newer one: each has a number, one at most is under way, and what
//! was ordered last is done last. A "destroy" does not wait for what is under way, and is tried until the vendor
//! has taken it.

use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::attempt::{Attempt, AttemptId, Ending, Stage};
use tidegate_provider_api::{ErrorKind, ProviderError, Reply as VendorReply};

use super::Account;
use super::answers::{Ended, is_passing, unreadable};
use super::calls::RETRY_CAP;
use super::look::Shown;
use crate::bindings::rental::{VendorAction, VendorFact};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::account::{Call, Errand, Tracked};

/// A start or a stop is tried for this long.
const POWER_DEADLINE: Span = Span::from_secs(10 * 60);
/// A "destroy" that the credential may not do is tried all the same, no more often than this: whoever mends the
/// credential need tell nobody.
const REFUSED_CAP: Span = Span::from_secs(300);

impl Account {
    pub(super) fn act(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
        action: VendorAction,
        number: u64,
    ) -> Result<(), StoreError> {
        let is_destroy = action == VendorAction::Destroy;
        let Some(tracked) = self.attempts.get_mut(id) else {
            if is_destroy {
                // It has overtaken the order to rent, which must not be carried out any more.
                let unsent = Tracked::new(id, Attempt::new(cx.now));
                self.attempts.insert(id.clone(), unsent);
                return self.withdraw(cx, id);
            }
            let name = if action == VendorAction::Start {
                "start"
            } else {
                "stop"
            };
            let words = "the account knows no machine of this attempt";
            let error = ProviderError::new(ErrorKind::NotFound, name, words);
            return self.tell(cx, id, VendorFact::ActionRefused { action, error });
        };
        if number <= tracked.acts {
            return Ok(());
        }
        tracked.acts = number;
        self.changed.attempts.insert(id.clone());
        match tracked.attempt.stage {
            Stage::Unsent if is_destroy => return self.withdraw(cx, id),
            Stage::Over(Ending::Refused | Ending::Withdrawn) => return self.tell_again(cx, id),
            Stage::Over(Ending::Gone) if tracked.attempt.machine.is_none() => {
                // It was in no list, and is looked for once more.
                tracked.attempt.asked = true;
                self.want_list_of(id);
                return Ok(());
            }
            Stage::Unsent | Stage::Sent | Stage::Unclear | Stage::Alive | Stage::Over(_) => {}
        }
        let is_known = tracked.attempt.machine.is_some();
        let errand = Errand::Act(id.clone());
        if let Some(call) = self.calls.get_mut(&errand)
            && call.sent.is_some()
            && !is_destroy
        {
            call.next = Some(action);
            self.changed.calls.insert(errand);
            return Ok(());
        }
        self.order_action(cx.now, id, action, is_known);
        Ok(())
    }

    fn order_action(
        &mut self,
        now: Timestamp,
        id: &AttemptId,
        action: VendorAction,
        is_known: bool,
    ) {
        let mut call = Call::new(now);
        call.action = Some(action);
        if !is_known {
            call.due_at_ms = None;
        }
        self.order(Errand::Act(id.clone()), call);
    }

    pub(super) fn act_ended(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
        sent_at: Timestamp,
        ended: Ended,
    ) -> Result<(), StoreError> {
        let errand = Errand::Act(id.clone());
        let Some(call) = self.calls.get(&errand).cloned() else {
            return Ok(());
        };
        let Some(action) = call.action else {
            self.drop_call(&errand);
            return Ok(());
        };
        let error = match ended {
            Ok(VendorReply::Accepted { machine }) => {
                self.action_settled(cx.now, id, &call);
                if action == VendorAction::Destroy
                    && let Some(tracked) = self.attempts.get_mut(id)
                {
                    tracked.attempt.destroy_taken_at.get_or_insert(cx.now);
                    self.changed.attempts.insert(id.clone());
                }
                self.tell(cx, id, VendorFact::ActionTaken { action })?;
                return match machine {
                    Some(machine) => self.shown(cx, id, *machine, Shown::Asked),
                    None => Ok(()),
                };
            }
            Ok(_) => unreadable("act"),
            Err(error) => error,
        };
        if call.next.is_some() && is_passing(&error) {
            // Whatever became of it, something else is wanted now.
            self.action_settled(cx.now, id, &call);
            return Ok(());
        }
        if error.kind == ErrorKind::NotFound && !error.unclear {
            self.action_settled(cx.now, id, &call);
            if action != VendorAction::Destroy {
                self.tell(cx, id, VendorFact::ActionRefused { action, error })?;
            }
            return self.not_shown(cx, id, sent_at);
        }
        let is_refused = error.kind == ErrorKind::Auth;
        if action == VendorAction::Destroy && (is_passing(&error) || is_refused) {
            let cap = if is_refused { REFUSED_CAP } else { RETRY_CAP };
            self.retry(cx.now, &errand, Some(&error), cap);
            if is_refused
                && let Some(call) = self.calls.get_mut(&errand)
                && !std::mem::replace(&mut call.refusal_told, true)
            {
                return self.tell(cx, id, VendorFact::ActionRefused { action, error });
            }
            return Ok(());
        }
        let is_late = Timestamp::from_ms(call.since_ms) + POWER_DEADLINE <= cx.now;
        if is_passing(&error) && !is_late {
            self.retry(cx.now, &errand, Some(&error), RETRY_CAP);
            return Ok(());
        }
        self.action_settled(cx.now, id, &call);
        self.tell(cx, id, VendorFact::ActionRefused { action, error })
    }

    /// This action is over; the one that was ordered meanwhile comes next.
    fn action_settled(&mut self, now: Timestamp, id: &AttemptId, call: &Call) {
        match call.next {
            Some(next) => self.order_action(now, id, next, true),
            None => {
                self.drop_call(&Errand::Act(id.clone()));
            }
        }
    }
}
