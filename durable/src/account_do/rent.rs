//! Renting: from the order to the machine, or to the certainty that there is none.
//!
//! Invariant: the instance hears that the "create" leaves in the turn that lets it leave, and hears of exactly
//! one end: created, refused, unclear or withdrawn. One marker is one attempt, however often it is ordered.

use tidegate_domain::time::Timestamp;
use tidegate_domain::vendor::attempt::{Attempt, AttemptId, Ending, Failure, Next, Stage};
use tidegate_provider_api::{CreateSpec, ErrorKind, ProviderError, Reply as VendorReply};

use super::Account;
use super::answers::{Ended, unreadable};
use super::calls::RETRY_CAP;
use super::look::Shown;
use crate::bindings::rental::VendorFact;
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::account::{Call, Errand, Tracked};

impl Account {
    pub(super) fn rent(
        &mut self,
        cx: &mut Cx<'_>,
        spec: Box<CreateSpec>,
    ) -> Result<(), StoreError> {
        let id = super::attempt_id(spec.marker.instance.clone(), spec.marker.attempt);
        if self.attempts.contains_key(&id) {
            // Repeated, or overtaken by its own withdrawal: it is known what becomes of it.
            return Ok(());
        }
        let refusal = self.why_not(&spec);
        let mut tracked = Tracked::new(&id, Attempt::new(cx.now));
        tracked.region.clone_from(&spec.region);
        (tracked.microusd_per_hour, tracked.beside_microusd_per_hour) = self.price_of(&spec);
        tracked.spec = Some(spec);
        self.changed.attempts.insert(id.clone());
        let Some(error) = refusal else {
            self.attempts.insert(id.clone(), tracked);
            self.order(Errand::Create(id), Call::new(cx.now));
            return Ok(());
        };
        tracked.attempt.give_up_waiting(cx.now);
        self.attempts.insert(id.clone(), tracked);
        self.tell_outcome(cx, &id, VendorFact::CreateRefused { error })
    }

    /// Why this account will never rent that.
    pub(super) fn why_not(&self, spec: &CreateSpec) -> Option<ProviderError> {
        let never = |words| ProviderError::new(ErrorKind::Validation, "create", words);
        if self.row.is_removed {
            return Some(never("the account was removed; choose another one"));
        }
        // Before it is configured nothing is known, and the order waits.
        let known = self.row.spec.as_ref()?;
        if self.provider().is_none() {
            let words =
                "this release knows no such vendor; deploy the one that connected the account";
            return Some(never(words));
        }
        let is_ours = spec.marker.fingerprint == known.fingerprint;
        // Its machine would be in every list, and nobody would know whose it is.
        let words = "the marker is not one of this account; launch it anew";
        (!is_ours).then(|| never(words))
    }

    /// The "create" leaves: its instance hears of it first, for from now on it may cost money.
    pub(super) fn create_leaves(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
    ) -> Result<(), StoreError> {
        let Some(tracked) = self.attempts.get_mut(id) else {
            return Ok(());
        };
        let is_first = tracked.attempt.create_leaves(cx.now);
        self.changed.attempts.insert(id.clone());
        if is_first {
            self.tell(cx, id, VendorFact::CreateSent)?;
        }
        Ok(())
    }

    pub(super) fn create_ended(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
        ended: Ended,
    ) -> Result<(), StoreError> {
        let error = match ended {
            Ok(VendorReply::Created { machine } | VendorReply::Machine { machine }) => {
                self.drop_call(&Errand::Create(id.clone()));
                return self.shown(cx, id, *machine, Shown::Created);
            }
            Ok(_) => unreadable("create"),
            Err(error) => error,
        };
        let is_idempotent = self
            .provider()
            .is_some_and(|provider| provider.capability().idempotent_create);
        let failure = match error.kind {
            // The vendor looked at the count of calls and at nothing else.
            ErrorKind::RateLimited => Failure::NotDone,
            _ if error.unclear => Failure::Unclear,
            kind => Failure::No {
                rules_out_earlier: kind == ErrorKind::Capacity,
            },
        };
        let Some(tracked) = self.attempts.get_mut(id) else {
            self.drop_call(&Errand::Create(id.clone()));
            return Ok(());
        };
        let next = tracked
            .attempt
            .create_failed(cx.now, failure, is_idempotent);
        self.changed.attempts.insert(id.clone());
        self.settle_create(cx, id, next, error)
    }

