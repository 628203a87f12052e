//! Multipart forms: routed by their model, passed through, answered in JSON, text or events.

use tidegate_durable::bindings::instance::DeniedWire;
use tidegate_edge::effect::{BodyEnd, Splice, UploadEnd};

use crate::rig::{JSON, Rig, SSE};

const PATH: &str = "/v1/audio/transcriptions";
const KIND: &str = "multipart/form-data; boundary=B7";
const TRANSCRIPT: &[u8] = br#"{"text":"Hello."}"#;
const MIB: usize = 1 << 20;

pub fn spliced(kept: &[u8], splice: Option<Splice>) -> Vec<u8> {
    let Some(Splice { start, end, text }) = splice else {
        return kept.to_vec();
    };
    let (start, end) = (start as usize, end as usize);
    [&kept[..start], text.as_bytes(), &kept[end..]].concat()
}

fn field(name: &str, value: &str) -> Vec<u8> {
    format!("--B7\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into()
}

fn file(length: usize) -> Vec<u8> {
    let head = b"--B7\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n";
    [&head[..], &vec![b'x'; length], b"\r\n"].concat()
}

const END: &[u8] = b"--B7--\r\n";

impl Rig {
    /// A form as it arrives, before a byte of it has been read.
    fn upload_to(&mut self, path: &str, length: Option<usize>) -> (u32, Vec<String>) {
        let mut head = self.head(path);
        head.headers.retain(|(name, _)| name != "content-type");
        head.headers.push(("content-type".into(), KIND.into()));
        head.headers
            .extend(length.map(|length| ("content-length".into(), length.to_string())));
        self.arrive(head)
    }

    /// Pieces of a form, as the client sends them.
    fn piece(&mut self, id: u32, piece: &[u8]) -> Vec<String> {
        let talk = self.talks.get_mut(&id).unwrap();
        if talk.reads_upload {
            talk.kept.extend_from_slice(piece);
        }
        let effects = self.gateway.upload(id, self.now, piece);
        let lines = self.take(id, effects);
        self.with_fleet(id, lines)
    }

    fn upload_ends(&mut self, id: u32, end: UploadEnd) -> Vec<String> {
        let effects = self.gateway.upload_ended(id, self.now, end);
        let lines = self.take(id, effects);
        self.with_fleet(id, lines)
    }

    /// A small form that has been read to its end.
    fn small(&mut self, parts: &[Vec<u8>]) -> (u32, Vec<String>) {
        let form = [&parts.concat(), END].concat();
        let (id, lines) = self.upload_to(PATH, Some(form.len()));
        assert_eq!(lines, ["read_upload"]);
        assert_eq!(self.piece(id, &form), [""; 0]);
        let lines = self.upload_ends(id, UploadEnd::Whole);
        (id, lines)
    }

    /// A large form on its way to the server `a`.
    fn large(&mut self) -> u32 {
        let length = field("model", "m").len() + file(20 * MIB).len() + END.len();
        let (id, _) = self.upload_to(PATH, Some(length));
        let lines = self.piece(id, &[field("model", "m"), file(1000)].concat());
        assert_eq!(lines, ["ask a: first normal", "wake in 20000"]);
        assert_eq!(self.grant(id, "a")[0], "fetch 0 a");
        assert_eq!(self.talk(id).fetches[0].length, Some(length as u64));
        id
    }
}

fn mono() -> Vec<Vec<u8>> {
    vec![field("model", "m"), file(100)]
}

#[test]
fn a_small_form_is_sent_as_it_came() {
    let mut rig = Rig::new(&["a"]);
    let (id, lines) = rig.small(&mono());
    assert_eq!(lines, ["ask a: first normal", "wake in 20000"]);
    assert_eq!(rig.grant(id, "a"), ["fetch 0 a"]);
    let form = [&mono().concat(), END].concat();
    let fetch = &rig.talk(id).fetches[0];
    assert_eq!(fetch.url, "https://a.example.com/v1/audio/transcriptions");
    assert_eq!(fetch.prefix.as_deref(), Some(&form[..]));
    assert_eq!(fetch.length, Some(form.len() as u64));
    let kinds: Vec<_> = fetch
        .headers
        .iter()
        .filter(|(name, _)| name == "content-type")
        .collect();
    assert_eq!(kinds, [&("content-type".to_owned(), KIND.to_owned())]);
    assert_eq!(rig.headers(id, 0, 200, JSON), ["collect 0"]);
    assert_eq!(
        rig.whole(id, 0, TRANSCRIPT),
        [
            "forget_upload",
            "respond 200 with the server's bytes",
            "log",
            "flush 20",
            "done"
        ]
    );
    assert_eq!(rig.talk(id).body, TRANSCRIPT);
    assert_eq!(
        rig.talk(id).header("content-type"),
        Some("application/json")
    );
    assert_eq!(rig.flush(), ["tell a: settle success 0+0"]);
}

#[test]
fn a_model_with_another_name_is_spliced_and_nothing_else() {
    let mut rig = Rig::new(&["a"]);
    rig.entry(0).upstream_model = Some("whisper-large".to_owned());
    let (id, _) = rig.small(&[file(100), field("model", "m"), field("stream", "false")]);
    rig.grant(id, "a");
    let expected = [
        file(100),
        field("model", "whisper-large"),
        field("stream", "false"),
    ]
    .concat();
    let expected = [&expected, END].concat();
    let fetch = &rig.talk(id).fetches[0];
    assert_eq!(fetch.prefix.as_deref(), Some(&expected[..]));
    assert_eq!(fetch.length, Some(expected.len() as u64));
}

#[test]
fn a_small_form_moves_on_to_another_server() {
    let mut rig = Rig::new(&["a", "b"]);
    let (id, _) = rig.small(&mono());
    rig.grant(id, "a");
    rig.grant(id, "b");
    let first = rig.talk(id).fetches[0].url.contains("//a.");
    let other = if first { "b" } else { "a" };
    let lines = rig.end(id, 0, BodyEnd::Broken);
    assert!(
        lines[0].starts_with(&format!("ask {other}: retry")),
        "{lines:?}"
    );
    rig.grant(id, other);
    let form = [&mono().concat(), END].concat();
    assert_eq!(rig.talk(id).fetches[1].prefix.as_deref(), Some(&form[..]));
    rig.headers(id, 1, 200, JSON);
    rig.whole(id, 1, TRANSCRIPT);
    assert_eq!(rig.talk(id).status, Some(200));
}

#[test]
fn a_large_form_is_routed_before_it_has_come() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.large();
    assert!(
        !rig.talk(id).reads_upload,
        "the client is held back meanwhile"
    );
    let kept = [field("model", "m"), file(1000)].concat();
    assert_eq!(rig.talk(id).fetches[0].prefix.as_deref(), Some(&kept[..]));
    assert_eq!(rig.piece(id, &vec![b'x'; MIB]), ["forget_upload"]);
    assert_eq!(rig.piece(id, &vec![b'x'; MIB]), [""; 0]);
    assert_eq!(rig.piece(id, &[b"\r\n", END].concat()), [""; 0]);
    assert_eq!(rig.upload_ends(id, UploadEnd::Whole), [""; 0]);
    rig.headers(id, 0, 200, JSON);
    rig.whole(id, 0, TRANSCRIPT);
    assert_eq!(rig.talk(id).status, Some(200));
}

