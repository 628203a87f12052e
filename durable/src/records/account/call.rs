//! A call that the vendor must get, as a row.
//!
//! Invariant: one errand has one row. Asking for the same again changes the row and makes no second call.

use core::fmt;

use serde::{Deserialize, Serialize};
use tidegate_domain::ids::{InstanceId, MachineId};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::attempt::AttemptId;
use tidegate_domain::vendor::call_budget::Priority;
use tidegate_provider_api::ProviderError;

use crate::bindings::rental::VendorAction;
use crate::turn::EffectId;

/// What a call is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Errand {
    /// Rents.
    Create(AttemptId),
    /// Starts, stops or gives back the machine of an attempt.
    Act(AttemptId),
    /// Asks for the machine of an attempt.
    Look(AttemptId),
    /// Asks what the machine of an attempt cost.
    Bill(AttemptId),
    /// Gives a stray back.
    DestroyStray(MachineId),
    /// Asks for a stray.
    LookAtStray(MachineId),
    /// Asks what a stray cost.
    BillStray(MachineId),
}

impl Errand {
    /// Reads a key back.
    pub fn parse(key: &str) -> Option<Self> {
        let (kind, rest) = key.split_once('/')?;
        let attempt = || {
            let (instance, number) = rest.rsplit_once('/')?;
            Some(AttemptId {
                instance: InstanceId::new(instance),
                number: number.parse().ok()?,
            })
        };
        let machine = || MachineId::new(rest);
        Some(match kind {
            "create" => Self::Create(attempt()?),
            "act" => Self::Act(attempt()?),
            "look" => Self::Look(attempt()?),
            "bill" => Self::Bill(attempt()?),
            "destroy_stray" => Self::DestroyStray(machine()),
            "look_at_stray" => Self::LookAtStray(machine()),
            "bill_stray" => Self::BillStray(machine()),
            _ => return None,
        })
    }

    /// The attempt that it is for, if it is for one.
    pub const fn attempt(&self) -> Option<&AttemptId> {
        match self {
            Self::Create(id) | Self::Act(id) | Self::Look(id) | Self::Bill(id) => Some(id),
            Self::DestroyStray(_) | Self::LookAtStray(_) | Self::BillStray(_) => None,
        }
    }

    /// Whether an account that has it outstanding cannot be forgotten.
    pub const fn holds_account(&self) -> bool {
        match self {
            Self::Create(_) | Self::Act(_) | Self::DestroyStray(_) | Self::LookAtStray(_) => true,
            Self::Look(_) | Self::Bill(_) | Self::BillStray(_) => false,
        }
    }
}

impl fmt::Display for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, id): (&str, &dyn fmt::Display) = match self {
            Self::Create(id) => return write!(f, "create/{}/{}", id.instance, id.number),
            Self::Act(id) => return write!(f, "act/{}/{}", id.instance, id.number),
            Self::Look(id) => return write!(f, "look/{}/{}", id.instance, id.number),
            Self::Bill(id) => return write!(f, "bill/{}/{}", id.instance, id.number),
            Self::DestroyStray(id) => ("destroy_stray", id),
            Self::LookAtStray(id) => ("look_at_stray", id),
            Self::BillStray(id) => ("bill_stray", id),
        };
        write!(f, "{kind}/{id}")
    }
}

/// A call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// When it was asked for.
    pub since_ms: i64,
    /// When it may go; nothing while it waits for the machine to be known.
    #[serde(default)]
    pub due_at_ms: Option<i64>,
    /// Tries that came to nothing.
    #[serde(default)]
    pub tries: u32,
    /// It is under way.
    #[serde(default)]
    pub sent: Option<Sent>,
    /// What is to be done, for an action.
    #[serde(default)]
    pub action: Option<VendorAction>,
    /// What is to be done after the action that is under way.
    #[serde(default)]
    pub next: Option<VendorAction>,
    /// The instance was told that the vendor refuses, and it is tried all the same.
    #[serde(default)]
    pub refusal_told: bool,
    /// Why the last try came to nothing.
    #[serde(default)]
    pub last_error: Option<ProviderError>,
}

/// A call that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// When it left.
    pub at_ms: i64,
    /// When it is not waited for any longer.
    pub deadline_ms: i64,
    /// The effect.
    pub effect: EffectId,
}

impl Call {
    /// One that may go at once.
    pub fn new(now: Timestamp) -> Self {
        Self::at(now, now)
    }

    /// One that may go at that time.
    pub fn at(now: Timestamp, due: Timestamp) -> Self {
        Self {
            since_ms: now.as_ms(),
            due_at_ms: Some(due.as_ms()),
            ..Self::default()
        }
    }

    /// Puts it off.
    pub fn again(&mut self, now: Timestamp, pause: Span) {
        self.sent = None;
        self.tries = self.tries.saturating_add(1);
        self.due_at_ms = Some((now + pause).as_ms());
    }

    /// How urgent a call of this errand is.
    pub const fn priority(&self, errand: &Errand) -> Priority {
        match (errand, self.action) {
            (Errand::Create(_), _) => Priority::Create,
            (Errand::Act(_), Some(VendorAction::Destroy)) | (Errand::DestroyStray(_), _) => {
                Priority::Destroy
            }
            (Errand::Act(_), _) => Priority::Power,
            (Errand::Look(_) | Errand::LookAtStray(_), _) => Priority::Get,
            (Errand::Bill(_) | Errand::BillStray(_), _) => Priority::List,
        }
    }
}
