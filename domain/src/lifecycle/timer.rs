//! Everything that ends, wakes or reminds a rental by itself, as one table.
//!
//! Invariant: the table is a function of the record, so nothing that is due can be forgotten with the object's
//! memory; a timer that is run puts itself off or leaves its state, so the table is never due for ever.

use super::state::{State, Then, Told};
use super::{Cause, Effect, Lifecycle};
use crate::time::{Span, Timestamp};

/// A machine that calls every 15 seconds has missed three calls by then.
pub(super) const HEARTBEAT_LOST: Span = Span::from_secs(45);
/// A machine that was given back and is still there after this is somebody's business.
const ALERT_AFTER: Span = Span::from_secs(15 * 60);
/// Nothing is sent before the ledger has answered; an answer that takes longer than this never comes.
const MONEY_TIMEOUT: Span = Span::from_secs(10 * 60);

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The ledger is asked for the next advance.
    Advance,
    /// The time that is paid for runs out.
    AdvanceEnd,
    /// It has not come up.
    Startup,
    /// The vendor is asked for it.
    Look,
    /// A warm-up step is tried again.
    Warm,
    /// It idles.
    Idle,
    /// It has lived long enough.
    MaxLifetime,
    /// Its reservation ends.
    ReservationEnd,
    /// A stop window begins.
    StopWindow,
    /// It has not called.
    Heartbeat,
    /// Running requests have had their time.
    DrainEnd,
    /// It is still there.
    Alert,
    /// The vendor is asked what it cost.
    Bill,
}

impl Timer {
    /// Its name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Advance => "advance",
            Self::AdvanceEnd => "advance_end",
            Self::Startup => "startup_timeout",
            Self::Look => "look",
            Self::Warm => "warm_up",
            Self::Idle => "idle_timeout",
            Self::MaxLifetime => "max_lifetime",
            Self::ReservationEnd => "reservation_end",
            Self::StopWindow => "stop_window",
            Self::Heartbeat => "heartbeat",
            Self::DrainEnd => "drain_end",
            Self::Alert => "alert",
            Self::Bill => "bill",
        }
    }
}

impl Lifecycle {
    /// Every timer that runs, and when it is due.
    pub fn timers(&self) -> Vec<(Timer, Timestamp)> {
        [
            (Timer::AdvanceEnd, self.advance_ends()),
            (Timer::MaxLifetime, self.lifetime_ends()),
            (Timer::ReservationEnd, self.reservation_ends()),
            (Timer::StopWindow, self.stop_window_begins()),
            (Timer::Idle, self.idle_ends()),
            (Timer::Startup, self.startup_ends()),
            (Timer::DrainEnd, self.drain_ends()),
            (Timer::Advance, self.advance_due()),
            (Timer::Heartbeat, self.heartbeat_due()),
            (Timer::Alert, self.alert_due()),
            (Timer::Look, self.record.next_look),
            (Timer::Warm, self.record.next_warm),
            (Timer::Bill, self.record.next_bill),
        ]
        .into_iter()
        .filter_map(|(timer, due)| Some((timer, due?)))
        .collect()
    }

