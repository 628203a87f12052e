//! What an account tells: its instances the facts of their attempts, the journal what people should know, and
//! whether the vendor lets it in.
//!
//! Invariant: each fact has a number of its own, greater than that of every earlier one. Nobody is told of an
//! attempt that was abandoned.

use tidegate_domain::time::Timestamp;
use tidegate_domain::vendor::attempt::AttemptId;
use tidegate_provider_api::ProviderError;

use super::Account;
use super::answers::{Ended, shows_credential};
use crate::bindings::ObjectName;
use crate::bindings::instance::InstanceCommand;
use crate::bindings::journal::AuditEntry;
use crate::bindings::rental::VendorFact;
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::account::OutageRow;
use tidegate_provider_api::ErrorKind;

impl Account {
    /// Tells the attempt's instance.
    pub(super) fn tell(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
        fact: VendorFact,
    ) -> Result<(), StoreError> {
        let tracked = self.attempts.get(id);
        if tracked.is_some_and(|tracked| tracked.attempt.abandoned) {
            return Ok(());
        }
        let sequence = self.next_number();
        let message = InstanceCommand::Heard {
            event_id: format!("{}/{sequence}", cx.name),
            sequence,
            at_ms: cx.now.as_ms(),
            attempt: id.number,
            fact,
        };
        let instance = ObjectName::instance(&self.org, id.instance.as_str());
        cx.send(instance, &message)
    }

    /// The same, and keeps it to be told again when the instance asks.
    pub(super) fn tell_outcome(
        &mut self,
        cx: &mut Cx<'_>,
        id: &AttemptId,
        fact: VendorFact,
    ) -> Result<(), StoreError> {
        if let Some(tracked) = self.attempts.get_mut(id) {
            tracked.outcome = Some(fact.clone());
            tracked.spec = None;
            self.changed.attempts.insert(id.clone());
        }
        self.tell(cx, id, fact)
    }

    /// For the audit.
    pub(super) fn note(&mut self, now: Timestamp, action: &str, subject: &str, reason: String) {
        self.audits.push(AuditEntry {
            at_ms: now.as_ms(),
            actor: format!("account/{}", self.id),
            action: action.to_owned(),
            subject: subject.to_owned(),
            reason,
        });
    }

    /// For whoever looks at the account.
    pub(super) fn note_error(&mut self, now: Timestamp, error: &ProviderError) {
        self.row.last_error = Some(error.clone());
        self.row.last_error_ms = Some(now.as_ms());
        self.changed.account = true;
    }

    /// Whether the vendor lets this account in, as far as this answer tells. Instances hear of a refusal once.
    pub(super) fn heed_credential(
        &mut self,
        cx: &mut Cx<'_>,
        ended: &Ended,
        region: Option<&str>,
    ) -> Result<(), StoreError> {
        match ended {
            Ok(reply) => {
                let is_over = self.row.outage.as_ref().is_some_and(|outage| {
                    // A region that is not open to the account is refused however good the credential is: only
                    // its own list shows that it is open again.
                    outage.operation != "list"
                        || (matches!(reply, tidegate_provider_api::Reply::Machines(_))
                            && outage.region.as_deref() == region)
                });
                if is_over {
                    self.readmitted(cx.now, "the vendor lets it in again");
                }
                Ok(())
            }
            Err(error) if error.kind == ErrorKind::Auth && shows_credential(&error.operation) => {
                self.refused(cx, error, region)
            }
            Err(_) => Ok(()),
        }
    }

    /// The outage is over.
    pub(super) fn readmitted(&mut self, now: Timestamp, why: &str) {
        if self.row.outage.take().is_some() {
            self.changed.account = true;
            let account = self.id.clone();
            self.note(now, "account.credential_accepted", &account, why.to_owned());
        }
    }

    fn refused(
        &mut self,
        cx: &mut Cx<'_>,
        error: &ProviderError,
        region: Option<&str>,
    ) -> Result<(), StoreError> {
        if self.row.outage.is_some() {
            return Ok(());
        }
        self.row.outage = Some(OutageRow {
            since_ms: cx.now.as_ms(),
            operation: error.operation.clone(),
            region: region.map(str::to_owned),
        });
        self.changed.account = true;
        let account = self.id.clone();
        self.note(
            cx.now,
            "account.credential_refused",
            &account,
            error.to_string(),
        );
        let live = self.attempts.iter();
        let live = live.filter(|(_, tracked)| !tracked.attempt.is_over());
        let live: Vec<AttemptId> = live.map(|(id, _)| id.clone()).collect();
        for id in live {
            let error = error.clone();
            self.tell(cx, &id, VendorFact::CredentialRefused { error })?;
        }
        Ok(())
    }
}
