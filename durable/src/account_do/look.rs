//! Looking at the machine of an attempt, asking what it cost, and what the vendor shows of it.
//!
//! Invariant: one question at a time is under way for a machine, and whoever asks meanwhile gets its answer. An
//! answer is about the machine with the attempt's marker; one with another marker under the same id is somebody
//! else's.

use tidegate_domain::ids::MachineId;
use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::attempt::{AttemptId, Sight, Stage};
use tidegate_domain::vendor::stray::Why;
use tidegate_provider_api::{
    ErrorKind, Machine, MachineState, Marker, ProviderError, Reply as VendorReply,
};

use super::Account;
use super::answers::{Ended, is_passing, unreadable};
use super::calls::RETRY_CAP;
use crate::bindings::rental::VendorFact;
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::account::{Call, Errand};

/// When more machines than this wait to be asked for, one list is cheaper.
const MOST_GETS: usize = 10;
/// A question that has had no answer for so long is dropped: sweeps go on, and whoever asked asks again.
const LOOK_DEADLINE: Span = Span::from_secs(10 * 60);

/// How the vendor came to show a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// As the answer to "create".
    Created,
    /// It was asked for it.
    Asked,
    /// In a whole list.
    Listed,
}

impl Account {
    pub(super) fn look(&mut self, cx: &mut Cx<'_>, id: &AttemptId) {
        let Some(tracked) = self.attempts.get_mut(id) else {
            // Nothing is known of it, so if there is something it is a stray: a list will tell.
            self.everything_wanted = true;
            return;
        };
        if tracked.attempt.stage == Stage::Unsent {
            // There is nothing to see yet, and its instance hears of whatever becomes of it.
            return;
        }
        if tracked.attempt.machine.is_none() {
            tracked.attempt.asked = true;
            self.changed.attempts.insert(id.clone());
            self.want_list_of(id);
            return;
        }
        let errand = Errand::Look(id.clone());
        match self.calls.get_mut(&errand) {
            Some(call) if call.sent.is_some() => {}
            Some(call) => {
                call.since_ms = cx.now.as_ms();
                call.due_at_ms = Some(cx.now.as_ms());
                self.changed.calls.insert(errand);
            }
            None => self.order(errand, Call::new(cx.now)),
        }
        self.list_instead();
    }

    /// Many questions become one list of each region.
    fn list_instead(&mut self) {
        let looks: Vec<Errand> = self
            .calls
            .iter()
            .filter(|(errand, call)| matches!(errand, Errand::Look(_)) && call.sent.is_none())
            .map(|(errand, _)| errand.clone())
            .collect();
        if looks.len() <= MOST_GETS {
            return;
        }
        for errand in looks {
            self.drop_call(&errand);
            let Errand::Look(id) = errand else { continue };
            if let Some(tracked) = self.attempts.get_mut(&id) {
                tracked.attempt.asked = true;
                self.changed.attempts.insert(id.clone());
            }
            self.want_list_of(&id);
        }
    }

    pub(super) fn look_ended(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
        sent_at: Timestamp,
        ended: Ended,
    ) -> Result<(), StoreError> {
        let errand = Errand::Look(id.clone());
        let error = match ended {
            Ok(VendorReply::Machine { machine }) => {
                self.drop_call(&errand);
                return self.shown_or_other(cx, id, *machine, sent_at);
            }
            Ok(_) => unreadable("get"),
            Err(error) => error,
        };
        if error.kind == ErrorKind::NotFound && !error.unclear {
            self.drop_call(&errand);
            return self.not_shown(cx, id, sent_at);
        }
        self.ask_again(cx.now, &errand, &error);
        Ok(())
    }

    /// A read that came to nothing is repeated for a while.
    fn ask_again(&mut self, now: Timestamp, errand: &Errand, error: &ProviderError) {
        let is_late = self
            .calls
            .get(errand)
            .is_none_or(|call| Timestamp::from_ms(call.since_ms) + LOOK_DEADLINE <= now);
        if is_late || !(is_passing(error) || error.kind == ErrorKind::Auth) {
            self.drop_call(errand);
        } else {
            self.retry(now, errand, Some(error), RETRY_CAP);
        }
    }

    pub(super) fn bill(&mut self, cx: &Cx<'_>, id: AttemptId) {
        let errand = Errand::Bill(id);
        if !self.calls.contains_key(&errand) {
            self.order(errand, Call::new(cx.now));
        }
    }

    pub(super) fn bill_ended(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
        ended: Ended,
    ) -> Result<(), StoreError> {
        let errand = Errand::Bill(id.clone());
        let error = match ended {
            Ok(VendorReply::Bill { microusd }) => {
                self.drop_call(&errand);
                return match microusd {
                    Some(microusd) => self.tell(cx, id, VendorFact::Billed { microusd }),
                    // Not on record yet; its instance asks again.
                    None => Ok(()),
                };
            }
            Ok(_) => unreadable("bill"),
            Err(error) => error,
        };
        self.ask_again(cx.now, &errand, &error);
        Ok(())
    }

