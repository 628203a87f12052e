//! The incremental reader of a server's SSE stream.
//!
//! Bytes go in as the network cut them; whole, well-formed frames come out. What comes out is a
//! function of the bytes alone, never of where the chunks were cut:
//! `concat(outputs(split(s))) == concat(outputs([s]))` for every split of `s`.
//!
//! Invariants: the output is valid UTF-8 made of whole frames; it ends with exactly one of `[DONE]` and
//! an error event, never both; after that nothing is sent.
//!
//! In scope: framing, mending, hiding the usage chunk, counting. Out of scope: time. The host says
//! when a silence is too long ([`End::Stalled`]) and closes the upstream when [`StreamReader::is_over`].

mod event;
mod fields;
mod frames;
mod outcome;
mod progress;
#[cfg(test)]
mod tests;

use crate::error::{ErrorEnvelope, sse_error_event};
use crate::nesting::{MAX_DEPTH, deeper_than};
use crate::upstream_error;
use crate::usage::Usage;

use event::EventView;
use fields::Fields;
use frames::{Frame, Scanner};
pub use outcome::{End, Outcome};
use progress::Progress;

const DONE_FRAME: &[u8] = b"data: [DONE]\n\n";

/// How to treat one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamOptions {
    /// The client did not ask for the usage chunk: read it and keep it.
    pub hide_usage: bool,
    /// Largest frame, in bytes, with its terminator. A frame is held in memory until it is whole.
    pub max_event_bytes: usize,
}

impl Default for StreamOptions {
    /// 1 MiB: a chunk with the log-probabilities of 20 candidates takes a few KiB, an isolate has
    /// 128 MiB for hundreds of streams.
    fn default() -> Self {
        Self {
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
    progress: Progress,
    outcome: Option<Outcome>,
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
            progress: Progress::default(),
            outcome: None,
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
        if how == End::Eof && self.progress.finished() {
            self.outcome = Some(Outcome::Complete);
            sent.extend_from_slice(DONE_FRAME);
            return sent;
        }
        let outcome = how.unfinished();
        self.outcome = Some(outcome);
        if let Some(envelope) = outcome.envelope() {
            sent.extend_from_slice(&sse_error_event(&envelope));
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
        self.progress.usage()
    }

    /// Chunks passed on that carried text, reasoning or part of a tool call: what to count when a stream
    /// was cut before its usage came. It is a lower bound of the tokens, since servers hold back the
    /// pieces of one character or one tool call and send them together.
    pub fn chunks_with_content(&self) -> u64 {
        self.progress.chunks_with_content()
    }

    /// Whether the model has begun to speak.
    pub fn saw_first_token(&self) -> bool {
        self.progress.chunks_with_content() > 0
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
                    out.replace(&sse_error_event(&envelope));
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
            out.replace(&sse_error_event(&envelope));
        }
    }

    /// A clean end may cut the empty line off the last frame. A frame that is whole but for that
    /// counts; the beginning of a `[DONE]` after a finish counts as its wish.
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
                if !(self.progress.finished() && DONE_FRAME.starts_with(rest)) {
                    self.progress.forget_finish();
                }
            }
            Verdict::Fail(outcome, envelope) => {
                self.outcome = Some(outcome);
                sent.extend_from_slice(&sse_error_event(&envelope));
            }
        }
    }

    fn judge(&mut self, bytes: &[u8], frame: &Frame) -> Verdict {
        let at_first_frame = std::mem::replace(&mut self.at_first_frame, false);
        if bytes.len() > self.options.max_event_bytes {
            return fail(Outcome::EventTooLarge);
        }
        // The shape that every engine writes, and the only one that is not looked at line by line.
        if frame.plain
            && let Some(payload) = bytes
                .strip_prefix(b"data: ")
                .and_then(|rest| rest.strip_suffix(b"\n\n"))
            && let Ok(payload) = std::str::from_utf8(payload)
            && trimmed(payload).len() == payload.len()
        {
            return self.judge_payload(payload);
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
        let fields = Fields::parse(text);
        if fields.is_error {
            let message = fields.data.as_deref().unwrap_or_default();
            return fail_upstream(upstream_error::read_event(message));
        }
        let verdict = match fields.data.as_deref() {
            Some(payload) => self.judge_payload(payload),
            None if fields.comments.is_empty() => Verdict::Drop,
            None => Verdict::Pass,
        };
        match verdict {
            Verdict::Pass => {
                let rendered = fields.render();
                if rendered == bytes {
                    Verdict::Pass
                } else {
                    Verdict::Rendered(rendered)
                }
            }
            other => other,
        }
    }

    fn judge_payload(&mut self, payload: &str) -> Verdict {
        let payload = trimmed(payload);
        if payload.is_empty() {
            return Verdict::Drop;
        }
        if payload == "[DONE]" {
            self.outcome = Some(Outcome::Complete);
            return Verdict::Pass;
        }
        if deeper_than(payload.as_bytes(), MAX_DEPTH) {
            return fail(Outcome::InvalidEvent);
        }
        let Ok(view) = EventView::read(payload) else {
            return fail(Outcome::InvalidEvent);
        };
        if view.is_error() {
            return fail_upstream(upstream_error::read_event(payload));
        }
        if view.lacks_choices() {
            return fail(Outcome::InvalidEvent);
        }
        self.progress.note(&view);
        if self.options.hide_usage && view.is_usage_chunk() {
            return Verdict::Drop;
        }
        Verdict::Pass
    }
}

/// Without the white space that JSON allows around a value; line breaks are those between data lines.
fn trimmed(payload: &str) -> &str {
    payload.trim_matches([' ', '\t', '\n'])
}

fn fail_upstream(error: upstream_error::Normalised) -> Verdict {
    let outcome = Outcome::UpstreamError {
        client_fault: error.client_fault,
    };
    Verdict::Fail(outcome, error.envelope)
}

fn fail(outcome: Outcome) -> Verdict {
    match outcome.envelope() {
        Some(envelope) => Verdict::Fail(outcome, envelope),
        None => Verdict::Drop,
    }
}

/// Gathers what goes out for one buffer without copying until something differs.
struct Output<'b> {
    buffer: &'b [u8],
    /// As long as nothing differs: how much of the buffer's head goes out as it is.
    clean: usize,
    /// Something was left out or put in.
    differs: bool,
    made: Vec<u8>,
}

impl<'b> Output<'b> {
    fn new(buffer: &'b [u8]) -> Self {
        Self {
            buffer,
            clean: 0,
            differs: false,
            made: Vec::new(),
        }
    }

    fn pass(&mut self, span: std::ops::Range<usize>) {
        if self.differs {
            self.made
                .extend_from_slice(self.buffer.get(span).unwrap_or_default());
        } else {
            self.clean = span.end;
        }
    }

    fn drop_frame(&mut self) {
        if !self.differs {
            self.differs = true;
            self.made.reserve(self.buffer.len());
            self.made
                .extend_from_slice(self.buffer.get(..self.clean).unwrap_or_default());
        }
    }

    fn replace(&mut self, bytes: &[u8]) {
        self.drop_frame();
        self.made.extend_from_slice(bytes);
    }

    fn into_step(self) -> Step {
        if !self.differs && self.clean == self.buffer.len() {
            return Step::Untouched;
        }
        self.into_replacement()
    }

    fn into_replacement(mut self) -> Step {
        self.drop_frame();
        if self.made.is_empty() {
            Step::Hold
        } else {
            Step::Replace(self.made)
        }
    }
}
