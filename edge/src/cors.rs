//! Web pages of other origins: who may call from a browser, and what their scripts may read.
//!
//! Off unless the installation names origins: preflights carry no key, so nobody else can be asked. Only the
//! routes that a client key opens take part; a page has no business with the administrator's.
//!
//! Invariant: credentials (cookies) are never allowed, so an answer that a page may read holds nothing that
//! its own `authorization` header did not open. `null`, the origin of sandboxed documents and local files, is
//! allowed by `*` only. Where the answer depends on the origin it says so (`vary`). A preflight asks no object.
//!
//! Source: <https://fetch.spec.whatwg.org/#http-cors-protocol>.

use tidegate_wire_openai::{Endpoint, ErrorCode};

use crate::api_error::ApiError;
use crate::request::{Head, Response};

/// Every method of the routes that take part.
const METHODS: &str = "GET, POST, DELETE";
/// What browsers keep a preflight's answer for at most (Chromium: two hours).
const MAX_AGE_SECONDS: &str = "7200";
/// What a script may read besides the content headers.
const EXPOSED: &str = "x-request-id, x-gateway-server-id, retry-after, retry-after-ms, x-should-retry, \
                       ratelimit, ratelimit-policy, x-ratelimit-limit-requests, \
                       x-ratelimit-remaining-requests, x-ratelimit-reset-requests, \
                       x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens";

/// Origins whose pages may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// None: no header of CORS anywhere.
    #[default]
    Off,
    /// All.
    Any,
    /// These, as browsers write them.
    These(Vec<String>),
}

/// A list of origins that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginsRefused {
    /// `*` beside others.
    #[error("`*` stands for every origin, so it stands alone")]
    AnyAndOthers,
    /// `null`.
    #[error(
        "`null` is the origin of every sandboxed page and local file, so it cannot be told from any \
         other: leave it out"
    )]
    Null,
    /// Not as a browser writes it.
    #[error(
        "`{0}` is not an origin as browsers send it: scheme, host and a port that is not the scheme's \
         own, such as https://app.example.com or http://localhost:5173, without a path or a slash at \
         the end"
    )]
    Malformed(String),
}

impl Origins {
    /// Reads a list separated by commas; an empty one is off.
    ///
    /// # Errors
    /// With the entry and what is wrong with it.
    pub fn parse(list: &str) -> Result<Self, OriginsRefused> {
        let entries: Vec<&str> = list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .collect();
        match entries.as_slice() {
            [] => Ok(Self::Off),
            ["*"] => Ok(Self::Any),
            entries => entries
                .iter()
                .map(|entry| origin(entry))
                .collect::<Result<_, _>>()
                .map(Self::These),
        }
    }

    /// What every answer to this request carries.
    pub fn headers(&self, head: &Head) -> Vec<(String, String)> {
        if !takes_part(&head.path) {
            return Vec::new();
        }
        let allowed = match self {
            Self::Off => return Vec::new(),
            Self::Any => head.header("origin").map(|_| "*"),
            Self::These(_) => head.header("origin").filter(|origin| self.allows(origin)),
        };
        let mut headers = Vec::new();
        if matches!(self, Self::These(_)) {
            headers.push(line("vary", "Origin"));
        }
        if let Some(allowed) = allowed {
            headers.push(line("access-control-allow-origin", allowed));
            headers.push(line("access-control-expose-headers", EXPOSED));
        }
        headers
    }

