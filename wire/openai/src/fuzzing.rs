//! The bodies of the fuzz targets, as plain functions, so that the committed corpora also run as tests
//! on the stable toolchain.
//!
//! Each takes any bytes and panics when a promise of this crate is broken.
#![expect(clippy::expect_used, reason = "an oracle fails by panicking")]

use std::borrow::Cow;

use serde_json::Value;

use crate::endpoint::StreamDialect;
use crate::form::FormReader;
use crate::peek::{Peek, PeekLimits, peek};
use crate::rewrite::{Edits, rewrite};
use crate::stream::{End, Outcome, Step, StreamOptions, StreamReader};

/// The first byte chooses the options, the end and the dialect, the second the size of the pieces; the rest is the
/// stream. Whole and in pieces must give the same output, which must be whole frames with one last word.
pub fn stream_reader(data: &[u8]) {
    let [choice, size, stream @ ..] = data else {
        return;
    };
    let options = StreamOptions {
        dialect: match choice >> 4 & 0b11 {
            0 => StreamDialect::Chunks,
            1 => StreamDialect::Responses,
            2 => StreamDialect::Messages,
            _ => StreamDialect::Images,
        },
        hide_usage: choice & 1 == 1,
        max_event_bytes: if choice & 2 == 2 { 64 } else { 1 << 20 },
    };
    let how = match choice & 0b1100 {
        0b0000 => End::Eof,
        0b0100 => End::TransportError,
        0b1000 => End::Stalled,
        _ => End::ClientLeft,
    };
    let (whole, outcome) = read_in_pieces(options, stream, stream.len().max(1), how);
    let size = usize::from(*size).max(1);
    assert_eq!(
        read_in_pieces(options, stream, size, how),
        (whole.clone(), outcome),
        "cuts change the output"
    );

    let text = std::str::from_utf8(&whole).expect("the output is UTF-8");
    assert!(
        text.is_empty() || text.ends_with("\n\n"),
        "the output ends inside a frame"
    );
    let frames: Vec<&str> = text.split_terminator("\n\n").collect();
    if options.dialect == StreamDialect::Chunks {
        let last_words = frames.iter().filter(|frame| is_last_word(frame)).count();
        let spoken = usize::from(outcome != Some(Outcome::ClientLeft));
        assert_eq!(last_words, spoken, "one last word, unless nobody listens");
        assert_eq!(
            frames.last().is_some_and(|frame| is_last_word(frame)),
            spoken == 1,
            "nothing follows the last word"
        );
    } else {
        let is_error = |frame: &&str| frame.starts_with("event: error\n");
        let errors = frames
            .iter()
            .copied()
            .filter(|frame| is_error(frame))
            .count();
        assert!(errors <= 1, "at most one error");
        assert_eq!(
            frames.last().is_some_and(is_error),
            errors == 1,
            "nothing follows the error"
        );
        assert!(
            errors == 0 || outcome != Some(Outcome::Complete),
            "an error is no success"
        );
    }

    // Reading the output again changes nothing: what is passed on is what is asked for.
    if outcome == Some(Outcome::Complete) {
        let wide = StreamOptions {
            max_event_bytes: usize::MAX,
            ..options
        };
        // Nothing marks the end of images.
        let end = match options.dialect {
            StreamDialect::Images => End::Eof,
            _ => End::Stalled,
        };
        assert_eq!(read_in_pieces(wide, &whole, whole.len(), end).0, whole);
    }
}

fn read_in_pieces(
    options: StreamOptions,
    stream: &[u8],
    size: usize,
    how: End,
) -> (Vec<u8>, Option<Outcome>) {
    let mut reader = StreamReader::new(options);
    let mut out = Vec::new();
    for chunk in stream.chunks(size) {
        match reader.push(chunk) {
            Step::Untouched => out.extend_from_slice(chunk),
            Step::Replace(bytes) => out.extend_from_slice(&bytes),
            Step::Hold => {}
        }
    }
    out.extend_from_slice(&reader.end(how));
    (out, reader.outcome())
}

fn is_last_word(frame: &str) -> bool {
    let data = frame.lines().find_map(|line| line.strip_prefix("data: "));
    data.is_some_and(|data| data == "[DONE]" || data.starts_with("{\"error\":{\"message\":"))
}

/// Any body: refused, or rewritten so that only what was asked for differs.
pub fn peek_rewrite(body: &[u8]) {
    let limits = PeekLimits {
        max_depth: 64,
        ..PeekLimits::default()
    };
    let Ok(seen) = peek(body, &limits) else {
        return;
    };
    assert!(matches!(rewrite(body, &seen, &Edits::default()), Cow::Borrowed(same) if same == body));
    for bits in 1..8_u8 {
        let edits = Edits {
            previous_response_id: None,
            model: (bits & 1 == 1).then_some("renamed \"model\""),
            include_usage: bits & 2 == 2,
            drop_nulls: bits & 4 == 4,
        };
        check_rewrite(body, &seen, &edits, &limits);
    }
}

