//! Which headers cross the gateway, in each direction.
//!
//! Invariant: what identifies the client or opens its account (keys, cookies, addresses) never reaches a
//! model server; what belongs to one hop (RFC 9110 §7.6.1), or speaks for the server's own host, never
//! reaches the client. All other headers pass.
//!
//! Names are lower case, as HTTP/2 and the Fetch standard give them. Out of scope: the headers the
//! gateway adds itself (`authorization` for the server, `x-request-id`, `traceparent`, rate limits).

/// One hop's own business. The body is read and written anew on each side, so its length and coding are
/// that too.
const HOP_BY_HOP: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "proxy-status",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Keys, identity and address of the client; and `accept-encoding`, because the reader needs plain text
/// and the runtime asks for what it can decode.
const KEPT_FROM_SERVER: [&str; 24] = [
    "accept-encoding",
    "api-key",
    "authorization",
    "cdn-loop",
    "client-ip",
    "content-encoding",
    "cookie",
    "cookie2",
    "fastly-client-ip",
    "forwarded",
    "from",
    "host",
    "idempotency-key",
    "openai-organization",
    "openai-project",
    "origin",
    "referer",
    "true-client-ip",
    "via",
    "x-api-key",
    "x-client-ip",
    "x-goog-api-key",
    "x-real-ip",
    "x-request-id",
];

const KEPT_FROM_SERVER_PREFIXES: [&str; 8] = [
    "access-control-",
    "cf-",
    "sec-",
    "x-auth-",
    "x-forwarded-",
    "x-gateway-",
    "x-original-",
    "x-tidegate-",
];

/// What would make the client act on the server's host, what tells its make and place, and what the
/// gateway says itself.
const KEPT_FROM_CLIENT: [&str; 26] = [
    "alt-svc",
    "clear-site-data",
    "content-encoding",
    "content-security-policy",
    "date",
    "link",
    "location",
    "nel",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "retry-after",
    "retry-after-ms",
    "server",
    "server-timing",
    "service-worker-allowed",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "via",
    "www-authenticate",
    "x-powered-by",
    "x-process-time",
    "x-request-id",
    "x-runtime",
    "x-should-retry",
];

const KEPT_FROM_CLIENT_PREFIXES: [&str; 7] = [
    "access-control-",
    "cf-",
    "cross-origin-",
    "x-forwarded-",
    "x-gateway-",
    "x-ratelimit-",
    "x-tidegate-",
];

/// Whether a request header goes on to the model server. `connection` is the value of the request's
/// `Connection` header, which may name further headers of this hop.
pub fn reaches_server(name: &str, connection: Option<&str>) -> bool {
    !is_hop_by_hop(name, connection)
        && !KEPT_FROM_SERVER.contains(&name)
        && !KEPT_FROM_SERVER_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// Whether a response header goes on to the client. `connection` is as for [`reaches_server`].
pub fn reaches_client(name: &str, connection: Option<&str>) -> bool {
    !is_hop_by_hop(name, connection)
        && !KEPT_FROM_CLIENT.contains(&name)
        && !KEPT_FROM_CLIENT_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// Whether a header is for one hop only, by its name or because `Connection` names it. Nobody may name
/// `content-type` away: without it the body would be read as something else.
pub fn is_hop_by_hop(name: &str, connection: Option<&str>) -> bool {
    HOP_BY_HOP.contains(&name)
        || (name != "content-type"
            && connection.is_some_and(|named| {
                named
                    .split(',')
                    .any(|token| token.trim().eq_ignore_ascii_case(name))
            }))
}

#[cfg(test)]
mod tests {
    use super::{
        HOP_BY_HOP, KEPT_FROM_CLIENT, KEPT_FROM_CLIENT_PREFIXES, KEPT_FROM_SERVER,
        KEPT_FROM_SERVER_PREFIXES, reaches_client, reaches_server,
    };

    #[test]
    fn what_identifies_the_client_stays_here() {
        for name in [
            "authorization",
            "x-api-key",
            "cookie",
            "host",
            "cf-connecting-ip",
            "x-forwarded-for",
            "accept-encoding",
            "content-length",
            "origin",
        ] {
            assert!(!reaches_server(name, None), "{name}");
        }
    }

    #[test]
    fn what_means_something_to_the_server_goes_on() {
        for name in [
            "content-type",
            "accept",
            "traceparent",
            "user-agent",
            "x-stainless-lang",
            "x-custom",
        ] {
            assert!(reaches_server(name, None), "{name}");
        }
    }

    #[test]
    fn what_speaks_for_the_servers_host_stays_here() {
        for name in [
            "set-cookie",
            "location",
            "server",
            "content-encoding",
            "transfer-encoding",
            "cf-ray",
        ] {
            assert!(!reaches_client(name, None), "{name}");
        }
        for name in [
            "content-type",
            "cache-control",
            "openai-processing-ms",
            "x-custom",
        ] {
            assert!(reaches_client(name, None), "{name}");
        }
    }

    #[test]
    fn a_header_named_by_connection_is_for_one_hop() {
        assert!(!reaches_server("x-hop", Some("close, X-Hop")));
        assert!(reaches_server("x-other", Some("close, X-Hop")));
        assert!(reaches_client("content-type", Some("content-type")));
    }

    #[test]
    fn every_listed_name_is_lower_case() {
        let lists: [&[&str]; 5] = [
            &HOP_BY_HOP,
            &KEPT_FROM_SERVER,
            &KEPT_FROM_SERVER_PREFIXES,
            &KEPT_FROM_CLIENT,
            &KEPT_FROM_CLIENT_PREFIXES,
        ];
        assert!(
            lists
                .concat()
                .iter()
                .all(|name| *name == name.to_ascii_lowercase())
        );
    }
}
