//! What kind of network an IP literal belongs to.
//!
//! IPv4 is public unless a row below says otherwise; IPv6 is the other way round: only global unicast
//! (2000::/3) minus the rows below is public, because the rest is unassigned or internal.
//!
//! Source: the IANA IPv4 and IPv6 Special-Purpose Address Registries, and each cloud's manual for its
//! metadata address. The few AS112 and AMT blocks that IANA calls globally reachable are refused only in
//! IPv6; no model server lives in either.
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Why an address is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressClass {
    /// A cloud's metadata or control service, which hands out credentials. No list allows it.
    #[error("a cloud metadata address")]
    Metadata,
    /// 127.0.0.0/8, ::1.
    #[error("a loopback address")]
    Loopback,
    /// RFC 1918, and the site-local fec0::/10 of old.
    #[error("a private address")]
    Private,
    /// 169.254.0.0/16, fe80::/10.
    #[error("a link-local address")]
    LinkLocal,
    /// 100.64.0.0/10: carrier-grade NAT and overlay networks.
    #[error("a shared (carrier-grade NAT) address")]
    Shared,
    /// fc00::/7.
    #[error("a unique local address")]
    UniqueLocal,
    /// 0.0.0.0/8, ::.
    #[error("an unspecified address")]
    Unspecified,
    /// 224.0.0.0/4, ff00::/8.
    #[error("a multicast address")]
    Multicast,
    /// 255.255.255.255.
    #[error("the broadcast address")]
    Broadcast,
    /// Set aside for examples.
    #[error("an address reserved for documentation")]
    Documentation,
    /// 198.18.0.0/15, 2001:2::/48.
    #[error("an address reserved for benchmarks")]
    Benchmark,
    /// Everything else that is not global unicast.
    #[error("a reserved address")]
    Reserved,
    /// An IPv6 form that stands for an IPv4 address: mapped, compatible, translated, NAT64, 6to4, Teredo,
    /// ISATAP. Refused whatever it stands for: the plain IPv4 form says the same and can be checked.
    #[error("an IPv6 form of an IPv4 address")]
    Embedding,
}

impl AddressClass {
    /// Whether the operator's list may allow it: networks in which a server of one's own can stand.
    pub(crate) fn listable(self) -> bool {
        matches!(
            self,
            Self::Loopback | Self::Private | Self::LinkLocal | Self::Shared | Self::UniqueLocal
        )
    }
}

const METADATA_V4: [Ipv4Addr; 8] = [
    Ipv4Addr::new(169, 254, 169, 254), // AWS, GCE, Azure, OCI, DigitalOcean, Hetzner and others
    Ipv4Addr::new(169, 254, 170, 2),   // AWS ECS task credentials
    Ipv4Addr::new(169, 254, 170, 23),  // AWS EKS pod identity
    Ipv4Addr::new(169, 254, 0, 23),    // Tencent
    Ipv4Addr::new(169, 254, 42, 42),   // Scaleway
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle Cloud Classic
    Ipv4Addr::new(168, 63, 129, 16),   // Azure host agent; otherwise a public address
];

const METADATA_V6: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),  // AWS EKS pod identity
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // GCE
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),   // Scaleway
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // OCI
];

const fn v4(a: u8, b: u8, c: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), length)
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

const SPECIAL_V4: [(Ipv4Net, AddressClass); 15] = [
    (v4(0, 0, 0, 8), AddressClass::Unspecified),
    (v4(10, 0, 0, 8), AddressClass::Private),
    (v4(100, 64, 0, 10), AddressClass::Shared),
    (v4(127, 0, 0, 8), AddressClass::Loopback),
    (v4(169, 254, 0, 16), AddressClass::LinkLocal),
    (v4(172, 16, 0, 12), AddressClass::Private),
    (v4(192, 0, 0, 24), AddressClass::Reserved),
    (v4(192, 0, 2, 24), AddressClass::Documentation),
    (v4(192, 88, 99, 24), AddressClass::Reserved), // the anycast of 6to4 relays
    (v4(192, 168, 0, 16), AddressClass::Private),
    (v4(198, 18, 0, 15), AddressClass::Benchmark),
    (v4(198, 51, 100, 24), AddressClass::Documentation),
    (v4(203, 0, 113, 24), AddressClass::Documentation),
    (v4(224, 0, 0, 4), AddressClass::Multicast),
    (v4(240, 0, 0, 4), AddressClass::Reserved),
];

/// The first row that contains an address decides.
const SPECIAL_V6: [(Ipv6Net, AddressClass); 17] = [
    (
        Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128),
        AddressClass::Unspecified,
    ),
    (
        Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128),
        AddressClass::Loopback,
    ),
    (v6(0, 0, 0, 64), AddressClass::Embedding), // compatible, mapped, translated
    (v6(0x64, 0xff9b, 0, 96), AddressClass::Embedding), // NAT64
    (v6(0x64, 0xff9b, 1, 48), AddressClass::Embedding), // NAT64 inside one network
    (v6(0x2001, 0, 0, 32), AddressClass::Embedding), // Teredo
    (v6(0x2001, 2, 0, 48), AddressClass::Benchmark),
    (v6(0x2001, 0, 0, 23), AddressClass::Reserved), // IETF protocol assignments, ORCHID
    (v6(0x2001, 0xdb8, 0, 32), AddressClass::Documentation),
    (v6(0x2002, 0, 0, 16), AddressClass::Embedding), // 6to4
    (v6(0x2620, 0x4f, 0x8000, 48), AddressClass::Reserved), // AS112
    (v6(0x3fff, 0, 0, 20), AddressClass::Documentation),
    (v6(0x5f00, 0, 0, 16), AddressClass::Reserved), // segment routing
    (v6(0xfc00, 0, 0, 7), AddressClass::UniqueLocal),
    (v6(0xfe80, 0, 0, 10), AddressClass::LinkLocal),
    (v6(0xfec0, 0, 0, 10), AddressClass::Private),
    (v6(0xff00, 0, 0, 8), AddressClass::Multicast),
];

