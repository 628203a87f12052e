//! `Directory`: every organisation and every account at a vendor there is, and the minute.
//!
//! Name: `directory`. Messages: [`DirectoryCommand`]. Tables: `schemas/sql/directory.sql`.
//!
//! Invariant: an organisation that was enrolled is poked, for ever. A poke that is lost is not repeated:
//! the next minute's does the same. On hosts without cron the directory's own alarm keeps the minute, and
//! every alarm arms the next before anything can fail.
//!
//! In scope: who is poked when. Out of scope: what a fleet or an account does then.

mod accounts;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use self::accounts::Accounts;
use crate::bindings::ObjectName;
use crate::bindings::directory::{CronReport, DirectoryCommand};
use crate::bindings::fleet::FleetCommand;
use crate::bindings::instance::Done;
use crate::driver::{Cx, Object, TurnError, encode};
use crate::ports::{StoreError, Value};
use crate::records::columns::text;
use crate::records::schema::statements;
use crate::turn::{EffectId, Outcome, Reply};
use tidegate_domain::time::Timestamp;

const MINUTE_MS: i64 = 60_000;

/// Half of the 1,000 calls that one invocation of a Worker may make. With more organisations each minute
/// starts where the one before ended.
const POKES_A_ROUND: usize = 500;

/// Every organisation in memory.
pub struct Directory {
    orgs: BTreeSet<String>,
    accounts: Accounts,
    /// The next full minute, while the directory keeps time.
    next_minute: Option<Timestamp>,
}

impl Object for Directory {
    const SCHEMA: &'static [&'static str] =
        &statements::<3>(include_str!("../../../schemas/sql/directory.sql"));

    fn open(cx: &mut Cx<'_>) -> Result<Self, StoreError> {
        let orgs = cx
            .sql
            .exec("SELECT org FROM orgs", &[])?
            .iter()
            .map(|row| Ok(text("organisation", row, 0)?.to_owned()))
            .collect::<Result<_, StoreError>>()?;
        let keeps_time = !cx.sql.exec("SELECT 1 FROM timekeeper", &[])?.is_empty();
        Ok(Self {
            orgs,
            accounts: Accounts::load(cx)?,
            next_minute: keeps_time.then(|| minute_after(cx.now)),
        })
    }

    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError> {
        let command =
            serde_json::from_str(message).map_err(|error| TurnError::message(cx.name, &error))?;
        let reply = match command {
            DirectoryCommand::Enroll { org } => {
                self.enroll(cx, org)?;
                encode("done", &Done {})?
            }
            DirectoryCommand::Cron => encode("cron report", &self.poke_all(cx)?)?,
            DirectoryCommand::EnrollAccount { org, account } => {
                self.accounts.enroll(cx, org, account)?;
                encode("done", &Done {})?
            }
            DirectoryCommand::RetireAccount { org, account } => {
                self.accounts.retire(cx, org, account)?;
                encode("done", &Done {})?
            }
            DirectoryCommand::Swept {
                org,
                account,
                at_ms,
            } => {
                self.accounts.note_sweep(cx, org, account, at_ms)?;
                encode("done", &Done {})?
            }
            DirectoryCommand::Accounts => encode("accounts", &self.accounts.report())?,
            DirectoryCommand::KeepTime => {
                self.keep_time(cx)?;
                encode("done", &Done {})?
            }
        };
        Ok(Reply::Now(reply))
    }

    /// Pokes whatever the hour: an object that was evicted since the last minute cannot tell whether this
    /// alarm is early, and one poke too many does no harm.
    fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        if self.next_minute.is_some() {
            self.next_minute = Some(minute_after(cx.now));
            self.poke_all(cx)?;
        }
        Ok(())
    }

    fn done(&mut self, _: &mut Cx<'_>, _: EffectId, _: Outcome) -> Result<(), TurnError> {
        Ok(())
    }

    fn next_alarm(&self) -> Option<Timestamp> {
        self.next_minute
    }
}

impl Directory {
    fn enroll(&mut self, cx: &Cx<'_>, org: String) -> Result<(), StoreError> {
        if self.orgs.contains(&org) {
            return Ok(());
        }
        cx.sql.exec(
            "INSERT INTO orgs (org, enrolled_at_ms) VALUES (?, ?) ON CONFLICT DO NOTHING",
            &[Value::from(org.as_str()), Value::from(cx.now.as_ms())],
        )?;
        self.orgs.insert(org);
        Ok(())
    }

    fn keep_time(&mut self, cx: &Cx<'_>) -> Result<(), StoreError> {
        if self.next_minute.is_none() {
            cx.sql.exec(
                "INSERT INTO timekeeper (one, since_ms) VALUES (1, ?) ON CONFLICT DO NOTHING",
                &[Value::from(cx.now.as_ms())],
            )?;
            self.next_minute = Some(minute_after(cx.now));
        }
        Ok(())
    }

    fn poke_all(&mut self, cx: &mut Cx<'_>) -> Result<CronReport, StoreError> {
        Ok(CronReport {
            fleets: self.poke_fleets(cx)?,
            accounts: self.accounts.poke(cx)?,
        })
    }

    fn poke_fleets(&self, cx: &mut Cx<'_>) -> Result<u32, StoreError> {
        let round = POKES_A_ROUND.min(self.orgs.len());
        let start = round_start(cx.now, self.orgs.len());
        for org in self.orgs.iter().cycle().skip(start).take(round) {
            cx.poke(ObjectName::fleet(org), &FleetCommand::Cron)?;
        }
        Ok(u32::try_from(round).unwrap_or(u32::MAX))
    }
}

/// Where this minute's round starts. Taken from the clock, because what is in memory is gone by then.
fn round_start(now: Timestamp, orgs: usize) -> usize {
    if orgs <= POKES_A_ROUND {
        return 0;
    }
    let minute = usize::try_from(now.as_ms().div_euclid(MINUTE_MS)).unwrap_or_default();
    minute.wrapping_mul(POKES_A_ROUND) % orgs
}

/// The next full minute: the same however often the object is opened anew, so that no reload puts the
/// alarm off.
fn minute_after(now: Timestamp) -> Timestamp {
    Timestamp::from_ms((now.as_ms().div_euclid(MINUTE_MS) + 1) * MINUTE_MS)
}
