//! Which bytes go when the members whose value is null go.

use std::ops::Range;

use crate::members::Member;

/// Collects the members whose value is null as removable spans, ascending and apart.
///
/// A member goes together with the comma before it. Members at the head of the object have none
/// before them, so a run of nulls there goes together with the comma after it.
#[derive(Default)]
pub(super) struct NullSpans {
    nulls: Vec<Range<usize>>,
    /// Start of the run of nulls at the head, as long as nothing else was seen.
    head: Option<usize>,
    /// End of the member before.
    previous_end: Option<usize>,
    past_head: bool,
}

impl NullSpans {
    pub(super) fn note(&mut self, member: &Member<'_>) {
        let is_null = member.value.get() == "null";
        match (is_null, self.past_head) {
            (true, false) => {
                self.head.get_or_insert(member.span.start);
            }
            (true, true) => {
                self.push(self.previous_end.unwrap_or(member.span.start)..member.span.end)
            }
            (false, false) => {
                self.past_head = true;
                if let Some(start) = self.head.take() {
                    self.push(start..member.span.start);
                }
            }
            (false, true) => {}
        }
        self.previous_end = Some(member.span.end);
    }

    /// Touching spans become one, so that a body full of nulls costs one entry.
    fn push(&mut self, span: Range<usize>) {
        match self.nulls.last_mut() {
            Some(last) if last.end == span.start => last.end = span.end,
            _ => self.nulls.push(span),
        }
    }

    pub(super) fn finish(mut self) -> Vec<Range<usize>> {
        if let (Some(start), Some(end)) = (self.head.take(), self.previous_end) {
            self.push(start..end);
        }
        self.nulls
    }
}
