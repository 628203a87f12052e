//! Rows that lag behind the machine: leases by a second, totals by ten, the check ring by ten minutes.
//!
//! Invariant: what lags has a turn coming ([`Effect::Soon`]), so it lags no longer than said here while
//! the object stays in memory. A request that comes and goes between two such turns costs no row.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_domain::health::Ring;
use tidegate_domain::ids::RequestId;
use tidegate_domain::instance as machine;
use tidegate_domain::time::{Span, Timestamp};

use crate::driver::{Cx, encode};
use crate::ports::{StoreError, Value};
use crate::records::instance::{FiguresRow, LeaseColumn};
use crate::turn::Effect;

/// How long the change of a lease waits for others, which are then written with it.
const LEASES_WAIT: Span = Span::from_secs(1);
/// A renewal is written when the row lags by more than this. Leases live 60 s and are renewed every 20 s,
/// so every second renewal is written and a row that is read leaves time for one more to come.
const RENEWAL_LAG: Span = Span::from_secs(30);
/// How long totals, averages and the run of failures wait. An object that nobody asks leaves memory after
/// about as long, but not before the turn that was asked for has come.
const TOTALS_WAIT: Span = Span::from_secs(10);
/// Ended requests with which totals wait no longer than for the next turn that writes.
const TOTALS_BATCH: u32 = 100;
/// The check ring alone is not worth a row more often than this.
const RING_EVERY: Span = Span::from_secs(600);

/// What lags, and since when.
#[derive(Default)]
pub(super) struct WriteBehind {
    /// The rows that there are.
    stored: BTreeMap<RequestId, LeaseColumn>,
    touched: BTreeSet<RequestId>,
    touched_since: Option<Timestamp>,
    ended: u32,
    ended_since: Option<Timestamp>,
    /// The newest check that is stored.
    ring_at: Option<Timestamp>,
    /// When a request last came or ended.
    active_at: Option<Timestamp>,
    /// The turns that come.
    turns: BTreeSet<Timestamp>,
}

impl WriteBehind {
    /// Nothing lags behind these rows.
    pub(super) fn new(stored: BTreeMap<RequestId, LeaseColumn>, ring: Option<&Ring>) -> Self {
        Self {
            stored,
            ring_at: ring.and_then(Ring::last).map(|check| check.at),
            ..Self::default()
        }
    }

    /// When a request last came or ended here; after a restart, as the figures had it.
    pub(super) const fn active_at(&self) -> Option<Timestamp> {
        self.active_at
    }

    pub(super) const fn restore_active_at(&mut self, at: Option<Timestamp>) {
        self.active_at = at;
    }

    pub(super) fn granted(&mut self, now: Timestamp, request: RequestId) {
        self.active_at = Some(now);
        self.touched_since.get_or_insert(now);
        self.touched.insert(request);
    }

    pub(super) fn ended(&mut self, now: Timestamp, request: RequestId) {
        self.ended = self.ended.saturating_add(1);
        self.ended_since.get_or_insert(now);
        self.granted(now, request);
    }

    /// Whether the ring in memory has checks worth a row.
    pub(super) fn is_ring_due(&self, now: Timestamp) -> bool {
        self.ring_at
            .is_none_or(|stored| now.since(stored) >= RING_EVERY)
    }

    /// One of the turns has come.
    pub(super) fn turn_came(&mut self) {
        self.turns.pop_first();
    }

