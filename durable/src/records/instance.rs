//! What an instance stores: one small record, its leases, and figures that may be lost.
//!
//! Invariant: a record of the release before can be read; every field added later has a default.

use serde::{Deserialize, Serialize};
use tidegate_domain::breaker::{BreakerRecord, BreakerState, EjectReason};
use tidegate_domain::health::{CheckFault, CheckResult, HealthVerdict, Ring};
use tidegate_domain::ids::RequestId;
use tidegate_domain::instance::{
    AskKind, Average, CooldownRecord, FailureTotals, Figures, GrantKind, InstanceRecord, Lease,
    LeaseRow, Limits, Pause, Phase, Totals,
};
use tidegate_domain::outcome::FailureKind;
use tidegate_domain::time::{Span, Timestamp};

use super::policy::machine_policy;
use crate::bindings::fleet::ReliabilityPolicy;
use crate::bindings::instance::InstanceSpec;

/// Everything of a registered server that must survive, as one JSON row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The registry entry; `None` after its removal, of which only the generation is kept.
    pub spec: Option<InstanceSpec>,
    /// The newest generation seen.
    pub generation: u64,
    /// The policy in force.
    #[serde(default)]
    pub policy: ReliabilityPolicy,
    /// Orders the announcements to the fleet.
    #[serde(default)]
    pub sequence: u64,
    /// The machine.
    #[serde(default)]
    pub machine: Option<MachineRow>,
}

/// The machine's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineRow {
    /// As text: it uses all 64 bits.
    pub salt: String,
    /// Active, draining, drained.
    pub phase: PhaseRow,
    /// The breaker.
    pub breaker: BreakerRow,
    /// Ejections not yet forgiven.
    pub ejections: u32,
    /// The pause that runs.
    #[serde(default)]
    pub pause: Option<PauseRow>,
    /// Pauses since the last success.
    #[serde(default)]
    pub strikes: u32,
    /// Why health checks have it out, and since when.
    #[serde(default)]
    pub unhealthy: Option<UnhealthyRow>,
}

/// Whether it takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum PhaseRow {
    /// It does.
    Active,
    /// No new ones.
    Draining {
        /// Since when.
        since_ms: i64,
    },
    /// None runs any more.
    Drained {
        /// Since when.
        since_ms: i64,
    },
}

/// The breaker. A probe's request is not kept: after a restart its fate is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum BreakerRow {
    /// Requests pass.
    Admitting {
        /// Since when.
        since_ms: i64,
        /// When the count of ejections was last lowered.
        forgiven_at_ms: i64,
    },
    /// None does.
    Ejected {
        /// Since when.
        since_ms: i64,
        /// Until when.
        until_ms: i64,
        /// How long this ejection is.
        length_ms: i64,
        /// Why.
        reason: ReasonRow,
    },
    /// One is out.
    Probing {
        /// Which.
        request: String,
        /// Since when.
        granted_at_ms: i64,
        /// Since when the server is out.
        since_ms: i64,
        /// Why.
        reason: ReasonRow,
    },
}

/// Why it was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum ReasonRow {
    /// In a row.
    Consecutive {
        /// How many.
        failures: u32,
        /// The last of them.
        last: KindRow,
    },
    /// Of a window.
    Share {
        /// How many.
        failures: u32,
        /// Of how many.
        requests: u32,
    },
    /// The probe.
    ProbeFailed {
        /// How.
        kind: KindRow,
    },
}

/// A failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum KindRow {
    /// A 5xx.
    Http5xx {
        /// Which.
        status: u16,
    },
    /// The connection.
    Transport,
    /// No first token.
    Timeout,
    /// Silence.
    Stalled,
    /// No end.
    CutStream,
    /// Rubbish.
    InvalidAnswer,
}

/// A pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseRow {
    /// Since when.
    pub since_ms: i64,
    /// Until when.
    pub until_ms: i64,
}

/// Out by health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnhealthyRow {
    /// Since when.
    pub since_ms: i64,
    /// What the check found.
    pub fault: FaultRow,
}

