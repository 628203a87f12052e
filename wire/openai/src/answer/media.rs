//! Answers that are not JSON: audio as it comes, subtitles and plain text as a whole.
//!
//! Invariant: a page, an error, nothing at all, or the beginning of something longer never passes for
//! what was asked for.

use super::{Answer, invalid_answer, is_type, read_answer};
use crate::endpoint::Endpoint;

/// Bytes that tell an error or a page from audio. No audio format, and no sound, begins with them.
const TELLTALES: [&[u8]; 6] = [
    b"<!doctype html",
    b"<html",
    b"<?xml",
    b"{\"error\"",
    b"{\"detail\"",
    b"{\"object\":\"error\"",
];
/// The longest of them has 17 bytes; the rest is for blanks.
const HEAD: usize = 24;

/// Reads audio as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaReader {
    media_type: String,
    declared: Option<u64>,
    received: u64,
    /// The first bytes, until they are enough to judge by.
    head: Option<Vec<u8>>,
}

/// What to send for a chunk.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaStep {
    /// The chunk itself.
    Untouched,
    /// These bytes instead.
    Replace(Vec<u8>),
    /// Nothing now.
    Hold,
    /// This is no audio: nothing of it may be sent.
    Invalid(Vec<u8>),
}

/// How the body of an audio answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaEnd {
    /// Whole; these bytes are still to be sent.
    Whole(Vec<u8>),
    /// Shorter than it was announced.
    Cut,
    /// This, or nothing, came instead of audio.
    Invalid(Vec<u8>),
}

impl MediaReader {
    /// A reader for an answer of this type, or `None` where the type is not one of audio. `length` is
    /// the answer's `Content-Length`, unless it speaks of compressed bytes.
    pub fn new(content_type: Option<&str>, length: Option<u64>) -> Option<Self> {
        const UNNAMED: &str = "application/octet-stream";
        let media_type = content_type.unwrap_or(UNNAMED).trim();
        let bare = media_type.split(';').next().unwrap_or_default().trim_end();
        let is_audio = bare
            .get(..6)
            .is_some_and(|head| head.eq_ignore_ascii_case("audio/"));
        let passes = [UNNAMED, "application/ogg", "video/mp4", "video/webm"];
        (is_audio || passes.iter().any(|known| bare.eq_ignore_ascii_case(known))).then(|| Self {
            media_type: media_type.to_owned(),
            declared: length,
            received: 0,
            head: Some(Vec::new()),
        })
    }

    /// The type for the client.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Takes the next chunk.
    pub fn push(&mut self, chunk: &[u8]) -> MediaStep {
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(length);
        let Some(head) = &mut self.head else {
            return MediaStep::Untouched;
        };
        let is_first = head.is_empty();
        if is_first && chunk.len() >= HEAD {
            self.head = None;
            return if is_telltale(chunk) {
                MediaStep::Invalid(chunk.to_vec())
            } else {
                MediaStep::Untouched
            };
        }
        head.extend_from_slice(chunk);
        if head.len() < HEAD {
            return MediaStep::Hold;
        }
        let bytes = self.head.take().unwrap_or_default();
        if is_telltale(&bytes) {
            MediaStep::Invalid(bytes)
        } else {
            MediaStep::Replace(bytes)
        }
    }

    /// Takes an orderly end.
    pub fn end(&mut self) -> MediaEnd {
        let rest = self.head.take().unwrap_or_default();
        if self.received == 0 || is_telltale(&rest) {
            MediaEnd::Invalid(rest)
        } else if self
            .declared
            .is_some_and(|declared| self.received < declared)
        {
            MediaEnd::Cut
        } else {
            MediaEnd::Whole(rest)
        }
    }

    /// Whether anything came.
    pub fn has_begun(&self) -> bool {
        self.received > 0
    }
}

fn is_telltale(head: &[u8]) -> bool {
    let compact: Vec<u8> = head
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(u8::to_ascii_lowercase)
        .take(HEAD)
        .collect();
    TELLTALES.iter().any(|telltale| {
        let telltale: Vec<u8> = telltale
            .iter()
            .copied()
            .filter(|byte| *byte != b' ')
            .collect();
        compact.starts_with(&telltale)
    })
}

/// Judges a whole answer that came where audio was expected and is of another type.
pub fn read_instead_of_media(status: u16, content_type: Option<&str>, body: &[u8]) -> Answer {
    match read_answer(Endpoint::Speech, status, content_type, body) {
        Answer::Pass { .. } => invalid_answer(content_type, body).into(),
        error => error,
    }
}

/// A transcript's format that is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// `text`
    Plain,
    /// `srt`
    Srt,
    /// `vtt`
    Vtt,
}

impl TextFormat {
    /// The format that a request's `response_format` names.
    pub fn named(response_format: &str) -> Option<Self> {
        match response_format {
            "text" => Some(Self::Plain),
            "srt" => Some(Self::Srt),
            "vtt" => Some(Self::Vtt),
            _ => None,
        }
    }

    /// The type for the client: the server's where it is one of text, never one that a browser runs.
    pub fn media_type(self, content_type: Option<&str>) -> &str {
        let known = ["text/plain", "text/vtt", "text/srt", "application/x-subrip"];
        content_type
            .filter(|told| known.iter().any(|wanted| is_type(told, wanted)))
            .unwrap_or("text/plain; charset=utf-8")
    }

    /// Silence has no words and no subtitles; subtitles begin as their formats say.
    fn fits(self, text: &str) -> bool {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        match self {
            Self::Plain => !is_telltale(text.as_bytes()),
            Self::Srt => text.is_empty() || text.starts_with(|first: char| first.is_ascii_digit()),
            Self::Vtt => text.starts_with("WEBVTT"),
        }
    }
}

/// Judges a whole transcript that was asked for in `format`. Servers that know only JSON answer in it:
/// that passes too, as what it is, and then `None` is told beside the answer.
pub fn read_transcript(
    endpoint: Endpoint,
    format: TextFormat,
    status: u16,
    content_type: Option<&str>,
    body: &[u8],
) -> (Answer, Option<TextFormat>) {
    let is_json = content_type.is_some_and(|kind| is_type(kind, "application/json"))
        || body.trim_ascii_start().starts_with(b"{");
    if !(200..300).contains(&status) || is_json {
        return (read_answer(endpoint, status, content_type, body), None);
    }
    let text = String::from_utf8_lossy(body);
    if !format.fits(&text) {
        return (invalid_answer(content_type, body).into(), None);
    }
    let mended = (text.as_bytes() != body).then(|| text.as_bytes().to_vec());
    let answer = Answer::Pass {
        usage: None,
        mended,
    };
    (answer, Some(format))
}

#[cfg(test)]
mod tests;
