//! What a batch of runs of the gateway has to have met at least once.

use crate::situations::situations;

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
