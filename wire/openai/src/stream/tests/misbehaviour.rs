//! One sentence for each way in which a stream goes wrong.

use super::{
    DONE, End, Outcome, Played, Step, StreamOptions, StreamReader, hiding, play, play_chunks, says,
    stops,
};

/// The stream gave `head` and then one error event of `code`, and nothing more.
fn assert_broken(played: &Played, head: &str, code: &str, outcome: Outcome) {
    let event = played
        .text
        .strip_prefix(head)
        .expect("the head is passed on");
    let json = event
        .strip_prefix("data: ")
        .and_then(|event| event.strip_suffix("\n\n"))
        .expect("one frame");
    let body: serde_json::Value = serde_json::from_str(json).expect("JSON");
    assert_eq!(body["error"]["code"], code);
    assert!(
        body["error"]["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty())
    );
    assert!(!event.contains("[DONE]"));
    assert_eq!(played.outcome, Some(outcome));
}

#[test]
fn a_missing_done_is_added_after_a_finish() {
    let stream = says("a") + &stops();
    let played = play(&stream, End::Eof);
    assert_eq!(played.text, stream + DONE);
    assert_eq!(played.outcome, Some(Outcome::Complete));
}

#[test]
fn a_missing_done_is_not_added_while_a_choice_still_speaks() {
    let other = "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n";
    let stream = says("a") + other + &stops();
    assert_broken(
        &play(&stream, End::Eof),
        &stream,
        "upstream_truncated",
        Outcome::Truncated,
    );
}

#[test]
fn usage_behind_a_finish_completes_a_stream() {
    let other = "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n";
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
    let stream = says("a") + other + &stops() + usage;
    assert_eq!(play(&stream, End::Eof).outcome, Some(Outcome::Complete));
}

#[test]
fn what_follows_done_is_dropped() {
    let whole = says("a") + &stops() + DONE;
    let played = play(whole.clone() + &says("ghost") + DONE, End::Eof);
    assert_eq!(played.text, whole);
    assert_eq!(played.content, 1);
}

#[test]
fn done_without_a_finish_is_taken_at_its_word() {
    let stream = says("a") + DONE;
    assert_eq!(
        play(&stream, End::TransportError).outcome,
        Some(Outcome::Complete)
    );
}

#[test]
fn a_clean_end_without_a_finish_is_a_truncation() {
    let stream = says("a");
    assert_broken(
        &play(&stream, End::Eof),
        &stream,
        "upstream_truncated",
        Outcome::Truncated,
    );
}

#[test]
fn an_empty_body_is_a_truncation() {
    assert_broken(
        &play("", End::Eof),
        "",
        "upstream_truncated",
        Outcome::Truncated,
    );
}

#[test]
fn half_a_frame_is_never_passed_on() {
    let stream = says("a") + "data: {\"choices\":[{\"ind";
    assert_broken(
        &play(&stream, End::Eof),
        &says("a"),
        "upstream_truncated",
        Outcome::Truncated,
    );
}

#[test]
fn half_a_frame_behind_a_finish_is_a_truncation() {
    let whole = says("a") + &stops();
    let stream = whole.clone() + "data: {\"choices\":[{\"ind";
    assert_broken(
        &play(&stream, End::Eof),
        &whole,
        "upstream_truncated",
        Outcome::Truncated,
    );
}

#[test]
fn half_a_done_behind_a_finish_is_a_done() {
    for cut in [
        "d",
        "data",
        "data: [DO",
        "data: [DONE",
        "data: [DONE]",
        "data: [DONE]\n",
    ] {
        let whole = says("a") + &stops();
        let played = play(whole.clone() + cut, End::Eof);
        assert_eq!(played.text, whole + DONE, "{cut}");
        assert_eq!(played.outcome, Some(Outcome::Complete), "{cut}");
    }
}

#[test]
fn a_last_frame_without_its_empty_line_counts_at_a_clean_end() {
    let stream = says("a") + stops().trim_end();
    assert_eq!(play(&stream, End::Eof).text, says("a") + &stops() + DONE);
}

#[test]
fn a_last_frame_without_its_empty_line_is_dropped_when_the_connection_breaks() {
    let stream = says("a") + stops().trim_end();
    let played = play(&stream, End::TransportError);
    assert_broken(
        &played,
        &says("a"),
        "upstream_unreachable",
        Outcome::TransportError,
    );
}

#[test]
fn a_broken_connection_is_an_error_even_behind_a_finish() {
    let stream = says("a") + &stops();
    let played = play(&stream, End::TransportError);
    assert_broken(
        &played,
        &stream,
        "upstream_unreachable",
        Outcome::TransportError,
    );
}

#[test]
fn a_stall_is_an_error() {
    let stream = says("a");
    assert_broken(
        &play(&stream, End::Stalled),
        &stream,
        "upstream_stalled",
        Outcome::Stalled,
    );
}

#[test]
fn an_answer_over_its_time_is_an_error() {
    let stream = says("a");
    assert_broken(
        &play(&stream, End::TotalTimeout),
        &stream,
        "upstream_timeout",
        Outcome::TotalTimeout,
    );
}

#[test]
fn a_client_that_left_is_told_nothing_and_what_it_got_is_counted() {
    let stream = says("a") + &says("b") + "data: {\"cho";
    let played = play(&stream, End::ClientLeft);
    assert_eq!(played.text, says("a") + &says("b"));
    assert_eq!(
        (played.outcome, played.content),
        (Some(Outcome::ClientLeft), 2)
    );
    assert!(!Outcome::ClientLeft.is_server_fault());
}

#[test]
fn bad_json_is_an_error() {
    for bad in [
        "{\"a\":",
        "nonsense",
        "{}{}",
        "{'a':1}",
        "[1]",
        "\"[DONE]\"",
        "{\"a\":NaN}",
    ] {
        let stream = says("a") + "data: " + bad + "\n\n" + &says("b");
        let played = play(&stream, End::Eof);
        assert_broken(
            &played,
            &says("a"),
            "upstream_invalid_answer",
            Outcome::InvalidEvent,
        );
    }
}

#[test]
fn an_event_that_is_null_says_nothing() {
    let stream = says("a") + &stops() + DONE;
    let played = play("data: null\n\n".to_owned() + &stream, End::Eof);
    assert_eq!(played.text, stream);
    assert_eq!(played.outcome, Some(Outcome::Complete));
}

#[test]
fn an_event_too_deep_is_an_error() {
    let deep = format!("data: {{\"a\":{}{}}}\n\n", "[".repeat(200), "]".repeat(200));
    assert_broken(
        &play(deep, End::Eof),
        "",
        "upstream_invalid_answer",
        Outcome::InvalidEvent,
    );
}

#[test]
fn a_giant_event_is_an_error_before_it_is_whole() {
    let mut reader = StreamReader::new(StreamOptions {
        max_event_bytes: 100,
        ..StreamOptions::default()
    });
    assert_eq!(reader.push(&[b'x'; 100]), Step::Hold);
    assert!(matches!(reader.push(b"x"), Step::Replace(_)));
    assert_eq!(reader.outcome(), Some(Outcome::EventTooLarge));
}

#[test]
fn a_giant_event_is_an_error_when_it_comes_whole() {
    let options = StreamOptions {
        max_event_bytes: 100,
        ..StreamOptions::default()
    };
    let stream = says(&"x".repeat(100));
    let played = play_chunks(options, [stream.as_bytes()], End::Eof);
    assert_broken(
        &played,
        "",
        "upstream_invalid_answer",
        Outcome::EventTooLarge,
    );
}

#[test]
fn one_bad_byte_becomes_a_replacement_character() {
    let mut stream = says("a?b").into_bytes();
    let at = stream.iter().position(|byte| *byte == b'?').unwrap();
    stream[at] = 0xff;
    stream.extend_from_slice(DONE.as_bytes());
    assert_eq!(play(stream, End::Eof).text, says("a\u{fffd}b") + DONE);
}

#[test]
fn a_byte_order_mark_is_taken_off() {
    assert_eq!(
        play(format!("\u{feff}{}{DONE}", says("a")), End::Eof).text,
        says("a") + DONE
    );
}

#[test]
fn other_line_ends_become_line_feeds() {
    let usual = says("a") + &stops() + DONE;
    for line_end in ["\r", "\r\n"] {
        assert_eq!(
            play(usual.replace('\n', line_end), End::Eof).text,
            usual,
            "{line_end:?}"
        );
    }
}

#[test]
fn done_with_carriage_returns_ends_without_a_further_byte() {
    let mut reader = StreamReader::new(StreamOptions::default());
    assert_eq!(
        reader.push(b"data: [DONE]\r\n\r"),
        Step::Replace(DONE.into())
    );
    assert!(reader.is_over());
}

#[test]
fn a_missing_space_is_put_in_and_spare_ones_are_taken_out() {
    let usual = says("a") + DONE;
    assert_eq!(play(usual.replace("data: ", "data:"), End::Eof).text, usual);
    assert_eq!(
        play(usual.replace("data: ", "data:  \t"), End::Eof).text,
        usual
    );
}

#[test]
fn data_over_many_lines_comes_out_on_one() {
    let stream = "data: {\"choices\":\ndata: []}\n\n".to_owned() + DONE;
    assert_eq!(
        play(stream, End::Eof).text,
        "data: {\"choices\": []}\n\n".to_owned() + DONE
    );
}

#[test]
fn empty_data_and_spare_empty_lines_are_dropped() {
    let stream =
        "\n\ndata:\n\ndata: \n\nevent: ping\n\nretry: 1\n\n".to_owned() + &says("a") + "\n" + DONE;
    assert_eq!(play(stream, End::Eof).text, says("a") + DONE);
}

#[test]
fn comments_pass_untouched() {
    let mut reader = StreamReader::new(StreamOptions::default());
    assert_eq!(reader.push(b": still loading\n\n"), Step::Untouched);
    assert!(!reader.saw_first_token());
}

#[test]
fn an_event_of_another_protocol_passes_untouched() {
    let mut reader = StreamReader::new(StreamOptions::default());
    let event =
        b"event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0}\n\n";
    assert_eq!(reader.push(event), Step::Untouched);
}

#[test]
fn an_error_inside_the_stream_is_passed_once_and_ends_it() {
    for error in [
        "data: {\"error\":{\"message\":\"out of memory\",\"type\":\"server_error\",\"code\":500}}\n\n",
        "data: {\"error\":\"out of memory\"}\n\n",
        "data: {\"object\":\"error\",\"message\":\"out of memory\",\"code\":500}\n\n",
        "data: {\"detail\":\"out of memory\"}\n\n",
        "event: error\ndata: {\"error\":{\"message\":\"out of memory\"}}\n\n",
        "event: error\ndata: out of memory\n\n",
        "error: {\"code\":500,\"message\":\"out of memory\",\"type\":\"server_error\"}\n\n",
    ] {
        let played = play(says("a") + error + error + DONE, End::Eof);
        let event = played.text.strip_prefix(&says("a")).unwrap();
        assert_eq!(
            event,
            "data: {\"error\":{\"message\":\"out of memory\",\"type\":\"server_error\",\"param\":null,\"code\":\"upstream_error\"}}\n\n",
            "{error}"
        );
        assert_eq!(
            played.outcome,
            Some(Outcome::UpstreamError {
                client_fault: false
            })
        );
    }
}

#[test]
fn a_prompt_that_does_not_fit_is_the_clients_fault_in_a_stream_too() {
    let error = "data: {\"error\":{\"code\":500,\"message\":\"the request exceeds the available context size\"}}\n\n";
    let played = play(error, End::Eof);
    let outcome = Outcome::UpstreamError { client_fault: true };
    assert_broken(&played, "", "context_length_exceeded", outcome);
    assert!(!outcome.is_server_fault());
}

#[test]
fn the_usage_chunk_is_hidden_from_a_client_that_did_not_ask() {
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\n";
    let stream = says("a") + &stops() + usage + DONE;
    let played = play_chunks(hiding(), [stream.as_bytes()], End::Eof);
    assert_eq!(played.text, says("a") + &stops() + DONE);
    assert_eq!(played.usage.map(|usage| usage.total_tokens), Some(7));
    assert_eq!(play(&stream, End::Eof).text, stream);
}

#[test]
fn null_choices_break_a_stream_off_and_an_error_beside_them_is_told() {
    let sent = says("a");
    let broken = play(
        &(sent.clone() + "data: {\"choices\":null}\n\n" + DONE),
        End::Eof,
    );
    assert_broken(
        &broken,
        &sent,
        "upstream_invalid_answer",
        Outcome::InvalidEvent,
    );
    let error = "data: {\"choices\":null,\"error\":{\"message\":\"no\"}}\n\n";
    let told = play(error, End::Eof);
    let outcome = Outcome::UpstreamError {
        client_fault: false,
    };
    assert_eq!(told.outcome, Some(outcome));
}

#[test]
fn a_prompt_filter_chunk_without_choices_is_not_a_usage_chunk() {
    let filter = "data: {\"choices\":[],\"prompt_filter_results\":[],\"usage\":null}\n\n";
    let stream = filter.to_owned() + &says("a") + DONE;
    assert_eq!(
        play_chunks(hiding(), [stream.as_bytes()], End::Eof).text,
        stream
    );
}

#[test]
fn whole_sound_frames_are_forwarded_untouched() {
    let mut reader = StreamReader::new(hiding());
    assert_eq!(
        reader.push((says("a") + &says("b")).as_bytes()),
        Step::Untouched
    );
    assert!(reader.saw_first_token());
    assert_eq!(reader.push((stops() + DONE).as_bytes()), Step::Untouched);
    assert_eq!(reader.outcome(), Some(Outcome::Complete));
}

#[test]
fn a_character_cut_in_two_is_held_until_it_is_whole() {
    let stream = says("żółw 🐢");
    let cut = stream.find('🐢').unwrap() + 2;
    let mut reader = StreamReader::new(StreamOptions::default());
    assert_eq!(reader.push(&stream.as_bytes()[..cut]), Step::Hold);
    assert_eq!(
        reader.push(&stream.as_bytes()[cut..]),
        Step::Replace(stream.clone().into_bytes())
    );
}
