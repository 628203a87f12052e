//! What a vendor tells by itself: a reason to look, and never more. What is so is what the vendor answers when
//! it is asked; so it does not matter that anybody may have sent it late, twice or out of order.
//!
//! Invariant: one event id is looked at once; what comes with the same id and other content is somebody's fault
//! or trick, and is written down.

use tidegate_domain::ids::MachineId;

use super::Account;
use crate::bindings::account::HintAnswer;
use crate::driver::Cx;
use crate::ports::{StoreError, Value};
use crate::records::account::Errand;
use crate::records::columns::text;

impl Account {
    pub(super) fn hint(
        &mut self,
        cx: &mut Cx<'_>,
        event_id: &str,
        digest: &str,
        machine: Option<String>,
    ) -> Result<HintAnswer, StoreError> {
        if self.row.spec.is_none() {
            return Ok(HintAnswer::NotFound);
        }
        let known = cx.sql.exec(
            "SELECT digest FROM hints WHERE event_id = ?",
            &[Value::from(event_id)],
        )?;
        if let Some(row) = known.first() {
            if text("hint", row, 0)? == digest {
                return Ok(HintAnswer::Again);
            }
            let reason = "an event came again under its id with other content; nothing was done";
            self.note(cx.now, "webhook.conflict", event_id, reason.to_owned());
            return Ok(HintAnswer::Differs);
        }
        cx.sql.exec(
            "INSERT INTO hints (event_id, digest, at_ms) VALUES (?, ?, ?)",
            &[
                Value::from(event_id),
                Value::from(digest),
                Value::from(cx.now.as_ms()),
            ],
        )?;
        self.look_because_of(cx, machine.map(MachineId::new));
        Ok(HintAnswer::Heard)
    }

    fn look_because_of(&mut self, cx: &mut Cx<'_>, machine: Option<MachineId>) {
        let owner = machine.as_ref().and_then(|machine| {
            let mut attempts = self.attempts.iter();
            attempts.find(|(_, tracked)| tracked.attempt.machine.as_ref() == Some(machine))
        });
        if let Some(id) = owner.map(|(id, _)| id.clone()) {
            self.look(cx, &id);
            return;
        }
        if let Some(machine) = machine {
            let errand = Errand::LookAtStray(machine);
            if let Some(call) = self.calls.get_mut(&errand) {
                if call.sent.is_none() {
                    call.due_at_ms = Some(cx.now.as_ms());
                    self.changed.calls.insert(errand);
                }
                return;
            }
        }
        // A machine that nobody here knows, or none is named: whatever it is, a list shows it.
        let regions = self.swept_regions();
        self.wanted.extend(regions);
    }
}
