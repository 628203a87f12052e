//! Instance identifiers that nobody else can make.
//!
//! `srv_` + 22 characters of base62 over 10 random bytes and a 6-byte MAC over (kind, organisation,
//! random). A request that names a server is checked here before any object is addressed, so a guessed or
//! foreign id creates no empty object and organisation A cannot name B's server.
//!
//! 10 random bytes: two of a billion servers collide with a probability below 1e-6. 6 bytes of MAC: a
//! guesser needs about 2^47 requests for one id that exists nowhere anyway.
use subtle::ConstantTimeEq;

use crate::{base62, installation::Installation, organisation::Organisation};

/// Random bytes that minting takes.
pub const INSTANCE_RANDOM: usize = 10;
const PREFIX: &str = "srv_";
const MAC: usize = 6;

/// Makes the id of a new server or rented GPU: `srv_` and 22 letters or digits.
pub fn mint_instance_id(
    installation: &Installation,
    organisation: &Organisation,
    random: [u8; INSTANCE_RANDOM],
) -> String {
    let mac = mac(installation, organisation, &random);
    let mut bytes = random.iter().chain(&mac).copied();
    let chunks: [[u8; base62::CHUNK]; 2] =
        core::array::from_fn(|_| core::array::from_fn(|_| bytes.next().unwrap_or(0)));
    let mut text = String::from(PREFIX);
    base62::encode_into(&chunks, &mut text);
    text
}

/// Whether this installation minted `text` for this organisation. Says nothing about whether it still
/// exists.
pub fn verify_instance_id(
    installation: &Installation,
    organisation: &Organisation,
    text: &str,
) -> bool {
    let Some(chunks) = text.strip_prefix(PREFIX).and_then(base62::decode::<2>) else {
        return false;
    };
    let mut bytes = chunks.iter().flatten().copied();
    let random: [u8; INSTANCE_RANDOM] = core::array::from_fn(|_| bytes.next().unwrap_or(0));
    let given: [u8; MAC] = core::array::from_fn(|_| bytes.next().unwrap_or(0));
    mac(installation, organisation, &random)
        .ct_eq(&given)
        .into()
}

/// The packed organisation has a fixed length, so the parts cannot be shifted against each other.
fn mac(
    installation: &Installation,
    organisation: &Organisation,
    random: &[u8; INSTANCE_RANDOM],
) -> [u8; MAC] {
    installation.name_mac(&[PREFIX.as_bytes(), &organisation.pack(), random])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn installation() -> Installation {
        Installation::derive(b"0123456789abcdef0123456789abcdef").unwrap()
    }

    fn organisation(text: &str) -> Organisation {
        Organisation::parse(text).unwrap()
    }

    /// Stored ids outlive releases: this text may never change.
    #[test]
    fn the_text_form_is_pinned() {
        let id = mint_instance_id(&installation(), &organisation("default"), [7; 10]);
        assert_eq!(id, "srv_0bPELAU4eqF0bPErPOCgqv");
    }

    #[test]
    fn an_id_is_ours_only_for_its_organisation_and_installation() {
        let (ours, org) = (installation(), organisation("default"));
        let id = mint_instance_id(&ours, &org, [7; 10]);
        assert!(verify_instance_id(&ours, &org, &id));
        assert!(!verify_instance_id(&ours, &organisation("other"), &id));
        let other = Installation::derive(b"another-secret-of-enough-length!!").unwrap();
        assert!(!verify_instance_id(&other, &org, &id));
    }

    #[test]
    fn malformed_ids_are_not_ours() {
        let (ours, org) = (installation(), organisation("default"));
        let id = mint_instance_id(&ours, &org, [7; 10]);
        let bare = id.strip_prefix("srv_").unwrap();
        for text in [
            String::new(),
            "srv_".into(),
            bare.into(),
            format!("key_{bare}"),
            format!("{id}0"),
            format!(" {id}"),
            format!("srv_{}", "z".repeat(22)),
            format!("srv_{}", "0".repeat(22)),
        ] {
            assert!(!verify_instance_id(&ours, &org, &text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_minted_id_is_ours_and_none_with_another_character(
            random: [u8; 10], at in 0usize..26, with in "[0-9A-Za-z_]"
        ) {
            let (ours, org) = (installation(), organisation("default"));
            let id = mint_instance_id(&ours, &org, random);
            prop_assert!(verify_instance_id(&ours, &org, &id));
            let mut forged = id.clone();
            forged.replace_range(at..=at, &with);
            prop_assert_eq!(verify_instance_id(&ours, &org, &forged), forged == id);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(srv_)?\\PC{0,30}") {
            prop_assert!(!verify_instance_id(&installation(), &organisation("default"), &text));
        }
    }
}
