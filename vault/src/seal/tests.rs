use super::*;
use proptest::prelude::*;

const HERE: Context<'static> = Context {
    organisation: "default",
    record: "server/srv_1",
    field: "api_key",
};

fn key(name: &str) -> WrappingKey {
    WrappingKey::derive(format!("{name}-0123456789abcdef0123456789abcdef").as_bytes()).unwrap()
}

fn ring() -> Keyring {
    Keyring::new(key("one"), None)
}

fn random() -> [u8; SEAL_RANDOM] {
    core::array::from_fn(|at| at as u8)
}

/// Stored records outlive releases: this text must open for ever.
#[test]
fn the_text_form_is_pinned() {
    let sealed = seal(&ring(), &HERE, b"sk-upstream", &random()).unwrap();
    let pinned = "sealed1.PUl99nYNussgISIjJCUmJygpKiu03FUhrhh8D_q-c__uYspQ1kxBjl2VbWoAYVNWIhIJyI_8U8zgmmg4eaD0pv8PZzMsLS4vMDEyMzQ1NjchlghjEuKQvlOp8Jt6VbMOJSYMGCj0kRtffqo";
    assert_eq!(sealed.as_str(), pinned);
    assert_eq!(
        open(&ring(), &HERE, pinned).unwrap().expose(),
        b"sk-upstream"
    );
}

#[test]
fn a_record_opens_only_where_it_was_sealed() {
    let sealed = seal(&ring(), &HERE, b"sk-upstream", &random()).unwrap();
    for elsewhere in [
        Context {
            organisation: "other",
            ..HERE
        },
        Context {
            record: "server/srv_2",
            ..HERE
        },
        Context {
            field: "token",
            ..HERE
        },
        Context {
            organisation: "defaultserver/srv_1",
            record: "",
            ..HERE
        },
        Context {
            record: "server/srv_1api_key",
            field: "",
            ..HERE
        },
    ] {
        assert_eq!(
            open(&ring(), &elsewhere, sealed.as_str()),
            Err(OpenError::Refused),
            "{elsewhere:?}"
        );
    }
}

#[test]
fn a_record_of_an_unbound_key_names_that_key() {
    let sealed = seal(&ring(), &HERE, b"x", &random()).unwrap();
    let other = Keyring::new(key("two"), Some(key("three")));
    let refused = open(&other, &HERE, sealed.as_str()).unwrap_err();
    assert_eq!(refused, OpenError::UnknownKey(key("one").id()));
    assert!(refused.to_string().contains(&key("one").id().to_string()));
}

#[test]
fn rotation_opens_re_wraps_and_then_needs_the_old_key_no_more() {
    let sealed = seal(&ring(), &HERE, b"sk-upstream", &random()).unwrap();
    let both = Keyring::new(key("two"), Some(key("one")));
    assert_eq!(
        open(&both, &HERE, sealed.as_str()).unwrap().expose(),
        b"sk-upstream"
    );
    assert_eq!(needs_rewrap(&both, sealed.as_str()), Ok(true));

    let moved = rewrap(&both, &HERE, sealed.as_str(), &[9; REWRAP_RANDOM]).unwrap();
    assert_eq!(needs_rewrap(&both, moved.as_str()), Ok(false));
    let after = Keyring::new(key("two"), None);
    assert_eq!(
        open(&after, &HERE, moved.as_str()).unwrap().expose(),
        b"sk-upstream"
    );
    assert!(open(&ring(), &HERE, moved.as_str()).is_err());
    assert_eq!(
        Envelope::read(moved.as_str()).unwrap().content,
        Envelope::read(sealed.as_str()).unwrap().content
    );
}

#[test]
fn a_record_is_not_re_wrapped_for_another_place() {
    let sealed = seal(&ring(), &HERE, b"x", &random()).unwrap();
    let elsewhere = Context {
        field: "token",
        ..HERE
    };
    assert_eq!(
        rewrap(&ring(), &elsewhere, sealed.as_str(), &[9; REWRAP_RANDOM]),
        Err(OpenError::Refused)
    );
}

