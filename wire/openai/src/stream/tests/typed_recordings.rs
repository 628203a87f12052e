//! Responses and Anthropic's messages as the three engines stream them.

use std::rc::Rc;

use serde_json::Value;

use super::{End, Outcome, Played, StreamOptions, StreamReader, play_reader};
use crate::Endpoint;
use crate::recordings::{self, Recording};
use crate::response_shape::ResponseShape;

fn typed() -> impl Iterator<Item = &'static Recording> {
    recordings::all().iter().filter(|one| {
        one.is_stream() && matches!(one.endpoint(), Endpoint::Responses | Endpoint::Messages)
    })
}

/// A reader as the gateway makes one for that request.
fn reader(recording: &Recording) -> StreamReader {
    let dialect = recording.endpoint().traits().stream.unwrap();
    let options = StreamOptions {
        dialect,
        ..StreamOptions::default()
    };
    let body = br#"{"model":"tiny-chat","input":"Say hello.","stream":true}"#;
    let shape = ResponseShape::of_request(body, 1_795_238_503, Some("~srv_x".to_owned()));
    match recording.endpoint() {
        Endpoint::Responses => StreamReader::with_shape(options, Rc::new(shape)),
        _ => StreamReader::new(options),
    }
}

fn play(recording: &Recording) -> Played {
    let chunks = recording.chunks.iter().map(Vec::as_slice);
    play_reader(reader(recording), chunks, End::Eof)
}

fn events(stream: &str) -> Vec<Value> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn every_typed_stream_is_complete_and_ends_with_its_own_last_word() {
    assert!(typed().count() >= 6);
    for recording in typed() {
        let played = play(recording);
        let title = recording.title();
        assert_eq!(played.outcome, Some(Outcome::Complete), "{title}");
        let sent = events(&played.text);
        let last = sent.last().unwrap()["type"].as_str().unwrap();
        let wanted = match recording.endpoint() {
            Endpoint::Responses => "response.completed",
            _ => "message_stop",
        };
        assert_eq!(last, wanted, "{title}");
        assert_eq!(sent.len(), events(&recording.text()).len(), "{title}");
        assert!(!played.text.contains("[DONE]"), "{title}");
        // The official clients tell events apart by their names.
        let names = played.text.matches("event: ").count();
        assert_eq!(names, sent.len(), "{title}");
    }
}

#[test]
fn every_split_point_of_a_typed_stream_gives_identical_events() {
    for recording in typed() {
        let whole = play(recording);
        let stream = recording.body();
        // A cut matters by where in a frame it is; each frame has some hundred places.
        let some = stream.len().div_ceil(600).max(1);
        for at in (0..=stream.len()).step_by(some) {
            let (head, tail) = stream.split_at(at);
            let cut = play_reader(reader(recording), [head, tail], End::Eof);
            assert_eq!(cut, whole, "{} cut at {at}", recording.title());
        }
        let bytes = play_reader(reader(recording), stream.chunks(1), End::Eof);
        assert_eq!(bytes, whole, "{} byte by byte", recording.title());
    }
}

#[test]
fn a_typed_stream_cut_in_its_middle_is_an_error() {
    for recording in typed() {
        let stream = recording.body();
        let half = &stream[..stream.len() / 2];
        let played = play_reader(reader(recording), [half], End::Eof);
        assert_eq!(
            played.outcome,
            Some(Outcome::Truncated),
            "{}",
            recording.title()
        );
    }
}