    /// Writes what has waited long enough.
    pub(super) fn catch_up(
        &mut self,
        cx: &mut Cx<'_>,
        machine: &machine::Instance,
    ) -> Result<(), StoreError> {
        // All of them, also those touched just now: another turn would cost more than they do.
        self.touched_since = None;
        let touched = std::mem::take(&mut self.touched);
        let is_over = |request: &RequestId| {
            machine.lease(request).is_none() && self.stored.contains_key(request)
        };
        // The row of one that is over is written over by one that is new: half the rows under load.
        let (mut over, live): (Vec<_>, Vec<_>) = touched.into_iter().partition(is_over);
        for request in live {
            self.write_lease(cx, machine, request, &mut over)?;
        }
        for request in over {
            self.stored.remove(&request);
            cx.sql.exec(
                "DELETE FROM leases WHERE request = ?",
                &[Value::from(request.as_str())],
            )?;
        }
        let is_full = self.ended >= TOTALS_BATCH;
        // A clock that jumped back must not have them wait for the length of the jump.
        let has_waited = |since| since > cx.now || cx.now.since(since) >= TOTALS_WAIT;
        if is_full || self.ended_since.is_some_and(has_waited) {
            self.write_figures(cx, machine)?;
        }
        Ok(())
    }

    fn write_lease(
        &mut self,
        cx: &mut Cx<'_>,
        machine: &machine::Instance,
        request: RequestId,
        over: &mut Vec<RequestId>,
    ) -> Result<(), StoreError> {
        // One without a lease came and went.
        let Some(lease) = machine.lease(&request) else {
            return Ok(());
        };
        let column = LeaseColumn::from_domain(lease);
        let row = self.stored.get(&request);
        if row.is_some_and(|row| is_close(row, &column)) {
            return Ok(());
        }
        let json = Value::from(encode("lease", &column)?);
        let name = Value::from(request.as_str());
        let old = if row.is_none() { over.pop() } else { None };
        match old {
            Some(old) => {
                cx.sql.exec(
                    "UPDATE leases SET request = ?, json = ? WHERE request = ?",
                    &[name, json, Value::from(old.as_str())],
                )?;
                self.stored.remove(&old);
            }
            None => {
                cx.sql.exec(
                    "INSERT OR REPLACE INTO leases (request, json) VALUES (?, ?)",
                    &[name, json],
                )?;
            }
        }
        self.stored.insert(request, column);
        Ok(())
    }

    /// Writes totals, averages, the run of failures and the ring now.
    pub(super) fn write_figures(
        &mut self,
        cx: &mut Cx<'_>,
        machine: &machine::Instance,
    ) -> Result<(), StoreError> {
        let ring = machine.health().ring();
        let mut row = FiguresRow::from_domain(machine.figures(), machine.breaker().run(), ring);
        row.active_at_ms = self.active_at.map(Timestamp::as_ms);
        let json = encode("figures", &row)?;
        cx.sql.exec(
            "INSERT OR REPLACE INTO figures (id, json) VALUES (1, ?)",
            &[Value::from(json)],
        )?;
        self.ended = 0;
        self.ended_since = None;
        self.ring_at = ring.last().map(|check| check.at);
        Ok(())
    }

    /// Sees to it that a turn comes for what lags.
    pub(super) fn schedule(&mut self, cx: &mut Cx<'_>) {
        let leases = self.touched_since.map(|since| since + LEASES_WAIT);
        let totals = self.ended_since.map(|since| since + TOTALS_WAIT);
        let Some(due) = leases.into_iter().chain(totals).min() else {
            return;
        };
        // One that is late by as much as this will not come any more.
        self.turns = self.turns.split_off(&(cx.now - TOTALS_WAIT));
        if self.turns.first().is_some_and(|turn| *turn <= due) {
            return;
        }
        self.turns.insert(due);
        let after_ms = u64::try_from(cx.now.until(due).as_ms()).unwrap_or_default();
        cx.effect(Effect::Soon { after_ms });
    }
}

/// Whether a row says of a lease what is needed of it.
fn is_close(row: &LeaseColumn, lease: &LeaseColumn) -> bool {
    let lag = lease.expires_at_ms.saturating_sub(row.expires_at_ms);
    let as_late = LeaseColumn {
        expires_at_ms: lease.expires_at_ms,
        ..*row
    };
    (0..=RENEWAL_LAG.as_ms()).contains(&lag) && as_late == *lease
}
