//! Host names that lead inward although they are not addresses.
//!
//! In scope: names that only a local resolver knows, names of metadata services, and public DNS services
//! whose names spell the address they resolve to. Out of scope: what a public name resolves to.
use std::net::Ipv4Addr;

use crate::address::{AddressClass, class_of_v4};

/// Why a name is not a public one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameClass {
    /// Names a cloud's metadata service. No list allows it.
    #[error("names a cloud metadata service")]
    Metadata,
    /// `localhost` or below it.
    #[error("names this machine")]
    Loopback,
    /// Has no dot, so a search list completes it.
    #[error("has no dot, so only a local resolver can complete it")]
    SingleLabel,
    /// Ends in a domain that public DNS never serves.
    #[error("ends in a domain that exists on private networks only")]
    LocalDomain,
    /// Belongs to a DNS service that resolves to whatever address the name spells, or to loopback.
    #[error("belongs to a DNS service that resolves to private addresses")]
    WildcardDns,
    /// Spells a non-public IPv4 address with dots or dashes.
    #[error("spells a non-public address")]
    SpellsAddress,
    /// Not labels of 1 to 63 letters, digits, `_` and inner `-`, 253 characters in all, with a letter in the
    /// last.
    #[error("is not a valid host name")]
    Invalid,
}

/// RFC 6761 and 6762, RFC 8375, ICANN's `.internal`, and the suffixes routers and clusters hand out.
const LOCAL_DOMAINS: [&str; 17] = [
    "alt",
    "arpa",
    "corp",
    "domain",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "onion",
    "private",
    "svc",
    "test",
    "workgroup",
];

const METADATA: [&str; 6] = [
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.tencentyun.com",
];

const WILDCARD_DNS: [&str; 24] = [
    "127-0-0-1.org.uk",
    "1u.ms",
    "42foo.com",
    "backname.io",
    "ddev.site",
    "fuf.me",
    "lacolhost.com",
    "lcl.host",
    "lndo.site",
    "local.gd",
    "localdomain.pw",
    "localho.st",
    "localhost.direct",
    "localtest.me",
    "lvh.me",
    "nip.io",
    "rbndr.us",
    "smackaho.st",
    "spoofed.burpcollaborator.net",
    "sslip.io",
    "traefik.me",
    "vcap.me",
    "xip.io",
    "xip.name",
];

/// `None` for a public name. `name` is lower case and has no final dot.
pub(crate) fn class_of(name: &str) -> Option<NameClass> {
    if !valid(name) {
        Some(NameClass::Invalid)
    } else if METADATA.iter().any(|domain| within(name, domain)) {
        Some(NameClass::Metadata)
    } else if within(name, "localhost") {
        Some(NameClass::Loopback)
    } else if !name.contains('.') {
        Some(NameClass::SingleLabel)
    } else if LOCAL_DOMAINS.iter().any(|domain| within(name, domain)) {
        Some(NameClass::LocalDomain)
    } else if WILDCARD_DNS.iter().any(|domain| within(name, domain)) {
        Some(NameClass::WildcardDns)
    } else if spells_inner_address(name) {
        Some(NameClass::SpellsAddress)
    } else {
        None
    }
}

/// Whether `name` is `domain` or below it.
pub(crate) fn within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain)
        .is_some_and(|head| head.is_empty() || head.ends_with('.'))
}

/// RFC 1123 with the underscore that real names use. A last label without a letter is no domain, only
/// something a resolver might take for part of an address.
pub(crate) fn valid(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.split('.').all(label)
        && last.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// `10.0.0.1.example.com`, `ip-10-0-0-1.example.com`. Only the networks one would attack count, so that a
/// version such as `model-0-1-2-3` stays an ordinary name.
fn spells_inner_address(name: &str) -> bool {
    let inner = |address: Ipv4Addr| {
        address.is_unspecified()
            || class_of_v4(address).is_some_and(|class| {
                matches!(
                    class,
                    AddressClass::Metadata
                        | AddressClass::Loopback
                        | AddressClass::Private
                        | AddressClass::LinkLocal
                        | AddressClass::Shared
                )
            })
    };
    let any_in = |parts: Vec<&str>| {
        parts.windows(4).any(|window| {
            let octet = |at: usize| window.get(at).and_then(|part| part.parse::<u8>().ok());
            match (octet(0), octet(1), octet(2), octet(3)) {
                (Some(a), Some(b), Some(c), Some(d)) => inner(Ipv4Addr::new(a, b, c, d)),
                _ => false,
            }
        })
    };
    any_in(name.split('.').collect())
        || name
            .split('.')
            .any(|label| any_in(label.split('-').collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use NameClass::*;

    #[test]
    fn names_that_lead_inward_are_told_why() {
        for (name, class) in [
            ("metadata.google.internal", Metadata),
            ("a.metadata.google.internal", Metadata),
            ("metadata", Metadata),
            ("metadata.goog", Metadata),
            ("instance-data", Metadata),
            ("localhost", Loopback),
            ("a.b.localhost", Loopback),
            ("gpu", SingleLabel),
            ("gpu.internal", LocalDomain),
            ("gpu.local", LocalDomain),
            ("gpu.home.arpa", LocalDomain),
            ("1.0.0.127.in-addr.arpa", LocalDomain),
            ("gpu.lan", LocalDomain),
            ("gpu.test", LocalDomain),
            ("api.default.svc", LocalDomain),
            ("8.8.8.8.nip.io", WildcardDns),
            ("7f000001.nip.io", WildcardDns),
            ("0--1.sslip.io", WildcardDns),
            ("localtest.me", WildcardDns),
            ("a.lvh.me", WildcardDns),
            ("127.0.0.1.example.com", SpellsAddress),
            ("ip-10-0-0-1.example.com", SpellsAddress),
            ("app.192-168-1-1.abc.plex.direct", SpellsAddress),
            ("169.254.169.254.example.com", SpellsAddress),
            ("0.0.0.0.example.com", SpellsAddress),
            ("a..b.com", Invalid),
            (".com", Invalid),
            ("a b.com", Invalid),
            ("a*.com", Invalid),
            ("-a.com", Invalid),
            ("a-.com", Invalid),
            ("a.b.-", Invalid),
            ("a.1_2", Invalid),
        ] {
            assert_eq!(class_of(name), Some(class), "{name}");
        }
        let long_label = format!("{}.com", "a".repeat(64));
        assert_eq!(class_of(&long_label), Some(Invalid));
        let long_name = format!("{}com", "a.".repeat(126));
        assert_eq!(class_of(&long_name), Some(Invalid));
    }

    #[test]
    fn public_names_are_public() {
        for name in [
            "example.com",
            "api.openai.com",
            "abc123-8000.proxy.runpod.net",
            "ec2-54-1-2-3.compute-1.amazonaws.com",
            "model-0-1-2-3.example.com",
            "notlocalhost.com",
            "mylocal.dev",
            "internal.example.com",
            "xn--bcher-kva.example.com",
            "my_gpu.example.com",
            "evilnip.io",
        ] {
            assert_eq!(class_of(name), None, "{name}");
        }
    }
}