#[test]
fn a_large_form_of_which_nothing_has_left_moves_on() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.large();
    let lines = rig.end(id, 0, BodyEnd::Broken);
    assert_eq!(
        lines[0],
        "ask a: retry normal, settle failure transport 0+0"
    );
}

#[test]
fn a_server_that_breaks_in_the_middle_of_an_upload_is_not_asked_again() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.large();
    rig.piece(id, &vec![b'x'; MIB]);
    let lines = rig.end(id, 0, BodyEnd::Broken);
    assert_eq!(lines, ["respond 502", "log", "flush 20", "done"]);
    assert_eq!(
        rig.talk(id).error(),
        (502, "upstream_unreachable".to_owned())
    );
    assert_eq!(rig.flush(), ["tell a: settle failure transport 0+0"]);
}

#[test]
fn a_client_that_breaks_its_upload_off_is_not_the_servers_fault() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.large();
    rig.piece(id, &vec![b'x'; MIB]);
    let lines = rig.upload_ends(id, UploadEnd::Broken);
    assert_eq!(lines, ["abort 0", "log", "flush 0", "done"]);
    assert_eq!(rig.flush(), ["tell a: settle client_left 0+0"]);
    assert_eq!(rig.gateway.open_exchanges(), 0);
}

#[test]
fn a_client_that_stalls_in_its_upload_is_told_and_frees_the_server() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.large();
    rig.piece(id, &vec![b'x'; MIB]);
    let lines = rig.upload_ends(id, UploadEnd::Stalled);
    assert_eq!(lines, ["respond 408", "abort 0", "log", "flush 0", "done"]);
    assert_eq!(rig.talk(id).error(), (408, "upload_stalled".to_owned()));
    assert_eq!(rig.flush(), ["tell a: settle client_left 0+0"]);
}

