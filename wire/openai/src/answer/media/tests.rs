use super::*;

fn reader() -> MediaReader {
    MediaReader::new(Some("audio/mpeg"), None).unwrap()
}

/// What a client gets of audio that comes in pieces of this size.
fn passed(bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    let (mut reader, mut sent) = (reader(), Vec::new());
    for chunk in bytes.chunks(size) {
        match reader.push(chunk) {
            MediaStep::Untouched => sent.extend_from_slice(chunk),
            MediaStep::Replace(bytes) => sent.extend(bytes),
            MediaStep::Hold => {}
            MediaStep::Invalid(_) => return None,
        }
    }
    match reader.end() {
        MediaEnd::Whole(rest) => sent.extend(rest),
        MediaEnd::Cut | MediaEnd::Invalid(_) => return None,
    }
    Some(sent)
}

#[test]
fn audio_passes_as_it_is_however_it_is_cut() {
    let long: Vec<u8> = (0..=255).collect();
    for bytes in [
        &b"\xff\xfb"[..],
        b"RIFF....WAVEfmt ",
        &long,
        b"<<{{\"\"",
        b"{",
    ] {
        for size in 1..=bytes.len() {
            assert_eq!(passed(bytes, size).as_deref(), Some(bytes), "{size}");
        }
    }
}

#[test]
fn a_page_or_an_error_is_no_audio_whatever_its_type_says() {
    for bytes in [
        &b"<!DOCTYPE html><html><body>Welcome</body></html>"[..],
        b"\n <html lang=\"en\">",
        b"{\"error\": {\"message\": \"the engine has died\"}}",
        b"{ \"detail\" : \"Not Found\" }",
        b"<?xml version=\"1.0\"?>",
    ] {
        for size in 1..=bytes.len() {
            assert_eq!(passed(bytes, size), None, "{size}");
        }
    }
    assert_eq!(passed(b"", 1), None);
}

#[test]
fn a_body_shorter_than_announced_is_cut() {
    let end_after = |declared, bytes: &[u8]| {
        let mut reader = MediaReader::new(None, declared).unwrap();
        let _ = reader.push(bytes);
        reader.end()
    };
    assert_eq!(end_after(Some(30), &[7; 29]), MediaEnd::Cut);
    assert_eq!(end_after(Some(30), &[7; 30]), MediaEnd::Whole(Vec::new()));
    assert_eq!(end_after(None, &[7; 3]), MediaEnd::Whole(vec![7; 3]));
}

#[test]
fn only_types_of_media_pass() {
    for kind in [
        "audio/mpeg",
        "Audio/WAV; rate=24000",
        "application/octet-stream",
        "application/ogg",
    ] {
        let reader = MediaReader::new(Some(kind), None).unwrap();
        assert_eq!(reader.media_type(), kind);
    }
    for kind in [
        "text/html",
        "application/json",
        "text/plain",
        "image/svg+xml",
        "",
    ] {
        assert_eq!(MediaReader::new(Some(kind), None), None, "{kind}");
    }
}

#[test]
fn json_is_never_an_answer_where_audio_is_wanted() {
    let judge = |body: &[u8]| read_instead_of_media(200, Some("application/json"), body);
    for body in [
        &br#"{"data":[{"a":1}]}"#[..],
        br#"{"text":"hi"}"#,
        br#"{"error":{"message":"no"}}"#,
        b"",
    ] {
        assert!(matches!(judge(body), Answer::Error { .. }));
    }
}

fn transcript(format: TextFormat, kind: &str, body: &str) -> (bool, Option<TextFormat>) {
    let (answer, told) = read_transcript(
        Endpoint::Transcriptions,
        format,
        200,
        Some(kind),
        body.as_bytes(),
    );
    (matches!(answer, Answer::Pass { .. }), told)
}

#[test]
fn transcripts_pass_in_the_format_that_was_asked_for() {
    use TextFormat::{Plain, Srt, Vtt};
    let srt = "1\n00:00:00,000 --> 00:00:02,000\nHello.\n";
    for (format, body) in [
        (Plain, "Hello.\n"),
        (Plain, "\n"),
        (Plain, ""),
        (Srt, srt),
        (Srt, ""),
        (Vtt, "WEBVTT\n\n00:00.000 --> 00:02.000\nHello.\n"),
    ] {
        // One known server calls every text a page.
        for kind in ["text/plain", "text/html"] {
            assert_eq!(
                transcript(format, kind, body),
                (true, Some(format)),
                "{body}"
            );
        }
    }
    for (format, body) in [
        (Plain, "<!doctype html><title>Welcome</title>"),
        (Srt, "Hello."),
        (Vtt, srt),
        (Vtt, ""),
    ] {
        assert_eq!(
            transcript(format, "text/plain", body),
            (false, None),
            "{body}"
        );
    }
}

#[test]
fn a_transcript_in_json_passes_as_json() {
    let (ok, told) = transcript(TextFormat::Srt, "application/json", r#"{"text":"Hello."}"#);
    assert_eq!((ok, told), (true, None));
    let (ok, told) = transcript(TextFormat::Plain, "text/plain", r#"{"error":"no"}"#);
    assert_eq!((ok, told), (false, None));
}

#[test]
fn a_text_is_never_sent_as_something_a_browser_runs() {
    let typed = |told| TextFormat::Plain.media_type(told);
    assert_eq!(
        typed(Some("text/vtt; charset=utf-8")),
        "text/vtt; charset=utf-8"
    );
    assert_eq!(typed(Some("application/x-subrip")), "application/x-subrip");
    for told in [None, Some("text/html"), Some("image/svg+xml")] {
        assert_eq!(typed(told), "text/plain; charset=utf-8");
    }
}
