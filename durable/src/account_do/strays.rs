//! Machines with a marker of ours that no attempt owns: noticed, given back, watched until they are gone, paid.
//!
//! Invariant: a stray costs from its first sight until the vendor's word that it is gone, and the ledger knows.
//! Once a stray, always a stray: no attempt adopts it later.
//!
//! In scope: calls, statements, audit. Out of scope: when it is given back (`tidegate_domain::vendor::stray`).

use tidegate_domain::ids::MachineId;
use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::stray::{Said, Step, Stray, Watch, Why};
use tidegate_provider_api::{
    Billing, ErrorKind, Machine, MachineState, ProviderError, Reply as VendorReply,
};

use super::Account;
use super::answers::{Ended, unreadable};
use super::calls::RETRY_CAP;
use crate::bindings::ObjectName;
use crate::bindings::ledger::{LedgerCommand, WindowStatement};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::account::{Call, Errand, StrayRow};

/// How soon the vendor is asked what a stray cost, and then how often, and how often at all: three days. A bill
/// grows while its records come in, so it is asked for until the same sum has come twice.
const BILL_FIRST: Span = Span::from_secs(60);
const BILL_AGAIN: Span = Span::from_secs(3600);
const MOST_BILLS: u32 = 75;

impl Account {
    /// A machine of an attempt that nobody wants.
    pub(super) fn found_unwanted(
        &mut self,
        cx: &mut Cx<'_>,
        machine: Machine,
    ) -> Result<(), StoreError> {
        let now = cx.now;
        self.found_stray(cx, machine, Why::Unwanted, now)
    }

    /// The vendor shows a machine that no attempt owns, in a list that was begun then.
    pub(super) fn found_stray(
        &mut self,
        cx: &mut Cx<'_>,
        machine: Machine,
        why: Why,
        begun_at: Timestamp,
    ) -> Result<(), StoreError> {
        let id = MachineId::new(machine.id.as_str());
        self.changed.strays.insert(id.clone());
        let mut is_reopened = false;
        let (row, step) = match self.strays.remove(&id) {
            Some(mut row) => {
                let was_gone = row.closed_at();
                let step = row.stray.listed(cx.now, begun_at, why);
                if let Some(closed_at) = was_gone {
                    // Between its two lives it cost nothing, as far as anybody knows.
                    row.costs(closed_at, 0);
                    row.billed_microusd = None;
                    is_reopened = true;
                    self.drop_call(&Errand::BillStray(id.clone()));
                    self.note_found(cx.now, &machine, why);
                }
                (row, step)
            }
            None => {
                let mut stray = Stray::new(cx.now, begun_at, why);
                let step = stray.decide(cx.now);
                self.note_found(cx.now, &machine, why);
                let row = StrayRow {
                    stray,
                    listed_in: machine.region.clone(),
                    machine: machine.clone(),
                    segments: Vec::new(),
                    billed_microusd: None,
                };
                (row, step)
            }
        };
        self.strays.insert(id.clone(), row);
        if self.note_machine(cx.now, &id, machine) || is_reopened {
            self.state_window(cx, &id)?;
        }
        self.take(cx, &id, step)
    }

    fn note_found(&mut self, now: Timestamp, machine: &Machine, why: Why) {
        let marker = machine.marker.as_ref().map(ToString::to_string);
        let reason = format!(
            "{} in {}, {}: {}",
            marker.unwrap_or_default(),
            machine.region,
            machine.raw_state,
            why.as_str()
        );
        self.note(now, "account.stray_found", &machine.id, reason);
    }

    /// What a stray is and costs now. Whether that is news for the ledger.
    fn note_machine(&mut self, now: Timestamp, id: &MachineId, machine: Machine) -> bool {
        let attempt = machine
            .marker
            .as_ref()
            .and_then(|marker| self.attempt_of(marker));
        let tracked = attempt.and_then(|attempt| self.attempts.get(&attempt));
        let known = tracked.and_then(|tracked| tracked.microusd_per_hour);
        let beside = tracked.map_or(0, |tracked| tracked.beside_microusd_per_hour);
        let rate = match machine.billing {
            Billing::None => Some(0),
            Billing::Full | Billing::Disk | Billing::Unknown => machine
                .microusd_per_hour
                .or(known)
                .map(|rate| rate.saturating_add(beside)),
        };
        let Some(row) = self.strays.get_mut(id) else {
            return false;
        };
        let last = row.segments.last().map(|last| last.microusd_per_hour);
        let rate = rate.or(last.filter(|rate| *rate > 0)).unwrap_or(0);
        let from = match (row.segments.is_empty(), machine.billed_from_ms) {
            (true, Some(from_ms)) => Timestamp::from_ms(from_ms).min(now),
            _ => now,
        };
        row.machine = machine;
        self.changed.strays.insert(id.clone());
        row.costs(from, rate)
    }