    /// The vendor, asked for the attempt's machine by its id, shows a machine.
    fn shown_or_other(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
        machine: Machine,
        sent_at: Timestamp,
    ) -> Result<(), StoreError> {
        // Ids can come back for machines of other people.
        let is_other = machine
            .marker
            .as_ref()
            .is_some_and(|marker| self.attempt_of(marker).as_ref() != Some(id));
        if is_other {
            return self.not_shown(cx, id, sent_at);
        }
        self.shown(cx, id, machine, Shown::Asked)
    }

    /// The vendor shows a machine of this attempt.
    pub(super) fn shown(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
        machine: Machine,
        how: Shown,
    ) -> Result<(), StoreError> {
        let machine_id = MachineId::new(machine.id.as_str());
        let is_gone = machine.state == MachineState::Terminated;
        if self
            .strays
            .get(&machine_id)
            .is_some_and(|row| !row.stray.is_gone())
        {
            return self.stray_seen(cx, &machine_id, machine);
        }
        let Some(tracked) = self.attempts.get_mut(id) else {
            return Ok(());
        };
        self.changed.attempts.insert(id.clone());
        let was_asked = tracked.attempt.waits_for_lists();
        let is_first = match tracked.attempt.sighted(cx.now, &machine_id, is_gone) {
            Sight::Its { is_first } => is_first,
            Sight::Twin => return self.found_stray(cx, machine, Why::Twin, cx.now),
            Sight::Unwanted => return self.found_unwanted(cx, machine),
            Sight::Nothing => return Ok(()),
        };
        tracked.region.clone_from(&machine.region);
        tracked.microusd_per_hour = machine.microusd_per_hour.or(tracked.microusd_per_hour);
        let is_back = std::mem::take(&mut tracked.told_absent);
        let is_new = is_back || tracked.told.as_deref() != Some(&machine);
        let machine = Box::new(machine);
        tracked.told = Some(machine.clone());
        tracked.spec = None;
        if is_first {
            self.machine_known(cx.now, id);
        }
        match how {
            Shown::Created => self.tell(cx, id, VendorFact::Created { machine }),
            Shown::Listed if !is_new && !was_asked => Ok(()),
            Shown::Asked | Shown::Listed => self.tell(cx, id, VendorFact::Seen { machine }),
        }
    }

    /// What waited for the machine to be known can go; a "create" that waits to be repeated need not.
    fn machine_known(&mut self, now: Timestamp, id: &AttemptId) {
        let create = Errand::Create(id.clone());
        let is_waiting = |call: &Call| call.sent.is_none();
        if self.calls.get(&create).is_some_and(is_waiting) {
            self.drop_call(&create);
        }
        let act = Errand::Act(id.clone());
        if let Some(call) = self.calls.get_mut(&act)
            && call.due_at_ms.is_none()
        {
            call.due_at_ms = Some(now.as_ms());
            self.changed.calls.insert(act);
        }
    }

    /// The vendor, asked for the attempt's machine by its id, knows no such machine.
    pub(super) fn not_shown(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
        asked_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.missed(cx, id, asked_at, false)
    }

    /// The vendor, asked then, does not show the attempt's machine.
    pub(super) fn missed(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
        asked_at: Timestamp,
        in_list: bool,
    ) -> Result<(), StoreError> {
        let lag = self.list_lag();
        let Some(tracked) = self.attempts.get_mut(id) else {
            return Ok(());
        };
        self.changed.attempts.insert(id.clone());
        if !tracked.attempt.missed(cx.now, asked_at, in_list, lag) {
            // Nobody is told what says nothing.
            return Ok(());
        }
        tracked.told_absent = true;
        let never_came = tracked.attempt.is_over() && tracked.attempt.machine.is_none();
        let asked_at_ms = asked_at.as_ms();
        let last_seen_ms = tracked.attempt.sighted_at.map(Timestamp::as_ms);
        if never_came {
            self.drop_call(&Errand::Act(id.clone()));
        }
        self.tell(
            cx,
            id,
            VendorFact::NotSeen {
                asked_at_ms,
                in_list,
                last_seen_ms,
            },
        )
    }

    /// An answer that nobody waits for any more shows a machine all the same.
    pub(super) fn overheard(
        &mut self,
        cx: &mut Cx<'_>,
        reply: VendorReply,
    ) -> Result<(), StoreError> {
        let (machine, how) = match reply {
            VendorReply::Created { machine } => (machine, Shown::Created),
            VendorReply::Machine { machine }
            | VendorReply::Accepted {
                machine: Some(machine),
            } => (machine, Shown::Listed),
            _ => return Ok(()),
        };
        let marker = machine.marker.as_ref();
        match marker.and_then(|marker| self.attempt_of(marker)) {
            Some(id) => self.shown(cx, &id, *machine, how),
            None => Ok(()),
        }
    }

    /// The attempt that a marker names, if the marker is one of this account.
    pub(super) fn attempt_of(&self, marker: &Marker) -> Option<AttemptId> {
        let spec = self.row.spec.as_ref()?;
        (marker.fingerprint == spec.fingerprint)
            .then(|| super::attempt_id(marker.instance.clone(), marker.attempt))
    }

    /// After what time a machine is in every list.
    pub(super) fn list_lag(&self) -> Span {
        self.provider().map_or(Span::ZERO, |provider| {
            Span::from_ms(provider.capability().list_lag_ms)
        })
    }
}
