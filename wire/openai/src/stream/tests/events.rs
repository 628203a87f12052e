//! The dialects whose events have a type. Streams of llama.cpp were taken off the wire; the others were
//! composed from the documented events.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{End, Outcome, Played, Step, StreamOptions, StreamReader, play_reader};
use crate::endpoint::StreamDialect;
use crate::response_shape::ResponseShape;

const RESPONSES: &str = include_str!("../../../tests/recordings/llama-cpp-responses.sse");
const RESPONSES_TOOLS: &str =
    include_str!("../../../tests/recordings/llama-cpp-responses-tools.sse");
const RESPONSES_LENGTH: &str =
    include_str!("../../../tests/recordings/llama-cpp-responses-length.sse");
const MESSAGES: &str = include_str!("../../../tests/recordings/llama-cpp-messages.sse");
const MESSAGES_TOOLS: &str = include_str!("../../../tests/recordings/llama-cpp-messages-tools.sse");

const ALL: [(StreamDialect, &str); 5] = [
    (StreamDialect::Responses, RESPONSES),
    (StreamDialect::Responses, RESPONSES_TOOLS),
    (StreamDialect::Responses, RESPONSES_LENGTH),
    (StreamDialect::Messages, MESSAGES),
    (StreamDialect::Messages, MESSAGES_TOOLS),
];

fn options(dialect: StreamDialect) -> StreamOptions {
    StreamOptions {
        dialect,
        ..StreamOptions::default()
    }
}

fn shape() -> Rc<ResponseShape> {
    let body = br#"{"model":"tiny-chat","input":"ping","temperature":0,"stream":true}"#;
    Rc::new(ResponseShape::of_request(
        body,
        1_795_238_503,
        Some("~srv_x".to_owned()),
    ))
}

fn play(dialect: StreamDialect, stream: &str, how: End) -> Played {
    play_reader(
        StreamReader::new(options(dialect)),
        [stream.as_bytes()],
        how,
    )
}

fn shaped(stream: &str) -> Played {
    let reader = StreamReader::with_shape(options(StreamDialect::Responses), shape());
    play_reader(reader, [stream.as_bytes()], End::Eof)
}

fn events(text: &str) -> Vec<Value> {
    let data = |frame: &str| {
        let line = frame.lines().find_map(|line| line.strip_prefix("data: "))?;
        Some(serde_json::from_str(line).unwrap())
    };
    text.split("\n\n").filter_map(data).collect()
}

#[test]
fn anthropic_streams_of_llama_cpp_pass_as_they_are() {
    for (stream, content, usage) in [(MESSAGES, 1, (12, 2)), (MESSAGES_TOOLS, 8, (152, 22))] {
        let played = play(StreamDialect::Messages, stream, End::Eof);
        // The server ends with one line too many.
        assert_eq!(played.text, stream.trim_end().to_owned() + "\n\n");
        assert_eq!(played.outcome, Some(Outcome::Complete));
        assert_eq!(played.content, content);
        let read = played.usage.unwrap();
        assert_eq!((read.prompt_tokens, read.completion_tokens), usage);
    }
}

#[test]
fn responses_of_llama_cpp_get_what_the_specification_asks_for() {
    for (stream, content, usage) in [
        (RESPONSES, 1, (12, 2)),
        (RESPONSES_TOOLS, 8, (152, 22)),
        (RESPONSES_LENGTH, 8, (17, 8)),
    ] {
        let played = shaped(stream);
        assert_eq!(played.outcome, Some(Outcome::Complete));
        assert_eq!(played.content, content);
        let read = played.usage.unwrap();
        assert_eq!((read.prompt_tokens, read.completion_tokens), usage);

        let (before, after) = (events(stream), events(&played.text));
        assert_eq!(before.len(), after.len());
        for (number, (before, after)) in before.iter().zip(&after).enumerate() {
            assert_eq!(after["sequence_number"], json!(number));
            let name = before["type"].as_str().unwrap();
            if name.starts_with("response.output_") || name.starts_with("response.function_") {
                assert_eq!(after["output_index"], json!(0), "{name}");
            }
            if name.starts_with("response.output_text.") {
                assert_eq!(after["content_index"], json!(0), "{name}");
                assert_eq!(after["logprobs"], json!([]), "{name}");
            }
            let Some(response) = after["response"].as_object() else {
                continue;
            };
            for required in [
                "id",
                "object",
                "created_at",
                "completed_at",
                "status",
                "incomplete_details",
                "model",
                "previous_response_id",
                "instructions",
                "output",
                "error",
                "tools",
                "tool_choice",
                "truncation",
                "parallel_tool_calls",
                "text",
                "top_p",
                "presence_penalty",
                "frequency_penalty",
                "top_logprobs",
                "temperature",
                "reasoning",
                "usage",
                "max_output_tokens",
                "max_tool_calls",
                "store",
                "background",
                "service_tier",
                "metadata",
                "safety_identifier",
                "prompt_cache_key",
            ] {
                assert!(response.contains_key(required), "{name} lacks {required}");
            }
            assert_eq!(response["temperature"], json!(0), "as the request says");
            let id = before["response"]["id"].as_str().unwrap();
            assert_eq!(response["id"], json!(format!("{id}~srv_x")));
            for (member, value) in before["response"].as_object().unwrap() {
                if member != "id" && member != "usage" {
                    assert_eq!(&response[member], value, "{member} is the server's own");
                }
            }
        }
    }
}

