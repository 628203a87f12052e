//! A rental for others: its status for the fleet, and everything there is to know for people.

use tidegate_domain::lifecycle::{Cause, Creating, State};
use tidegate_domain::time::Timestamp;

use super::Rental;
use crate::bindings::rental::{AttemptView, RentalState, RentalStatus, RentalView, TimerView};

impl Rental {
    pub(super) fn status(&self, _: Timestamp) -> RentalStatus {
        let record = self.life.record();
        let attempt = self.life.attempt();
        let is_live = !record.state.is_over();
        let rate = self
            .life
            .current()
            .filter(|current| current.costs.is_open())
            .and_then(|current| current.costs.rate());
        RentalStatus {
            state: state_of(record.state),
            since_ms: record.since.as_ms(),
            reason: self.reason(),
            suspect: record.suspect,
            endpoint: self.row.endpoint.clone().filter(|_| self.is_in_rotation()),
            draining: matches!(record.state, State::Draining(_)),
            candidate: self.life.candidate(),
            attempt,
            machine: record
                .machine
                .as_ref()
                .map(|machine| machine.as_str().to_owned()),
            billing: match (&self.row.billing, rate) {
                (_, None) => "none".to_owned(),
                (Some(billing), Some(_)) if is_live => billing.clone(),
                (_, Some(_)) => "unknown".to_owned(),
            },
            microusd_per_hour: rate.unwrap_or_default(),
        }
    }

    /// Why it is in its state, in words.
    fn reason(&self) -> String {
        let record = self.life.record();
        let mut parts: Vec<String> = Vec::new();
        parts.extend(record.cause.map(|cause| cause.to_string()));
        if let Some(wish) = record.wish {
            parts.push(format!("it will be given back, because {wish}"));
        }
        if record.state == State::Provisioning(Creating::Ambiguous) {
            parts.push(
                "the vendor's answer was lost: it is being looked for before anything else is tried"
                    .to_owned(),
            );
        }
        if !self.row.words.is_empty() {
            parts.push(self.row.words.clone());
        }
        if record.state == State::Failed && record.cause == Some(Cause::NothingToRent) {
            parts.extend(
                self.row
                    .outcomes
                    .iter()
                    .rev()
                    .find(|it| !it.is_empty())
                    .cloned(),
            );
        }
        parts.join("; ")
    }

    pub(super) fn view(&self, now: Timestamp) -> RentalView {
        let timers = self.life.timers();
        RentalView {
            status: self.status(now),
            launch: Some(Box::new(self.launch.clone())),
            phases: self.row.phases.clone(),
            timers: timers
                .into_iter()
                .map(|(timer, due)| TimerView {
                    timer: timer.as_str().to_owned(),
                    at_ms: due.as_ms(),
                })
                .collect(),
            attempts: (1..=self.life.attempt())
                .map(|number| AttemptView {
                    number,
                    account: self
                        .candidate_of(number)
                        .map(|candidate| candidate.account.clone())
                        .unwrap_or_default(),
                    outcome: usize::try_from(number - 1)
                        .ok()
                        .and_then(|at| self.row.outcomes.get(at))
                        .cloned()
                        .unwrap_or_default(),
                    machine: self
                        .life
                        .record()
                        .machine
                        .as_ref()
                        .filter(|_| number == self.life.attempt())
                        .map(|machine| machine.as_str().to_owned()),
                })
                .collect(),
            last_active_ms: self.life.usage().last.map(Timestamp::as_ms),
            address: self.row.address.clone(),
        }
    }
}

const fn state_of(state: State) -> RentalState {
    match state {
        State::Requested => RentalState::Requested,
        State::Provisioning(_) => RentalState::Provisioning,
        State::Booting => RentalState::Booting,
        State::Warming(_) => RentalState::Warming,
        State::Ready => RentalState::Ready,
        State::ReadyUnreachable => RentalState::ReadyUnreachable,
        State::Draining(_) => RentalState::Draining,
        State::Stopping => RentalState::Stopping,
        State::Stopped => RentalState::Stopped,
        State::Starting(_) => RentalState::Starting,
        State::Terminating => RentalState::Terminating,
        State::Terminated => RentalState::Terminated,
        State::Failed => RentalState::Failed,
        State::Lost => RentalState::Lost,
    }
}
