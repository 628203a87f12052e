//! The machine's record to and from its row.

use tidegate_domain::breaker::{BreakerRecord, BreakerState, EjectReason};
use tidegate_domain::health::{CheckFault, HealthVerdict};
use tidegate_domain::ids::RequestId;
use tidegate_domain::instance::{CooldownRecord, InstanceRecord, Limits, Pause, Phase};
use tidegate_domain::outcome::FailureKind;
use tidegate_domain::time::{Span, Timestamp};

use super::{
    BreakerRow, FaultRow, KindRow, MachineRow, PauseRow, PhaseRow, ReasonRow, UnhealthyRow,
};
use crate::bindings::fleet::ReliabilityPolicy;
use crate::bindings::instance::InstanceSpec;
use crate::records::policy::machine_policy;

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
