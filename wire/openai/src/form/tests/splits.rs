//! What is found does not depend on where the body was cut, and is what was put in.

use proptest::prelude::*;

use crate::fuzzing;

use super::super::FormReader;

/// Content with everything that looks like a boundary but is none.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(b"\r\n".to_vec()),
        Just(b"\r\n--".to_vec()),
        Just(b"\r\n--B".to_vec()),
        Just(b"x--B7".to_vec()),
        Just(b"\r\r\n".to_vec()),
        Just(b"--".to_vec()),
    ];
    let joined = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    // No line may begin with the boundary itself.
    joined.prop_filter("holds no boundary at a line's start", |bytes| {
        let line = |end: &[u8]| {
            let needle = [end, b"--B7"].concat();
            bytes.windows(needle.len()).any(|window| window == needle)
        };
        !bytes.starts_with(b"--B7") && !line(b"\n") && !line(b"\r")
    })
}

#[derive(Debug, Clone)]
enum Piece {
    Model(String),
    Other(String, Vec<u8>),
    File(Vec<u8>),
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let other = prop_oneof![
        ("[a-l]{1,8}", content()).prop_map(|(name, value)| Piece::Other(name, value)),
        content().prop_map(Piece::File),
    ];
    let model = "[!-~]{1,20}"
        .prop_filter("no boundary", |model: &String| !model.starts_with("--B7"))
        .prop_map(Piece::Model);
    (
        prop::collection::vec(other, 0..6),
        model,
        content(),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut parts, model, file, place)| {
            parts.push(Piece::File(file));
            parts.insert(place.index(parts.len() + 1), model);
            parts
        })
}

/// The body, and where the model's value stands in it.
fn write(parts: &[Piece]) -> (Vec<u8>, std::ops::Range<usize>) {
    let (mut body, mut place) = (Vec::new(), 0..0);
    for part in parts {
        body.extend_from_slice(b"--B7\r\nContent-Disposition: form-data; name=\"");
        match part {
            Piece::Model(model) => {
                body.extend_from_slice(b"model\"\r\n\r\n");
                place = body.len()..body.len() + model.len();
                body.extend_from_slice(model.as_bytes());
            }
            Piece::Other(name, value) => {
                body.extend_from_slice(name.as_bytes());
                body.extend_from_slice(b"\"\r\n\r\n");
                body.extend_from_slice(value);
            }
            Piece::File(bytes) => {
                body.extend_from_slice(
                    b"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n",
                );
                body.extend_from_slice(bytes);
            }
        }
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--B7--\r\n");
    (body, place)
}

proptest! {
    #[test]
    fn the_model_of_a_written_form_is_found_in_its_place(parts in pieces(), size in 1..100_usize) {
        let (body, place) = write(&parts);
        let mut reader = FormReader::new(Some("multipart/form-data; boundary=B7")).unwrap();
        for piece in body.chunks(size) {
            reader.push(piece).unwrap();
        }
        reader.end("file").unwrap();
        let model = reader.model().unwrap();
        let span = model.span.start as usize..model.span.end as usize;
        prop_assert_eq!(&span, &place);
        prop_assert_eq!(model.value.as_bytes(), &body[span]);
    }

    #[test]
    fn cuts_and_an_oracle_that_sees_everything_at_once_agree(
        parts in pieces(),
        size in 1..64_u8,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let (mut body, _) = write(&parts);
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        fuzzing::form_reader(&[&[2, size][..], b"B7", &body].concat());
    }
}