const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);

/// `None` for a public address.
pub(crate) fn class_of_v4(address: Ipv4Addr) -> Option<AddressClass> {
    if METADATA_V4.contains(&address) {
        return Some(AddressClass::Metadata);
    }
    if address.is_broadcast() {
        return Some(AddressClass::Broadcast);
    }
    SPECIAL_V4
        .iter()
        .find(|(net, _)| net.contains(&address))
        .map(|(_, class)| *class)
}

/// `None` for a public address.
pub(crate) fn class_of_v6(address: Ipv6Addr) -> Option<AddressClass> {
    if METADATA_V6.contains(&address) {
        return Some(AddressClass::Metadata);
    }
    let row = SPECIAL_V6.iter().find(|(net, _)| net.contains(&address));
    if let Some((_, class)) = row {
        return Some(*class);
    }
    if !GLOBAL_UNICAST.contains(&address) {
        return Some(AddressClass::Reserved);
    }
    // ISATAP (RFC 5214) puts 0000:5efe or 0200:5efe before an IPv4 address, under any prefix.
    match address.segments() {
        [_, _, _, _, 0 | 0x0200, 0x5efe, _, _] => Some(AddressClass::Embedding),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AddressClass::*;

    #[test]
    fn each_special_ipv4_block_is_known_to_its_edges() {
        for (first, last, class) in [
            ("0.0.0.0", "0.255.255.255", Unspecified),
            ("10.0.0.0", "10.255.255.255", Private),
            ("100.64.0.0", "100.127.255.255", Shared),
            ("127.0.0.0", "127.255.255.255", Loopback),
            ("169.254.0.0", "169.254.255.255", LinkLocal),
            ("172.16.0.0", "172.31.255.255", Private),
            ("192.0.0.0", "192.0.0.255", Reserved),
            ("192.0.2.0", "192.0.2.255", Documentation),
            ("192.88.99.0", "192.88.99.255", Reserved),
            ("192.168.0.0", "192.168.255.255", Private),
            ("198.18.0.0", "198.19.255.255", Benchmark),
            ("198.51.100.0", "198.51.100.255", Documentation),
            ("203.0.113.0", "203.0.113.255", Documentation),
            ("224.0.0.0", "239.255.255.255", Multicast),
            ("240.0.0.0", "255.255.255.254", Reserved),
            ("255.255.255.255", "255.255.255.255", Broadcast),
        ] {
            let (first, last) = (first.parse().unwrap(), last.parse().unwrap());
            assert_eq!(class_of_v4(first), Some(class), "{first}");
            assert_eq!(class_of_v4(last), Some(class), "{last}");
            let before = u32::from(first).wrapping_sub(1).into();
            assert_ne!(class_of_v4(before), Some(class), "{before}");
            let after = u32::from(last).wrapping_add(1).into();
            assert_ne!(class_of_v4(after), Some(class), "{after}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "172.32.0.0",
            "100.128.0.0",
        ] {
            assert_eq!(class_of_v4(public.parse().unwrap()), None, "{public}");
        }
    }

    #[test]
    fn metadata_addresses_are_told_from_their_networks() {
        for address in METADATA_V4 {
            assert_eq!(class_of_v4(address), Some(Metadata));
        }
        for address in METADATA_V6 {
            assert_eq!(class_of_v6(address), Some(Metadata));
        }
        assert!(!Metadata.listable() && Private.listable());
    }

    #[test]
    fn only_plain_global_unicast_ipv6_is_public() {
        for (address, class) in [
            ("::", Some(Unspecified)),
            ("::1", Some(Loopback)),
            ("::2", Some(Embedding)),
            ("::127.0.0.1", Some(Embedding)),
            ("::ffff:8.8.8.8", Some(Embedding)),
            ("::ffff:127.0.0.1", Some(Embedding)),
            ("::ffff:0:10.0.0.1", Some(Embedding)),
            ("64:ff9b::a00:1", Some(Embedding)),
            ("64:ff9b:1:2::a00:1", Some(Embedding)),
            ("2002:7f00:1::", Some(Embedding)),
            ("2001::1", Some(Embedding)),
            ("2600::5efe:7f00:1", Some(Embedding)),
            ("2600::200:5efe:a00:1", Some(Embedding)),
            ("2001:2::1", Some(Benchmark)),
            ("2001:20::1", Some(Reserved)),
            ("2001:1ff:ffff::", Some(Reserved)),
            ("2001:db8::1", Some(Documentation)),
            ("3fff:fff::1", Some(Documentation)),
            ("2620:4f:8000::1", Some(Reserved)),
            ("5f00::1", Some(Reserved)),
            ("100::1", Some(Reserved)),
            ("4000::1", Some(Reserved)),
            ("fc00::1", Some(UniqueLocal)),
            ("fdff:ffff::1", Some(UniqueLocal)),
            ("fe80::1", Some(LinkLocal)),
            ("febf::1", Some(LinkLocal)),
            ("fec0::1", Some(Private)),
            ("ff02::1", Some(Multicast)),
            ("2606:4700:4700::1111", None),
            ("2001:200::1", None),
            ("2001:4860:4860::8888", None),
            ("2a01:4f8::1", None),
        ] {
            assert_eq!(class_of_v6(address.parse().unwrap()), class, "{address}");
        }
    }
}