#[test]
fn items_and_parts_are_counted_along() {
    let frames = [
        json!({"type":"response.output_item.added","item":{"id":"a"}}),
        json!({"type":"response.content_part.added","item_id":"a"}),
        json!({"type":"response.output_text.delta","item_id":"a","delta":"x"}),
        json!({"type":"response.output_item.added","item":{"id":"b"}}),
        json!({"type":"response.function_call_arguments.delta","item_id":"b","delta":"x"}),
        json!({"type":"response.content_part.added","item_id":"a"}),
        json!({"type":"response.output_text.delta","item_id":"a","delta":"x","sequence_number":40}),
        json!({"type":"response.output_item.done","item":{"id":"b"},"output_index":7}),
        json!({"type":"response.made_up.delta","delta":"x"}),
    ];
    let stream: String = frames
        .iter()
        .map(|data| {
            format!(
                "event: {}\ndata: {data}\n\n",
                data["type"].as_str().unwrap()
            )
        })
        .collect();
    let told: Vec<_> = events(&shaped(&stream).text)
        .iter()
        .map(|event| {
            let number = |name: &str| event[name].as_u64();
            (
                number("sequence_number"),
                number("output_index"),
                number("content_index"),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some(0), Some(0), None),
            (Some(1), Some(0), Some(0)),
            (Some(2), Some(0), Some(0)),
            (Some(3), Some(1), None),
            (Some(4), Some(1), None),
            (Some(5), Some(0), Some(1)),
            (Some(40), Some(0), Some(1)),
            (Some(41), Some(7), None),
            (Some(42), None, None),
            // The error: the stream ended before the response did.
            (Some(43), None, None),
        ]
    );
}

#[test]
fn a_complete_event_passes_as_it_is() {
    let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"m\",\"output_index\":0,\"content_index\":0,\"delta\":\"x\",\"logprobs\":[]}\n\n";
    let mut reader = StreamReader::with_shape(options(StreamDialect::Responses), shape());
    assert_eq!(reader.push(delta.as_bytes()), Step::Untouched);
    assert!(reader.saw_first_token());
}

