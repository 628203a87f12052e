//! What an isolate still has to tell its servers' objects: ended requests, given-back admissions,
//! renewals. They ride on the next ask to the same server, so that a warm request costs one hop; what
//! finds no ride within [`RIDE_MS`] is sent by itself.
//!
//! Lost with the isolate: then leases end by themselves after 60 s.

use std::collections::BTreeMap;

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::instance::{InstanceCommand, Settled, Turnover};

use crate::effect::Effect;

/// How long a release waits for a ride. Under load the next ask comes within a millisecond or two; a slot
/// held 20 ms longer costs less than a second hop for each request.
pub const RIDE_MS: u64 = 20;

/// Messages by instance.
#[derive(Default)]
pub struct Outbox {
    pending: BTreeMap<ObjectName, Turnover>,
}

impl Outbox {
    /// A request ended at a server.
    pub fn settle(&mut self, instance: &ObjectName, settled: Settled) {
        self.entry(instance).settled.push(settled);
    }

    /// An admission is given back.
    pub fn cancel(&mut self, instance: &ObjectName, request: &str) {
        self.entry(instance).cancelled.push(request.to_owned());
    }

    /// A lease is still in use.
    pub fn renew(&mut self, instance: &ObjectName, request: &str) {
        self.entry(instance).renewed.push(request.to_owned());
    }

    /// Everything for this server, to ride on a message that is about to be sent.
    pub fn board(&mut self, instance: &ObjectName) -> Turnover {
        self.pending.remove(instance).unwrap_or_default()
    }

    /// Everything that found no ride.
    pub fn drain(&mut self) -> Vec<Effect> {
        let pending = std::mem::take(&mut self.pending);
        let tell = |(to, turnover): (ObjectName, Turnover)| {
            let message =
                serde_json::to_string(&InstanceCommand::Turnover(turnover)).unwrap_or_default();
            Effect::Tell { to, message }
        };
        pending.into_iter().map(tell).collect()
    }

    fn entry(&mut self, instance: &ObjectName) -> &mut Turnover {
        self.pending.entry(instance.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_a_ride_is_not_sent_again() {
        let mut outbox = Outbox::default();
        let (a, b) = (
            ObjectName::instance("o", "a"),
            ObjectName::instance("o", "b"),
        );
        outbox.cancel(&a, "r1");
        outbox.renew(&b, "r2");
        assert_eq!(outbox.board(&a).cancelled, ["r1"]);
        assert_eq!(outbox.board(&a), Turnover::default());
        let message = r#"{"command":"turnover","renewed":["r2"]}"#.to_owned();
        assert_eq!(outbox.drain(), [Effect::Tell { to: b, message }]);
        assert_eq!(outbox.drain(), []);
    }
}
