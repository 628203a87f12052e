//! A gate for calls that carry an account's credential: to a few hosts that are known beforehand, and to no
//! others, public or not.
//!
//! The URL comes from this code, but parts of it (a region, a page's link) from a vendor or a person, and one
//! of these must not be able to lead the credential elsewhere.
//!
//! Invariant: an accepted URL has the scheme, host and port that were pinned, as text and as parsed.
use url::{Host, Position, Url};

use crate::{refused::Refused, spelling};

/// Where a call may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinned<'a> {
    /// These hosts, over `https` on its own port. `*` stands for one label: `ec2.*.amazonaws.com`.
    Hosts(&'a [&'a str]),
    /// Whatever lies below this URL, which the operator named.
    Below(&'a Url),
}

impl Pinned<'_> {
    /// Whether `text` may be called.
    ///
    /// # Errors
    /// When it leads elsewhere, or could be read in two ways. Names the host at most.
    pub fn check(&self, text: &str) -> Result<Url, Refused> {
        let authority = spelling::authority(text)?;
        let url = Url::parse(text).map_err(Refused::Unreadable)?;
        let host = url.host().ok_or(Refused::EmptyHost)?;
        if !spelling::same_host(authority, &host) {
            let host = host.to_string();
            return Err(Refused::Spelling { host });
        }
        let is_pinned = match self {
            Self::Hosts(hosts) => {
                let Host::Domain(name) = &host else {
                    return Err(elsewhere(&host));
                };
                url.scheme() == "https"
                    && url.port().is_none()
                    && hosts.iter().any(|pattern| fits(pattern, name))
            }
            Self::Below(root) => is_below(root, &url),
        };
        if is_pinned {
            Ok(url)
        } else {
            Err(elsewhere(&host))
        }
    }
}

fn elsewhere(host: &Host<&str>) -> Refused {
    Refused::NotPinned {
        host: host.to_string(),
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    let (mut patterns, mut labels) = (pattern.split('.'), name.split('.'));
    loop {
        match (patterns.next(), labels.next()) {
            (None, None) => return true,
            (Some("*"), Some(label)) if !label.is_empty() => {}
            (Some(pattern), Some(label)) if pattern == label => {}
            _ => return false,
        }
    }
}

fn is_below(root: &Url, url: &Url) -> bool {
    let same = |at: &Url| at[..Position::BeforePath].to_owned();
    let path = root.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(path);
    same(root) == same(url) && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: Pinned<'_> = Pinned::Hosts(&["api.example.io", "ec2.*.example.com"]);

    #[test]
    fn the_hosts_that_were_pinned_are_called_over_tls() {
        for text in [
            "https://api.example.io",
            "https://api.example.io/v2/pods?x=1",
            "https://API.example.io:443/",
            "https://ec2.us-east-1.example.com/",
        ] {
            assert!(HOSTS.check(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn no_other_host_scheme_or_port_is() {
        for text in [
            "",
            "http://api.example.io/",
            "https://api.example.io:8443/",
            "https://api.example.io.evil.com/",
            "https://evil.com/api.example.io",
            "https://evil.com?api.example.io",
            "https://evil.com#api.example.io",
            "https://api.example.io@evil.com/",
            "https://user:word@api.example.io/",
            "https://xapi.example.io/",
            "https://a.api.example.io/",
            "https://api.example.io./",
            "https://example.io/",
            "https://ec2.evil.com/.example.com",
            "https://ec2.evil.com\\.example.com",
            "https://ec2.a.b.example.com/",
            "https://ec2..example.com/",
            "https://ec2.example.com/",
            "https://sts.us-east-1.example.com/",
            "https://169.254.169.254/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https:api.example.io",
            "https:///api.example.io",
            "https://api%2eexample.io/",
            "https://api。example.io/",
            "ftp://api.example.io/",
            "file:///etc/passwd",
        ] {
            assert!(HOSTS.check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_root_that_was_named_takes_what_lies_below_it() {
        let root = Url::parse("http://127.0.0.1:9201/proxy/").unwrap();
        let below = Pinned::Below(&root);
        for text in [
            "http://127.0.0.1:9201/proxy",
            "http://127.0.0.1:9201/proxy/v2/pods?x=1",
        ] {
            assert!(below.check(text).is_ok(), "{text}");
        }
        for text in [
            "http://127.0.0.1:9201/",
            "http://127.0.0.1:9201/proxyx",
            "http://127.0.0.1:9201/proxy/../admin",
            "http://127.0.0.1:9201/proxy/%2e%2e/admin",
            "http://127.0.0.1:9202/proxy/",
            "https://127.0.0.1:9201/proxy/",
            "http://127.1:9201/proxy/",
            "http://a@127.0.0.1:9201/proxy/",
            "https://api.example.io/",
        ] {
            assert!(below.check(text).is_err(), "{text}");
        }
        let root = Url::parse("https://proxy.example.net").unwrap();
        assert!(
            Pinned::Below(&root)
                .check("https://proxy.example.net/v2")
                .is_ok()
        );
        assert!(
            Pinned::Below(&root)
                .check("https://proxy.example.net.evil.com/v2")
                .is_err()
        );
    }

    #[test]
    fn a_refusal_names_the_host_alone() {
        let refused = HOSTS.check("https://evil.com/path?key=s3cret").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "'evil.com' is none of the hosts that are called here: nothing is sent to it"
        );
    }
}
