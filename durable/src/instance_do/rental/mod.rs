//! A rented GPU, around its machine in `tidegate_domain::lifecycle`.
//!
//! It shares its object with the server that runs on it, because both decide on the same facts: who uses it
//! now says when it idles, and its life says whether it may be used. The fleet puts the server into rotation
//! and takes it out again, by what is announced here.
//!
//! Invariant: what account, ledger, fleet and journal are told is a row in the outbox, written with the
//! record that it follows from. What the ledger and the vendor are *asked* is not: those questions have timers.
//!
//! In scope: storing, messages, events for people. Out of scope: every decision.

mod facts;
mod messages;
mod notes;
mod shares;
mod terms;
mod view;
mod warm;

pub(super) use notes::page;

use tidegate_domain::lifecycle::{
    Admission, Command, Effect, Event, Lifecycle, Says, State, Usage,
};
use tidegate_domain::time::Timestamp;

use super::Instance;
use crate::bindings::instance::Done;
use crate::bindings::journal::AuditEntry;
use crate::bindings::rental::{
    CallHome, CallHomeAnswer, Launch, MachineSays, RentalAnswer, RentalVerb, VendorFact,
};
use crate::driver::{Cx, TurnError, decode, encode};
use crate::ports::{StoreError, Value};
use crate::records::columns::text;
use crate::records::rental::{LifeRow, LifecycleRow};
use crate::turn::{EffectId, Outcome, Reply};

/// What a machine is told to wait between two calls.
const HEARTBEAT_MS: u64 = 15_000;

/// A rented GPU in memory.
pub(super) struct Rental {
    launch: Launch,
    life: Lifecycle,
    row: LifeRow,
    /// The warm-up step that is under way.
    warming: Option<warm::Trial>,
    shares: shares::Shares,
    /// What this turn has to report; empty between turns.
    audits: Vec<AuditEntry>,
    due: Due,
}

/// What is done once at the end of a turn.
#[derive(Default)]
struct Due {
    save: bool,
    announce: bool,
}

impl Rental {
    /// Reads what is stored, if anything was ever rented here.
    pub(super) fn load(cx: &Cx<'_>) -> Result<Option<Self>, StoreError> {
        let rows = cx.sql.exec("SELECT json FROM rental ORDER BY id", &[])?;
        let [launch, life] = rows.as_slice() else {
            return Ok(None);
        };
        let launch: Launch = decode("launch", text("launch", launch, 0)?)?;
        let row: LifeRow = decode("rental", text("rental", life, 0)?)?;
        let life = Lifecycle::restore(
            terms::of(&launch),
            terms::ends(&launch),
            launch.runtime.preload.is_some(),
            row.life.clone().into_domain(),
            cx.now,
        );
        let shares = shares::Shares::restore(row.shares.clone());
        Ok(Some(Self {
            launch,
            life,
            row,
            warming: None,
            shares,
            audits: Vec::new(),
            due: Due::default(),
        }))
    }

    /// When its alarm is due.
    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        let shares = self.shares.due();
        self.life.poll_timeout().into_iter().chain(shares).min()
    }

    /// Its life, for tests that compare it with what they have seen.
    #[cfg(feature = "testkit")]
    pub(super) const fn life(&self) -> &Lifecycle {
        &self.life
    }

    fn save(&mut self, cx: &Cx<'_>) -> Result<(), StoreError> {
        self.row.life = LifecycleRow::from_domain(self.life.record());
        let json = encode("rental", &self.row)?;
        cx.sql.exec(
            "INSERT OR REPLACE INTO rental (id, json) VALUES (2, ?)",
            &[Value::from(json)],
        )?;
        Ok(())
    }
}

impl Instance {
    /// Rents. The same launch again is the same rental.
    pub(super) fn launch(&mut self, cx: &mut Cx<'_>, launch: Launch) -> Result<Reply, TurnError> {
        if self.rental.is_none() {
            let json = encode("launch", &launch)?;
            cx.sql.exec(
                "INSERT OR REPLACE INTO rental (id, json) VALUES (1, ?)",
                &[Value::from(json)],
            )?;
            let preloads = launch.runtime.preload.is_some();
            let (life, effects) =
                Lifecycle::launch(terms::of(&launch), terms::ends(&launch), preloads, cx.now);
            self.rental = Some(Rental {
                launch,
                life,
                row: LifeRow::default(),
                warming: None,
                shares: shares::Shares::default(),
                audits: Vec::new(),
                due: Due::default(),
            });
            self.perform(cx, effects)?;
        }
        acknowledged()
    }

