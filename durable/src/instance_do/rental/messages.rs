//! What a rental tells and asks its account, its ledger and its fleet.

use tidegate_domain::lifecycle::{Action, Event};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_provider_api::{Callback, CreateSpec, Marker, Runtime};

use super::{Rental, terms};
use crate::bindings::ObjectName;
use crate::bindings::account::AccountCommand;
use crate::bindings::fleet::FleetCommand;
use crate::bindings::ledger::{Advance, AdvanceAnswer, LedgerCommand, WindowStatement};
use crate::bindings::rental::{Candidate, VendorAction};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::rental::segment_row;
use crate::turn::Outcome;

impl Rental {
    /// The offer of an attempt.
    /// What an hour of an attempt's machine costs beside the machine, in micro-dollars.
    pub(super) fn beside(&self, attempt: u32) -> u64 {
        let disk_gb = self.launch.runtime.disk_gb;
        self.candidate_of(attempt)
            .map_or(0, |it| it.offer.beside_microusd_per_hour(disk_gb))
    }

    pub(super) fn candidate_of(&self, attempt: u32) -> Option<&Candidate> {
        let candidate = self.life.attempt_of(attempt)?.candidate;
        self.launch.candidates.get(usize::try_from(candidate).ok()?)
    }

    fn account_of(&self, cx: &Cx<'_>, attempt: u32) -> Option<ObjectName> {
        let org = cx.name.org()?;
        let candidate = self.candidate_of(attempt)?;
        Some(ObjectName::account(org, &candidate.account))
    }

    pub(super) fn rent(
        &mut self,
        cx: &mut Cx<'_>,
        attempt: u32,
        candidate: u32,
    ) -> Result<(), StoreError> {
        let offer = usize::try_from(candidate)
            .ok()
            .and_then(|at| self.launch.candidates.get(at));
        let (Some(candidate), Some(account)) = (offer, self.account_of(cx, attempt)) else {
            return Ok(());
        };
        let spec = self.spec(cx, attempt, candidate);
        cx.send(
            account,
            &AccountCommand::Rent {
                spec: Box::new(spec),
            },
        )
    }

    fn spec(&self, cx: &Cx<'_>, attempt: u32, candidate: &Candidate) -> CreateSpec {
        let (org, instance) = (
            cx.name.org().unwrap_or_default(),
            cx.name.tail().unwrap_or_default(),
        );
        let runtime = &self.launch.runtime;
        let offer = &candidate.offer;
        let lifetime = Span::from_ms(self.launch.ends.max_lifetime_ms);
        CreateSpec {
            marker: Marker {
                fingerprint: candidate.fingerprint.clone(),
                instance: instance.to_owned(),
                attempt,
            },
            region: offer.region.clone(),
            zone: offer.zone.clone(),
            machine_type: offer.machine_type.clone(),
            gpu_count: offer.gpu.count,
            spot: offer.spot,
            max_microusd_per_hour: offer.microusd_per_hour.filter(|_| offer.spot),
            disk_gb: runtime.disk_gb,
            runtime: Runtime {
                image: runtime.image.clone(),
                args: runtime.args.clone(),
                env: runtime.env.clone(),
                sealed_env: runtime.sealed_env.clone(),
                port: runtime.port,
            },
            lifetime_secs: u64::try_from(lifetime.as_secs_ceil()).unwrap_or_default(),
            ssh_public_key: self.launch.ssh_public_key.clone(),
            callback: self.launch.callback_base.as_ref().map(|base| Callback {
                url: format!(
                    "{}/webhooks/boot/{org}~{instance}",
                    base.trim_end_matches('/')
                ),
            }),
        }
    }

    pub(super) fn withdraw(&self, cx: &mut Cx<'_>, attempt: u32) -> Result<(), StoreError> {
        let instance = own_id(cx);
        self.tell_account(cx, attempt, &AccountCommand::Withdraw { instance, attempt })
    }

    pub(super) fn act(
        &self,
        cx: &mut Cx<'_>,
        attempt: u32,
        action: Action,
        number: u64,
    ) -> Result<(), StoreError> {
        let command = AccountCommand::Act {
            instance: own_id(cx),
            attempt,
            action: match action {
                Action::Start => VendorAction::Start,
                Action::Stop => VendorAction::Stop,
                Action::Destroy => VendorAction::Destroy,
            },
            number,
        };
        self.tell_account(cx, attempt, &command)
    }

    pub(super) fn abandon(&self, cx: &mut Cx<'_>, attempt: u32) -> Result<(), StoreError> {
        let instance = own_id(cx);
        self.tell_account(cx, attempt, &AccountCommand::Abandon { instance, attempt })
    }

    /// A question that its timer asks again.
    pub(super) fn look(&self, cx: &mut Cx<'_>, attempt: u32) -> Result<(), StoreError> {
        let instance = own_id(cx);
        self.ask_account(cx, attempt, &AccountCommand::Look { instance, attempt })
    }

