//! What a vendor answers.

use serde::{Deserialize, Serialize};

use crate::{Machine, Part};

/// The answer to a [`crate::Request`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reply")]
pub enum Reply {
    /// The credential counts.
    Verified {
        /// Who it is, where the vendor says so (an ARN, an account number).
        #[serde(default)]
        principal: Option<String>,
    },
    /// It may do this.
    Allowed,
    /// Regions.
    Regions {
        /// They.
        regions: Vec<Region>,
    },
    /// A piece of the catalogue.
    Part(Part),
    /// It is being made, or was already.
    Created {
        /// It.
        machine: Box<Machine>,
    },
    /// One machine.
    Machine {
        /// It.
        machine: Box<Machine>,
    },
    /// Machines.
    Machines(Page),
    /// It is being done, or is done.
    Accepted {
        /// The machine, where the answer shows it.
        #[serde(default)]
        machine: Option<Box<Machine>>,
    },
    /// What it has cost so far.
    Bill {
        /// Micro-dollars; nothing when there is no record of it yet.
        #[serde(default)]
        microusd: Option<u64>,
    },
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Those that carry a marker of ours.
    pub machines: Vec<Machine>,
    /// The next page; without one this was the last, and only then is the list complete.
    #[serde(default)]
    pub next: Option<String>,
}

/// A region of a vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// The vendor's id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whether the account may rent there.
    pub enabled: bool,
}
