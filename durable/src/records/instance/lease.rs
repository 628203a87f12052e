//! A lease as a row.

use serde::{Deserialize, Serialize};
use tidegate_domain::ids::RequestId;
use tidegate_domain::instance::{AskKind, GrantKind, Lease, LeaseRow};
use tidegate_domain::time::Timestamp;

use crate::bindings::instance::AskKind as AskKindRow;

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
    pub asked_as: AskKindRow,
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

impl LeaseColumn {
    /// Stands for a row that cannot be read: an ordinary lease, which ends unless it is renewed.
    pub const fn unreadable(now: Timestamp) -> Self {
        Self {
            granted_at_ms: now.as_ms(),
            // Pulled back to the length of a lease by whoever reads it.
            expires_at_ms: i64::MAX,
            kind: GrantRow::Normal,
            asked_as: AskKindRow::First,
            priority: 0,
        }
    }

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
                AskKind::First => AskKindRow::First,
                AskKind::Retry => AskKindRow::Retry,
                AskKind::Hedge => AskKindRow::Hedge,
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
                    AskKindRow::First => AskKind::First,
                    AskKindRow::Retry => AskKind::Retry,
                    AskKindRow::Hedge => AskKind::Hedge,
                },
                priority: self.priority,
            },
        }
    }
}
