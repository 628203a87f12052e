//! What somebody may ask of a rental now, and what is done then.

use super::event::{Admission, Command, Denied};
use super::state::{State, Then, Told};
use super::{Cause, Effect, Lifecycle};

impl Lifecycle {
    /// Whether a command makes sense now. Looks, never changes.
    ///
    /// # Errors
    /// Why it does not.
    pub fn admit(&self, command: Command) -> Result<Admission, Denied> {
        let state = self.record.state;
        match command {
            Command::Terminate => match state {
                State::Terminating | State::Terminated | State::Failed | State::Lost => {
                    Ok(Admission::AlreadySo)
                }
                _ if self.record.wish.is_some() => Ok(Admission::AlreadySo),
                _ => Ok(Admission::Accepted),
            },
            Command::Stop => match state {
                State::Requested | State::Provisioning(_) => Err(Denied::NoMachineYet),
                State::Stopping | State::Stopped | State::Draining(Then::Stop) => {
                    Ok(Admission::AlreadySo)
                }
                State::Booting
                | State::Warming(_)
                | State::Ready
                | State::ReadyUnreachable
                | State::Draining(Then::Stay)
                | State::Starting(_) => {
                    if self.term().can_stop {
                        Ok(Admission::Accepted)
                    } else {
                        Err(Denied::CannotStop)
                    }
                }
                State::Draining(Then::Terminate)
                | State::Terminating
                | State::Terminated
                | State::Failed
                | State::Lost => Err(Denied::Over),
            },
            Command::Start => match state {
                State::Stopped => Ok(Admission::Accepted),
                State::Starting(_) | State::Booting | State::Warming(_) => Ok(Admission::AlreadySo),
                State::Ready | State::ReadyUnreachable | State::Draining(Then::Stay) => {
                    Ok(Admission::AlreadySo)
                }
                State::Requested | State::Provisioning(_) => Ok(Admission::AlreadySo),
                State::Stopping | State::Draining(Then::Stop) => Err(Denied::GoingDown),
                State::Draining(Then::Terminate)
                | State::Terminating
                | State::Terminated
                | State::Failed
                | State::Lost => Err(Denied::Over),
            },
            Command::Drain => match state {
                State::Ready => Ok(Admission::Accepted),
                State::Draining(_) => Ok(Admission::AlreadySo),
                State::Terminating | State::Terminated | State::Failed | State::Lost => {
                    Err(Denied::Over)
                }
                _ => Err(Denied::NotServing),
            },
            Command::Resume => match state {
                State::Ready => Ok(Admission::AlreadySo),
                State::Draining(Then::Stay) => Ok(Admission::Accepted),
                State::Draining(Then::Stop) | State::Stopping => Err(Denied::GoingDown),
                State::Draining(Then::Terminate)
                | State::Terminating
                | State::Terminated
                | State::Failed
                | State::Lost => Err(Denied::Over),
                _ => Err(Denied::NotServing),
            },
        }
    }

    /// Does what was admitted; what was not is no event.
    pub(super) fn commanded(&mut self, command: Command, effects: &mut Vec<Effect>) {
        if self.admit(command) != Ok(Admission::Accepted) {
            return;
        }
        match command {
            Command::Terminate => self.end(Cause::Asked, effects),
            Command::Stop => self.stop(Cause::Asked, effects),
            Command::Start => {
                self.record.up_since = self.now;
                self.record.advance.asked_at = None;
                self.enter(State::Starting(Told::NotYet), Some(Cause::Asked), effects);
            }
            Command::Drain => self.drain(Then::Stay, Cause::Asked, effects),
            Command::Resume => {
                self.enter(State::Ready, None, effects);
                // While it took no requests it could not be used: that was no idling.
                self.record.ready_since = Some(self.now);
                effects.push(Effect::Undrain);
            }
        }
    }
}
