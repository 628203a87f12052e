//! One attempt at a server: what has come of its answer, and what to make of the end of it.
//!
//! Invariant: bytes of an attempt are held until it is committed, so that the client sees one answer of
//! one server.

use std::rc::Rc;

use tidegate_domain::dispatch::{AttemptNo, Event};
use tidegate_domain::outcome::{FailureKind, Outcome};
use tidegate_domain::time::Span;
use tidegate_wire_openai::answer::{
    MediaEnd, MediaReader, MediaStep, TextFormat, read_instead_of_media, read_transcript,
};
use tidegate_wire_openai::endpoint::AnswerBody;
use tidegate_wire_openai::{
    Answer, End, Endpoint, ErrorCode, ErrorEnvelope, Outcome as StreamOutcome, ResponseShape, Step,
    StreamOptions, StreamReader, Usage, chunks_from_answer, read_answer,
};

use crate::effect::BodyEnd;

/// Held of an answer that the client does not see yet: an error body, a plain answer to a streaming
/// request, what a stream sends before its first token. None of them is honestly longer, and an isolate
/// holds hundreds.
const MAX_COLLECTED: usize = 4 << 20;

/// Of a server's headers at most this much reaches the client; those that do not fit are left out. Node's
/// client gives an answer up whose headers are over 16 KiB in all, and the platform and the gateway add
/// their own.
const MAX_HEADERS: usize = 8 * 1024;

/// One attempt.
pub struct Attempt {
    /// The candidate it runs at.
    pub slot: usize,
    /// The rewritten body, until the host takes it.
    pub own_body: Option<Vec<u8>>,
    endpoint: Endpoint,
    hide_usage: bool,
    status: u16,
    content_type: Option<String>,
    retry_after: Option<Span>,
    /// Headers that may reach the client.
    pub response_headers: Vec<(String, String)>,
    reading: Reading,
    /// What is ready to be sent, in order.
    pub held: Vec<u8>,
    usage: Option<Usage>,
    /// What a response is filled in with.
    pub shape: Option<Rc<ResponseShape>>,
    /// The text that was asked for instead of JSON, and then that which came.
    pub text: Option<TextFormat>,
    /// The error to answer with, when the attempt ended in one before anything was sent.
    pub error: Option<(u16, ErrorEnvelope)>,
}

enum Reading {
    /// No headers yet.
    Nothing,
    /// An SSE stream.
    Stream(Box<StreamReader>),
    /// Audio.
    Media(MediaReader),
    /// Something to judge as a whole.
    Collect(Vec<u8>),
}

/// What a chunk means for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// The chunk as it is.
    Untouched,
    /// Bytes were added to [`Attempt::held`].
    Held,
    /// Nothing yet.
    Nothing,
}

/// How an attempt stands after new bytes or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not enough to commit to.
    Waiting,
    /// There is something to send.
    Speaking,
    /// It is over, like this.
    Over(Outcome),
}

impl Attempt {
    /// An attempt that is about to be sent.
    pub const fn new(
        slot: usize,
        endpoint: Endpoint,
        hide_usage: bool,
        own_body: Option<Vec<u8>>,
    ) -> Self {
        Self {
            slot,
            own_body,
            endpoint,
            hide_usage,
            status: 0,
            content_type: None,
            retry_after: None,
            response_headers: Vec::new(),
            reading: Reading::Nothing,
            held: Vec::new(),
            usage: None,
            shape: None,
            text: None,
            error: None,
        }
    }

