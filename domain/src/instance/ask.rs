//! The command: may this request use the server?

use crate::ids::RequestId;
use crate::time::{Span, Timestamp};

/// A request asks to use the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which request; the same through every attempt.
    pub request: RequestId,
    /// Higher goes first.
    pub priority: u8,
    /// When the request reached the gateway: it keeps its place when it asks again.
    pub arrived_at: Timestamp,
    /// When its client no longer waits.
    pub deadline: Timestamp,
    /// The least time an answer takes: with less than this left, starting is pointless.
    pub least_service: Span,
    /// First attempt or another one.
    pub kind: AskKind,
    /// What to do when there is no slot, or the server is out.
    pub mode: AskMode,
}

/// Which attempt it is. Retries and hedges draw on the retry budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskKind {
    /// The first attempt of its request.
    First,
    /// After another server failed it.
    Retry,
    /// Beside another server that is silent.
    Hedge,
}

/// How the request wants to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskMode {
    /// Grant, or wait in the queue.
    Normal,
    /// Grant now or deny: two servers are asked side by side and one of them is cancelled.
    Tentative,
    /// Every server was denied as ejected: grant even so, if none was granted within a second.
    Panic,
}

/// How a lease was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantKind {
    /// Capacity was free.
    Normal,
    /// As the one probe of an ejected server. A caller that chose between two tentative grants should
    /// keep this one: nothing else re-admits the server.
    Probe,
    /// Under the panic rule.
    Panic,
    /// Perhaps to be cancelled.
    Tentative,
}

/// What an ask comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A new lease.
    Grant(GrantKind),
    /// The request has its lease already.
    AlreadyGranted,
    /// A place in the queue.
    Enqueue,
    /// The request waits already.
    AlreadyQueued,
}

/// How busy the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Leases live.
    pub running: u32,
    /// Requests waiting.
    pub queued: u32,
    /// Requests at a time.
    pub capacity: u32,
    /// How badly it went lately, 0 to 1000 (about to be ejected). Zero in a probe's grant: the probe
    /// must not lose to another server, or this one never comes back.
    pub strain_permille: u32,
}

impl Load {
    /// For comparing servers, lower is better: occupied share in thousandths plus the strain. A server
    /// that fails fast has nothing running; the strain is what keeps it from looking idle.
    pub fn score(&self) -> u64 {
        let busy = u64::from(self.running) + u64::from(self.queued);
        busy * 1000 / u64::from(self.capacity.max(1)) + u64::from(self.strain_permille)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_the_share_in_use_and_the_strain() {
        let load = Load {
            running: 3,
            queued: 1,
            capacity: 8,
            strain_permille: 0,
        };
        assert_eq!(load.score(), 500);
        let strained = Load {
            strain_permille: 40,
            ..load
        };
        assert_eq!(strained.score(), 540);
        let no_room = Load {
            capacity: 0,
            ..load
        };
        assert_eq!(no_room.score(), 4000);
    }
}
