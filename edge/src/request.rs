//! A request as the edge sees it, and a whole answer to it.

use tidegate_wire_openai::{Endpoint, ErrorDialect, ErrorEnvelope};

/// Everything of a request but its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// What follows the question mark, without it.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The method that a route is found by. `HEAD` is a `GET` whose body the host leaves out.
    pub fn verb(&self) -> &str {
        match self.method.as_str() {
            "HEAD" => "GET",
            method => method,
        }
    }

    /// How the clients of this path read errors.
    pub fn error_dialect(&self) -> ErrorDialect {
        Endpoint::from_path(self.path.trim_end_matches('/'))
            .map_or(ErrorDialect::OpenAi, |endpoint| endpoint.traits().errors)
    }

    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first query parameter of this name, percent-decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        self.query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| percent_decode(&value.replace('+', " ")))
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Header lines besides `x-request-id`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// The error that the body tells, where it is one: it is told in the dialect of the route.
    pub error: Option<Box<ErrorEnvelope>>,
}

impl Response {
    /// An answer in JSON.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self {
            status,
            headers,
            body: body.to_string(),
            error: None,
        }
    }

    /// An error.
    pub fn error(status: u16, error: ErrorEnvelope) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self {
            status,
            headers,
            body: String::from_utf8(error.to_json()).unwrap_or_default(),
            error: Some(Box::new(error)),
        }
    }

    /// The error's code, for the log.
    pub fn error_code(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        Some(crate::api_error::own_code(error.code.as_deref()).to_owned())
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// Undoes percent-encoding; what is not UTF-8 becomes U+FFFD.
pub fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let decoded = (*first == b'%')
            .then(|| tail.get(..2).and_then(hex_pair))
            .flatten();
        match decoded {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    // The standard reader also takes a sign.
    if !pair.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_found_and_decoded() {
        let head = Head {
            query: "a=1&model=meta%2FLlama+3&flag".into(),
            ..Head::default()
        };
        assert_eq!(head.query("model").as_deref(), Some("meta/Llama 3"));
        assert_eq!(head.query("flag").as_deref(), Some(""));
        assert_eq!(head.query("b"), None);
    }

    #[test]
    fn broken_percent_encoding_stays_as_it_is() {
        assert_eq!(percent_decode("%zz%4"), "%zz%4");
        assert_eq!(percent_decode("%F0%9F%8C%8A"), "🌊");
        assert_eq!(percent_decode("%+1"), "%+1");
    }
}
