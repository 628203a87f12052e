//! Identifiers of objects that nobody else can make.
//!
//! A prefix that says what it names (`srv_` a server or rented GPU, `acc_` an account at a vendor) + 22
//! characters of base62 over 10 random bytes and a 6-byte MAC over (prefix, organisation, random). A request
//! that names one is checked here before any object is addressed, so a guessed or foreign id creates no empty
//! object and organisation A cannot name B's server.
//!
//! 10 random bytes: two of a billion servers collide with a probability below 1e-6. 6 bytes of MAC: a
//! guesser needs about 2^47 requests for one id that exists nowhere anyway.

use crate::{base62, installation::Installation, organisation::Organisation};

/// Random bytes that minting the id of an instance takes.
pub const INSTANCE_RANDOM: usize = RANDOM;
/// Random bytes that minting the id of an account takes.
pub const ACCOUNT_RANDOM: usize = RANDOM;

const RANDOM: usize = 10;
const INSTANCE: &str = "srv_";
const ACCOUNT: &str = "acc_";
const MAC: usize = 6;

/// Makes the id of a new server or rented GPU: `srv_` and 22 letters or digits.
pub fn mint_instance_id(
    installation: &Installation,
    organisation: &Organisation,
    random: [u8; INSTANCE_RANDOM],
) -> String {
    mint(INSTANCE, installation, organisation, random)
}

/// Whether this installation minted `text` for a server of this organisation. Says nothing about whether it
/// still exists.
pub fn verify_instance_id(
    installation: &Installation,
    organisation: &Organisation,
    text: &str,
) -> bool {
    verify(INSTANCE, installation, organisation, text)
}

/// Makes the id of a new account at a vendor: `acc_` and 22 letters or digits.
pub fn mint_account_id(
    installation: &Installation,
    organisation: &Organisation,
    random: [u8; ACCOUNT_RANDOM],
) -> String {
    mint(ACCOUNT, installation, organisation, random)
}

/// Whether this installation minted `text` for an account of this organisation. Says nothing about whether
/// it still exists.
pub fn verify_account_id(
    installation: &Installation,
    organisation: &Organisation,
    text: &str,
) -> bool {
    verify(ACCOUNT, installation, organisation, text)
}

fn mint(
    prefix: &str,
    installation: &Installation,
    organisation: &Organisation,
    random: [u8; RANDOM],
) -> String {
    let mac: [u8; MAC] = installation.name_mac(&[prefix.as_bytes(), &organisation.pack(), &random]);
    let mut bytes = random.iter().chain(&mac).copied();
    let chunks: [[u8; base62::CHUNK]; 2] =
        core::array::from_fn(|_| core::array::from_fn(|_| bytes.next().unwrap_or(0)));
    let mut text = String::from(prefix);
    base62::encode_into(&chunks, &mut text);
    text
}

fn verify(
    prefix: &str,
    installation: &Installation,
    organisation: &Organisation,
    text: &str,
) -> bool {
    let Some(chunks) = text.strip_prefix(prefix).and_then(base62::decode::<2>) else {
        return false;
    };
    let mut bytes = chunks.iter().flatten().copied();
    let random: [u8; RANDOM] = core::array::from_fn(|_| bytes.next().unwrap_or(0));
    let given: [u8; MAC] = core::array::from_fn(|_| bytes.next().unwrap_or(0));
    // Prefixes are of one length and so are packed organisations: the parts cannot be shifted against each other.
    installation.knows_name(&[prefix.as_bytes(), &organisation.pack(), &random], &given)
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
        let id = mint_account_id(&installation(), &organisation("default"), [7; 10]);
        assert_eq!(id, "acc_0bPELAU4eqF0bPquClcJM7");
    }

    #[test]
    fn an_id_of_one_kind_is_none_of_another() {
        let (ours, org) = (installation(), organisation("default"));
        let server = mint_instance_id(&ours, &org, [7; 10]);
        let account = mint_account_id(&ours, &org, [7; 10]);
        assert!(verify_account_id(&ours, &org, &account));
        assert!(!verify_account_id(&ours, &organisation("other"), &account));
        assert!(!verify_instance_id(&ours, &org, &account));
        assert!(!verify_account_id(&ours, &org, &server));
        let renamed = server.replace("srv_", "acc_");
        assert!(
            !verify_account_id(&ours, &org, &renamed),
            "the MAC covers it"
        );
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

    #[test]
    fn an_id_of_the_secret_before_is_known_while_that_is_bound() {
        let former = || Installation::derive(b"fedcba9876543210fedcba9876543210").unwrap();
        let org = organisation("default");
        let old = mint_instance_id(&former(), &org, [7; 10]);
        assert!(!verify_instance_id(&installation(), &org, &old));
        let both = installation().succeeding(former());
        assert!(verify_instance_id(&both, &org, &old));
        assert!(!verify_account_id(&both, &org, &old));
        let elsewhere = organisation("elsewhere");
        assert!(!verify_instance_id(&both, &elsewhere, &old));
        let made = mint_instance_id(&both, &org, [7; 10]);
        assert!(verify_instance_id(&installation(), &org, &made));
        assert!(!verify_instance_id(&former(), &org, &made));
    }
}
