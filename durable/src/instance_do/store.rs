//! Reading and writing an instance's rows.

use std::collections::BTreeMap;

use tidegate_domain::ids::RequestId;
use tidegate_domain::instance::{self as machine, LeaseRow};

use super::behind::WriteBehind;
use crate::bindings::fleet::ReliabilityPolicy;
use crate::driver::{Cx, decode, encode};
use crate::ports::{StoreError, Value};
use crate::records::columns::text;
use crate::records::instance::{FiguresRow, LeaseColumn, MachineRow, Stored};

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

/// What is stored, the machine made of it, and rows that nothing lags behind yet.
pub(super) type Loaded = (Stored, Option<machine::Instance>, WriteBehind);

pub(super) fn load(cx: &mut Cx<'_>) -> Result<Loaded, StoreError> {
    let rows = cx.sql.exec("SELECT json FROM record WHERE id = 1", &[])?;
    let Some(row) = rows.first() else {
        return Ok((nothing(), None, WriteBehind::default()));
    };
    let stored: Stored = decode("instance", text("instance", row, 0)?)?;
    let (Some(spec), Some(machine)) = (&stored.spec, stored.machine.clone()) else {
        return Ok((stored, None, WriteBehind::default()));
    };
    let record = machine.into_domain(spec, &stored.policy);
    let (mut rows, mut unread) = (BTreeMap::new(), Vec::new());
    for row in cx.sql.exec("SELECT request, json FROM leases", &[])? {
        let request = RequestId::new(text("lease", &row, 0)?);
        let column = decode("lease", text("lease", &row, 1)?).unwrap_or_else(|_| {
            // A row of a newer release still holds its slot: for a lease's length from now, which has to
            // be written, or each restart would begin it anew.
            unread.push(request.clone());
            LeaseColumn::unreadable(cx.now)
        });
        rows.insert(request, column);
    }
    let lease =
        |(request, column): (&RequestId, &LeaseColumn)| column.into_domain(request.as_str());
    let leases = rows.iter().map(lease).collect();
    let mut machine = machine::Instance::restore(record, leases, cx.now);
    let figures = cx.sql.exec("SELECT json FROM figures WHERE id = 1", &[])?;
    let mut ring = None;
    let mut active_at = None;
    if let Some(row) = figures.first() {
        // Figures may be lost, so those that cannot be read do not keep the server from loading.
        let figures: FiguresRow = decode("figures", text("figures", row, 0)?).unwrap_or_default();
        if let Some(run) = figures.run {
            machine.restore_run(run.into());
        }
        active_at = figures
            .active_at_ms
            .map(tidegate_domain::time::Timestamp::from_ms);
        let (figures, checks) = figures.into_domain();
        machine.restore_figures(figures);
        machine.restore_ring(checks.clone());
        ring = Some(checks);
    }
    let mut behind = WriteBehind::new(rows, ring.as_ref());
    behind.restore_active_at(active_at);
    for request in unread {
        behind.granted(cx.now, request);
    }
    Ok((stored, Some(machine), behind))
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