/// What a failed check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum FaultRow {
    /// A status other than 2xx.
    Status {
        /// Which.
        status: u16,
    },
    /// The connection.
    Transport,
    /// No answer in time.
    Timeout,
    /// Not a list of models.
    InvalidAnswer,
    /// A redirect.
    Redirected,
    /// An address that may not be asked.
    AddressRefused,
}

/// A lease row's second column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseColumn {
    /// Granted when.
    pub granted_at_ms: i64,
    /// Runs out when.
    pub expires_at_ms: i64,
    /// How it was granted.
    pub kind: GrantRow,
    /// Which attempt asked.
    pub asked_as: crate::bindings::instance::AskKind,
    /// Its priority.
    #[serde(default)]
    pub priority: u8,
}

/// How a lease was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantRow {
    /// Capacity was free.
    Normal,
    /// As the one probe.
    Probe,
    /// In panic.
    Panic,
    /// Perhaps to be cancelled.
    Tentative,
}

/// Totals, averages and the last checks, in one blob that is written rarely.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FiguresRow {
    /// In the order of [`Totals`]' fields, failures last.
    pub totals: Vec<u64>,
    /// In 1/256 ms.
    pub duration_ms_256: Option<i64>,
    /// In 1/256 ms.
    pub first_token_ms_256: Option<i64>,
    /// Oldest first.
    pub checks: Vec<CheckRow>,
}

/// A health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRow {
    /// When.
    pub at_ms: i64,
    /// How long it took.
    pub latency_ms: u32,
    /// What was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultRow>,
}

impl MachineRow {
    /// A machine's record, as a row.
    pub fn from_domain(record: &InstanceRecord) -> Self {
        Self {
            salt: record.salt.to_string(),
            phase: match record.phase {
                Phase::Active => PhaseRow::Active,
                Phase::Draining { since } => PhaseRow::Draining {
                    since_ms: since.as_ms(),
                },
                Phase::Drained { since } => PhaseRow::Drained {
                    since_ms: since.as_ms(),
                },
            },
            breaker: breaker_row(&record.breaker.state),
            ejections: record.breaker.times,
            pause: record.cooldown.pause.map(|pause| PauseRow {
                since_ms: pause.since.as_ms(),
                until_ms: pause.until.as_ms(),
            }),
            strikes: record.cooldown.strikes,
            unhealthy: match record.health {
                HealthVerdict::Healthy => None,
                HealthVerdict::Unhealthy { since, reason } => Some(UnhealthyRow {
                    since_ms: since.as_ms(),
                    fault: reason.into(),
                }),
            },
        }
    }

    /// The record again, with the limits and the policy that stand beside it.
    pub fn into_domain(self, spec: &InstanceSpec, policy: &ReliabilityPolicy) -> InstanceRecord {
        let at = Timestamp::from_ms;
        InstanceRecord {
            salt: self.salt.parse().unwrap_or_default(),
            limits: limits(spec),
            policy: machine_policy(policy),
            phase: match self.phase {
                PhaseRow::Active => Phase::Active,
                PhaseRow::Draining { since_ms } => Phase::Draining {
                    since: at(since_ms),
                },
                PhaseRow::Drained { since_ms } => Phase::Drained {
                    since: at(since_ms),
                },
            },
            breaker: BreakerRecord {
                state: breaker_state(self.breaker),
                times: self.ejections,
            },
            cooldown: CooldownRecord {
                pause: self.pause.map(|pause| Pause {
                    since: at(pause.since_ms),
                    until: at(pause.until_ms),
                }),
                strikes: self.strikes,
            },
            health: self
                .unhealthy
                .map_or(HealthVerdict::Healthy, |row| HealthVerdict::Unhealthy {
                    since: at(row.since_ms),
                    reason: row.fault.into(),
                }),
        }
    }
}

/// The limits that an entry sets.
pub const fn limits(spec: &InstanceSpec) -> Limits {
    Limits {
        max_concurrency: spec.max_concurrency,
        queue_depth: spec.queue_depth,
    }
}

