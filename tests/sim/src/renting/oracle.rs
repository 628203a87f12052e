//! What is known to be true, from what happens at the vendors and from committed turns, never from what the
//! code says of itself.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::turn::EffectId;
use tidegate_provider_api::Machine;

/// An attempt: organisation, instance and number.
pub type AttemptKey = (String, String, u32);

/// What is known of an attempt.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    /// The account that was to rent.
    pub account: Option<ObjectName>,
    /// When its "create" last left.
    pub sent_at: Option<i64>,
    /// Times that it left.
    pub sends: u32,
    /// Of these, those that have not certainly failed.
    pub doubts: u32,
    /// The vendor has certainly refused it.
    pub is_refused: bool,
    /// Machines that were made of it.
    pub made: u32,
}

/// What a call is about whose answer is awaited.
#[derive(Clone, Debug)]
pub enum Asked {
    /// A machine.
    Create(AttemptKey),
    /// A page of a list.
    Page {
        region: String,
        is_first: bool,
        at: i64,
        /// It only tries another credential: what it shows is nobody's knowledge.
        is_trial: bool,
    },
    /// Anything else.
    Other,
}

/// A list that is being read.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// Since when.
    pub begun_at: i64,
    /// Whether it only tries another credential.
    pub is_trial: bool,
    /// What it showed, until it is whole.
    pub machines: Vec<Machine>,
    /// Markers that it showed.
    pub shown: BTreeSet<String>,
}

/// What was promised of a cost window.
#[derive(Clone, Debug, Default)]
pub struct Paid {
    /// Until when it may be billed, in true time.
    pub until: Option<i64>,
    /// What it was when it was promised, in micro-dollars an hour.
    pub rate: u64,
    /// The last answer was no.
    pub is_denied: bool,
}

/// How long something has been as it should not be for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ill {
    /// Billed, and no record knows it.
    Unknown,
    /// Billed, wanted by nobody, and not told to end.
    Unwanted,
    /// Billed, and its instance says that it is over.
    Over,
    /// Billed, and not paid ahead.
    Unpaid,
    /// One of two.
    Twin,
}

/// A cap of a budget.
#[derive(Clone, Debug, Default)]
pub struct Cap {
    /// What holds, in micro-dollars.
    pub cap: Option<u64>,
    /// What had been promised when it was last lowered.
    pub promised: u64,
    /// It has refused something.
    pub has_refused: bool,
    /// It was raised after that.
    pub was_raised: bool,
}

/// Everything that is known.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    /// Attempts.
    pub attempts: BTreeMap<AttemptKey, Attempt>,
    /// Calls whose answers are awaited.
    pub asked: BTreeMap<(ObjectName, EffectId), Asked>,
    /// Lists that are being read, by account and region.
    pub walks: BTreeMap<(ObjectName, String), Walk>,
    /// Lists that were read to their end, by account.
    pub lists: BTreeMap<ObjectName, Vec<Walk>>,
    /// Promises by organisation and window.
    pub paid: BTreeMap<(String, String), Paid>,
    /// Since when machines are as they should not be for long.
    pub ills: BTreeMap<(usize, Ill), i64>,
    /// Machines that were an instance's.
    pub adopted: BTreeSet<usize>,
    /// Machines that some answer showed alive.
    pub sighted: BTreeSet<usize>,
    /// Machines whose end some answer showed.
    pub end_seen: BTreeSet<usize>,
    /// Machines that went down and on without an answer in between, or of which an answer was not true.
    pub missed: BTreeSet<usize>,
    /// The run that each machine was in when it was last shown, and whether it was down.
    pub last_shown: BTreeMap<usize, (Option<i64>, bool)>,
    /// Orders to give a machine back that its account has taken: since when.
    pub orders: BTreeMap<usize, i64>,
    /// The highest number of an order, by marker.
    pub acts: BTreeMap<String, u64>,
    /// Caps of the first organisation by scope.
    pub caps: BTreeMap<String, Cap>,
    /// The highest revision of a statement that was committed, by organisation and window.
    pub revisions: BTreeMap<(String, String), u64>,
    /// How far clocks have jumped, in all.
    pub jumps_ms: i64,
    /// Machines of which their vendor has said, asked by their id, that they are not there, which they were.
    pub denied: BTreeSet<usize>,
    /// Customer accounts that let nobody in at some time.
    pub locked: BTreeSet<usize>,
    /// Launches that were refused for their budget, and when.
    pub refused_launches: Vec<i64>,
    /// Instances that got to be ready, and when they were last stopped.
    pub stopped: BTreeSet<String>,
}

impl Oracle {
    /// An attempt.
    pub fn attempt(&mut self, key: &AttemptKey) -> &mut Attempt {
        self.attempts.entry(key.clone()).or_default()
    }
}
