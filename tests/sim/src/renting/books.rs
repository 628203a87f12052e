//! The ledger's books against the vendors' meters, to the micro-dollar.
//!
//! What a vendor bills is in the books exactly once its bill is. Of a vendor that sends none the books hold what
//! its machines said of their beginnings and ends, and that is exact except where nobody could see it: a machine
//! that nobody owns and that was gone before it was seen, one whose last state was in no answer (it was gone from the lists before the vendor could be asked again), one that
//! was stopped and started between two answers, one that an old list showed alive after it was gone, one that never ran or ran several times for less than the vendor's
//! minimum (which the books know once for a window), one of an attempt that no record names (EC2 tells no price).
//! Those are counted as situations and left out.

use std::collections::BTreeMap;

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::ports::{Sql, Value};
use tidegate_durable::records::ledger::WindowRecord;
use tidegate_durable::records::postings::balances;

use super::World;
use super::operator::ORGS;
use super::scenario::Vendor;

impl World {
    /// Every cost window of an organisation, as its ledger has it on disk.
    pub fn windows_of(&self, org: &str) -> Vec<(String, WindowRecord)> {
        let Some(ledger) = self.objects.get(&ObjectName::ledger(org)) else {
            return Vec::new();
        };
        let rows = ledger
            .store
            .exec("SELECT window, record FROM windows", &[])
            .unwrap_or_default();
        rows.iter()
            .filter_map(|row| {
                let window = row.first()?.as_text()?.to_owned();
                Some((window, serde_json::from_str(row.get(1)?.as_text()?).ok()?))
            })
            .collect()
    }

    /// Whether a window is that of a machine: of its attempt, if it was the attempt's, else its own as a stray.
    pub fn is_window_of(&self, window: &str, place: usize) -> bool {
        let machine = &self.around.cloud.machines[place];
        let as_stray = window
            .strip_prefix("stray/")
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(_, id)| id == machine.id);
        let attempt = machine
            .marker
            .as_ref()
            .map(|marker| format!("{}/{}", marker.instance, marker.attempt));
        let is_attempts = self.around.oracle.adopted.contains(&place);
        as_stray || (is_attempts && attempt.as_deref() == Some(window))
    }

    /// The books hold together.
    pub fn check_books(&mut self) {
        for org in ORGS {
            let Some(ledger) = self.objects.get(&ObjectName::ledger(org)) else {
                continue;
            };
            let Ok(balances) = balances(&ledger.store) else {
                continue;
            };
            let sum: i64 = balances.iter().map(|balance| balance.microusd).sum();
            let odd = balances.iter().find(|balance| {
                balance.account.starts_with("vendor/") && balance.microusd > 0
                    || balance.account.starts_with("share/") && balance.microusd < 0
                    || balance.account.starts_with("idle/") && balance.microusd < 0
            });
            if sum != 0 || odd.is_some() {
                let words = format!("{org}: the sum is {sum}, odd is {odd:?}");
                self.violate("§7.6 all balances sum to zero", words);
            }
            self.check_revisions(org);
        }
    }

    /// What was stated last is what the ledger holds.
    fn check_revisions(&mut self, org: &str) {
        let held: BTreeMap<String, u64> = self
            .windows_of(org)
            .into_iter()
            .filter_map(|(window, record)| Some((window, record.statement?.revision)))
            .collect();
        let mut odd = Vec::new();
        for ((of, window), stated) in &self.around.oracle.revisions {
            if of == org && held.get(window) != Some(stated) {
                odd.push(format!(
                    "{window}: stated {stated}, held {:?}",
                    held.get(window)
                ));
            }
        }
        if !odd.is_empty() {
            self.violate(
                "§7.6 what was stated last is what the ledger holds",
                odd.join("; "),
            );
        }
    }

    /// The ledger agrees with the vendors.
    pub fn check_sums(&mut self) {
        for (org, name) in ORGS.iter().enumerate().take(self.around.scenario.orgs) {
            let windows = self.windows_of(name);
            let mut odd = Vec::new();
            for place in 0..self.around.cloud.machines.len() {
                let own = self.account_of(place).is_some_and(|it| it.org == org);
                if own {
                    odd.extend(self.differs(place, &windows));
                }
            }
            for (window, record) in &windows {
                let has_machine = (0..self.around.cloud.machines.len())
                    .any(|place| self.is_window_of(window, place));
                let cost = total(record);
                if !has_machine && cost > 0 {
                    odd.push(format!("{window} has no machine and costs {cost}"));
                }
            }
            if !odd.is_empty() {
                self.violate("the ledger agrees with the vendors' meters", odd.join("; "));
            }
            self.check_accounts(org);
        }
    }

    /// How a machine's cost in the books differs from its vendor's meter, if it should not.
    fn differs(&self, place: usize, windows: &[(String, WindowRecord)]) -> Option<String> {
        let machine = &self.around.cloud.machines[place];
        let own: Vec<&(String, WindowRecord)> = windows
            .iter()
            .filter(|(window, _)| self.is_window_of(window, place))
            .collect();
        let booked: u64 = own.iter().map(|(_, record)| total(record)).sum();
        let metered = machine.meter.cost(self.now);
        if booked == metered || self.is_unseen(place) {
            return None;
        }
        let names: Vec<&String> = own.iter().map(|(window, _)| window).collect();
        Some(format!(
            "{}, {}: its meter shows {metered}, {names:?} come to {booked}",
            machine.id, machine.name
        ))
    }

    /// Whether nobody could know what it cost.
    fn is_unseen(&self, place: usize) -> bool {
        let machine = &self.around.cloud.machines[place];
        let oracle = &self.around.oracle;
        if !oracle.sighted.contains(&place) && !oracle.adopted.contains(&place) {
            return true;
        }
        let attempt = machine.marker.as_ref().and_then(|it| self.key_of(it));
        let has_price = attempt.is_some_and(|key| oracle.attempts.contains_key(&key));
        match self.vendor_of(place) {
            // Its bill can be asked for no longer.
            Vendor::RunPod => self.account_of(place).is_none_or(|it| it.is_removed),
            Vendor::Aws => {
                !has_price
                    || machine.meter.had_short_runs()
                    || !oracle.end_seen.contains(&place)
                    || oracle.missed.contains(&place)
            }
        }
    }

    /// No money rests with a machine once its windows are closed.
    fn check_accounts(&mut self, org: usize) {
        let Some(ledger) = self.objects.get(&ObjectName::ledger(ORGS[org])) else {
            return;
        };
        let rows = ledger
            .store
            .exec("SELECT COUNT(*) FROM windows", &[])
            .unwrap_or_default();
        let windows = rows
            .first()
            .and_then(|row| row.first())
            .and_then(Value::as_integer);
        let rests: Vec<String> = balances(&ledger.store)
            .unwrap_or_default()
            .into_iter()
            .filter(|balance| balance.account.starts_with("gpu/") && balance.microusd != 0)
            .map(|balance| format!("{}: {}", balance.account, balance.microusd))
            .collect();
        if !rests.is_empty() {
            let words = format!("{windows:?} windows; {}", rests.join("; "));
            self.violate("shares and idle are the whole of a closed window", words);
        }
    }
}

fn total(record: &WindowRecord) -> u64 {
    record.window().unwrap_or_default().total()
}
