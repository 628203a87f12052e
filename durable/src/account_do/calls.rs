//! Calls to the vendor: which goes now, and what is marked.
//!
//! Invariant: `sent row ⇒ the call may have left`, and a call leaves only with its row marked.
//!
//! In scope: what waits, what goes, the alarm. Out of scope: answers (see `answers`).

use tidegate_domain::backoff::{exponential, jitter, salt};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::call_budget::{Priority, Waiting};
use tidegate_provider_api::{ErrorKind, ProviderError, Request};

use super::Account;
use crate::bindings::rental::VendorAction;
use crate::driver::{Cx, memory_effect};
use crate::ports::StoreError;
use crate::records::account::{Call, Errand, Sent};
use crate::turn::{Bearer, Effect, VendorCall};

/// Nothing waits longer than a minute for one effect: the host gives up a little earlier, and the alarm then.
const LONGEST_CALL_MS: u64 = 55_000;
const ANSWER_GRACE: Span = Span::from_secs(5);
/// Pauses between tries of one call.
const RETRY_BASE: Span = Span::from_secs(2);
pub(super) const RETRY_CAP: Span = Span::from_secs(60);

/// A read that is kept in memory alone.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub purpose: Purpose,
    pub request: Request,
    pub priority: Priority,
    /// A person waits for it, to learn whether the vendor is there and lets this account in.
    pub probes: bool,
    /// Another credential than the account's own.
    pub sealed: Option<String>,
    pub due: Timestamp,
    pub sent: Option<Sent>,
}

/// What a read is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A page of the list that the sweep reads.
    Page,
    /// A piece of the catalogue.
    Part,
    /// The vendor's regions.
    Regions,
    /// Whether the credential counts.
    Verify,
    /// Whether it may do this.
    Permission(String),
    /// Whether a new credential will do.
    Candidate,
}

enum Who {
    Errand(Errand),
    Ask(u64),
}

impl Account {
    /// Asks the vendor something that may be forgotten.
    pub(super) fn ask(&mut self, cx: &mut Cx<'_>, ask: Ask) {
        self.asks.insert(cx.fresh_id(), ask);
    }

    /// A call that has to be made.
    pub(super) fn order(&mut self, errand: Errand, call: Call) {
        self.changed.calls.insert(errand.clone());
        self.calls.insert(errand, call);
    }

    /// It need not be made any longer.
    pub(super) fn drop_call(&mut self, errand: &Errand) -> Option<Call> {
        let call = self.calls.remove(errand)?;
        self.changed.calls.insert(errand.clone());
        Some(call)
    }

    /// It is made once more, after a pause that grows up to `cap`.
    pub(super) fn retry(
        &mut self,
        now: Timestamp,
        errand: &Errand,
        error: Option<&ProviderError>,
        cap: Span,
    ) {
        let Some(call) = self.calls.get_mut(errand) else {
            return;
        };
        let pause = match error.map(|error| error.kind) {
            // Everybody waits for as long as the vendor wants.
            Some(ErrorKind::RateLimited) => Span::ZERO,
            _ => pause(errand, call.tries, cap),
        };
        call.again(now, pause);
        call.last_error = error.cloned();
        self.changed.calls.insert(errand.clone());
    }

    /// Lets go what may go now.
    pub(super) fn pump(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        if !self.can_call() {
            return Ok(());
        }
        loop {
            let (who, waiting) = self.waiting(cx.now);
            let place = self.budget.choose(cx.now, &waiting);
            match place.and_then(|place| who.into_iter().nth(place)) {
                Some(Who::Errand(errand)) => self.send_errand(cx, errand)?,
                Some(Who::Ask(number)) => self.send_ask(cx, number),
                None => return Ok(()),
            }
        }
    }

    /// Whatever could go now.
    fn waiting(&self, now: Timestamp) -> (Vec<Who>, Vec<Waiting>) {
        let errands = self.calls.iter().filter_map(|(errand, call)| {
            let since = call.due_at_ms.map(Timestamp::from_ms)?;
            let waiting = Waiting {
                priority: call.priority(errand),
                since,
                probes: false,
            };
            (call.sent.is_none() && since <= now).then(|| (Who::Errand(errand.clone()), waiting))
        });
        let asks = self.asks.iter().filter_map(|(number, ask)| {
            let waiting = Waiting {
                priority: ask.priority,
                since: ask.due,
                probes: ask.probes,
            };
            (ask.sent.is_none() && ask.due <= now).then_some((Who::Ask(*number), waiting))
        });
        errands.chain(asks).unzip()
    }

    fn send_errand(&mut self, cx: &mut Cx<'_>, errand: Errand) -> Result<(), StoreError> {
        let Some(request) = self.request_of(cx.now, &errand) else {
            self.drop_call(&errand);
            return Ok(());
        };
        if let Errand::Create(id) = &errand {
            self.create_leaves(cx, id)?;
        }
        let priority = self
            .calls
            .get(&errand)
            .map_or(Priority::Get, |call| call.priority(&errand));
        let sent = self.dispatch(cx, request, None, priority);
        if let Some(call) = self.calls.get_mut(&errand) {
            call.sent = sent;
            self.changed.calls.insert(errand);
        }
        Ok(())
    }

