//! Finds content tokens in a well-formed event stream, at whatever points the chunks were cut.
//! Invariant: an event counts once, when its blank line has arrived.
//! Out of scope: malformed streams; their events count as [`Event::Other`].

use serde::Deserialize;

/// What one complete event was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A chunk whose first choice carries text.
    Token,
    /// The `[DONE]` terminator.
    Done,
    /// An error envelope inside the stream.
    Error,
    /// Anything else: role, usage, comment.
    Other,
}

/// Incremental reader.
#[derive(Debug, Default)]
pub struct Reader {
    pending: Vec<u8>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default, borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default, borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize, Default)]
struct Delta<'a> {
    #[serde(default, borrow)]
    content: Option<std::borrow::Cow<'a, str>>,
}

impl Reader {
    /// Takes bytes and calls `seen` once for each event they complete.
    pub fn push(&mut self, bytes: &[u8], mut seen: impl FnMut(Event)) {
        self.pending.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(length) = frame_length(self.pending.get(start..).unwrap_or_default()) {
            let frame = self.pending.get(start..start + length).unwrap_or_default();
            seen(event(frame));
            start += length;
        }
        self.pending.drain(..start);
    }
}

/// Bytes up to and including the first blank line.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).enumerate().find_map(|(at, pair)| {
        if pair == b"\n\n" {
            Some(at + 2)
        } else if bytes.get(at..at + 4) == Some(b"\r\n\r\n") {
            Some(at + 4)
        } else {
            None
        }
    })
}

fn event(frame: &[u8]) -> Event {
    let Some(data) = frame.strip_prefix(b"data:") else {
        return Event::Other;
    };
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return Event::Done;
    }
    match serde_json::from_slice::<Chunk<'_>>(data) {
        Ok(chunk) if chunk.error.is_some() => Event::Error,
        Ok(chunk)
            if chunk
                .choices
                .first()
                .and_then(|choice| choice.delta.content.as_deref())
                .is_some_and(|content| !content.is_empty()) =>
        {
            Event::Token
        }
        Ok(_) | Err(_) => Event::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"a \\\"b\\\"\"}}]}\n\n\
        : ping\n\n\
        data: {\"choices\":[],\"usage\":{}}\r\n\r\n\
        data: {\"error\":{\"message\":\"x\"}}\n\n\
        data: [DONE]\n\n";

    #[test]
    fn every_split_point_gives_the_same_events() {
        let wanted = [
            Event::Other,
            Event::Token,
            Event::Other,
            Event::Other,
            Event::Error,
            Event::Done,
        ];
        for split in 0..=STREAM.len() {
            let mut reader = Reader::default();
            let mut events = Vec::new();
            let (head, tail) = STREAM.split_at(split);
            reader.push(head, |event| events.push(event));
            reader.push(tail, |event| events.push(event));
            assert_eq!(events, wanted, "split at {split}");
        }
    }
}
