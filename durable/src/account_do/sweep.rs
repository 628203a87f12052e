//! Listing everything, region by region and page by page, and acting on what whole lists say.
//!
//! Invariant: one sweep runs at a time, and its row says where it is: an eviction costs the page that was being
//! read. A list that fails or is not read to its end counts for nothing; its region is listed again by the next
//! sweep.
//!
//! In scope: cursors, retries, telling. Out of scope: what a whole list means (`tidegate_domain::vendor::sweep`).

use std::collections::{BTreeMap, BTreeSet};

use tidegate_domain::backoff::exponential;
use tidegate_domain::ids::MachineId;
use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::attempt::AttemptId;
use tidegate_domain::vendor::call_budget::Priority;
use tidegate_domain::vendor::sweep::{self, Listed, Verdict};
use tidegate_provider_api::{
    ErrorKind, Machine, MachineState, Page, ProviderError, Reply as VendorReply, Request,
};

use super::Account;
use super::answers::{Ended, is_passing, unreadable};
use super::calls::{Ask, Purpose, RETRY_CAP};
use super::look::Shown;
use crate::bindings::ObjectName;
use crate::bindings::directory::DirectoryCommand;
use crate::bindings::instance::InstanceCommand;
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::account::{ListRow, SweepRow};

/// A list that failed so often is left to the next sweep, so that one region's trouble does not keep the others
/// from being listed.
const MOST_FAILURES: u32 = 4;
const RETRY_BASE: Span = Span::from_secs(2);
/// A list of more pages than this goes round in a circle.
const MOST_PAGES: u32 = 1_000;
/// Sweeps that somebody asks for are at least this far apart.
const QUICK_GAP: Span = Span::from_secs(10);

impl Account {
    /// The region of this attempt is listed soon.
    pub(super) fn want_list_of(&mut self, id: &AttemptId) {
        if let Some(tracked) = self.attempts.get(id) {
            self.wanted.insert(tracked.list_region().to_owned());
        }
    }

    /// The directory's minute: every instance that is not over wakes up, should its alarm have got lost.
    pub(super) fn tick(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        if self.row.is_removed {
            // It was told before, and somebody has enrolled this account once more since.
            let retire = DirectoryCommand::RetireAccount {
                org: self.org.clone(),
                account: self.id.clone(),
            };
            return cx.poke(ObjectName::directory(), &retire);
        }
        self.wake_instances(cx)
    }

    fn wake_instances(&self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let live = self.attempts.iter();
        let live = live.filter(|(_, tracked)| !tracked.attempt.is_over());
        let instances: BTreeSet<&str> = live.map(|(id, _)| id.instance.as_str()).collect();
        for instance in instances {
            let instance = ObjectName::instance(&self.org, instance);
            cx.poke(instance, &InstanceCommand::Tick)?;
        }
        Ok(())
    }

    /// Begins a sweep when one is due, and asks for the next page of the one that runs.
    pub(super) fn continue_sweep(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        if !self.can_call() {
            return Ok(());
        }
        if self.sweep.is_none() {
            self.begin_sweep(cx)?;
        }
        let Some(sweep) = &mut self.sweep else {
            return Ok(());
        };
        if sweep.list.is_none() {
            self.changed.sweep = true;
            if sweep.regions.is_empty() {
                self.sweep = None;
                return Ok(());
            }
            let region = sweep.regions.remove(0);
            self.wanted.remove(&region);
            sweep.list = Some(ListRow {
                region,
                ..ListRow::default()
            });
        }
        let Some(list) = &sweep.list else {
            return Ok(());
        };
        let is_page = |ask: &Ask| ask.purpose == Purpose::Page;
        if self.asks.values().any(is_page) {
            return Ok(());
        }
        let pause = match list.failures {
            0 => Span::ZERO,
            failures => exponential(RETRY_BASE, RETRY_CAP, failures - 1),
        };
        let ask = Ask {
            purpose: Purpose::Page,
            request: Request::List {
                region: list.region.clone(),
                page: list.page.clone(),
            },
            priority: Priority::List,
            probes: false,
            sealed: None,
            due: cx.now + pause,
            sent: None,
        };
        self.ask(cx, ask);
        Ok(())
    }

    fn begin_sweep(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let now = cx.now;
        let regions: Vec<String> = if self.everything_wanted || self.next_full(now) <= now {
            self.everything_wanted = false;
            self.row.full_sweep_ms = Some(now.as_ms());
            self.wake_instances(cx)?;
            self.prune(cx)?;
            let regions = self.swept_regions();
            self.forget_other_regions(&regions);
            regions.into_iter().collect()
        } else {
            if self.next_quick(now).is_none_or(|at| at > now) {
                return Ok(());
            }
            self.row.quick_sweep_ms = Some(now.as_ms());
            let mut regions = std::mem::take(&mut self.wanted);
            let waiting = self.attempts.values();
            let waiting = waiting.filter(|tracked| tracked.attempt.waits_for_lists());
            regions.extend(waiting.map(|tracked| tracked.list_region().to_owned()));
            regions.into_iter().collect()
        };
        self.changed.account = true;
        self.changed.sweep = true;
        let list = None;
        self.sweep = Some(SweepRow { regions, list });
        Ok(())
    }

