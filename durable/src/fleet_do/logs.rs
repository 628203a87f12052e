//! The quarter hour's round: the parts of the request log that may have been written to are woken.
//!
//! A part rings by itself to send its sums on. Should its alarm get lost while it is not in memory, nobody
//! but the next writer would wake it, and after the last request of a day there is none.
//!
//! Invariant: after the last request of an organisation each part of that day's log is woken at least once.
//! Whoever sends a request asks for the snapshot first, so that is where traffic is noticed: one row for
//! each quarter of an hour that has some, and none without.

use super::Fleet;
use crate::bindings::ObjectName;
use crate::bindings::journal::{JournalCommand, day_of};
use crate::bindings::log::LOG_SHARDS;
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::fleet::Traffic;
use tidegate_domain::time::{Span, Timestamp};

const QUARTER: Span = Span::from_secs(15 * 60);
/// A request may run for half an hour after the snapshot that sent it, and is logged when it ends; one
/// quarter more for the sums themselves.
const WATCHED: i64 = 4;

fn quarter(now: Timestamp) -> i64 {
    now.as_ms().div_euclid(QUARTER.as_ms())
}

impl Fleet {
    /// Somebody sends requests.
    pub(super) fn note_traffic(&mut self, cx: &Cx<'_>) -> Result<(), StoreError> {
        let asked = quarter(cx.now);
        if self.traffic.asked < asked {
            self.traffic.asked = asked;
            self.traffic.put(cx.sql)?;
        }
        Ok(())
    }

    /// Once a quarter of an hour, while there was traffic.
    pub(super) fn wake_logs(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let now = quarter(cx.now);
        if self.traffic.woken >= now || self.traffic.asked.saturating_add(WATCHED) < now {
            return Ok(());
        }
        self.traffic = Traffic {
            woken: now,
            ..self.traffic
        };
        self.traffic.put(cx.sql)?;
        // The watch over what was written before midnight goes on after it.
        let watched = cx.now - QUARTER.times(WATCHED);
        let mut days = vec![day_of(watched.as_ms()), day_of(cx.now.as_ms())];
        days.dedup();
        for day in days {
            for shard in 0..LOG_SHARDS {
                let part = ObjectName::log(&self.org, &day, shard);
                cx.poke(part, &JournalCommand::Wake)?;
            }
        }
        Ok(())
    }
}
