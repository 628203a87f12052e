//! What the fleet hears of a server.
//!
//! Invariant: `number of an announcement > every earlier one`, also over evictions and removals.

use tidegate_domain::time::{Span, Timestamp};

use super::{Instance, view};
use crate::bindings::ObjectName;
use crate::bindings::fleet::{FleetCommand, ServerState, ServerStatus};
use crate::driver::{Cx, TurnError};

/// A report tells the fleet that the alarm of this object still rings; with a check a minute every fifth
/// carries one. The cron pokes a server that was silent for seven minutes.
const REPORT_EVERY: Span = Span::from_secs(300);

impl Instance {
    /// Tells the fleet what this server now is. The whole state, not the change, so that a later
    /// announcement makes an earlier one superfluous.
    pub(super) fn announce(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        self.stored.sequence += 1;
        self.save(cx)?;
        self.reported_at = Some(cx.now);
        let message = self.announcement(cx);
        let org = cx.name.org().unwrap_or_default().to_owned();
        cx.send(ObjectName::fleet(&org), &message)?;
        Ok(())
    }

    /// The same without a row in the outbox: losing it delays the next by a few minutes. Its number is
    /// kept all the same, since the fleet ignores what comes with a number that it has seen.
    pub(super) fn report(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        if !self.is_report_due(cx.now) {
            return Ok(());
        }
        self.stored.sequence += 1;
        self.save(cx)?;
        self.reported_at = Some(cx.now);
        let message = self.announcement(cx);
        let org = cx.name.org().unwrap_or_default().to_owned();
        cx.poke(ObjectName::fleet(&org), &message)?;
        Ok(())
    }

    /// The first check after each mark that is [`REPORT_EVERY`] after the one before. Nothing is
    /// remembered for it between checks, because an idle object leaves memory between them: a check came
    /// first after a mark if the mark is no further back than two checks are apart.
    fn is_report_due(&self, now: Timestamp) -> bool {
        let Some(machine) = &self.machine else {
            return false;
        };
        let apart = machine.policy().health.every;
        // Spaced by up to a tenth more.
        let apart = Span::from_ms(apart.as_ms().saturating_mul(11) / 10);
        // Servers have their marks at different times.
        let salt = machine.record().salt % REPORT_EVERY.as_ms().unsigned_abs();
        let shift = Span::from_ms(i64::try_from(salt).unwrap_or_default());
        let mark = |at: Timestamp| (at + shift).as_ms().div_euclid(REPORT_EVERY.as_ms());
        mark(now) != mark(now - apart) && self.reported_at.map(mark) != Some(mark(now))
    }

    fn announcement(&self, cx: &Cx<'_>) -> FleetCommand {
        FleetCommand::Announce {
            event_id: format!("{}/{}", cx.name, self.stored.sequence),
            instance: cx.name.tail().unwrap_or_default().to_owned(),
            status: self.status(cx.now),
            sequence: self.stored.sequence,
        }
    }

    pub(super) fn status(&self, now: Timestamp) -> ServerStatus {
        let Some(machine) = &self.machine else {
            return ServerStatus::default();
        };
        let why = machine.why_out(now);
        let checked = machine
            .health()
            .ring()
            .last()
            .map_or(0, |check| check.at.as_ms());
        ServerStatus {
            state: why.map_or(ServerState::Healthy, |why| view::state_of(why.reason)),
            reason: why.map(|why| why.reason.to_string()).unwrap_or_default(),
            since_ms: why.map_or(now.as_ms(), |why| why.since.as_ms()),
            until_ms: why.and_then(|why| why.until).map(Timestamp::as_ms),
            checked_at_ms: checked,
            totals: view::totals(machine.figures()),
        }
    }
}
