//! The incremental reader of a server's SSE stream.
//!
//! Bytes go in as the network cut them; whole, well-formed frames come out. What comes out is a
//! function of the bytes alone, never of where the chunks were cut:
//! `concat(outputs(split(s))) == concat(outputs([s]))` for every split of `s`.
//!
//! Invariants: the output is valid UTF-8 made of whole frames; it ends with exactly one of the dialect's
//! own last word (`[DONE]`, `response.completed`, `message_stop`, …) and an error event, never both; after
//! that nothing is sent.
//!
//! In scope: framing, mending, hiding the usage chunk, counting. What a frame means is its dialect's:
//! `chunks` reads the nameless ones of chat, `events` those with a type. Out of scope: time. The host says
//! when a silence is too long ([`End::Stalled`]) and closes the upstream when [`StreamReader::is_over`].

mod chunks;
mod event;
mod events;
mod fields;
mod frames;
mod outcome;
mod output;
mod progress;
mod protocol;
#[cfg(test)]
mod tests;
mod typed;

use std::rc::Rc;

use crate::endpoint::StreamDialect;
use crate::error::ErrorEnvelope;
use crate::nesting::{MAX_DEPTH, deeper_than};
use crate::response_shape::ResponseShape;
use crate::upstream_error;
use crate::usage::Usage;

use fields::Fields;
use frames::{Frame, Scanner};
pub use outcome::{End, Outcome};
use output::Output;
use protocol::{Judged, Protocol};

/// How to treat one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamOptions {
    /// What the stream speaks.
    pub dialect: StreamDialect,
    /// The client did not ask for the usage chunk: read it and keep it.
    pub hide_usage: bool,
    /// Largest frame, in bytes, with its terminator. A frame is held in memory until it is whole.
    pub max_event_bytes: usize,
}

impl Default for StreamOptions {
    /// Chat's chunks of up to 1 MiB: one with the log-probabilities of 20 candidates takes a few KiB, an
    /// isolate has 128 MiB for hundreds of streams.
    fn default() -> Self {
        Self {
            dialect: StreamDialect::Chunks,
            hide_usage: false,
            max_event_bytes: 1 << 20,
        }
    }
}

/// What to send for the chunk that was pushed.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The chunk itself, the very same bytes.
    Untouched,
    /// These bytes instead; never empty.
    Replace(Vec<u8>),
    /// Nothing now.
    Hold,
}

/// Reads one stream. See the module for what it promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamReader {
    options: StreamOptions,
    scanner: Scanner,
    /// The frame that is not whole yet, already scanned by `scanner`.
    pending: Vec<u8>,
    at_first_frame: bool,
    protocol: Protocol,
    outcome: Option<Outcome>,
    /// What the client was told, or would have been, when the stream ended badly.
    error: Option<ErrorEnvelope>,
}

/// What becomes of one frame.
enum Verdict {
    Pass,
    Rendered(Vec<u8>),
    Drop,
    Fail(Outcome, ErrorEnvelope),
}

impl StreamReader {
    /// A reader at the start of a stream.
    pub fn new(options: StreamOptions) -> Self {
        Self {
            options,
            scanner: Scanner::default(),
            pending: Vec::new(),
            at_first_frame: true,
            protocol: Protocol::new(&options, None),
            outcome: None,
            error: None,
        }
    }

    /// The same for responses whose missing fields are filled in.
    pub fn with_shape(options: StreamOptions, shape: Rc<ResponseShape>) -> Self {
        Self {
            protocol: Protocol::new(&options, Some(shape)),
            ..Self::new(options)
        }
    }

    /// Takes the next chunk. After the end of the stream it yields [`Step::Hold`].
    pub fn push(&mut self, chunk: &[u8]) -> Step {
        if self.outcome.is_some() || chunk.is_empty() {
            return Step::Hold;
        }
        if self.pending.is_empty() {
            let mut out = Output::new(chunk);
            let consumed = self.read_frames(chunk, 0, &mut out);
            self.pending
                .extend_from_slice(chunk.get(consumed..).unwrap_or_default());
            return out.into_step();
        }
        let scanned = self.pending.len();
        let mut buffer = std::mem::take(&mut self.pending);
        buffer.extend_from_slice(chunk);
        let mut out = Output::new(&buffer);
        let consumed = self.read_frames(&buffer, scanned, &mut out);
        let step = out.into_replacement();
        buffer.drain(..consumed);
        self.pending = buffer;
        step
    }