    /// The response headers. Only a 2xx event stream is read as a stream.
    pub fn headers(&mut self, status: u16, headers: &[(String, String)]) {
        let find = |name: &str| {
            headers
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        self.status = status;
        self.content_type = find("content-type").map(str::to_owned);
        self.retry_after = find("retry-after").and_then(retry_after);
        let connection = find("connection");
        let mut room = MAX_HEADERS;
        self.response_headers = headers
            .iter()
            .filter(|(name, _)| tidegate_wire_openai::headers::reaches_client(name, connection))
            .filter(|(name, value)| {
                // With `: ` and the line's end.
                let left =
                    room.checked_sub(name.len().saturating_add(value.len()).saturating_add(4));
                room = left.unwrap_or(room);
                left.is_some()
            })
            .cloned()
            .collect();
        let is_events = self.content_type.as_deref().is_some_and(|kind| {
            kind.trim_start()
                .get(..17)
                .is_some_and(|head| head.eq_ignore_ascii_case("text/event-stream"))
        });
        // A length speaks of the bytes on the wire, which the host has unpacked.
        let length = find("content-length")
            .filter(|_| find("content-encoding").is_none())
            .and_then(|length| length.parse().ok());
        let media = (self.endpoint.traits().answer == AnswerBody::Bytes && status == 200)
            .then(|| MediaReader::new(self.content_type.as_deref(), length))
            .flatten();
        self.reading = if let Some(media) = media {
            Reading::Media(media)
        } else if is_events && (200..300).contains(&status) {
            let defaults = StreamOptions::default();
            let options = StreamOptions {
                dialect: self.endpoint.traits().stream.unwrap_or(defaults.dialect),
                hide_usage: self.hide_usage,
                ..defaults
            };
            Reading::Stream(Box::new(match &self.shape {
                Some(shape) => StreamReader::with_shape(options, Rc::clone(shape)),
                None => StreamReader::new(options),
            }))
        } else {
            Reading::Collect(Vec::new())
        };
    }

    /// A chunk of a streaming request's answer. `committed` bytes are passed; others are held.
    pub fn chunk(&mut self, chunk: &[u8], committed: bool) -> (Passed, Standing) {
        match &mut self.reading {
            Reading::Stream(reader) => {
                let step = reader.push(chunk);
                let standing = stream_standing(reader);
                let passed = match step {
                    Step::Untouched if committed => Passed::Untouched,
                    Step::Untouched => {
                        self.held.extend_from_slice(chunk);
                        Passed::Held
                    }
                    Step::Replace(bytes) => {
                        self.held.extend_from_slice(&bytes);
                        Passed::Held
                    }
                    Step::Hold => Passed::Nothing,
                };
                if !committed && self.held.len() > MAX_COLLECTED {
                    self.held = Vec::new();
                    return (
                        Passed::Nothing,
                        Standing::Over(failure(FailureKind::InvalidAnswer)),
                    );
                }
                (passed, standing)
            }
            Reading::Media(reader) => match reader.push(chunk) {
                MediaStep::Untouched if committed => (Passed::Untouched, Standing::Speaking),
                MediaStep::Untouched => {
                    self.held.extend_from_slice(chunk);
                    (Passed::Held, Standing::Speaking)
                }
                MediaStep::Replace(bytes) => {
                    self.held.extend_from_slice(&bytes);
                    (Passed::Held, Standing::Speaking)
                }
                MediaStep::Hold => (Passed::Nothing, Standing::Waiting),
                MediaStep::Invalid(body) => (Passed::Nothing, self.no_media(&body)),
            },
            Reading::Collect(body) => {
                if body.len().saturating_add(chunk.len()) > MAX_COLLECTED {
                    return (
                        Passed::Nothing,
                        Standing::Over(failure(FailureKind::InvalidAnswer)),
                    );
                }
                body.extend_from_slice(chunk);
                (Passed::Nothing, Standing::Waiting)
            }
            Reading::Nothing => (Passed::Nothing, Standing::Waiting),
        }
    }

    /// The end of a streaming request's answer, or of a connection that gave none.
    pub fn end(&mut self, end: BodyEnd) -> Standing {
        match std::mem::replace(&mut self.reading, Reading::Nothing) {
            Reading::Nothing => Standing::Over(failure(FailureKind::Transport)),
            Reading::Stream(mut reader) => {
                let how = if end == BodyEnd::Eof {
                    End::Eof
                } else {
                    End::TransportError
                };
                let rest = reader.end(how);
                self.held.extend_from_slice(&rest);
                let standing = stream_standing(&reader);
                self.reading = Reading::Stream(reader);
                standing
            }
            Reading::Media(reader) if end == BodyEnd::Broken => {
                let kind = if reader.has_begun() {
                    FailureKind::CutStream
                } else {
                    FailureKind::Transport
                };
                self.reading = Reading::Media(reader);
                Standing::Over(failure(kind))
            }
            Reading::Media(mut reader) => {
                let end = reader.end();
                self.reading = Reading::Media(reader);
                match end {
                    MediaEnd::Whole(rest) => {
                        self.held.extend_from_slice(&rest);
                        Standing::Over(Outcome::Success)
                    }
                    MediaEnd::Cut => Standing::Over(failure(FailureKind::CutStream)),
                    MediaEnd::Invalid(body) => self.no_media(&body),
                }
            }
            Reading::Collect(_) if end == BodyEnd::Broken => {
                Standing::Over(failure(FailureKind::Transport))
            }
            Reading::Collect(body) => Standing::Over(self.judge_collected(&body)),
        }
    }

    /// Ends the stream for a reason that only the dispatch knows, with an error event.
    pub fn cut(&mut self, how: End) {
        if let Reading::Stream(reader) = &mut self.reading {
            let rest = reader.end(how);
            self.held.extend_from_slice(&rest);
        }
    }

    /// Whether events of a stream are read.
    pub const fn reads_events(&self) -> bool {
        matches!(self.reading, Reading::Stream(_))
    }

    /// The type of the audio that is read, if some is.
    pub fn media_type(&self) -> Option<&str> {
        match &self.reading {
            Reading::Media(reader) => Some(reader.media_type()),
            _ => None,
        }
    }

    /// The type of a whole answer that passed, whatever the server called it: SDKs parse by this.
    pub fn whole_type(&self) -> &str {
        match self.text {
            Some(format) => format.media_type(self.content_type.as_deref()),
            None => "application/json",
        }
    }

    /// A whole answer to a request that asked for a stream.
    pub fn whole_for_stream(&mut self, body: &[u8]) -> Outcome {
        self.judge_collected(body)
    }

    /// A whole answer to a plain request. [`Attempt::held`] stays empty when it may go on as it is.
    pub fn whole(&mut self, body: &[u8]) -> Outcome {
        // Whatever its headers announced: there is nothing more to read.
        self.reading = Reading::Nothing;
        match self.judge(body) {
            Answer::Pass { usage, mended } => {
                self.usage = usage;
                let sound = mended.as_deref().unwrap_or(body);
                let completed = self
                    .shape
                    .as_ref()
                    .and_then(|shape| shape.complete_answer(sound));
                self.held = completed.or(mended).unwrap_or_default();
                Outcome::Success
            }
            Answer::Error {
                status,
                envelope,
                client_fault,
            } => self.judge_error(status, envelope, client_fault),
        }
    }

    /// How its end is told to the dispatch: a server that lacks the route is no answer yet, where another
    /// may have it.
    pub fn ended(&self, attempt: AttemptNo, outcome: Outcome) -> Event {
        if self.error.as_ref().is_some_and(is_unserved) {
            return Event::Unserved { attempt };
        }
        Event::Ended { attempt, outcome }
    }

    /// Tokens read and written. What the server did not report is counted by what was sent: a chunk is a
    /// token, as near as one gets.
    pub fn tokens(&self, prompt_estimate: u64) -> (u64, u64) {
        if let Reading::Stream(reader) = &self.reading {
            return match reader.usage() {
                Some(usage) => (usage.prompt_tokens, usage.completion_tokens),
                None if reader.saw_first_token() => (prompt_estimate, reader.chunks_with_content()),
                None => (0, 0),
            };
        }
        self.usage.map_or((0, 0), |usage| {
            (usage.prompt_tokens, usage.completion_tokens)
        })
    }

    /// The error of a stream that ended before anything was sent. The status is what its code or type stands
    /// for, and one of the client's when the fault is.
    pub fn stream_error(&self, client_fault: bool) -> Option<(u16, ErrorEnvelope)> {
        let Reading::Stream(reader) = &self.reading else {
            return None;
        };
        let envelope = reader.error()?.clone();
        let coded = ErrorCode::ALL
            .into_iter()
            .find(|code| Some(code.as_str()) == envelope.code.as_deref());
        let status = coded.map_or_else(|| status_of(&envelope.kind), ErrorCode::status);
        let blamed = client_fault && status >= 500;
        Some((if blamed { 400 } else { status }, envelope))
    }

    fn judge(&mut self, body: &[u8]) -> Answer {
        let (status, content_type) = (self.status, self.content_type.as_deref());
        if self.endpoint.traits().answer == AnswerBody::Bytes {
            return read_instead_of_media(status, content_type, body);
        }
        let Some(format) = self.text else {
            return read_answer(self.endpoint, status, content_type, body);
        };
        let (answer, text) = read_transcript(self.endpoint, format, status, content_type, body);
        self.text = text;
        answer
    }

    /// What came under the name of audio is something else.
    fn no_media(&mut self, body: &[u8]) -> Standing {
        Standing::Over(match read_instead_of_media(self.status, None, body) {
            Answer::Error {
                status, envelope, ..
            } => self.judge_error(status, envelope, false),
            Answer::Pass { .. } => failure(FailureKind::InvalidAnswer),
        })
    }

    fn judge_collected(&mut self, body: &[u8]) -> Outcome {
        self.text = None;
        match self.judge(body) {
            Answer::Pass { usage, .. } => {
                match chunks_from_answer(self.endpoint, body, self.hide_usage) {
                    Ok(chunks) => {
                        self.usage = usage;
                        self.held = chunks;
                        Outcome::Success
                    }
                    Err(envelope) => {
                        self.judge_error(ErrorCode::UpstreamInvalidAnswer.status(), envelope, false)
                    }
                }
            }
            Answer::Error {
                status,
                envelope,
                client_fault,
            } => self.judge_error(status, envelope, client_fault),
        }
    }

    fn judge_error(&mut self, status: u16, envelope: ErrorEnvelope, client_fault: bool) -> Outcome {
        // A server that refuses the gateway's own key is of no use to any client.
        let refuses_gateway = matches!(self.status, 401 | 403 | 407);
        let outcome = if client_fault {
            Outcome::ClientError(status)
        } else if matches!(self.status, 429 | 503) {
            // Whose quota it was is no business of the client's, who gets the gateway's own words.
            return Outcome::Backpressure {
                status: self.status,
                retry_after: self.retry_after,
            };
        } else if (400..500).contains(&self.status) && !refuses_gateway {
            Outcome::ClientError(status)
        } else if self.status >= 500 || refuses_gateway {
            failure(FailureKind::Http5xx(self.status))
        } else {
            failure(FailureKind::InvalidAnswer)
        };
        self.error = Some((status, envelope));
        outcome
    }
}

/// Whether an error says that the server lacks the route.
pub fn is_unserved((_, envelope): &(u16, ErrorEnvelope)) -> bool {
    envelope.code.as_deref() == Some(ErrorCode::EndpointNotSupported.as_str())
}

/// The other way round than `kind_for_status`.
fn status_of(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "rate_limit_error" => 429,
        // Also where a server speaks of keys: the client's own was fine.
        _ => 502,
    }
}

