//! `Directory`: every organisation there is. Where cron starts.

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
    /// The minute is over: poke every fleet. Answer: [`CronReport`].
    Cron,
    /// Keep the minute by an alarm of the directory's own, for hosts without cron. Answer: `Done`.
    KeepTime,
}

/// What a cron run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronReport {
    /// Fleets poked.
    pub fleets: u32,
}