    /// Tells the ledger what the stray's cost window looks like.
    fn state_window(&mut self, cx: &mut Cx<'_>, id: &MachineId) -> Result<(), StoreError> {
        let revision = self.next_number();
        let capability = self.provider().map(|provider| provider.capability());
        let Some(row) = self.strays.get(id) else {
            return Ok(());
        };
        let instance = row.machine.marker.as_ref();
        let statement = WindowStatement {
            window: format!("stray/{}/{id}", self.id),
            revision,
            instance: instance
                .map(|marker| marker.instance.clone())
                .unwrap_or_default(),
            account: self.id.clone(),
            segments: row.segments.clone(),
            until_ms: row.closed_at().map(Timestamp::as_ms),
            minimum_ms: capability.map_or(0, |capability| capability.billing_minimum_ms),
            step_ms: capability.map_or(0, |capability| capability.billing_step_ms),
            billed_microusd: row.billed_microusd,
            ..WindowStatement::default()
        };
        let ledger = ObjectName::ledger(&self.org);
        cx.send(ledger, &LedgerCommand::State { statement })
    }

    /// A stray's region whose list shows it.
    pub(super) fn stray_listed_in(&mut self, id: &MachineId, region: &str) {
        if let Some(row) = self.strays.get_mut(id)
            && row.listed_in != region
        {
            region.clone_into(&mut row.listed_in);
            self.changed.strays.insert(id.clone());
        }
    }

    /// A whole list should show it, and does not.
    pub(super) fn stray_missed(
        &mut self,
        cx: &mut Cx<'_>,
        id: &MachineId,
        begun_at: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(row) = self.strays.get_mut(id) else {
            return Ok(());
        };
        let step = row.stray.missed(begun_at);
        if step == Step::Wait {
            return Ok(());
        }
        self.changed.strays.insert(id.clone());
        self.take(cx, id, step)
    }

    /// It was given back before, and some answer shows it.
    pub(super) fn stray_seen(
        &mut self,
        cx: &mut Cx<'_>,
        id: &MachineId,
        machine: Machine,
    ) -> Result<(), StoreError> {
        let now = cx.now;
        self.stray_shown(cx, id, now, machine)
    }

    fn stray_shown(
        &mut self,
        cx: &mut Cx<'_>,
        id: &MachineId,
        asked_at: Timestamp,
        machine: Machine,
    ) -> Result<(), StoreError> {
        let said = match machine.state {
            MachineState::Terminated => Said::Gone {
                billed_until: machine.billed_until_ms.map(Timestamp::from_ms),
            },
            MachineState::Terminating => Said::There { is_ending: true },
            MachineState::Pending
            | MachineState::Running
            | MachineState::Stopping
            | MachineState::Stopped
            | MachineState::Failed
            | MachineState::Unknown => Said::There { is_ending: false },
        };
        let is_there = !matches!(said, Said::Gone { .. });
        if is_there && self.note_machine(cx.now, id, machine) {
            self.state_window(cx, id)?;
        }
        self.stray_heard(cx, id, asked_at, said)
    }

    fn stray_heard(
        &mut self,
        cx: &mut Cx<'_>,
        id: &MachineId,
        asked_at: Timestamp,
        said: Said,
    ) -> Result<(), StoreError> {
        let lag = self.list_lag();
        let Some(row) = self.strays.get_mut(id) else {
            return Ok(());
        };
        let step = row.stray.heard(cx.now, asked_at, said, lag);
        self.changed.strays.insert(id.clone());
        self.take(cx, id, step)
    }

    /// Does what comes next.
    fn take(&mut self, cx: &mut Cx<'_>, id: &MachineId, step: Step) -> Result<(), StoreError> {
        let look = Errand::LookAtStray(id.clone());
        match step {
            Step::Wait => {}
            Step::Destroy { ask_in } => {
                let destroy = Errand::DestroyStray(id.clone());
                if !self.calls.contains_key(&destroy) {
                    self.order(destroy, Call::new(cx.now));
                }
                self.ask_for_stray(cx.now, look, ask_in);
            }
            Step::Ask(pause) => self.ask_for_stray(cx.now, look, pause),
            Step::Close => return self.close(cx, id),
        }
        Ok(())
    }

    fn ask_for_stray(&mut self, now: Timestamp, look: Errand, pause: Span) {
        let is_under_way = |call: &Call| call.sent.is_some();
        if !self.calls.get(&look).is_some_and(is_under_way) {
            self.order(look, Call::at(now, now + pause));
        }
    }

    fn close(&mut self, cx: &mut Cx<'_>, id: &MachineId) -> Result<(), StoreError> {
        for errand in [
            Errand::LookAtStray(id.clone()),
            Errand::DestroyStray(id.clone()),
        ] {
            self.drop_call(&errand);
        }
        let marker = self
            .strays
            .get(id)
            .and_then(|row| row.machine.marker.clone());
        if let Some(attempt) = marker.and_then(|marker| self.attempt_of(&marker))
            && let Some(tracked) = self.attempts.get_mut(&attempt)
            && tracked.attempt.machine.as_ref() == Some(id)
        {
            tracked.attempt.end(cx.now, id);
            self.changed.attempts.insert(attempt);
        }
        let reason = "the vendor says that it is gone".to_owned();
        self.note(cx.now, "account.stray_gone", id.as_str(), reason);
        self.state_window(cx, id)?;
        let bills = self
            .provider()
            .is_some_and(|provider| provider.capability().bills);
        if bills {
            let due = cx.now + BILL_FIRST;
            self.order(Errand::BillStray(id.clone()), Call::at(cx.now, due));
        }
        Ok(())
    }

