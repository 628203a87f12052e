use super::*;
use proptest::prelude::*;

fn installation() -> Installation {
    Installation::derive(b"0123456789abcdef0123456789abcdef").unwrap()
}

fn organisation(text: &str) -> Organisation {
    Organisation::parse(text).unwrap()
}

fn random() -> [u8; KEY_RANDOM] {
    core::array::from_fn(|at| at as u8)
}

/// Keys outlive releases: this text may never change.
#[test]
fn the_text_form_is_pinned() {
    let key = ApiKey::mint(&installation(), &organisation("default"), random());
    assert_eq!(
        key.text.expose_str().unwrap(),
        "tg_20AtgdnPF5c00000000000000000000010Ahw55QqOKn0rSUBZ84ZaD1YD2I2pIkpdDnYN5HSX0DxCGJOIHTSsIc"
    );
    assert_eq!(key.key_id.to_string(), "key_001IYT0XLWR");
    assert_eq!(key.text.expose().len(), API_KEY_CHARS);
    assert_eq!(API_KEY_CHARS, 91);
}

#[test]
fn a_minted_key_names_its_organisation_and_record() {
    let ours = installation();
    for slug in ["default", "a", &"z".repeat(32)] {
        let key = ApiKey::mint(&ours, &organisation(slug), random());
        let verified = ApiKey::parse_and_verify(&ours, key.text.expose_str().unwrap()).unwrap();
        assert_eq!(verified.organisation.as_str(), slug);
        assert_eq!(verified.key_id, key.key_id);
        assert!(verified.secret_hash.matches(&key.secret_hash));
        assert_eq!(key.text.expose().len(), API_KEY_CHARS);
    }
}

#[test]
fn the_stored_hash_is_plain_sha_256_of_the_secret_part() {
    let key = ApiKey::mint(&installation(), &organisation("default"), random());
    let expected: [u8; 32] = Sha256::digest(&random()[KEY_ID..]).into();
    assert_eq!(key.secret_hash.to_bytes(), expected);
}

#[test]
fn a_rotated_key_keeps_its_id_and_changes_its_hash() {
    let (ours, org) = (installation(), organisation("default"));
    let old = ApiKey::mint(&ours, &org, random());
    let new = ApiKey::rotate(&ours, &org, old.key_id, [9; KEY_SECRET]);
    assert_eq!(new.key_id, old.key_id);
    assert!(!new.secret_hash.matches(&old.secret_hash));
    assert!(ApiKey::parse_and_verify(&ours, new.text.expose_str().unwrap()).is_ok());
}

#[test]
fn a_key_of_another_installation_is_not_ours() {
    let other = Installation::derive(b"another-secret-of-enough-length!!").unwrap();
    let key = ApiKey::mint(&other, &organisation("default"), random());
    assert_eq!(
        ApiKey::parse_and_verify(&installation(), key.text.expose_str().unwrap()).unwrap_err(),
        KeyRefused::NotOurs
    );
}

#[test]
fn malformed_keys_are_not_keys() {
    let ours = installation();
    let key = ApiKey::mint(&ours, &organisation("default"), random());
    let text = key.text.expose_str().unwrap();
    let body = text.strip_prefix("tg_").unwrap();
    for bad in [
        String::new(),
        "tg_".into(),
        "sk-abc".into(),
        body.into(),
        format!("TG_{body}"),
        format!(" {text}"),
        format!("{text} "),
        format!("{text}0"),
        format!("tg_{}", &body[1..]),
        format!("tg_{}-", &body[1..]),
        format!("tg_{}é", &body[2..]),
        // Every chunk above 2^64 − 1: a text that no byte string has.
        format!("tg_{}", "z".repeat(88)),
        format!("tg_{}", "\u{ff10}".repeat(88)),
        "tg_".repeat(1_000_000),
    ] {
        assert_eq!(
            ApiKey::parse_and_verify(&ours, &bad).unwrap_err(),
            KeyRefused::NotAKey
        );
    }
}

#[test]
fn nothing_about_a_key_prints_its_secret() {
    let key = ApiKey::mint(&installation(), &organisation("default"), random());
    let text = key.text.expose_str().unwrap().to_owned();
    let printed = format!("{key:?}");
    assert!(!printed.contains(&text) && !printed.contains(&key.secret_hash.to_hex()));
    let verified = ApiKey::parse_and_verify(&installation(), &text).unwrap();
    assert!(!format!("{verified:?}").contains(&key.secret_hash.to_hex()));
}

#[test]
fn key_ids_and_hashes_come_back_from_their_text() {
    let key = ApiKey::mint(&installation(), &organisation("default"), random());
    assert_eq!(KeyId::parse(&key.key_id.to_string()), Ok(key.key_id));
    for bad in ["", "key_", "key_0", "srv_00000000000", "key_zzzzzzzzzzz"] {
        assert_eq!(KeyId::parse(bad), Err(KeyIdRefused));
    }
    let hex = key.secret_hash.to_hex();
    assert!(
        SecretHash::from_hex(&hex)
            .unwrap()
            .matches(&key.secret_hash)
    );
    for bad in [
        "",
        "00",
        &hex.to_uppercase(),
        &"g".repeat(64),
        &"é".repeat(32),
    ] {
        assert!(SecretHash::from_hex(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_key_with_another_character_is_refused(
        slug in "[a-z0-9-]{1,32}", random: [u8; KEY_RANDOM], at in 0usize..91, with in "[0-9A-Za-z_]"
    ) {
        let ours = installation();
        let key = ApiKey::mint(&ours, &organisation(&slug), random);
        let text = key.text.expose_str().unwrap();
        let verified = ApiKey::parse_and_verify(&ours, text).unwrap();
        prop_assert_eq!(verified.organisation.as_str(), &slug);
        let mut forged = text.to_owned();
        forged.replace_range(at..=at, &with);
        prop_assert_eq!(ApiKey::parse_and_verify(&ours, &forged).is_ok(), forged == text);
    }

    #[test]
    fn no_text_makes_it_panic_or_is_believed(text in "(tg_)?[0-9A-Za-z]{88}|\\PC{0,100}") {
        prop_assert!(ApiKey::parse_and_verify(&installation(), &text).is_err());
    }
}