    /// The answer to a preflight; `None` when the request is none, or CORS is off.
    pub fn preflight(&self, head: &Head) -> Option<Response> {
        let origin = head.header("origin")?;
        let is_preflight = head.method == "OPTIONS"
            && *self != Self::Off
            && takes_part(&head.path)
            && head.header("access-control-request-method").is_some();
        if !is_preflight {
            return None;
        }
        if !self.allows(origin) {
            let message = format!(
                "Pages of `{origin}` may not call this gateway. Whoever runs it lists those that may in \
                 CORS_ORIGINS."
            );
            let refused = ApiError::new(ErrorCode::InsufficientPermissions, message);
            return Some(refused.into_response());
        }
        // SDKs send headers of their own and change them with each release, so a list would be out of date;
        // and without credentials no header opens anything that its sender did not have.
        let wanted = head.header("access-control-request-headers").unwrap_or("");
        let mut response = Response {
            status: 204,
            headers: Vec::new(),
            body: String::new(),
            error: None,
        }
        .with_header("access-control-allow-methods", METHODS)
        .with_header("access-control-max-age", MAX_AGE_SECONDS);
        if !wanted.is_empty() && wanted.split(',').all(|name| is_token(name.trim())) {
            response = response.with_header("access-control-allow-headers", wanted);
        }
        Some(response.with_header("vary", "Access-Control-Request-Headers"))
    }

    fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Off => false,
            Self::Any => true,
            Self::These(allowed) => allowed.iter().any(|allowed| allowed == origin),
        }
    }
}

fn takes_part(path: &str) -> bool {
    path.starts_with("/v1/") || Endpoint::from_path(path.trim_end_matches('/')).is_some()
}

/// One entry, as browsers will send it: in lower case.
fn origin(entry: &str) -> Result<String, OriginsRefused> {
    let malformed = || OriginsRefused::Malformed(entry.to_owned());
    match entry {
        "*" => return Err(OriginsRefused::AnyAndOthers),
        "null" => return Err(OriginsRefused::Null),
        _ => {}
    }
    let origin = entry.to_ascii_lowercase();
    let (scheme, authority) = origin.split_once("://").ok_or_else(malformed)?;
    let scheme_fits = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    // A colon within brackets belongs to an IPv6 address.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host_fits = !host.is_empty()
        && (host.starts_with('[') == host.ends_with(']'))
        && host.chars().all(|c| {
            c.is_ascii_alphanumeric()
                || matches!(c, '-' | '.' | '_')
                || (host.starts_with('[') && matches!(c, '[' | ']' | ':'))
        });
    let default_port = match scheme {
        "http" => Some("80"),
        "https" => Some("443"),
        _ => None,
    };
    let port_fits = port.is_none_or(|port| {
        port.parse::<u16>()
            .is_ok_and(|number| number.to_string() == port)
            && Some(port) != default_port
    });
    if scheme_fits && host_fits && port_fits {
        return Ok(origin);
    }
    Err(malformed())
}

