//! What a vendor is asked for.
//!
//! These are all the calls there are: whatever a vendor can do besides stays in its own crate.

use serde::{Deserialize, Serialize};

use crate::{CreateSpec, Query};

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum Request {
    /// Does the credential count? Reply: [`crate::Reply::Verified`].
    Verify,
    /// May it do this? Changes nothing. Reply: [`crate::Reply::Allowed`], or an `auth` error.
    Check {
        /// One of [`crate::Provider::permissions`], by name.
        permission: String,
        /// Where.
        region: String,
    },
    /// Every region. Reply: [`crate::Reply::Regions`].
    Regions,
    /// A piece of the catalogue. Reply: [`crate::Reply::Part`].
    Shop(Query),
    /// Rent. Requires nothing; where [`crate::Capability::idempotent_create`], the same marker again is the
    /// same machine. Reply: [`crate::Reply::Created`].
    Create(Box<CreateSpec>),
    /// One machine. Reply: [`crate::Reply::Machine`], or a `not_found` error.
    Get {
        /// Where.
        region: String,
        /// The vendor's id.
        id: String,
    },
    /// A page of the machines that carry a marker of ours (also of other accounts of ours). A machine that is
    /// gone may be among them for a while. Reply: [`crate::Reply::Machines`].
    List {
        /// Where.
        region: String,
        /// Which page, as the one before said; the first without.
        #[serde(default)]
        page: Option<String>,
    },
    /// Requires [`crate::Capability::stop_start`]. Reply: [`crate::Reply::Accepted`].
    Stop {
        /// Where.
        region: String,
        /// The vendor's id.
        id: String,
    },
    /// Requires [`crate::Capability::stop_start`]. Reply: [`crate::Reply::Accepted`].
    Start {
        /// Where.
        region: String,
        /// The vendor's id.
        id: String,
    },
    /// Give back, with all that came with it (disks, addresses). A `not_found` error means that it is gone.
    /// Reply: [`crate::Reply::Accepted`].
    Destroy {
        /// Where.
        region: String,
        /// The vendor's id.
        id: String,
    },
    /// Requires [`crate::Capability::bills`]. What a machine that is gone has cost. Reply:
    /// [`crate::Reply::Bill`].
    Bill {
        /// Where.
        region: String,
        /// The vendor's id.
        id: String,
        /// From when on, in milliseconds since the epoch.
        since_ms: i64,
        /// Until when.
        until_ms: i64,
    },
}

impl Request {
    /// The name in errors, logs and metrics.
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Check { .. } => "check",
            Self::Regions => "regions",
            Self::Shop(_) => "shop",
            Self::Create(_) => "create",
            Self::Get { .. } => "get",
            Self::List { .. } => "list",
            Self::Stop { .. } => "stop",
            Self::Start { .. } => "start",
            Self::Destroy { .. } => "destroy",
            Self::Bill { .. } => "bill",
        }
    }

    /// Whether it changes something at the vendor: then no answer means that nobody knows.
    pub const fn is_change(&self) -> bool {
        match self {
            Self::Create(_) | Self::Stop { .. } | Self::Start { .. } | Self::Destroy { .. } => true,
            Self::Verify
            | Self::Check { .. }
            | Self::Regions
            | Self::Shop(_)
            | Self::Get { .. }
            | Self::List { .. }
            | Self::Bill { .. } => false,
        }
    }
}

/// Something that the credential must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Its name, as [`Request::Check`] takes it.
    pub name: &'static str,
    /// Whether nothing works without it.
    pub required: bool,
    /// What is missing without it, for people.
    pub without: &'static str,
}
