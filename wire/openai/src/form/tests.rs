//! Forms as clients write them, and those that two parsers would read differently.

mod splits;

use super::{BadForm, FormReader, MAX_HEADERS, MAX_PARTS};
use crate::error::ErrorCode;
use crate::peek::BadRequest;

const TYPE: &str = "multipart/form-data; boundary=XX";

pub(super) fn read(body: &[u8]) -> Result<FormReader, BadForm> {
    let mut reader = FormReader::new(Some(TYPE)).unwrap();
    reader.push(body)?;
    reader.end("file")?;
    Ok(reader)
}

fn field(name: &str, value: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn file(bytes: &str) -> String {
    format!(
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n{bytes}\r\n"
    )
}

fn form(parts: &[String]) -> Vec<u8> {
    format!("{}--XX--\r\n", parts.concat()).into_bytes()
}

fn refused(body: &[u8]) -> BadForm {
    read(body).err().unwrap_or_else(|| {
        panic!("passed: {}", String::from_utf8_lossy(body));
    })
}

fn malformed(body: &[u8]) -> &'static str {
    match refused(body) {
        BadForm::Malformed { what, .. } => what,
        other => panic!("{other}"),
    }
}

#[test]
fn the_model_is_found_wherever_it_stands_with_its_place() {
    for parts in [
        [field("model", "whisper-1"), file("RIFF\r\n--X\r\n--")],
        [file("RIFF\r\n--X\r\n--"), field("model", "whisper-1")],
    ] {
        let body = form(&parts);
        let reader = read(&body).unwrap();
        let model = reader.model().unwrap();
        assert_eq!(model.value, "whisper-1");
        let span = model.span.start as usize..model.span.end as usize;
        assert_eq!(&body[span], b"whisper-1");
        assert_eq!((reader.stream(), reader.response_format()), (false, None));
    }
}

#[test]
fn the_model_is_known_as_soon_as_its_part_has_ended() {
    let body = [field("model", "m"), file(&"x".repeat(100_000))].concat();
    let end_of_model = field("model", "m").len() + "--XX".len();
    let mut reader = FormReader::new(Some(TYPE)).unwrap();
    reader.push(&body.as_bytes()[..end_of_model - 1]).unwrap();
    assert_eq!(reader.model(), None);
    reader
        .push(&body.as_bytes()[end_of_model - 1..end_of_model])
        .unwrap();
    assert_eq!(reader.model().unwrap().value, "m");
}

#[test]
fn what_decides_the_answer_is_read_behind_the_file_too() {
    let parts = [
        file("x"),
        field("model", "m"),
        field("response_format", "srt"),
        field("stream", "True"),
        field("temperature", "0.2"),
    ];
    let reader = read(&form(&parts)).unwrap();
    assert_eq!(reader.response_format(), Some("srt"));
    assert!(reader.stream());
}

#[test]
fn what_is_kept_does_not_grow_with_the_file() {
    let mut reader = FormReader::new(Some(TYPE)).unwrap();
    reader.push(field("model", "m").as_bytes()).unwrap();
    reader.push(file("").trim_end().as_bytes()).unwrap();
    reader.push(b"\r\n\r\n").unwrap();
    let megabyte = vec![b'\r'; 1 << 20];
    for _ in 0..8 {
        reader.push(&megabyte).unwrap();
        assert!(reader.pending.capacity() < 256 * 1024);
    }
}

#[test]
fn a_preamble_padding_and_an_epilogue_are_allowed() {
    let body = b"explained here\r\n--XX \t\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\r\n\r\n--XX-- \r\nand --XX more";
    assert_eq!(read(body).unwrap().model().unwrap().value, "m");
}

#[test]
fn the_boundarys_text_in_the_middle_of_a_line_is_content() {
    let body = form(&[field("model", "m"), file("a--XX\r\nb -----XX--\r\n -\r")]);
    assert_eq!(read(&body).unwrap().model().unwrap().value, "m");
    let dashes = form(&[field("model", "--XX"), file("")]);
    assert_eq!(malformed(&dashes), "a part ends before it begins");
}

#[test]
fn empty_values_have_an_empty_place() {
    let body = form(&[field("response_format", ""), field("model", "m"), file("")]);
    assert_eq!(read(&body).unwrap().response_format(), Some(""));
    assert_eq!(
        refused(&form(&[field("model", ""), file("x")])),
        BadForm::Field(BadRequest::Empty { param: "model" })
    );
}

