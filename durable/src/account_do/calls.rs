//! Calls to the vendor: which goes now, what is marked, and whom an answer concerns.
//!
//! Invariant: `sent row ⇒ the call may have left`, and a call leaves only with its row marked. A call that is
//! not answered within a minute counts as one without an answer, whatever the host does; one of an earlier life
//! of this object counts so at once.

use tidegate_domain::backoff::{exponential, jitter, salt};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::call_budget::{Priority, Said, Waiting};
use tidegate_provider_api::{ErrorKind, ProviderError, Reply as VendorReply, Request};

use super::Account;
use crate::bindings::rental::VendorAction;
use crate::driver::{Cx, memory_effect};
use crate::ports::StoreError;
use crate::records::account::{Call, Errand, Sent};
use crate::turn::{Bearer, Effect, EffectId, Outcome, VendorCall};

/// What a vendor says, or why it says nothing.
pub(super) type Ended = Result<VendorReply, ProviderError>;

/// Nothing waits longer than a minute for one effect: the host gives up a little earlier, and the alarm then.
const LONGEST_CALL_MS: u64 = 55_000;
const ANSWER_GRACE: Span = Span::from_secs(5);
const LONGEST_WAIT: Span = Span::from_secs(60);
/// Pauses between tries of one call.
const RETRY_BASE: Span = Span::from_secs(2);
pub(super) const RETRY_CAP: Span = Span::from_secs(60);
/// No call is put off for longer than this, whatever the clock does.
const LONGEST_PAUSE: Span = Span::from_secs(3600);

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
        if self.provider().is_none() {
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
                    since_ms: row.stray.first_seen.as_ms(),
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

    /// An effect ended that may have been a call to the vendor.
    pub(super) fn call_ended(
        &mut self,
        cx: &mut Cx<'_>,
        effect: EffectId,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        let is_it = |sent: &Option<Sent>| sent.is_some_and(|sent| sent.effect == effect);
        let errand = self.calls.iter().find(|(_, call)| is_it(&call.sent));
        if let Some((errand, call)) = errand {
            let (errand, sent) = (errand.clone(), call.sent);
            let ended = ended(outcome, operation(&errand, call.action));
            let region = None;
            self.heed(cx, effect, &ended, region)?;
            return self.errand_ended(cx, errand, sent, ended);
        }
        let ask = self.asks.iter().find(|(_, ask)| is_it(&ask.sent));
        if let Some(number) = ask.map(|(number, _)| *number) {
            let Some(ask) = self.asks.remove(&number) else {
                return Ok(());
            };
            let ended = ended(outcome, ask.request.operation());
            return self.ask_ended(cx, effect, ask, ended);
        }
        // A call that was given up, or one of an earlier life. What it shows is there all the same.
        let is_call = matches!(outcome, Outcome::Vendor { .. });
        if !is_call && !self.budget.is_under_way(effect) {
            return Ok(());
        }
        let ended = ended(outcome, "call");
        self.budget.end(cx.now, effect, said(&ended));
        match ended {
            Ok(reply) => self.overheard(cx, reply),
            Err(_) => Ok(()),
        }
    }

    /// What an answer says about the vendor and the credential.
    fn heed(
        &mut self,
        cx: &mut Cx<'_>,
        effect: EffectId,
        ended: &Ended,
        region: Option<&str>,
    ) -> Result<(), StoreError> {
        self.budget.end(cx.now, effect, said(ended));
        self.heed_credential(cx, ended, region)?;
        if let Err(error) = ended {
            self.note_error(cx.now, error);
        }
        Ok(())
    }

    fn ask_ended(
        &mut self,
        cx: &mut Cx<'_>,
        effect: EffectId,
        ask: Ask,
        ended: Ended,
    ) -> Result<(), StoreError> {
        match &ask.purpose {
            Purpose::Candidate => self.budget.end(cx.now, effect, Said::OfAnother),
            // To be refused a permission is what is asked for.
            Purpose::Permission(_) if is_refusal(&ended) => {
                self.budget.end(cx.now, effect, Said::Answered);
            }
            _ => {
                let region = match &ask.request {
                    Request::List { region, .. } => Some(region.as_str()),
                    _ => None,
                };
                self.heed(cx, effect, &ended, region)?;
            }
        }
        match ask.purpose {
            Purpose::Page => self.page_ended(cx, ended),
            Purpose::Part => self.part_ended(cx, ask.request, ended),
            Purpose::Regions => self.regions_ended(cx, ended),
            Purpose::Verify => self.verify_ended(cx, ended),
            Purpose::Permission(name) => self.permission_ended(cx, &name, ended),
            Purpose::Candidate => self.candidate_ended(cx, ask.request, ended),
        }
    }

    fn errand_ended(
        &mut self,
        cx: &mut Cx<'_>,
        errand: Errand,
        sent: Option<Sent>,
        ended: Ended,
    ) -> Result<(), StoreError> {
        let sent_at = sent.map_or(cx.now, |sent| Timestamp::from_ms(sent.at_ms));
        if let Some(call) = self.calls.get_mut(&errand) {
            call.sent = None;
            self.changed.calls.insert(errand.clone());
        }
        match &errand {
            Errand::Create(id) => self.create_ended(cx, id, ended),
            Errand::Act(id) => self.act_ended(cx, id, sent_at, ended),
            Errand::Look(id) => self.look_ended(cx, id, sent_at, ended),
            Errand::Bill(id) => self.bill_ended(cx, id, ended),
            Errand::DestroyStray(id) => self.stray_destroyed(cx, id, sent_at, ended),
            Errand::LookAtStray(id) => self.stray_looked_at(cx, id, sent_at, ended),
            Errand::BillStray(id) => self.stray_billed(cx, id, ended),
        }
    }

    /// What was under way in an earlier life has no answer.
    pub(super) fn resume(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        self.give_up(cx, |_| true, "the account was restarted meanwhile")
    }

    /// What has had no answer for too long has none, and what waits to be rented has waited long enough.
    pub(super) fn expire(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let now = cx.now;
        for (errand, call) in &mut self.calls {
            // A clock that jumped back must not keep anything from being tried again.
            let is_held = |at: i64, most: Span| at > (now + most).as_ms();
            if let Some(due) = call.due_at_ms.filter(|due| is_held(*due, LONGEST_PAUSE)) {
                call.due_at_ms = Some(due.min((now + RETRY_CAP).as_ms()));
                self.changed.calls.insert(errand.clone());
            }
            if let Some(sent) = &mut call.sent
                && is_held(sent.deadline_ms, LONGEST_WAIT)
            {
                sent.deadline_ms = (now + LONGEST_WAIT).as_ms();
                self.changed.calls.insert(errand.clone());
            }
        }
        let is_late = |sent: Sent| sent.deadline_ms <= now.as_ms();
        self.give_up(cx, is_late, "no answer came in time")?;
        let late_asks: Vec<u64> = self
            .asks
            .iter()
            .filter(|(_, ask)| ask.sent.is_some_and(is_late))
            .map(|(number, _)| *number)
            .collect();
        for number in late_asks {
            let Some(ask) = self.asks.remove(&number) else {
                continue;
            };
            let operation = ask.request.operation();
            let ended = Err(ProviderError::no_answer(
                operation,
                "no answer came in time",
            ));
            let effect = ask.sent.map_or(0, |sent| sent.effect);
            self.ask_ended(cx, effect, ask, ended)?;
        }
        self.expire_creates(cx)
    }

    fn give_up(
        &mut self,
        cx: &mut Cx<'_>,
        is_given_up: impl Fn(Sent) -> bool,
        words: &str,
    ) -> Result<(), StoreError> {
        let given_up: Vec<(Errand, Sent, &str)> = self
            .calls
            .iter()
            .filter_map(|(errand, call)| {
                let sent = call.sent.filter(|sent| is_given_up(*sent))?;
                Some((errand.clone(), sent, operation(errand, call.action)))
            })
            .collect();
        for (errand, sent, operation) in given_up {
            // Of an earlier life's calls the budget knows nothing, and they say nothing about the vendor.
            if sent.deadline_ms <= cx.now.as_ms() {
                self.budget.end(cx.now, sent.effect, Said::Nothing);
            }
            let ended = Err(ProviderError::no_answer(operation, words));
            self.errand_ended(cx, errand, Some(sent), ended)?;
        }
        Ok(())
    }

    /// When something is to be done next.
    pub(super) fn earliest(&mut self, now: Timestamp) -> Option<Timestamp> {
        let creates = self.next_create_deadline();
        if self.provider().is_none() {
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

fn ended(outcome: Outcome, operation: &str) -> Ended {
    match outcome {
        Outcome::Vendor {
            error: Some(error), ..
        } => Err(error),
        Outcome::Vendor {
            reply: Some(reply), ..
        } => Ok(reply),
        // Nothing was sent.
        Outcome::Refused { reason } => Err(ProviderError::new(
            ErrorKind::Validation,
            operation,
            &reason,
        )),
        Outcome::Failed { reason } => Err(ProviderError::no_answer(operation, &reason)),
        Outcome::Vendor { .. } | Outcome::Delivered { .. } | Outcome::Fetched { .. } => {
            Err(unreadable(operation))
        }
    }
}

/// An answer to another question.
pub(super) fn unreadable(operation: &str) -> ProviderError {
    ProviderError::no_answer(operation, "the answer is not one to this call")
}

/// Whether the credential may not do this.
pub(super) fn is_refusal(ended: &Ended) -> bool {
    matches!(ended, Err(error) if error.kind == ErrorKind::Auth)
}

/// Whether the same call may do better later.
pub(super) fn is_passing(error: &ProviderError) -> bool {
    error.unclear || matches!(error.kind, ErrorKind::RateLimited | ErrorKind::Network)
}

fn said(ended: &Ended) -> Said {
    let Err(error) = ended else {
        return Said::Answered;
    };
    match error.kind {
        ErrorKind::RateLimited => Said::TooMany {
            retry_after: error
                .retry_after_ms
                .map(|ms| Span::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))),
        },
        ErrorKind::Network => Said::Nothing,
        ErrorKind::Auth if shows_credential(&error.operation) => Said::Refused,
        ErrorKind::Auth
        | ErrorKind::Quota
        | ErrorKind::Capacity
        | ErrorKind::Runtime
        | ErrorKind::Validation
        | ErrorKind::NotFound => Said::Answered,
    }
}

/// Whether being refused this means that the account as a whole is not let in. A key that may list and not stop
/// is one that may do less.
pub(super) fn shows_credential(operation: &str) -> bool {
    ["verify", "list", "get", "create"].contains(&operation)
}

fn operation(errand: &Errand, action: Option<VendorAction>) -> &'static str {
    match (errand, action) {
        (Errand::Create(_), _) => "create",
        (Errand::Act(_), Some(VendorAction::Start)) => "start",
        (Errand::Act(_), Some(VendorAction::Stop)) => "stop",
        (Errand::Act(_), _) | (Errand::DestroyStray(_), _) => "destroy",
        (Errand::Look(_) | Errand::LookAtStray(_), _) => "get",
        (Errand::Bill(_) | Errand::BillStray(_), _) => "bill",
    }
}

/// Half of it fixed, half of it drawn from the errand's own name.
fn pause(errand: &Errand, tries: u32, cap: Span) -> Span {
    let half = Span::from_ms(exponential(RETRY_BASE, cap, tries).as_ms() / 2);
    half + jitter(salt(&errand.to_string()), u64::from(tries), half)
}