    /// When the next sweep is due; nothing while one runs.
    pub(super) fn next_sweep(&self, now: Timestamp) -> Option<Timestamp> {
        if self.sweep.is_some() {
            return None;
        }
        if self.everything_wanted {
            return Some(now);
        }
        let full = self.next_full(now);
        Some(self.next_quick(now).map_or(full, |quick| quick.min(full)))
    }

    fn next_full(&self, now: Timestamp) -> Timestamp {
        sweep::next(self.row.full_sweep_ms.map(Timestamp::from_ms), false, now)
    }

    fn next_quick(&self, now: Timestamp) -> Option<Timestamp> {
        let quick = self.row.quick_sweep_ms;
        let last = quick.max(self.row.full_sweep_ms).map(Timestamp::from_ms);
        let is_unclear = self
            .attempts
            .values()
            .any(|tracked| tracked.attempt.waits_for_lists());
        let unclear = is_unclear.then(|| sweep::next(last, true, now));
        let wanted = (!self.wanted.is_empty()).then(|| {
            let last = quick.map(Timestamp::from_ms);
            last.map_or(now, |last| last.min(now) + QUICK_GAP)
        });
        [unclear, wanted].into_iter().flatten().min()
    }

    /// Every region that may hold a machine of ours.
    pub(super) fn swept_regions(&self) -> BTreeSet<String> {
        let attempts = self.attempts.values();
        let attempts = attempts.filter(|tracked| tracked.attempt.sent_at.is_some());
        let attempts = attempts.map(|tracked| tracked.list_region().to_owned());
        let strays = self.strays.values().filter(|row| !row.stray.is_gone());
        let strays = strays.map(|row| row.listed_in.clone());
        let mut regions = self.configured_regions();
        regions.extend(attempts.chain(strays));
        regions
    }

    fn configured_regions(&self) -> BTreeSet<String> {
        match (self.provider(), &self.row.spec) {
            (Some(provider), Some(spec)) => {
                provider.list_regions(&spec.settings).into_iter().collect()
            }
            _ => BTreeSet::new(),
        }
    }

    fn forget_other_regions(&mut self, regions: &BTreeSet<String>) {
        let Self {
            listed, changed, ..
        } = self;
        listed.retain(|region, _| {
            let is_kept = regions.contains(region);
            if !is_kept {
                changed.listed.insert(region.clone());
            }
            is_kept
        });
    }

    /// The first page is asked for now: what is made after this moment need not be in the list.
    pub(super) fn list_leaves(&mut self, now: Timestamp) {
        if let Some(list) = self.sweep.as_mut().and_then(|sweep| sweep.list.as_mut())
            && list.page.is_none()
        {
            list.begun_at_ms = Some(now.as_ms());
            self.changed.sweep = true;
        }
    }

    pub(super) fn page_ended(&mut self, cx: &mut Cx<'_>, ended: Ended) -> Result<(), StoreError> {
        self.changed.sweep = true;
        match ended {
            Ok(VendorReply::Machines(page)) => match self.take_page(page) {
                Some(list) => self.listed(cx, list),
                None => Ok(()),
            },
            Ok(_) => {
                self.page_failed(&unreadable("list"));
                Ok(())
            }
            Err(error) => {
                self.page_failed(&error);
                Ok(())
            }
        }
    }

    /// The list, once this page completes it.
    fn take_page(&mut self, page: Page) -> Option<ListRow> {
        let ours: Vec<Machine> = page
            .machines
            .into_iter()
            .filter(|machine| {
                let marker = machine.marker.as_ref();
                marker.is_some_and(|marker| self.attempt_of(marker).is_some())
            })
            .collect();
        let sweep = self.sweep.as_mut()?;
        let list = sweep.list.as_mut()?;
        for machine in ours {
            list.found.retain(|known| known.id != machine.id);
            list.found.push(machine);
        }
        list.pages = list.pages.saturating_add(1);
        match page.next {
            None => sweep.list.take(),
            Some(next) if list.page.as_ref() == Some(&next) || list.pages >= MOST_PAGES => {
                // Not whole, and never will be.
                sweep.list = None;
                None
            }
            Some(next) => {
                list.page = Some(next);
                None
            }
        }
    }

    fn page_failed(&mut self, error: &ProviderError) {
        let Some(sweep) = &mut self.sweep else {
            return;
        };
        let Some(list) = &mut sweep.list else {
            return;
        };
        list.failures = list.failures.saturating_add(1);
        let is_given_up = list.failures >= MOST_FAILURES || error.kind == ErrorKind::Auth;
        if is_given_up {
            sweep.list = None;
        } else if !is_passing(error) {
            // The place in the list may not be good any more: from its beginning, then.
            *list = ListRow {
                region: list.region.clone(),
                failures: list.failures,
                ..ListRow::default()
            };
        }
    }