    /// When to hand in [`super::Event::Tick`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers().into_iter().map(|(_, due)| due).min()
    }

    pub(super) fn run_timers(&mut self, effects: &mut Vec<Effect>) {
        // Each is looked at anew: one that runs may leave the state that another belongs to.
        for timer in [
            Timer::AdvanceEnd,
            Timer::MaxLifetime,
            Timer::ReservationEnd,
            Timer::StopWindow,
            Timer::Idle,
            Timer::Startup,
            Timer::Advance,
            Timer::Heartbeat,
            Timer::Alert,
            Timer::Look,
            Timer::Warm,
            Timer::Bill,
        ] {
            let is_due = self
                .timers()
                .into_iter()
                .any(|(each, due)| each == timer && due <= self.now);
            if is_due {
                self.run(timer, effects);
            }
        }
    }

    fn run(&mut self, timer: Timer, effects: &mut Vec<Effect>) {
        match timer {
            Timer::Advance => self.ask_advance(effects),
            Timer::AdvanceEnd => self.advance_ended(effects),
            Timer::Startup => match self.record.state {
                State::Starting(_) => self.stop(Cause::StartupTimeout, effects),
                State::Requested => self.give_up(Cause::LedgerSilent, effects),
                _ => self.end(Cause::StartupTimeout, effects),
            },
            Timer::Look => self.look(effects),
            Timer::Warm => self.warm_again(effects),
            Timer::Idle if self.ends.idle_stops => self.stop(Cause::Idle, effects),
            Timer::Idle => self.end(Cause::Idle, effects),
            Timer::MaxLifetime => self.end(Cause::MaxLifetime, effects),
            Timer::ReservationEnd => self.end(Cause::ReservationEnd, effects),
            Timer::StopWindow => self.stop(Cause::StopWindow, effects),
            Timer::Heartbeat => self.silent(effects),
            Timer::Alert => self.alert(effects),
            Timer::Bill => self.ask_bill(effects),
            // Run by `settle_drain`, which also goes on when nothing runs any more.
            Timer::DrainEnd => {}
        }
    }

    /// Whether it is still to be told to end.
    const fn can_be_ended(&self) -> bool {
        match self.record.state {
            State::Terminating
            | State::Terminated
            | State::Failed
            | State::Lost
            | State::Draining(Then::Terminate) => false,
            State::Requested
            | State::Provisioning(_)
            | State::Booting
            | State::Warming(_)
            | State::Ready
            | State::ReadyUnreachable
            | State::Draining(Then::Stay | Then::Stop)
            | State::Stopping
            | State::Stopped
            | State::Starting(_) => self.record.wish.is_none(),
        }
    }

    fn lifetime_ends(&self) -> Option<Timestamp> {
        let sent = self.current()?.sent_at?;
        self.can_be_ended().then(|| sent + self.ends.max_lifetime)
    }

    fn reservation_ends(&self) -> Option<Timestamp> {
        self.ends.until.filter(|_| self.can_be_ended())
    }

    fn stop_window_begins(&self) -> Option<Timestamp> {
        let may_be_stopped = matches!(
            self.record.state,
            State::Booting
                | State::Warming(_)
                | State::Ready
                | State::ReadyUnreachable
                | State::Draining(Then::Stay)
                | State::Starting(_)
        );
        let windows = self.ends.stop_windows.iter();
        windows
            .map(|window| window.next(self.now))
            .min()
            .filter(|_| may_be_stopped)
    }

    fn idle_ends(&self) -> Option<Timestamp> {
        let idle = self.ends.idle?;
        let ready = self.record.ready_since?;
        let since = self.usage.last.map_or(ready, |last| last.max(ready));
        let can_idle = matches!(self.record.state, State::Ready | State::ReadyUnreachable);
        (can_idle && self.usage.busy == 0).then(|| since + idle)
    }

    fn startup_ends(&self) -> Option<Timestamp> {
        let begun = self.record.up_since;
        match self.record.state {
            State::Requested => Some(self.record.since + MONEY_TIMEOUT),
            State::Provisioning(_) if self.record.wish.is_some() => None,
            State::Provisioning(_) | State::Booting | State::Warming(_) => {
                let from = self.current().and_then(|attempt| attempt.sent_at);
                Some(from.unwrap_or(begun).max(begun) + self.term().startup)
            }
            State::Starting(Told::NotYet | Told::Yes) => Some(begun + self.term().startup),
            State::Ready
            | State::ReadyUnreachable
            | State::Draining(_)
            | State::Stopping
            | State::Stopped
            | State::Terminating
            | State::Terminated
            | State::Failed
            | State::Lost => None,
        }
    }

    fn heartbeat_due(&self) -> Option<Timestamp> {
        let called = self.record.called_at?;
        let is_up = matches!(
            self.record.state,
            State::Ready | State::ReadyUnreachable | State::Draining(_)
        );
        // Once it is suspect the looks remind.
        (is_up && !self.record.suspect).then(|| called + HEARTBEAT_LOST)
    }

    fn alert_due(&self) -> Option<Timestamp> {
        let is_waiting = self.record.state == State::Terminating && !self.record.is_alerted;
        is_waiting.then(|| self.record.since + ALERT_AFTER)
    }
}
