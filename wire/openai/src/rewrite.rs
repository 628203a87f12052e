//! Splices the few bytes of a request that must differ upstream.
//!
//! Invariant: every byte outside a splice is identical, so unknown fields, their order, spaces and the
//! spelling of numbers reach the server as the client wrote them.

use std::borrow::Cow;
use std::ops::Range;

use crate::peek::{Peek, UsageSpan};

#[cfg(test)]
mod tests;

/// What shall differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edits<'a> {
    /// The name by which the server knows the model, when it is another than the client's.
    pub model: Option<&'a str>,
    /// The name by which the server knows the response that is continued, likewise.
    pub previous_response_id: Option<&'a str>,
    /// Have a stream report its usage. No effect on a request that does not stream, because OpenAI
    /// refuses `stream_options` there.
    pub include_usage: bool,
    /// Leave out top-level members whose value is null: they mean "default" to the SDKs that write
    /// them, and some engines (llama.cpp on `encoding_format`) answer 400.
    pub drop_nulls: bool,
}

struct Splice<'a> {
    span: Range<usize>,
    text: Cow<'a, str>,
}

/// The body with `edits` made; borrowed when there is nothing to do.
///
/// `peek` must come from this very `body`; with any other the result is unspecified bytes, never a panic.
pub fn rewrite<'a>(body: &'a [u8], peek: &Peek, edits: &Edits<'_>) -> Cow<'a, [u8]> {
    let mut splices = Vec::new();
    if let Some(name) = edits.model.filter(|name| *name != peek.model) {
        let quoted = serde_json::Value::from(name).to_string();
        splices.push(Splice {
            span: peek.spans.model.clone(),
            text: quoted.into(),
        });
    }
    let previous = peek.spans.previous.as_ref();
    let renamed = edits
        .previous_response_id
        .filter(|name| Some(*name) != peek.previous_response_id.as_deref());
    if let Some((name, span)) = renamed.zip(previous) {
        splices.push(Splice {
            span: span.clone(),
            text: serde_json::Value::from(name).to_string().into(),
        });
    }
    if edits.drop_nulls {
        let nulls = peek.spans.nulls.iter();
        splices.extend(nulls.map(|span| Splice {
            span: span.clone(),
            text: "".into(),
        }));
    }
    if edits.include_usage && peek.stream {
        splices.extend(ask_for_usage(peek, edits.drop_nulls));
    }
    if splices.is_empty() {
        return Cow::Borrowed(body);
    }
    // An insertion and a removal may start at one place; the insertion ends first and so goes first.
    splices.sort_by_key(|splice| (splice.span.start, splice.span.end));

    let mut out = Vec::with_capacity(body.len().saturating_add(64));
    let mut copied = 0;
    for splice in splices {
        out.extend_from_slice(body.get(copied..splice.span.start).unwrap_or_default());
        out.extend_from_slice(splice.text.as_bytes());
        copied = splice.span.end;
    }
    out.extend_from_slice(body.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

fn ask_for_usage(peek: &Peek, drop_nulls: bool) -> Option<Splice<'static>> {
    let behind_model = peek.spans.model.end..peek.spans.model.end;
    let (span, text) = match &peek.spans.usage {
        UsageSpan::Asked => return None,
        UsageSpan::NoOptions => (behind_model, r#","stream_options":{"include_usage":true}"#),
        // A null that is dropped as a member cannot be replaced as a value too.
        UsageSpan::ReplaceOptions(_) if drop_nulls => {
            (behind_model, r#","stream_options":{"include_usage":true}"#)
        }
        UsageSpan::ReplaceOptions(span) => (span.clone(), r#"{"include_usage":true}"#),
        UsageSpan::ReplaceFlag(span) => (span.clone(), "true"),
        UsageSpan::InsertFlag { at, bare: true } => (*at..*at, r#""include_usage":true"#),
        UsageSpan::InsertFlag { at, bare: false } => (*at..*at, r#""include_usage":true,"#),
    };
    Some(Splice {
        span,
        text: text.into(),
    })
}