#[test]
fn parts_of_two_records_do_not_make_a_third() {
    let mut other_random = random();
    other_random.reverse();
    let one = Envelope::read(seal(&ring(), &HERE, b"one", &random()).unwrap().as_str()).unwrap();
    let two = Envelope::read(
        seal(&ring(), &HERE, b"two", &other_random)
            .unwrap()
            .as_str(),
    )
    .unwrap();
    let mixed = write(
        one.key_id,
        &one.wrap_nonce,
        &one.wrapped,
        &two.nonce,
        &two.content,
    );
    assert_eq!(
        open(&ring(), &HERE, mixed.as_str()),
        Err(OpenError::Refused)
    );
}

#[test]
fn the_check_value_opens_with_the_bound_keys_only() {
    let stored = seal_check_value(&ring(), &random()).unwrap();
    assert_eq!(check_value_opens(&ring(), stored.as_str()), Ok(()));
    let rotated = Keyring::new(key("two"), Some(key("one")));
    assert_eq!(check_value_opens(&rotated, stored.as_str()), Ok(()));
    let lost = Keyring::new(key("two"), None);
    assert!(matches!(
        check_value_opens(&lost, stored.as_str()),
        Err(OpenError::UnknownKey(_))
    ));
    let record = seal(&ring(), &HERE, CHECK_PLAINTEXT, &random()).unwrap();
    assert_eq!(
        check_value_opens(&ring(), record.as_str()),
        Err(OpenError::Refused)
    );
}

#[test]
fn too_long_a_secret_is_refused_and_the_longest_is_kept() {
    let longest = vec![1u8; MAX_PLAINTEXT];
    let sealed = seal(&ring(), &HERE, &longest, &random()).unwrap();
    assert_eq!(
        open(&ring(), &HERE, sealed.as_str()).unwrap().expose(),
        longest
    );
    assert_eq!(
        seal(&ring(), &HERE, &vec![1u8; MAX_PLAINTEXT + 1], &random()),
        Err(SealError::TooLong {
            bytes: MAX_PLAINTEXT + 1
        })
    );
}

#[test]
fn a_text_of_another_form_is_malformed() {
    let sealed = seal(&ring(), &HERE, b"", &random()).unwrap();
    let text = sealed.as_str();
    for bad in [
        "",
        "sealed1.",
        "sealed1.AAAA",
        "sealed2.AAAA",
        text.strip_prefix("sealed1.").unwrap(),
        &format!("{text}="),
        &format!("{text} "),
        &text[..text.len() - 1],
        &text[..text.len() - 2],
    ] {
        assert_eq!(
            open(&ring(), &HERE, bad),
            Err(OpenError::Malformed),
            "{bad}"
        );
    }
}

proptest! {
    #[test]
    fn every_secret_comes_back(plaintext: Vec<u8>, random in proptest::array::uniform28(0u8..)) {
        let mut both = [0u8; SEAL_RANDOM];
        both[..28].copy_from_slice(&random);
        both[28..].copy_from_slice(&random);
        let sealed = seal(&ring(), &HERE, &plaintext, &both).unwrap();
        let opened = open(&ring(), &HERE, sealed.as_str()).unwrap();
        prop_assert_eq!(opened.expose(), plaintext);
    }

    #[test]
    fn every_flipped_bit_is_refused(plaintext in proptest::collection::vec(0u8.., 0..40), at: prop::sample::Index, bit in 0u32..8) {
        let sealed = seal(&ring(), &HERE, &plaintext, &random()).unwrap();
        let mut bytes = Base64UrlUnpadded::decode_vec(sealed.as_str().strip_prefix(PREFIX).unwrap()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let forged = format!("{PREFIX}{}", Base64UrlUnpadded::encode_string(&bytes));
        prop_assert!(open(&ring(), &HERE, &forged).is_err());
        prop_assert!(rewrap(&ring(), &HERE, &forged, &[3; REWRAP_RANDOM]).is_err());
    }

    #[test]
    fn every_cut_is_refused(length in 0usize..40, keep: prop::sample::Index) {
        let sealed = seal(&ring(), &HERE, &vec![7; length], &random()).unwrap();
        let text = sealed.as_str();
        prop_assert!(open(&ring(), &HERE, &text[..keep.index(text.len())]).is_err());
    }

    #[test]
    fn no_text_makes_it_panic(text in "(sealed1\\.)?\\PC{0,300}") {
        prop_assert!(open(&ring(), &HERE, &text).is_err());
        let _ = needs_rewrap(&ring(), &text);
    }
}
