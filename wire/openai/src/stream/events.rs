//! The dialects whose events have a type: responses, Anthropic's messages, images, audio.
//!
//! Each has a last event of its own. An event of a type that is not known here goes on as it is, because
//! engines add to the protocols faster than gateways learn them.

use std::rc::Rc;

use serde_json::json;

use crate::endpoint::{ErrorDialect, StreamDialect};
use crate::error::ErrorEnvelope;
use crate::response_shape::ResponseShape;
use crate::upstream_error;
use crate::usage::Usage;

use super::event::is_substantial;
use super::outcome::Outcome;
use super::protocol::{Ending, Judged};
use super::typed::{TypedView, member};
use places::Places;

mod places;

const MESSAGE_STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Events {
    dialect: StreamDialect,
    shape: Option<Rc<ResponseShape>>,
    places: Places,
    usage: Option<Usage>,
    with_content: u64,
    finished: bool,
}

/// What an event means for the stream.
enum Meaning {
    /// The model speaks.
    Content,
    /// The answer is whole, though an event may still follow.
    Finish,
    /// The answer is whole and this is the last event.
    Last,
    /// The server gives up and says so in this event, the last one.
    Failed,
    /// Anything else.
    Other,
}

impl Events {
    pub(super) fn new(dialect: StreamDialect, shape: Option<Rc<ResponseShape>>) -> Self {
        Self {
            dialect,
            shape,
            places: Places::default(),
            usage: None,
            with_content: 0,
            finished: false,
        }
    }

    pub(super) fn judge(&mut self, name: Option<&str>, payload: &str) -> (Judged, Ending) {
        if payload == "[DONE]" {
            return self.judge_done();
        }
        let Ok(view) = TypedView::read(payload) else {
            return (Judged::unfit(Outcome::InvalidEvent), None);
        };
        if view.is_error() {
            let error = upstream_error::read_event(payload);
            return (Judged::upstream(error), None);
        }
        let kind = view.kind.as_deref().or(name).unwrap_or_default();
        let meaning = self.meaning(kind, &view);
        self.note_usage(kind, &view);
        let judged = match self.dialect {
            StreamDialect::Responses => {
                match self
                    .places
                    .complete(kind, payload, &view, self.shape.as_deref())
                {
                    Some(mended) => Judged::Replaced(mended),
                    None => Judged::Pass,
                }
            }
            _ => Judged::Pass,
        };
        // Only where the protocol has names: OpenAI's audio streams have none.
        let has_names = matches!(
            self.dialect,
            StreamDialect::Responses | StreamDialect::Messages
        );
        let judged = match view.kind.as_deref() {
            Some(kind) if has_names && name.is_none() => named(kind, payload, judged),
            _ => judged,
        };
        let ending = match meaning {
            Meaning::Content => {
                self.with_content = self.with_content.saturating_add(1);
                None
            }
            Meaning::Finish => {
                self.finished = true;
                None
            }
            Meaning::Last => Some((Outcome::Complete, None)),
            Meaning::Failed => Some(failed(&view)),
            Meaning::Other => None,
        };
        (judged, ending)
    }

    /// Some engines end every stream so. It stands for a last event that is missing, not for an answer
    /// that is.
    fn judge_done(&self) -> (Judged, Ending) {
        if self.finished {
            (Judged::LastWord, Some((Outcome::Complete, None)))
        } else {
            (Judged::unfit(Outcome::Truncated), None)
        }
    }

