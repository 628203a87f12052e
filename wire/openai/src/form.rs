//! A look at a multipart form as it arrives: the few fields that routing needs, and where they stand.
//!
//! The body is pushed in pieces, as the network cut them, and is not kept: a file of a hundred megabytes
//! costs the bytes of a boundary. What is found is a function of the bytes alone, never of the cuts.
//!
//! Invariant: a form that is read to its end without an error gives every parser the same parts: line
//! ends are CR LF, a boundary stands nowhere else than between two parts, and each part has one name.
//! Whatever two parsers could read differently is refused, for a key that may use one model must not
//! reach another with it.
//!
//! In scope: RFC 7578 and the part of RFC 2046 that it needs. Out of scope: what is in a file, and how
//! long a form may be.

mod boundary;
mod params;
mod part;
mod refusal;
#[cfg(test)]
mod tests;

use std::ops::Range;

use memchr::memmem;

use crate::peek::BadRequest;

pub use refusal::BadForm;

/// The header block of a part. A name and a file name, each of the longest that file systems know (255
/// characters of four bytes), and then as much again.
const MAX_HEADERS: usize = 8 * 1024;
/// OpenAI takes 16 images and some twenty fields.
const MAX_PARTS: usize = 128;
/// Blanks behind a boundary. Nobody writes any.
const MAX_PADDING: usize = 64;
/// Before the first boundary. RFC 2046 lets old mail programs explain themselves there.
const MAX_PREAMBLE: u64 = 8 * 1024;
/// Bytes looked at in one go: what is copied of a longer push at a time.
const WINDOW: usize = 64 * 1024;

/// The value of a field, and where it stands in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The value.
    pub value: String,
    /// Its bytes, as offsets from the start of the body.
    pub span: Range<u64>,
}

/// The fields that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    Model,
    Stream,
    Format,
}

impl Watched {
    fn named(name: &str) -> Option<Self> {
        match name {
            "model" => Some(Self::Model),
            "stream" => Some(Self::Stream),
            "response_format" => Some(Self::Format),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Stream => "stream",
            Self::Format => "response_format",
        }
    }

    /// Longest value, in bytes: of a model as in JSON bodies, of the others more than any that is known.
    const fn limit(self) -> usize {
        match self {
            Self::Model => 256,
            Self::Stream | Self::Format => 64,
        }
    }
}

/// Where the reader stands. In all but the last, `pending` begins at this very place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// Behind a boundary.
    Boundary,
    /// In the headers of a part.
    Headers,
    /// In a part whose value is read.
    Value(Watched),
    /// In any other part.
    Skipped,
    /// Behind the last boundary.
    Epilogue,
}

/// Reads one form. See the module for what it promises.
#[derive(Debug, Clone)]
pub struct FormReader {
    /// `--` and the boundary.
    needle: Vec<u8>,
    state: State,
    /// Bytes that cannot be judged yet.
    pending: Vec<u8>,
    /// Offset of `pending` in the body.
    at: u64,
    /// The two bytes before `pending`.
    before: [u8; 2],
    /// Where the part's content begins.
    from: u64,
    /// The value so far.
    value: Vec<u8>,
    parts: usize,
    has_file: bool,
    found: [Option<Field>; 3],
    failed: Option<BadForm>,
}

impl FormReader {
    /// A reader at the start of a body.
    ///
    /// # Errors
    /// When the content type announces no form, or a boundary that is none.
    pub fn new(content_type: Option<&str>) -> Result<Self, BadForm> {
        let boundary = boundary::boundary(content_type)?;
        Ok(Self {
            needle: [b"--", boundary.as_bytes()].concat(),
            state: State::Preamble,
            pending: Vec::new(),
            at: 0,
            // The first boundary may stand at the very beginning.
            before: *b"\r\n",
            from: 0,
            value: Vec::new(),
            parts: 0,
            has_file: false,
            found: [const { None }; 3],
            failed: None,
        })
    }

