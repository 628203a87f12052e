//! What an isolate still has to tell its servers' objects: ended requests, given-back admissions,
//! renewals. They ride on the next ask to the same server, so that a warm request costs one hop; what
//! finds no ride within [`RIDE_MS`] is sent by itself.
//!
//! Lost with the isolate: then leases end by themselves after 60 s.

use std::collections::BTreeMap;

use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::instance::{InstanceCommand, Settled, Turnover};
use tidegate_durable::bindings::key::{KeyCommand, KeySettled};

use crate::effect::Effect;

/// How long a release waits for a ride. Under load the next ask comes within a millisecond or two; a slot
/// held 20 ms longer costs less than a second hop for each request.
pub const RIDE_MS: u64 = 20;
const RIDE: Span = Span::from_ms(20);

/// Messages by receiver, each with the time of its oldest part.
#[derive(Default)]
pub struct Outbox {
    pending: BTreeMap<ObjectName, (Timestamp, Turnover)>,
    keys: BTreeMap<ObjectName, (Timestamp, Vec<KeySettled>)>,
    /// Something in it must not wait for a ride.
    is_urgent: bool,
}

impl Outbox {
    /// A request ended at a server.
    pub fn settle(&mut self, instance: &ObjectName, settled: Settled, now: Timestamp) {
        self.entry(instance, now).settled.push(settled);
    }

    /// An admission is given back.
    pub fn cancel(&mut self, instance: &ObjectName, request: &str, now: Timestamp) {
        self.entry(instance, now).cancelled.push(request.to_owned());
    }

    /// A lease is still in use.
    pub fn renew(&mut self, instance: &ObjectName, request: &str, now: Timestamp) {
        self.entry(instance, now).renewed.push(request.to_owned());
    }

    /// A request of a key with limits ended.
    pub fn settle_key(&mut self, key: &ObjectName, settled: KeySettled, now: Timestamp) {
        let (_, all) = self.keys.entry(key.clone()).or_insert((now, Vec::new()));
        all.push(settled);
    }

    /// Everything for this key, to ride on an admission.
    pub fn board_key(&mut self, key: &ObjectName) -> Vec<KeySettled> {
        self.keys.remove(key).unwrap_or_default().1
    }

    /// Everything for this server, to ride on a message that is about to be sent.
    pub fn board(&mut self, instance: &ObjectName) -> Turnover {
        self.pending.remove(instance).unwrap_or_default().1
    }

    /// What there is now leaves with the next flush.
    pub const fn hurry(&mut self) {
        self.is_urgent = true;
    }

    /// What found no ride in its time. The flush of one request must not take what another has only just
    /// left: under load it finds its ride a moment later. Its own flush is still to come.
    pub fn drain(&mut self, now: Timestamp) -> Vec<Effect> {
        let is_urgent = std::mem::take(&mut self.is_urgent);
        let is_due = |since: Timestamp| is_urgent || since > now || now.since(since) >= RIDE;
        let due = self.pending.extract_if(.., |_, (since, _)| is_due(*since));
        let tell = |(to, (_, turnover)): (ObjectName, (Timestamp, Turnover))| {
            let message =
                serde_json::to_string(&InstanceCommand::Turnover(turnover)).unwrap_or_default();
            Effect::Tell { to, message }
        };
        let mut effects: Vec<Effect> = due.map(tell).collect();
        for (to, (_, settled)) in self.keys.extract_if(.., |_, (since, _)| is_due(*since)) {
            effects.extend(settled.into_iter().map(|it| settle_key(to.clone(), it)));
        }
        effects
    }

    /// How long the oldest of what is left may still wait.
    pub fn next_flush(&self, now: Timestamp) -> Option<Span> {
        let servers = self.pending.values().map(|(since, _)| *since);
        let oldest = servers
            .chain(self.keys.values().map(|(since, _)| *since))
            .min()?;
        Some(now.until(oldest + RIDE).max(Span::from_ms(1)))
    }

    fn entry(&mut self, instance: &ObjectName, now: Timestamp) -> &mut Turnover {
        let fresh = || (now, Turnover::default());
        &mut self.pending.entry(instance.clone()).or_insert_with(fresh).1
    }
}

fn settle_key(to: ObjectName, settled: KeySettled) -> Effect {
    let command = KeyCommand::Settle {
        request: settled.request,
        used_tokens: settled.used_tokens,
        refund: false,
        visitor: settled.visitor,
    };
    let message = serde_json::to_string(&command).unwrap_or_default();
    Effect::Tell { to, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_ms(1_000_000);

    #[test]
    fn what_finds_a_ride_is_not_sent_again() {
        let mut outbox = Outbox::default();
        let (a, b) = (
            ObjectName::instance("o", "a"),
            ObjectName::instance("o", "b"),
        );
        outbox.cancel(&a, "r1", T0);
        outbox.renew(&b, "r2", T0);
        assert_eq!(outbox.board(&a).cancelled, ["r1"]);
        assert_eq!(outbox.board(&a), Turnover::default());
        let message = r#"{"command":"turnover","renewed":["r2"]}"#.to_owned();
        assert_eq!(outbox.drain(T0 + Span::from_ms(19)), []);
        assert_eq!(
            outbox.next_flush(T0 + Span::from_ms(19)),
            Some(Span::from_ms(1))
        );
        assert_eq!(outbox.drain(T0 + RIDE), [Effect::Tell { to: b, message }]);
        assert_eq!(
            (outbox.drain(T0 + RIDE), outbox.next_flush(T0)),
            (vec![], None)
        );
        outbox.cancel(&a, "r3", T0);
        outbox.hurry();
        assert_eq!(outbox.drain(T0).len(), 1);
    }
}
