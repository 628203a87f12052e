//! What goes out for one buffer.

use std::ops::Range;

use super::Step;

/// Gathers what goes out for one buffer without copying until something differs.
pub(super) struct Output<'b> {
    buffer: &'b [u8],
    /// As long as nothing differs: how much of the buffer's head goes out as it is.
    clean: usize,
    /// Something was left out or put in.
    differs: bool,
    made: Vec<u8>,
}

impl<'b> Output<'b> {
    pub(super) fn new(buffer: &'b [u8]) -> Self {
        Self {
            buffer,
            clean: 0,
            differs: false,
            made: Vec::new(),
        }
    }

    pub(super) fn pass(&mut self, span: Range<usize>) {
        if self.differs {
            self.made
                .extend_from_slice(self.buffer.get(span).unwrap_or_default());
        } else {
            self.clean = span.end;
        }
    }

    pub(super) fn drop_frame(&mut self) {
        if !self.differs {
            self.differs = true;
            self.made.reserve(self.buffer.len());
            self.made
                .extend_from_slice(self.buffer.get(..self.clean).unwrap_or_default());
        }
    }

    pub(super) fn replace(&mut self, bytes: &[u8]) {
        self.drop_frame();
        self.made.extend_from_slice(bytes);
    }

    pub(super) fn into_step(self) -> Step {
        if !self.differs && self.clean == self.buffer.len() {
            return Step::Untouched;
        }
        self.into_replacement()
    }

    pub(super) fn into_replacement(mut self) -> Step {
        self.drop_frame();
        if self.made.is_empty() {
            Step::Hold
        } else {
            Step::Replace(self.made)
        }
    }
}