    /// Ends the stream, and gives the bytes that end it for the client: what was still held, then
    /// `[DONE]` or an error event. Empty when the stream was over before.
    pub fn end(&mut self, how: End) -> Vec<u8> {
        if self.outcome.is_some() {
            return Vec::new();
        }
        let rest = std::mem::take(&mut self.pending);
        let mut sent = Vec::new();
        if how == End::Eof && !rest.is_empty() {
            self.read_last_words(&rest, &mut sent);
        }
        if self.outcome.is_some() {
            return sent;
        }
        if how == End::Eof && self.protocol.is_finished() {
            self.outcome = Some(Outcome::Complete);
            sent.extend_from_slice(self.protocol.last_word());
            return sent;
        }
        let outcome = how.unfinished();
        self.outcome = Some(outcome);
        if let Some(envelope) = outcome.envelope() {
            sent.extend_from_slice(&self.last_error(envelope));
        }
        sent
    }

    /// Whether the stream has ended: send nothing more, read nothing more.
    pub fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    /// How the stream ended; `None` while it runs.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The last usage the server reported.
    pub fn usage(&self) -> Option<Usage> {
        self.protocol.usage()
    }

    /// Chunks passed on that carried text, reasoning or part of a tool call: what to count when a stream
    /// was cut before its usage came. It is a lower bound of the tokens, since servers hold back the
    /// pieces of one character or one tool call and send them together.
    pub fn chunks_with_content(&self) -> u64 {
        self.protocol.chunks_with_content()
    }

    /// Whether the model has begun to speak.
    pub fn saw_first_token(&self) -> bool {
        self.protocol.chunks_with_content() > 0
    }

    /// The error that the stream ended with.
    pub fn error(&self) -> Option<&ErrorEnvelope> {
        self.error.as_ref()
    }

    /// Notes the error and writes it as the dialect's last event.
    fn last_error(&mut self, envelope: ErrorEnvelope) -> Vec<u8> {
        let event = self.protocol.error_event(&envelope);
        self.error = Some(envelope);
        event
    }

    /// Reads every whole frame of `buffer` and returns how many of its bytes are done with.
    fn read_frames(&mut self, buffer: &[u8], scanned: usize, out: &mut Output<'_>) -> usize {
        let mut start = 0;
        let mut from = scanned;
        while let Some(frame) = self.scanner.next_frame(buffer, from) {
            let bytes = buffer.get(start..frame.end).unwrap_or_default();
            let verdict = self.judge(bytes, &frame);
            match verdict {
                Verdict::Pass => out.pass(start..frame.end),
                Verdict::Rendered(rendered) => out.replace(&rendered),
                Verdict::Drop => out.drop_frame(),
                Verdict::Fail(outcome, envelope) => {
                    self.outcome = Some(outcome);
                    out.replace(&self.last_error(envelope));
                }
            }
            start = frame.end;
            from = frame.end;
            if self.outcome.is_some() {
                return buffer.len();
            }
        }
        if buffer.len().saturating_sub(start) > self.options.max_event_bytes {
            self.fail_too_large(out);
            return buffer.len();
        }
        start
    }

    fn fail_too_large(&mut self, out: &mut Output<'_>) {
        self.outcome = Some(Outcome::EventTooLarge);
        if let Some(envelope) = Outcome::EventTooLarge.envelope() {
            out.replace(&self.last_error(envelope));
        }
    }

    /// A clean end may cut the empty line off the last frame. A frame that is whole but for that
    /// counts; the beginning of the last word after a finish counts as its wish.
    fn read_last_words(&mut self, rest: &[u8], sent: &mut Vec<u8>) {
        let frame = Frame {
            end: rest.len(),
            plain: false,
        };
        match self.judge(rest, &frame) {
            Verdict::Pass => sent.extend_from_slice(rest),
            Verdict::Rendered(rendered) => sent.extend_from_slice(&rendered),
            Verdict::Drop => {}
            Verdict::Fail(Outcome::InvalidEvent, _) => {
                if !(self.protocol.is_finished() && self.protocol.last_word().starts_with(rest)) {
                    self.protocol.forget_finish();
                }
            }
            Verdict::Fail(outcome, envelope) => {
                self.outcome = Some(outcome);
                sent.extend_from_slice(&self.last_error(envelope));
            }
        }
    }