    fn settle_create(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
        next: Next,
        error: ProviderError,
    ) -> Result<(), StoreError> {
        let errand = Errand::Create(id.clone());
        match next {
            Next::Again => {
                self.retry(cx.now, &errand, Some(&error), RETRY_CAP);
                Ok(())
            }
            Next::Refused => {
                self.drop_call(&errand);
                self.drop_call(&Errand::Act(id.clone()));
                self.tell_outcome(cx, id, VendorFact::CreateRefused { error })
            }
            Next::Unclear => {
                self.drop_call(&errand);
                self.want_list_of(id);
                if let Some(tracked) = self.attempts.get_mut(id) {
                    tracked.spec = None;
                }
                self.tell(cx, id, VendorFact::CreateUnclear { error })
            }
            Next::Settled => {
                self.drop_call(&errand);
                Ok(())
            }
        }
    }

    /// A "create" that waits until it can be sent, or sent again, does not wait for ever.
    pub(super) fn expire_creates(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let late: Vec<(AttemptId, Option<ProviderError>)> = self
            .calls
            .iter()
            .filter(|(_, call)| call.sent.is_none())
            .filter_map(|(errand, call)| match errand {
                Errand::Create(id) => {
                    let tracked = self.attempts.get(id)?;
                    let is_late = tracked.attempt.is_given_up(cx.now);
                    is_late.then(|| (id.clone(), call.last_error.clone()))
                }
                _ => None,
            })
            .collect();
        for (id, error) in late {
            let error = error.unwrap_or_else(|| {
                let words = "the vendor could not be asked for ten minutes: it does not answer, \
                             refuses the account, or is asked too often";
                ProviderError::new(ErrorKind::Network, "create", words)
            });
            let Some(tracked) = self.attempts.get_mut(&id) else {
                continue;
            };
            let next = tracked.attempt.give_up_waiting(cx.now);
            self.changed.attempts.insert(id.clone());
            self.settle_create(cx, &id, next, error)?;
        }
        Ok(())
    }

    /// When the first "create" that waits has waited long enough.
    pub(super) fn next_create_deadline(&self) -> Option<Timestamp> {
        let waiting = self.calls.iter().filter(|(_, call)| call.sent.is_none());
        waiting
            .filter_map(|(errand, _)| match errand {
                Errand::Create(id) => Some(self.attempts.get(id)?.attempt.create_deadline()),
                _ => None,
            })
            .min()
    }

    /// It shall not be sent. One whose order is still on its way will find it withdrawn.
    pub(super) fn withdraw(&mut self, cx: &mut Cx<'_>, id: &AttemptId) -> Result<(), StoreError> {
        let now = cx.now;
        let tracked = self
            .attempts
            .entry(id.clone())
            .or_insert_with(|| Tracked::new(id, Attempt::new(now)));
        if tracked.attempt.withdraw(now) {
            self.drop_call(&Errand::Create(id.clone()));
            return self.tell_outcome(cx, id, VendorFact::Withdrawn);
        }
        self.tell_again(cx, id)
    }

    /// What became of an attempt that came to nothing.
    pub(super) fn tell_again(&mut self, cx: &mut Cx<'_>, id: &AttemptId) -> Result<(), StoreError> {
        let outcome = self
            .attempts
            .get(id)
            .filter(|tracked| {
                matches!(
                    tracked.attempt.stage,
                    Stage::Over(Ending::Refused | Ending::Withdrawn)
                )
            })
            .and_then(|tracked| tracked.outcome.clone());
        match outcome {
            Some(fact) => self.tell(cx, id, fact),
            None => Ok(()),
        }
    }

    /// Nobody waits for it any more: whatever there is of it, or turns up, is given back.
    pub(super) fn abandon(&mut self, cx: &mut Cx<'_>, id: &AttemptId) -> Result<(), StoreError> {
        let now = cx.now;
        let tracked = self
            .attempts
            .entry(id.clone())
            .or_insert_with(|| Tracked::new(id, Attempt::new(now)));
        if tracked.attempt.abandoned {
            return Ok(());
        }
        tracked.attempt.withdraw(now);
        tracked.attempt.abandoned = true;
        tracked.attempt.asked = false;
        let is_alive = tracked.attempt.stage == Stage::Alive;
        let machine = tracked.told.clone().filter(|_| is_alive);
        let is_unsent = tracked.attempt.is_over();
        self.changed.attempts.insert(id.clone());
        if is_unsent {
            self.drop_call(&Errand::Create(id.clone()));
        }
        for errand in [Errand::Act(id.clone()), Errand::Look(id.clone())] {
            self.drop_call(&errand);
        }
        match machine {
            Some(machine) => self.found_unwanted(cx, *machine),
            None => Ok(()),
        }
    }
}