    /// A list was read to its end.
    fn listed(&mut self, cx: &mut Cx<'_>, list: ListRow) -> Result<(), StoreError> {
        let begun_at = Timestamp::from_ms(list.begun_at_ms.unwrap_or_default());
        let region = list.region;
        let mut listed = Vec::new();
        let mut machines: Vec<Option<Machine>> = Vec::new();
        for machine in list.found {
            let marker = machine.marker.as_ref();
            if let Some(attempt) = marker.and_then(|marker| self.attempt_of(marker)) {
                listed.push(Listed {
                    machine: MachineId::new(machine.id.as_str()),
                    attempt,
                    is_gone: machine.state == MachineState::Terminated,
                });
                machines.push(Some(machine));
            }
        }
        let (mut here, mut elsewhere) = (BTreeMap::new(), BTreeMap::new());
        for (id, tracked) in &self.attempts {
            let known = if tracked.list_region() == region {
                &mut here
            } else {
                &mut elsewhere
            };
            known.insert(id, &tracked.attempt);
        }
        let verdicts = sweep::judge(begun_at, self.list_lag(), &listed, &here, &elsewhere);
        let shown: BTreeSet<MachineId> = listed
            .iter()
            .filter(|each| !each.is_gone)
            .map(|each| each.machine.clone())
            .collect();
        for verdict in verdicts {
            match verdict {
                Verdict::Its { place } => {
                    let attempt = listed.get(place).map(|each| each.attempt.clone());
                    let machine = machines.get_mut(place).and_then(Option::take);
                    if let (Some(id), Some(machine)) = (attempt, machine) {
                        self.attempt_listed_in(&id, &region);
                        if !self.is_outdated(cx.now, &id, begun_at) {
                            self.shown(cx, &id, machine, Shown::Listed)?;
                        }
                    }
                }
                Verdict::Stray { place, why } => {
                    if let Some(machine) = machines.get_mut(place).and_then(Option::take) {
                        let id = MachineId::new(machine.id.as_str());
                        let known = self.strays.get(&id);
                        if known.is_some_and(|row| row.stray.outdates(cx.now, begun_at)) {
                            continue;
                        }
                        self.found_stray(cx, machine, why, begun_at)?;
                        self.stray_is_listed_in(&id, &region);
                    }
                }
                Verdict::Missing { attempt } => self.missed(cx, &attempt, begun_at, true)?,
            }
        }
        let missing: Vec<MachineId> = self
            .strays
            .iter()
            .filter(|(id, row)| row.listed_in == region && !shown.contains(*id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in missing {
            self.stray_missed(cx, &id, begun_at)?;
        }
        self.listed.insert(region.clone(), begun_at);
        self.changed.listed.insert(region);
        self.tell_directory(cx)
    }

    /// Pages are read long before the list's end: what was said since of the machine itself holds.
    fn is_outdated(&self, now: Timestamp, id: &AttemptId, begun_at: Timestamp) -> bool {
        let tracked = self.attempts.get(id);
        tracked.is_some_and(|tracked| tracked.attempt.outdates(now, begun_at))
    }

    /// A vendor may show a machine in the list of another region than the one that it names: in the only list
    /// there is, for one. That list is then where it is expected, once it was seen there.
    fn attempt_listed_in(&mut self, id: &AttemptId, region: &str) {
        let configured = self.configured_regions();
        if let Some(tracked) = self.attempts.get_mut(id)
            && tracked.list_region() != region
            && (configured.contains(region) || !configured.contains(tracked.list_region()))
        {
            tracked.listed_in = Some(region.to_owned());
            self.changed.attempts.insert(id.clone());
        }
    }

    fn stray_is_listed_in(&mut self, id: &MachineId, region: &str) {
        let configured = self.configured_regions();
        let known = self.strays.get(id).map(|row| row.listed_in.as_str());
        if known.is_some_and(|known| configured.contains(region) || !configured.contains(known)) {
            self.stray_listed_in(id, region);
        }
    }

    /// The directory hears when everything has been listed.
    fn tell_directory(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let regions = self.swept_regions();
        let begun: Option<Vec<Timestamp>> = regions
            .iter()
            .map(|region| self.listed.get(region).copied())
            .collect();
        let Some(oldest) = begun.and_then(|begun| begun.into_iter().min()) else {
            return Ok(());
        };
        if self.row.swept_ms.is_some_and(|told| told >= oldest.as_ms()) {
            return Ok(());
        }
        self.row.swept_ms = Some(oldest.as_ms());
        self.changed.account = true;
        let swept = DirectoryCommand::Swept {
            org: self.org.clone(),
            account: self.id.clone(),
            at_ms: oldest.as_ms(),
        };
        cx.poke(ObjectName::directory(), &swept)
    }
}
