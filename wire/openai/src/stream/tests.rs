//! What servers do to streams, and what comes out.

mod events;
mod misbehaviour;
mod recordings;
mod splits;
mod typed_recordings;

use super::{End, Outcome, Step, StreamOptions, StreamReader};

/// Everything one stream gave.
#[derive(Debug, PartialEq, Eq)]
struct Played {
    text: String,
    outcome: Option<Outcome>,
    usage: Option<crate::Usage>,
    content: u64,
}

fn hiding() -> StreamOptions {
    StreamOptions {
        hide_usage: true,
        ..StreamOptions::default()
    }
}

fn play_chunks<'a>(
    options: StreamOptions,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    how: End,
) -> Played {
    play_reader(StreamReader::new(options), chunks, how)
}

fn play_reader<'a>(
    mut reader: StreamReader,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    how: End,
) -> Played {
    let mut sent = Vec::new();
    for chunk in chunks {
        match reader.push(chunk) {
            Step::Untouched => sent.extend_from_slice(chunk),
            Step::Replace(bytes) => {
                assert!(!bytes.is_empty());
                sent.extend_from_slice(&bytes);
            }
            Step::Hold => {}
        }
    }
    sent.extend_from_slice(&reader.end(how));
    assert!(reader.is_over());
    assert_eq!(reader.push(b"data: {}\n\n"), Step::Hold);
    assert!(reader.end(End::Eof).is_empty());
    Played {
        text: String::from_utf8(sent).unwrap(),
        outcome: reader.outcome(),
        usage: reader.usage(),
        content: reader.chunks_with_content(),
    }
}

fn play(stream: impl AsRef<[u8]>, how: End) -> Played {
    play_chunks(StreamOptions::default(), [stream.as_ref()], how)
}

/// A chat chunk with text.
fn says(text: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
    )
}

/// A chat chunk that ends choice 0.
fn stops() -> String {
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_owned()
}

const DONE: &str = "data: [DONE]\n\n";