    pub(super) fn ask_bill(&self, cx: &mut Cx<'_>, attempt: u32) -> Result<(), StoreError> {
        let instance = own_id(cx);
        self.ask_account(cx, attempt, &AccountCommand::Bill { instance, attempt })
    }

    fn tell_account(
        &self,
        cx: &mut Cx<'_>,
        attempt: u32,
        command: &AccountCommand,
    ) -> Result<(), StoreError> {
        match self.account_of(cx, attempt) {
            Some(account) => cx.send(account, command),
            None => Ok(()),
        }
    }

    fn ask_account(
        &self,
        cx: &mut Cx<'_>,
        attempt: u32,
        command: &AccountCommand,
    ) -> Result<(), StoreError> {
        match self.account_of(cx, attempt) {
            Some(account) => cx.poke(account, command),
            None => Ok(()),
        }
    }

    pub(super) fn ask_advance(
        &self,
        cx: &mut Cx<'_>,
        number: u64,
        microusd_per_hour: u64,
        hold: Span,
    ) -> Result<(), StoreError> {
        let org = cx.name.org().unwrap_or_default().to_owned();
        let advance = Advance {
            instance: own_id(cx),
            window: self.paid_window(cx),
            number,
            project: self.launch.project.clone(),
            microusd_per_hour,
            hold_ms: hold.as_ms(),
        };
        cx.poke(ObjectName::ledger(&org), &LedgerCommand::Advance(advance))
    }

    /// The cost window that an advance is for: of the attempt that runs, or of the one that it is to begin.
    fn paid_window(&self, cx: &Cx<'_>) -> String {
        let attempt = match self.life.state() {
            tidegate_domain::lifecycle::State::Requested => self.life.attempt().saturating_add(1),
            _ => self.life.attempt(),
        };
        window(&own_id(cx), attempt)
    }

    pub(super) fn state_window(&mut self, cx: &mut Cx<'_>, attempt: u32) -> Result<(), StoreError> {
        let Some(statement) = self.statement(cx, attempt) else {
            return Ok(());
        };
        self.due.save = true;
        let org = cx.name.org().unwrap_or_default().to_owned();
        cx.send(
            ObjectName::ledger(&org),
            &LedgerCommand::State { statement },
        )
    }

    fn statement(&mut self, cx: &Cx<'_>, attempt: u32) -> Option<WindowStatement> {
        let at = usize::try_from(attempt).ok()?.checked_sub(1)?;
        let candidate = self.candidate_of(attempt)?.clone();
        let costs = &self.life.attempt_of(attempt)?.costs;
        let can = terms::capability(&candidate.vendor);
        let is_current = attempt == self.life.attempt();
        if is_current {
            self.row.shares = self.shares.stated();
        }
        let revisions = &mut self.row.revisions;
        if revisions.len() <= at {
            revisions.resize(at + 1, 0);
        }
        let revision = revisions.get_mut(at)?;
        *revision += 1;
        Some(WindowStatement {
            window: window(&own_id(cx), attempt),
            revision: *revision,
            instance: own_id(cx),
            account: candidate.account,
            project: self.launch.project.clone(),
            segments: costs.segments.iter().map(segment_row).collect(),
            until_ms: costs.until.map(Timestamp::as_ms),
            minimum_ms: can.billing_minimum_ms,
            step_ms: can.billing_step_ms,
            billed_microusd: costs.billed,
            void: costs.is_void,
            shares: if is_current {
                self.row.shares.clone()
            } else {
                std::collections::BTreeMap::new()
            },
        })
    }

    pub(super) fn announce(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        self.row.sequence += 1;
        let org = cx.name.org().unwrap_or_default().to_owned();
        let command = FleetCommand::AnnounceRental {
            event_id: format!("{}/rental/{}", cx.name, self.row.sequence),
            instance: own_id(cx),
            status: Box::new(self.status(cx.now)),
            sequence: self.row.sequence,
        };
        cx.send(ObjectName::fleet(&org), &command)
    }
}

fn own_id(cx: &Cx<'_>) -> String {
    cx.name.tail().unwrap_or_default().to_owned()
}

fn window(instance: &str, attempt: u32) -> String {
    format!("{instance}/{attempt}")
}

/// What the ledger has said to an advance, if that is what was delivered.
pub(super) fn advance_answer(outcome: &Outcome, rental: &Rental) -> Option<Event> {
    let Outcome::Delivered { reply } = outcome else {
        return None;
    };
    let answer: AdvanceAnswer = serde_json::from_str(reply).ok()?;
    let (window, event) = match answer {
        AdvanceAnswer::Advanced {
            window,
            number,
            until_ms,
        } => {
            let until = Timestamp::from_ms(until_ms);
            (window, Event::Advanced { number, until })
        }
        AdvanceAnswer::Denied { window, number, .. } => (window, Event::AdvanceDenied { number }),
    };
    // One for an attempt that is over says nothing about the next.
    let number = window.rsplit('/').next()?.parse::<u32>().ok()?;
    let attempt = rental.life.attempt();
    (number == attempt || number == attempt.saturating_add(1)).then_some(event)
}
