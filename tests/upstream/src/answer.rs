//! An answer before it is framed: status, headers, timed body parts and how it ends.
//! Invariant: building one has no effect; only [`crate::connection`] writes.

use base64::Engine as _;
use serde_json::Value;

use crate::script::{After, Framing, How, RawPart};

/// Bytes of the body and the silence before them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Silence before.
    pub wait_ms: u64,
    /// The bytes; one network write.
    pub bytes: Vec<u8>,
}

/// What follows a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Not one byte.
    Nothing(How),
    /// An answer.
    Answer(Answer),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// In order, repeats allowed.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub parts: Vec<Part>,
    /// How its length is told.
    pub framing: Framing,
    /// Set when it ends before its framing says so.
    pub early: Option<How>,
    /// What happens to the connection afterwards.
    pub after: After,
}

impl Answer {
    /// A body in one piece with its true length.
    pub fn plain(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            parts: vec![Part {
                wait_ms: 0,
                bytes: body.into(),
            }],
            framing: Framing::Length,
            early: None,
            after: After::KeepAlive,
        }
    }

    /// A JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::plain(status, "application/json", body.to_string())
    }

    /// An event stream, chunked.
    pub fn stream(parts: Vec<Part>) -> Self {
        Self {
            status: 200,
            headers: vec![
                ("Content-Type".to_owned(), "text/event-stream".to_owned()),
                ("Cache-Control".to_owned(), "no-cache".to_owned()),
            ],
            parts,
            framing: Framing::Chunked,
            early: None,
            after: After::KeepAlive,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the body's bytes, all in one part.
    pub fn replace_body(&mut self, bytes: Vec<u8>) {
        let wait_ms = self.parts.iter().map(|part| part.wait_ms).sum();
        self.parts = vec![Part { wait_ms, bytes }];
    }

    /// All bytes of the body.
    pub fn body(&self) -> Vec<u8> {
        self.parts
            .iter()
            .flat_map(|part| part.bytes.iter().copied())
            .collect()
    }
}

impl RawPart {
    /// The bytes; unreadable base64 gives none.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.utf8.clone().unwrap_or_default().into_bytes();
        if let Some(text) = &self.base64 {
            let decoded = base64::engine::general_purpose::STANDARD.decode(text);
            bytes.extend(decoded.unwrap_or_default());
        }
        bytes
    }
}