    pub(super) fn command(
        &mut self,
        cx: &mut Cx<'_>,
        verb: RentalVerb,
        actor: &str,
    ) -> Result<Reply, TurnError> {
        let command = match verb {
            RentalVerb::Start => Command::Start,
            RentalVerb::Stop => Command::Stop,
            RentalVerb::Drain => Command::Drain,
            RentalVerb::Resume => Command::Resume,
            RentalVerb::Terminate => Command::Terminate,
        };
        let Some(rental) = &mut self.rental else {
            return answer(&RentalAnswer::NotFound);
        };
        let admission = rental.life.admit(command);
        if admission == Ok(Admission::Accepted) {
            let asked = format!("{}_asked", notes::verb_name(verb));
            rental.note(cx, actor, &asked, String::new())?;
            self.live(cx, Event::Commanded(command))?;
            self.settle_rental(cx)?;
        }
        let shown = self.rental.as_ref().map(|rental| rental.view(cx.now));
        let rental = Box::new(shown.unwrap_or_default());
        answer(&match admission {
            Ok(Admission::Accepted) => RentalAnswer::Accepted { rental },
            Ok(Admission::AlreadySo) => RentalAnswer::AlreadySo { rental },
            Err(denied) => RentalAnswer::Refused {
                reason: denied.to_string(),
                rental,
            },
        })
    }

    pub(super) fn learn(
        &mut self,
        cx: &mut Cx<'_>,
        attempt: u32,
        at_ms: i64,
        fact: VendorFact,
    ) -> Result<Reply, TurnError> {
        if let Some(rental) = &mut self.rental {
            rental.remember(cx, attempt, &fact)?;
            let beside = rental.beside(attempt);
            if let Some(fact) = facts::of(fact, at_ms, beside) {
                let at = Timestamp::from_ms(at_ms);
                self.live(cx, Event::Heard { attempt, at, fact })?;
            }
        }
        acknowledged()
    }

    pub(super) fn call_home(
        &mut self,
        cx: &mut Cx<'_>,
        call: CallHome,
    ) -> Result<Reply, TurnError> {
        let Some(rental) = self
            .rental
            .as_mut()
            .filter(|rental| rental.life.attempt() == call.attempt && rental.life.hears_calls())
        else {
            return answer(&CallHomeAnswer::NotExpected);
        };
        match &rental.row.nonce {
            Some(bound) if *bound != call.nonce => {
                let what = "boot_token_copied";
                rental.note_own(cx, what, "another machine showed its boot token".to_owned())?;
                return answer(&CallHomeAnswer::OtherMachine);
            }
            Some(_) => {}
            None => {
                rental.row.nonce = Some(call.nonce);
                rental.due.save = true;
            }
        }
        let says = match call.says {
            MachineSays::Booted => Says::Booted,
            MachineSays::Alive => Says::Alive,
            MachineSays::Preempting => Says::Preempting,
        };
        let attempt = call.attempt;
        self.live(cx, Event::Called { attempt, says })?;
        answer(&CallHomeAnswer::Heard {
            heartbeat_ms: HEARTBEAT_MS,
        })
    }

    pub(super) fn show_rental(&self, now: Timestamp) -> Result<Reply, TurnError> {
        answer(&match &self.rental {
            Some(rental) => RentalAnswer::AlreadySo {
                rental: Box::new(rental.view(now)),
            },
            None => RentalAnswer::NotFound,
        })
    }

    /// An effect of the rental ended; hands back what was none of its.
    pub(super) fn rental_done(
        &mut self,
        cx: &mut Cx<'_>,
        id: EffectId,
        outcome: Outcome,
    ) -> Result<Option<Outcome>, TurnError> {
        let Some(rental) = &mut self.rental else {
            return Ok(Some(outcome));
        };
        if let Some((step, ok)) = rental.tried(cx, id, &outcome) {
            if let Some(ok) = ok {
                self.live(cx, Event::Warmed { step, ok })?;
            }
            return Ok(None);
        }
        let Some(event) = messages::advance_answer(&outcome, rental) else {
            return Ok(Some(outcome));
        };
        self.live(cx, event)?;
        Ok(None)
    }

