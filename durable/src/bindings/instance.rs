//! `Instance`: one server. Called by the edge (admit, release), by `Fleet` (configure, tick) and by
//! `Model` (demand).

use serde::{Deserialize, Serialize};

use super::rental::{CallHome, Launch, RentalVerb, VendorFact};

/// What a server is, as its registry entry says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// Counts the changes of this entry; an older one never overwrites a newer.
    pub generation: u64,
    /// The model it serves, as the server itself names it.
    pub model: String,
    /// Its base URL, already through the gate.
    pub endpoint_url: String,
    /// Its own API key, sealed.
    #[serde(default)]
    pub sealed_api_key: Option<String>,
    /// Requests it may run at once.
    pub max_concurrency: u32,
    /// Requests that may wait for it.
    pub queue_depth: u32,
}

/// A message to an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum InstanceCommand {
    /// The hot message: gives back what ended, and asks for admission.
    Turnover(Turnover),
    /// Becomes, or stays, what the registry says. Answer: [`Done`].
    Configure {
        /// The entry.
        spec: InstanceSpec,
        /// The result of the check that registration made, so that the first minute is not blind.
        #[serde(default)]
        first_check: Option<CheckReport>,
        /// The reliability policy now in force.
        policy: super::fleet::ReliabilityPolicy,
    },
    /// The registry entry is gone: forget everything. Answer: [`Done`].
    Remove {
        /// Generation of the removal.
        generation: u64,
    },
    /// Stop admitting; running requests finish. Answer: [`Done`].
    Drain,
    /// Admit again. Answer: [`Done`].
    Resume,
    /// Check the server now and answer with the result: [`InstanceView`].
    HealthCheck,
    /// Everything there is to know: [`InstanceView`].
    Describe,
    /// Run what is due; re-arms a lost alarm. Answer: [`Done`].
    Tick,
    /// Requests wait for this model: tell the `Model` object when a slot frees up, until the given time.
    Demand {
        /// The model, as clients name it (the `Model` object's name).
        model: String,
        /// When the interest ends by itself.
        until_ms: i64,
    },
    /// Rents a GPU and becomes the server on it. Answer: [`Done`].
    Launch(Box<Launch>),
    /// Somebody asks something of a rented GPU. Answer: [`super::rental::RentalAnswer`].
    Do {
        /// What.
        verb: RentalVerb,
        /// Who, for the audit.
        actor: String,
    },
    /// Its account has learned something. Answer: [`Done`].
    Heard {
        /// Makes a repeated delivery harmless.
        event_id: String,
        /// Orders what one account has learned of this instance.
        sequence: u64,
        /// When the account learned it, in milliseconds since the epoch.
        at_ms: i64,
        /// Which attempt it is about.
        attempt: u32,
        /// What.
        fact: VendorFact,
    },
    /// The rented machine calls. Answer: [`super::rental::CallHomeAnswer`].
    CallHome(CallHome),
    /// Everything there is to know about the rental: [`super::rental::RentalAnswer`].
    Rental,
    /// What happened to the rental: [`super::rental::RentalEvents`].
    Events {
        /// At most this many.
        limit: u32,
        /// Only events with a smaller number.
        #[serde(default)]
        before: Option<u64>,
    },
    /// The policy changed. Answer: [`Done`].
    Policy {
        /// The numbers.
        policy: super::fleet::ReliabilityPolicy,
    },
}

/// Everything one call to an instance carries on the inference path, so that a warm request costs one
/// blocking hop: releases of earlier requests ride on the next admission.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turnover {
    /// Ended requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<Settled>,
    /// Requests that gave up before they were used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancelled: Vec<String>,
    /// Leases to prolong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renewed: Vec<String>,
    /// A request for admission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Ask>,
}

/// A request for admission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The request's id; the same id gets the same lease.
    pub request: String,
    /// Higher goes first.
    #[serde(default)]
    pub priority: u8,
    /// When the request reached the gateway.
    pub arrived_at_ms: i64,
    /// When its answer is worth nothing any more.
    pub deadline_ms: i64,
    /// Who pays for it: `key/{id}`, or `anonymous`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// First try, retry or hedge.
    pub kind: AskKind,
    /// How to answer when there is no free slot.
    pub mode: AskMode,
    /// Version of the policy that the asking isolate knows; a newer one makes the instance fetch it.
    #[serde(default)]
    pub policy_version: u64,
}

/// First try, retry or hedge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskKind {
    /// The first try of a request.
    First,
    /// Another server failed it.
    Retry,
    /// Another server is silent.
    Hedge,
}

/// How to answer when there is no free slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskMode {
    /// Wait in the queue.
    Normal,
    /// Grant now or refuse.
    Tentative,
    /// Everything is ejected: let one through all the same.
    Panic,
}

/// How a request ended at this server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// The request.
    pub request: String,
    /// The verdict.
    pub outcome: OutcomeWire,
    /// Milliseconds to the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// Milliseconds from admission to the end.
    pub duration_ms: u64,
    /// Tokens read.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens written.
    #[serde(default)]
    pub completion_tokens: u64,
}