#[test]
fn every_split_point_gives_identical_events() {
    // Playing a whole stream for each of its cuts is quadratic, so it is done for the short ones.
    for (dialect, stream) in ALL.into_iter().filter(|(_, stream)| stream.len() < 2_500) {
        let reader = || match dialect {
            StreamDialect::Responses => StreamReader::with_shape(options(dialect), shape()),
            _ => StreamReader::new(options(dialect)),
        };
        for stream in [stream.to_owned(), stream.replace('\n', "\r\n")] {
            let bytes = stream.as_bytes();
            let whole = play_reader(reader(), [bytes], End::Eof);
            assert_eq!(whole.outcome, Some(Outcome::Complete));
            for at in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(at);
                assert_eq!(
                    play_reader(reader(), [head, tail], End::Eof),
                    whole,
                    "cut at {at}"
                );
            }
        }
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_ends_with_one_error_in_its_own_dialect() {
    for (dialect, stream) in ALL {
        let last = match dialect {
            StreamDialect::Messages => stream.find("event: message_delta").unwrap(),
            _ => stream.find("event: response.completed").unwrap(),
        };
        let ends = [End::Eof, End::TransportError, End::Stalled];
        for (at, how) in (0..=last).zip(ends.into_iter().cycle()) {
            let played = play(dialect, &stream[..at], how);
            assert_eq!(played.text.matches("event: error\n").count(), 1);
            let told = events(&played.text).pop().unwrap();
            assert_eq!(told["type"], "error");
            let kind = &told["error"]["type"];
            match dialect {
                StreamDialect::Messages if how == End::Stalled => {
                    assert_eq!(kind, "timeout_error")
                }
                StreamDialect::Messages => assert_eq!(kind, "api_error"),
                _ => {
                    assert_eq!(kind, "server_error");
                    assert_eq!(told["code"], told["error"]["code"]);
                    assert_eq!(told["message"], told["error"]["message"]);
                }
            }
            assert!(played.outcome.unwrap().is_server_fault());
        }
    }
}

#[test]
fn what_follows_the_last_event_is_dropped_and_done_is_none() {
    for (dialect, stream) in ALL {
        let stream = stream.trim_end().to_owned() + "\n\n";
        let whole = play(dialect, &stream, End::Eof);
        let more = stream.clone() + "data: [DONE]\n\ndata: {\"x\":1}\n\n";
        assert_eq!(play(dialect, &more, End::Eof), whole);
        let early = stream.split("\n\n").next().unwrap().to_owned() + "\n\ndata: [DONE]\n\n";
        let played = play(dialect, &early, End::Stalled);
        assert_eq!(played.outcome, Some(Outcome::Truncated));
        assert!(!played.text.contains("[DONE]"));
    }
}

#[test]
fn a_message_that_said_why_it_stopped_gets_the_stop_that_its_server_forgot() {
    let cut = MESSAGES.find("event: message_stop").unwrap();
    for rest in ["", "data: [DONE]\n\n", "event: message_stop\ndata: {\"ty"] {
        let stream = MESSAGES[..cut].to_owned() + rest;
        let played = play(StreamDialect::Messages, &stream, End::Eof);
        assert_eq!(played.outcome, Some(Outcome::Complete), "{rest}");
        assert_eq!(played.text, MESSAGES.trim_end().to_owned() + "\n\n");
    }
}

#[test]
fn errors_of_the_server_are_told_in_the_dialect() {
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let played = play(StreamDialect::Messages, overloaded, End::Eof);
    assert_eq!(played.text, overloaded);
    assert_eq!(
        played.outcome,
        Some(Outcome::UpstreamError {
            client_fault: false
        })
    );
    for error in [
        "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"Boom\",\"param\":null}\n\n",
        "data: {\"error\":{\"message\":\"Boom\",\"code\":500}}\n\n",
        "data: {\"detail\":\"Boom\"}\n\n",
    ] {
        let played = play(StreamDialect::Responses, error, End::Eof);
        let told = &events(&played.text)[0];
        assert_eq!(
            (&told["type"], &told["message"]),
            (&json!("error"), &json!("Boom"))
        );
        assert_eq!(told["sequence_number"], 0);
    }
}

#[test]
fn a_response_that_failed_is_told_by_its_own_last_event() {
    for (code, client_fault) in [("server_error", false), ("invalid_prompt", true)] {
        let stream = format!(
            "event: response.failed\ndata: {{\"type\":\"response.failed\",\"sequence_number\":1,\"response\":{{\"id\":\"r\",\"status\":\"failed\",\"error\":{{\"code\":\"{code}\",\"message\":\"No.\"}}}}}}\n\n"
        );
        let mut reader = StreamReader::new(options(StreamDialect::Responses));
        assert_eq!(reader.push(stream.as_bytes()), Step::Untouched);
        assert_eq!(
            reader.outcome(),
            Some(Outcome::UpstreamError { client_fault })
        );
        assert_eq!(reader.error().unwrap().message, "No.");
        assert!(reader.end(End::Eof).is_empty());
    }
}

#[test]
fn bad_events_end_typed_streams() {
    for bad in [
        "event: x\ndata: {\"type\":\n\n",
        "event: x\ndata: []\n\n",
        "data: nonsense\n\n",
    ] {
        for dialect in [
            StreamDialect::Responses,
            StreamDialect::Messages,
            StreamDialect::Images,
        ] {
            let played = play(dialect, bad, End::Stalled);
            assert_eq!(played.outcome, Some(Outcome::InvalidEvent), "{bad}");
            assert!(played.text.starts_with("event: error\ndata: "));
        }
    }
}

#[test]
fn an_image_stream_ends_after_any_number_of_images() {
    let partial = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"eA==\",\"partial_image_index\":0}\n\n";
    let done = "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"eA==\",\"usage\":{\"input_tokens\":3,\"output_tokens\":9}}\n\n";
    let stream = [partial, done, partial, done].concat();
    let played = play(StreamDialect::Images, &stream, End::Eof);
    assert_eq!((played.text.as_str(), played.content), (stream.as_str(), 2));
    assert_eq!(played.outcome, Some(Outcome::Complete));
    assert_eq!(played.usage.unwrap().total_tokens, 12);
    let broken = play(StreamDialect::Images, partial, End::Eof);
    assert_eq!(broken.outcome, Some(Outcome::Truncated));
}

#[test]
fn pings_and_types_of_tomorrow_pass_and_are_no_token() {
    let stream = "event: ping\ndata: {\"type\": \"ping\"}\n\nevent: new_thing\ndata: {\"type\":\"new_thing\"}\n\n: comment\n\n";
    let mut reader = StreamReader::new(options(StreamDialect::Messages));
    assert_eq!(reader.push(stream.as_bytes()), Step::Untouched);
    assert!(!reader.saw_first_token() && !reader.is_over());
}
