//! What an account tells, as facts for the life; and what of it is kept for people.

use tidegate_domain::ids::MachineId;
use tidegate_domain::lifecycle::{Action, Billing, EndedBy, Fact, Refusal, Seen, Sighting};
use tidegate_domain::time::Timestamp;
use tidegate_provider_api::{
    Billing as VendorBilling, Ending, ErrorKind, Machine, MachineState, ProviderError,
};

use super::Rental;
use crate::bindings::rental::{VendorAction, VendorFact};
use crate::driver::Cx;
use crate::ports::StoreError;

/// The fact, if it is one for the life. What the vendor tells of the price is the machine's alone; `beside` is what
/// an hour costs beside that.
pub(super) fn of(fact: VendorFact, at_ms: i64, beside: u64) -> Option<Fact> {
    Some(match fact {
        VendorFact::CreateSent => Fact::CreateSent,
        VendorFact::Created { machine } | VendorFact::Seen { machine } => {
            Fact::Seen(sighting(&machine, at_ms, beside))
        }
        VendorFact::CreateRefused { error } => Fact::CreateRefused(refusal(&error)),
        VendorFact::CreateUnclear { .. } => Fact::CreateUnclear,
        VendorFact::Withdrawn => Fact::Withdrawn,
        VendorFact::NotSeen {
            asked_at_ms,
            in_list,
            last_seen_ms,
        } => Fact::NotSeen {
            asked_at: Timestamp::from_ms(asked_at_ms),
            in_list,
            last_seen: last_seen_ms.map(Timestamp::from_ms),
        },
        VendorFact::ActionTaken { action } => Fact::Taken(action_of(action)),
        VendorFact::ActionRefused { action, error } => {
            Fact::Refused(action_of(action), refusal(&error))
        }
        VendorFact::Billed { microusd } => Fact::Billed(microusd),
        // Nothing to decide: calls go on, and somebody is told.
        VendorFact::CredentialRefused { .. } => return None,
    })
}

fn sighting(machine: &Machine, at_ms: i64, beside: u64) -> Sighting {
    Sighting {
        machine: MachineId::new(machine.id.as_str()),
        at: Timestamp::from_ms(at_ms),
        seen: match machine.state {
            MachineState::Pending => Seen::Pending,
            MachineState::Running => Seen::Running,
            MachineState::Stopping => Seen::Stopping,
            MachineState::Stopped => Seen::Stopped,
            MachineState::Terminating => Seen::Terminating,
            MachineState::Terminated => Seen::Terminated,
            MachineState::Failed => Seen::Failed,
            MachineState::Unknown => Seen::Unknown,
        },
        ended_by: machine.reason.as_ref().map(|reason| match reason.ending {
            Ending::Asked => EndedBy::Asked,
            Ending::Itself => EndedBy::Itself,
            Ending::Preempted => EndedBy::Preempted,
            Ending::Capacity => EndedBy::Capacity,
            Ending::Quota => EndedBy::Quota,
            Ending::Crashed => EndedBy::Crashed,
            Ending::Other => EndedBy::Other,
        }),
        gpus: machine.gpu_count,
        billing: match machine.billing {
            VendorBilling::Full => Billing::Full,
            VendorBilling::Disk => Billing::Disk,
            VendorBilling::None => Billing::None,
            VendorBilling::Unknown => Billing::Unknown,
        },
        microusd_per_hour: machine
            .microusd_per_hour
            .map(|price| price.saturating_add(beside)),
        billed_from: machine.billed_from_ms.map(Timestamp::from_ms),
        billed_until: machine.billed_until_ms.map(Timestamp::from_ms),
    }
}

const fn refusal(error: &ProviderError) -> Refusal {
    match error.kind {
        ErrorKind::Auth => Refusal::Auth,
        ErrorKind::Capacity | ErrorKind::Quota | ErrorKind::NotFound => Refusal::Unavailable,
        ErrorKind::Validation | ErrorKind::Runtime if error.permanent => Refusal::Never,
        ErrorKind::Validation
        | ErrorKind::Runtime
        | ErrorKind::Network
        | ErrorKind::RateLimited => Refusal::NotNow,
    }
}

