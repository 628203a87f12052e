//! What a frame means, by the dialect of its stream.

use std::rc::Rc;

use crate::endpoint::StreamDialect;
use crate::error::ErrorEnvelope;
use crate::response_shape::ResponseShape;
use crate::upstream_error::Normalised;
use crate::usage::Usage;

use super::StreamOptions;
use super::chunks::Chunks;
use super::events::Events;
use super::outcome::Outcome;

/// What becomes of one payload.
pub(super) enum Judged {
    /// It goes on as it is.
    Pass,
    /// This goes on in its place.
    Replaced(String),
    /// This goes on, under the name (first) that the server left out.
    Named(String, String),
    /// The client does not see it.
    Drop,
    /// The dialect's last word goes on in its place.
    LastWord,
    /// An error event goes on in its place, and the stream is over.
    Fail(Outcome, ErrorEnvelope),
}

impl Judged {
    pub(super) fn upstream(error: Normalised) -> Self {
        let outcome = Outcome::UpstreamError {
            client_fault: error.client_fault,
        };
        Self::Fail(outcome, error.envelope)
    }

    pub(super) fn unfit(outcome: Outcome) -> Self {
        match outcome.envelope() {
            Some(envelope) => Self::Fail(outcome, envelope),
            None => Self::Drop,
        }
    }
}

/// The stream is over with this payload: how, and with what error if the payload itself told one.
pub(super) type Ending = Option<(Outcome, Option<ErrorEnvelope>)>;

/// A dialect, with what it has seen so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Protocol {
    Chunks(Chunks),
    Events(Box<Events>),
}

impl Protocol {
    pub(super) fn new(options: &StreamOptions, shape: Option<Rc<ResponseShape>>) -> Self {
        match options.dialect {
            StreamDialect::Chunks => Self::Chunks(Chunks::new(options.hide_usage)),
            dialect => Self::Events(Box::new(Events::new(dialect, shape))),
        }
    }

    pub(super) fn judge(&mut self, name: Option<&str>, payload: &str) -> (Judged, Ending) {
        match self {
            Self::Chunks(chunks) => chunks.judge(payload),
            Self::Events(events) => events.judge(name, payload),
        }
    }

    /// The answer is whole, if nothing more comes.
    pub(super) fn is_finished(&self) -> bool {
        match self {
            Self::Chunks(chunks) => chunks.progress.finished(),
            Self::Events(events) => events.is_finished(),
        }
    }

    /// What to add to a finished stream that lacks it.
    pub(super) fn last_word(&self) -> &'static [u8] {
        match self {
            Self::Chunks(_) => super::chunks::DONE_FRAME,
            Self::Events(events) => events.last_word(),
        }
    }

    /// More was coming when the stream was cut, so the finish was not the end.
    pub(super) fn forget_finish(&mut self) {
        match self {
            Self::Chunks(chunks) => chunks.progress.forget_finish(),
            Self::Events(events) => events.forget_finish(),
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        match self {
            Self::Chunks(chunks) => chunks.progress.usage(),
            Self::Events(events) => events.usage(),
        }
    }

    pub(super) fn chunks_with_content(&self) -> u64 {
        match self {
            Self::Chunks(chunks) => chunks.progress.chunks_with_content(),
            Self::Events(events) => events.with_content(),
        }
    }

    pub(super) fn error_event(&self, envelope: &ErrorEnvelope) -> Vec<u8> {
        match self {
            Self::Chunks(_) => crate::error::sse_error_event(envelope),
            Self::Events(events) => events.error_event(envelope),
        }
    }
}