#[test]
fn a_server_is_not_slow_while_its_client_is_still_sending() {
    let mut rig = Rig::new(&["a"]);
    rig.snapshot.policy.first_token_timeout_ms = 10_000;
    let id = rig.large();
    for _ in 0..5 {
        rig.pass(9_000);
        rig.wake(id);
        rig.piece(id, b"xxxx");
    }
    rig.pass(9_000);
    rig.wake_slow_client(id);
    rig.pass(9_000);
    rig.wake(id);
    assert_eq!(
        rig.talk(id).status,
        None,
        "waiting for the client is nobody's fault"
    );
    rig.pass(2_000);
    rig.wake(id);
    assert_eq!(rig.talk(id).error(), (504, "upstream_timeout".to_owned()));
    assert!(rig.flush()[0].contains("settle failure timeout"));
}

#[test]
fn rubbish_behind_the_model_ends_the_upload() {
    for (piece, code) in [
        (
            &b"\r\n--B7\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n"[..],
            "duplicate_parameter",
        ),
        (b"\n--B7 ", "invalid_multipart"),
    ] {
        let mut rig = Rig::new(&["a"]);
        let id = rig.large();
        let lines = rig.piece(id, piece);
        assert_eq!(lines, ["respond 400", "abort 0", "log", "flush 0", "done"]);
        assert_eq!(rig.talk(id).error(), (400, code.to_owned()));
        assert_eq!(rig.flush(), ["tell a: settle client_left 0+0"]);
    }
    let mut rig = Rig::new(&["a"]);
    let id = rig.large();
    let lines = rig.upload_ends(id, UploadEnd::Whole);
    assert_eq!(lines[0], "respond 400", "the last boundary is missing");
}

#[test]
fn a_form_that_cannot_be_routed_is_refused() {
    let mut rig = Rig::new(&["a"]);
    for (parts, status, code) in [
        (vec![file(10)], 400, "missing_required_parameter"),
        (vec![field("model", "m")], 400, "missing_required_parameter"),
        (
            vec![field("model", "nobody"), file(10)],
            404,
            "model_not_found",
        ),
        (vec![b"rubbish".to_vec()], 400, "invalid_multipart"),
    ] {
        let (id, lines) = rig.small(&parts);
        assert_eq!(lines.last().map(String::as_str), Some("done"));
        assert_eq!(rig.talk(id).error(), (status, code.to_owned()));
    }
    let mut head = rig.head(PATH);
    head.headers.push(("content-length".into(), "99".into()));
    let (id, lines) = rig.arrive(head);
    assert_eq!(lines, ["respond 400", "log", "done"], "JSON is no form");
    assert_eq!(rig.talk(id).error().1, "invalid_multipart");
    let (id, lines) = rig.upload_to(PATH, Some(101 * MIB));
    assert_eq!(lines, ["respond 413", "log", "done"]);
    assert_eq!(rig.talk(id).error().1, "request_too_large");
}

#[test]
fn an_upload_that_ends_before_it_is_routed_costs_nothing() {
    for (end, status) in [(UploadEnd::Broken, 400), (UploadEnd::Stalled, 408)] {
        let mut rig = Rig::new(&["a"]);
        let (id, _) = rig.upload_to(PATH, Some(1000));
        rig.piece(id, &field("model", "m"));
        let lines = rig.upload_ends(id, end);
        assert_eq!(
            lines,
            [
                "hold_upload".to_owned(),
                format!("respond {status}"),
                "log".to_owned(),
                "done".to_owned()
            ]
        );
        assert_eq!(rig.gateway.open_exchanges(), 0);
        assert_eq!(rig.piece(id, b"late"), [""; 0]);
    }
}

#[test]
fn what_finds_no_room_waits_with_its_client_held_back() {
    let mut rig = Rig::new(&["a"]);
    let file_first = |rig: &mut Rig| {
        let (id, _) = rig.upload_to(PATH, Some(32 * MIB));
        let lines = rig.piece(id, &file(MIB));
        (id, lines)
    };
    let (first, lines) = file_first(&mut rig);
    assert_eq!(lines, [""; 0]);
    let (_, lines) = file_first(&mut rig);
    assert_eq!(lines, [""; 0]);
    let (third, lines) = file_first(&mut rig);
    assert_eq!(lines, ["hold_upload", "wake in 250"]);
    assert_eq!(rig.wake_in(third, 250), ["hold_upload", "wake in 250"]);
    rig.upload_ends(first, UploadEnd::Broken);
    assert_eq!(rig.wake_in(third, 250), ["read_upload"]);
    assert_eq!(rig.wake(third), [""; 0], "a late ring finds nothing to do");
}

