//! One request, read from bytes. Invariant: [`parse`] either needs more bytes, refuses, or returns a
//! whole request and how many bytes it took; it never looks at a socket.

use serde_json::Value;

/// Heads beyond this are refused; no client of ours sends more.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Bodies beyond this are refused: more than the gateway lets through.
const MAX_BODY_BYTES: usize = 128 * 1024 * 1024;

/// Why bytes are no request.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    /// Not HTTP/1.x.
    #[error("the head is not HTTP/1.x, so the connection is closed: {0}")]
    Head(#[from] httparse::Error),
    /// A length that is no number.
    #[error("Content-Length is not a number, so the end of the body is unknown")]
    Length,
    /// A chunk header that cannot be read.
    #[error("a chunk size is not hexadecimal, so the end of the body is unknown")]
    Chunk,
    /// Over a limit.
    #[error("the head or body is larger than this server reads")]
    TooLarge,
}

/// A whole request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`…
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// What stands after `?`.
    pub query: String,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body, without transfer coding.
    pub body: Vec<u8>,
    /// Whether the client wants the connection afterwards.
    pub keep_alive: bool,
}

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Not a whole request yet; `expects_continue` once the head asks for a 100.
    Partial {
        /// The head is whole and holds `Expect: 100-continue`.
        expects_continue: bool,
    },
    /// A request and the number of bytes it took.
    Whole(Box<Request>, usize),
}

impl Request {
    /// First value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Reads the request that `bytes` begin with.
pub fn parse(bytes: &[u8]) -> Result<Parsed, RequestError> {
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut head = httparse::Request::new(&mut fields);
    let head_length = match head.parse(bytes)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial if bytes.len() > MAX_HEAD_BYTES => {
            return Err(RequestError::TooLarge);
        }
        httparse::Status::Partial => {
            return Ok(Parsed::Partial {
                expects_continue: false,
            });
        }
    };
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|field| {
            (
                field.name.to_ascii_lowercase(),
                String::from_utf8_lossy(field.value).into_owned(),
            )
        })
        .collect();
    let target = head.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: Vec::new(),
        keep_alive: false,
    };
    let connection = request.header("connection").unwrap_or_default();
    request.keep_alive = if head.version == Some(0) {
        connection.eq_ignore_ascii_case("keep-alive")
    } else {
        !connection.eq_ignore_ascii_case("close")
    };
    let rest = bytes.get(head_length..).unwrap_or_default();
    let chunked = request
        .header("transfer-encoding")
        .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"));
    let body = if chunked {
        chunked_body(rest)?
    } else {
        let length = match request.header("content-length") {
            Some(text) => text.trim().parse().map_err(|_| RequestError::Length)?,
            None => 0,
        };
        if length > MAX_BODY_BYTES {
            return Err(RequestError::TooLarge);
        }
        rest.get(..length).map(|body| (body.to_vec(), length))
    };
    match body {
        Some((body, length)) => {
            request.body = body;
            Ok(Parsed::Whole(Box::new(request), head_length + length))
        }
        None => Ok(Parsed::Partial {
            expects_continue: request
                .header("expect")
                .is_some_and(|value| value.eq_ignore_ascii_case("100-continue")),
        }),
    }
}

/// The decoded body and the bytes it took, or `None` while its end is missing.
fn chunked_body(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, RequestError> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(RequestError::Chunk),
        };
        let size = usize::try_from(size).map_err(|_| RequestError::TooLarge)?;
        if body.len().saturating_add(size) > MAX_BODY_BYTES {
            return Err(RequestError::TooLarge);
        }
        // Each chunk, the last empty one too, ends with CR LF; trailers are not read.
        let end = start + size + 2;
        if rest.len() < end {
            return Ok(None);
        }
        body.extend_from_slice(rest.get(start..start + size).unwrap_or_default());
        at += end;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole_only_at_the_end(bytes: &[u8], body: &[u8]) {
        for end in 0..bytes.len() {
            assert!(
                matches!(parse(&bytes[..end]), Ok(Parsed::Partial { .. })),
                "{end} bytes were taken for a whole request"
            );
        }
        match parse(bytes) {
            Ok(Parsed::Whole(request, length)) => {
                assert_eq!(request.body, body);
                assert_eq!(length, bytes.len());
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_whole_at_its_last_byte_and_not_before() {
        whole_only_at_the_end(
            b"POST /a?b=c HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
            b"{}",
        );
        whole_only_at_the_end(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            b"abc",
        );
    }

    #[test]
    fn lengths_that_are_no_numbers_are_refused() {
        assert_eq!(
            parse(b"POST / HTTP/1.1\r\nContent-Length: two\r\n\r\n"),
            Err(RequestError::Length)
        );
        assert_eq!(
            parse(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
            Err(RequestError::Chunk)
        );
    }
}
