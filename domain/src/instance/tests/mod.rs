//! Tests of one server as a whole, with a fake clock and a host that only keeps what it is told to.

mod checklist;
mod model;
mod pauses;
mod rotation;
mod serving;

use super::*;
use crate::breaker::EjectReason;
use crate::health::{CheckFault, CheckId, Checked};
use crate::ids::ModelName;
use crate::outcome::{FailureKind, Outcome};
use crate::time::Span;

pub(super) const START: Timestamp = Timestamp::from_ms(1_000_000_000_000);
pub(super) const FAILED: Outcome = Outcome::Failure {
    kind: FailureKind::Transport,
};

/// A server and its clock.
pub(super) struct World {
    pub(super) server: Instance,
    pub(super) now: Timestamp,
}

impl World {
    /// A server that was just checked, so that the next check is a minute away.
    pub(super) fn new(max_concurrency: u32, queue_depth: u32) -> Self {
        Self::with(max_concurrency, queue_depth, Policy::default())
    }

    pub(super) fn with(max_concurrency: u32, queue_depth: u32, policy: Policy) -> Self {
        let limits = Limits {
            max_concurrency,
            queue_depth,
        };
        let mut world = Self {
            server: Instance::new(7, limits, policy, START),
            now: START,
        };
        assert_eq!(world.check(None), []);
        world
    }

    pub(super) fn after(&mut self, ms: i64) -> &mut Self {
        self.now = self.now + Span::from_ms(ms);
        self
    }

    pub(super) fn handle(&mut self, event: Event) -> Vec<Effect> {
        self.server.handle(self.now, event)
    }

    pub(super) fn ask(&self, name: &str) -> Ask {
        Ask {
            request: id(name),
            priority: 0,
            arrived_at: self.now,
            deadline: self.now + Span::from_secs(300),
            least_service: Span::ZERO,
            kind: AskKind::First,
            mode: AskMode::Normal,
        }
    }

    pub(super) fn asks(&mut self, name: &str, kind: AskKind, mode: AskMode) -> Vec<Effect> {
        let ask = Ask {
            kind,
            mode,
            ..self.ask(name)
        };
        self.handle(Event::Asked(ask))
    }

    pub(super) fn normal(&mut self, name: &str) -> Vec<Effect> {
        self.asks(name, AskKind::First, AskMode::Normal)
    }

    pub(super) fn settle(&mut self, name: &str, outcome: Outcome) -> Vec<Effect> {
        self.handle(Event::Settled(settled(name, outcome)))
    }

    /// Five requests that fail. Returns until when the server is out.
    pub(super) fn eject(&mut self) -> Timestamp {
        for n in 0..5 {
            self.normal(&format!("bad{n}"));
            self.settle(&format!("bad{n}"), FAILED);
        }
        self.out_until()
    }

    pub(super) fn out_until(&self) -> Timestamp {
        let out = self.server.why_out(self.now);
        match out.and_then(|why| why.until) {
            Some(until) => until,
            None => panic!("the server is not out until a known time: {out:?}"),
        }
    }

    /// Asks for a check and answers it; returns what the answer led to.
    pub(super) fn check(&mut self, fault: Option<CheckFault>) -> Vec<Effect> {
        let effects = self.handle(Event::CheckRequested);
        let check = effects.iter().find_map(|effect| match effect {
            Effect::Check(check) => Some(check.id),
            _ => None,
        });
        match check {
            Some(check) => self.finish(check, fault),
            None => panic!("no check was sent: {effects:?}"),
        }
    }

    pub(super) fn finish(&mut self, check: CheckId, fault: Option<CheckFault>) -> Vec<Effect> {
        let result = Checked {
            latency: Span::from_ms(20),
            fault,
        };
        self.handle(Event::CheckFinished { check, result })
    }

    /// A restart at this moment, and the check that follows on it.
    pub(super) fn restart(&mut self) {
        let rows = self.server.leases().map(|(request, lease)| LeaseRow {
            request: request.clone(),
            lease: *lease,
        });
        self.server = Instance::restore(self.server.record(), rows.collect(), self.now);
        self.check(None);
    }

    pub(super) fn nothing_more_to_do(&mut self) {
        assert_eq!(self.handle(Event::Tick), []);
    }

    pub(super) fn load(&self, running: u32, queued: u32) -> Load {
        let capacity = self.server.limits().max_concurrency;
        Load {
            running,
            queued,
            capacity,
            strain_permille: 0,
        }
    }

    /// What a new lease looks like to the host.
    pub(super) fn granted(&self, name: &str, kind: GrantKind, load: Load) -> [Effect; 2] {
        let lease_until = self.now + Span::from_secs(60);
        let answer = Answer::Granted {
            lease_until,
            kind,
            load,
        };
        [
            Effect::LeaseWritten(id(name)),
            Effect::Answer {
                request: id(name),
                answer,
            },
        ]
    }
}

pub(super) fn id(name: &str) -> RequestId {
    RequestId::new(name)
}

pub(super) fn settled(name: &str, outcome: Outcome) -> Settled {
    Settled {
        request: id(name),
        outcome,
        ttft: Some(Span::from_ms(100)),
        duration: Span::from_secs(1),
        prompt_tokens: 10,
        completion_tokens: 20,
    }
}

pub(super) fn denied(name: &str, denied: Denied) -> Effect {
    Effect::Answer {
        request: id(name),
        answer: Answer::Denied(denied),
    }
}

pub(super) fn queued(name: &str, position: u32, load: Load) -> Effect {
    Effect::Answer {
        request: id(name),
        answer: Answer::Queued { position, load },
    }
}

pub(super) fn changed(what: Change, reason: Cause) -> [Effect; 2] {
    [Effect::Announce(what), Effect::Audit { what, reason }]
}

pub(super) fn removed(name: &str) -> Effect {
    Effect::LeaseRemoved(id(name))
}

pub(super) fn is_denied(effects: &[Effect]) -> Option<Denied> {
    effects.iter().find_map(|effect| match effect {
        Effect::Answer {
            answer: Answer::Denied(denied),
            ..
        } => Some(*denied),
        _ => None,
    })
}

pub(super) fn grant_kind(effects: &[Effect]) -> Option<GrantKind> {
    effects.iter().find_map(|effect| match effect {
        Effect::Answer {
            answer: Answer::Granted { kind, .. },
            ..
        } => Some(*kind),
        _ => None,
    })
}

pub(super) fn waiting(model: &str, until: Timestamp) -> Event {
    Event::ModelWaiting {
        model: ModelName::new(model),
        until,
    }
}

pub(super) fn five_failures() -> EjectReason {
    EjectReason::Consecutive {
        failures: 5,
        last: FailureKind::Transport,
    }
}
