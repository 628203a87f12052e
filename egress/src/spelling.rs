//! How a URL was written, before any parser made sense of it.
//!
//! The WHATWG parser that browsers, Workers and this crate use is generous: it drops tabs, takes `\` for
//! `/`, decodes `%31` in a host and folds full-width digits. Another parser on the way may not. What is
//! written here must be what is meant.
use url::Host;

use crate::refused::Refused;

/// Longest URL. Real endpoints stay below 300 bytes; a vendor's next-page link can reach 1.5 KiB.
pub(crate) const MAX_BYTES: usize = 2048;

/// The host and port as written; refuses texts that parsers read differently.
pub(crate) fn authority(text: &str) -> Result<&str, Refused> {
    if text.len() > MAX_BYTES {
        return Err(Refused::TooLong { bytes: text.len() });
    }
    plain(text)?;
    let (scheme, rest) = text.split_once(':').ok_or(Refused::Scheme)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Refused::Scheme);
    }
    // `http:host` and `http:/host` mean `http://host` to a WHATWG parser and a path to others.
    let rest = rest.strip_prefix("//").ok_or(Refused::Ambiguous)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(Refused::Credentials);
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err(Refused::EmptyHost);
    }
    Ok(authority)
}

/// No control characters, no space, no backslash, no invisible formatting.
pub(crate) fn plain(text: &str) -> Result<(), Refused> {
    let odd = |c: char| {
        c.is_control()
            || c.is_whitespace()
            || matches!(c, '\\' | '\u{200b}'..='\u{200f}' | '\u{feff}')
    };
    if text.contains(odd) {
        return Err(Refused::Ambiguous);
    }
    Ok(())
}

/// Whether the host was written the way the parser understood it, but for letter case and the equivalent
/// spellings of an IPv6 address.
pub(crate) fn same_host(authority: &str, host: &Host<&str>) -> bool {
    match host {
        Host::Ipv6(address) => authority
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .is_some_and(|(written, _)| written.parse() == Ok(*address)),
        Host::Ipv4(address) => without_port(authority) == address.to_string(),
        Host::Domain(name) => without_port(authority).eq_ignore_ascii_case(name),
    }
}

fn without_port(authority: &str) -> &str {
    authority.split(':').next().unwrap_or_default()
}
