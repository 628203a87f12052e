use super::*;

const NOW: Timestamp = Timestamp::from_ms(1_000);

fn head(length: Option<u64>) -> Head {
    let mut headers = vec![(
        "content-type".to_owned(),
        "multipart/form-data; boundary=B7".to_owned(),
    )];
    headers.extend(length.map(|length| ("content-length".to_owned(), length.to_string())));
    Head {
        headers,
        ..Head::default()
    }
}

fn begin(room: &Room, length: Option<u64>) -> Upload {
    Upload::begin(Endpoint::Transcriptions, &head(length), room)
        .unwrap_or_else(|error| panic!("{error:?}"))
}

const MODEL: &[u8] = b"--B7\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--B7";
const FILE: &[u8] =
    b"--B7\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";

fn megabytes(upload: &mut Upload, count: usize) -> Result<Wants, ApiError> {
    let piece = vec![b'x'; 1 << 20];
    let mut wants = Ok(Wants::More);
    for _ in 0..count {
        wants = upload.gather(NOW, &piece);
        if !matches!(wants, Ok(Wants::More)) {
            break;
        }
    }
    wants
}

fn left(room: &Room) -> u64 {
    room.0.get()
}

#[test]
fn a_small_upload_is_read_to_its_end() {
    let room = Room::default();
    let mut upload = begin(&room, Some(1000));
    assert_eq!(upload.gather(NOW, MODEL), Ok(Wants::More));
    assert_eq!(upload.gather(NOW, b"\r\n"), Ok(Wants::More));
    assert_eq!(left(&room), ROOM - 1000);
    drop(upload);
    assert_eq!(left(&room), ROOM);
}

#[test]
fn a_large_one_is_routed_as_soon_as_its_model_is_known() {
    for length in [Some(KEPT + 1), None] {
        let room = Room::default();
        let mut upload = begin(&room, length);
        let wants = upload.gather(NOW, MODEL);
        if length.is_some() {
            assert_eq!(wants, Ok(Wants::Nothing));
            assert_eq!(left(&room), ROOM, "nothing is reserved for it");
            continue;
        }
        assert_eq!(wants, Ok(Wants::More), "it may be small");
        upload.gather(NOW, &FILE[4..]).unwrap();
        assert_eq!(megabytes(&mut upload, 5), Ok(Wants::Nothing));
    }
}

#[test]
fn a_file_before_its_model_is_held_up_to_a_limit() {
    let room = Room::default();
    let mut upload = begin(&room, Some(31 << 20));
    upload.gather(NOW, FILE).unwrap();
    assert_eq!(left(&room), ROOM - (31 << 20), "reserved at once");
    assert_eq!(megabytes(&mut upload, 30), Ok(Wants::More));
    upload.gather(NOW, b"\r\n").unwrap();
    assert_eq!(upload.gather(NOW, MODEL), Ok(Wants::Nothing));
    upload.let_go();
    assert_eq!(left(&room), ROOM);

    let mut endless = begin(&room, None);
    endless.gather(NOW, FILE).unwrap();
    let refused = megabytes(&mut endless, 33).unwrap_err().into_response();
    assert_eq!(refused.status, 413);
    assert!(
        refused.body.contains("Send `model` before the file"),
        "{}",
        refused.body
    );
}

#[test]
fn what_has_no_room_waits_for_some_and_not_for_ever() {
    let room = Room::default();
    let mut first = begin(&room, Some(32 << 20));
    let mut second = begin(&room, Some(32 << 20));
    for upload in [&mut first, &mut second] {
        assert_eq!(upload.gather(NOW, FILE), Ok(Wants::More));
    }
    assert_eq!(left(&room), 0);
    let mut third = begin(&room, Some(20 << 20));
    assert_eq!(third.gather(NOW, FILE), Ok(Wants::More), "a little is free");
    assert_eq!(megabytes(&mut third, 1), Ok(Wants::Room));
    assert!(third.waits());
    let later = NOW + Span::from_secs(29);
    assert_eq!(third.wants(later), Ok(Wants::Room));
    drop(first);
    assert_eq!(third.wants(later), Ok(Wants::More));
    assert!(!third.waits());

    let mut fourth = begin(&room, Some(20 << 20));
    fourth.gather(NOW, FILE).unwrap();
    assert_eq!(megabytes(&mut fourth, 1), Ok(Wants::Room));
    let refused = fourth.wants(NOW + ROOM_WAIT).unwrap_err().into_response();
    assert_eq!(refused.status, 503);
    assert!(
        refused
            .headers
            .iter()
            .any(|(name, _)| name == "retry-after")
    );

    let mut small = begin(&room, Some(3 << 20));
    drop((second, third, fourth));
    assert_eq!(left(&room), ROOM);
    let mut full = begin(&room, Some(32 << 20));
    let mut too = begin(&room, Some(32 << 20));
    full.gather(NOW, FILE).unwrap();
    too.gather(NOW, FILE).unwrap();
    assert_eq!(
        small.gather(NOW, MODEL),
        Ok(Wants::Nothing),
        "without room a small one passes through as a large one does"
    );
}

#[test]
fn no_upload_is_longer_than_the_limit_whatever_it_declares() {
    let refused = Upload::begin(
        Endpoint::Transcriptions,
        &head(Some(MAX_UPLOAD + 1)),
        &Room::default(),
    );
    assert_eq!(
        refused.err().map(|error| error.into_response().status),
        Some(413)
    );

    let mut upload = begin(&Room::default(), None);
    upload.gather(NOW, MODEL).unwrap();
    upload.gather(NOW, &FILE[4..]).unwrap();
    let piece = vec![b'x'; 1 << 20];
    let passed = (0..200).find_map(|count| upload.pass(&piece).err().map(|error| (count, error)));
    let (count, refused) = passed.unwrap();
    assert_eq!((count, refused.into_response().status), (99, 413));
}

#[test]
fn the_length_goes_with_the_name_of_the_model() {
    let room = Room::default();
    let mut upload = begin(&room, Some(KEPT + 100));
    upload.gather(NOW, MODEL).unwrap();
    let same = upload.outgoing("m", 7);
    assert_eq!(
        (same.splice, same.length, same.idle_ms),
        (None, Some(KEPT + 100), 7)
    );
    let renamed = upload.outgoing("whisper", 7);
    let start = MODEL.len() as u64 - 7;
    let splice = Splice {
        start,
        end: start + 1,
        text: "whisper".to_owned(),
    };
    assert_eq!(
        (renamed.splice, renamed.length),
        (Some(splice), Some(KEPT + 106))
    );
    let unknown = begin(&room, None).outgoing("m", 7);
    assert_eq!(unknown.length, None);
}

#[test]
fn a_body_that_is_no_form_is_refused_at_once() {
    let json = Head {
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        ..Head::default()
    };
    let refused = Upload::begin(Endpoint::Translations, &json, &Room::default());
    let refused = refused.err().unwrap().into_response();
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("invalid_multipart"),
        "{}",
        refused.body
    );
}
