//! What people see of an account.

use tidegate_domain::time::Timestamp;
use tidegate_domain::vendor::stray::Watch;

use super::Account;
use crate::bindings::account::{AccountView, StrayView, SweepView};

impl Account {
    pub(super) fn view(&self, now: Timestamp) -> AccountView {
        let attempts = self.attempts.values();
        let live = attempts.filter(|tracked| tracked.attempt.may_be_alive());
        let strays = self.strays.iter().filter(|(_, row)| !row.stray.is_gone());
        let strays = strays.map(|(id, row)| StrayView {
            machine: id.as_str().to_owned(),
            marker: row
                .machine
                .marker
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            region: row.machine.region.clone(),
            first_seen_ms: row.stray.first_seen.as_ms(),
            sightings: row.stray.sightings,
            destroying: matches!(row.stray.watch, Watch::Ending { .. }),
        });
        let sweeps = self.listed.iter().map(|(region, begun_at)| SweepView {
            region: region.clone(),
            begun_at_ms: begun_at.as_ms(),
        });
        AccountView {
            connected: self.row.spec.is_some(),
            live: count(live.count()),
            strays: strays.collect(),
            sweeps: sweeps.collect(),
            calls: count(self.calls.len() + self.asks.len()),
            backs_off_until_ms: self.budget.paused_until(now).map(Timestamp::as_ms),
            last_error: self.row.last_error.clone(),
            last_error_ms: self.row.last_error_ms,
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
