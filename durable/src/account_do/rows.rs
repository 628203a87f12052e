//! Reading an account's rows when it opens, and writing at the end of a turn what the turn has changed.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_domain::backoff::salt;
use tidegate_domain::ids::{InstanceId, MachineId};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::attempt::AttemptId;
use tidegate_domain::vendor::call_budget::CallBudget;

use super::Account;
use super::shop::{Offers, Regions};
use super::test::Testing;
use crate::bindings::ObjectName;
use crate::bindings::journal::{JournalCommand, day_of};
use crate::driver::Cx;
use crate::ports::{StoreError, Value};
use crate::records::account::{
    AccountRow, Errand, RegionRow, StrayRow, SweepRow, Table, Tracked, attempt_key,
};

/// How long what a vendor told by itself is remembered: vendors repeat for three days at most.
const HINTS_REMEMBERED: Span = Span::from_secs(7 * 24 * 3600);

/// What a turn has changed.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub account: bool,
    pub attempts: BTreeSet<AttemptId>,
    pub calls: BTreeSet<Errand>,
    pub strays: BTreeSet<MachineId>,
    pub listed: BTreeSet<String>,
    pub sweep: bool,
}

impl Account {
    pub(super) fn load(cx: &mut Cx<'_>) -> Result<Self, StoreError> {
        let (Some(org), Some(id)) = (cx.name.org(), cx.name.tail()) else {
            return Err(StoreError::Unreadable {
                record: "account name",
                reason: format!("`{}` holds no organisation and account", cx.name),
            });
        };
        let row = AccountRow::load(cx.sql)?;
        let attempts = Table::Attempts.load::<Tracked>(cx.sql)?;
        let attempts = attempts.into_iter().map(|(_, tracked)| {
            let id = AttemptId {
                instance: InstanceId::new(tracked.instance.as_str()),
                number: tracked.number,
            };
            (id, tracked)
        });
        let strays = Table::Strays.load::<StrayRow>(cx.sql)?;
        let strays = strays
            .into_iter()
            .map(|(id, stray)| (MachineId::new(id), stray));
        let listed = Table::Regions.load::<RegionRow>(cx.sql)?;
        let listed = listed
            .into_iter()
            .map(|(region, row)| (region, Timestamp::from_ms(row.begun_at_ms)));
        let calls = Table::Calls.load(cx.sql)?;
        let mut known = BTreeMap::new();
        for (key, call) in calls {
            let errand = Errand::parse(&key).ok_or_else(|| StoreError::Unreadable {
                record: "call",
                reason: "its key is of another release".to_owned(),
            })?;
            known.insert(errand, call);
        }
        let mut account = Self {
            org: org.to_owned(),
            id: id.to_owned(),
            attempts: attempts.collect(),
            calls: known,
            strays: strays.collect(),
            listed: listed.collect(),
            sweep: SweepRow::load(cx.sql)?,
            changed: Changed::default(),
            audits: Vec::new(),
            budget: CallBudget::new(1, 0, row.pauses.into(), cx.now),
            row,
            asks: BTreeMap::new(),
            wanted: BTreeSet::new(),
            everything_wanted: false,
            offers: Offers::default(),
            regions: Regions::default(),
            testing: Testing::default(),
            rotation: None,
            is_fresh: true,
            due: None,
        };
        account.renew_budget(cx);
        Ok(account)
    }

    /// A budget as the vendor allows it.
    pub(super) fn renew_budget(&mut self, cx: &Cx<'_>) {
        let calls_per_minute = self
            .provider()
            .map_or(1, |provider| provider.capability().calls_per_minute);
        let pauses = self.row.pauses.into();
        self.budget = CallBudget::new(calls_per_minute, salt(cx.name.as_str()), pauses, cx.now);
    }

    /// Writes what the turn has changed.
    pub(super) fn save(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        self.send_audits(cx)?;
        let pauses = self.budget.record().into();
        if self.row.pauses != pauses {
            self.row.pauses = pauses;
            self.changed.account = true;
        }
        let changed = std::mem::take(&mut self.changed);
        for id in changed.attempts {
            Table::Attempts.put(cx.sql, &attempt_key(&id), self.attempts.get(&id))?;
        }
        for errand in changed.calls {
            Table::Calls.put(cx.sql, &errand.to_string(), self.calls.get(&errand))?;
        }
        for id in changed.strays {
            Table::Strays.put(cx.sql, id.as_str(), self.strays.get(&id))?;
        }
        for region in changed.listed {
            let row = self.listed.get(&region).map(|begun_at| RegionRow {
                begun_at_ms: begun_at.as_ms(),
            });
            Table::Regions.put(cx.sql, &region, row.as_ref())?;
        }
        if changed.sweep {
            SweepRow::put(self.sweep.as_ref(), cx.sql)?;
        }
        if changed.account {
            self.row.put(cx.sql)?;
        }
        Ok(())
    }

    fn send_audits(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        if self.audits.is_empty() {
            return Ok(());
        }
        let append = JournalCommand::Append {
            event_id: format!("{}/{}", cx.name, self.next_number()),
            entries: std::mem::take(&mut self.audits),
        };
        let journal = ObjectName::journal(&self.org, &day_of(cx.now.as_ms()));
        cx.send(journal, &append)
    }

    /// The next of the numbers that order what this account says.
    pub(super) fn next_number(&mut self) -> u64 {
        self.changed.account = true;
        self.row.sequence += 1;
        self.row.sequence
    }

    /// Forgets what has been over for a week.
    pub(super) fn prune(&mut self, cx: &Cx<'_>) -> Result<(), StoreError> {
        let Self {
            attempts,
            strays,
            changed,
            calls,
            ..
        } = self;
        attempts.retain(|id, tracked| {
            let is_needed = calls.keys().any(|errand| errand.attempt() == Some(id));
            let is_kept = is_needed || !tracked.attempt.may_be_forgotten(cx.now);
            if !is_kept {
                changed.attempts.insert(id.clone());
            }
            is_kept
        });
        strays.retain(|id, row| {
            let is_kept = !row.stray.may_be_forgotten(cx.now);
            if !is_kept {
                changed.strays.insert(id.clone());
            }
            is_kept
        });
        cx.sql.exec(
            "DELETE FROM hints WHERE at_ms < ?",
            &[Value::from((cx.now - HINTS_REMEMBERED).as_ms())],
        )?;
        Ok(())
    }
}
