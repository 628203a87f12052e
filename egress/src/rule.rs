//! The operator's list of private servers.
//!
//! Invariant: a rule only ever widens the gate towards networks and names in which a server of one's own
//! can stand. Metadata services, multicast, reserved blocks and disguised IPv4 addresses stay refused,
//! whatever the list says.
use std::net::IpAddr;

use ipnet::IpNet;

use crate::name::{valid, within};

/// Widest allowed block: the largest private ones, 10.0.0.0/8 and fc00::/7.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 7;

/// One allowed host or network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Net(IpNet),
    Name(String),
    Below(String),
}

/// Why a rule was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleRefused {
    /// Not an address, block, name or `*.name`.
    #[error(
        "'{rule}' is not an allowed host: write an address, a block such as 10.0.0.0/24, a name, or \
         *.name for everything below it; no scheme, port or path"
    )]
    Form {
        /// The rule as written.
        rule: String,
    },
    /// A block that reaches beyond any private network.
    #[error("'{rule}' covers too much: use a block of /8 (IPv4) or /7 (IPv6) at the widest")]
    TooWide {
        /// The rule as written.
        rule: String,
    },
}

impl HostRule {
    /// Reads one rule: `192.168.1.20`, `10.0.0.0/24`, `fd12::/64`, `gpu.lan`, `*.gpu.internal`.
    pub fn parse(rule: &str) -> Result<Self, RuleRefused> {
        let text = rule.trim().to_ascii_lowercase();
        let form = || RuleRefused::Form {
            rule: rule.to_owned(),
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(Kind::Net(IpNet::from(address))));
        }
        if let Ok(net) = text.parse::<IpNet>() {
            let widest = match net {
                IpNet::V4(_) => WIDEST_V4,
                IpNet::V6(_) => WIDEST_V6,
            };
            if net.prefix_len() < widest {
                return Err(RuleRefused::TooWide {
                    rule: rule.to_owned(),
                });
            }
            return Ok(Self(Kind::Net(net.trunc())));
        }
        let (name, kind): (&str, fn(String) -> Kind) = match text.strip_prefix("*.") {
            Some(name) => (name, Kind::Below),
            None => (&text, Kind::Name),
        };
        if !valid(name) {
            return Err(form());
        }
        Ok(Self(kind(name.to_owned())))
    }

    /// Reads rules separated by commas or white space; an empty text is an empty list.
    pub fn parse_list(rules: &str) -> Result<Vec<Self>, RuleRefused> {
        rules
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|rule| !rule.is_empty())
            .map(Self::parse)
            .collect()
    }

    pub(crate) fn covers_address(&self, address: IpAddr) -> bool {
        matches!(&self.0, Kind::Net(net) if net.contains(&address))
    }

    pub(crate) fn covers_name(&self, name: &str) -> bool {
        match &self.0 {
            Kind::Net(_) => false,
            Kind::Name(own) => own == name,
            Kind::Below(parent) => name != parent && within(name, parent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> HostRule {
        HostRule::parse(text).unwrap()
    }

    #[test]
    fn a_rule_covers_what_it_names_and_no_more() {
        let covers =
            |text: &str, address: &str| rule(text).covers_address(address.parse().unwrap());
        assert!(covers("192.168.1.20", "192.168.1.20"));
        assert!(!covers("192.168.1.20", "192.168.1.21"));
        assert!(covers("10.0.0.7/24", "10.0.0.255"));
        assert!(!covers("10.0.0.0/24", "10.0.1.0"));
        assert!(covers("fd12::/64", "fd12::9"));
        assert!(!covers("gpu.lan", "10.0.0.1"));
        assert!(rule("GPU.lan").covers_name("gpu.lan"));
        assert!(!rule("gpu.lan").covers_name("a.gpu.lan"));
        assert!(rule("*.gpu.lan").covers_name("a.b.gpu.lan"));
        assert!(!rule("*.gpu.lan").covers_name("gpu.lan"));
        assert!(!rule("*.gpu.lan").covers_name("agpu.lan"));
        assert!(!rule("10.0.0.0/8").covers_name("10.0.0.1"));
    }

    #[test]
    fn rules_that_are_too_wide_or_not_rules_are_refused() {
        for text in ["0.0.0.0/0", "10.0.0.0/7", "::/0", "fc00::/6"] {
            assert!(
                matches!(HostRule::parse(text), Err(RuleRefused::TooWide { .. })),
                "{text}"
            );
        }
        for text in [
            "",
            "*",
            "*.",
            "http://a.b",
            "a:80",
            "a/b",
            "a..b",
            "[::1]",
            "10.0.0",
            "10.0.0.0/33",
            "*.*.a",
            "1.2.3.4.5",
            "é.lan",
            "gpu.lan.",
        ] {
            assert!(
                matches!(HostRule::parse(text), Err(RuleRefused::Form { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_list_is_split_and_one_bad_rule_refuses_it() {
        let list = HostRule::parse_list(" 10.0.0.0/24, gpu.lan\n*.a.lan ,").unwrap();
        assert_eq!(
            list,
            [rule("10.0.0.0/24"), rule("gpu.lan"), rule("*.a.lan")]
        );
        assert_eq!(HostRule::parse_list(""), Ok(vec![]));
        assert!(HostRule::parse_list("gpu.lan, /").is_err());
    }
}
