//! `Endpoint`: the base URL of one model server, and the URL of each of its routes.
//!
//! People register `http://h:p`, `http://h:p/`, `http://h:p/v1` and `http://h:p/v1/` for the same server;
//! hosted APIs sit under prefixes (`/openai/v1`, `/api/paas/v4`). The rule: a base whose last segment is a
//! version (`v` and a digit) is the API's root; any other base has `/v1` below it.
//!
//! Invariant: every URL made here has the origin that the gate let through, and a path below the base.
use url::Url;

use crate::{gate::Destination, gate::Reach, refused::Refused};

/// A model server's base URL that passed the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    destination: Destination,
    /// Path in front of the version, without a final slash: `` or `/prefix`.
    prefix: String,
    /// The version's segment, `/v1` unless the base says otherwise.
    version: String,
}

/// Why there is no such route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a route starts with '/', has no '.' or '..' segment and no '?', '#' or '\\': correct the path"
)]
pub struct RouteRefused;

impl Endpoint {
    pub(crate) fn new(destination: Destination) -> Result<Self, Refused> {
        let url = destination.url();
        if url.query().is_some() {
            return Err(Refused::Query);
        }
        let path = url.path().trim_end_matches('/');
        let routes = ["/completions", "/embeddings", "/models", "/responses"];
        if routes.iter().any(|route| path.ends_with(route)) {
            return Err(Refused::RouteInBase);
        }
        let (prefix, version) = match path.rsplit_once('/') {
            Some((prefix, last)) if is_version(last) => (prefix.to_owned(), format!("/{last}")),
            _ => (path.to_owned(), "/v1".to_owned()),
        };
        Ok(Self {
            destination,
            prefix,
            version,
        })
    }

    /// What passed the gate.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Why it was let through.
    pub fn reach(&self) -> Reach {
        self.destination.reach()
    }

    /// The root of the API, `http://h:p/v1`: the same for every way to write the same server.
    pub fn canonical(&self) -> String {
        format!(
            "{}{}{}",
            self.destination.origin(),
            self.prefix,
            self.version
        )
    }

    /// The URL of an OpenAI route (`/v1/chat/completions`, put below the API's root) or of another path of
    /// the same server (`/health`, put beside it).
    pub fn route(&self, path: &str) -> Result<Url, RouteRefused> {
        let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '?' | '#' | '\\');
        let dots = |segment: &str| {
            let plain = segment.to_ascii_lowercase().replace("%2e", ".");
            matches!(plain.as_str(), "." | "..")
        };
        if !path.starts_with('/') || path.contains(odd) || path.split('/').any(dots) {
            return Err(RouteRefused);
        }
        let mut url = self.destination.url().clone();
        match path.strip_prefix("/v1") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                url.set_path(&format!("{}{}{rest}", self.prefix, self.version));
            }
            _ => url.set_path(&format!("{}{path}", self.prefix)),
        }
        Ok(url)
    }
}

/// `v1`, `v1beta`, `v4`, but not `v` or `vllm`.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gate;

    fn endpoint(base: &str) -> Endpoint {
        Gate::default().endpoint(base).unwrap()
    }

    #[test]
    fn every_way_to_write_a_base_leads_to_the_same_route() {
        for (base, chat) in [
            (
                "http://8.8.8.8:8000",
                "http://8.8.8.8:8000/v1/chat/completions",
            ),
            (
                "http://8.8.8.8:8000/",
                "http://8.8.8.8:8000/v1/chat/completions",
            ),
            (
                "http://8.8.8.8:8000/v1",
                "http://8.8.8.8:8000/v1/chat/completions",
            ),
            (
                "http://8.8.8.8:8000/v1/",
                "http://8.8.8.8:8000/v1/chat/completions",
            ),
            (
                "http://8.8.8.8:8000/v1///",
                "http://8.8.8.8:8000/v1/chat/completions",
            ),
            (
                "HTTP://8.8.8.8:8000/v1#x",
                "http://8.8.8.8:8000/v1/chat/completions",
            ),
            ("https://a.io:443/p", "https://a.io/p/v1/chat/completions"),
            (
                "https://a.io/openai/v1/",
                "https://a.io/openai/v1/chat/completions",
            ),
            (
                "https://a.io/paas/v4",
                "https://a.io/paas/v4/chat/completions",
            ),
            ("https://a.io/vllm", "https://a.io/vllm/v1/chat/completions"),
            (
                "https://a.io/v1/vllm",
                "https://a.io/v1/vllm/v1/chat/completions",
            ),
            (
                "https://[2606:4700::1]/",
                "https://[2606:4700::1]/v1/chat/completions",
            ),
        ] {
            let endpoint = endpoint(base);
            assert_eq!(
                endpoint.route("/v1/chat/completions").unwrap().as_str(),
                chat,
                "{base}"
            );
            let root = chat.strip_suffix("/chat/completions").unwrap();
            assert_eq!(endpoint.canonical(), root, "{base}");
        }
    }

    #[test]
    fn other_paths_stand_beside_the_version() {
        let server = endpoint("https://a.io/p/v1");
        assert_eq!(
            server.route("/health").unwrap().as_str(),
            "https://a.io/p/health"
        );
        assert_eq!(server.route("/v1").unwrap().as_str(), "https://a.io/p/v1");
        assert_eq!(
            server.route("/v10/x").unwrap().as_str(),
            "https://a.io/p/v10/x"
        );
        let model = server.route("/v1/models/org%2Fname").unwrap();
        assert_eq!(model.as_str(), "https://a.io/p/v1/models/org%2Fname");
    }

    #[test]
    fn a_route_cannot_leave_its_server() {
        let server = endpoint("https://a.io/p");
        for path in [
            "",
            "v1",
            "/v1/../../x",
            "/v1/%2e%2E/x",
            "/v1/.%2e",
            "/v1/./x",
            "/v1/x?y",
            "/v1/x#y",
            "/v1\\x",
            "/v1/ x",
            "/v1/\tx",
        ] {
            assert_eq!(server.route(path), Err(RouteRefused), "{path}");
        }
        let odd = server.route("//evil.com/@b:c").unwrap();
        assert_eq!(odd.as_str(), "https://a.io/p//evil.com/@b:c");
        let bare = endpoint("https://a.io").route("//evil.com").unwrap();
        assert_eq!(bare.host_str(), Some("a.io"));
    }

    #[test]
    fn a_base_with_a_query_or_a_route_is_refused() {
        let refused = |base: &str| Gate::default().endpoint(base).unwrap_err();
        assert_eq!(refused("https://a.io/v1?key=x"), Refused::Query);
        assert_eq!(refused("https://a.io/?"), Refused::Query);
        assert_eq!(
            refused("https://a.io/v1/chat/completions"),
            Refused::RouteInBase
        );
        assert_eq!(refused("https://a.io/v1/models/"), Refused::RouteInBase);
    }
}