fn breaker_row(state: &BreakerState) -> BreakerRow {
    match state {
        BreakerState::Admitting { since, forgiven_at } => BreakerRow::Admitting {
            since_ms: since.as_ms(),
            forgiven_at_ms: forgiven_at.as_ms(),
        },
        BreakerState::Ejected {
            since,
            until,
            length,
            reason,
        } => BreakerRow::Ejected {
            since_ms: since.as_ms(),
            until_ms: until.as_ms(),
            length_ms: length.as_ms(),
            reason: (*reason).into(),
        },
        BreakerState::Probing {
            request,
            granted_at,
            since,
            reason,
        } => BreakerRow::Probing {
            request: request.to_string(),
            granted_at_ms: granted_at.as_ms(),
            since_ms: since.as_ms(),
            reason: (*reason).into(),
        },
    }
}

fn breaker_state(row: BreakerRow) -> BreakerState {
    let at = Timestamp::from_ms;
    match row {
        BreakerRow::Admitting {
            since_ms,
            forgiven_at_ms,
        } => BreakerState::Admitting {
            since: at(since_ms),
            forgiven_at: at(forgiven_at_ms),
        },
        BreakerRow::Ejected {
            since_ms,
            until_ms,
            length_ms,
            reason,
        } => BreakerState::Ejected {
            since: at(since_ms),
            until: at(until_ms),
            length: Span::from_ms(length_ms),
            reason: reason.into(),
        },
        BreakerRow::Probing {
            request,
            granted_at_ms,
            since_ms,
            reason,
        } => BreakerState::Probing {
            request: RequestId::new(request),
            granted_at: at(granted_at_ms),
            since: at(since_ms),
            reason: reason.into(),
        },
    }
}

impl From<EjectReason> for ReasonRow {
    fn from(reason: EjectReason) -> Self {
        match reason {
            EjectReason::Consecutive { failures, last } => Self::Consecutive {
                failures,
                last: last.into(),
            },
            EjectReason::Share { failures, requests } => Self::Share { failures, requests },
            EjectReason::ProbeFailed(kind) => Self::ProbeFailed { kind: kind.into() },
        }
    }
}

impl From<ReasonRow> for EjectReason {
    fn from(row: ReasonRow) -> Self {
        match row {
            ReasonRow::Consecutive { failures, last } => Self::Consecutive {
                failures,
                last: last.into(),
            },
            ReasonRow::Share { failures, requests } => Self::Share { failures, requests },
            ReasonRow::ProbeFailed { kind } => Self::ProbeFailed(kind.into()),
        }
    }
}

impl From<FailureKind> for KindRow {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Http5xx(status) => Self::Http5xx { status },
            FailureKind::Transport => Self::Transport,
            FailureKind::Timeout => Self::Timeout,
            FailureKind::Stalled => Self::Stalled,
            FailureKind::CutStream => Self::CutStream,
            FailureKind::InvalidAnswer => Self::InvalidAnswer,
        }
    }
}

impl From<KindRow> for FailureKind {
    fn from(row: KindRow) -> Self {
        match row {
            KindRow::Http5xx { status } => Self::Http5xx(status),
            KindRow::Transport => Self::Transport,
            KindRow::Timeout => Self::Timeout,
            KindRow::Stalled => Self::Stalled,
            KindRow::CutStream => Self::CutStream,
            KindRow::InvalidAnswer => Self::InvalidAnswer,
        }
    }
}

impl From<CheckFault> for FaultRow {
    fn from(fault: CheckFault) -> Self {
        match fault {
            CheckFault::Status(status) => Self::Status { status },
            CheckFault::Transport => Self::Transport,
            CheckFault::Timeout => Self::Timeout,
            CheckFault::InvalidAnswer => Self::InvalidAnswer,
            CheckFault::Redirected => Self::Redirected,
            CheckFault::AddressRefused => Self::AddressRefused,
        }
    }
}

impl From<FaultRow> for CheckFault {
    fn from(row: FaultRow) -> Self {
        match row {
            FaultRow::Status { status } => Self::Status(status),
            FaultRow::Transport => Self::Transport,
            FaultRow::Timeout => Self::Timeout,
            FaultRow::InvalidAnswer => Self::InvalidAnswer,
            FaultRow::Redirected => Self::Redirected,
            FaultRow::AddressRefused => Self::AddressRefused,
        }
    }
}

