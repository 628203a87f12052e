//! Callers without a key, where the organisation `default` has them: each address has limits of its own.
//!
//! An address is believed only as the installation says: by the header that its platform or proxy sets
//! (`CLIENT_ADDRESS_HEADER`). Without one nothing that a request says is believed, and all share one place.
//!
//! Invariant: no address is stored, logged or part of a name. What stands for it is a MAC, whose first byte
//! chooses the shard. A forged header moves its sender nowhere: it is not read, or it is overwritten by who is
//! believed; of a list the last address counts, which the nearest proxy added.

use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::KeyRecord;
use tidegate_durable::bindings::key::KeyLimits;
use tidegate_vault::Purpose;

use crate::auth::{Caller, Scope};
use crate::flow::Step;
use crate::gateway::Cx;
use crate::models::with_routing;
use crate::snapshot::Routing;

/// Whose a request without a key is.
const ORGANISATION: &str = "default";
/// The key id of all of them, in logs and totals.
const KEY: &str = "anonymous";
/// A fixed number, so that whoever turns up creates no object. One shard answers some hundred a second.
const SHARDS: u8 = 32;

/// Somebody without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    shard: u8,
    tag: String,
}

impl Caller {
    /// The object that keeps its limits.
    pub fn limits_object(&self) -> ObjectName {
        match &self.visitor {
            None => ObjectName::key(&self.org, &self.key.id),
            Some(visitor) => ObjectName::key(&self.org, &format!("{KEY}-{}", visitor.shard)),
        }
    }

    /// Whose limits, where that object keeps those of many.
    pub fn visitor_tag(&self) -> Option<String> {
        self.visitor.as_ref().map(|visitor| visitor.tag.clone())
    }
}

/// Goes on with a caller without a key, or with none where nobody may call so.
pub fn caller(
    cx: &mut Cx<'_>,
    scopes: &'static [Scope],
    then: impl FnOnce(&mut Cx<'_>, Option<Caller>) -> Step + 'static,
) -> Step {
    if !scopes.contains(&Scope::Inference) {
        return then(cx, None);
    }
    with_routing(cx, ORGANISATION, move |cx, routing: Rc<Routing>| {
        let Some(policy) = &routing.anonymous else {
            return then(cx, None);
        };
        let record = KeyRecord {
            id: KEY.to_owned(),
            name: KEY.to_owned(),
            scopes: vec![Scope::Inference.as_str().to_owned()],
            limits: KeyLimits {
                requests_per_minute: Some(policy.requests_per_minute),
                tokens_per_minute: policy.tokens_per_minute,
                concurrency: policy.concurrency,
            },
            models: policy.models.clone(),
            ..KeyRecord::default()
        };
        let caller = Caller {
            org: ORGANISATION.to_owned(),
            key: record,
            visitor: Some(visitor(cx)),
        };
        then(cx, Some(caller))
    })
}

fn visitor(cx: &Cx<'_>) -> Visitor {
    let config = &cx.shared.config;
    let header = config.manners.client_address.as_deref();
    let told = header.and_then(|header| cx.head.header(header));
    // Who cannot be told apart shares a place with all the others of whom that is true.
    let place = told.and_then(place).unwrap_or_default();
    let [shard, tag @ ..]: [u8; 17] = config.installation.tag(Purpose::Visitor, &[&place]);
    Visitor {
        shard: shard % SHARDS,
        tag: tag.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// What of an address is one caller: all of an IPv4 address, the network (/64) of an IPv6 one, within which
/// anybody has as many as he likes.
fn place(told: &str) -> Option<Vec<u8>> {
    let last = told.rsplit(',').next()?.trim();
    let address = match last.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => without_port(last)?.parse().ok()?,
    };
    Some(match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.octets().to_vec(),
            None => network(address),
        },
    })
}

fn network(address: Ipv6Addr) -> Vec<u8> {
    address.octets().into_iter().take(8).collect()
}

/// `192.0.2.1:443`, `[2001:db8::1]:443`, `[2001:db8::1]`, `fe80::1%eth0`.
fn without_port(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']').map(|(address, _)| address);
    }
    match text.split_once('%') {
        Some((address, _)) => Some(address),
        None => text.split_once(':').map(|(address, _)| address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_caller_however_it_is_written() {
        let same = |one: &str, other: &str| {
            assert_eq!(place(one).unwrap(), place(other).unwrap(), "{one}")
        };
        same("192.0.2.1", " 192.0.2.1 ");
        same("192.0.2.1", "192.0.2.1:4711");
        same("192.0.2.1", "::ffff:192.0.2.1");
        same("192.0.2.1", "[::ffff:c000:201]:443");
        same("2001:db8::1", "2001:0db8:0:0:ffff:ffff:ffff:ffff");
        same("2001:db8::1", "[2001:DB8::2]:443");
        same("fe80::1", "fe80::2%eth0");
        same("192.0.2.1", "203.0.113.9, 198.51.100.7, 192.0.2.1");
    }

    #[test]
    fn different_callers_are_told_apart() {
        let places = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"]
            .map(|told| place(told).unwrap());
        for (at, one) in places.iter().enumerate() {
            assert!(!places[at + 1..].contains(one));
        }
    }

    #[test]
    fn what_is_no_address_is_nobody_in_particular() {
        for odd in [
            "",
            "unknown",
            "192.0.2",
            "192.0.2.1.5",
            "192.0.2.1, ",
            "[::1",
            "1.2.3.4 5",
            "host:80",
        ] {
            assert_eq!(place(odd), None, "{odd}");
        }
    }
}
