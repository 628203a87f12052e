//! Story tests of an instance: what a message answers, exactly what it asks its host for, what is stored
//! when, and that a repetition has nothing more to do.

mod alarms;
mod asks;
mod breaker;
mod budget;
mod checks;
mod crashes;
mod demand;
mod faults;
mod leases;
mod news;
mod policy;
mod rental;
mod spec;
mod view;
mod world;

use tidegate_domain::time::{Span, Timestamp};

use super::Instance;
use crate::bindings::ObjectName;
use crate::bindings::fleet::{FleetCommand, ReliabilityPolicy, ServerStatus};
use crate::bindings::instance::{
    Ask, AskAnswer, AskKind, AskMode, CheckReport, DeniedWire, FailureWire, InstanceCommand,
    InstanceSpec, InstanceView, OutcomeWire, Settled, Turnover,
};
use crate::rig::{Rig, START};
use crate::turn::{Effect, EffectId, Outcome, Reply, Ticket, Turn};

type Server = Rig<Instance>;

/// Two at a time, two in the queue.
fn spec(generation: u64) -> InstanceSpec {
    InstanceSpec {
        generation,
        model: "llama".to_owned(),
        endpoint_url: "https://gpu/v1".to_owned(),
        sealed_api_key: Some("sealed-secret".to_owned()),
        max_concurrency: 2,
        queue_depth: 2,
    }
}

fn configure(spec: InstanceSpec) -> InstanceCommand {
    InstanceCommand::Configure {
        spec,
        first_check: Some(CheckReport {
            at_ms: START.as_ms() - 50,
            ok: true,
            latency_ms: 12,
            reason: None,
        }),
        policy: ReliabilityPolicy::default(),
    }
}

fn unregistered() -> Server {
    Rig::new(ObjectName::instance("acme", "a"))
}

/// Registered, checked once more by itself, and with nothing left to do.
fn server() -> Server {
    server_of(spec(1))
}

fn server_of(spec: InstanceSpec) -> Server {
    let mut rig = unregistered();
    let turn = tell(&mut rig, &configure(spec));
    let turn = rig.done(check_out(&turn), well());
    assert_eq!(turn.effects, []);
    rig
}

fn tell(rig: &mut Server, command: &InstanceCommand) -> Turn {
    rig.try_call(command).unwrap()
}

fn turnover(rig: &mut Server, turnover: Turnover) -> Turn {
    tell(rig, &InstanceCommand::Turnover(turnover))
}

fn request(rig: &Server, name: &str) -> Ask {
    Ask {
        request: name.to_owned(),
        priority: 0,
        arrived_at_ms: rig.now.as_ms(),
        deadline_ms: rig.now.as_ms() + 600_000,
        payer: None,
        kind: AskKind::First,
        mode: AskMode::Normal,
        policy_version: 0,
    }
}

fn ask(rig: &mut Server, name: &str) -> Turn {
    ask_as(rig, name, AskMode::Normal)
}

fn ask_as(rig: &mut Server, name: &str, mode: AskMode) -> Turn {
    let ask = Ask {
        mode,
        ..request(rig, name)
    };
    let ask = Some(ask);
    turnover(
        rig,
        Turnover {
            ask,
            ..Turnover::default()
        },
    )
}

fn grant(rig: &mut Server, name: &str) {
    let answer = answer(&ask(rig, name));
    assert!(matches!(answer, AskAnswer::Granted { .. }), "{answer:?}");
}

fn settled(name: &str, outcome: OutcomeWire) -> Settled {
    Settled {
        request: name.to_owned(),
        outcome,
        first_token_ms: Some(200),
        duration_ms: 1_000,
        prompt_tokens: 10,
        completion_tokens: 5,
    }
}

fn settle(rig: &mut Server, name: &str, outcome: OutcomeWire) -> Turn {
    let settled = vec![settled(name, outcome)];
    turnover(
        rig,
        Turnover {
            settled,
            ..Turnover::default()
        },
    )
}

fn failure() -> OutcomeWire {
    OutcomeWire::Failure {
        kind: FailureWire::Http5xx,
    }
}

/// Five requests come and fail, one after the other: the last turn.
fn eject(rig: &mut Server) -> Turn {
    for number in 0..4 {
        let name = format!("bad{number}");
        grant(rig, &name);
        assert_eq!(
            without_soon(&settle(rig, &name, failure())),
            [],
            "{number} failures"
        );
    }
    grant(rig, "bad4");
    settle(rig, "bad4", failure())
}

