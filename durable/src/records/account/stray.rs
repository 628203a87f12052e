//! A machine that nobody owns, as a row, with what it costs.

use serde::{Deserialize, Serialize};
use tidegate_domain::time::Timestamp;
use tidegate_domain::vendor::stray::{Stray, Watch};
use tidegate_provider_api::Machine;

use super::machines::StrayDef;
use crate::bindings::ledger::SegmentRow;

/// A stray.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrayRow {
    /// What is known and done.
    #[serde(with = "StrayDef")]
    pub stray: Stray,
    /// The machine as it was last seen.
    pub machine: Machine,
    /// The region whose list shows it.
    pub listed_in: String,
    /// What it costs, since when.
    #[serde(default)]
    pub segments: Vec<SegmentRow>,
    /// What the vendor says that it cost.
    #[serde(default)]
    pub billed_microusd: Option<u64>,
}

impl StrayRow {
    /// When it cost something for the last time, once it is gone.
    pub const fn closed_at(&self) -> Option<Timestamp> {
        match self.stray.watch {
            Watch::Gone { closed_at, .. } => Some(closed_at),
            Watch::Noticed | Watch::Missing | Watch::Ending { .. } => None,
        }
    }

    /// Since when it costs something, as far as anybody knows.
    pub fn costs_since(&self) -> Timestamp {
        let first = self.segments.first();
        first.map_or(self.stray.first_seen, |first| {
            Timestamp::from_ms(first.from_ms)
        })
    }

    /// From now on it costs this; whether that is news.
    pub fn costs(&mut self, from: Timestamp, microusd_per_hour: u64) -> bool {
        let last = self.segments.last();
        if last.is_some_and(|last| last.microusd_per_hour == microusd_per_hour) {
            return false;
        }
        self.segments.push(SegmentRow {
            from_ms: from.as_ms(),
            microusd_per_hour,
        });
        true
    }
}
