//! What a batch of runs of renting has to have met at least once.

use crate::situations::situations;

situations! {
    /// A "create" got lost on its way.
    CreateLost,
    /// A "create" was done and its answer got lost.
    CreateAnswerLost,
    /// A "create" was answered with 500 and done.
    FailedButDid,
    /// A "create" was refused and done.
    RefusedButDid,
    /// A "create" arrived when nobody waited for it any more.
    CreateArrivedLate,
    /// A "create" was sent again with its token.
    CreateRepeated,
    /// One "create" made two machines.
    MadeTwice,
    /// Nobody knew whether an attempt had a machine.
    Ambiguous,
    /// It had one, which was found.
    Adopted,
    /// It had none, and the next offer was taken.
    NextOffer,
    /// A vendor had none.
    NoCapacity,
    /// A machine showed up after its instance was over.
    LateSighting,
    /// A second machine of an attempt was given back.
    TwinDestroyed,
    /// A machine with our mark that nobody knows turned up.
    Orphaned,
    /// It was given back.
    OrphanDestroyed,
    /// A machine with somebody else's mark turned up.
    Foreign,
    /// A rental's machine was gone and nobody had asked for it.
    Ghost,
    /// A spot machine was taken back.
    Preempted,
    /// What ran on a machine broke.
    Crashed,
    /// A machine ended itself by its timer.
    GuestTimer,
    /// A machine had fewer GPUs than were rented.
    GpuMissing,
    /// A machine did not come up in time.
    StartupTimeout,
    /// A machine was asked something under another one's token.
    TokenOfAnother,
    /// A machine called that nobody waits for.
    NotExpected,
    /// A machine's calls were missing.
    Suspect,
    /// Somebody stopped a machine in the vendor's console.
    StoppedOutside,
    /// Somebody started one there.
    StartedOutside,
    /// Somebody gave one back there.
    DeletedOutside,
    /// A machine was down and nobody was shown that before it went on.
    StopUnseen,
    /// A rental was stopped and came up again.
    StoppedAndStarted,
    /// It could not come up again.
    StartRefused,
    /// A rental ended because nobody used it.
    IdleEnd,
    /// A rental ended because it had lived long enough.
    MaxLifetime,
    /// A rental ended with its reservation.
    ReservationEnd,
    /// A rental was stopped by a stop window.
    StopWindow,
    /// A rental ended because nothing could be rented.
    NothingToRent,
    /// A rental was ready.
    Ready,
    /// A rental was ready where nothing here can reach it.
    Unreachable,
    /// An advance was refused.
    AdvanceDenied,
    /// A launch was refused for its budget.
    LaunchDenied,
    /// A rental that ran ended for its budget.
    CapReached,
    /// Of two launches at once only one fitted into a budget.
    CapRace,
    /// The vendor fell silent as a budget was nearly spent.
    SilentAtCap,
    /// A budget that had refused was raised, and what it had refused was granted.
    BudgetRaised,
    /// A machine cost something else than was offered, later on.
    PriceChanged,
    /// The ledger did not say in time that a rental may go on.
    LedgerSilent,
    /// A vendor let nobody in.
    CredentialRefused,
    /// It did again, and a machine was given back after that.
    LetInAgain,
    /// An account took another credential.
    Rotated,
    /// An account did not take another credential.
    RotationRefused,
    /// An account was removed.
    AccountRemoved,
    /// An account was not removed.
    RemovalRefused,
    /// A vendor was asked too often.
    TooManyCalls,
    /// A list did not show a machine that was there.
    ListHidAMachine,
    /// A whole list was of some time ago.
    OldList,
    /// A whole list showed nothing although there was something.
    EmptyList,
    /// A whole list showed half of what there was.
    HalfList,
    /// It was not believed: a living machine went on.
    ListDisbelieved,
    /// A machine came twice in a list.
    DoubleInList,
    /// A vendor said that a machine was not there, which was.
    DeniedAMachine,
    /// A machine was in a state that nobody knows.
    OddState,
    /// A vendor accepted the order to end a machine, and forgot it.
    EndIgnored,
    /// A machine did not end until all faults were over.
    EndTakesForEver,
    /// An account was evicted while a call was under way.
    EvictedWithCall,
    /// An account was evicted after it had written that a call leaves and before it left.
    EvictedBeforeCall,
    /// Writes that were not yet on disk were lost.
    CommitLost,
    /// A turn failed and was rolled back.
    TurnRolledBack,
    /// An alarm was lost and set again.
    LostAlarmHealed,
    /// An alarm rang twice.
    AlarmTwice,
    /// A fact was delivered twice.
    DuplicateDelivery,
    /// The vendor's bill was posted.
    Billed,
    /// A request was served by what was rented.
    Served,
}
