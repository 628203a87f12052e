//! What instances report: their state, and totals beside it.
//!
//! Invariant: `state = the announcement with the greatest sequence`. Repeated and late ones change
//! nothing. Only what routing depends on moves the snapshot's version; a check that went as the one
//! before, or totals, do not.

use super::{Fleet, audit};
use crate::bindings::fleet::{FleetAnswer, ServerState, ServerStatus};
use crate::bindings::instance::InstanceCommand;
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::columns::LARGEST_INTEGER;
use crate::records::rented::RentalRecord;

impl Fleet {
    pub(super) fn hear(
        &mut self,
        cx: &mut Cx<'_>,
        event_id: &str,
        instance: &str,
        status: ServerStatus,
        sequence: u64,
    ) -> Result<FleetAnswer, StoreError> {
        let heard = self.servers.get(instance).map(|server| server.sequence);
        // Without a write, since a repetition is as frequent as a lost answer.
        if matches!(heard, Some(Some(last)) if sequence <= last) || !cx.is_first_sight(event_id)? {
            return Ok(FleetAnswer::Done);
        }
        let Some(server) = self.servers.get_mut(instance) else {
            // A leftover of a registration that is gone. Its last generation is gone too, so it gets the
            // one that nothing outranks; ids are minted at random and never come back. Except for one that
            // is rented: it comes back into rotation, with the generation that follows its row's.
            let generation = RentalRecord::load(cx.sql, instance)?
                .map_or(LARGEST_INTEGER.unsigned_abs(), |rental| {
                    rental.server_generation
                });
            self.tell(cx, instance, &InstanceCommand::Remove { generation })?;
            return Ok(FleetAnswer::Done);
        };
        let before = server.routing_status();
        let was = std::mem::replace(&mut server.announced, status.clone());
        server.sequence = Some(sequence);
        server.put_announced(cx.sql)?;
        let is_moved = before != server.routing_status();
        let is_draining = server.draining_since_ms.is_some();
        if is_moved {
            self.bump();
        }
        if let Some(action) = audit::announced(&was, &status) {
            let actor = format!("instance/{instance}");
            self.note_of(cx, &actor, action, instance, audit::why_out(&status));
        }
        // `Drain` and `Resume` carry no number, so one that was delayed may overtake the other. What the
        // instance says then differs from what is wanted, and it is told again.
        match (is_draining, status.state) {
            (true, ServerState::Healthy) => self.tell(cx, instance, &InstanceCommand::Drain)?,
            (false, ServerState::Draining) => self.tell(cx, instance, &InstanceCommand::Resume)?,
            _ => {}
        }
        Ok(FleetAnswer::Done)
    }
}
