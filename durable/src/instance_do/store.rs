//! Reading and writing an instance's rows.

use std::collections::BTreeSet;

use tidegate_domain::ids::RequestId;
use tidegate_domain::instance::{self as machine, LeaseRow};
use tidegate_domain::time::{Span, Timestamp};

use crate::bindings::fleet::ReliabilityPolicy;
use crate::driver::{Cx, decode, encode};
use crate::ports::{StoreError, Value};
use crate::records::columns::text;
use crate::records::instance::{FiguresRow, LeaseColumn, MachineRow, Stored};

/// Lease rows are written at most this often.
const LEASES_EVERY: Span = Span::from_secs(1);
/// Totals are written this often while requests come, so that a restart forgets at most as much.
const TOTALS_EVERY: Span = Span::from_secs(10);
/// The check ring alone is not worth a row more often than this.
const RING_EVERY: Span = Span::from_secs(600);
/// Ended requests after which totals are written without waiting.
const TOTALS_BATCH: usize = 100;

/// A record of nothing.
pub(super) fn nothing() -> Stored {
    Stored {
        spec: None,
        generation: 0,
        policy: ReliabilityPolicy::default(),
        sequence: 0,
        machine: None,
    }
}

pub(super) fn load(cx: &mut Cx<'_>) -> Result<(Stored, Option<machine::Instance>), StoreError> {
    let rows = cx.sql.exec("SELECT json FROM record WHERE id = 1", &[])?;
    let Some(row) = rows.first() else {
        return Ok((nothing(), None));
    };
    let stored: Stored = decode("instance", text("instance", row, 0)?)?;
    let (Some(spec), Some(machine)) = (&stored.spec, stored.machine.clone()) else {
        return Ok((stored, None));
    };
    let record = machine.into_domain(spec, &stored.policy);
    let mut leases = Vec::new();
    for row in cx.sql.exec("SELECT request, json FROM leases", &[])? {
        let column: LeaseColumn = decode("lease", text("lease", &row, 1)?)?;
        leases.push(column.into_domain(text("lease", &row, 0)?));
    }
    let mut machine = machine::Instance::restore(record, leases, cx.now);
    if let Some(row) = cx
        .sql
        .exec("SELECT json FROM figures WHERE id = 1", &[])?
        .first()
    {
        let figures: FiguresRow = decode("figures", text("figures", row, 0)?)?;
        let (figures, ring) = figures.into_domain();
        machine.restore_figures(figures);
        machine.restore_ring(ring);
    }
    Ok((stored, Some(machine)))
}

pub(super) fn save(
    cx: &mut Cx<'_>,
    stored: &mut Stored,
    machine: Option<&machine::Instance>,
) -> Result<(), StoreError> {
    stored.machine = machine.map(|machine| MachineRow::from_domain(&machine.record()));
    let json = encode("instance", stored)?;
    cx.sql.exec(
        "INSERT OR REPLACE INTO record (id, json) VALUES (1, ?)",
        &[Value::from(json)],
    )?;
    Ok(())
}

pub(super) fn erase(cx: &mut Cx<'_>) -> Result<(), StoreError> {
    for statement in ["DELETE FROM leases", "DELETE FROM figures"] {
        cx.sql.exec(statement, &[])?;
    }
    Ok(())
}

/// Spreads this server's timers from those of others.
pub(super) fn salt(cx: &Cx<'_>) -> u64 {
    let mut bytes = [0; 8];
    cx.entropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

pub(super) fn lease_rows(machine: &machine::Instance) -> Vec<LeaseRow> {
    machine
        .leases()
        .map(|(request, lease)| LeaseRow {
            request: request.clone(),
            lease: *lease,
        })
        .collect()
}

/// Rows that are behind the machine, and since when.
pub(super) struct WriteBehind {
    touched: BTreeSet<RequestId>,
    leases_at: Timestamp,
    ended: usize,
    checks: usize,
    figures_at: Timestamp,
}

impl WriteBehind {
    /// Nothing behind. Rows that were read stand as they are until they are touched.
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            touched: BTreeSet::new(),
            leases_at: now,
            ended: 0,
            checks: 0,
            figures_at: now,
        }
    }

    pub(super) fn touch(&mut self, request: RequestId) {
        self.ended += 1;
        self.touched.insert(request);
    }

    pub(super) fn figures_changed(&mut self) {
        self.checks += 1;
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        !self.touched.is_empty() && now.since(self.leases_at) >= LEASES_EVERY
    }

    pub(super) fn figures_due(&self, now: Timestamp) -> bool {
        let waited = now.since(self.figures_at);
        (self.ended > 0 && waited >= TOTALS_EVERY) || (self.checks > 0 && waited >= RING_EVERY)
    }

    /// Brings the lease rows up to date. A request that came and went since the last time costs nothing.
    pub(super) fn flush(
        &mut self,
        cx: &mut Cx<'_>,
        machine: Option<&machine::Instance>,
    ) -> Result<(), StoreError> {
        let Some(machine) = machine else {
            return Ok(());
        };
        for request in std::mem::take(&mut self.touched) {
            match machine.lease(&request) {
                Some(lease) => {
                    let json = encode("lease", &LeaseColumn::from_domain(lease))?;
                    let values = [Value::from(request.as_str()), Value::from(json)];
                    cx.sql.exec(
                        "INSERT OR REPLACE INTO leases (request, json) VALUES (?, ?)",
                        &values,
                    )?;
                }
                None => {
                    cx.sql.exec(
                        "DELETE FROM leases WHERE request = ?",
                        &[Value::from(request.as_str())],
                    )?;
                }
            }
        }
        self.leases_at = cx.now;
        if self.ended >= TOTALS_BATCH || self.figures_due(cx.now) {
            self.flush_figures(cx, Some(machine))?;
        }
        Ok(())
    }

    pub(super) fn flush_figures(
        &mut self,
        cx: &mut Cx<'_>,
        machine: Option<&machine::Instance>,
    ) -> Result<(), StoreError> {
        let Some(machine) = machine.filter(|_| self.ended > 0 || self.figures_due(cx.now)) else {
            return Ok(());
        };
        let json = encode(
            "figures",
            &FiguresRow::from_domain(machine.figures(), machine.health().ring()),
        )?;
        cx.sql.exec(
            "INSERT OR REPLACE INTO figures (id, json) VALUES (1, ?)",
            &[Value::from(json)],
        )?;
        self.ended = 0;
        self.checks = 0;
        self.figures_at = cx.now;
        Ok(())
    }
}
