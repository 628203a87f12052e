//! `Journal`: what happened in an organisation. One class, three kinds of objects, told apart by name:
//!
//! | name | keeps | |
//! |---|---|---|
//! | `journal/{org}/{day}` | the audit of a UTC day, `2026-11-21` | [`audit`] |
//! | `journal/{org}/{day}/{part}` | a part of the day's request log | [`part`] |
//! | `journal/{org}/totals` | the sums of every log since the first request | [`sums`] |
//!
//! Messages: [`JournalCommand`]. A message for another kind is refused and changes nothing.
//!
//! In scope: order, retention, sums. Out of scope: what is worth an entry.

pub mod audit;
mod day;
pub mod part;
pub mod sums;

#[cfg(test)]
mod tests;

use tidegate_domain::time::Timestamp;

use crate::bindings::instance::Done;
use crate::bindings::journal::JournalCommand;
use crate::driver::{Cx, Object, TurnError, encode};
use crate::ports::StoreError;
use crate::turn::{EffectId, Outcome, Reply};

use audit::Audit;
use day::start_of;
use part::Part;
use sums::Sums;

/// One of the three.
pub enum Journal {
    /// A day's audit.
    Audit(Audit),
    /// A part of a day's request log.
    Part(Box<Part>),
    /// The totals.
    Sums(Box<Sums>),
}

impl Object for Journal {
    /// Each kind makes its own tables.
    const SCHEMA: &'static [&'static str] = &[];

    fn open(cx: &mut Cx<'_>) -> Result<Self, StoreError> {
        let tail = cx.name.tail().unwrap_or_default().to_owned();
        if tail == "totals" {
            return Ok(Self::Sums(Box::new(Sums::open(cx)?)));
        }
        match tail.split_once('/') {
            None => Ok(Self::Audit(Audit::open(cx, start_of(&tail))?)),
            Some((day, _)) => Ok(Self::Part(Box::new(Part::open(cx, start_of(day))?))),
        }
    }

    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError> {
        let command =
            serde_json::from_str(message).map_err(|error| TurnError::message(cx.name, &error))?;
        let reply = match (self, command) {
            (Self::Audit(audit), JournalCommand::Append { event_id, entries }) => {
                audit.append(cx, &event_id, &entries)?;
                encode("done", &Done {})?
            }
            (Self::Audit(_), JournalCommand::Query { limit, before }) => {
                encode("audit page", &audit::page(cx, limit, before)?)?
            }
            (
                Self::Part(part),
                JournalCommand::Log {
                    batch,
                    entries,
                    lost,
                },
            ) => {
                part.take(cx, &batch, &entries, lost)?;
                encode("done", &Done {})?
            }
            (
                Self::Part(_),
                JournalCommand::Search {
                    limit,
                    after,
                    filter,
                },
            ) => encode("log page", &part::search(cx, limit, after, &filter)?)?,
            (
                Self::Sums(sums),
                JournalCommand::Add {
                    source,
                    number,
                    delta,
                },
            ) => {
                sums.add(cx, &source, number, &delta)?;
                encode("done", &Done {})?
            }
            (Self::Sums(sums), JournalCommand::Totals) => encode("totals", &sums.totals())?,
            // That a turn is run is all: each one sets the alarm that is wanted.
            (_, JournalCommand::Wake) => encode("done", &Done {})?,
            _ => return Err(refused(cx, "it is for a journal of another kind")),
        };
        Ok(Reply::Now(reply))
    }

    fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        match self {
            Self::Audit(audit) => audit.alarm(cx)?,
            Self::Part(part) => part.alarm(cx)?,
            Self::Sums(_) => {}
        }
        Ok(())
    }

    fn done(&mut self, cx: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Result<(), TurnError> {
        if let (Self::Part(part), Outcome::Delivered { .. }) = (self, outcome) {
            part.delivered(cx)?;
        }
        Ok(())
    }

    fn next_alarm(&self) -> Option<Timestamp> {
        match self {
            Self::Audit(audit) => audit.next_alarm(),
            Self::Part(part) => part.next_alarm(),
            Self::Sums(_) => None,
        }
    }
}

fn refused(cx: &Cx<'_>, reason: &str) -> TurnError {
    TurnError::Message {
        object: cx.name.to_string(),
        reason: reason.to_owned(),
    }
}