fn check_rewrite(body: &[u8], seen: &Peek, edits: &Edits<'_>, limits: &PeekLimits) {
    let rewritten = rewrite(body, seen, edits);
    let again = peek(&rewritten, limits).expect("a rewritten body is sound");
    assert_eq!(again.model, edits.model.unwrap_or(&seen.model));
    assert_eq!(
        again.include_usage,
        seen.include_usage || (edits.include_usage && seen.stream)
    );
    assert_eq!(again.affinity, seen.affinity);
    assert_eq!(
        (again.stream, again.max_tokens, again.n),
        (seen.stream, seen.max_tokens, seen.n)
    );
    // Numbers beyond a double stop the tree, not the rewrite.
    if let (Ok(Value::Object(before)), Ok(Value::Object(after))) = (
        serde_json::from_slice(body),
        serde_json::from_slice(&rewritten),
    ) {
        let ours = |name: &str| matches!(name, "model" | "stream_options");
        let kept = before
            .iter()
            .filter(|(name, value)| !(ours(name) || edits.drop_nulls && value.is_null()));
        for (name, value) in kept {
            assert_eq!(after.get(name), Some(value), "{name} changed");
        }
        assert!(
            after
                .keys()
                .all(|name| ours(name) || before.contains_key(name))
        );
        assert!(!edits.drop_nulls || !after.values().any(Value::is_null));
    }
}

/// The first byte is the length of the boundary that follows the second, which is the size of the pieces;
/// the rest is the body. Whole and in pieces must find the same; and whatever is let through must be what
/// a reader finds that splits the whole body at its boundaries.
pub fn form_reader(data: &[u8]) {
    let [length, size, rest @ ..] = data else {
        return;
    };
    let Some((boundary, body)) = rest.split_at_checked(usize::from(*length)) else {
        return;
    };
    let content_type = format!(
        "multipart/form-data; boundary=\"{}\"",
        String::from_utf8_lossy(boundary)
    );
    let Ok(fresh) = FormReader::new(Some(&content_type)) else {
        return;
    };
    let look = |size: usize| {
        let mut reader = fresh.clone();
        let pushed = body.chunks(size).try_for_each(|piece| reader.push(piece));
        let found = (
            reader.model().cloned(),
            reader.stream(),
            reader.response_format().map(str::to_owned),
        );
        (pushed, reader.end("file"), found)
    };
    let whole = look(body.len().max(1));
    for size in [1, usize::from(*size).max(1)] {
        assert_eq!(look(size), whole, "cuts change what is found");
    }
    let (_, Ok(()), (Some(model), ..)) = whole else {
        return;
    };
    let start = usize::try_from(model.span.start).expect("a place in the body");
    let end = usize::try_from(model.span.end).expect("a place in the body");
    assert_eq!(body.get(start..end), Some(model.value.as_bytes()));
    assert_eq!(models_of(boundary, body), [model.value]);
}

/// The values of all parts named `model`, by the plainest reading: split at the boundaries.
fn models_of(boundary: &[u8], body: &[u8]) -> Vec<String> {
    let delimiter = [b"\r\n--", boundary].concat();
    // A form may begin with its boundary: then the line's end before it is missing.
    let body = [b"\r\n", body].concat();
    let mut models = Vec::new();
    let mut starts = memchr::memmem::find_iter(&body, &delimiter).peekable();
    while let Some(start) = starts.next() {
        let end = starts.peek().copied().unwrap_or(body.len());
        let part = body.get(start + delimiter.len()..end).expect("in order");
        if part.starts_with(b"--") {
            break;
        }
        let blank = memchr::memmem::find(part, b"\r\n\r\n").expect("headers end");
        let (headers, value) = part.split_at(blank);
        if is_named_model(&String::from_utf8_lossy(headers)) {
            models.push(String::from_utf8_lossy(value.split_at(4).1).into_owned());
        }
    }
    models
}

fn is_named_model(headers: &str) -> bool {
    let mut is_quoted = false;
    let mut params = headers.split(|letter| {
        is_quoted ^= letter == '"';
        !is_quoted && matches!(letter, ';' | '\r' | '\n')
    });
    params.any(|param| {
        let (name, value) = param.split_once('=').unwrap_or_default();
        name.trim().eq_ignore_ascii_case("name") && value.trim_matches([' ', '\t', '"']) == "model"
    })
}