    /// Time passed.
    pub(super) fn rental_alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        self.live(cx, Event::Tick)
    }

    /// The end of every turn: who uses the server now is told to its life, and what came of the turn is stored
    /// and sent.
    pub(super) fn finish_rental(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        self.tell_usage(cx)?;
        self.settle_rental(cx)
    }

    /// Its life keeps in memory alone who uses the server.
    fn tell_usage(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        let usage = self.usage(cx.now);
        let Some(rental) = &mut self.rental else {
            return Ok(());
        };
        if rental.life.usage() == usage {
            return Ok(());
        }
        let effects = rental.life.handle(cx.now, Event::Used(usage));
        self.perform(cx, effects)
    }

    fn usage(&self, now: Timestamp) -> Usage {
        let busy = self.machine.as_ref().map_or(0, |machine| {
            let load = machine.load(now);
            load.running.saturating_add(load.queued)
        });
        Usage {
            busy,
            last: self.behind.active_at(),
        }
    }

    fn settle_rental(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        let Some(rental) = &mut self.rental else {
            return Ok(());
        };
        rental.state_shares(cx)?;
        let Due { save, announce } = std::mem::take(&mut rental.due);
        if announce {
            rental.announce(cx)?;
        }
        rental.send_audits(cx)?;
        // Also what the two above asked for.
        let saves_now = std::mem::take(&mut rental.due).save;
        if save || announce || saves_now {
            rental.save(cx)?;
        }
        Ok(())
    }

    /// Hands an event to the life and does what it asks for. Who uses the server comes first: every event runs
    /// what is due, and one that has lost its memory would idle out, or cut off what runs.
    fn live(&mut self, cx: &mut Cx<'_>, event: Event) -> Result<(), TurnError> {
        self.tell_usage(cx)?;
        let Some(rental) = &mut self.rental else {
            return Ok(());
        };
        let effects = rental.life.handle(cx.now, event);
        self.perform(cx, effects)
    }

    fn perform(&mut self, cx: &mut Cx<'_>, effects: Vec<Effect>) -> Result<(), TurnError> {
        for effect in effects {
            match effect {
                Effect::Drain => {
                    self.note(cx, tidegate_domain::instance::Event::DrainRequested)?;
                }
                Effect::Undrain => {
                    self.note(cx, tidegate_domain::instance::Event::Undrained)?;
                }
                other => {
                    if let Some(rental) = &mut self.rental {
                        rental.run(cx, other)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Rental {
    fn run(&mut self, cx: &mut Cx<'_>, effect: Effect) -> Result<(), StoreError> {
        match effect {
            Effect::Rent { attempt, candidate } => self.rent(cx, attempt, candidate)?,
            Effect::Withdraw { attempt } => self.withdraw(cx, attempt)?,
            Effect::Act {
                attempt,
                action,
                number,
            } => self.act(cx, attempt, action, number)?,
            Effect::Look { attempt } => self.look(cx, attempt)?,
            Effect::Abandon { attempt } => self.abandon(cx, attempt)?,
            Effect::AskBill { attempt } => self.ask_bill(cx, attempt)?,
            Effect::AskAdvance {
                number,
                microusd_per_hour,
                hold,
            } => self.ask_advance(cx, number, microusd_per_hour, hold)?,
            Effect::Warm(step) => self.warm(cx, step),
            Effect::StateWindow { attempt } => self.state_window(cx, attempt)?,
            Effect::Announce => self.due.announce = true,
            Effect::Note { what, cause } => self.note_machine(cx, what, cause)?,
            Effect::RecordChanged => self.due.save = true,
            // The object's own, before it comes here.
            Effect::Drain | Effect::Undrain => {}
        }
        Ok(())
    }

    /// Whether it takes no new requests because its life says so.
    pub(super) const fn is_draining(&self) -> bool {
        matches!(self.life.state(), State::Draining(_))
    }

    /// Whether requests may be sent to it, as far as its life says.
    const fn is_in_rotation(&self) -> bool {
        matches!(self.life.state(), State::Ready | State::Draining(_))
    }
}

fn acknowledged() -> Result<Reply, TurnError> {
    Ok(Reply::Now(encode("acknowledgement", &Done {})?))
}

fn answer(answer: &impl serde::Serialize) -> Result<Reply, TurnError> {
    Ok(Reply::Now(encode("rental answer", answer)?))
}
