//! What a test may order, as JSON. Invariant: a script that parses can be played; unknown words are
//! refused, so that a typing error in a test cannot pass as good behaviour.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dialect::Dialect;

/// Body of `PUT /_control/script`: rules in order of precedence.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// The first rule that matches and is not used up decides; without one the server is good.
    pub rules: Vec<Rule>,
    /// How a good answer looks; `None` = as started.
    pub dialect: Option<Dialect>,
}

/// Which requests, and what they get. The fields besides `behaviour` combine with any behaviour.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Exact path, such as `/v1/chat/completions`; `None` = every path.
    pub path: Option<String>,
    /// Only requests for this model.
    pub model: Option<String>,
    /// Only streaming or only plain requests.
    pub stream: Option<bool>,
    /// Matching requests that pass by before the rule begins.
    pub skip: u32,
    /// How many requests it then applies to; `None` = all.
    pub times: Option<u32>,
    /// Overrides the script's dialect.
    pub dialect: Option<Dialect>,
    /// Silence before the first byte.
    pub delay_ms: u64,
    /// Statuses of interim answers (100, 102, 103) sent before the real one.
    pub interim: Vec<u16>,
    /// Sends the head byte by byte, this far apart.
    pub trickle_head_ms: Option<u64>,
    /// Added to the head as they are, also when the name is there already.
    pub extra_headers: Vec<(String, String)>,
    /// What happens to the connection after a whole answer.
    pub after: Option<After>,
    /// Frames the body otherwise than the answer itself would.
    pub framing: Option<Framing>,
    /// What is answered.
    pub behaviour: Behaviour,
}

/// What happens to the connection after a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// It takes the next request.
    KeepAlive,
    /// `Connection: close` was announced and is done.
    AnnounceClose,
    /// Keep-alive was announced and the socket is closed all the same, as llama-server does.
    SilentClose,
}

/// How the length of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// `Content-Length`, true.
    Length,
    /// `Content-Length` off by so many bytes: positive promises more than comes.
    LengthOffBy(i64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Neither: the body ends where the connection ends.
    UntilClose,
}

/// How a connection ends too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// An orderly TCP close.
    #[default]
    Fin,
    /// A TCP reset.
    Reset,
    /// It does not end: nothing more comes until the client leaves.
    Silence,
}

/// Bytes for a raw answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawPart {
    /// Silence before these bytes.
    pub wait_ms: u64,
    /// The bytes as text…
    pub utf8: Option<String>,
    /// …or in base64.
    pub base64: Option<String>,
}

/// What is answered. `at` counts content chunks from 0.
///
/// Variants without fields are empty structs: for unit variants serde lets unknown fields pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Behaviour {
    /// As a good server.
    Good {},
    /// A good answer of chosen size and speed. A plain answer takes as long as its stream would.
    Pace {
        /// Content chunks (tokens).
        chunks: u32,
        /// Between one content chunk and the next.
        #[serde(default)]
        interval_ms: u64,
        /// Between the head and the first content chunk.
        #[serde(default)]
        first_ms: u64,
        /// Characters in each chunk; 0 = a short word.
        #[serde(default)]
        chunk_chars: usize,
    },
    /// Any status with any body: a string goes out as it is, anything else as JSON.
    Status {
        /// The status code.
        status: u16,
        /// Such as `["Retry-After", "0"]`; a `Content-Type` here replaces the usual one.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// `None` = an error envelope that fits the dialect.
        #[serde(default)]
        body: Option<Value>,
    },
    /// Status 404 for the model, worded as the dialect words it.
    UnknownModel {},
    /// The request is read and never answered.
    Hang {},
    /// The request is read and the connection ended without a byte.
    Close {
        /// In which manner.
        #[serde(default)]
        how: How,
    },
    /// A whole head, then nothing.
    HeadersThenSilence {},
    /// A stream that ends, or falls silent, after some content chunks.
    Cut {
        /// Content chunks that arrive whole.
        after_chunks: u32,
        /// In which manner; `silence` is a stall.
        #[serde(default)]
        how: How,
        /// Sends the first half of the next event too.
        #[serde(default)]
        half_frame: bool,
        /// Between one chunk and the next.
        #[serde(default)]
        interval_ms: u64,
    },
    /// A body that ends, or falls silent, after some bytes; its framing promised all of it.
    CutBody {
        /// Bytes that arrive.
        after_bytes: usize,
        /// In which manner.
        #[serde(default)]
        how: How,
    },
    /// One event is not JSON.
    InvalidJson {
        /// Which one.
        #[serde(default)]
        at: u32,
    },
    /// One event holds a byte that is not UTF-8.
    BrokenUtf8 {
        /// Which one.
        #[serde(default)]
        at: u32,
    },
    /// The stream (or body) begins with a byte order mark.
    Bom {},
    /// Lines end with CR alone.
    CrLines {},
    /// Lines end with CR LF.
    CrlfLines {},
    /// An event `data:` with nothing in it.
    EmptyData {
        /// Before which one.
        #[serde(default)]
        at: u32,
    },
    /// One event of about this size.
    GiantEvent {
        /// Its size.
        bytes: usize,
    },
    /// The stream ends after its finish chunk without `[DONE]`.
    NoDone {},
    /// Another content chunk and an error follow `[DONE]`.
    AfterDone {},
    /// `data: {"error":…}` in the stream, which then ends without `[DONE]`.
    ErrorEvent {
        /// In place of which chunk.
        #[serde(default)]
        at: u32,
    },
    /// An HTML page with status 200.
    HtmlPage {},
    /// A JSON body to a streaming request.
    JsonForStream {},
    /// An event stream to a plain request.
    SseForPlain {},
    /// An error envelope with status 200.
    ErrorWithOk {},
    /// `"choices": null`.
    NullChoices {},
    /// Usage stands in the finish chunk beside non-empty `choices`, and no `[DONE]` follows.
    UsageWithFinish {},
    /// A redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The `Location`.
        location: String,
    },
    /// The good body compressed, with `Content-Encoding: gzip`.
    Gzip {},
    /// Exactly these bytes as the body.
    Raw {
        /// The status code.
        #[serde(default = "ok")]
        status: u16,
        /// The `Content-Type`.
        content_type: String,
        /// The body.
        parts: Vec<RawPart>,
        /// How it ends, when not well.
        #[serde(default)]
        cut: Option<How>,
    },
}