    fn send_ask(&mut self, cx: &mut Cx<'_>, number: u64) {
        let Some(ask) = self.asks.get(&number) else {
            return;
        };
        if ask.purpose == Purpose::Page {
            self.list_leaves(cx.now);
        }
        let Some(ask) = self.asks.get(&number).cloned() else {
            return;
        };
        let sent = self.dispatch(cx, ask.request, ask.sealed, ask.priority);
        if let Some(ask) = self.asks.get_mut(&number) {
            ask.sent = sent;
        }
    }

    fn dispatch(
        &mut self,
        cx: &mut Cx<'_>,
        request: Request,
        sealed: Option<String>,
        priority: Priority,
    ) -> Option<Sent> {
        let provider = self.provider()?;
        let spec = self.row.spec.as_ref()?;
        let capability = provider.capability();
        let timeout_ms = match request {
            Request::Create(_) => capability.create_timeout_ms,
            _ => capability.call_timeout_ms,
        }
        .min(LONGEST_CALL_MS);
        let id = memory_effect(cx.fresh_id());
        let sealed = sealed.or_else(|| self.row.sealed.clone())?;
        let call = VendorCall {
            id,
            vendor: spec.vendor.clone(),
            credential: Bearer {
                org: self.org.clone(),
                record: format!("account/{}", self.id),
                sealed,
            },
            settings: spec.settings.clone(),
            request,
            timeout_ms,
        };
        cx.effect(Effect::Vendor(Box::new(call)));
        self.budget.begin(cx.now, id, priority);
        let timeout = Span::from_ms(i64::try_from(timeout_ms).unwrap_or(i64::MAX));
        Some(Sent {
            at_ms: cx.now.as_ms(),
            deadline_ms: (cx.now + timeout + ANSWER_GRACE).as_ms(),
            effect: id,
        })
    }

    /// What an errand asks the vendor for; nothing when there is nothing to ask for any more.
    fn request_of(&self, now: Timestamp, errand: &Errand) -> Option<Request> {
        if let Errand::DestroyStray(id) | Errand::LookAtStray(id) | Errand::BillStray(id) = errand {
            let row = self.strays.get(id)?;
            let (region, id) = (row.machine.region.clone(), row.machine.id.clone());
            return Some(match errand {
                Errand::DestroyStray(_) => Request::Destroy { region, id },
                Errand::BillStray(_) => Request::Bill {
                    region,
                    id,
                    since_ms: row.costs_since().as_ms(),
                    until_ms: now.as_ms(),
                },
                _ => Request::Get { region, id },
            });
        }
        let tracked = self.attempts.get(errand.attempt()?)?;
        if let Errand::Create(_) = errand {
            return tracked.spec.clone().map(Request::Create);
        }
        let id = tracked.attempt.machine.as_ref()?.as_str().to_owned();
        let region = tracked.region.clone();
        if let Errand::Bill(_) = errand {
            let sent_at = tracked.attempt.sent_at.unwrap_or(tracked.attempt.rented_at);
            return Some(Request::Bill {
                region,
                id,
                since_ms: sent_at.as_ms(),
                until_ms: now.as_ms(),
            });
        }
        let action = self.calls.get(errand).and_then(|call| call.action);
        Some(match action {
            Some(VendorAction::Start) => Request::Start { region, id },
            Some(VendorAction::Stop) => Request::Stop { region, id },
            Some(VendorAction::Destroy) => Request::Destroy { region, id },
            None => Request::Get { region, id },
        })
    }

    /// When something is to be done next.
    pub(super) fn earliest(&mut self, now: Timestamp) -> Option<Timestamp> {
        let creates = self.next_create_deadline();
        if !self.can_call() {
            return creates;
        }
        let (_, waiting) = self.waiting(now);
        let allowed = self.budget.poll_timeout(now, &waiting);
        let calls = self.calls.values().filter_map(|call| match call.sent {
            Some(sent) => Some(Timestamp::from_ms(sent.deadline_ms)),
            None => call
                .due_at_ms
                .map(Timestamp::from_ms)
                .filter(|due| *due > now),
        });
        let asks = self.asks.values().filter_map(|ask| match ask.sent {
            Some(sent) => Some(Timestamp::from_ms(sent.deadline_ms)),
            None => Some(ask.due).filter(|due| *due > now),
        });
        let strays = self
            .strays
            .values()
            .filter_map(|row| row.stray.poll_timeout());
        [
            creates,
            allowed,
            self.next_sweep(now),
            self.next_late_answer(),
        ]
        .into_iter()
        .flatten()
        .chain(calls)
        .chain(asks)
        .chain(strays)
        .min()
    }
}

/// Half of it fixed, half of it drawn from the errand's own name.
fn pause(errand: &Errand, tries: u32, cap: Span) -> Span {
    let half = Span::from_ms(exponential(RETRY_BASE, cap, tries).as_ms() / 2);
    half + jitter(salt(&errand.to_string()), u64::from(tries), half)
}
