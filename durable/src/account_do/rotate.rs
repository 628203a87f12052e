//! Taking another credential.
//!
//! Invariant: the account never has a credential that does not show every machine it has to look after. The new
//! one has to count and to list every region to its end, with every machine of ours that is alive in it; then it
//! takes the old one's place in one write. Until then the old one does all the work.

use std::collections::BTreeSet;

use tidegate_domain::time::Span;
use tidegate_domain::vendor::attempt::Stage;
use tidegate_domain::vendor::call_budget::Priority;
use tidegate_provider_api::{Reply as VendorReply, Request};

use super::answers::{Ended, unreadable};
use super::calls::{Ask, Purpose};
use super::shop::read;
use super::{Account, Poll, now, resolve};
use crate::bindings::account::RotateAnswer;
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::turn::Reply;

/// How long the caller waits: lists take longer than a catalogue.
const PATIENCE: Span = Span::from_secs(24);
const MOST_PAGES: u32 = 1_000;

/// A credential that is being tried.
pub(super) struct Rotation {
    pub(super) poll: Poll,
    sealed: String,
    /// Regions that are still to be listed, the current one last.
    regions: Vec<String>,
    pages: u32,
    found: BTreeSet<String>,
    /// Something that it shows carries this account's mark: it is one of the same account at the vendor.
    shows_ours: bool,
}

impl Account {
    pub(super) fn rotate(&mut self, cx: &mut Cx<'_>, sealed: String) -> Result<Reply, StoreError> {
        let why_not = if self.provider().is_none() {
            Some("the account is not connected; connect it with this credential instead")
        } else if self.rotation.is_some() {
            Some("another credential is being tried; wait for its answer")
        } else {
            self.why_not_now()
        };
        if let Some(reason) = why_not {
            return now("answer to a rotation", &refused(reason, Vec::new()));
        }
        let (poll, reply) = Self::wait(cx, PATIENCE);
        self.rotation = Some(Rotation {
            poll,
            sealed,
            regions: self.swept_regions().into_iter().collect(),
            pages: 0,
            found: BTreeSet::new(),
            shows_ours: false,
        });
        self.try_candidate(cx, Request::Verify);
        Ok(reply)
    }

