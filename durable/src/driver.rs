//! The only loop around an object: open, run a turn, keep the outbox, arm the alarm.
//!
//! Invariant: `sent facts ⊆ committed rows`. A message to another object is a row written in the same
//! synchronous step as the record it speaks of; the host sends it after the commit and the row goes
//! when the receiver has answered, so a fact is delivered at least once whatever is evicted in between.
//! The receiver applies it at most once ([`Cx::is_first_sight`]).
//!
//! In scope: ordering, the outbox, the alarm. Out of scope: what any object decides.

use tidegate_domain::time::{Span, Timestamp};

use crate::bindings::ObjectName;
use crate::json::without_values;
pub use crate::json::{decode, encode};
use crate::ports::{Entropy, Sql, StoreError, Value};
use crate::turn::{Effect, EffectId, Outcome, Reply, Ticket, Turn};

/// First pause before an undelivered message is sent again; doubles up to [`RESEND_CAP`].
const RESEND_BASE: Span = Span::from_secs(2);
/// Longest pause between two attempts. Undelivered facts are never dropped.
const RESEND_CAP: Span = Span::from_secs(60);
/// An alarm that should have rung this long ago is taken for lost and set again. Platforms ring within
/// seconds; after a handler has failed often enough some never ring again.
const ALARM_GRACE: Span = Span::from_secs(10);
/// A moment that an alarm may ring too early without being moved back for it.
const EARLY: Span = Span::from_secs(5);
/// How long a sender may take to deliver one event again. Event ids are forgotten after this: the
/// longest outage that at-most-once survives.
const REMEMBER_EVENTS: Span = Span::from_secs(7 * 24 * 3600);

/// Why a turn ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TurnError {
    /// The store failed: nothing of this turn may be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The message is not one that this object knows.
    #[error(
        "{object} does not understand the message: {reason}; caller and object are of different releases"
    )]
    Message {
        /// Which object.
        object: String,
        /// Why not.
        reason: String,
    },
}

impl TurnError {
    /// The message is not one that this object, `object`, can read.
    pub fn message(object: &ObjectName, error: &serde_json::Error) -> Self {
        Self::Message {
            object: object.to_string(),
            reason: without_values(error),
        }
    }
}

/// What an object sees during a turn.
pub struct Cx<'a> {
    /// Storage.
    pub sql: &'a dyn Sql,
    /// Unpredictable bytes.
    pub entropy: &'a dyn Entropy,
    /// The turn's time.
    pub now: Timestamp,
    /// The object's own name.
    pub name: &'a ObjectName,
    effects: Vec<Effect>,
    next_id: &'a mut u64,
    touched_outbox: bool,
}

impl Cx<'_> {
    /// Adds an effect to the turn.
    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// A fresh number for an effect or a ticket, unique while the object stays in memory.
    pub fn fresh_id(&mut self) -> u64 {
        *self.next_id += 1;
        *self.next_id
    }

    /// Sends a fact to another object: at least once, starting after this turn's commit.
    ///
    /// # Errors
    /// When the row cannot be written.
    pub fn send(
        &mut self,
        to: ObjectName,
        message: &impl serde::Serialize,
    ) -> Result<(), StoreError> {
        let message = encode("outbox message", message)?;
        let rows = self.sql.exec(
            "INSERT INTO outbox (recipient, message, attempts, due_at_ms) VALUES (?, ?, 0, ?) RETURNING id",
            &[Value::from(to.to_string()), Value::from(message.as_str()), Value::from((self.now + RESEND_BASE).as_ms())],
        )?;
        let id = rows
            .first()
            .and_then(|row| row.first())
            .and_then(Value::as_integer)
            .unwrap_or_default();
        self.touched_outbox = true;
        self.effects.push(Effect::Send {
            id: outbox_effect(id),
            to,
            message,
        });
        Ok(())
    }

    /// Takes back what was sent and is not known to have arrived: for an object that is no more, whose
    /// facts nobody wants and whose rows nothing would wake it for, should its alarm get lost.
    ///
    /// # Errors
    /// When the rows cannot be deleted.
    pub fn recall(&mut self) -> Result<(), StoreError> {
        self.sql.exec("DELETE FROM outbox", &[])?;
        self.touched_outbox = true;
        Ok(())
    }

    /// Whether something that was sent is not known to have arrived.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn is_owing(&self) -> Result<bool, StoreError> {
        let rows = self.sql.exec("SELECT 1 FROM outbox LIMIT 1", &[])?;
        Ok(!rows.is_empty())
    }

    /// Nudges another object once, without a row and without a repetition: for calls that carry no fact
    /// and come again by themselves (a minute's poke). Such a call through the outbox would cost two
    /// written rows, and would pile up while its receiver cannot answer.
    ///
    /// # Errors
    /// When the message cannot be written as JSON.
    pub fn poke(
        &mut self,
        to: ObjectName,
        message: &impl serde::Serialize,
    ) -> Result<(), StoreError> {
        let message = encode("poke", message)?;
        let id = memory_effect(self.fresh_id());
        self.effects.push(Effect::Send { id, to, message });
        Ok(())
    }

    /// Whether this event was not applied before; remembers it in the same write.
    ///
    /// # Errors
    /// When the row cannot be written.
    pub fn is_first_sight(&mut self, event_id: &str) -> Result<bool, StoreError> {
        let rows = self.sql.exec(
            "INSERT INTO applied (event_id, at_ms) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING 1",
            &[Value::from(event_id), Value::from(self.now.as_ms())],
        )?;
        Ok(!rows.is_empty())
    }
}

