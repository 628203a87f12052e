//! What a batch of runs has to have met at least once: a property that was never put to the test proves
//! nothing.

macro_rules! situations {
    ($($(#[doc = $doc:literal])* $name:ident),+ $(,)?) => {
        /// A situation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Situation { $($(#[doc = $doc])* $name),+ }

        impl Situation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

situations! {
    /// A breaker took a server out.
    Ejection,
    /// An ejected server's probe was granted.
    ProbeGranted,
    /// A probe ended without a word on the server.
    ProbeLost,
    /// A request was let through under the panic rule.
    PanicGrant,
    /// A request waited in a server's queue.
    Queueing,
    /// Its wait there was in vain.
    QueueExpiry,
    /// A lease ran out.
    LeaseExpiry,
    /// A request in the waiting room was sent to a server.
    WaitThenGo,
    /// A race was won by the second server.
    HedgeWon,
    /// A race was won by the first.
    HedgeLost,
    /// Another attempt after a failure.
    Retry,
    /// A retry or hedge was over its share.
    RetryBudgetRefused,
    /// A server asked for a pause and was left alone.
    CoolDown,
    /// A key was over a limit.
    KeyDenied,
    /// A client left before a server was asked.
    LeftBeforeAttempt,
    /// A client left while a server was silent.
    LeftBeforeFirstByte,
    /// A client left in the middle of its stream.
    LeftMidStream,
    /// An object was evicted while somebody waited for its answer.
    EvictedWithPoll,
    /// A server's object was evicted while requests ran.
    EvictedWithLeases,
    /// Writes that were not yet on disk were lost.
    CommitLost,
    /// An object's alarm was lost and set again.
    LostAlarmHealed,
    /// A fact was delivered twice.
    DuplicateDelivery,
    /// A stream was cut after its first byte.
    CutAfterFirstByte,
    /// A stream fell silent after its first byte.
    StalledStream,
    /// Failed checks took a server out.
    UnhealthyByChecks,
    /// Good checks put it back.
    RecoveredByChecks,
    /// A request was routed by an outdated snapshot because no newer one could be had.
    LastKnownGood,
    /// An isolate ended with requests open.
    IsolateLost,
    /// A turn failed and was rolled back.
    TurnRolledBack,
    /// A whole answer reached its client.
    Answered,
    /// A whole stream reached its client.
    Streamed,
}

/// How often each was met.
#[derive(Clone, Debug, Default)]
pub struct Situations {
    counts: std::collections::BTreeMap<Situation, u64>,
}

impl Situations {
    /// Met once more.
    pub fn met(&mut self, situation: Situation) {
        *self.counts.entry(situation).or_default() += 1;
    }

    /// Another run's counts.
    pub fn add(&mut self, other: &Self) {
        for (situation, count) in &other.counts {
            *self.counts.entry(*situation).or_default() += count;
        }
    }

    /// How often.
    pub fn count(&self, situation: Situation) -> u64 {
        self.counts.get(&situation).copied().unwrap_or(0)
    }

    /// What was never met.
    pub fn missing(&self) -> Vec<Situation> {
        let never = |situation: &&Situation| self.count(**situation) == 0;
        Situation::ALL.iter().filter(never).copied().collect()
    }
}