    fn judge(&mut self, bytes: &[u8], frame: &Frame) -> Verdict {
        let at_first_frame = std::mem::replace(&mut self.at_first_frame, false);
        if bytes.len() > self.options.max_event_bytes {
            return self.verdict(None, Judged::unfit(Outcome::EventTooLarge));
        }
        // The two shapes that every engine writes, and the only ones that are not looked at line by line.
        if frame.plain
            && let Some(payload) = bytes
                .strip_prefix(b"data: ")
                .and_then(|rest| rest.strip_suffix(b"\n\n"))
            && let Ok(payload) = std::str::from_utf8(payload)
            && trimmed(payload).len() == payload.len()
        {
            let judged = self.judge_payload(None, payload);
            return self.verdict(None, judged);
        }
        if let Some((name, payload)) = named_event(bytes) {
            let judged = self.judge_payload(Some(name), payload);
            return self.verdict(Some(name), judged);
        }
        self.judge_fields(bytes, at_first_frame)
    }

    /// Any other frame: taken apart by the SSE rules, put together the usual way.
    fn judge_fields(&mut self, bytes: &[u8], at_first_frame: bool) -> Verdict {
        // One bad byte becomes U+FFFD: the client's parser survives and loses one character.
        let text = String::from_utf8_lossy(bytes);
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) if at_first_frame => rest,
            _ => &text,
        };
        let mut fields = Fields::parse(text);
        if fields.is_error {
            let message = fields.data.as_deref().unwrap_or_default();
            let judged = Judged::upstream(upstream_error::read_event(message));
            return self.verdict(None, judged);
        }
        let judged = match fields.data.as_deref() {
            Some(payload) => self.judge_payload(fields.event, payload),
            None if fields.comments.is_empty() => Judged::Drop,
            None => Judged::Pass,
        };
        match judged {
            Judged::Pass => {
                let rendered = fields.render();
                if rendered == bytes {
                    Verdict::Pass
                } else {
                    Verdict::Rendered(rendered)
                }
            }
            Judged::Replaced(payload) => {
                fields.data = Some(payload.into());
                Verdict::Rendered(fields.render())
            }
            other => self.verdict(None, other),
        }
    }

    fn verdict(&self, name: Option<&str>, judged: Judged) -> Verdict {
        match judged {
            Judged::Pass => Verdict::Pass,
            Judged::Replaced(payload) => Verdict::Rendered(frame_of(name, &payload)),
            Judged::Named(name, payload) => Verdict::Rendered(frame_of(Some(&name), &payload)),
            Judged::LastWord if !self.protocol.last_word().is_empty() => {
                Verdict::Rendered(self.protocol.last_word().to_vec())
            }
            Judged::Drop | Judged::LastWord => Verdict::Drop,
            Judged::Fail(outcome, envelope) => Verdict::Fail(outcome, envelope),
        }
    }

    fn judge_payload(&mut self, name: Option<&str>, payload: &str) -> Judged {
        let payload = trimmed(payload);
        if payload.is_empty() {
            return Judged::Drop;
        }
        if deeper_than(payload.as_bytes(), MAX_DEPTH) {
            return Judged::unfit(Outcome::InvalidEvent);
        }
        let (judged, ending) = self.protocol.judge(name, payload);
        if let Some((outcome, error)) = ending {
            self.outcome = Some(outcome);
            self.error = error;
        }
        judged
    }
}

/// `event: name` and one line of data, as typed events are written; `error` is looked at elsewhere.
fn named_event(bytes: &[u8]) -> Option<(&str, &str)> {
    let rest = bytes.strip_prefix(b"event: ")?.strip_suffix(b"\n\n")?;
    let line_end = memchr::memchr(b'\n', rest)?;
    let (name, data) = rest.split_at_checked(line_end)?;
    let payload = data.strip_prefix(b"\ndata: ")?;
    if memchr::memchr2(b'\n', b'\r', payload).is_some() || memchr::memchr(b'\r', name).is_some() {
        return None;
    }
    let (name, payload) = (
        std::str::from_utf8(name).ok()?,
        std::str::from_utf8(payload).ok()?,
    );
    (trimmed(payload).len() == payload.len() && name != "error").then_some((name, payload))
}

fn frame_of(name: Option<&str>, payload: &str) -> Vec<u8> {
    let name = name.map(|name| ["event: ", name, "\n"].concat());
    [
        name.as_deref().unwrap_or_default(),
        "data: ",
        payload,
        "\n\n",
    ]
    .concat()
    .into_bytes()
}

/// Without the white space that JSON allows around a value; line breaks are those between data lines.
fn trimmed(payload: &str) -> &str {
    payload.trim_matches([' ', '\t', '\n'])
}
