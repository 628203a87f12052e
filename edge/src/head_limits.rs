//! What a request may be before anybody looks at what it says.
//!
//! Invariant: a request that is refused here has reached no object and none of its body was read.
//!
//! In scope: what can be told from the head. Out of scope: bodies that do not say how long they are, which
//! are counted while they are read; limits of the platform's own, which lie further out (Cloudflare: 128 KiB
//! of headers, 16 KiB of URL).

use tidegate_wire_openai::ErrorCode;

use crate::api_error::ApiError;
use crate::request::Head;

/// Path and query. The longest that is of use names a model of 256 bytes, percent-encoded.
const MOST_URL_BYTES: usize = 8 * 1024;
/// An SDK behind two proxies sends about forty.
const MOST_HEADERS: usize = 100;
/// Names and values: four times what web servers usually take of one, and every header is copied to a server.
const MOST_HEADER_BYTES: usize = 32 * 1024;

/// Refuses what no route takes; `body_limit` is the route's own.
pub fn check(head: &Head, body_limit: usize) -> Result<(), ApiError> {
    let url = head.path.len().saturating_add(head.query.len());
    if url > MOST_URL_BYTES {
        let message = format!(
            "The URL is {url} bytes long, and at most {MOST_URL_BYTES} are read. Send what it holds in the body."
        );
        return Err(ApiError::new(ErrorCode::UriTooLong, message));
    }
    if head.headers.len() > MOST_HEADERS {
        let message = format!(
            "The request has {} headers, and at most {MOST_HEADERS} are read. Send fewer.",
            head.headers.len()
        );
        return Err(ApiError::new(ErrorCode::HeadersTooLarge, message));
    }
    let lengths = head
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len());
    let bytes: usize = lengths.sum();
    if bytes > MOST_HEADER_BYTES {
        let message = format!(
            "The headers are {bytes} bytes long, and at most {MOST_HEADER_BYTES} are read. Send less, cookies \
             first: nothing here reads them."
        );
        return Err(ApiError::new(ErrorCode::HeadersTooLarge, message));
    }
    if let Some(coding) = head.header("content-encoding")
        && !coding.trim().is_empty()
        && !coding.trim().eq_ignore_ascii_case("identity")
    {
        return Err(ApiError::new(
            ErrorCode::UnsupportedEncoding,
            "The body is compressed, and compressed bodies are not read. Send it as it is, without \
             `Content-Encoding`.",
        ));
    }
    let is_number =
        |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(length) = head
        .header("content-length")
        .map(str::trim)
        .filter(is_number)
    {
        // More digits than a number holds are more bytes than anybody takes.
        let length: usize = length.parse().unwrap_or(usize::MAX);
        if length > body_limit {
            return Err(crate::flow::BodyTooLarge { limit: body_limit }.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Head {
        Head {
            method: "POST".into(),
            path: "/v1/chat/completions".into(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Head::default()
        }
    }

    fn code(head: &Head) -> Option<u16> {
        let refused = check(head, 1000).err()?;
        Some(refused.into_response().status)
    }

    #[test]
    fn a_url_is_read_up_to_its_limit() {
        let of = |path: usize, query: usize| Head {
            path: "/".repeat(path),
            query: "q".repeat(query),
            ..Head::default()
        };
        assert_eq!(code(&of(8192, 0)), None);
        assert_eq!(code(&of(4096, 4096)), None);
        assert_eq!(code(&of(4096, 4097)), Some(414));
    }

    #[test]
    fn headers_are_read_up_to_their_number_and_bytes() {
        let many = |count: usize| Head {
            headers: (0..count)
                .map(|n| (format!("x-{n}"), String::new()))
                .collect(),
            ..Head::default()
        };
        assert_eq!((code(&many(100)), code(&many(101))), (None, Some(431)));
        let long = |bytes: usize| head(&[("x", &"v".repeat(bytes - 1))]);
        assert_eq!(
            (code(&long(32_768)), code(&long(32_769))),
            (None, Some(431))
        );
    }

    #[test]
    fn a_body_that_says_that_it_is_too_long_is_not_waited_for() {
        let of = |length: &str| code(&head(&[("content-length", length)]));
        assert_eq!((of("1000"), of("1001")), (None, Some(413)));
        assert_eq!(of("99999999999999999999999999"), Some(413));
        for odd in ["", "-1", "12, 12", "1e9"] {
            assert_eq!(of(odd), None, "left to whoever counts the bytes: {odd}");
        }
    }

    #[test]
    fn compressed_bodies_are_refused() {
        let of = |coding: &str| code(&head(&[("content-encoding", coding)]));
        assert_eq!((of("gzip"), of("br, gzip")), (Some(415), Some(415)));
        assert_eq!(
            (of("identity"), of(" Identity"), of("")),
            (None, None, None)
        );
    }
}