const fn action_of(action: VendorAction) -> Action {
    match action {
        VendorAction::Start => Action::Start,
        VendorAction::Stop => Action::Stop,
        VendorAction::Destroy => Action::Destroy,
    }
}

impl Rental {
    /// Keeps what people want to know of a fact, and writes the vendor's words down.
    pub(super) fn remember(
        &mut self,
        cx: &mut Cx<'_>,
        attempt: u32,
        fact: &VendorFact,
    ) -> Result<(), StoreError> {
        match fact {
            VendorFact::Created { machine } | VendorFact::Seen { machine } => {
                self.remember_machine(attempt, machine);
            }
            VendorFact::CreateRefused { error } => {
                self.come_of(attempt, format!("refused: {error}"));
                self.note_own(cx, "create_refused", error.to_string())?;
            }
            VendorFact::CreateUnclear { error } => {
                self.come_of(attempt, format!("unclear: {error}"));
                self.note_own(cx, "create_unclear", error.to_string())?;
            }
            VendorFact::Withdrawn => self.come_of(attempt, "withdrawn".to_owned()),
            VendorFact::ActionRefused { action, error } => {
                self.row.words = error.to_string();
                self.due.save = true;
                let what = format!("{}_refused", super::notes::action_name(*action));
                self.note_own(cx, &what, error.to_string())?;
            }
            VendorFact::CredentialRefused { error } => {
                self.row.words = error.to_string();
                self.due.announce = true;
                self.note_own(cx, "credential_refused", error.to_string())?;
            }
            VendorFact::CreateSent => self.come_of(attempt, "sent".to_owned()),
            VendorFact::NotSeen { .. }
            | VendorFact::ActionTaken { .. }
            | VendorFact::Billed { .. } => {}
        }
        Ok(())
    }

    fn remember_machine(&mut self, attempt: u32, machine: &Machine) {
        if attempt != self.life.attempt() {
            return;
        }
        let known = self.life.record().machine.as_ref();
        if known.is_some_and(|known| known.as_str() != machine.id) {
            return;
        }
        let billing = match machine.billing {
            VendorBilling::Full => "full",
            VendorBilling::Disk => "disk",
            VendorBilling::None => "none",
            VendorBilling::Unknown => "unknown",
        };
        let row = &mut self.row;
        let before = (
            row.endpoint.clone(),
            row.address.clone(),
            row.billing.clone(),
            row.words.clone(),
        );
        if machine.endpoint.is_some() {
            row.endpoint.clone_from(&machine.endpoint);
        }
        if machine.address.is_some() {
            row.address.clone_from(&machine.address);
        }
        row.billing = Some(billing.to_owned());
        row.words = machine
            .reason
            .as_ref()
            .map(|reason| reason.words.clone())
            .unwrap_or_default();
        let after = (
            row.endpoint.clone(),
            row.address.clone(),
            row.billing.clone(),
            row.words.clone(),
        );
        if before != after {
            self.due.announce = true;
        }
        self.come_of(attempt, "machine found".to_owned());
    }

    /// What came of an attempt.
    fn come_of(&mut self, attempt: u32, outcome: String) {
        let Some(at) = usize::try_from(attempt)
            .ok()
            .and_then(|it| it.checked_sub(1))
        else {
            return;
        };
        let outcomes = &mut self.row.outcomes;
        if outcomes.len() <= at {
            outcomes.resize(at + 1, String::new());
        }
        if let Some(known) = outcomes.get_mut(at)
            && *known != outcome
            // That it was sent may come later than what became of it.
            && (outcome != "sent" || known.is_empty())
        {
            *known = outcome;
            self.due.save = true;
        }
    }
}