fn view(rig: &mut Server) -> InstanceView {
    let turn = tell(rig, &InstanceCommand::Describe);
    assert_eq!(without_soon(&turn), []);
    seen(turn.reply.as_ref())
}

fn seen(reply: Option<&Reply>) -> InstanceView {
    let Some(Reply::Now(text)) = reply else {
        panic!("no answer: {reply:?}");
    };
    serde_json::from_str(text).unwrap()
}

fn answer(turn: &Turn) -> AskAnswer {
    let Some(Reply::Now(text)) = &turn.reply else {
        panic!("no answer yet: {turn:?}");
    };
    serde_json::from_str(text).unwrap()
}

fn denied(turn: &Turn) -> DeniedWire {
    match answer(turn) {
        AskAnswer::Denied { denied, .. } => denied,
        other => panic!("not denied: {other:?}"),
    }
}

fn ticket(turn: &Turn) -> Ticket {
    let Some(Reply::Later(ticket)) = turn.reply else {
        panic!("not a poll: {turn:?}");
    };
    ticket
}

/// What the turn asks its host for, but for the turn that brings the rows up to date.
fn without_soon(turn: &Turn) -> Vec<Effect> {
    let mut effects = turn.effects.clone();
    effects.retain(|effect| !matches!(effect, Effect::Soon { .. }));
    effects
}

/// What the turn answers to earlier asks; it asks its host for nothing else.
fn resolved(turn: &Turn) -> Vec<(Ticket, AskAnswer)> {
    let answer = |effect| match effect {
        Effect::Resolve { ticket, reply } => (ticket, serde_json::from_str(&reply).unwrap()),
        other => panic!("not an answer: {other:?}"),
    };
    without_soon(turn).into_iter().map(answer).collect()
}

fn check_out(turn: &Turn) -> EffectId {
    let mut checks = turn.effects.iter().filter_map(|effect| match effect {
        Effect::Get { id, .. } => Some(*id),
        _ => None,
    });
    checks
        .next()
        .unwrap_or_else(|| panic!("no check: {turn:?}"))
}

fn well() -> Outcome {
    fetched(200, r#"{"object":"list","data":[]}"#)
}

fn fetched(status: u16, body: &str) -> Outcome {
    Outcome::Fetched {
        status,
        body: body.to_owned(),
        latency_ms: 20,
    }
}

fn failed() -> Outcome {
    let reason = "connection refused".to_owned();
    Outcome::Failed { reason }
}

/// Number and status of each announcement to the fleet, which is sent until it is delivered.
fn announced(turn: &Turn) -> Vec<(u64, ServerStatus)> {
    told(turn, true)
}

/// The same for reports, which are sent once.
fn reported(turn: &Turn) -> Vec<(u64, ServerStatus)> {
    told(turn, false)
}

fn told(turn: &Turn, has_row: bool) -> Vec<(u64, ServerStatus)> {
    let said = turn.effects.iter().filter_map(|effect| match effect {
        Effect::Send { id, to, message }
            if to.as_str() == "fleet/acme" && id.is_multiple_of(2) == has_row =>
        {
            Some(message)
        }
        _ => None,
    });
    said.filter_map(|message| match serde_json::from_str(message).unwrap() {
        FleetCommand::Announce {
            event_id,
            instance,
            status,
            sequence,
        } => {
            assert_eq!(instance, "a");
            assert_eq!(event_id, format!("instance/acme/a/{sequence}"));
            Some((sequence, status))
        }
        _ => None,
    })
    .collect()
}

/// The one announcement of a turn.
fn announcement(turn: &Turn) -> (u64, ServerStatus) {
    let mut said = announced(turn);
    assert_eq!(said.len(), 1, "not one announcement: {turn:?}");
    said.remove(0)
}

/// The polls that a turn answers.
fn answered(turn: &Turn) -> Vec<Ticket> {
    let ticket = |effect: &Effect| match effect {
        Effect::Resolve { ticket, .. } => Some(*ticket),
        _ => None,
    };
    turn.effects.iter().filter_map(ticket).collect()
}

fn secs(secs: i64) -> Span {
    Span::from_secs(secs)
}

/// Milliseconds since the epoch, so many seconds after the start.
fn at(secs: i64) -> i64 {
    START.as_ms() + secs * 1_000
}

fn moment(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}
