//! What happened to a rental, for people: its own events, and the organisation's audit.

use tidegate_domain::lifecycle::{Action, Cause, What};

use super::Rental;
use crate::bindings::ObjectName;
use crate::bindings::journal::{AuditEntry, JournalCommand, day_of};
use crate::bindings::rental::{
    PhaseTime, RentalEvent, RentalEvents, RentalState, RentalVerb, VendorAction,
};
use crate::driver::{Cx, TurnError, decode, encode};
use crate::ports::{StoreError, Value};
use crate::records::columns::text;
use crate::turn::Reply;

/// Events that are kept: a rental has a few dozen, one that flaps for days has some hundred.
const MOST_EVENTS: u64 = 500;
/// Characters that are kept of a detail.
const MOST_DETAIL: usize = 600;

impl Rental {
    /// Something happened by itself.
    pub(super) fn note_own(
        &mut self,
        cx: &mut Cx<'_>,
        what: &str,
        detail: String,
    ) -> Result<(), StoreError> {
        let actor = format!("instance/{}", cx.name.tail().unwrap_or_default());
        self.note(cx, &actor, what, detail)
    }

    /// Somebody did something.
    pub(super) fn note(
        &mut self,
        cx: &mut Cx<'_>,
        actor: &str,
        what: &str,
        mut detail: String,
    ) -> Result<(), StoreError> {
        if let Some((end, _)) = detail.char_indices().nth(MOST_DETAIL) {
            detail.truncate(end);
        }
        self.row.events += 1;
        let event = RentalEvent {
            number: self.row.events,
            at_ms: cx.now.as_ms(),
            what: format!("instance.{what}"),
            detail,
        };
        let number = i64::try_from(event.number).unwrap_or(i64::MAX);
        cx.sql.exec(
            "INSERT OR REPLACE INTO events (number, json) VALUES (?, ?)",
            &[Value::from(number), Value::from(encode("event", &event)?)],
        )?;
        if let Some(oldest) = event.number.checked_sub(MOST_EVENTS) {
            let oldest = i64::try_from(oldest).unwrap_or_default();
            cx.sql.exec(
                "DELETE FROM events WHERE number <= ?",
                &[Value::from(oldest)],
            )?;
        }
        self.audits.push(AuditEntry {
            at_ms: event.at_ms,
            actor: actor.to_owned(),
            action: event.what,
            subject: cx.name.tail().unwrap_or_default().to_owned(),
            reason: event.detail,
        });
        self.due.save = true;
        Ok(())
    }

    pub(super) fn note_machine(
        &mut self,
        cx: &mut Cx<'_>,
        what: What,
        cause: Option<Cause>,
    ) -> Result<(), StoreError> {
        let name = match what {
            What::State(name) => {
                self.reach(name, cx.now.as_ms());
                name.to_owned()
            }
            // Its vendor's words were written down when they came.
            What::ActionRefused(action) => format!("{}_not_done", machine_action_name(action)),
            other => other.name().to_owned(),
        };
        let mut detail = match what {
            What::AttemptBegun(attempt) => {
                let offer = self.candidate_of(attempt).map(|candidate| {
                    let offer = &candidate.offer;
                    format!(
                        "{} × {} at {} in {}",
                        offer.gpu.count, offer.gpu.name, candidate.vendor, offer.region
                    )
                });
                format!("attempt {attempt}: {}", offer.unwrap_or_default())
            }
            What::AttemptOver(attempt)
            | What::AttemptAmbiguous(attempt)
            | What::Adopted(attempt) => {
                format!("attempt {attempt}")
            }
            What::Billed(microusd) => format!("{microusd} micro-dollars"),
            What::State(_)
            | What::Suspect
            | What::NotSuspect
            | What::StillThere
            | What::ActionRefused(_) => String::new(),
        };
        if let Some(cause) = cause {
            detail = [detail, cause.to_string()]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(": ");
        }
        let is_alert = what.is_alert();
        self.note_own(cx, &name, detail.clone())?;
        if is_alert {
            self.note_own(cx, &format!("alert.{name}"), detail)?;
        }
        Ok(())
    }

    /// A state was reached. A machine that comes up anew has a nonce of its own.
    fn reach(&mut self, name: &str, at_ms: i64) {
        let Some(state) = RentalState::ALL
            .into_iter()
            .find(|state| state.as_str() == name)
        else {
            return;
        };
        self.row.phases.retain(|phase| phase.state != state);
        self.row.phases.push(PhaseTime { state, at_ms });
        if matches!(state, RentalState::Requested | RentalState::Starting) {
            self.row.nonce = None;
        }
        if state == RentalState::Requested {
            self.row.endpoint = None;
            self.row.address = None;
            self.row.billing = None;
            self.row.shares.clear();
            self.shares.clear();
        }
    }

    pub(super) fn send_audits(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        if self.audits.is_empty() {
            return Ok(());
        }
        self.row.audits += 1;
        self.due.save = true;
        let org = cx.name.org().unwrap_or_default().to_owned();
        let append = JournalCommand::Append {
            event_id: format!("{}/audit/{}", cx.name, self.row.audits),
            entries: std::mem::take(&mut self.audits),
        };
        cx.send(ObjectName::journal(&org, &day_of(cx.now.as_ms())), &append)
    }
}

/// A page of events, newest first.
pub(in crate::instance_do) fn page(
    cx: &Cx<'_>,
    limit: u32,
    before: Option<u64>,
) -> Result<Reply, TurnError> {
    let limit = limit.clamp(1, 500);
    let before = before
        .and_then(|before| i64::try_from(before).ok())
        .unwrap_or(i64::MAX >> 11);
    let rows = cx.sql.exec(
        "SELECT json FROM events WHERE number < ? ORDER BY number DESC LIMIT ?",
        &[Value::from(before), Value::from(i64::from(limit))],
    )?;
    let mut events = Vec::new();
    for row in &rows {
        let event: RentalEvent = decode("event", text("event", row, 0)?)?;
        events.push(event);
    }
    let is_full = events.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next_before = events
        .last()
        .map(|event| event.number)
        .filter(|number| is_full && *number > 1);
    let page = RentalEvents {
        events,
        next_before,
    };
    Ok(Reply::Now(encode("events", &page)?))
}

pub(super) const fn action_name(action: VendorAction) -> &'static str {
    match action {
        VendorAction::Start => "start",
        VendorAction::Stop => "stop",
        VendorAction::Destroy => "destroy",
    }
}

const fn machine_action_name(action: Action) -> &'static str {
    match action {
        Action::Start => "start",
        Action::Stop => "stop",
        Action::Destroy => "destroy",
    }
}

pub(super) const fn verb_name(verb: RentalVerb) -> &'static str {
    match verb {
        RentalVerb::Start => "start",
        RentalVerb::Stop => "stop",
        RentalVerb::Drain => "drain",
        RentalVerb::Resume => "resume",
        RentalVerb::Terminate => "terminate",
    }
}