    pub(super) fn stray_destroyed(
        &mut self,
        cx: &mut Cx<'_>,
        id: &MachineId,
        sent_at: Timestamp,
        ended: Ended,
    ) -> Result<(), StoreError> {
        let errand = Errand::DestroyStray(id.clone());
        let error = match ended {
            Ok(VendorReply::Accepted { machine }) => {
                self.drop_call(&errand);
                let Some(row) = self.strays.get_mut(id) else {
                    return Ok(());
                };
                let was_taken = is_taken(&row.stray);
                let step = row.stray.destroy_taken(cx.now);
                self.changed.strays.insert(id.clone());
                if !was_taken {
                    let reason = "the vendor has been told to take it back".to_owned();
                    self.note(cx.now, "account.stray_destroyed", id.as_str(), reason);
                }
                self.take(cx, id, step)?;
                return match machine {
                    Some(machine) if machine.state == MachineState::Terminated => {
                        self.stray_shown(cx, id, sent_at, *machine)
                    }
                    _ => Ok(()),
                };
            }
            Ok(_) => unreadable("destroy"),
            Err(error) => error,
        };
        if error.kind == ErrorKind::NotFound && !error.unclear {
            self.drop_call(&errand);
            return self.stray_heard(cx, id, sent_at, Said::NotFound);
        }
        // Whatever the vendor says, the machine costs money until it is gone.
        self.retry(cx.now, &errand, Some(&error), RETRY_CAP);
        Ok(())
    }

    pub(super) fn stray_looked_at(
        &mut self,
        cx: &mut Cx<'_>,
        id: &MachineId,
        sent_at: Timestamp,
        ended: Ended,
    ) -> Result<(), StoreError> {
        let errand = Errand::LookAtStray(id.clone());
        let error = match ended {
            Ok(VendorReply::Machine { machine }) => {
                self.drop_call(&errand);
                // An id that came back for another machine is not the one that was given back.
                let known = self.strays.get(id).map(|row| &row.machine.marker);
                let is_other = machine.marker.is_some() && known != Some(&machine.marker);
                return if is_other {
                    self.stray_heard(cx, id, sent_at, Said::NotFound)
                } else {
                    self.stray_shown(cx, id, sent_at, *machine)
                };
            }
            Ok(_) => unreadable("get"),
            Err(error) => error,
        };
        if error.kind == ErrorKind::NotFound && !error.unclear {
            self.drop_call(&errand);
            return self.stray_heard(cx, id, sent_at, Said::NotFound);
        }
        self.retry(cx.now, &errand, Some(&error), RETRY_CAP);
        Ok(())
    }

    pub(super) fn stray_billed(
        &mut self,
        cx: &mut Cx<'_>,
        id: &MachineId,
        ended: Ended,
    ) -> Result<(), StoreError> {
        let errand = Errand::BillStray(id.clone());
        let error: Option<ProviderError> = match ended {
            Ok(VendorReply::Bill {
                microusd: Some(microusd),
            }) => {
                let billed = self.strays.get_mut(id).map(|row| &mut row.billed_microusd);
                let is_same = billed.is_none_or(|it| it.replace(microusd) == Some(microusd));
                if is_same {
                    self.drop_call(&errand);
                    return Ok(());
                }
                self.changed.strays.insert(id.clone());
                self.state_window(cx, id)?;
                None
            }
            Ok(_) => None,
            Err(error) => Some(error),
        };
        let tries = self.calls.get(&errand).map_or(0, |call| call.tries);
        if tries >= MOST_BILLS {
            self.drop_call(&errand);
            return Ok(());
        }
        self.retry(cx.now, &errand, error.as_ref(), RETRY_CAP);
        if let Some(call) = self.calls.get_mut(&errand) {
            call.due_at_ms = Some((cx.now + BILL_AGAIN).as_ms());
        }
        Ok(())
    }

    /// Somebody is told of a stray that is still there.
    pub(super) fn alert(&mut self, cx: &Cx<'_>) {
        let mut survivors = Vec::new();
        for (id, row) in &mut self.strays {
            if row.stray.alert(cx.now) {
                survivors.push((id.clone(), row.machine.raw_state.clone()));
            }
        }
        for (id, raw_state) in survivors {
            let reason = format!(
                "it was to be given back 15 minutes ago and the vendor still shows it ({raw_state}); \
                 look at it in the vendor's console"
            );
            self.note(cx.now, "account.stray_survives", id.as_str(), reason);
            self.changed.strays.insert(id);
        }
    }
}

fn is_taken(stray: &Stray) -> bool {
    matches!(
        stray.watch,
        Watch::Ending {
            taken_at: Some(_),
            ..
        }
    )
}