/// An object: a record, its rules and its messages.
pub trait Object: Sized {
    /// The statements that make its tables, each harmless when repeated.
    const SCHEMA: &'static [&'static str];

    /// Loads the record.
    ///
    /// # Errors
    /// When it cannot be read.
    fn open(cx: &mut Cx<'_>) -> Result<Self, StoreError>;

    /// Answers one message.
    ///
    /// # Errors
    /// When the store fails or the message is unknown.
    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError>;

    /// Runs whatever is due. Calls that come early, late or twice do no harm.
    ///
    /// # Errors
    /// When the store fails.
    fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError>;

    /// Takes the result of an effect that this object asked for (outbox deliveries also come here,
    /// after the driver has settled the row).
    ///
    /// # Errors
    /// When the store fails.
    fn done(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), TurnError>;

    /// The moment that an [`Effect::Soon`] asked for has come.
    ///
    /// # Errors
    /// When the store fails.
    fn soon(&mut self, _: &mut Cx<'_>) -> Result<(), TurnError> {
        Ok(())
    }

    /// The earliest moment at which [`Object::alarm`] has something to do.
    fn next_alarm(&self) -> Option<Timestamp>;
}

const OUTBOX_SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, recipient TEXT NOT NULL, \
     message TEXT NOT NULL, attempts INTEGER NOT NULL, due_at_ms INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS applied (event_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID",
];

/// Outbox rows and in-memory effects share one number space: rows are even, the rest odd.
fn outbox_effect(row: i64) -> EffectId {
    u64::try_from(row).unwrap_or_default() * 2
}

/// Turns an in-memory number into an effect id that no outbox row can have.
pub fn memory_effect(id: u64) -> EffectId {
    id * 2 + 1
}

/// One object in memory, with its name and its alarm.
pub struct Driver<O> {
    object: O,
    name: ObjectName,
    next_id: u64,
    armed: Option<Timestamp>,
    outbox_due: Option<Timestamp>,
}

/// Where a turn may move the alarm.
#[derive(Clone, Copy)]
enum Rearm {
    Forward,
    Both,
}

/// The ports of one turn.
pub struct Host<'a> {
    /// Storage.
    pub sql: &'a dyn Sql,
    /// Unpredictable bytes.
    pub entropy: &'a dyn Entropy,
    /// The time.
    pub now: Timestamp,
}

impl<O: Object> Driver<O> {
    /// Loads an object. Must run inside the same transaction as the first turn.
    ///
    /// # Errors
    /// When its tables or record cannot be read.
    pub fn open(host: &Host<'_>, name: ObjectName) -> Result<Self, StoreError> {
        for statement in OUTBOX_SCHEMA.iter().chain(O::SCHEMA) {
            host.sql.exec(statement, &[])?;
        }
        // Numbers of a driver that was dropped must not come back: a late result of its effects would be
        // taken for another's. A hundred a millisecond are more than any object uses.
        let mut next_id = u64::try_from(host.now.as_ms())
            .unwrap_or_default()
            .saturating_mul(100);
        let mut cx = context(host, &name, &mut next_id);
        let object = O::open(&mut cx)?;
        let outbox_due = earliest_due(host.sql)?;
        Ok(Self {
            object,
            name,
            next_id,
            armed: None,
            outbox_due,
        })
    }

    /// Answers a message.
    ///
    /// # Errors
    /// When the turn must be rolled back: the host then drops this driver and opens it anew.
    pub fn call(&mut self, host: &Host<'_>, message: &str) -> Result<Turn, TurnError> {
        self.turn(host, Rearm::Forward, |object, cx| {
            object.call(cx, message).map(Some)
        })
    }

    /// The alarm rang: whatever is due runs, undelivered facts are sent again.
    ///
    /// # Errors
    /// When the turn must be rolled back.
    pub fn alarm(&mut self, host: &Host<'_>) -> Result<Turn, TurnError> {
        self.armed = None;
        self.turn(host, Rearm::Forward, |object, cx| {
            resend_due(cx)?;
            object.alarm(cx)?;
            Ok(None)
        })
    }

    /// An effect ended.
    ///
    /// # Errors
    /// When the turn must be rolled back.
    pub fn done(
        &mut self,
        host: &Host<'_>,
        id: EffectId,
        outcome: Outcome,
    ) -> Result<Turn, TurnError> {
        self.turn(host, Rearm::Both, |object, cx| {
            if id.is_multiple_of(2) {
                settle_row(cx, id / 2, &outcome)?;
            }
            object.done(cx, id, outcome)?;
            Ok(None)
        })
    }

    /// The object itself, for tests that compare what it holds with what they have seen.
    #[cfg(feature = "testkit")]
    pub const fn object(&self) -> &O {
        &self.object
    }

