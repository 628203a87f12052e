//! The hot message: what ended is handed in, what asks is answered.

use tidegate_domain::ids::RequestId;
use tidegate_domain::instance::{self as machine, AskKind, AskMode, Denied, Event, Load, Settled};
use tidegate_domain::outcome::{FailureKind, Outcome};
use tidegate_domain::time::{Span, Timestamp};

use super::Instance;
use crate::bindings::instance::{
    Ask, AskAnswer, AskKind as AskKindWire, AskMode as AskModeWire, DeniedWire, FailureWire,
    OutcomeWire, Settled as SettledWire, Turnover,
};
use crate::driver::{Cx, TurnError, encode, ticket};
use crate::ports::StoreError;
use crate::turn::{Effect, Reply};

impl Instance {
    pub(super) fn turnover(
        &mut self,
        cx: &mut Cx<'_>,
        turnover: Turnover,
    ) -> Result<Reply, TurnError> {
        for settled in turnover.settled {
            self.hear(cx, Event::Settled(settled_event(settled)), None)?;
        }
        for request in turnover.cancelled {
            self.hear(cx, Event::Cancelled(RequestId::new(request)), None)?;
        }
        for request in turnover.renewed {
            self.hear(cx, Event::Renewed(RequestId::new(request)), None)?;
        }
        match turnover.ask {
            Some(ask) => self.ask(cx, &ask),
            None => Ok(Reply::Now(encode("answer", &AskAnswer::Noted)?)),
        }
    }

    fn ask(&mut self, cx: &mut Cx<'_>, ask: &Ask) -> Result<Reply, TurnError> {
        if self.machine.is_none() {
            let answer = AskAnswer::Denied {
                denied: DeniedWire::NotRegistered,
                retry_after_ms: None,
            };
            return Ok(Reply::Now(encode("answer", &answer)?));
        }
        self.learn_policy(cx, ask.policy_version)?;
        let request = RequestId::new(ask.request.as_str());
        if self.polls.contains_key(&request) {
            // If its time in the queue is up, that is the earlier poll's answer and not this one's.
            self.hear(cx, Event::Tick, None)?;
        }
        if let (Some(rental), Some(payer)) = (&mut self.rental, &ask.payer) {
            rental.asks(request.clone(), payer.clone());
        }
        let answer = self.hear(cx, Event::Asked(ask_event(ask)), Some(&request))?;
        if let Some(answer) = answer {
            return Ok(Reply::Now(encode("answer", &answer)?));
        }
        // Queued: the answer comes with a later turn. An earlier poll of the same request is over.
        let ticket = ticket(cx);
        if let Some(replaced) = self.polls.insert(request, ticket) {
            resolve(cx, replaced, &AskAnswer::Noted)?;
        }
        Ok(Reply::Later(ticket))
    }

    /// Whoever waits is told to go elsewhere: the queue it waits in ends.
    pub(super) fn send_away(
        &mut self,
        cx: &mut Cx<'_>,
        denied: &DeniedWire,
    ) -> Result<(), StoreError> {
        for ticket in std::mem::take(&mut self.polls).into_values() {
            let answer = AskAnswer::Denied {
                denied: denied.clone(),
                retry_after_ms: None,
            };
            resolve(cx, ticket, &answer)?;
        }
        Ok(())
    }

    pub(super) fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        answer: machine::Answer,
        asker: Option<&RequestId>,
        answered: &mut Option<AskAnswer>,
    ) -> Result<(), StoreError> {
        let answer = match answer {
            machine::Answer::Queued { .. } => return Ok(()),
            machine::Answer::Granted {
                lease_until, load, ..
            } => granted(lease_until, load),
            machine::Answer::Denied(denied) => {
                if let Some(rental) = &mut self.rental {
                    rental.is_denied(&request);
                }
                AskAnswer::Denied {
                    denied: denied_wire(&denied),
                    retry_after_ms: denied.retry_after(cx.now).map(ms),
                }
            }
        };
        if asker == Some(&request) {
            *answered = Some(answer);
        } else if let Some(ticket) = self.polls.remove(&request) {
            resolve(cx, ticket, &answer)?;
        }
        Ok(())
    }
}

fn resolve(cx: &mut Cx<'_>, ticket: u64, answer: &AskAnswer) -> Result<(), StoreError> {
    let reply = encode("answer", answer)?;
    cx.effect(Effect::Resolve { ticket, reply });
    Ok(())
}