    /// Takes the next piece of the body.
    ///
    /// # Errors
    /// The first thing that was wrong, again with each later piece.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), BadForm> {
        for window in piece.chunks(WINDOW) {
            if let Some(failed) = &self.failed {
                return Err(failed.clone());
            }
            self.pending.extend_from_slice(window);
            while let Some(step) = self.step().transpose() {
                if let Err(error) = step {
                    self.pending = Vec::new();
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The body ended; `file` is what the endpoint calls its file.
    ///
    /// # Errors
    /// When the form did not end, or had no model or no file in it.
    pub fn end(&self, file: &'static str) -> Result<(), BadForm> {
        match &self.failed {
            Some(failed) => Err(failed.clone()),
            None if self.state != State::Epilogue => {
                Err(malformed("the last boundary is missing", self.at))
            }
            None if self.model().is_none() => Err(BadRequest::Missing { param: "model" }.into()),
            None if !self.has_file => Err(BadRequest::Missing { param: file }.into()),
            None => Ok(()),
        }
    }

    /// The model asked for, as soon as its part has ended; never empty.
    pub fn model(&self) -> Option<&Field> {
        self.field(Watched::Model)
    }

    /// Whether the answer shall be a stream, as far as the form says by now.
    pub fn stream(&self) -> bool {
        self.field(Watched::Stream)
            .is_some_and(|field| is_true(&field.value) == Some(true))
    }

    /// What the answer shall look like, as far as the form says by now.
    pub fn response_format(&self) -> Option<&str> {
        self.field(Watched::Format)
            .map(|field| field.value.as_str())
    }

    fn field(&self, which: Watched) -> Option<&Field> {
        self.found.get(which as usize)?.as_ref()
    }

    /// Goes on as far as one step leads; `None` when more bytes are needed.
    fn step(&mut self) -> Result<Option<()>, BadForm> {
        match self.state {
            State::Preamble | State::Value(_) | State::Skipped => self.in_content(),
            State::Boundary => self.behind_boundary(),
            State::Headers => self.in_headers(),
            State::Epilogue => {
                let rest = self.pending.len();
                self.take(rest);
                Ok(None)
            }
        }
    }

    /// Looks for the boundary that ends the part, or the preamble.
    fn in_content(&mut self) -> Result<Option<()>, BadForm> {
        let Some(start) = memmem::find(&self.pending, &self.needle) else {
            // The last bytes may be the beginning of a boundary.
            let sure = self
                .pending
                .len()
                .saturating_sub(self.needle.len().saturating_sub(1));
            self.pass(sure)?;
            return Ok(None);
        };
        self.pass(start)?;
        match self.before {
            // Of these two lines' ends one belongs to the headers: some parsers see a boundary here.
            _ if self.at == self.from && self.at > 0 => {
                return Err(malformed("a part ends before it begins", self.at));
            }
            [b'\r', b'\n'] => {}
            [_, b'\r' | b'\n'] => {
                return Err(malformed("a boundary follows a lone CR or LF", self.at));
            }
            _ => {
                // A boundary's text in the middle of a line is none.
                self.pass(self.needle.len())?;
                return Ok(Some(()));
            }
        }
        if let State::Value(which) = self.state {
            self.found_value(which)?;
        }
        self.take(self.needle.len());
        self.state = State::Boundary;
        Ok(Some(()))
    }

    /// Bytes that are certainly not the beginning of a boundary.
    fn pass(&mut self, count: usize) -> Result<(), BadForm> {
        if let State::Value(which) = self.state {
            let limit = which.limit();
            let bytes = self.pending.get(..count).unwrap_or_default();
            self.value.extend_from_slice(bytes);
            // With the line's end that belongs to the boundary.
            if self.value.len() > limit.saturating_add(2) {
                let param = which.name();
                return Err(BadRequest::TooLong { param, limit }.into());
            }
        }
        self.take(count);
        if self.state == State::Preamble && self.at > MAX_PREAMBLE {
            return Err(malformed("no boundary begins the form", 0));
        }
        Ok(())
    }

    fn take(&mut self, count: usize) {
        for byte in self
            .pending
            .iter()
            .take(count)
            .skip(count.saturating_sub(2))
        {
            self.before = [self.before[1], *byte];
        }
        self.pending.drain(..count);
        self.at = self
            .at
            .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }

    fn found_value(&mut self, which: Watched) -> Result<(), BadForm> {
        let param = which.name();
        let mut bytes = std::mem::take(&mut self.value);
        bytes.truncate(bytes.len().saturating_sub(2));
        if bytes.len() > which.limit() {
            let limit = which.limit();
            return Err(BadRequest::TooLong { param, limit }.into());
        }
        let span = self.from..self.at.saturating_sub(2);
        let value = String::from_utf8(bytes).map_err(|_| BadRequest::WrongType {
            param,
            expected: "a text in UTF-8",
        })?;
        match which {
            Watched::Model if value.trim().is_empty() => {
                return Err(BadRequest::Empty { param }.into());
            }
            Watched::Stream if is_true(&value).is_none() => {
                let expected = "a boolean (`true` or `false`)";
                return Err(BadRequest::WrongType { param, expected }.into());
            }
            _ => {}
        }
        if let Some(slot) = self.found.get_mut(which as usize) {
            *slot = Some(Field { value, span });
        }
        Ok(())
    }

    fn behind_boundary(&mut self) -> Result<Option<()>, BadForm> {
        let bytes = self.pending.as_slice();
        if let Some(dashes) = bytes.get(..2)
            && dashes == b"--"
        {
            self.state = State::Epilogue;
            return Ok(Some(()));
        }
        if matches!(bytes, [] | [b'-']) {
            return Ok(None);
        }
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let padding = bytes.iter().take_while(|byte| blank(byte)).count();
        match bytes.get(padding..) {
            _ if padding > MAX_PADDING => {}
            Some([b'\r', b'\n', ..]) => {
                self.take(padding.saturating_add(2));
                self.state = State::Headers;
                return Ok(Some(()));
            }
            Some([] | [b'\r']) | None => return Ok(None),
            Some(_) => {}
        }
        Err(malformed(
            "a line begins like the boundary and goes on",
            self.at,
        ))
    }

    fn in_headers(&mut self) -> Result<Option<()>, BadForm> {
        const TOO_LONG: BadForm = BadForm::TooMuch {
            what: "a part whose headers are longer than 8 KiB",
        };
        if self.pending.starts_with(b"\r\n") {
            return Err(malformed("a part has no headers", self.at));
        }
        let most = MAX_HEADERS.saturating_add(4);
        let head = self.pending.get(..most).unwrap_or(&self.pending);
        let Some(length) = memmem::find(head, b"\r\n\r\n") else {
            return if self.pending.len() < most {
                Ok(None)
            } else {
                Err(TOO_LONG)
            };
        };
        self.parts = self.parts.saturating_add(1);
        if self.parts > MAX_PARTS {
            let what = "more than 128 parts";
            return Err(BadForm::TooMuch { what });
        }
        let block = self.pending.get(..length).unwrap_or_default();
        let part = part::read(block).map_err(|what| malformed(what, self.at))?;
        let watched = Watched::named(part.name);
        let is_opaque = part.is_opaque;
        self.has_file |= is_opaque;
        self.take(length.saturating_add(4));
        self.before = [0; 2];
        self.from = self.at;
        self.state = match watched {
            None => State::Skipped,
            Some(which) => {
                let param = which.name();
                if self.field(which).is_some() {
                    return Err(BadRequest::Duplicate { param }.into());
                }
                if is_opaque {
                    let expected = "a plain field, not a file";
                    return Err(BadRequest::WrongType { param, expected }.into());
                }
                State::Value(which)
            }
        };
        Ok(Some(()))
    }
}

/// As the SDKs and the frameworks of the servers spell it.
fn is_true(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

const fn malformed(what: &'static str, at: u64) -> BadForm {
    BadForm::Malformed { what, at }
}
