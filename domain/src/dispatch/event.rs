//! What a dispatch hears and what it asks for.

use crate::outcome::{FailureKind, Outcome};
use crate::time::{Span, Timestamp};

/// A candidate by its place in the ranking.
pub type Slot = usize;

/// An attempt by its number, counted from zero.
pub type AttemptNo = usize;

/// A server that could take the request, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Candidates of one tier are equals; a later tier is a fallback.
    pub tier: u32,
    /// The vendor's own limit on silence before the first byte.
    pub first_token_cap: Option<Span>,
}

/// Limits of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Hard limit on the time to the first token of one attempt.
    pub first_token: Span,
    /// Longest silence between two chunks.
    pub idle: Span,
    /// Longest request in all, from its arrival.
    pub total: Span,
    /// Retries after the first attempt.
    pub max_retries: u32,
    /// Race a silent server after this long; `None` for requests that must not run twice.
    pub hedge_after: Option<Span>,
    /// Longest wait for a model whose servers are all full.
    pub model_wait: Span,
}

/// First try, retry or hedge: the server counts the latter two against its retry budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The first try.
    First,
    /// Another attempt failed.
    Retry,
    /// Another attempt is silent.
    Hedge,
}

/// How a server should answer an ask that it cannot grant at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Let it wait in the queue.
    Queue,
    /// Refuse.
    Tentative,
    /// Everything is ejected: let one through all the same.
    Panic,
}

/// Why a server refused, as far as it matters to what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The breaker took it out.
    Ejected,
    /// It asked for a pause.
    CoolingDown,
    /// No free slot now; it could queue. A lower score is less busy.
    Busy {
        /// The load score.
        score: u32,
    },
    /// Its queue is full too, or the wait in it was in vain.
    Full,
    /// It does not serve: unhealthy, draining, gone.
    OutOfService,
    /// Retries and hedges are above their share there.
    RetryBudgetSpent,
    /// The answer would come too late.
    TooLate,
    /// This second's panic request is taken.
    PanicSpent,
    /// The object that guards it did not answer.
    Unreachable,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The request is ready to go.
    Started,
    /// The key is within its limits.
    KeyAllowed,
    /// The key is over a limit.
    KeyDenied,
    /// A server took the request; a lower score is less busy.
    Granted {
        /// Which.
        slot: Slot,
        /// Its load score.
        score: u32,
    },
    /// A server refused.
    Refused {
        /// Which.
        slot: Slot,
        /// Why.
        refusal: Refusal,
        /// When asking again makes sense.
        retry_after: Option<Span>,
    },
    /// A slot is free there.
    WaitOver {
        /// Which.
        slot: Slot,
    },
    /// The long poll ended with nothing.
    WaitAgain,
    /// Too many wait already.
    WaitRefused {
        /// When asking again makes sense.
        retry_after: Span,
    },
    /// The server has begun to answer (its headers are here), but nothing can be sent yet.
    Answering {
        /// Which attempt.
        attempt: AttemptNo,
    },
    /// There is something valid to send.
    Ready {
        /// Which attempt.
        attempt: AttemptNo,
    },
    /// Part of the request is still on its way to the server: the time to the first token begins anew.
    Sending {
        /// Which attempt.
        attempt: AttemptNo,
    },
    /// The request's body has begun to pass through and is kept nowhere: no other attempt can be made.
    BodyGone,
    /// Another chunk came.
    Progress {
        /// Which attempt.
        attempt: AttemptNo,
    },
    /// The attempt is over. A [`Outcome::ClientError`] is the answer to the client.
    Ended {
        /// Which attempt.
        attempt: AttemptNo,
        /// How.
        outcome: Outcome,
    },
    /// The server lacks what was asked for, which another one of the model may have.
    Unserved {
        /// Which attempt.
        attempt: AttemptNo,
    },
    /// The client went away.
    ClientLeft,
}

/// Something for the host to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask a server for admission.
    Ask {
        /// Which.
        slot: Slot,
        /// For what.
        purpose: Purpose,
        /// How.
        manner: Manner,
        /// When the answer is worth nothing any more.
        deadline: Timestamp,
    },
    /// Give back an admission that was or may yet be granted.
    Cancel {
        /// Where.
        slot: Slot,
    },
    /// Wait for a free slot at any of the model's servers.
    Wait {
        /// Until when at most.
        deadline: Timestamp,
    },
    /// Stop waiting.
    StopWaiting,
    /// Send the request.
    Fetch {
        /// As this attempt.
        attempt: AttemptNo,
        /// To this server.
        slot: Slot,
    },
    /// Break an attempt off.
    Abort {
        /// Which.
        attempt: AttemptNo,
    },
    /// This attempt's answer goes to the client; from here on there is no other.
    Commit {
        /// Which.
        attempt: AttemptNo,
    },
    /// Report how an attempt ended to its server.
    Settle {
        /// Which attempt.
        attempt: AttemptNo,
        /// At which server.
        slot: Slot,
        /// How.
        outcome: Outcome,
        /// Time to the first token, if one came.
        first_token: Option<Span>,
        /// Time in all.
        duration: Span,
    },
    /// Answer with an error: nothing was sent yet.
    Fail(Failure),
    /// End the answer with an error: part of it was sent.
    Break {
        /// Which attempt.
        attempt: AttemptNo,
        /// Why.
        reason: BreakReason,
    },
    /// All is done.
    Finish,
}

/// Why an answer that has begun must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakReason {
    /// The server failed.
    Upstream(FailureKind),
    /// The request took longer than any may.
    Total,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The key is over a limit (the host knows which).
    KeyDenied,
    /// No server is in service.
    NoServer {
        /// When one may be.
        retry_after: Option<Span>,
    },
    /// Servers are in service, and full.
    Busy {
        /// When to come back.
        retry_after: Option<Span>,
    },
    /// Every server asked for a pause.
    Backpressure {
        /// The last status seen, if any was.
        status: u16,
        /// When to come back.
        retry_after: Option<Span>,
    },
    /// Every attempt failed.
    Upstream {
        /// The last failure.
        last: FailureKind,
        /// Attempts made.
        attempts: u32,
    },
    /// Out of time.
    TimedOut {
        /// Attempts made.
        attempts: u32,
    },
    /// The objects that guard the servers did not answer.
    Unreachable,
}
