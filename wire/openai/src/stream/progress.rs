//! What has been seen of a stream so far.

use crate::usage::Usage;

use super::event::EventView;

/// Counters and marks of one stream. Choices are kept as bits by index: OpenAI allows 128 of them, and
/// higher indices share the last bit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Progress {
    usage: Option<Usage>,
    chunks_with_content: u64,
    seen: u128,
    finished: u128,
    usage_after_finish: bool,
}

impl Progress {
    pub(super) fn note(&mut self, view: &EventView) {
        self.seen |= view.seen;
        self.finished |= view.finished;
        if view.has_content {
            self.chunks_with_content = self.chunks_with_content.saturating_add(1);
        }
        if view.usage.is_some() {
            self.usage = view.usage;
            self.usage_after_finish |= self.finished != 0 && view.is_usage_chunk();
        }
    }

    /// Every choice that spoke has said why it stopped, or the closing usage came behind a finish.
    pub(super) fn finished(&self) -> bool {
        self.usage_after_finish || (self.seen != 0 && self.seen == self.finished)
    }

    /// More was coming when the stream was cut, so the finish was not the end.
    pub(super) fn forget_finish(&mut self) {
        self.finished = 0;
        self.usage_after_finish = false;
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    pub(super) fn chunks_with_content(&self) -> u64 {
        self.chunks_with_content
    }
}
