//! The dialect of chat and completions: nameless chunks, then `[DONE]`.

use crate::upstream_error;

use super::event::EventView;
use super::outcome::Outcome;
use super::progress::Progress;
use super::protocol::{Ending, Judged};

pub(super) const DONE_FRAME: &[u8] = b"data: [DONE]\n\n";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunks {
    hide_usage: bool,
    pub(super) progress: Progress,
}

impl Chunks {
    pub(super) fn new(hide_usage: bool) -> Self {
        Self {
            hide_usage,
            progress: Progress::default(),
        }
    }

    pub(super) fn judge(&mut self, payload: &str) -> (Judged, Ending) {
        if payload == "[DONE]" {
            return (Judged::Pass, Some((Outcome::Complete, None)));
        }
        (self.judge_chunk(payload), None)
    }

    fn judge_chunk(&mut self, payload: &str) -> Judged {
        // llama.cpp's first word on several prompts at once. It says nothing, and clients choke on it.
        if payload == "null" {
            return Judged::Drop;
        }
        let Ok(view) = EventView::read(payload) else {
            return Judged::unfit(Outcome::InvalidEvent);
        };
        if view.is_error() {
            return Judged::upstream(upstream_error::read_event(payload));
        }
        if view.lacks_choices() {
            return Judged::unfit(Outcome::InvalidEvent);
        }
        self.progress.note(&view);
        if self.hide_usage && view.is_usage_chunk() {
            return Judged::Drop;
        }
        Judged::Pass
    }
}
