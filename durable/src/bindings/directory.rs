//! `Directory`: every organisation and every account at a vendor there is. Where cron starts.

use serde::{Deserialize, Serialize};

/// A message to the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum DirectoryCommand {
    /// An organisation exists. Idempotent. Answer: `Done`.
    Enroll {
        /// The organisation.
        org: String,
    },
    /// An account at a vendor exists. Idempotent. Answer: `Done`.
    EnrollAccount {
        /// The organisation.
        org: String,
        /// The account.
        account: String,
    },
    /// An account is gone, with everything that it ever rented. Answer: `Done`.
    RetireAccount {
        /// The organisation.
        org: String,
        /// The account.
        account: String,
    },
    /// An account has listed every region of its vendor to its end. Answer: `Done`.
    Swept {
        /// The organisation.
        org: String,
        /// The account.
        account: String,
        /// When the oldest of these lists was begun, in milliseconds since the epoch.
        at_ms: i64,
    },
    /// Every account and its last sweep. Answer: [`AccountsReport`].
    Accounts,
    /// The minute is over: poke every fleet, and the accounts whose minute it is. Answer: [`CronReport`].
    Cron,
    /// Keep the minute by an alarm of the directory's own, for hosts without cron. Answer: `Done`.
    KeepTime,
}

/// What a cron run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronReport {
    /// Fleets poked.
    pub fleets: u32,
    /// Accounts poked.
    #[serde(default)]
    pub accounts: u32,
}

/// Every account of the installation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountsReport {
    /// They.
    pub accounts: Vec<EnrolledAccount>,
}

/// An account that is never forgotten while it exists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolledAccount {
    /// The organisation.
    pub org: String,
    /// The account.
    pub account: String,
    /// When it last listed everything, in milliseconds since the epoch.
    #[serde(default)]
    pub swept_at_ms: Option<i64>,
}