impl LeaseColumn {
    /// A lease as a row.
    pub fn from_domain(lease: &Lease) -> Self {
        Self {
            granted_at_ms: lease.granted_at.as_ms(),
            expires_at_ms: lease.expires_at.as_ms(),
            kind: match lease.kind {
                GrantKind::Normal => GrantRow::Normal,
                GrantKind::Probe => GrantRow::Probe,
                GrantKind::Panic => GrantRow::Panic,
                GrantKind::Tentative => GrantRow::Tentative,
            },
            asked_as: match lease.asked_as {
                AskKind::First => crate::bindings::instance::AskKind::First,
                AskKind::Retry => crate::bindings::instance::AskKind::Retry,
                AskKind::Hedge => crate::bindings::instance::AskKind::Hedge,
            },
            priority: lease.priority,
        }
    }

    /// The lease again.
    pub fn into_domain(self, request: &str) -> LeaseRow {
        LeaseRow {
            request: RequestId::new(request),
            lease: Lease {
                granted_at: Timestamp::from_ms(self.granted_at_ms),
                expires_at: Timestamp::from_ms(self.expires_at_ms),
                kind: match self.kind {
                    GrantRow::Normal => GrantKind::Normal,
                    GrantRow::Probe => GrantKind::Probe,
                    GrantRow::Panic => GrantKind::Panic,
                    GrantRow::Tentative => GrantKind::Tentative,
                },
                asked_as: match self.asked_as {
                    crate::bindings::instance::AskKind::First => AskKind::First,
                    crate::bindings::instance::AskKind::Retry => AskKind::Retry,
                    crate::bindings::instance::AskKind::Hedge => AskKind::Hedge,
                },
                priority: self.priority,
            },
        }
    }
}

impl FiguresRow {
    /// Figures and checks as a row.
    pub fn from_domain(figures: &Figures, ring: &Ring) -> Self {
        let t = &figures.totals;
        let f = &t.failures;
        let check = |result: &CheckResult| CheckRow {
            at_ms: result.at.as_ms(),
            latency_ms: result.latency_ms,
            fault: result.reason.map(FaultRow::from),
        };
        Self {
            totals: vec![
                t.granted,
                t.queued,
                t.denied,
                t.successes,
                t.client_errors,
                t.backpressure,
                t.clients_left,
                t.cancelled,
                t.leases_expired,
                t.ejections,
                t.probes,
                t.panics,
                t.prompt_tokens,
                t.completion_tokens,
                f.http_5xx,
                f.transport,
                f.timeout,
                f.stalled,
                f.cut_stream,
                f.invalid_answer,
            ],
            duration_ms_256: figures.duration.ms_256,
            first_token_ms_256: figures.ttft.ms_256,
            checks: ring.iter().map(check).collect(),
        }
    }

    /// The figures and the ring again.
    pub fn into_domain(self) -> (Figures, Ring) {
        let n = |index: usize| self.totals.get(index).copied().unwrap_or_default();
        let totals = Totals {
            granted: n(0),
            queued: n(1),
            denied: n(2),
            successes: n(3),
            client_errors: n(4),
            backpressure: n(5),
            clients_left: n(6),
            cancelled: n(7),
            leases_expired: n(8),
            ejections: n(9),
            probes: n(10),
            panics: n(11),
            prompt_tokens: n(12),
            completion_tokens: n(13),
            failures: FailureTotals {
                http_5xx: n(14),
                transport: n(15),
                timeout: n(16),
                stalled: n(17),
                cut_stream: n(18),
                invalid_answer: n(19),
            },
        };
        let check = |row: &CheckRow| CheckResult {
            at: Timestamp::from_ms(row.at_ms),
            ok: row.fault.is_none(),
            latency_ms: row.latency_ms,
            reason: row.fault.map(CheckFault::from),
        };
        let figures = Figures {
            totals,
            duration: Average {
                ms_256: self.duration_ms_256,
            },
            ttft: Average {
                ms_256: self.first_token_ms_256,
            },
        };
        (figures, Ring::restore(self.checks.iter().map(check)))
    }
}