#[test]
fn a_form_that_two_parsers_read_differently_is_refused() {
    let smuggled = "a\n--XX\nContent-Disposition: form-data; name=\"model\"\n\nother";
    let body = form(&[field("model", "m"), file(smuggled)]);
    assert_eq!(malformed(&body), "a boundary follows a lone CR or LF");

    let twice = form(&[field("model", "m"), file("x"), field("model", "other")]);
    assert_eq!(
        refused(&twice),
        BadForm::Field(BadRequest::Duplicate { param: "model" })
    );

    let longer = form(&[field("model", "m"), file("a\r\n--XXX\r\nb")]);
    assert_eq!(
        malformed(&longer),
        "a line begins like the boundary and goes on"
    );

    let unix = String::from_utf8(form(&[field("model", "m"), file("x")]))
        .unwrap()
        .replace("\r\n", "\n");
    assert_eq!(
        malformed(unix.as_bytes()),
        "a line begins like the boundary and goes on"
    );

    let bare = b"--XX\r\n\r\nx\r\n--XX--";
    assert_eq!(malformed(bare), "a part has no headers");
}

#[test]
fn a_watched_field_is_plain_text() {
    let model_file =
        "--XX\r\nContent-Disposition: form-data; name=\"model\"; filename=\"m\"\r\n\r\nm\r\n";
    assert!(matches!(
        refused(&form(&[model_file.to_owned(), file("x")])),
        BadForm::Field(BadRequest::WrongType { param: "model", .. })
    ));
    assert!(matches!(
        refused(&form(&[
            field("model", "m"),
            field("stream", "yes"),
            file("x")
        ])),
        BadForm::Field(BadRequest::WrongType {
            param: "stream",
            ..
        })
    ));
    let long = form(&[field("model", &"m".repeat(257)), file("x")]);
    assert_eq!(
        refused(&long),
        BadForm::Field(BadRequest::TooLong {
            param: "model",
            limit: 256
        })
    );
    assert!(read(&form(&[field("model", &"m".repeat(256)), file("x")])).is_ok());
    let mut broken = form(&[field("model", "m?"), file("x")]);
    let place = broken.iter().position(|byte| *byte == b'?').unwrap();
    broken[place] = 0xff;
    assert!(matches!(
        refused(&broken),
        BadForm::Field(BadRequest::WrongType { param: "model", .. })
    ));
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(
        refused(&form(&[file("x")])),
        BadForm::Field(BadRequest::Missing { param: "model" })
    );
    assert_eq!(
        refused(&form(&[field("model", "m")])),
        BadForm::Field(BadRequest::Missing { param: "file" })
    );
    for cut in [
        &b""[..],
        b"--XX",
        b"--XX\r\n",
        b"rubbish",
        b"--XX\r\nContent-Dis",
    ] {
        assert_eq!(malformed(cut), "the last boundary is missing");
    }
    let whole = form(&[field("model", "m"), file("x")]);
    assert_eq!(
        malformed(&whole[..whole.len() - 6]),
        "the last boundary is missing"
    );
}

#[test]
fn headers_and_parts_are_limited() {
    let with_name = |length: usize| {
        let head = "Content-Disposition: form-data; name=\"\"".len();
        form(&[
            field(&"n".repeat(length - head), "v"),
            field("model", "m"),
            file("x"),
        ])
    };
    assert!(read(&with_name(MAX_HEADERS)).is_ok());
    let refusal = refused(&with_name(MAX_HEADERS + 1));
    assert!(matches!(refusal, BadForm::TooMuch { .. }), "{refusal}");

    let with_parts = |count: usize| {
        let mut parts = vec![field("model", "m"), file("x")];
        parts.extend((2..count).map(|n| field(&n.to_string(), "v")));
        form(&parts)
    };
    assert!(read(&with_parts(MAX_PARTS)).is_ok());
    assert!(matches!(
        refused(&with_parts(MAX_PARTS + 1)),
        BadForm::TooMuch { .. }
    ));
    let preamble = [&vec![b' '; 8193][..], b"\r\n", &form(&[])].concat();
    assert_eq!(malformed(&preamble), "no boundary begins the form");
}

#[test]
fn a_reader_that_has_refused_goes_on_refusing_the_same() {
    let mut reader = FormReader::new(Some(TYPE)).unwrap();
    let first = reader.push(b"--XX!").unwrap_err();
    assert_eq!(reader.push(b"\r\n--XX--"), Err(first.clone()));
    assert_eq!(reader.end("file"), Err(first));
}

#[test]
fn refusals_speak_openais_words() {
    let refusal = refused(b"rubbish");
    assert_eq!(refusal.code(), ErrorCode::InvalidMultipart);
    let envelope = refusal.envelope();
    assert_eq!(envelope.kind, "invalid_request_error");
    assert!(
        envelope
            .message
            .starts_with("Could not parse the multipart form: "),
        "{}",
        envelope.message
    );
    let missing = refused(&form(&[file("x")])).envelope();
    assert_eq!(missing.message, "You must provide the parameter `model`.");
    assert_eq!(missing.param.as_deref(), Some("model"));
}