fn stream_standing(reader: &StreamReader) -> Standing {
    match reader.outcome() {
        None if reader.saw_first_token() => Standing::Speaking,
        None => Standing::Waiting,
        Some(outcome) => Standing::Over(stream_outcome(outcome)),
    }
}

const fn stream_outcome(outcome: StreamOutcome) -> Outcome {
    match outcome {
        StreamOutcome::Complete => Outcome::Success,
        StreamOutcome::UpstreamError { client_fault: true } => Outcome::ClientError(400),
        StreamOutcome::UpstreamError {
            client_fault: false,
        } => failure(FailureKind::Http5xx(500)),
        StreamOutcome::Truncated | StreamOutcome::TransportError => failure(FailureKind::CutStream),
        StreamOutcome::InvalidEvent | StreamOutcome::EventTooLarge => {
            failure(FailureKind::InvalidAnswer)
        }
        StreamOutcome::Stalled => failure(FailureKind::Stalled),
        StreamOutcome::TotalTimeout | StreamOutcome::ClientLeft => Outcome::ClientLeft,
    }
}

const fn failure(kind: FailureKind) -> Outcome {
    Outcome::Failure { kind }
}

/// `Retry-After` in seconds. Dates, negative and absurd values are no answer: the server's object backs
/// off by itself then. 300 s is the longest pause it takes.
fn retry_after(value: &str) -> Option<Span> {
    let seconds: f64 = value.trim().parse().ok()?;
    (seconds > 0.0 && seconds.is_finite())
        .then(|| Span::from_ms((seconds.min(300.0) * 1000.0) as i64))
}

#[cfg(test)]
mod tests;
