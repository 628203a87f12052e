//! The gate itself: one URL in, one destination or one reason out.
use std::net::IpAddr;

use url::{Host, Url};

use crate::{
    address::{AddressClass, class_of_v4, class_of_v6},
    endpoint::Endpoint,
    name::{self, NameClass},
    port,
    refused::Refused,
    rule::HostRule,
    spelling,
};

/// What may be called. The default is the strict gate: public addresses and names only.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    /// Lets 127.0.0.0/8, ::1 and `localhost` pass, nothing else. For development only: on a shared machine
    /// it opens every service of that machine to whoever may register a server.
    pub allow_loopback: bool,
    /// Private servers that the operator named.
    pub allow: Vec<HostRule>,
    /// Refuses plain HTTP to public hosts. Off by default, because a bare model server on a rented GPU
    /// speaks HTTP only, and attaching one is the first thing people do.
    pub require_tls: bool,
}

/// Why a destination was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A public address or name.
    Public,
    /// Covered by the operator's list.
    Listed,
    /// This machine, in development.
    Loopback,
}

/// A URL that passed the gate: normalised, without fragment, with a host that has one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    url: Url,
    reach: Reach,
}

impl Destination {
    /// The normalised URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The normalised URL, by value.
    pub fn into_url(self) -> Url {
        self.url
    }

    /// Scheme, host and port (left out when it is the scheme's own), such as `http://8.8.8.8:8000`.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Why it was let through.
    pub fn reach(&self) -> Reach {
        self.reach
    }
}

impl Gate {
    /// Whether `text` may be called. A fragment is dropped, as it is never sent.
    pub fn check(&self, text: &str) -> Result<Destination, Refused> {
        let authority = spelling::authority(text)?;
        let mut url = Url::parse(text).map_err(Refused::Unreadable)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        let host = url.host().ok_or(Refused::EmptyHost)?;
        let reach = self.reach_of(&host)?;
        if !spelling::same_host(authority, &host) {
            let host = host.to_string();
            return Err(Refused::Spelling { host });
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if port::refused(port) {
            return Err(Refused::Port { port });
        }
        if self.require_tls && reach == Reach::Public && url.scheme() != "https" {
            return Err(Refused::NotTls);
        }
        url.set_fragment(None);
        Ok(Destination { url, reach })
    }

    /// Whether `base` may be registered as a model server: as `check`, and without query or route.
    pub fn endpoint(&self, base: &str) -> Result<Endpoint, Refused> {
        Endpoint::new(self.check(base)?)
    }

    /// Where a redirect leads. Redirects are never followed; this tells the operator whether the target
    /// would be allowed if it were registered, or why not.
    pub fn check_redirect(&self, from: &Url, location: &str) -> Result<Destination, Refused> {
        spelling::plain(location)?;
        let target = from.join(location).map_err(Refused::Unreadable)?;
        // An absolute location is checked as it was written, a relative one as it was understood.
        let first = location.split(['/', '?', '#']).next().unwrap_or_default();
        let written = if first.contains(':') {
            location
        } else {
            target.as_str()
        };
        let destination = self.check(written)?;
        if from.scheme() == "https" && destination.url.scheme() != "https" {
            return Err(Refused::Downgrade);
        }
        Ok(destination)
    }

    fn reach_of(&self, host: &Host<&str>) -> Result<Reach, Refused> {
        match host {
            Host::Ipv4(address) => self.reach_of_address((*address).into(), class_of_v4(*address)),
            Host::Ipv6(address) => self.reach_of_address((*address).into(), class_of_v6(*address)),
            Host::Domain(name) => self.reach_of_name(name),
        }
    }

    fn reach_of_address(
        &self,
        address: IpAddr,
        class: Option<AddressClass>,
    ) -> Result<Reach, Refused> {
        let Some(class) = class else {
            return Ok(Reach::Public);
        };
        if class == AddressClass::Loopback && self.allow_loopback {
            return Ok(Reach::Loopback);
        }
        if class.listable() && self.allow.iter().any(|rule| rule.covers_address(address)) {
            return Ok(Reach::Listed);
        }
        Err(Refused::Address { address, class })
    }

    fn reach_of_name(&self, name: &str) -> Result<Reach, Refused> {
        if name.ends_with('.') {
            return Err(Refused::TrailingDot);
        }
        let Some(class) = name::class_of(name) else {
            return Ok(Reach::Public);
        };
        if name == "localhost" && self.allow_loopback {
            return Ok(Reach::Loopback);
        }
        let listable = !matches!(class, NameClass::Metadata | NameClass::Invalid);
        if listable && self.allow.iter().any(|rule| rule.covers_name(name)) {
            return Ok(Reach::Listed);
        }
        Err(Refused::Name {
            name: name.to_owned(),
            class,
        })
    }
}

#[cfg(test)]
mod tests;