/// What an ended request says about the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum OutcomeWire {
    /// A whole answer.
    Success,
    /// The server refused the request for the client's own fault.
    ClientError {
        /// HTTP status.
        status: u16,
    },
    /// 429 or 503: alive and busy.
    Backpressure {
        /// HTTP status.
        status: u16,
        /// What the server asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// The server's fault.
    Failure {
        /// Which.
        kind: FailureWire,
    },
    /// The client went away; says nothing.
    ClientLeft,
    /// Never used (the loser of two).
    Cancelled,
}

/// A server's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureWire {
    /// A 5xx other than 503.
    Http5xx,
    /// The connection failed or broke.
    Transport,
    /// No first token in time.
    Timeout,
    /// Silence in the middle.
    Stalled,
    /// The stream ended without its end.
    CutStream,
    /// The answer is not what the route promises.
    InvalidAnswer,
}

/// The answer to a [`Turnover`] with an ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum AskAnswer {
    /// Go ahead.
    Granted {
        /// When the lease ends unless renewed.
        lease_until_ms: i64,
        /// Requests running here, this one included.
        running: u32,
        /// Requests waiting here.
        queued: u32,
        /// Requests that may run here at once.
        capacity: u32,
        /// The load score by which two servers compare; lower is better. Counts recent failures.
        score: u32,
    },
    /// Not here, not now.
    Denied {
        /// Why.
        denied: DeniedWire,
        /// When asking again makes sense.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// No ask was made.
    Noted,
}

/// Why a server does not take a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum DeniedWire {
    /// The breaker took it out (also while its one probe is under way).
    Ejected {
        /// Since when.
        since_ms: i64,
        /// Until when.
        until_ms: i64,
        /// What tripped it.
        reason: String,
    },
    /// It asked for a pause.
    CoolingDown {
        /// Until when.
        until_ms: i64,
    },
    /// Its health checks fail.
    Unhealthy {
        /// Since when.
        since_ms: i64,
        /// The last check's words.
        reason: String,
    },
    /// It is being emptied.
    Draining,
    /// No free slot (a tentative ask never waits).
    Busy {
        /// Load score.
        score: u32,
    },
    /// Slots and queue are full.
    QueueFull {
        /// Requests waiting.
        depth: u32,
    },
    /// Waited as long as it may.
    QueueTimeout,
    /// Retries and hedges are above their share.
    RetryBudgetSpent,
    /// The answer would come too late.
    DeadlineTooShort,
    /// This second's panic request is taken.
    PanicSpent {
        /// When the next may come.
        until_ms: i64,
    },
    /// No such server (yet, or any more).
    NotRegistered,
}

/// A plain acknowledgement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// One health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// When.
    pub at_ms: i64,
    /// Whether the server answered as it should.
    pub ok: bool,
    /// How long it took.
    pub latency_ms: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Everything there is to know about a server now; times in milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceView {
    /// `active`, `draining`, `drained` or `unregistered`.
    pub phase: String,
    /// Whether a request would be considered now.
    pub in_service: bool,
    /// Why not, since and until when.
    #[serde(default)]
    pub why_out: Option<WhyOutView>,
    /// `healthy`, `unhealthy` or `unknown`.
    pub health: String,
    /// Oldest first, at most 100.
    pub checks: Vec<CheckReport>,
    /// Share of good checks in the ring.
    pub success_rate: Option<f64>,
    /// Mean of good checks in the ring.
    pub mean_latency_ms: Option<f64>,
    /// Breaker: `admitting`, `ejected` or `probing`.
    pub breaker: String,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Ejections in a row.
    pub ejections: u32,
    /// Requests running.
    pub running: u32,
    /// Requests waiting.
    pub queued: u32,
    /// Requests that may run.
    pub capacity: u32,
    /// Requests that may wait.
    pub queue_depth: u32,
    /// Who runs, since when, until when.
    pub leases: Vec<LeaseView>,
    /// Mean time to first token, recent requests weighing more.
    pub first_token_ewma_ms: Option<f64>,
    /// Mean duration, recent requests weighing more.
    pub duration_ewma_ms: Option<f64>,
    /// Totals since registration.
    pub totals: TotalsView,
}

/// Why a server is out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyOutView {
    /// In words.
    pub reason: String,
    /// Since when.
    #[serde(default)]
    pub since_ms: Option<i64>,
    /// Until when, if that is known.
    #[serde(default)]
    pub until_ms: Option<i64>,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseView {
    /// The request.
    pub request: String,
    /// Granted when.
    pub granted_at_ms: i64,
    /// Ends when, unless renewed.
    pub expires_at_ms: i64,
    /// `normal`, `probe` or `panic`.
    pub kind: String,
}

/// Counters since registration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsView {
    /// Requests that ended here.
    pub requests: u64,
    /// Whole answers.
    pub successes: u64,
    /// Refused for the client's fault.
    pub client_errors: u64,
    /// 429 and 503.
    pub backpressure: u64,
    /// The server's faults.
    pub failures: u64,
    /// Clients that went away.
    pub client_left: u64,
    /// Leases that nobody returned.
    pub leases_expired: u64,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
}
