//! What the registry says the account is, and its end.
//!
//! Invariant: an older generation never overwrites a newer one, also not a removal. An account is forgotten only
//! when nothing of it can be alive: what it forgets, nobody looks for any more.

use std::collections::BTreeSet;

use tidegate_domain::vendor::attempt::AttemptId;
use tidegate_provider_api::ProviderError;

use super::Account;
use super::rows::Changed;
use crate::bindings::ObjectName;
use crate::bindings::account::{AccountSpec, RemoveAnswer};
use crate::bindings::directory::DirectoryCommand;
use crate::bindings::rental::VendorFact;
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::account::{AccountRow, Errand, SweepRow, Table, Tracked};

impl Account {
    pub(super) fn configure(
        &mut self,
        cx: &mut Cx<'_>,
        spec: AccountSpec,
        sealed: Option<String>,
    ) -> Result<(), StoreError> {
        if spec.generation <= self.row.generation {
            return Ok(());
        }
        let old = self.row.spec.take();
        let is_new = old.is_none();
        let is_moved = old.is_none_or(|old| old.settings != spec.settings);
        self.row.generation = spec.generation;
        self.row.is_removed = false;
        self.row.spec = Some(spec);
        if is_new || self.row.sealed.is_none() {
            // A later one is taken only when it shows every machine: see `rotate`.
            self.row.sealed = sealed.or(self.row.sealed.take());
        }
        self.changed.account = true;
        if is_moved {
            self.forget_offers();
            self.everything_wanted = true;
        }
        if is_new {
            self.renew_budget(cx);
            let (org, account) = (self.org.clone(), self.id.clone());
            let enroll = DirectoryCommand::EnrollAccount { org, account };
            cx.send(ObjectName::directory(), &enroll)?;
            self.judge_early_orders(cx)?;
        }
        Ok(())
    }

    /// Orders to rent that came before anything was known of the account.
    fn judge_early_orders(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let orders: Vec<(AttemptId, ProviderError)> = self
            .attempts
            .iter()
            .filter_map(|(id, tracked)| {
                let spec = tracked.spec.as_ref()?;
                let waits = self.calls.contains_key(&Errand::Create(id.clone()));
                Some((id.clone(), self.why_not(spec)?)).filter(|_| waits)
            })
            .collect();
        for (id, error) in orders {
            self.drop_call(&Errand::Create(id.clone()));
            if let Some(tracked) = self.attempts.get_mut(&id) {
                tracked.attempt.give_up_waiting(cx.now);
            }
            self.tell_outcome(cx, &id, VendorFact::CreateRefused { error })?;
        }
        Ok(())
    }

    pub(super) fn remove(
        &mut self,
        cx: &mut Cx<'_>,
        generation: u64,
    ) -> Result<RemoveAnswer, StoreError> {
        if self.row.is_removed {
            self.row.generation = self.row.generation.max(generation);
            self.changed.account = true;
            return Ok(RemoveAnswer::Removed);
        }
        if generation <= self.row.generation {
            return Ok(RemoveAnswer::Kept {
                reason: "the account was changed meanwhile; try again".to_owned(),
                instances: Vec::new(),
            });
        }
        if let Some(kept) = self.why_kept() {
            return Ok(kept);
        }
        if cx.is_owing()? {
            // Nobody would wake it, should its alarm get lost.
            return Ok(RemoveAnswer::Kept {
                reason: "not everything that it told has arrived yet; try again".to_owned(),
                instances: Vec::new(),
            });
        }
        self.forget_everything(cx, generation)?;
        Ok(RemoveAnswer::Removed)
    }

    /// What of it may be alive.
    fn why_kept(&self) -> Option<RemoveAnswer> {
        let holds = |id: &AttemptId| {
            let mut calls = self.calls.keys();
            calls.any(|errand| errand.holds_account() && errand.attempt() == Some(id))
        };
        let live = self.attempts.iter();
        let live = live.filter(|(id, tracked)| tracked.attempt.may_be_alive() || holds(id));
        let instances: BTreeSet<String> = live
            .map(|(id, _)| id.instance.as_str().to_owned())
            .collect();
        let strays = self.strays.values().filter(|row| !row.stray.is_gone());
        let strays = strays.count();
        let calls = self.calls.keys().filter(|errand| errand.holds_account());
        let calls = calls.count();
        if instances.is_empty() && strays == 0 && calls == 0 {
            return self.why_unsure();
        }
        let reason = format!(
            "without it nobody could give back what it has rented: {} of its instances may be \
             alive, {strays} machines that nobody owns are not gone yet, {calls} calls are not \
             finished; terminate the instances and try again when the vendor has confirmed",
            instances.len()
        );
        Some(RemoveAnswer::Kept {
            reason,
            instances: instances.into_iter().collect(),
        })
    }

    /// What its vendor may have made all the same and not have shown yet. A whole list that is late enough tells.
    fn why_unsure(&self) -> Option<RemoveAnswer> {
        let lag = self.list_lag();
        let is_unsure = |tracked: &Tracked| {
            let listed = self.listed.get(tracked.list_region());
            let certain_from = tracked.attempt.certain_from(lag);
            certain_from.is_some_and(|from| listed.is_none_or(|begun_at| *begun_at < from))
        };
        let attempts = self.attempts.iter();
        let unsure = attempts.filter(|(_, tracked)| is_unsure(tracked));
        let instances: BTreeSet<String> = unsure
            .map(|(id, _)| id.instance.as_str().to_owned())
            .collect();
        if instances.is_empty() {
            return None;
        }
        let reason = format!(
            "something was rented with it so lately that its vendor need not have shown all of it yet, \
             and what shows up later nobody could give back; try again in {} minutes",
            lag.as_secs_ceil().div_euclid(60) + 5
        );
        Some(RemoveAnswer::Kept {
            reason,
            instances: instances.into_iter().collect(),
        })
    }

    fn forget_everything(&mut self, cx: &mut Cx<'_>, generation: u64) -> Result<(), StoreError> {
        self.row = AccountRow {
            generation,
            is_removed: true,
            sequence: self.row.sequence,
            ..AccountRow::default()
        };
        for table in Table::ALL {
            table.clear(cx.sql)?;
        }
        SweepRow::put(None, cx.sql)?;
        cx.sql.exec("DELETE FROM hints", &[])?;
        self.attempts.clear();
        self.calls.clear();
        self.strays.clear();
        self.listed.clear();
        self.sweep = None;
        self.asks.clear();
        self.wanted.clear();
        self.everything_wanted = false;
        self.renew_budget(cx);
        self.changed = Changed {
            account: true,
            ..Changed::default()
        };
        self.send_callers_away(cx)?;
        let (org, account) = (self.org.clone(), self.id.clone());
        let retire = DirectoryCommand::RetireAccount { org, account };
        cx.send(ObjectName::directory(), &retire)
    }
}
