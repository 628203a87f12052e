//! Stories of rentals, with a fake clock: facts in, the exact effects out, then nothing more to do.

mod ambiguity;
mod endings;
mod exhaustive;
mod money;
mod properties;
mod stories;

use super::*;
use crate::ids::MachineId;
use crate::time::{Span, Timestamp};

pub(super) const START: Timestamp = Timestamp::from_ms(1_800_000_000_000);
const MINUTE: Span = Span::from_secs(60);

/// RunPod's numbers, nearly: public, no idempotency, can be stopped.
pub(super) const PUBLIC: Terms = Terms {
    account: 1,
    microusd_per_hour: 360_000,
    stopped_microusd_per_hour: 3_600,
    gpus: 1,
    is_public: true,
    calls_home: false,
    can_stop: true,
    bills: true,
    is_idempotent: false,
    list_lag: Span::from_secs(600),
    startup: Span::from_secs(1_200),
    stop_lead: Span::from_secs(60),
    billing_minimum: Span::from_secs(1),
};

pub(super) fn ends() -> Ends {
    Ends {
        idle: Some(Span::from_secs(300)),
        idle_stops: false,
        max_lifetime: Span::from_secs(12 * 3600),
        until: None,
        stop_windows: Vec::new(),
    }
}

/// A rental and its clock.
pub(super) struct World {
    pub(super) rental: Lifecycle,
    pub(super) now: Timestamp,
    /// Effects of the launch.
    pub(super) first: Vec<Effect>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(vec![PUBLIC], ends())
    }

    pub(super) fn with(terms: Vec<Terms>, ends: Ends) -> Self {
        let (rental, first) = Lifecycle::launch(terms, ends, false, START);
        Self {
            rental,
            now: START,
            first,
        }
    }

    pub(super) fn copy(&self) -> Self {
        Self {
            rental: self.rental.clone(),
            now: self.now,
            first: Vec::new(),
        }
    }

    pub(super) fn wait(&mut self, span: Span) -> Vec<Effect> {
        self.now = self.now + span;
        self.tick()
    }

    pub(super) fn tick(&mut self) -> Vec<Effect> {
        self.handle(Event::Tick)
    }

    pub(super) fn handle(&mut self, event: Event) -> Vec<Effect> {
        self.rental.handle(self.now, event)
    }

    pub(super) fn hear(&mut self, fact: Fact) -> Vec<Effect> {
        let attempt = self.rental.attempt();
        self.hear_of(attempt, fact)
    }

    pub(super) fn hear_of(&mut self, attempt: u32, fact: Fact) -> Vec<Effect> {
        let at = self.now;
        self.handle(Event::Heard { attempt, at, fact })
    }

    pub(super) fn see(&mut self, seen: Seen) -> Vec<Effect> {
        let sighting = self.sighting(seen);
        self.hear(Fact::Seen(sighting))
    }

    pub(super) fn sighting(&self, seen: Seen) -> Sighting {
        let billing = match seen {
            Seen::Stopped => Billing::Disk,
            Seen::Terminated => Billing::None,
            _ => Billing::Full,
        };
        Sighting {
            machine: MachineId::new(format!("pod-{}", self.rental.attempt())),
            at: self.now,
            seen,
            ended_by: None,
            gpus: Some(1),
            billing,
            microusd_per_hour: (seen == Seen::Running).then_some(360_000),
            billed_from: None,
            billed_until: None,
        }
    }

    /// The ledger says yes for as long as it was asked.
    pub(super) fn pay(&mut self, effects: &[Effect]) -> Vec<Effect> {
        let asked = effects.iter().find_map(|effect| match effect {
            Effect::AskAdvance { number, hold, .. } => Some((*number, *hold)),
            _ => None,
        });
        let (number, hold) = asked.expect("an advance was asked for");
        let until = self.now + hold;
        self.handle(Event::Advanced { number, until })
    }

    /// Up to the vendor's answer to "create".
    pub(super) fn created() -> Self {
        let mut world = Self::new();
        let first = world.first.clone();
        world.pay(&first);
        world.hear(Fact::CreateSent);
        world.see(Seen::Pending);
        world
    }

    /// Up to the first request that it could serve.
    pub(super) fn serving() -> Self {
        Self::created().into_serving()
    }

    pub(super) fn into_serving(mut self) -> Self {
        self.see(Seen::Running);
        self.warmed(WarmStep::Health);
        self.warmed(WarmStep::Token);
        assert_eq!(self.rental.state(), State::Ready);
        self
    }

    pub(super) fn warmed(&mut self, step: WarmStep) -> Vec<Effect> {
        self.handle(Event::Warmed { step, ok: true })
    }

    pub(super) fn command(&mut self, command: Command) -> Vec<Effect> {
        assert_eq!(self.rental.admit(command), Ok(Admission::Accepted));
        self.handle(Event::Commanded(command))
    }

    /// Runs every timer until the state's name changes, paying what is asked; says how long that took.
    pub(super) fn until_state_changes(&mut self) -> (Span, Vec<Effect>) {
        let (began, name) = (self.now, self.rental.state().name());
        for _ in 0..10_000 {
            self.now = self
                .rental
                .poll_timeout()
                .expect("something is due")
                .max(self.now);
            let mut effects = self.tick();
            if effects
                .iter()
                .any(|effect| matches!(effect, Effect::AskAdvance { .. }))
            {
                effects.extend(self.pay(&effects.clone()));
            }
            if self.rental.state().name() != name {
                return (self.now.since(began), effects);
            }
        }
        panic!("it stays {name} for ever");
    }
}

pub(super) fn state(name: &'static str, cause: Option<Cause>) -> Effect {
    Effect::Note {
        what: What::State(name),
        cause,
    }
}

pub(super) fn note(what: What) -> Effect {
    Effect::Note { what, cause: None }
}
