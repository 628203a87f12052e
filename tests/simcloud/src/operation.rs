//! What calls come to, over both vendors.

use serde::{Deserialize, Serialize};

/// What a call comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Is the key good?
    Verify,
    /// Where can things be rented?
    Regions,
    /// What, and for how much?
    Shop,
    /// Rent.
    Create,
    /// One machine.
    Get,
    /// All machines.
    List,
    /// Down, keep the disk.
    Stop,
    /// Up again.
    Start,
    /// Give back.
    Destroy,
    /// What has it cost?
    Bill,
    /// A change of another kind.
    Change,
    /// Anything else.
    Other,
}

impl Op {
    /// As rules and the journal write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Regions => "regions",
            Self::Shop => "shop",
            Self::Create => "create",
            Self::Get => "get",
            Self::List => "list",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Destroy => "destroy",
            Self::Bill => "bill",
            Self::Change => "change",
            Self::Other => "other",
        }
    }

    /// Whether it changes something.
    pub const fn is_change(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Stop | Self::Start | Self::Destroy | Self::Change
        )
    }
}
