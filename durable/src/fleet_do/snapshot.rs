//! The routing snapshot: everything the edge needs, at one version, serialised once.
//!
//! Invariant: the cached text belongs to the current version or is not used. Every isolate asks every few
//! seconds and a snapshot of 1,000 servers is about half a megabyte of JSON, so it is made once a version.

use super::Fleet;
use crate::bindings::fleet::{Snapshot, SnapshotAnswer};
use crate::driver::encode;
use crate::ports::StoreError;
use crate::records::fleet::ServerRecord;

/// The last snapshot that was made, as the answer to [`crate::bindings::fleet::FleetCommand::Snapshot`].
#[derive(Default)]
pub(super) struct Cached {
    version: u64,
    answer: String,
}

impl Fleet {
    pub(super) fn snapshot(&mut self, known_version: u64) -> Result<String, StoreError> {
        if known_version == self.meta.version {
            return encode("snapshot", &SnapshotAnswer::Unchanged);
        }
        if self.snapshot.version != self.meta.version {
            let snapshot = Snapshot {
                version: self.meta.version,
                servers: self
                    .servers
                    .values()
                    .map(ServerRecord::in_snapshot)
                    .collect(),
                routes: self.routes.clone(),
                policy: self.policy.clone(),
                anonymous: self.shown_anonymous(),
            };
            self.snapshot = Cached {
                version: self.meta.version,
                answer: encode("snapshot", &SnapshotAnswer::Fresh { snapshot })?,
            };
        }
        Ok(self.snapshot.answer.clone())
    }
}
