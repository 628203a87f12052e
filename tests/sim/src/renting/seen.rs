//! What the checks look at inside an instance, copied after each turn.

use tidegate_domain::lifecycle::{Cause, State};
use tidegate_domain::time::Timestamp;

use crate::object::{self, Inside};

/// A rental at a moment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its state.
    pub state: State,
    /// Why.
    pub cause: Option<Cause>,
    /// It is to be given back as soon as there is anything to give back.
    pub wish: Option<Cause>,
    /// Attempts so far.
    pub attempt: u32,
    /// The machine of the last one.
    pub machine: Option<String>,
    /// Until when it may be billed.
    pub paid_until: Option<Timestamp>,
    /// Its heartbeat is missing.
    pub suspect: bool,
    /// Windows that are open, by attempt.
    pub open: Vec<u32>,
    /// What the vendor billed, by attempt.
    pub billed: Vec<(u32, u64)>,
}

impl object::Seen for Seen {
    fn of(object: Inside<'_>) -> Option<Self> {
        let Inside::Instance(instance) = object else {
            return None;
        };
        let life = instance.life()?;
        let record = life.record();
        let attempts = (1_u32..).zip(&record.attempts);
        Some(Self {
            state: record.state,
            cause: record.cause,
            wish: record.wish,
            attempt: life.attempt(),
            machine: record
                .machine
                .as_ref()
                .map(|machine| machine.as_str().to_owned()),
            paid_until: record.advance.until,
            suspect: record.suspect,
            open: attempts
                .clone()
                .filter(|(_, attempt)| attempt.costs.is_open())
                .map(|(number, _)| number)
                .collect(),
            billed: attempts
                .filter_map(|(number, attempt)| Some((number, attempt.costs.billed?)))
                .collect(),
        })
    }
}

impl Seen {
    /// Whether a machine of it is to go on.
    pub const fn is_wanted(&self) -> bool {
        !self.state.is_over() && !matches!(self.state, State::Terminating)
    }
}