fn granted(lease_until: Timestamp, load: Load) -> AskAnswer {
    AskAnswer::Granted {
        lease_until_ms: lease_until.as_ms(),
        running: load.running,
        queued: load.queued,
        capacity: load.capacity,
        score: score(&load),
    }
}

fn score(load: &Load) -> u32 {
    u32::try_from(load.score()).unwrap_or(u32::MAX)
}

fn ms(span: Span) -> u64 {
    u64::try_from(span.as_ms()).unwrap_or_default()
}

fn ask_event(ask: &Ask) -> machine::Ask {
    machine::Ask {
        request: RequestId::new(ask.request.as_str()),
        priority: ask.priority,
        arrived_at: Timestamp::from_ms(ask.arrived_at_ms),
        deadline: Timestamp::from_ms(ask.deadline_ms),
        least_service: Span::ZERO,
        kind: match ask.kind {
            AskKindWire::First => AskKind::First,
            AskKindWire::Retry => AskKind::Retry,
            AskKindWire::Hedge => AskKind::Hedge,
        },
        mode: match ask.mode {
            AskModeWire::Normal => AskMode::Normal,
            AskModeWire::Tentative => AskMode::Tentative,
            AskModeWire::Panic => AskMode::Panic,
        },
    }
}

fn settled_event(settled: SettledWire) -> Settled {
    let span = |ms: u64| Span::from_ms(i64::try_from(ms).unwrap_or(i64::MAX));
    Settled {
        request: RequestId::new(settled.request),
        outcome: match settled.outcome {
            OutcomeWire::Success => Outcome::Success,
            OutcomeWire::ClientError { status } => Outcome::ClientError(status),
            OutcomeWire::Backpressure {
                status,
                retry_after_ms,
            } => Outcome::Backpressure {
                status,
                retry_after: retry_after_ms.map(span),
            },
            OutcomeWire::Failure { kind } => Outcome::Failure {
                kind: failure(kind),
            },
            OutcomeWire::ClientLeft => Outcome::ClientLeft,
            OutcomeWire::Cancelled => Outcome::Cancelled,
        },
        ttft: settled.first_token_ms.map(span),
        duration: span(settled.duration_ms),
        prompt_tokens: settled.prompt_tokens,
        completion_tokens: settled.completion_tokens,
    }
}

/// The exact status of a 5xx stays with the edge's log; to the breaker they are alike.
const fn failure(kind: FailureWire) -> FailureKind {
    match kind {
        FailureWire::Http5xx => FailureKind::Http5xx(500),
        FailureWire::Transport => FailureKind::Transport,
        FailureWire::Timeout => FailureKind::Timeout,
        FailureWire::Stalled => FailureKind::Stalled,
        FailureWire::CutStream => FailureKind::CutStream,
        FailureWire::InvalidAnswer => FailureKind::InvalidAnswer,
    }
}

fn denied_wire(denied: &Denied) -> DeniedWire {
    match denied {
        Denied::Ejected {
            since,
            until,
            reason,
        } => DeniedWire::Ejected {
            since_ms: since.as_ms(),
            until_ms: until.as_ms(),
            reason: reason.to_string(),
        },
        Denied::Probing { since, reason } => DeniedWire::Ejected {
            since_ms: since.as_ms(),
            until_ms: 0,
            reason: format!("{reason}, and its one probe is out"),
        },
        Denied::CoolingDown { until } => DeniedWire::CoolingDown {
            until_ms: until.as_ms(),
        },
        Denied::Unhealthy { since, reason, .. } => DeniedWire::Unhealthy {
            since_ms: since.as_ms(),
            reason: reason.to_string(),
        },
        Denied::Draining => DeniedWire::Draining,
        Denied::Busy { load } => DeniedWire::Busy { score: score(load) },
        Denied::QueueFull { depth, .. } => DeniedWire::QueueFull { depth: *depth },
        Denied::QueueTimeout | Denied::Cancelled => DeniedWire::QueueTimeout,
        Denied::RetryBudgetSpent => DeniedWire::RetryBudgetSpent,
        Denied::DeadlineTooShort { .. } => DeniedWire::DeadlineTooShort,
        Denied::PanicSpent { until } => DeniedWire::PanicSpent {
            until_ms: until.as_ms(),
        },
        Denied::NotRegistered => DeniedWire::NotRegistered,
    }
}