    /// A machine that nobody has seen yet cannot be looked for with the new credential, and the old one will tell
    /// of it; unless the vendor does not let that one in any more: then only a new one can.
    fn why_not_now(&self) -> Option<&'static str> {
        (self.is_unsettled() && self.row.outage.is_none()).then_some(
            "a machine is being rented, and it is not known yet whether there is one; try again \
             once it is",
        )
    }

    fn is_unsettled(&self) -> bool {
        let mut attempts = self.attempts.values();
        attempts.any(|tracked| matches!(tracked.attempt.stage, Stage::Sent | Stage::Unclear))
    }

    fn try_candidate(&mut self, cx: &mut Cx<'_>, request: Request) {
        let Some(rotation) = &self.rotation else {
            return;
        };
        let ask = Ask {
            probes: true,
            priority: Priority::Get,
            sealed: Some(rotation.sealed.clone()),
            ..read(Purpose::Candidate, request, cx.now)
        };
        self.ask(cx, ask);
    }

    pub(super) fn candidate_ended(
        &mut self,
        cx: &mut Cx<'_>,
        request: Request,
        ended: Ended,
    ) -> Result<(), StoreError> {
        let fingerprint = self.row.spec.as_ref().map(|spec| &spec.fingerprint);
        let Some(rotation) = &mut self.rotation else {
            return Ok(());
        };
        let next = match (ended, request) {
            (Ok(VendorReply::Verified { .. }), Request::Verify) => None,
            (
                Ok(VendorReply::Machines(page)),
                Request::List {
                    region,
                    page: asked,
                },
            ) => {
                let mut marks = page.machines.iter().map(|machine| &machine.marker);
                rotation.shows_ours |= marks.any(|mark| {
                    let mark = mark.as_ref().map(|marker| &marker.fingerprint);
                    mark.is_some() && mark == fingerprint
                });
                let ids = page.machines.into_iter().map(|machine| machine.id);
                rotation.found.extend(ids);
                rotation.pages += 1;
                match page.next {
                    Some(next) if Some(&next) == asked.as_ref() || rotation.pages >= MOST_PAGES => {
                        let reason =
                            "the vendor's list goes round in a circle; nothing was changed";
                        return self.refuse_candidate(cx, reason, Vec::new());
                    }
                    Some(next) => Some((region, Some(next))),
                    None => None,
                }
            }
            (Ok(_), request) => {
                let reason = unreadable(request.operation()).to_string();
                return self.refuse_candidate(cx, &reason, Vec::new());
            }
            (Err(error), _) => {
                let reason =
                    format!("the new credential does not do: {error}; nothing was changed");
                return self.refuse_candidate(cx, &reason, Vec::new());
            }
        };
        let next = next.or_else(|| rotation.regions.pop().map(|region| (region, None)));
        match next {
            Some((region, page)) => {
                self.try_candidate(cx, Request::List { region, page });
                Ok(())
            }
            None => self.judge_candidate(cx),
        }
    }

    /// It has listed everything.
    fn judge_candidate(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        if let Some(reason) = self.why_not_now() {
            return self.refuse_candidate(cx, reason, Vec::new());
        }
        let Some(rotation) = &self.rotation else {
            return Ok(());
        };
        if self.is_unsettled() && !rotation.shows_ours {
            let reason = "a machine was being rented when the vendor ceased to let the old credential in, and \
                          the new one shows nothing of this account: nobody can tell that it would show that \
                          machine; nothing was changed";
            return self.refuse_candidate(cx, reason, Vec::new());
        }
        let attempts = self.attempts.values();
        let alive = attempts.filter(|tracked| tracked.attempt.stage == Stage::Alive);
        let alive = alive.filter_map(|tracked| tracked.attempt.machine.as_ref());
        let strays = self.strays.iter().filter(|(_, row)| !row.stray.is_gone());
        let missing: BTreeSet<String> = alive
            .chain(strays.map(|(id, _)| id))
            .map(|id| id.as_str().to_owned())
            .filter(|id| !rotation.found.contains(id))
            .collect();
        if !missing.is_empty() {
            let reason = "the new credential does not show every machine that is alive: it may be \
                          one of another account, or may not list them; nothing was changed";
            return self.refuse_candidate(cx, reason, missing.into_iter().collect());
        }
        let Some(rotation) = self.rotation.take() else {
            return Ok(());
        };
        self.row.sealed = Some(rotation.sealed);
        self.changed.account = true;
        self.budget.readmit();
        let account = self.id.clone();
        let reason = format!("it shows all {} machines", rotation.found.len());
        self.note(cx.now, "account.credential_rotated", &account, reason);
        self.readmitted(cx.now, "another credential is in use");
        self.everything_wanted = true;
        resolve(
            cx,
            vec![rotation.poll],
            "answer to a rotation",
            &RotateAnswer::Rotated,
        )
    }

    fn refuse_candidate(
        &mut self,
        cx: &mut Cx<'_>,
        reason: &str,
        missing: Vec<String>,
    ) -> Result<(), StoreError> {
        self.asks.retain(|_, ask| ask.purpose != Purpose::Candidate);
        let polls = self.rotation.take().map(|rotation| rotation.poll);
        let answer = refused(reason, missing);
        resolve(
            cx,
            polls.into_iter().collect(),
            "answer to a rotation",
            &answer,
        )
    }

    pub(super) fn dismiss_rotation(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        self.refuse_candidate(cx, "the account was removed", Vec::new())
    }

    pub(super) fn answer_late_rotation(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let is_late = self.rotation.as_ref().is_some_and(|rotation| {
            let until = rotation.poll.until;
            until <= cx.now || cx.now + PATIENCE.times(2) < until
        });
        if !is_late {
            return Ok(());
        }
        let reason = "the vendor did not show everything to the new credential in time; nothing \
                      was changed, try again";
        self.refuse_candidate(cx, reason, Vec::new())
    }
}

fn refused(reason: &str, missing: Vec<String>) -> RotateAnswer {
    RotateAnswer::Refused {
        reason: reason.to_owned(),
        missing,
    }
}
