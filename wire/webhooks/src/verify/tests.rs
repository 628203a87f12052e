use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_795_255_200;
const ID: &str = "evt_1";
const BODY: &[u8] = br#"{"machine":"i-1","n":1}"#;

fn key() -> Key {
    Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
}

fn other_key() -> Key {
    Key::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap()
}

/// A message with these headers.
fn judge(id: &str, timestamp: &str, signature: &str, body: &[u8]) -> Result<(), Refused> {
    let message = Message {
        id: Some(id),
        timestamp: Some(timestamp),
        signature: Some(signature),
        body,
    };
    verify(&key(), NOW, &message).map(|_| ())
}

/// The same, signed as it should be at that moment.
fn signed_at(then: i64) -> Result<(), Refused> {
    judge(ID, &then.to_string(), &key().sign(ID, then, BODY), BODY)
}

#[test]
fn a_message_of_who_shares_the_secret_is_believed() {
    let signature = key().sign(ID, NOW, BODY);
    let timestamp = NOW.to_string();
    let message = Message {
        id: Some(ID),
        timestamp: Some(&timestamp),
        signature: Some(&signature),
        body: BODY,
    };
    assert_eq!(verify(&key(), NOW, &message), Ok(ID));
    assert_eq!(verify(&other_key(), NOW, &message), Err(Refused::Signature));
}

#[test]
fn every_header_must_be_there() {
    let signature = key().sign(ID, NOW, BODY);
    let timestamp = NOW.to_string();
    let whole = Message {
        id: Some(ID),
        timestamp: Some(&timestamp),
        signature: Some(&signature),
        body: BODY,
    };
    for (message, missing) in [
        (Message { id: None, ..whole }, ID_HEADER),
        (
            Message {
                timestamp: None,
                ..whole
            },
            TIMESTAMP_HEADER,
        ),
        (
            Message {
                signature: None,
                ..whole
            },
            SIGNATURE_HEADER,
        ),
    ] {
        let refused = verify(&key(), NOW, &message);
        assert_eq!(refused, Err(Refused::Missing(missing)));
    }
}

/// W3 and W11: old and future alike, to the second.
#[test]
fn a_message_that_is_not_from_now_is_refused_however_well_it_is_signed() {
    for seconds in [0, 1, 299, 300] {
        assert_eq!(signed_at(NOW - seconds), Ok(()));
        assert_eq!(signed_at(NOW + seconds), Ok(()));
    }
    for seconds in [301, 600, 86_400] {
        assert_eq!(signed_at(NOW - seconds), Err(Refused::NotNow));
        assert_eq!(signed_at(NOW + seconds), Err(Refused::NotNow));
    }
}

/// W4.
#[test]
fn a_body_that_was_written_anew_is_refused() {
    let timestamp = NOW.to_string();
    let signature = key().sign(ID, NOW, BODY);
    for body in [
        br#"{"machine": "i-1", "n": 1}"#.as_slice(),
        br#"{"n":1,"machine":"i-1"}"#,
        b"\xef\xbb\xbf{\"machine\":\"i-1\",\"n\":1}",
        br#"{"machine":"i-1","n":1.0}"#,
        b"{\"machine\":\"i-1\",\"n\":1}\n",
        b"",
    ] {
        let refused = judge(ID, &timestamp, &signature, body);
        assert_eq!(refused, Err(Refused::Signature));
    }
}

/// W5.
#[test]
fn one_good_signature_among_several_is_enough_and_too_many_are_not_looked_at() {
    let timestamp = NOW.to_string();
    let ours = key().sign(ID, NOW, BODY);
    let theirs = other_key().sign(ID, NOW, BODY);
    for list in [
        format!("{ours} {theirs}"),
        format!("{theirs} {ours}"),
        format!("v1a,{} {ours}", "A".repeat(86)),
        format!("{theirs} {}{ours}", format!("{theirs} ").repeat(14)),
    ] {
        assert_eq!(judge(ID, &timestamp, &list, BODY), Ok(()), "{list}");
    }
    assert_eq!(
        judge(ID, &timestamp, &theirs, BODY),
        Err(Refused::Signature)
    );
    for more in [16, 49] {
        let list = format!("{ours} {}", vec![theirs.as_str(); more].join(" "));
        assert_eq!(judge(ID, &timestamp, &list, BODY), Err(Refused::TooMany));
    }
}

/// W6.
#[test]
fn what_is_no_signature_of_this_kind_is_none() {
    let timestamp = NOW.to_string();
    let ours = key().sign(ID, NOW, BODY);
    let bare = ours.strip_prefix("v1,").unwrap();
    for signature in [
        String::new(),
        " ".to_owned(),
        ",".to_owned(),
        "v1,".to_owned(),
        bare.to_owned(),
        format!("v0,{bare}"),
        format!("v2,{bare}"),
        format!("V1,{bare}"),
        format!("v1={bare}"),
        format!("v1,{}", bare.trim_end_matches('=')),
        format!("v1,{bare}="),
        format!("v1,{}", bare.replace('=', "!")),
        format!("v1,{}", bare.to_lowercase()),
        format!("v1,{ours}"),
        format!("{ours},{ours}"),
        format!("{ours}\t{ours}"),
        "v1,not base64 at all".to_owned(),
        "v1,AAAA".to_owned(),
    ] {
        let refused = judge(ID, &timestamp, &signature, BODY);
        assert_eq!(refused, Err(Refused::Signature), "{signature}");
    }
    for timestamp in [
        "",
        "١٧٩٥٢٥٥٢٠٠",
        "+1795255200",
        "1795255200.0",
        "01795255200",
    ] {
        let signature = key().sign(ID, NOW, BODY);
        let refused = judge(ID, timestamp, &signature, BODY);
        assert_eq!(refused, Err(Refused::Timestamp), "{timestamp}");
    }
}

#[test]
fn an_id_cannot_lend_its_end_to_what_is_signed_behind_it() {
    let timestamp = NOW.to_string();
    let long = "x".repeat(256);
    for id in ["", "a.b", "a b", "é", "a\u{7f}", long.as_str()] {
        let signature = key().sign(id, NOW, BODY);
        let refused = judge(id, &timestamp, &signature, BODY);
        assert_eq!(refused, Err(Refused::Id), "{id}");
    }
    let longest = "x".repeat(255);
    let signature = key().sign(&longest, NOW, BODY);
    assert_eq!(judge(&longest, &timestamp, &signature, BODY), Ok(()));
}

proptest! {
    #[test]
    fn no_changed_part_keeps_the_signature(
        id in "[a-z0-9_]{1,20}", shift in 1i64..300, body: Vec<u8>, at: prop::sample::Index, with: u8
    ) {
        let timestamp = NOW.to_string();
        let signature = key().sign(&id, NOW, &body);
        prop_assert_eq!(judge(&id, &timestamp, &signature, &body), Ok(()));
        let later = (NOW + shift).to_string();
        prop_assert_eq!(judge(&id, &later, &signature, &body), Err(Refused::Signature));
        let longer = format!("{id}x");
        prop_assert_eq!(judge(&longer, &timestamp, &signature, &body), Err(Refused::Signature));
        if !body.is_empty() {
            let mut changed = body.clone();
            let at = at.index(body.len());
            changed[at] = with;
            let judged = judge(&id, &timestamp, &signature, &changed);
            prop_assert_eq!(judged.is_ok(), changed == body);
        }
    }

    #[test]
    fn no_header_makes_it_panic(id in "\\PC{0,9}", timestamp in "\\PC{0,14}", signature in "\\PC{0,60}") {
        let _ = judge(&id, &timestamp, &signature, BODY);
    }
}
