//! What an exchange asks its host to do, and how the host reports back.
//!
//! Everything crosses the border to the host as one JSON text an event, because a crossing costs more
//! than the parsing. Bodies and chunks cross as bytes, beside the JSON.

use serde::Serialize;
use tidegate_durable::bindings::ObjectName;

/// Names a call within its exchange.
pub type CallId = u32;

/// Bytes of a probe's body that a host hands over: the head of a longer one.
pub const PROBE_HEAD: usize = 64 * 1024;

/// Something for the host to do, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "effect")]
pub enum Effect {
    /// Read the request's body, at most `limit` bytes, and hand it over with
    /// [`crate::gateway::Gateway::body`]. A longer one is reported as too long, without reading on.
    ReadBody {
        /// Bytes.
        limit: usize,
    },
    /// Read the request's body piece by piece, from where it was left. Each is kept, then handed over with
    /// [`crate::gateway::Gateway::upload`]; the end is reported with
    /// [`crate::gateway::Gateway::upload_ended`].
    ReadUpload {
        /// Longest silence of the client.
        idle_ms: u64,
    },
    /// Leave the rest of the body where it is.
    HoldUpload,
    /// Nothing that was kept of the body is needed any more.
    ForgetUpload,
    /// Send a message to an object and report with [`crate::gateway::Gateway::answered`].
    Ask {
        /// The call.
        call: CallId,
        /// The object.
        to: ObjectName,
        /// The message, as JSON.
        message: String,
        /// When to stop waiting and report failure.
        timeout_ms: u64,
    },
    /// Send a message to an object and forget it. Runs after the response; at most twice on failure.
    Tell {
        /// The object.
        to: ObjectName,
        /// The message, as JSON.
        message: String,
    },
    /// Send a message to an object behind the request and report with
    /// [`crate::gateway::Gateway::refreshed`], also after the exchange is over.
    Refresh {
        /// Names the refresh.
        token: u32,
        /// The object.
        to: ObjectName,
        /// The message, as JSON.
        message: String,
        /// When to stop waiting and report failure.
        timeout_ms: u64,
    },
    /// `GET` a URL without following redirects and report with [`crate::gateway::Gateway::probed`].
    Probe {
        /// The call.
        call: CallId,
        /// Where.
        url: String,
        /// A bearer token. Hosts must not log it.
        #[serde(skip_serializing_if = "Option::is_none")]
        bearer: Option<String>,
        /// When to give up.
        timeout_ms: u64,
    },
    /// Send the request to a server without following redirects.
    Fetch {
        /// The attempt.
        attempt: u32,
        /// `POST`; `GET` and `DELETE` go without a body.
        method: &'static str,
        /// Where.
        url: String,
        /// Header lines. They may hold the server's key: hosts must not log them.
        headers: Vec<(String, String)>,
        /// Whether to send the client's own bytes or [`crate::gateway::Gateway::attempt_body`].
        own_body: bool,
        /// The body is an upload, and goes out like this.
        #[serde(skip_serializing_if = "Option::is_none")]
        upload: Option<Outgoing>,
        /// Whether chunks are wanted as they come, or the whole body at once.
        stream: bool,
        /// Largest whole body that is worth holding.
        max_body: usize,
    },
    /// The answer to this attempt is wanted whole after all.
    Collect {
        /// The attempt.
        attempt: u32,
    },
    /// Break an attempt off: abort its connection, report nothing more of it.
    Abort {
        /// The attempt.
        attempt: u32,
    },
    /// Answer, whole.
    Respond {
        /// HTTP status.
        status: u16,
        /// Header lines.
        headers: Vec<(String, String)>,
        /// The body. `None` means bytes of the server: those of [`crate::gateway::Gateway::output`], or
        /// where that is empty the very bytes that the host handed to [`crate::gateway::Gateway::whole`].
        body: Option<String>,
    },
    /// Answer with a file of the build; the status is 200.
    RespondAsset {
        /// Its name below `build/assets`.
        file: &'static str,
        /// Header lines.
        headers: Vec<(String, String)>,
    },
    /// Begin a streamed answer. Its bytes are what chunks yield from now on.
    Open {
        /// Header lines; the status is 200.
        headers: Vec<(String, String)>,
    },
    /// Write what [`crate::gateway::Gateway::output`] holds to the streamed answer.
    Write,
    /// Write the chunk that was just handed in to the streamed answer, as it is.
    WriteChunk,
    /// End the streamed answer, after what is still to be written.
    Close,
    /// Break the streamed answer off, so that its client sees that it is not whole.
    Break,
    /// Call [`crate::gateway::Gateway::wake`] then (milliseconds since the epoch). Replaces an earlier one.
    WakeAt {
        /// When.
        at_ms: i64,
    },
    /// After this long, but still within this request, call [`crate::gateway::Gateway::flush`] and run
    /// what it returns.
    FlushAfter {
        /// Milliseconds.
        ms: u64,
    },
    /// Print one line of structured log.
    Log {
        /// JSON, without secrets or prompts.
        line: String,
    },
    /// The exchange is over; the host forgets it.
    Done,
}

/// How an upload goes out: first what was kept of it, then, unless the body is at its end, each further
/// piece as it comes, handed over with [`crate::gateway::Gateway::upload`] before it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outgoing {
    /// What differs in the part that was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splice: Option<Splice>,
    /// Bytes in all, if that is known beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Longest silence of the client.
    pub idle_ms: u64,
}

/// A text in the place of some bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Splice {
    /// Where they begin.
    pub start: u64,
    /// Where they end.
    pub end: u64,
    /// What stands there instead.
    pub text: String,
}

/// How a request's body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadEnd {
    /// In an orderly way.
    Whole,
    /// Its client broke it off.
    Broken,
    /// Its client fell silent.
    Stalled,
}

/// What became of a call to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// Its answer, as JSON.
    Answered(String),
    /// No answer: too late, evicted, overloaded. For people.
    Failed(String),
}

/// What became of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The server answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// The head of the body, at most [`PROBE_HEAD`] bytes.
        body: String,
        /// Milliseconds.
        latency_ms: u64,
    },
    /// It did not.
    Failed {
        /// For people.
        reason: String,
    },
}

/// Why an attempt's body ended, as the host saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// In an orderly way.
    Eof,
    /// The connection broke, or was never made.
    Broken,
    /// The whole body is larger than was allowed.
    TooLarge,
}