/// A header's name (RFC 9110 §5.6.2).
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn line(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn these(list: &str) -> Origins {
        Origins::parse(list).unwrap()
    }

    fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Head {
        Head {
            method: method.into(),
            path: path.into(),
            headers: headers.iter().map(|(n, v)| line(n, v)).collect(),
            ..Head::default()
        }
    }

    fn names(headers: &[(String, String)]) -> Vec<&str> {
        headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn origins_are_taken_as_browsers_send_them() {
        assert_eq!(these(" "), Origins::Off);
        assert_eq!(these("*"), Origins::Any);
        let list = "https://App.example.com, http://localhost:5173,http://[::1]:8080,http://[::1],\
                    tauri://localhost,chrome-extension://abcdef,http://127.0.0.1:80443";
        assert!(Origins::parse(list).is_err(), "no such port");
        let list = list.replace("80443", "8443");
        let Origins::These(origins) = these(&list) else {
            panic!("a list");
        };
        assert_eq!(origins.first().unwrap(), "https://app.example.com");
        assert_eq!(origins.len(), 7);
    }

    #[test]
    fn what_no_browser_sends_is_refused_with_what_to_write() {
        for odd in [
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/x",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "http://app.example.com:080",
            "http://app.example.com:",
            "https://",
            "://host",
            "https://*.example.com",
            "https://user@example.com",
            "https://[::1",
            "1s://host",
        ] {
            let refused = Origins::parse(odd).unwrap_err();
            assert_eq!(refused, OriginsRefused::Malformed(odd.to_owned()), "{odd}");
            assert!(refused.to_string().contains("https://app.example.com"));
        }
        assert_eq!(Origins::parse("null"), Err(OriginsRefused::Null));
        assert_eq!(
            Origins::parse("https://a.example,*"),
            Err(OriginsRefused::AnyAndOthers)
        );
    }

    #[test]
    fn an_answer_names_the_origin_only_to_those_that_are_listed() {
        let origins = these("https://a.example");
        let headers =
            |origin: &str, path: &str| origins.headers(&head("POST", path, &[("origin", origin)]));
        let listed = headers("https://a.example", "/v1/chat/completions");
        assert_eq!(
            names(&listed),
            [
                "vary",
                "access-control-allow-origin",
                "access-control-expose-headers"
            ]
        );
        assert_eq!(listed[1].1, "https://a.example");
        for other in [
            "https://b.example",
            "null",
            "https://A.example",
            "https://a.example.evil",
        ] {
            assert_eq!(
                headers(other, "/tokenize"),
                [line("vary", "Origin")],
                "{other}"
            );
        }
        assert_eq!(headers("https://a.example", "/admin/keys"), []);
        assert_eq!(headers("https://a.example", "/metrics"), []);
        assert_eq!(
            origins.headers(&head("GET", "/v1/models", &[])),
            [line("vary", "Origin")]
        );
    }

    #[test]
    fn every_origin_is_answered_with_a_star_and_without_credentials() {
        for origin in ["https://a.example", "null"] {
            let headers = Origins::Any.headers(&head("GET", "/v1/models", &[("origin", origin)]));
            assert_eq!(headers[0], line("access-control-allow-origin", "*"));
            assert_eq!(
                names(&headers).len(),
                2,
                "no `vary`: the answer is one for all"
            );
        }
        assert_eq!(Origins::Any.headers(&head("GET", "/v1/models", &[])), []);
    }

    #[test]
    fn off_is_off() {
        let preflight = [
            ("origin", "https://a.example"),
            ("access-control-request-method", "POST"),
        ];
        let head = head("OPTIONS", "/v1/models", &preflight);
        assert_eq!(Origins::Off.headers(&head), []);
        assert_eq!(Origins::Off.preflight(&head), None);
    }

    #[test]
    fn a_preflight_allows_whatever_header_it_names_if_it_names_headers() {
        let preflight = |wanted: &str| {
            let headers = [
                ("origin", "https://a.example"),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", wanted),
            ];
            Origins::Any
                .preflight(&head("OPTIONS", "/v1/chat/completions", &headers))
                .unwrap()
        };
        let sdk = "authorization,content-type,x-stainless-lang,openai-beta,idempotency-key";
        let answer = preflight(sdk);
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
        assert!(
            answer
                .headers
                .contains(&line("access-control-allow-headers", sdk))
        );
        assert!(
            answer
                .headers
                .contains(&line("access-control-max-age", "7200"))
        );
        for odd in ["", "a b", "a,,b", "a:b"] {
            let answer = preflight(odd);
            assert!(
                !names(&answer.headers).contains(&"access-control-allow-headers"),
                "{odd}"
            );
        }
    }

    #[test]
    fn a_page_that_is_not_listed_is_told_where_to_be_listed() {
        let headers = [
            ("origin", "https://b.example"),
            ("access-control-request-method", "GET"),
        ];
        let preflight = head("OPTIONS", "/v1/models", &headers);
        let answer = these("https://a.example").preflight(&preflight).unwrap();
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("CORS_ORIGINS"));
    }

    #[test]
    fn options_without_a_preflight_are_left_to_the_router() {
        let plain = head("OPTIONS", "/v1/models", &[("origin", "https://a.example")]);
        assert_eq!(Origins::Any.preflight(&plain), None);
        let outside = [
            ("origin", "https://a.example"),
            ("access-control-request-method", "GET"),
        ];
        for path in ["/admin/keys", "/metrics", "/"] {
            assert_eq!(
                Origins::Any.preflight(&head("OPTIONS", path, &outside)),
                None
            );
        }
    }
}