#[test]
fn a_transcript_comes_in_the_format_that_was_asked_for_behind_the_file() {
    let mut rig = Rig::new(&["a"]);
    let (id, _) = rig.small(&[
        file(10),
        field("model", "m"),
        field("response_format", "srt"),
    ]);
    rig.grant(id, "a");
    let srt = b"1\n00:00:00,000 --> 00:00:02,000\nHello.\n";
    assert_eq!(
        rig.headers(id, 0, 200, &[("content-type", "text/html")]),
        ["collect 0"]
    );
    rig.whole(id, 0, srt);
    assert_eq!(rig.talk(id).body, srt);
    assert_eq!(
        rig.talk(id).header("content-type"),
        Some("text/plain; charset=utf-8")
    );

    let (id, _) = rig.small(&mono());
    rig.grant(id, "a");
    rig.headers(id, 0, 200, &[("content-type", "text/plain")]);
    rig.whole(id, 0, srt);
    assert_eq!(
        rig.talk(id).error(),
        (502, "upstream_invalid_answer".to_owned())
    );
}

#[test]
fn a_transcript_can_be_streamed() {
    let mut rig = Rig::new(&["a"]);
    let streamed = [field("model", "m"), file(10), field("stream", "true")];
    let (id, _) = rig.small(&streamed);
    rig.grant(id, "a");
    assert_eq!(rig.headers(id, 0, 200, SSE), [""; 0]);
    let delta = b"data: {\"type\":\"transcript.text.delta\",\"delta\":\"Hello.\"}\n\n";
    let done = b"data: {\"type\":\"transcript.text.done\",\"text\":\"Hello.\"}\n\n";
    assert_eq!(rig.chunk(id, 0, delta), ["forget_upload", "open", "write"]);
    let lines = rig.chunk(id, 0, done);
    assert_eq!(lines, ["write_chunk", "close", "log", "flush 20", "done"]);
    assert_eq!(rig.talk(id).body, [&delta[..], done].concat());

    let (id, _) = rig.small(&mono());
    rig.grant(id, "a");
    rig.headers(id, 0, 200, SSE);
    rig.whole(id, 0, done);
    assert_eq!(
        rig.talk(id).error().1,
        "upstream_invalid_answer",
        "nobody asked for events"
    );
}

#[test]
fn a_translation_has_no_stream() {
    let mut rig = Rig::new(&["a"]);
    let form = [
        field("model", "m"),
        field("stream", "true"),
        file(10),
        END.to_vec(),
    ]
    .concat();
    let (id, _) = rig.upload_to("/v1/audio/translations", Some(form.len()));
    rig.piece(id, &form);
    let lines = rig.upload_ends(id, UploadEnd::Whole);
    assert_eq!(lines, ["hold_upload", "respond 400", "log", "done"]);
    assert_eq!(rig.talk(id).json()["error"]["param"], "stream");
}

#[test]
fn an_upload_waits_for_a_slot_with_its_client_held_back() {
    let mut rig = Rig::new(&["a"]);
    let length = 20 * MIB;
    let (id, _) = rig.upload_to(PATH, Some(length));
    rig.piece(id, &[field("model", "m"), file(1000)].concat());
    let lines = rig.deny(id, "a", DeniedWire::QueueFull { depth: 8 });
    assert_eq!(lines[0], "ask model m: wait");
    assert!(!rig.talk(id).reads_upload);
    assert_eq!(rig.leave(id).last().map(String::as_str), Some("done"));
}

#[test]
fn an_image_is_edited() {
    let mut rig = Rig::new(&["a"]);
    let image = b"--B7\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a.png\"\r\n\r\n\x89PNG\r\n";
    let form = [
        &field("model", "m")[..],
        &field("prompt", "a cat"),
        image,
        END,
    ]
    .concat();
    let (id, _) = rig.upload_to("/v1/images/edits", Some(form.len()));
    rig.piece(id, &form);
    rig.upload_ends(id, UploadEnd::Whole);
    rig.grant(id, "a");
    rig.headers(id, 0, 200, JSON);
    rig.whole(id, 0, br#"{"created":1,"data":[{"b64_json":"aGk="}]}"#);
    assert_eq!(rig.talk(id).json()["data"][0]["b64_json"], "aGk=");
}
