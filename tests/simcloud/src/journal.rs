//! Every API call, as it ended. Invariant: an entry is written once the call has done what it does, also when
//! its answer is never sent; ids grow and are never used twice. No header and no body is kept: they hold keys.

use std::collections::VecDeque;

use serde::Serialize;

use crate::clock::Millis;
use crate::machine::Vendor;

const KEPT: usize = 50_000;

/// One call.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Grows by one.
    pub id: u64,
    /// On the cloud's clock.
    pub at_ms: Millis,
    /// On the wall clock.
    pub wall_ms: Millis,
    /// Whose API.
    pub vendor: Vendor,
    /// As the vendor calls it: `createPod`, `RunInstances`.
    pub operation: String,
    /// What it comes to: `create`, `list`…
    pub kind: &'static str,
    /// `POST /v2/pods`.
    pub request: String,
    /// Whose key it came with.
    pub account: Option<String>,
    /// EC2's region.
    pub region: Option<String>,
    /// Ids of the machines that were made or meant.
    pub machines: Vec<String>,
    /// The name that was given or found.
    pub name: Option<String>,
    /// The status that was or would have been answered.
    pub status: u16,
    /// The vendor's word for what is wrong.
    pub error: Option<String>,
    /// The faults that it met.
    pub faults: Vec<&'static str>,
    /// Whether an answer goes out.
    pub answered: bool,
}

/// The newest entries.
#[derive(Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
    next: u64,
}

impl Journal {
    /// Writes an entry down; its id is given here.
    pub fn note(&mut self, mut entry: Entry) {
        entry.id = self.next;
        self.next += 1;
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Entries with `id >= since`.
    pub fn since(&self, since: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.id >= since)
    }

    /// The id of the next entry.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Forgets all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
