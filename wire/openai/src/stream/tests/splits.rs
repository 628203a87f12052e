//! Where the network cuts must not matter.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::recordings::streams as every_stream;
use super::{End, Step, StreamReader, hiding, play_chunks};

const SPLIT_WHOLE: [&str; 3] = [
    "llama-cpp/chat-empty-stream",
    "vllm/completions-stream-usage",
    "transformers/chat-tools-stream",
];

/// The shorter ones, which hold every kind of event: each is played many thousand times.
fn streams() -> &'static [(String, String)] {
    static SHORTER: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
        let shorter = |(_, text): &&(String, String)| text.len() < 2_000;
        every_stream().iter().filter(shorter).cloned().collect()
    });
    &SHORTER
}

/// Streams with every kind of line end, so that each cut inside one is tried.
fn dressed(text: &str) -> [String; 4] {
    [
        text.to_owned(),
        text.replace('\n', "\r\n"),
        text.replace('\n', "\r"),
        format!(
            "\u{feff}: hello\n\n{}",
            text.replace("data: ", "event: x\ndata:")
        ),
    ]
}

#[test]
fn every_split_point_of_a_recorded_stream_gives_identical_events() {
    let whole = |(name, _): &&(String, String)| SPLIT_WHOLE.contains(&name.as_str());
    assert_eq!(streams().iter().filter(whole).count(), SPLIT_WHOLE.len());
    for (name, text) in streams().iter().filter(whole) {
        let stream = text.as_bytes();
        let whole = play_chunks(hiding(), [stream], End::Eof);
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            assert_eq!(
                play_chunks(hiding(), [head, tail], End::Eof),
                whole,
                "{name} cut at {at}"
            );
        }
    }
}

/// Playing a whole stream for each of its cuts is quadratic, so it is done for one recording of each
/// engine. For the rest, and for those three in every dress, it is enough to play from a frame's start
/// over the cut to the next frame's end: equal output and an equal reader there make equal what follows.
#[test]
fn every_split_point_leaves_the_same_reader_behind() {
    for (name, text) in streams() {
        let dresses = if SPLIT_WHOLE.contains(&name.as_str()) {
            4
        } else {
            1
        };
        for stream in &dressed(text)[..dresses] {
            let stream = stream.as_bytes();
            let mut reader = StreamReader::new(hiding());
            let mut start = 0;
            while start < stream.len() {
                let middle = frame_end(stream, start);
                let end = frame_end(stream, middle);
                let mut once = reader.clone();
                let expected = push(&mut once, &stream[start..end]);
                for at in start..=middle {
                    let mut twice = reader.clone();
                    let mut sent = push(&mut twice, &stream[start..at]);
                    sent.extend(push(&mut twice, &stream[at..end]));
                    assert_eq!(sent, expected, "{name} cut at {at}");
                    assert_eq!(twice, once, "{name} cut at {at}");
                }
                push(&mut reader, &stream[start..middle]);
                start = middle;
            }
        }
    }
}

fn push(reader: &mut StreamReader, chunk: &[u8]) -> Vec<u8> {
    match reader.push(chunk) {
        Step::Untouched => chunk.to_vec(),
        Step::Replace(bytes) => bytes,
        Step::Hold => Vec::new(),
    }
}

/// Behind the next empty line, in any of the three spellings.
fn frame_end(stream: &[u8], from: usize) -> usize {
    let line_ends = [b"\n\n".as_slice(), b"\r\n\r\n", b"\r\r"];
    (from..stream.len())
        .find_map(|at| {
            let end = line_ends.iter().find(|end| stream[at..].starts_with(end))?;
            Some(at + end.len())
        })
        .unwrap_or(stream.len())
}

#[test]
fn byte_by_byte_gives_identical_events() {
    for (name, text) in streams() {
        for stream in dressed(text) {
            let stream = stream.as_bytes();
            let whole = play_chunks(hiding(), [stream], End::Eof);
            assert_eq!(
                play_chunks(hiding(), stream.chunks(1), End::Eof),
                whole,
                "{name}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_cuts_of_any_recording_give_identical_events(
        which in 0..streams().len(),
        dress in 0..4_usize,
        sizes in prop::collection::vec(1..700_usize, 1..40),
    ) {
        let stream = dressed(&streams()[which].1)[dress].clone();
        let mut rest = stream.as_bytes();
        let mut chunks = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, tail) = rest.split_at((*size).min(rest.len()));
            chunks.push(chunk);
            rest = tail;
        }
        let whole = play_chunks(hiding(), [stream.as_bytes()], End::Eof);
        prop_assert_eq!(play_chunks(hiding(), chunks, End::Eof), whole);
    }

    #[test]
    fn bytes_spoilt_anywhere_give_identical_events_and_whole_frames(
        which in 0..streams().len(),
        spoilt in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        size in 1..300_usize,
    ) {
        let mut stream = streams()[which].1.as_bytes().to_vec();
        for (at, byte) in spoilt {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let whole = play_chunks(hiding(), [stream.as_slice()], End::Eof);
        prop_assert_eq!(&play_chunks(hiding(), stream.chunks(size), End::Eof), &whole);
        prop_assert!(whole.text.ends_with("\n\n"));
    }
}
