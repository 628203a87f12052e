//! What must hold for every text: the oracle of the fuzz target and of the property tests.
//!
//! It judges addresses by the standard library's and its own arithmetic, not by the gate's tables, so that
//! one wrong row cannot agree with itself.
use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::{Destination, Gate, HostRule, Reach};

/// Panics when the gate lets something through that it must not.
pub fn url_gate(text: &str) {
    let strict = Gate::default();
    let loopback = Gate {
        allow_loopback: true,
        ..Gate::default()
    };
    let listed = Gate {
        allow: HostRule::parse_list("10.0.0.0/8 169.254.0.0/16 fd00::/8 gpu.lan")
            .unwrap_or_default(),
        require_tls: true,
        ..Gate::default()
    };
    let base = Url::parse("https://a.io/v1/models");
    for gate in [&strict, &loopback, &listed] {
        if let Ok(destination) = gate.check(text) {
            judge(gate, &destination);
            let again = gate.check(destination.url().as_str());
            assert_eq!(
                again.as_ref(),
                Ok(&destination),
                "the normal form has another reading"
            );
        }
        if let Ok(endpoint) = gate.endpoint(text) {
            let origin = endpoint.destination().origin();
            let doubled = endpoint.destination().url().path().contains("/v1/v1");
            for path in ["/v1/chat/completions", "/health", "/v1//evil.com"] {
                if let Ok(url) = endpoint.route(path) {
                    assert_eq!(
                        url.origin().ascii_serialization(),
                        origin,
                        "a route left its server"
                    );
                    assert!(url.query().is_none() && url.fragment().is_none());
                    assert!(
                        doubled || !url.path().ends_with("/v1/v1/chat/completions"),
                        "doubled version"
                    );
                }
            }
            let again = gate.endpoint(&endpoint.canonical()).map(|e| e.canonical());
            assert_eq!(
                again,
                Ok(endpoint.canonical()),
                "the canonical base is another server"
            );
        }
        if let Ok(endpoint) = strict.endpoint("https://a.io/p")
            && let Ok(url) = endpoint.route(text)
        {
            assert_eq!(url.host_str(), Some("a.io"), "a route left its server");
            assert!(url.path().starts_with("/p/"), "a route left its prefix");
        }
        if let Ok(from) = &base
            && let Ok(destination) = gate.check_redirect(from, text)
        {
            judge(gate, &destination);
            assert_eq!(
                destination.url().scheme(),
                "https",
                "a redirect gave up TLS"
            );
        }
    }
}

fn judge(gate: &Gate, destination: &Destination) {
    let url = destination.url();
    assert!(matches!(url.scheme(), "http" | "https"));
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "credentials"
    );
    assert!(url.fragment().is_none(), "fragment");
    assert!(
        !matches!(url.port_or_known_default(), None | Some(0 | 22 | 25 | 6379)),
        "port"
    );
    let host = match Url::parse(url.as_str()) {
        Ok(again) => again.host().map(|host| host.to_owned()),
        Err(_) => None,
    };
    match destination.reach() {
        Reach::Public => match host {
            Some(Host::Ipv4(address)) => assert!(public_v4(address), "{address}"),
            Some(Host::Ipv6(address)) => assert!(public_v6(address), "{address}"),
            Some(Host::Domain(name)) => assert!(public_name(&name), "{name}"),
            None => assert_eq!(host, url.host().map(|host| host.to_owned()), "no host"),
        },
        Reach::Loopback => {
            assert!(gate.allow_loopback);
            let own = match host {
                Some(Host::Ipv4(address)) => address.is_loopback(),
                Some(Host::Ipv6(address)) => address.is_loopback(),
                Some(Host::Domain(name)) => name == "localhost",
                None => false,
            };
            assert!(own, "only this machine");
        }
        Reach::Listed => {
            let own = match host {
                Some(Host::Ipv4(address)) => match address.octets() {
                    [10, ..] => true,
                    [169, 254, c, d] => [c, d] != [169, 254],
                    _ => false,
                },
                Some(Host::Ipv6(address)) => {
                    let [first, ..] = address.segments();
                    first >> 8 == 0xfd && !metadata_v6(address)
                }
                Some(Host::Domain(name)) => name == "gpu.lan",
                None => false,
            };
            assert!(!gate.allow.is_empty() && own, "only what is listed");
        }
    }
    if gate.require_tls && destination.reach() == Reach::Public {
        assert_eq!(url.scheme(), "https");
    }
}

fn metadata_v6(address: Ipv6Addr) -> bool {
    matches!(
        address.segments(),
        [0xfd00, 0xec2, .., 0x254 | 0x23] | [0xfd20, 0xce, .., 0x254]
    )
}

fn public_v4(address: Ipv4Addr) -> bool {
    let inner = match address.octets() {
        [0, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [224..=255, ..] => true,
        [100, second, ..] => second & 0xc0 == 64,
        [198, second, ..] => second & 0xfe == 18,
        octets => octets == [168, 63, 129, 16],
    };
    !(inner
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_unspecified())
}

fn public_v6(address: Ipv6Addr) -> bool {
    let [first, second, _, _, fifth, sixth, _, _] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let embedding = first == 0x2002 || (fifth & !0x0200 == 0 && sixth == 0x5efe);
    let protocol = first == 0x2001 && (second < 0x200 || second == 0xdb8);
    let documentation = first == 0x3fff && second < 0x1000;
    global && !embedding && !protocol && !documentation && address.to_ipv4().is_none()
}

fn public_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let inner = [
        "localhost",
        "local",
        "internal",
        "arpa",
        "lan",
        "test",
        "invalid",
    ];
    name.contains('.')
        && !name.contains("..")
        && !name.starts_with('.')
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte)
        })
        && last.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !inner.contains(&last)
        && !format!(".{name}").ends_with(".nip.io")
        && name.parse::<Ipv4Addr>().is_err()
}