    /// The moment of an [`Effect::Soon`] has come.
    ///
    /// # Errors
    /// When the turn must be rolled back.
    pub fn soon(&mut self, host: &Host<'_>) -> Result<Turn, TurnError> {
        self.turn(host, Rearm::Forward, |object, cx| {
            object.soon(cx).map(|()| None)
        })
    }

    fn turn(
        &mut self,
        host: &Host<'_>,
        rearm: Rearm,
        run: impl FnOnce(&mut O, &mut Cx<'_>) -> Result<Option<Reply>, TurnError>,
    ) -> Result<Turn, TurnError> {
        let mut cx = context(host, &self.name, &mut self.next_id);
        let reply = run(&mut self.object, &mut cx)?;
        let effects = cx.effects;
        if cx.touched_outbox {
            self.outbox_due = earliest_due(host.sql)?;
        }
        let alarm_at_ms = self.rearm(host.now, rearm);
        Ok(Turn {
            reply,
            effects,
            alarm_at_ms,
        })
    }

    /// An alarm that rings too early is harmless, and each change of it is a billed row: so calls only
    /// move it forward, or set it when none is known to be under way. The end of an effect also moves it
    /// back: the alarm that watched over the effect would wake the object for nothing, and set the next
    /// one, which is a row as well.
    fn rearm(&mut self, now: Timestamp, rearm: Rearm) -> Option<i64> {
        let wanted = [self.object.next_alarm(), self.outbox_due]
            .into_iter()
            .flatten()
            .min()?;
        let soonest = wanted.max(now);
        let is_under_way = |armed: Timestamp| {
            let is_kept = match rearm {
                Rearm::Forward => true,
                Rearm::Both => armed.until(soonest) <= EARLY,
            };
            armed <= soonest && is_kept && armed.until(now) <= ALARM_GRACE
        };
        if self.armed.is_some_and(is_under_way) {
            return None;
        }
        self.armed = Some(soonest);
        Some(soonest.as_ms())
    }
}

fn context<'a>(host: &Host<'a>, name: &'a ObjectName, next_id: &'a mut u64) -> Cx<'a> {
    Cx {
        sql: host.sql,
        entropy: host.entropy,
        now: host.now,
        name,
        effects: Vec::new(),
        next_id,
        touched_outbox: false,
    }
}

fn earliest_due(sql: &dyn Sql) -> Result<Option<Timestamp>, StoreError> {
    let rows = sql.exec("SELECT MIN(due_at_ms) FROM outbox", &[])?;
    Ok(rows
        .first()
        .and_then(|row| row.first())
        .and_then(Value::as_integer)
        .map(Timestamp::from_ms))
}

/// Sends what is due again. The next attempt is scheduled before this one is known to have failed, so
/// that an eviction in the middle costs a repetition and never the message.
fn resend_due(cx: &mut Cx<'_>) -> Result<(), StoreError> {
    let rows = cx.sql.exec(
        "SELECT id, recipient, message, attempts FROM outbox WHERE due_at_ms <= ? ORDER BY id LIMIT 100",
        &[Value::from(cx.now.as_ms())],
    )?;
    for row in rows {
        let [id, recipient, message, attempts] = row.as_slice() else {
            continue;
        };
        let (Some(id), Some(attempts)) = (id.as_integer(), attempts.as_integer()) else {
            continue;
        };
        let pause = resend_pause(attempts + 1);
        cx.sql.exec(
            "UPDATE outbox SET attempts = attempts + 1, due_at_ms = ? WHERE id = ?",
            &[Value::from((cx.now + pause).as_ms()), Value::from(id)],
        )?;
        // After the update: a row that only another release can address must not be due all the time.
        let Some(to) = recipient.as_text().and_then(ObjectName::parse) else {
            continue;
        };
        let message = message.as_text().unwrap_or_default().to_owned();
        cx.effects.push(Effect::Send {
            id: outbox_effect(id),
            to,
            message,
        });
    }
    cx.sql.exec(
        "DELETE FROM applied WHERE at_ms < ?",
        &[Value::from((cx.now - REMEMBER_EVENTS).as_ms())],
    )?;
    cx.touched_outbox = true;
    Ok(())
}

fn settle_row(cx: &mut Cx<'_>, row: u64, outcome: &Outcome) -> Result<(), StoreError> {
    let row = i64::try_from(row).unwrap_or_default();
    if matches!(outcome, Outcome::Delivered { .. }) {
        cx.sql
            .exec("DELETE FROM outbox WHERE id = ?", &[Value::from(row)])?;
        cx.touched_outbox = true;
    }
    // A failed delivery keeps its row; its next attempt was scheduled when it was sent.
    Ok(())
}

fn resend_pause(attempts: i64) -> Span {
    let doublings = u32::try_from(attempts.clamp(0, 10)).unwrap_or(10);
    let pause = RESEND_BASE.times(1i64 << doublings);
    pause.min(RESEND_CAP)
}

/// A ticket for an answer that comes later.
pub fn ticket(cx: &mut Cx<'_>) -> Ticket {
    cx.fresh_id()
}

#[cfg(test)]
mod tests;
