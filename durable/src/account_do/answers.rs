//! Answers of the vendor: whom one concerns, what it says about the vendor itself, and what silence means.
//!
//! Invariant: a call that is not answered within a minute counts as one without an answer, whatever the host
//! does; one of an earlier life of this object counts so at once. What an answer shows is taken in however late
//! it comes.

use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::call_budget::Said;
use tidegate_provider_api::{ErrorKind, ProviderError, Reply as VendorReply, Request};

use super::Account;
use super::calls::{Ask, Purpose, RETRY_CAP};
use crate::bindings::rental::VendorAction;
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::account::{Errand, Sent};
use crate::turn::{EffectId, Outcome};

/// What a vendor says, or why it says nothing.
pub(super) type Ended = Result<VendorReply, ProviderError>;

/// No answer is waited for longer than this, and no call put off for longer, whatever the clock does.
const LONGEST_WAIT: Span = Span::from_secs(60);
const LONGEST_PAUSE: Span = Span::from_secs(3600);

impl Account {
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
            self.budget.end(cx.now, effect, said(&ended));
            // Its own attempt first: a "create" that is refused is over when the others hear of the credential.
            self.errand_ended(cx, errand, sent, ended.clone())?;
            return self.heed(cx, &ended, None);
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

    /// What an answer says about the account.
    fn heed(
        &mut self,
        cx: &mut Cx<'_>,
        ended: &Ended,
        region: Option<&str>,
    ) -> Result<(), StoreError> {
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
            // To be refused a permission is what is asked for.
            Purpose::Permission(_) if is_refusal(&ended) => {
                self.budget.end(cx.now, effect, Said::Aside);
            }
            Purpose::Candidate => self.budget.end(cx.now, effect, Said::Aside),
            _ => {
                let region = match &ask.request {
                    Request::List { region, .. } => Some(region.as_str()),
                    _ => None,
                };
                self.budget.end(cx.now, effect, said(&ended));
                self.heed(cx, &ended, region)?;
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
        ErrorKind::Auth => Said::Aside,
        ErrorKind::Quota
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