    fn meaning(&self, kind: &str, view: &TypedView<'_>) -> Meaning {
        match self.dialect {
            StreamDialect::Responses => match kind {
                "response.completed" | "response.incomplete" | "response.cancelled" => {
                    Meaning::Last
                }
                "response.failed" => Meaning::Failed,
                _ if kind.ends_with(".partial_image") => Meaning::Content,
                _ if kind.ends_with(".delta") && is_given(view.delta) => Meaning::Content,
                _ => Meaning::Other,
            },
            StreamDialect::Messages => match kind {
                "content_block_delta" => Meaning::Content,
                "message_delta"
                    if view
                        .delta
                        .is_some_and(|delta| is_given(member(delta, "stop_reason"))) =>
                {
                    Meaning::Finish
                }
                "message_stop" => Meaning::Last,
                _ => Meaning::Other,
            },
            // One `completed` for each image, so that only the end of the stream is the end.
            StreamDialect::Images => match kind.rsplit_once('.') {
                Some((_, "partial_image")) => Meaning::Content,
                Some((_, "completed")) => Meaning::Finish,
                _ => Meaning::Other,
            },
            StreamDialect::Transcript | StreamDialect::Speech => match kind {
                "transcript.text.done" | "speech.audio.done" => Meaning::Last,
                "transcript.text.delta" | "speech.audio.delta" => Meaning::Content,
                _ => Meaning::Other,
            },
            StreamDialect::Chunks => Meaning::Other,
        }
    }

    /// Responses report in their last event, messages in the first and, growing, in `message_delta`.
    fn note_usage(&mut self, kind: &str, view: &TypedView<'_>) {
        let inner = view
            .response
            .or(view.message.filter(|_| kind == "message_start"));
        let nested = inner
            .and_then(|inner| member(inner, "usage"))
            .and_then(|usage| Usage::read(usage.get()));
        let Some(news) = nested.or(view.usage) else {
            return;
        };
        let known = self.usage.unwrap_or_default();
        let merged = |new: u64, known: u64| if new == 0 { known } else { new };
        let (prompt_tokens, completion_tokens) = (
            merged(news.prompt_tokens, known.prompt_tokens),
            merged(news.completion_tokens, known.completion_tokens),
        );
        self.usage = Some(Usage {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
        });
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    pub(super) fn forget_finish(&mut self) {
        self.finished = false;
    }

    /// An image stream has no last word: its images are whole one by one.
    pub(super) fn last_word(&self) -> &'static [u8] {
        match self.dialect {
            StreamDialect::Messages => MESSAGE_STOP,
            _ => b"",
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Events that carried something of the answer.
    pub(super) fn with_content(&self) -> u64 {
        self.with_content
    }

    /// An error as the dialect's last event. Open Responses nests it under `error`, where OpenAI's SDKs look
    /// as well; OpenAI's own reference has its members beside `type`: both find what they read.
    pub(super) fn error_event(&self, envelope: &ErrorEnvelope) -> Vec<u8> {
        let data = match self.dialect {
            StreamDialect::Messages => {
                let body = envelope.to_json_in(ErrorDialect::Anthropic, None);
                String::from_utf8(body).unwrap_or_default()
            }
            StreamDialect::Responses => json!({
                "type": "error",
                "sequence_number": self.places.next_number(),
                "code": envelope.code,
                "message": envelope.message,
                "param": envelope.param,
                "error": envelope,
            })
            .to_string(),
            _ => json!({ "type": "error", "error": envelope }).to_string(),
        };
        ["event: error\ndata: ", &data, "\n\n"]
            .concat()
            .into_bytes()
    }
}

fn is_given(raw: Option<&serde_json::value::RawValue>) -> bool {
    raw.is_some_and(|raw| is_substantial(raw.get()))
}

/// `response.failed` passes on as the server's own last word.
fn failed(view: &TypedView<'_>) -> (Outcome, Option<ErrorEnvelope>) {
    let told = view
        .response
        .and_then(|response| member(response, "error"))
        .map_or("null", |error| error.get());
    let error = upstream_error::read_event(told);
    let client_fault = error.client_fault
        || matches!(error.envelope.code.as_deref(), Some(code) if code.starts_with("invalid_"));
    (
        Outcome::UpstreamError { client_fault },
        Some(error.envelope),
    )
}

/// transformers serve leaves the names of its events out, by which some clients tell them apart.
fn named(kind: &str, payload: &str, judged: Judged) -> Judged {
    if kind.is_empty() || kind.contains(['\n', '\r']) {
        return judged;
    }
    match judged {
        Judged::Pass => Judged::Named(kind.to_owned(), payload.replace('\n', " ")),
        Judged::Replaced(mended) => Judged::Named(kind.to_owned(), mended.replace('\n', " ")),
        other => other,
    }
}