fn ok() -> u16 {
    200
}

/// Body of `PUT /_control/accepting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepting {
    /// What happens to new connections.
    pub mode: AcceptMode,
    /// Back to `normal` after this long; `None` = until told.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// Resets every open connection of the model server too.
    #[serde(default)]
    pub close_existing: bool,
}

/// What happens to new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptMode {
    /// They are served.
    #[default]
    Normal,
    /// The port is closed: connection refused.
    Refuse,
    /// They are accepted and never read.
    Ignore,
    /// They are accepted and reset.
    Reset,
}

impl Rule {
    /// Whether the rule speaks about such a request, used up or not.
    pub fn matches(&self, path: &str, model: Option<&str>, stream: bool) -> bool {
        self.path.as_deref().is_none_or(|wanted| wanted == path)
            && (self.model.is_none() || self.model.as_deref() == model)
            && self.stream.is_none_or(|wanted| wanted == stream)
    }

    /// Counts one matching request and tells whether the rule applies to it.
    pub fn take(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        match &mut self.times {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::Good {}
    }
}

impl Behaviour {
    /// The word in `do`, for the journal.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Good {} => "good",
            Self::Pace { .. } => "pace",
            Self::Status { .. } => "status",
            Self::UnknownModel {} => "unknown_model",
            Self::Hang {} => "hang",
            Self::Close { .. } => "close",
            Self::HeadersThenSilence {} => "headers_then_silence",
            Self::Cut { .. } => "cut",
            Self::CutBody { .. } => "cut_body",
            Self::InvalidJson { .. } => "invalid_json",
            Self::BrokenUtf8 { .. } => "broken_utf8",
            Self::Bom {} => "bom",
            Self::CrLines {} => "cr_lines",
            Self::CrlfLines {} => "crlf_lines",
            Self::EmptyData { .. } => "empty_data",
            Self::GiantEvent { .. } => "giant_event",
            Self::NoDone {} => "no_done",
            Self::AfterDone {} => "after_done",
            Self::ErrorEvent { .. } => "error_event",
            Self::HtmlPage {} => "html_page",
            Self::JsonForStream {} => "json_for_stream",
            Self::SseForPlain {} => "sse_for_plain",
            Self::ErrorWithOk {} => "error_with_ok",
            Self::NullChoices {} => "null_choices",
            Self::UsageWithFinish {} => "usage_with_finish",
            Self::Redirect { .. } => "redirect",
            Self::Gzip {} => "gzip",
            Self::Raw { .. } => "raw",
        }
    }
}
