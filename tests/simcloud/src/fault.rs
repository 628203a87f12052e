//! What can go wrong with a call, as tests order it. Invariant: a fault that parses can be played.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::machine::Stuck;

/// What happens to a call.
///
/// Variants without fields are empty structs: for unit variants serde lets unknown fields pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// It is done, and the connection closed without an answer.
    ReplyLost {},
    /// The connection is closed, and nothing done.
    Close {},
    /// There is no answer, ever.
    Hang {
        /// Whether it is done all the same.
        #[serde(default = "yes")]
        done: bool,
    },
    /// The answer comes so much later, on the wall clock.
    Delay {
        /// How much.
        ms: u32,
    },
    /// Half of the answer comes, then the connection ends.
    Truncated {},
    /// An answer of one's own.
    Status {
        /// Its status.
        status: u16,
        /// Whether it is done all the same.
        #[serde(default)]
        done: bool,
        /// A string goes out as it is, anything else as JSON; `None` = as the vendor words such a status.
        #[serde(default)]
        body: Option<Value>,
        /// Headers, such as `["Retry-After", "3"]`.
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// A page of HTML, as from a proxy in front of the vendor.
    Html {
        /// Its status.
        #[serde(default = "unavailable")]
        status: u16,
    },
    /// Too many calls, as the vendor words it.
    RateLimited {
        /// `Retry-After`; `None` = no such header. EC2 never sends one.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// The key does not count any more.
    TokenExpired {},
    /// The key may not do that.
    Denied {},
    /// There is no such machine, says the answer.
    NotFound {},

    /// There are none to rent.
    NoCapacity {},
    /// No more may be rented.
    NoQuota {},
    /// Two machines come of one create.
    Duplicate {},
    /// The machine never boots.
    NeverBoots {
        /// How far it comes.
        #[serde(default)]
        at: Stuck,
    },
    /// The machine boots so much later, on the cloud's clock.
    SlowBoot {
        /// How much.
        ms: u32,
    },
    /// The machine fails instead of booting.
    BootFails {
        /// Why, as EC2's `stateReason` has it.
        #[serde(default = "internal_error")]
        reason: String,
    },
    /// The machine comes up, or up again, with so many GPUs; all are paid for.
    Gpus {
        /// How many.
        count: u32,
    },

    /// A stop or termination takes so much longer, on the cloud's clock.
    Slow {
        /// How much.
        ms: u32,
    },
    /// A stop or termination is accepted, and nothing happens; nor does it when it is asked for again, unless
    /// the rule is over.
    NeverEnds {},
    /// A termination is accepted, the machine is gone from every answer, and runs and costs on.
    BillsOn {},

    /// The list is so old: newer machines are missing, gone ones are there.
    Stale {
        /// How old, on the cloud's clock.
        ms: u32,
    },
    /// The list is empty.
    EmptyList {},
    /// The first page promises a second, and the second fails.
    PartialList {},
    /// Pages have so many entries at most.
    SmallPages {
        /// How many.
        size: usize,
    },
    /// Each page but the first begins with the last entry of the one before.
    OverlappingPages {},
    /// A word for a state that nobody knows.
    WrongState {
        /// Which.
        word: String,
    },
    /// Prices are no prices.
    BadPrice {
        /// How.
        how: BadPrice,
    },
    /// Bills lack the last stretch of time, on the cloud's clock.
    BillLag {
        /// How much.
        ms: u32,
    },
}

/// How a price is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadPrice {
    /// The field is not there.
    Missing,
    /// `null`.
    Null,
    /// Below nothing.
    Negative,
    /// Nothing.
    Zero,
    /// A string where RunPod has a number; a word where AWS has a number in a string.
    Text,
}

fn yes() -> bool {
    true
}

fn unavailable() -> u16 {
    503
}

fn internal_error() -> String {
    String::from("Server.InternalError")
}

impl Fault {
    /// The word in `do`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ReplyLost {} => "reply_lost",
            Self::Close {} => "close",
            Self::Hang { .. } => "hang",
            Self::Delay { .. } => "delay",
            Self::Truncated {} => "truncated",
            Self::Status { .. } => "status",
            Self::Html { .. } => "html",
            Self::RateLimited { .. } => "rate_limited",
            Self::TokenExpired {} => "token_expired",
            Self::Denied {} => "denied",
            Self::NotFound {} => "not_found",
            Self::NoCapacity {} => "no_capacity",
            Self::NoQuota {} => "no_quota",
            Self::Duplicate {} => "duplicate",
            Self::NeverBoots { .. } => "never_boots",
            Self::SlowBoot { .. } => "slow_boot",
            Self::BootFails { .. } => "boot_fails",
            Self::Gpus { .. } => "gpus",
            Self::Slow { .. } => "slow",
            Self::NeverEnds {} => "never_ends",
            Self::BillsOn {} => "bills_on",
            Self::Stale { .. } => "stale",
            Self::EmptyList {} => "empty_list",
            Self::PartialList {} => "partial_list",
            Self::SmallPages { .. } => "small_pages",
            Self::OverlappingPages {} => "overlapping_pages",
            Self::WrongState { .. } => "wrong_state",
            Self::BadPrice { .. } => "bad_price",
            Self::BillLag { .. } => "bill_lag",
        }
    }
}
